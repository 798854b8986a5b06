#include "data/augment.h"

#include "tensor/philox.h"

#include <string.h>

enum { STREAM_AUGMENT = 11 }; /* those below 100 belong to the data room */

bool lm_augment_changes(const lm_augment *augment) {
    return augment->flip || augment->pad > 0;
}

static void copy_row(const uint8_t *from, int count, int channels, bool flip,
                     uint8_t *to) {
    if (!flip) {
        memcpy(to, from, (size_t)count * channels);
        return;
    }
    for (int x = count - 1; x >= 0; x--)
        for (int c = 0; c < channels; c++) *to++ = from[x * channels + c];
}

/* The image moved by (down, right), then perhaps flipped; black comes in. */
static void move_image(const uint8_t *from, int height, int width, int channels, int down,
                       int right, bool flip, uint8_t *to) {
    int begin = right > 0 ? right : 0, end = right < 0 ? width + right : width;
    int kept = end - begin, at = flip ? width - end : begin;
    size_t row = (size_t)width * channels;
    for (int y = 0; y < height; y++, to += row) {
        bool outside = y < down || y >= height + down;
        if (outside || kept < width) memset(to, 0, row);
        if (outside) continue;
        const uint8_t *source =
            from + (size_t)(y - down) * row + (size_t)(begin - right) * channels;
        copy_row(source, kept, channels, flip, to + (size_t)at * channels);
    }
}

void lm_augment_image(const lm_augment *augment, uint64_t seed, int64_t position,
                      int height, int width, int channels, const uint8_t *from,
                      uint8_t *to) {
    lm_rng rng = {.seed = seed,
                  .stream = STREAM_AUGMENT,
                  .step = (uint32_t)((uint64_t)position >> 32),
                  .sample = (uint32_t)position};
    uint32_t shifts = 2 * (uint32_t)augment->pad + 1;
    bool flip = lm_rng_below(&rng, 2) && augment->flip;
    int down = (int)lm_rng_below(&rng, shifts) - augment->pad;
    int right = (int)lm_rng_below(&rng, shifts) - augment->pad;
    move_image(from, height, width, channels, down, right, flip, to);
}
