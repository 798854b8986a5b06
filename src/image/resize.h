/* Resampling with antialiasing, by the rules of Pillow's `resize`: separable, a filter
 * that is stretched by the scale when the image shrinks, centres of pixels at halves,
 * weights normalised at the borders. Both passes run in float; between them values are
 * clipped to what a byte holds, as Pillow does, so results differ by rounding alone. */
#ifndef LIMN_IMAGE_RESIZE_H
#define LIMN_IMAGE_RESIZE_H

#include "image/image.h"

typedef enum lm_filter {
    LM_FILTER_BOX,      /* the mean of what a pixel covers */
    LM_FILTER_BILINEAR, /* triangle of radius 1 */
    LM_FILTER_BICUBIC,  /* Keys 1981 with a = -1/2, radius 2 */
    LM_FILTER_LANCZOS   /* sinc windowed by sinc, radius 3 */
} lm_filter;

/* "box", "bilinear", "bicubic", "lanczos"; LM_ARG names the choices. */
lm_status lm_filter_find(const char *name, lm_filter *filter);
const char *lm_filter_name(lm_filter filter);

/* Makes *to of height x width pixels, which must be 1 to 32768; *from stays. */
lm_status lm_image_resize(const lm_image *from, int height, int width, lm_filter filter,
                          lm_image *to);

#endif
