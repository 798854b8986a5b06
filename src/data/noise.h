/* Value noise: random numbers at the points of a lattice, smoothly joined. */
#ifndef LIMN_DATA_NOISE_H
#define LIMN_DATA_NOISE_H

#include <stdint.h>

/* [0, 1), of the lattice point. */
float lm_noise_at(uint32_t seed, int32_t x, int32_t y);

/* [0, 1), with cells of size 1 and a continuous slope; |x|, |y| below 1e6. */
float lm_noise(uint32_t seed, float x, float y);

/* `octaves` of it, each of half the size and strength of the one before; [0, 1). */
float lm_noise_sum(uint32_t seed, float x, float y, int octaves);

#endif
