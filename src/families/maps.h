/* Encoders from images to maps and decoders from maps to images, of residual blocks: what
 * autoencoders of any kind are made of. Every level has half the height and width of the
 * one before, rounded up, so that any size will do. */
#ifndef LIMN_FAMILIES_MAPS_H
#define LIMN_FAMILIES_MAPS_H

#include "base/options.h"
#include "nn/nn.h"

enum { LM_MAPS_MAX_LEVELS = 8, LM_MAPS_GROUPS = 16 };

typedef struct lm_maps_spec {
    int blocks; /* residual blocks a level */
    int n_levels;
    int channels[LM_OPT_MAX_INTS];                          /* of each level */
    int rows[LM_MAPS_MAX_LEVELS], cols[LM_MAPS_MAX_LEVELS]; /* of lm_maps_measure */
} lm_maps_spec;

/* The options of maps, for the tables of families. */
#define LM_MAPS_OPTIONS(MULT)                                                            \
    {"base", LM_OPT_INT, "32", 1, 1024, NULL, "N", "channels of the first level"},       \
        {"mult",                                                                         \
         LM_OPT_INTS,                                                                    \
         MULT,                                                                           \
         1,                                                                              \
         64,                                                                             \
         NULL,                                                                           \
         "N,N,..",                                                                       \
         "channels of each level, in multiples of base; each has half the size"},        \
    {                                                                                    \
        "blocks", LM_OPT_INT, "1", 0, 8, NULL, "N", "residual blocks a level"            \
    }
/* Their values. */
void lm_maps_read(const lm_settings *settings, lm_maps_spec *spec);

/* Fills in rows and cols for images of this size; messages name the option "mult". */
lm_status lm_maps_measure(lm_maps_spec *spec, int height, int width);

/* x[N,H,W,C] -> [N,h,w,channels] of the last level, after norm and SiLU. condition [N,E]
 * modulates every block; NULL: none. Scopes are the caller's. */
lm_node *lm_maps_encode(lm_nn *nn, const lm_maps_spec *spec, lm_node *x,
                        lm_node *condition);
/* x[N,h,w,channels] of the last level -> [N,H,W,out]. */
lm_node *lm_maps_decode(lm_nn *nn, const lm_maps_spec *spec, lm_node *x, int64_t out,
                        lm_node *condition);

#endif
