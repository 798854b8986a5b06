/* Pictures: u8, interleaved, rows from the top. */
#ifndef LIMN_IMAGE_IMAGE_H
#define LIMN_IMAGE_IMAGE_H

#include "tensor/tensor.h"

typedef struct lm_image {
    int width, height, channels; /* channels 1 or 3 */
    uint8_t *pixels;             /* owned, lm_alloc */
} lm_image;

lm_status lm_image_init(lm_image *image, int width, int height, int channels); /* black */
void lm_image_release(lm_image *image);

/* Grey or RGB, 8 bit, written atomically; `text` (may be NULL) goes into a tEXt chunk
 * "Comment". */
lm_status lm_png_write(const char *path, const lm_image *image, const char *text);
/* lm_image_read (decode.h) on black. */
lm_status lm_png_read(const char *path, lm_image *image);

/* A sheet of n images of h x w x c bytes each, `columns` a row (0: a near square), each
 * pixel `scale` times enlarged (0: so that the sheet is about 640 wide), `gap` pixels of
 * background between. */
typedef struct lm_grid_spec {
    int columns, scale, gap;
    uint8_t background;
} lm_grid_spec;
lm_status lm_image_grid(const uint8_t *images, int n, int height, int width, int channels,
                        const lm_grid_spec *spec, lm_image *out);

/* [-1,1] floats to bytes: round(x * 127.5 + 127.5), clipped; NaN becomes 0. */
void lm_image_from_signed(const float *from, uint8_t *to, int64_t count);

#endif
