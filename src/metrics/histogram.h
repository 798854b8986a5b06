/* What classes generated images are of, beside the data's. */
#ifndef LIMN_METRICS_HISTOGRAM_H
#define LIMN_METRICS_HISTOGRAM_H

#include "metrics/resample.h"

/* counts[c], c below `classes`: how many of the n labels are c. LM_ARG for another label.
 */
lm_status lm_histogram_count(const int32_t *labels, int64_t n, int classes,
                             int64_t *counts);

/* Pearson's test of one distribution behind two samples (a table of 2 x classes, without
 * a correction for continuity), which takes the data for the sample that it is. Classes
 * of which neither has any do not count. */
typedef struct lm_histogram_test {
    int64_t generated, data; /* samples */
    double statistic, p;     /* NaN with fewer than two classes; p small: they differ */
    int freedom;
    int sparse;  /* of the table's cells, expected below 5: many make p unreliable */
    int missing; /* classes of the data with too few generated samples */
    double generated_entropy, data_entropy; /* nats: log(classes) when all are equal */
} lm_histogram_test;

/* Missing is a class with fewer than `share` of the generated samples that the data's
 * frequency predicts, 0 <= share <= 1; or with none at all, whatever the share. LM_ARG
 * for negative counts, or when either has no sample. */
lm_status lm_histogram_compare(const int64_t *generated, const int64_t *data, int classes,
                               double share, lm_histogram_test *result);

/* A share with its interval (Wilson 1927), which stays within 0 to 1 and makes sense for
 * shares of 0 and 1, too. */
typedef struct lm_share {
    int64_t hits, n;
    double value, low, high; /* of 95 %; value NaN, 0 and 1 when n is 0 */
} lm_share;
lm_share lm_share_of(int64_t hits, int64_t n);

/* How often the class that a judge sees is the one that was asked for: [n] each. With
 * `asked` of -1 a sample does not count. */
lm_share lm_conditional_accuracy(const int32_t *seen, const int32_t *asked, int64_t n);

#endif
