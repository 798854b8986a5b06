/* Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as
 * 1, 2, 3", SC 2011): a counter in, four random words out, no state. */
#ifndef LIMN_TENSOR_PHILOX_H
#define LIMN_TENSOR_PHILOX_H

#include <stdint.h>

void lm_philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* limn's convention, the same on every backend. A random tensor belongs to a stream
 * (which node or which purpose), a step, a global sample index and an element within the
 * sample: counter = {element / 4, sample, step, stream}, key = seed. This returns the
 * upper 24 bits of the element's word, so that every value is exact in f32. */
uint32_t lm_philox_u24(uint64_t seed, uint32_t stream, uint32_t step, uint32_t sample,
                       uint32_t element);

/* Host-side draws of the same kind, for data and decisions outside graphs. */
typedef struct lm_rng {
    uint64_t seed;
    uint32_t stream, step, sample, element; /* element advances by one a draw */
    uint32_t block, words[4]; /* kept between draws: counter word 0, plus one, and its
                               * words; 0: none. Only element may change in between */
} lm_rng;

double lm_rng_uniform(lm_rng *rng);                 /* [0, 1) */
double lm_rng_normal(lm_rng *rng);                  /* Box-Muller, two draws */
uint32_t lm_rng_below(lm_rng *rng, uint32_t limit); /* 0 .. limit-1, unbiased */

#endif
