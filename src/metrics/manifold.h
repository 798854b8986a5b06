/* Precision and recall (Kynkaanniemi et al., "Improved Precision and Recall Metric for
 * Assessing Generative Models", NeurIPS 2019), density and coverage (Naeem et al.,
 * "Reliable Fidelity and Diversity Metrics for Generative Models", ICML 2020).
 *
 * A set's manifold is the union of balls around its vectors, each reaching to its k-th
 * nearest other vector of the set. precision: share of generated vectors in a ball of the
 * real ones; recall: of real in a ball of the generated; density: real balls around a
 * generated vector, over k; coverage: share of real vectors with a generated one in their
 * ball. Tools differ in k and in whether a vector at a ball's edge is in it: prdc has it
 * out, torch-fidelity and NVIDIA's code in. Both belong to the protocol. */
#ifndef LIMN_METRICS_MANIFOLD_H
#define LIMN_METRICS_MANIFOLD_H

#include "metrics/hook.h"
#include "metrics/resample.h"

#include <stdbool.h>

typedef struct lm_manifold_rule {
    int k;
    bool edge; /* a vector at a ball's edge is in the ball */
} lm_manifold_rule;

/* Errors are standard errors of the mean over the vectors that are asked (precision and
 * density: generated, recall and coverage: real), as a bootstrap of these has them with
 * the balls as they are. What other balls would say is not in them: repeat the
 * measurement with other samples for that. */
typedef struct lm_manifold {
    lm_manifold_rule rule;
    int64_t real, fake;
    lm_estimate precision, recall, density, coverage;
    int32_t *balls;    /* [fake], owned: real balls that it lies in */
    uint8_t *recalled; /* [real], owned: in a ball of a generated vector? */
    uint8_t *covered;  /* [real], owned: a generated vector in its ball? */
} lm_manifold;

/* real: [n][dim], fake: [m][dim]; results[i] is by rules[i], 1 to 8 of them, which share
 * the distances. Counts are exactly those of lm_distance_squared for every pair. LM_ARG
 * when a k is not 1 to min(n, m) - 1, LM_NUMERIC for values that are not finite. hook may
 * be NULL. */
lm_status lm_manifold_measure(const float *real, int64_t n, const float *fake, int64_t m,
                              int dim, const lm_manifold_rule *rules, int count,
                              const lm_metric_hook *hook, lm_manifold *results);
void lm_manifold_release(lm_manifold *result);

#endif
