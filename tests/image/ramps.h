/* The images that tests/golden/make_resize.py draws: hard edges, ramps and noise. */
#ifndef LIMN_TESTS_IMAGE_RAMPS_H
#define LIMN_TESTS_IMAGE_RAMPS_H

#include "testing.h"

#include "image/image.h"

typedef struct resize_case {
    int height, width, channels, to_height, to_width;
} resize_case;

static inline void draw_ramps(const resize_case *k, lm_image *image) {
    CHECK_OK(lm_image_init(image, k->width, k->height, k->channels));
    uint8_t *to = image->pixels;
    int last = k->width > 1 ? k->width - 1 : 1;
    for (int y = 0; y < k->height; y++)
        for (int x = 0; x < k->width; x++)
            for (int c = 0; c < k->channels; c++) {
                int noise = (x * 7919 + y * 104729 + c * 1299709) % 251;
                int ramp = (x * 255 / last + 40 * c) % 256;
                int edges = (x / 3 + y / 5) % 2 * 255;
                *to++ = (uint8_t)(y % 3 == 0 ? noise : x % 4 < 2 ? ramp : edges);
            }
}

#endif
