/* Unsigned numbers of 1 to 8 bytes as files hold them. */
#ifndef LIMN_BASE_BYTES_H
#define LIMN_BASE_BYTES_H

#include <stdint.h>

static inline uint64_t lm_read_le(const uint8_t *bytes, int width) {
    uint64_t number = 0;
    for (int i = width - 1; i >= 0; i--) number = number << 8 | bytes[i];
    return number;
}

static inline uint64_t lm_read_be(const uint8_t *bytes, int width) {
    uint64_t number = 0;
    for (int i = 0; i < width; i++) number = number << 8 | bytes[i];
    return number;
}

#endif
