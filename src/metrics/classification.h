/* How well logits tell classes. */
#ifndef LIMN_METRICS_CLASSIFICATION_H
#define LIMN_METRICS_CLASSIFICATION_H

#include "base/status.h"

#include <stdint.h>

/* An interval for a share of which `correct` of `count` were seen, that holds the true
 * one in 95 of 100 cases (Wilson 1927); 0 to 1 where nothing was seen. */
typedef struct lm_interval {
    double low, high;
} lm_interval;
lm_interval lm_wilson_interval(int64_t correct, int64_t count);

/* Bins of confidence, of equal width. */
enum { LM_CALIBRATION_BINS = 15 };

typedef struct lm_class_score {
    int classes;
    int64_t count, correct; /* images with a label, and those told right */
    double nll;             /* mean cross entropy in nats, */
    double ece;             /* expected calibration error (Guo et al. 2017); NAN for 0 */
    int64_t *confusion;     /* [classes][classes]: by label, then by what was said */
} lm_class_score;

/* logits[count][classes]; labels[count], of which those below 0 do not count and those
 * beyond the classes are LM_ARG. The first of equal logits wins. *score is released with
 * lm_class_score_release. */
lm_status lm_class_score_make(const float *logits, const int32_t *labels, int64_t count,
                              int classes, lm_class_score *score);
void lm_class_score_release(lm_class_score *score);
/* Images of a label. */
int64_t lm_class_score_of(const lm_class_score *score, int label);

/* The most probable class of one image's logits, and its probability (softmax). */
int lm_class_choose(const float *logits, int classes, double *probability);

#endif
