/* Sheets of images, and the way from floats to pixels. */
#include "image/image.h"

#include <math.h>
#include <string.h>

#define TARGET_WIDTH 640

/* Copies one image of the sheet, each pixel `scale` times in both directions. */
static void place_image(const uint8_t *from, int height, int width, int scale,
                        lm_image *sheet, int left, int top) {
    int channels = sheet->channels;
    size_t stride = (size_t)sheet->width * channels;
    for (int y = 0; y < height * scale; y++) {
        const uint8_t *row = from + (size_t)(y / scale) * width * channels;
        uint8_t *to = sheet->pixels + (top + y) * stride + (size_t)left * channels;
        for (int x = 0; x < width * scale; x++, to += channels)
            memcpy(to, row + (size_t)(x / scale) * channels, channels);
    }
}

lm_status lm_image_grid(const uint8_t *images, int n, int height, int width, int channels,
                        const lm_grid_spec *spec, lm_image *out) {
    LM_RETURN_IF(n <= 0, LM_ARG, "image sheet: no images");
    int columns = spec->columns > 0 ? spec->columns : (int)ceil(sqrt((double)n));
    if (columns > n) columns = n;
    int rows = (n + columns - 1) / columns;
    int scale = spec->scale;
    if (scale <= 0) {
        scale = TARGET_WIDTH / (columns * (width + spec->gap));
        if (scale < 1) scale = 1;
    }
    int cell_width = width * scale + spec->gap, cell_height = height * scale + spec->gap;
    LM_TRY(lm_image_init(out, columns * cell_width + spec->gap,
                         rows * cell_height + spec->gap, channels));
    memset(out->pixels, spec->background, (size_t)out->width * out->height * channels);
    size_t size = (size_t)height * width * channels;
    for (int i = 0; i < n; i++)
        place_image(images + i * size, height, width, scale, out,
                    spec->gap + i % columns * cell_width,
                    spec->gap + i / columns * cell_height);
    return LM_OK;
}

void lm_image_from_signed(const float *from, uint8_t *to, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        float value = from[i] * 127.5f + 127.5f;
        to[i] = value >= 255.0f ? 255 : value > 0.0f ? (uint8_t)lrintf(value) : 0;
    }
}
