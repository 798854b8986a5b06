#include "data/noise.h"

/* The finaliser of MurmurHash3 (Appleby 2011) over the coordinates. */
float lm_noise_at(uint32_t seed, int32_t x, int32_t y) {
    uint32_t h = seed ^ (uint32_t)x * 0x9E3779B1u ^ (uint32_t)y * 0x85EBCA77u;
    h = (h ^ h >> 16) * 0x85EBCA6Bu;
    h = (h ^ h >> 13) * 0xC2B2AE35u;
    return (float)((h ^ h >> 16) >> 8) * 0x1p-24f;
}

static int32_t floor_of(float x) {
    int32_t whole = (int32_t)x;
    return (float)whole > x ? whole - 1 : whole;
}

static float smooth(float t) {
    return t * t * (3 - 2 * t);
}

static float mix(float from, float to, float share) {
    return from + share * (to - from);
}

float lm_noise(uint32_t seed, float x, float y) {
    int32_t left = floor_of(x), top = floor_of(y);
    float u = smooth(x - (float)left), v = smooth(y - (float)top);
    return mix(
        mix(lm_noise_at(seed, left, top), lm_noise_at(seed, left + 1, top), u),
        mix(lm_noise_at(seed, left, top + 1), lm_noise_at(seed, left + 1, top + 1), u),
        v);
}

float lm_noise_sum(uint32_t seed, float x, float y, int octaves) {
    float sum = 0, strength = 1, total = 0;
    for (int i = 0; i < octaves; i++) {
        sum += strength * lm_noise(seed + (uint32_t)i, x, y);
        total += strength;
        strength *= 0.5f;
        x *= 2, y *= 2;
    }
    return sum / total;
}
