/* The U-Net of Ho et al. 2020, appendix B: residual blocks with group norm, self
 * attention at chosen resolutions, a conditioning vector added within every block. */
#ifndef LIMN_FAMILIES_UNET_H
#define LIMN_FAMILIES_UNET_H

#include "base/options.h"
#include "nn/nn.h"

enum { LM_UNET_MAX_BLOCKS = 8 };

typedef struct lm_unet_spec {
    int out;    /* channels of the result */
    int base;   /* channels of the first level */
    int blocks; /* residual blocks a level, one more on the way up */
    int heads;
    int groups; /* of the norms; fewer where they do not divide the channels */
    double dropout;
    int mult[LM_OPT_MAX_INTS], n_levels;         /* channels of a level, over base */
    int attention[LM_OPT_MAX_INTS], n_attention; /* heights of maps that have it */
} lm_unet_spec;

/* Checks a spec against the input's height and width. Messages name the options "mult",
 * "attention" and "heads". */
lm_status lm_unet_check(const lm_unet_spec *spec, int height, int width);

/* t[N] f32 -> [N, 4*base]: sinusoids through two dense layers. */
lm_node *lm_unet_time(lm_nn *nn, const lm_unet_spec *spec, lm_node *t);

/* labels[N] i32 -> [N, 4*base]: a learned row for each class and, for labels below 0, one
 * for none; to be added to what lm_unet_time gives (Dhariwal, Nichol 2021). */
lm_node *lm_unet_class(lm_nn *nn, const lm_unet_spec *spec, lm_node *labels, int classes);

/* x[N,H,W,C], conditioning [N,E] -> [N,H,W,out]. */
lm_node *lm_unet(lm_nn *nn, const lm_unet_spec *spec, lm_node *x, lm_node *conditioning);

#endif
