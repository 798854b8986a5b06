/* Augmentation inside the graph, between the images and a discriminator (Zhao et al.:
 * "Differentiable augmentation for data-efficient GAN training", NeurIPS 2020). Real and
 * generated images are augmented alike, and gradients go through to what generated them.
 *
 * Images are f32[N,H,W,C] in [-1,1]; each has random numbers of its own. */
#ifndef LIMN_NN_DIFFAUGMENT_H
#define LIMN_NN_DIFFAUGMENT_H

#include "nn/nn.h"

/* The parts of a policy, applied in this order. */
enum {
    LM_DIFFAUGMENT_COLOR = 1,       /* brightness, saturation, contrast */
    LM_DIFFAUGMENT_TRANSLATION = 2, /* by up to an eighth of the size; 0 comes in */
    LM_DIFFAUGMENT_CUTOUT = 4       /* a rectangle of half the size becomes 0 */
};

/* "color,translation,cutout", any of them, each at most once, in any order; "": none.
 * LM_ARG names what is not known. */
lm_status lm_diffaugment_parse(const char *policy, unsigned *parts);

/* What an image's random numbers are for: uniform in [0,1) each. */
typedef enum lm_diffaugment_number {
    LM_DIFFAUGMENT_BRIGHTNESS,  /* adds -0.5 to 0.5 */
    LM_DIFFAUGMENT_SATURATION,  /* 0 to 2 times the distance to the pixel's mean, */
    LM_DIFFAUGMENT_CONTRAST,    /* 0.5 to 1.5 times that to the image's */
    LM_DIFFAUGMENT_SHIFT_ROWS,  /* pixel (y, x) becomes pixel */
    LM_DIFFAUGMENT_SHIFT_COLS,  /* (y + rows, x + cols) */
    LM_DIFFAUGMENT_CUTOUT_ROWS, /* where the middle of the rectangle is; parts of it */
    LM_DIFFAUGMENT_CUTOUT_COLS, /* may be outside the image */
    LM_DIFFAUGMENT_NUMBERS
} lm_diffaugment_number;

/* By given numbers[N, LM_DIFFAUGMENT_NUMBERS]. */
lm_node *lm_diffaugment(lm_graph *g, lm_node *x, unsigned parts, lm_node *numbers);
/* By numbers of nn->key, each call by others. */
lm_node *lm_nn_diffaugment(lm_nn *nn, lm_node *x, unsigned parts);

/* Left and right exchanged where numbers[N] are below 0.5; of any element type. */
lm_node *lm_flip(lm_graph *g, lm_node *x, lm_node *numbers);
lm_node *lm_nn_flip(lm_nn *nn, lm_node *x);

#endif
