/* Spectral normalisation (Miyato, Kataoka, Koyama, Yoshida: "Spectral Normalization for
 * Generative Adversarial Networks", ICLR 2018): a layer's weight, as a matrix
 * W[out,rest], is divided by its largest singular value, so that the layer stretches no
 * distance. */
#ifndef LIMN_NN_SPECTRAL_H
#define LIMN_NN_SPECTRAL_H

#include "nn/nn.h"

/* Named by nn->spectral, of all weights that layers register from there on. */
struct lm_spectral {
    int iterations; /* of the power method in a step, at least 1 */
    double eps;     /* least length that a vector is divided by */
};
extern const lm_spectral lm_spectral_once; /* one iteration, 1e-12 */

/* W / sigma, sigma = u' W v. Every program takes the power method's steps (algorithm 1)
 * from the buffers "u" [out,1] and "v" [rest,1] of the scope, which begin as random unit
 * vectors; only a training step of the weight's own group keeps where they led. The
 * gradient is that of eq. 8 to 11: u and v are constants in it. `out`: the first axis of
 * the weight, or its last. */
lm_node *lm_nn_spectral(lm_nn *nn, lm_node *weight, int out);

#endif
