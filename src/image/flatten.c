/* Alpha over a background, in exact integers. */
#include "image/codec_internal.h"
#include "image/frame.h"

#include <string.h>

static inline uint8_t blend(uint64_t value, uint64_t alpha, uint64_t behind,
                            uint64_t most) {
    uint64_t whole = most * most;
    return (uint8_t)((255 * value * alpha + behind * most * (most - alpha) + whole / 2) /
                     whole);
}

/* What a picture of so many channels has behind it. */
static void see_background(const uint8_t *background, int channels, uint8_t *behind) {
    memcpy(behind, background, 3);
    if (channels == 1) behind[0] = lm_luma(background);
}

void lm_flatten_u8(const uint8_t *from, size_t count, int channels,
                   const uint8_t *background, uint8_t *to) {
    uint8_t behind[3];
    see_background(background, channels, behind);
    for (size_t i = 0; i < count; i++, from += channels + 1)
        for (int c = 0; c < channels; c++)
            *to++ = blend(from[c], from[channels], behind[c], 255);
}

void lm_flatten_u16(const uint16_t *from, size_t count, int channels, unsigned most,
                    const uint8_t *background, uint8_t *to) {
    uint8_t behind[3];
    see_background(background, channels, behind);
    for (size_t i = 0; i < count; i++, from += channels + 1)
        for (int c = 0; c < channels; c++)
            *to++ = blend(from[c], from[channels], behind[c], most);
}
