/* What the codecs share. Each is in a file of its own and in the table of decode.c. */
#ifndef LIMN_IMAGE_CODEC_INTERNAL_H
#define LIMN_IMAGE_CODEC_INTERNAL_H

#include "image/decode.h"

/* What stands before the pixels. Sizes are as stored, before orientation, and not yet
 * checked; what follows from too large ones may have overflowed. */
typedef struct lm_picture {
    uint64_t width, height;
    int channels;        /* of the result: 1 or 3 */
    int orientation;     /* EXIF's, 1 to 8 */
    bool icc;            /* has a colour profile */
    uint64_t least_size; /* no file with this header is shorter */
} lm_picture;

/* Messages of the functions leave out the codec's name, which decode.c adds. */
typedef struct lm_codec {
    const char *name;
    bool (*recognise)(const uint8_t *bytes, size_t size);
    /* *picture comes with orientation 1 and zeros. */
    lm_status (*probe)(const uint8_t *bytes, size_t size, lm_picture *picture);
    /* *image has the size and channels that probe gave, black; there are at least
     * least_size bytes. */
    lm_status (*decode)(const uint8_t *bytes, size_t size, const uint8_t *background,
                        lm_image *image);
} lm_codec;

extern const lm_codec lm_png_codec, lm_jpeg_codec, lm_webp_codec, lm_bmp_codec,
    lm_pnm_codec;

/* ---- alpha ------------------------------------------------------------------- */

/* A row of `count` pixels of `channels` (1 or 3) samples and alpha, all of 0 to `most`,
 * over the background (RGB): round(255 (v a + b (1 - a))) for v and a as parts of one. */
void lm_flatten_u8(const uint8_t *from, size_t count, int channels,
                   const uint8_t *background, uint8_t *to); /* most: 255 */
void lm_flatten_u16(const uint16_t *from, size_t count, int channels, unsigned most,
                    const uint8_t *background, uint8_t *to);

#endif
