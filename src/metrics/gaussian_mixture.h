/* Mixtures of Gaussians, fitted by expectation maximisation (Dempster, Laird, Rubin
 * 1977). All in f64; a function of the arguments, whatever the number of threads. */
#ifndef LIMN_METRICS_GAUSSIAN_MIXTURE_H
#define LIMN_METRICS_GAUSSIAN_MIXTURE_H

#include "metrics/hook.h"
#include "tensor/philox.h"

#include <stddef.h>

enum { LM_MIXTURE_DIM = 1024 }; /* values of a vector, at most */

typedef enum lm_covariance { LM_COVARIANCE_FULL, LM_COVARIANCE_DIAGONAL } lm_covariance;

typedef struct lm_gaussian_mixture {
    int components, dim;
    lm_covariance covariance;
    double *weights; /* [components], of sum 1 */
    double *means;   /* [components][dim] */
    /* Covariances are L L'. Full: [components][dim][dim], with L lower triangular;
     * diagonal: [components][dim], the diagonals of L. */
    double *factors;
} lm_gaussian_mixture;

/* All numbers zero, for the caller to fill in. LM_ARG beyond 1 to LM_MIXTURE_DIM values,
 * or without a component. */
lm_status lm_gaussian_mixture_init(int components, int dim, lm_covariance covariance,
                                   lm_gaussian_mixture *mixture);
void lm_gaussian_mixture_release(lm_gaussian_mixture *mixture);
/* Numbers of a component in `factors`. */
size_t lm_gaussian_mixture_factor(const lm_gaussian_mixture *mixture);

typedef struct lm_gaussian_mixture_spec {
    int rounds;       /* at most */
    double tolerance; /* ends when the mean log-likelihood grows by less */
    double least;     /* added to each variance */
    uint64_t seed;    /* of the start */
} lm_gaussian_mixture_spec;
/* 200 rounds, 1e-4, 1e-6, seed 0. */
lm_gaussian_mixture_spec lm_gaussian_mixture_default(void);

/* Of x[n][dim] into an initialised mixture, from the cells of k-means (kmeans.h).
 * log_prob: the mean of the vectors' log-likelihoods, nats. At least as many vectors as
 * components, else LM_ARG. hook may be NULL. */
lm_status lm_gaussian_mixture_fit(const float *x, int64_t n,
                                  const lm_gaussian_mixture_spec *spec,
                                  const lm_metric_hook *hook,
                                  lm_gaussian_mixture *mixture, double *log_prob);
/* The same, from what the mixture is. */
lm_status lm_gaussian_mixture_improve(const float *x, int64_t n,
                                      const lm_gaussian_mixture_spec *spec,
                                      const lm_metric_hook *hook,
                                      lm_gaussian_mixture *mixture, double *log_prob);

/* One vector, x[dim]. */
void lm_gaussian_mixture_draw(const lm_gaussian_mixture *mixture, lm_rng *rng, float *x);

#endif
