#include "image/frame.h"

#include "base/mem.h"

#include <string.h>

/* ---- size -------------------------------------------------------------------- */

/* Copies the middle of the larger picture to or from the whole of the smaller one. */
static void copy_middle(const lm_image *from, lm_image *to) {
    int height = from->height < to->height ? from->height : to->height;
    int width = from->width < to->width ? from->width : to->width;
    size_t channels = (size_t)from->channels, row = (size_t)width * channels;
    size_t step[2] = {from->width * channels, to->width * channels};
    const uint8_t *read = from->pixels + (from->height - height) / 2 * step[0] +
                          (from->width - width) / 2 * channels;
    uint8_t *write = to->pixels + (to->height - height) / 2 * step[1] +
                     (to->width - width) / 2 * channels;
    for (int y = 0; y < height; y++, read += step[0], write += step[1])
        memcpy(write, read, row);
}

lm_status lm_image_crop(const lm_image *from, int height, int width, lm_image *to) {
    *to = (lm_image){0};
    LM_RETURN_IF(height > from->height || width > from->width, LM_FORMAT,
                 "%d rows of %d pixels, cannot crop %d of %d", from->height, from->width,
                 height, width);
    LM_TRY(lm_image_init(to, width, height, from->channels));
    copy_middle(from, to);
    return LM_OK;
}

static void fill(lm_image *image, const uint8_t *background) {
    size_t count = (size_t)image->width * image->height;
    if (image->channels == 1) {
        memset(image->pixels, lm_luma(background), count);
        return;
    }
    for (size_t i = 0; i < count; i++) memcpy(image->pixels + 3 * i, background, 3);
}

lm_status lm_image_pad(const lm_image *from, int height, int width,
                       const uint8_t *background, lm_image *to) {
    *to = (lm_image){0};
    LM_RETURN_IF(height < from->height || width < from->width, LM_ARG,
                 "%d rows of %d pixels, cannot pad to %d of %d", from->height,
                 from->width, height, width);
    LM_TRY(lm_image_init(to, width, height, from->channels));
    fill(to, background);
    copy_middle(from, to);
    return LM_OK;
}

/* ---- channels ---------------------------------------------------------------- */

uint8_t lm_luma(const uint8_t *rgb) {
    /* 16 bits after the point, as Pillow has it */
    return (uint8_t)((rgb[0] * 19595u + rgb[1] * 38470u + rgb[2] * 7471u + 0x8000u) >>
                     16);
}

lm_status lm_image_set_channels(lm_image *image, int channels) {
    if (channels == image->channels) return LM_OK;
    lm_image made;
    LM_TRY(lm_image_init(&made, image->width, image->height, channels));
    size_t count = (size_t)image->width * image->height;
    const uint8_t *from = image->pixels;
    for (size_t i = 0; i < count; i++)
        if (channels == 1)
            made.pixels[i] = lm_luma(from + 3 * i);
        else
            memset(made.pixels + 3 * i, from[i], 3);
    lm_image_release(image);
    *image = made;
    return LM_OK;
}
