/* Likelihoods of 8-bit images, as decoders of variational autoencoders need them: each a
 * normalised density or distribution, so that their values can be compared.
 *
 * A network gives lm_likelihood_params numbers a pixel; with an image's target they make
 * its log-likelihood. Densities see the image as numbers, by default with uniform noise
 * added within each of the 256 steps (uniform dequantisation; Theis, van den Oord, Bethge
 * 2016): the expected log density plus lm_likelihood_offset a value is then a lower bound
 * on the log-probability of the bytes. */
#ifndef LIMN_NN_LIKELIHOOD_H
#define LIMN_NN_LIKELIHOOD_H

#include "nn/nn.h"

/* X(NAME, text, what the network gives a value)
 * BERNOULLI is for images of two values: bytes of 128 and above are ones.
 * CONTINUOUS_BERNOULLI: Loaiza-Ganem, Cunningham 2019. LOGISTIC: the logistic density
 * integrated over each step, the outer ones open (Kingma et al. 2016). LOGISTIC_MIXTURE:
 * Salimans et al. 2017, later colours depending linearly on earlier ones. */
#define LM_LIKELIHOOD_MAP(X)                                                             \
    X(BERNOULLI, "bernoulli")                                                            \
    X(CONTINUOUS_BERNOULLI, "continuous-bernoulli")                                      \
    X(GAUSSIAN, "gaussian")                                                              \
    X(LAPLACE, "laplace")                                                                \
    X(LOGISTIC, "logistic")                                                              \
    X(LOGISTIC_MIXTURE, "logistic-mixture")
#define LM_LIKELIHOOD_NAMES                                                              \
    "bernoulli|continuous-bernoulli|gaussian|laplace|logistic|logistic-mixture"

typedef enum lm_likelihood_kind {
#define X(NAME, text) LM_LIKELIHOOD_##NAME,
    LM_LIKELIHOOD_MAP(X)
#undef X
} lm_likelihood_kind;

/* Where the scale of GAUSSIAN, LAPLACE and LOGISTIC comes from: a constant (not
 * LOGISTIC), one trained number, the network for each value, or the best for each batch
 * (sigma-VAE; Rybkin, Daniilidis, Levine 2021), which a trained number follows for use
 * afterwards. */
#define LM_SCALE_MAP(X)                                                                  \
    X(FIXED, "fixed")                                                                    \
    X(SHARED, "shared")                                                                  \
    X(PIXEL, "pixel")                                                                    \
    X(OPTIMAL, "optimal")
#define LM_SCALE_NAMES "fixed|shared|pixel|optimal"

typedef enum lm_scale_kind {
#define X(NAME, text) LM_SCALE_##NAME,
    LM_SCALE_MAP(X)
#undef X
} lm_scale_kind;

/* Values of GAUSSIAN and LAPLACE may be 0 to 1 or -1 to 1; BERNOULLI and
 * CONTINUOUS_BERNOULLI have 0 to 1, the others -1 to 1. */
typedef enum lm_pixel_range { LM_RANGE_UNIT, LM_RANGE_SIGNED } lm_pixel_range;

typedef struct lm_likelihood {
    lm_likelihood_kind kind;
    lm_scale_kind scale;
    double sigma;         /* of LM_SCALE_FIXED: standard deviation, or Laplace's b */
    lm_pixel_range range; /* lm_likelihood_make sees to it that it fits */
    int channels;         /* of the images, 1 or 3 */
    int mixtures;         /* components of LOGISTIC_MIXTURE */
} lm_likelihood;

/* By the names above; LM_ARG where they do not go together. `range`: NULL, "unit" or
 * "signed". */
lm_status lm_likelihood_make(const char *kind, const char *scale, const char *range,
                             double sigma, int mixtures, int channels,
                             lm_likelihood *likelihood);
const char *lm_likelihood_text(const lm_likelihood *likelihood);

/* Numbers that the network gives a pixel. */
int lm_likelihood_params(const lm_likelihood *likelihood);
/* Whether bytes have probabilities; else a density of numbers, where dequantisation is a
 * choice. */
bool lm_likelihood_is_discrete(const lm_likelihood *likelihood);
/* To be added for each value to a log density, so that it is one of steps of width 1. */
double lm_likelihood_offset(const lm_likelihood *likelihood);

/* images u8[N,H,W,C] -> f32 targets. noise: f32 of [0,1) in the same shape, to dequantise
 * with; NULL: none. Ignored where bytes have probabilities. */
lm_node *lm_likelihood_target(lm_nn *nn, const lm_likelihood *likelihood, lm_node *images,
                              lm_node *noise);
/* params[N,H,W,P] and targets [N,H,W,C] -> [N], nats, summed over all values. Registers
 * "tenth_log_scale" where the scale is a trained number. */
lm_node *lm_likelihood_log_prob(lm_nn *nn, const lm_likelihood *likelihood,
                                lm_node *params, lm_node *target);
/* The mean image of params, [N,H,W,C] in [-1,1]. */
lm_node *lm_likelihood_mean(lm_nn *nn, const lm_likelihood *likelihood, lm_node *params);

#endif
