/* Inception score (Salimans et al. 2016): exp of the mean divergence of each image's
 * class probabilities from their mean over images. 1 to the number of classes. */
#ifndef LIMN_METRICS_INCEPTION_SCORE_H
#define LIMN_METRICS_INCEPTION_SCORE_H

#include "metrics/hook.h"
#include "metrics/spread.h"

#include <stdbool.h>

/* Of logits f32[n][classes], over `splits` parts of n / splits images or one more, each
 * with a mean of its own, as published tables have it (10 splits). Images go into the
 * parts in the order given, or, with `shuffle`, in the one that lm_resample_subset draws
 * by seed: images in order of their classes would make the score too small. 1 <= splits
 * <= n. A logit that is not finite is LM_NUMERIC. hook may be NULL. */
lm_status lm_inception_score(const float *logits, int64_t n, int classes, int splits,
                             bool shuffle, uint64_t seed, const lm_metric_hook *hook,
                             lm_spread *score);

#endif
