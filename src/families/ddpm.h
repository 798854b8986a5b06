/* Denoising diffusion (Ho, Jain, Abbeel 2020), sampled by its ancestral chain or by DDIM
 * (Song, Meng, Ermon 2020). The network predicts the noise or, by option, the velocity
 * v = sqrt(alpha_bar) noise - sqrt(1 - alpha_bar) x0 (Salimans, Ho 2022). Velocity needs
 * no division by the signal's share, so that a network that is still rough does not blow
 * up its errors at the noisy end. */
#ifndef LIMN_FAMILIES_DDPM_H
#define LIMN_FAMILIES_DDPM_H

#include "families/diffusion_schedule.h"
#include "families/family.h"
#include "families/unet.h"

extern const lm_family lm_family_ddpm;

/* model->state: the settings, parsed. */
typedef struct lm_ddpm {
    lm_unet_spec unet;
    int patch;
    bool predicts_v; /* else the noise */
    int timesteps;
    double label_drop; /* share of labels that training hides */
    double *alpha_bar; /* [timesteps] */
} lm_ddpm;

/* What the network says of x[N,H,W,C] at the times t[N] f32: noise, or v. labels: i32[N],
 * -1: none; read only if the model is conditional. */
lm_node *lm_ddpm_predict(const lm_model *model, lm_nn *nn, lm_node *x, lm_node *t,
                         lm_node *labels);

/* The simple loss (Ho et al., eq. 14, on what is predicted) of clean images x[N,H,W,C] in
 * [-1,1], noised to the times t[N] i32 by `noise`. */
lm_node *lm_ddpm_loss_at(const lm_model *model, lm_nn *nn, lm_node *x, lm_node *t,
                         lm_node *noise, lm_node *labels);

/* Whether predicted images are clipped to [-1,1]. */
bool lm_ddpm_clips(const lm_model *model);

/* ---- likelihood (ddpm_bound.c) ----------------------------------------------- */

lm_status lm_ddpm_bound(const lm_model *model, lm_bound *bound);
lm_node *lm_ddpm_bound_guess(const lm_model *model, lm_nn *nn, lm_node *images,
                             lm_node *rows, lm_node *labels);
double lm_ddpm_bound_term(const lm_model *model, int term, const uint8_t *image,
                          const float *guess);
/* log(P(x - 1/255 < X < x + 1/255)) of X from N(mean, deviation^2) at the byte's x in
 * [-1,1], where the first and the last byte reach to infinity (Ho et al., eq. 13). */
double lm_discrete_normal(uint8_t byte, double mean, double deviation);

/* ---- sampling ---------------------------------------------------------------- */

/* The numbers of one sampler step:
 *   x0 = X0_FROM_X * x - X0_FROM_PREDICTION * prediction, perhaps clipped to [-1,1]
 *   x' = NEXT_FROM_X0 * x0 + NEXT_FROM_X * x + NOISE * z
 * Written with x in place of epsilon, clipping x0 implies the epsilon that agrees with
 * it. */
typedef enum lm_ddpm_scalar {
    LM_DDPM_T,
    LM_DDPM_X0_FROM_X,
    LM_DDPM_X0_FROM_PREDICTION,
    LM_DDPM_NEXT_FROM_X0,
    LM_DDPM_NEXT_FROM_X,
    LM_DDPM_NOISE,
    LM_DDPM_SCALARS,
    /* One more number a row with guidance, which needs two predictions:
     *   prediction = none + GUIDANCE * (class - none) */
    LM_DDPM_GUIDANCE = LM_DDPM_SCALARS
} lm_ddpm_scalar;

lm_status lm_ddpm_sampler(const lm_model *model, const lm_sample_request *request,
                          lm_sampler *sampler);
lm_node *lm_ddpm_sample_init(const lm_model *model, lm_nn *nn, int batch);
lm_node *lm_ddpm_sample_step(const lm_model *model, lm_nn *nn, lm_node *state,
                             lm_node *scalars, lm_node *labels);
/* The part of a step that follows the network. */
lm_node *lm_ddpm_update(const lm_model *model, lm_nn *nn, lm_node *state,
                        lm_node *prediction, lm_node *scalars);
lm_node *lm_ddpm_sample_image(const lm_model *model, lm_nn *nn, lm_node *state,
                              lm_node *labels);

/* Random streams: apart from each other and from those of layers (1000 and up). A normal
 * takes two. */
enum {
    LM_DDPM_STREAM_TIME = 1,
    LM_DDPM_STREAM_NOISE = 2,
    LM_DDPM_STREAM_START = 4,
    LM_DDPM_STREAM_STEP = 6,
    LM_DDPM_STREAM_LABEL = 8,
    LM_DDPM_STREAM_BOUND = 9
};

#endif
