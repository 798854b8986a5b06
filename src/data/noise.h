/* Value noise: random numbers at the points of a lattice, smoothly joined. */
#ifndef LIMN_DATA_NOISE_H
#define LIMN_DATA_NOISE_H

#include <stdint.h>

/* [0, 1), of the lattice point. */
float lm_noise_at(uint32_t seed, int32_t x, int32_t y);

/* At n places: [0, 1], with cells of size 1 and a continuous slope; |x|, |y| below 1e6.
 */
void lm_noise_row(uint32_t seed, int n, const float *x, const float *y, float *noise);

#endif
