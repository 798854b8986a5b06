/* Encoded pictures in memory: PNG, JPEG, WebP, BMP and PNM, told apart by their first
 * bytes, never by a name. The bytes may come from anywhere: sizes are checked before
 * memory is taken, and a damaged picture is a failure, not half a picture. */
#ifndef LIMN_IMAGE_DECODE_H
#define LIMN_IMAGE_DECODE_H

#include "image/image.h"

#include <stdbool.h>
#include <stddef.h>

/* The largest picture: pixels a side, and pixels in all. */
#define LM_IMAGE_MOST_SIDE   32768
#define LM_IMAGE_MOST_PIXELS ((int64_t)1 << 28)

/* What lm_image_decode makes of a picture. */
typedef struct lm_image_info {
    int width, height;  /* after the orientation that EXIF asks for */
    int channels;       /* 1: grey; 3: colour, and palettes */
    const char *format; /* "PNG", "JPEG", "WebP", "BMP", "PNM"; never freed */
    bool icc;           /* a colour profile lies within, and is ignored */
} lm_image_info;

/* From the header alone: the bytes may be the beginning of a file, as long as they hold
 * the header, and the EXIF that a WebP has at its end. (An orientation or a profile that
 * a PNG has behind its pixels is seen in the whole file only.) LM_FORMAT: not a picture,
 * a broken header, too large; LM_UNSUPPORTED: a kind of picture that no codec reads.
 * Messages name the format; callers put the file's name before (lm_fail_context). */
lm_status lm_image_probe(const void *bytes, size_t size, lm_image_info *info);

/* Makes *image: 8 bits a sample, deeper ones rounded, turned as EXIF asks. Alpha is
 * composited on `background` (RGB; NULL: white); a grey picture stays grey, on the
 * background's luma. *image is empty on failure; fails as lm_image_probe does, and with
 * LM_FORMAT on any damage that shows, a missing end too. */
lm_status lm_image_decode(const void *bytes, size_t size, const uint8_t *background,
                          lm_image *image);

/* The same from a file; messages name it. */
lm_status lm_image_read(const char *path, const uint8_t *background, lm_image *image);

#endif
