/* Images as floats of another size, as published feature networks were shown them. The
 * rules differ enough to move a Fréchet distance by several points (Parmar, Zhang, Zhu,
 * "On Aliased Resizing and Surprising Subtleties in GAN Evaluation", CVPR 2022), so a
 * number names its rule. */
#ifndef LIMN_IMAGE_RESIZE_RULE_H
#define LIMN_IMAGE_RESIZE_RULE_H

#include "image/image.h"

typedef enum lm_resize_rule {
    /* Bilinear without antialiasing: TensorFlow 1's resize_bilinear, where pixel 0 lies
     * on pixel 0, and PyTorch's interpolate, where centres are at halves (both with
     * align_corners false). */
    LM_RESIZE_TENSORFLOW,
    LM_RESIZE_PYTORCH,
    /* Bicubic with antialiasing by Pillow on float32 channels, clipped to 0 .. 255 and
     * not rounded (clean-fid). */
    LM_RESIZE_CLEAN
} lm_resize_rule;

/* "legacy_tensorflow", "legacy_pytorch", "clean". */
const char *lm_resize_rule_name(lm_resize_rule rule);

/* To f32[height][width][channels of *from], values 0 .. 255. Sides are 1 to 32768. */
lm_status lm_resize_floats(const lm_image *from, int height, int width,
                           lm_resize_rule rule, float *to);

#endif
