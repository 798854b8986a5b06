#include "metrics/histogram.h"

#include "metrics/special.h"

#include <math.h>
#include <string.h>

lm_status lm_histogram_count(const int32_t *labels, int64_t n, int classes,
                             int64_t *counts) {
    for (int c = 0; c < classes; c++) counts[c] = 0;
    for (int64_t i = 0; i < n; i++) {
        LM_RETURN_IF(labels[i] < 0 || labels[i] >= classes, LM_ARG,
                     "histogram: label %d of image %lld, there are %d classes",
                     (int)labels[i], (long long)i, classes);
        counts[labels[i]]++;
    }
    return LM_OK;
}

static double entropy_of(const int64_t *counts, int classes, int64_t total) {
    double sum = 0;
    for (int c = 0; c < classes; c++) {
        double p = (double)counts[c] / (double)total;
        if (counts[c]) sum -= p * log(p);
    }
    return sum;
}

static lm_status sum_up(const int64_t *counts, int classes, int64_t *total) {
    *total = 0;
    for (int c = 0; c < classes; c++) {
        LM_RETURN_IF(counts[c] < 0 || counts[c] > INT64_MAX / 4 - *total, LM_ARG,
                     "histogram: class %d has %lld samples", c, (long long)counts[c]);
        *total += counts[c];
    }
    LM_RETURN_IF(*total == 0, LM_ARG, "histogram: no sample");
    return LM_OK;
}

/* One class's part of Pearson's sum over both samples. */
static void add_class(lm_histogram_test *result, int64_t generated, int64_t data) {
    double share =
        (double)(generated + data) / (double)(result->generated + result->data);
    double expected[] = {share * (double)result->generated, share * (double)result->data};
    double seen[] = {(double)generated, (double)data};
    for (int s = 0; s < 2; s++) {
        double off = seen[s] - expected[s];
        result->statistic += off * off / expected[s];
        result->sparse += expected[s] < 5;
    }
    result->freedom++;
}

lm_status lm_histogram_compare(const int64_t *generated, const int64_t *data, int classes,
                               double share, lm_histogram_test *result) {
    LM_RETURN_IF(!(share >= 0 && share <= 1), LM_ARG,
                 "histogram: share %g is not within 0 to 1", share);
    lm_histogram_test test = {.freedom = -1};
    LM_TRY(sum_up(generated, classes, &test.generated));
    LM_TRY(sum_up(data, classes, &test.data));
    for (int c = 0; c < classes; c++) {
        if (generated[c] + data[c] > 0) add_class(&test, generated[c], data[c]);
        double expected = (double)test.generated * (double)data[c] / (double)test.data;
        if (data[c] && (!generated[c] || (double)generated[c] < share * expected))
            test.missing++;
    }
    if (test.freedom > 0)
        test.p = lm_chi_square_above(test.statistic, test.freedom);
    else
        test.statistic = test.p = NAN;
    test.generated_entropy = entropy_of(generated, classes, test.generated);
    test.data_entropy = entropy_of(data, classes, test.data);
    *result = test;
    return LM_OK;
}

lm_share lm_share_of(int64_t hits, int64_t n) {
    const double z = 1.959963984540054; /* 97.5 % of the normal distribution */
    if (n < 1) return (lm_share){hits, n, NAN, 0, 1};
    double count = (double)n, p = (double)hits / count, square = z * z / count;
    double middle = (p + square / 2) / (1 + square);
    double half = z / (1 + square) * sqrt(p * (1 - p) / count + square / (4 * count));
    /* Rounding shall not take the ends beyond what they are for no hits and all hits. */
    return (lm_share){hits, n, p, hits ? middle - half : 0, hits < n ? middle + half : 1};
}

lm_share lm_conditional_accuracy(const int32_t *seen, const int32_t *asked, int64_t n) {
    int64_t hits = 0, count = 0;
    for (int64_t i = 0; i < n; i++) {
        if (asked[i] < 0) continue;
        count++;
        hits += seen[i] == asked[i];
    }
    return lm_share_of(hits, count);
}
