/* Optimizers and averages as graph nodes over the flat vectors of a parameter group. */
#ifndef LIMN_NN_OPTIM_H
#define LIMN_NN_OPTIM_H

#include "nn/nn.h"

typedef struct lm_optim_spec {
    double beta1, beta2, eps; /* AdamW (Loshchilov, Hutter 2019) */
    double weight_decay;
    double clip; /* global gradient norm, 0: off */
} lm_optim_spec;

/* Variables "<group>", ".m", ".v", ".ema" of params->count elements each; the last unless
 * params->no_average. Per-step numbers come from one input "<group>.step" f32[4], which
 * lm_optim_scalars fills. */
#define LM_OPTIM_SCALARS 4

/* Differentiates `loss` by the group's parameters and adds clip, AdamW and EMA as
 * assigns, and output "<group>.grad_norm". When the loss or the norm is not finite, the
 * step changes nothing (NaN guard). Call once per program, after the loss is built. */
lm_status lm_optim_adamw(lm_nn *nn, lm_node *loss, const lm_optim_spec *spec);

/* update counts those of the group from 1; lr and ema_decay as given by the schedules
 * below. */
void lm_optim_scalars(const lm_optim_spec *spec, int64_t update, double lr,
                      double ema_decay, float scalars[LM_OPTIM_SCALARS]);

typedef enum lm_lr_kind { LM_LR_CONSTANT, LM_LR_COSINE, LM_LR_LINEAR } lm_lr_kind;
/* Linear warm-up over `warmup` steps (the first is step 1), then constant, cosine or
 * linear towards 0 at `progress` = 1 (share of the run that is done, by steps or by
 * time). */
double lm_lr_at(lm_lr_kind kind, double lr, int64_t warmup, int64_t step,
                double progress);

/* Decay over `images`, those since the update before, for a half-life in images, with the
 * ramp of Karras et al. 2022 (the half-life is at most `ramp` times the images seen; 0:
 * no ramp). */
double lm_ema_decay(double half_life_images, double ramp, int64_t images_seen,
                    int64_t images);

#endif
