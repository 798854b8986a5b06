/* Images seen through affine maps, an own one for each image: shifted, turned, scaled,
 * slanted. Gradients go through to the pixels, not to the maps. */
#ifndef LIMN_NN_WARP_H
#define LIMN_NN_WARP_H

#include "nn/nn.h"

/* x f32[N,H,W,C], maps f32[N,6] -> f32[N,H,W,C]. With coordinates from the image's
 * middle, in pixels, the result at row y and column x is x at
 *   row    m0 y + m1 x + m2
 *   column m3 y + m4 x + m5,
 * bilinear, as PyTorch's grid_sample with align_corners and padding_mode "border": what
 * lies outside is the nearest pixel of the edge. N H W is at most 2^24. */
lm_node *lm_warp(lm_graph *g, lm_node *x, lm_node *maps);

/* How far random maps go; uniform between minus and plus of each. */
typedef struct lm_warp_spec {
    double shift;  /* pixels */
    double rotate; /* degrees */
    double scale;  /* in the logarithm of the size */
    double slant;  /* of columns, a row */
} lm_warp_spec;
bool lm_warp_changes(const lm_warp_spec *spec);
/* By numbers of nn->key, each call by others; x itself where nothing would change. */
lm_node *lm_nn_warp(lm_nn *nn, lm_node *x, const lm_warp_spec *spec);

#endif
