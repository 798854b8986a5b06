#include "metrics/resample.h"

#include "base/mem.h"
#include "tensor/philox.h"

#include <assert.h>
#include <math.h>

/* Random streams of this room are 200 to 299. */
enum { STREAM_BOOTSTRAP = 200, STREAM_SUBSET };

void lm_resample_bootstrap(uint64_t seed, uint32_t draw, int64_t n, int32_t *indices) {
    assert(n > 0 && n <= INT32_MAX);
    lm_rng rng = {.seed = seed, .stream = STREAM_BOOTSTRAP, .step = draw};
    for (int64_t i = 0; i < n; i++) indices[i] = (int32_t)lm_rng_below(&rng, (uint32_t)n);
}

/* The first m steps of the shuffle of Fisher and Yates. */
lm_status lm_resample_subset(uint64_t seed, uint32_t draw, int64_t n, int64_t m,
                             int32_t *indices) {
    LM_RETURN_IF(m < 0 || m > n || n > INT32_MAX, LM_ARG,
                 "subset: %lld of %lld items cannot be drawn", (long long)m,
                 (long long)n);
    int32_t *all = lm_alloc((size_t)n * sizeof *all);
    if (!all) return LM_NOMEM;
    for (int64_t i = 0; i < n; i++) all[i] = (int32_t)i;
    lm_rng rng = {.seed = seed, .stream = STREAM_SUBSET, .step = draw};
    for (int64_t i = 0; i < m; i++) {
        int64_t other = i + lm_rng_below(&rng, (uint32_t)(n - i));
        indices[i] = all[other];
        all[other] = all[i];
    }
    lm_free(all);
    return LM_OK;
}

static double sum_squares(const double *values, int64_t n, double centre) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (values[i] - centre) * (values[i] - centre);
    return sum;
}

static double mean_of(const double *values, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += values[i];
    return n > 0 ? sum / (double)n : NAN;
}

lm_estimate lm_estimate_mean(const double *values, int64_t n) {
    double mean = mean_of(values, n);
    if (n < 2) return (lm_estimate){mean, NAN};
    double variance = sum_squares(values, n, mean) / (double)(n - 1);
    return (lm_estimate){mean, sqrt(variance / (double)n)};
}

lm_estimate lm_estimate_share(int64_t hits, int64_t n) {
    double share = n > 0 ? (double)hits / (double)n : NAN;
    return (lm_estimate){share,
                         n < 2 ? NAN : sqrt(share * (1 - share) / (double)(n - 1))};
}

lm_estimate lm_estimate_replicates(double value, const double *replicates, int64_t n) {
    if (n < 2) return (lm_estimate){value, NAN};
    double spread = sum_squares(replicates, n, mean_of(replicates, n));
    return (lm_estimate){value, sqrt(spread / (double)(n - 1))};
}
