/* The eight ways in which a camera may be held, as EXIF numbers them. */
#ifndef LIMN_IMAGE_ORIENT_H
#define LIMN_IMAGE_ORIENT_H

#include "image/image.h"

#include <stdbool.h>
#include <stddef.h>

/* The orientation, 1 to 8, in an EXIF block: a TIFF header and its first directory, with
 * or without "Exif\0\0" before. 1 (as it is) when the block has none or is broken. */
int lm_exif_orientation(const uint8_t *bytes, size_t size);

/* Width and height change places: orientations 5 to 8. */
bool lm_orientation_swaps(int orientation);

/* Turns a picture that is stored with the orientation upright. */
lm_status lm_image_orient(lm_image *image, int orientation);

#endif
