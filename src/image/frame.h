/* What of a picture is seen: its middle, a margin around it, in colour or grey. Where
 * what is left over at two sides is odd, the left and the upper side have less. */
#ifndef LIMN_IMAGE_FRAME_H
#define LIMN_IMAGE_FRAME_H

#include "image/image.h"

/* Makes *to of the height x width pixels in the middle; LM_FORMAT when *from has fewer
 * rows or columns. *to is empty on failure. */
lm_status lm_image_crop(const lm_image *from, int height, int width, lm_image *to);

/* Makes *to of height x width pixels with all of *from in the middle, the rest being
 * `background` (RGB; in a grey picture its luma). *from must not be the larger. */
lm_status lm_image_pad(const lm_image *from, int height, int width,
                       const uint8_t *background, lm_image *to);

/* 0.299 R + 0.587 G + 0.114 B (ITU-R 601), rounded as Pillow does. */
uint8_t lm_luma(const uint8_t *rgb);

/* Makes the picture grey (1: the luma) or colour (3: grey, three times); one that is so
 * already stays. On failure it stays as it is. */
lm_status lm_image_set_channels(lm_image *image, int channels);

#endif
