/* What resampling adds up along one axis. */
#ifndef LIMN_IMAGE_TAPS_INTERNAL_H
#define LIMN_IMAGE_TAPS_INTERNAL_H

#include "image/resize.h"

/* LM_ARG unless both are 1 to 32768. */
lm_status lm_check_new_sides(int height, int width);

/* Result i is the sum of weight[i * most + k] * source[first[i] + k], k < count[i]. */
typedef struct lm_taps {
    int most;
    int *first, *count;
    float *weight;
} lm_taps;

/* Both fill *t, which lm_taps_release empties, also after a failure. By Pillow's rules:
 */
lm_status lm_taps_filter(lm_taps *t, int from, int to, lm_filter filter);
/* The two nearest samples, however much the image shrinks. centres: of pixels at halves,
 * else at whole numbers. Positions are those of floats, as in PyTorch and TensorFlow. */
lm_status lm_taps_bilinear(lm_taps *t, int from, int to, bool centres);
void lm_taps_release(lm_taps *t);

#endif
