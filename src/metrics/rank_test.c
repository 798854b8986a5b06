#include "metrics/copying.h"

#include "base/mem.h"
#include "metrics/special.h"

#include <math.h>
#include <stdlib.h>

typedef struct ranked {
    double value;
    int64_t first; /* is it of the first set? */
} ranked;

static int by_value(const void *a, const void *b) {
    double x = ((const ranked *)a)->value, y = ((const ranked *)b)->value;
    return (x > y) - (x < y);
}

/* Equal values share the mean of their ranks, 1 to count. */
static lm_rank_test rank(const ranked *all, int64_t n, int64_t m) {
    int64_t count = n + m;
    double ranks = 0, ties = 0;
    for (int64_t i = 0, end; i < count; i = end) {
        double first = 0;
        for (end = i; end < count && all[end].value == all[i].value; end++)
            first += (double)all[end].first;
        double equal = (double)(end - i);
        ranks += first * (double)(i + 1 + end) / 2;
        ties += equal * equal * equal - equal;
    }
    double a = (double)n, b = (double)m, both = (double)count;
    lm_rank_test test = {.u = ranks - a * (a + 1) / 2};
    double variance = a * b / 12 * (both + 1 - ties / (both * (both - 1)));
    test.z = variance > 0 ? (test.u - a * b / 2) / sqrt(variance) : 0;
    test.p_less = lm_normal_below(test.z);
    return test;
}

lm_status lm_rank_test_run(const double *a, int64_t n, const double *b, int64_t m,
                           lm_rank_test *test) {
    LM_RETURN_IF(n < 1 || m < 1, LM_ARG, "rank test: %lld and %lld values", (long long)n,
                 (long long)m);
    ranked *all = lm_alloc((size_t)(n + m) * sizeof *all);
    if (!all) return LM_NOMEM;
    lm_status status = LM_OK;
    for (int64_t i = 0; i < n + m; i++) {
        all[i] = (ranked){i < n ? a[i] : b[i - n], i < n};
        if (isnan(all[i].value)) status = LM_NUMERIC;
    }
    if (status == LM_OK) {
        qsort(all, (size_t)(n + m), sizeof *all, by_value);
        *test = rank(all, n, m);
    } else {
        lm_fail(status, "rank test: a value is not a number");
    }
    lm_free(all);
    return status;
}
