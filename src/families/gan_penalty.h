/* Penalties on a discriminator's gradient with respect to images: functions of logits
 * f32[N] and the images f32[N,..] that they are of, real second-order graphs. */
#ifndef LIMN_FAMILIES_GAN_PENALTY_H
#define LIMN_FAMILIES_GAN_PENALTY_H

#include "families/family.h"

/* Weights are 0 for none of the kind. */
typedef struct lm_gan_penalty {
    double gp; /* WGAN-GP (Gulrajani et al. 2017), lambda */
    bool one_sided;
    double r1, r2; /* Mescheder, Geiger, Nowozin 2018, gamma of real and generated */
    int every;     /* steps; above 1 it is a phase of its own, and as much stronger */
} lm_gan_penalty;

/* By the settings of the family's options. */
void lm_gan_penalty_read(const lm_settings *settings, lm_gan_penalty *penalty);
bool lm_gan_penalty_any(const lm_gan_penalty *penalty);

/* The square of each image's gradient, f32[N], of logits that each depend on one image
 * alone. */
lm_node *lm_gan_gradient_squares(lm_graph *g, lm_node *logits, lm_node *images);
/* gamma / 2 times their mean: R1 of real images, R2 of generated ones. */
lm_node *lm_gan_zero_centred(lm_graph *g, lm_node *squares, double gamma);
/* lambda times the mean square of what lengths are from 1, or above it. */
lm_node *lm_gan_one_centred(lm_graph *g, lm_node *squares, double lambda, bool one_sided);
/* Images between two batches: `share` f32[N] of the way from one to the other. */
lm_node *lm_gan_between(lm_graph *g, lm_node *from, lm_node *to, lm_node *share);

#endif
