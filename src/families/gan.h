/* Generative adversarial networks (Goodfellow et al. 2014): a generator, a discriminator,
 * and what they play for. */
#ifndef LIMN_FAMILIES_GAN_H
#define LIMN_FAMILIES_GAN_H

#include "families/family.h"
#include "families/gan_loss.h"
#include "families/gan_nets.h"
#include "families/gan_penalty.h"

extern const lm_family lm_family_gan;
extern const lm_preset lm_gan_presets[];

/* model->state: the settings, parsed. */
typedef struct lm_gan {
    lm_gan_pair pair;
    const lm_gan_loss *loss;
    double smoothing;
    unsigned augment;    /* parts of DiffAugment */
    double noise;        /* standard deviation of what D sees beside images, at first */
    int64_t noise_steps; /* until it is 0; 0: it stays */
    lm_gan_penalty penalty;
    lm_phase_rule rules[2]; /* of the group's own phase */
} lm_gan;

/* ---- phases (gan_train.c) ---------------------------------------------------- */

/* What a loss is of. */
typedef struct lm_gan_batch {
    lm_node *real;   /* f32[N,H,W,C] in [-1,1]; not for the generator's */
    lm_node *z;      /* f32[N,Z] */
    lm_node *labels; /* i32[N] of both real and generated images, -1: none */
    lm_node *share;  /* f32[N] in [0,1) of the way from real to generated ones, where the
                      * gradient penalty asks; NULL where there is none */
} lm_gan_batch;

/* The discriminator's loss, with penalties where they belong to every step. What is
 * logged of it is declared, too. */
lm_node *lm_gan_loss_d(const lm_model *model, lm_nn *nn, const lm_gan_batch *batch);
/* The penalties alone, as strong as their rarity asks. */
lm_node *lm_gan_loss_penalty(const lm_model *model, lm_nn *nn, const lm_gan_batch *batch);
lm_node *lm_gan_loss_g(const lm_model *model, lm_nn *nn, const lm_gan_batch *batch);

lm_node *lm_gan_train_d(const lm_model *model, lm_nn *nn, lm_node *images,
                        lm_node *labels);
lm_node *lm_gan_train_penalty(const lm_model *model, lm_nn *nn, lm_node *images,
                              lm_node *labels);
lm_node *lm_gan_train_g(const lm_model *model, lm_nn *nn, lm_node *images,
                        lm_node *labels);

/* Random streams; a normal takes two. Layers of a phase count on from their own number,
 * so that no two phases draw the same. */
enum {
    LM_GAN_STREAM_SAMPLE = 1,
    LM_GAN_STREAM_Z_D = 3,
    LM_GAN_STREAM_Z_G = 5,
    LM_GAN_STREAM_Z_PENALTY = 7,
    LM_GAN_STREAM_SHARE_D = 9,
    LM_GAN_STREAM_SHARE_PENALTY = 10,
    LM_GAN_STREAM_LAYERS_D = 1000,
    LM_GAN_STREAM_LAYERS_G = 2000,
    LM_GAN_STREAM_LAYERS_PENALTY = 3000
};

#endif
