#include "metrics/classification.h"

#include "base/mem.h"

#include <math.h>

/* The normal distribution's quantile at 0.975. */
#define Z 1.959963984540054

lm_interval lm_wilson_interval(int64_t correct, int64_t count) {
    if (count == 0) return (lm_interval){0, 1};
    double n = (double)count, p = (double)correct / n, z2 = Z * Z;
    double middle = p + z2 / (2 * n), scale = 1 + z2 / n;
    double reach = Z * sqrt(p * (1 - p) / n + z2 / (4 * n * n));
    /* At the ends it is exact, but for rounding. */
    return (lm_interval){correct == 0 ? 0 : (middle - reach) / scale,
                         correct == count ? 1 : (middle + reach) / scale};
}

/* Minus the logarithm of the probability of the best class. */
static double best_nll(const float *logits, int classes, int best) {
    double sum = 0;
    for (int c = 0; c < classes; c++) sum += exp((double)logits[c] - logits[best]);
    return log(sum);
}

static int find_best(const float *logits, int classes) {
    int best = 0;
    for (int c = 1; c < classes; c++)
        if (logits[c] > logits[best]) best = c;
    return best;
}

int lm_class_choose(const float *logits, int classes, double *probability) {
    int best = find_best(logits, classes);
    *probability = exp(-best_nll(logits, classes, best));
    return best;
}

/* Sums of a bin: how sure, and how often right. */
typedef struct bin {
    double confidence;
    int64_t correct;
} bin;

static void add_image(lm_class_score *score, bin *bins, const float *logits, int label) {
    int classes = score->classes, best = find_best(logits, classes);
    double nll = best_nll(logits, classes, best), confidence = exp(-nll);
    int at = (int)ceil(confidence * LM_CALIBRATION_BINS) - 1;
    if (at < 0) at = 0;
    if (at >= LM_CALIBRATION_BINS) at = LM_CALIBRATION_BINS - 1;
    bins[at].confidence += confidence;
    bins[at].correct += best == label;
    score->count++;
    score->correct += best == label;
    score->nll += nll + ((double)logits[best] - logits[label]);
    score->confusion[(int64_t)label * classes + best]++;
}

lm_status lm_class_score_make(const float *logits, const int32_t *labels, int64_t count,
                              int classes, lm_class_score *score) {
    bin bins[LM_CALIBRATION_BINS] = {{0}};
    for (int64_t i = 0; i < count; i++)
        LM_RETURN_IF(labels[i] >= classes, LM_ARG,
                     "image %lld has label %d: there are %d classes", (long long)i,
                     labels[i], classes);
    *score = (lm_class_score){.classes = classes};
    score->confusion =
        lm_calloc((size_t)classes * (size_t)classes, sizeof *score->confusion);
    if (!score->confusion) return LM_NOMEM;
    for (int64_t i = 0; i < count; i++)
        if (labels[i] >= 0) add_image(score, bins, logits + i * classes, labels[i]);
    double n = (double)score->count;
    for (int b = 0; b < LM_CALIBRATION_BINS; b++)
        score->ece += fabs((double)bins[b].correct - bins[b].confidence) / n;
    score->nll /= n;
    return LM_OK;
}

void lm_class_score_release(lm_class_score *score) {
    lm_free(score->confusion);
    *score = (lm_class_score){0};
}

int64_t lm_class_score_of(const lm_class_score *score, int label) {
    int64_t sum = 0;
    for (int c = 0; c < score->classes; c++)
        sum += score->confusion[(int64_t)label * score->classes + c];
    return sum;
}
