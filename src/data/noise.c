#include "data/noise.h"

/* The finaliser of MurmurHash3 (Appleby 2011) over the coordinates. */
static inline float hash(uint32_t seed, int32_t x, int32_t y) {
    uint32_t h = seed ^ (uint32_t)x * 0x9E3779B1u ^ (uint32_t)y * 0x85EBCA77u;
    h = (h ^ h >> 16) * 0x85EBCA6Bu;
    h = (h ^ h >> 13) * 0xC2B2AE35u;
    return (float)(int32_t)((h ^ h >> 16) >> 8) * 0x1p-24f;
}

float lm_noise_at(uint32_t seed, int32_t x, int32_t y) {
    return hash(seed, x, y);
}

static inline int32_t floor_of(float x) {
    int32_t whole = (int32_t)x;
    return whole - ((float)whole > x);
}

static inline float smooth(float t) {
    return t * t * (3 - 2 * t);
}

void lm_noise_row(uint32_t seed, int n, const float *x, const float *y, float *noise) {
    for (int i = 0; i < n; i++) {
        int32_t left = floor_of(x[i]), top = floor_of(y[i]);
        float u = smooth(x[i] - (float)left), v = smooth(y[i] - (float)top);
        float a = hash(seed, left, top), b = hash(seed, left + 1, top);
        float c = hash(seed, left, top + 1), d = hash(seed, left + 1, top + 1);
        float upper = a + u * (b - a), lower = c + u * (d - c);
        noise[i] = upper + v * (lower - upper);
    }
}
