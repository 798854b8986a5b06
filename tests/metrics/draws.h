/* Feature vectors from nothing but a seed. */
#ifndef LIMN_TESTS_METRICS_DRAWS_H
#define LIMN_TESTS_METRICS_DRAWS_H

#include "base/mem.h"
#include "tensor/philox.h"
#include "testing.h"

/* Independent normal values in an array of n x dim, lm_free'd by the caller. */
static inline float *draw_normal(uint64_t seed, int64_t n, int dim) {
    float *x = lm_alloc((size_t)n * dim * sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < n; i++) {
        lm_rng rng = {.seed = seed, .sample = (uint32_t)i};
        for (int j = 0; j < dim; j++) x[i * dim + j] = (float)lm_rng_normal(&rng);
    }
    return x;
}

#endif
