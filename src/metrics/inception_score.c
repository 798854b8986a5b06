#include "metrics/inception_score.h"

#include "base/mem.h"
#include "metrics/resample.h"

#include <math.h>
#include <string.h>

/* Probabilities p[classes] of an image; returns the sum of p log p. */
static double soften(const float *logits, int classes, double *p) {
    double most = logits[0], total = 0, sum = 0;
    for (int c = 1; c < classes; c++) most = fmax(most, logits[c]);
    for (int c = 0; c < classes; c++) {
        p[c] = exp(logits[c] - most);
        total += p[c];
    }
    double log_total = log(total);
    for (int c = 0; c < classes; c++) {
        p[c] /= total;
        /* 0 log 0 is 0, whatever the logit. */
        if (p[c] > 0) sum += p[c] * (logits[c] - most - log_total);
    }
    return sum;
}

/* The mean divergence is the entropy of the mean less the mean of the entropies. `p` and
 * `mean` have room for an image. */
static double score_part(const float *logits, const int32_t *rows, int64_t first,
                         int64_t n, int classes, double *p, double *mean) {
    double negative_entropies = 0, entropy = 0;
    memset(mean, 0, classes * sizeof *mean);
    for (int64_t i = first; i < first + n; i++) {
        negative_entropies += soften(logits + (rows ? rows[i] : i) * classes, classes, p);
        for (int c = 0; c < classes; c++) mean[c] += p[c];
    }
    for (int c = 0; c < classes; c++) {
        mean[c] /= (double)n;
        if (mean[c] > 0) entropy -= mean[c] * log(mean[c]);
    }
    return exp(negative_entropies / (double)n + entropy);
}

static lm_status check(const float *logits, int64_t n, int classes, int splits) {
    LM_RETURN_IF(classes < 1, LM_ARG, "logits of %d classes: expected 1 or more",
                 classes);
    LM_RETURN_IF(splits < 1 || splits > n, LM_ARG,
                 "%d splits of %lld images: expected 1 to their number", splits,
                 (long long)n);
    for (int64_t i = 0; i < n * classes; i++)
        LM_RETURN_IF(!isfinite(logits[i]), LM_NUMERIC,
                     "logit %d of image %lld: not a finite number", (int)(i % classes),
                     (long long)(i / classes));
    return LM_OK;
}

lm_status lm_inception_score(const float *logits, int64_t n, int classes, int splits,
                             bool shuffle, uint64_t seed, const lm_metric_hook *hook,
                             lm_spread *score) {
    LM_TRY(check(logits, n, classes, splits));
    int32_t *rows = shuffle ? lm_alloc(n * sizeof *rows) : NULL;
    double *p = lm_alloc(2 * classes * sizeof *p);
    double *values = lm_alloc(splits * sizeof *values);
    lm_status status = p && values && (rows || !shuffle) ? LM_OK : LM_NOMEM;
    if (status == LM_OK && shuffle) status = lm_resample_subset(seed, 0, n, n, rows);
    for (int s = 0; s < splits && status == LM_OK; s++) {
        int64_t first = n * s / splits, end = n * (s + 1) / splits;
        values[s] = score_part(logits, rows, first, end - first, classes, p, p + classes);
        status = lm_metric_progress(hook, "the inception score", (s + 1.0) / splits);
    }
    if (status == LM_OK) *score = lm_spread_of(values, splits);
    lm_free(rows);
    lm_free(p);
    lm_free(values);
    return status;
}
