/* Sets of vectors for tests: functions of a seed. */
#ifndef LIMN_TESTS_METRICS_CLOUDS_H
#define LIMN_TESTS_METRICS_CLOUDS_H

#include "testing.h"

#include "tensor/philox.h"

/* Uniform in [0, scale) around `offset`; to be freed with free(). */
static inline float *cloud_new(uint64_t seed, int n, int dim, double scale,
                               double offset) {
    float *x = malloc(sizeof *x * (size_t)n * (size_t)dim);
    assert_non_null(x);
    for (int i = 0; i < n; i++) {
        lm_rng rng = {.seed = seed, .sample = (uint32_t)i};
        for (int k = 0; k < dim; k++)
            x[i * dim + k] = (float)(offset + scale * lm_rng_uniform(&rng));
    }
    return x;
}

/* Whole numbers below `levels`: many equal distances, many equal vectors. */
static inline float *lattice_new(uint64_t seed, int n, int dim, uint32_t levels) {
    float *x = malloc(sizeof *x * (size_t)n * (size_t)dim);
    assert_non_null(x);
    for (int i = 0; i < n; i++) {
        lm_rng rng = {.seed = seed, .sample = (uint32_t)i};
        for (int k = 0; k < dim; k++) x[i * dim + k] = (float)lm_rng_below(&rng, levels);
    }
    return x;
}

/* A few far places with tiny clouds around them: f32 products know nothing of these. */
static inline float *modes_new(uint64_t seed, int n, int dim, int modes) {
    float *x = malloc(sizeof *x * (size_t)n * (size_t)dim);
    assert_non_null(x);
    for (int i = 0; i < n; i++) {
        lm_rng rng = {.seed = seed, .stream = 1, .sample = (uint32_t)i};
        lm_rng place = {.seed = seed, .sample = lm_rng_below(&rng, (uint32_t)modes)};
        for (int k = 0; k < dim; k++)
            x[i * dim + k] =
                (float)(100 * lm_rng_uniform(&place) + 1e-4 * lm_rng_uniform(&rng));
    }
    return x;
}

#endif
