#include "tensor/philox.h"

#include <assert.h>
#include <math.h>

enum { ROUNDS = 10 };

void lm_philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t a = (uint64_t)0xD2511F53u * c0, b = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(b >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)b;
        c3 = (uint32_t)a;
        k0 += 0x9E3779B9u; /* the golden ratio and the root of three, as Weyl steps */
        k1 += 0xBB67AE85u;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

static void draw_block(uint64_t seed, uint32_t stream, uint32_t step, uint32_t sample,
                       uint32_t block, uint32_t words[4]) {
    const uint32_t counter[4] = {block, sample, step, stream};
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    lm_philox4x32(counter, key, words);
}

uint32_t lm_philox_u24(uint64_t seed, uint32_t stream, uint32_t step, uint32_t sample,
                       uint32_t element) {
    uint32_t words[4];
    draw_block(seed, stream, step, sample, element / 4, words);
    return words[element % 4] >> 8;
}

static uint32_t next_word(lm_rng *rng) {
    uint32_t block = rng->element / 4;
    if (rng->block != block + 1) {
        draw_block(rng->seed, rng->stream, rng->step, rng->sample, block, rng->words);
        rng->block = block + 1;
    }
    return rng->words[rng->element++ % 4];
}

double lm_rng_uniform(lm_rng *rng) {
    return (next_word(rng) >> 8) * 0x1p-24;
}

double lm_rng_normal(lm_rng *rng) {
    const double tau = 6.283185307179586;
    double radius = sqrt(-2 * log(1 - lm_rng_uniform(rng))); /* 1 - u is never 0 */
    return radius * cos(tau * lm_rng_uniform(rng));
}

/* A word's product with the limit has the result in its upper half; the few lower halves
 * that would favour some results are drawn again (Lemire, "Fast random integer generation
 * in an interval", TOMACS 2019). */
uint32_t lm_rng_below(lm_rng *rng, uint32_t limit) {
    assert(limit > 0);
    uint32_t excess = -limit % limit; /* 2^32 mod limit */
    uint64_t product;
    do product = (uint64_t)next_word(rng) * limit;
    while ((uint32_t)product < excess);
    return (uint32_t)(product >> 32);
}
