/* Noise levels of a discrete diffusion and the times at which a sampler visits them. */
#ifndef LIMN_FAMILIES_DIFFUSION_SCHEDULE_H
#define LIMN_FAMILIES_DIFFUSION_SCHEDULE_H

#include "base/status.h"

/* X(NAME, text) */
#define LM_BETA_MAP(X)                                                                   \
    X(LINEAR, "linear")                                                                  \
    X(COSINE, "cosine")

#define LM_SPACING_MAP(X)                                                                \
    X(LEADING, "leading")                                                                \
    X(TRAILING, "trailing")                                                              \
    X(LINSPACE, "linspace")                                                              \
    X(QUAD, "quad")

typedef enum lm_beta_kind {
#define X(NAME, text) LM_BETA_##NAME,
    LM_BETA_MAP(X)
#undef X
} lm_beta_kind;

typedef enum lm_spacing {
#define X(NAME, text) LM_SPACING_##NAME,
    LM_SPACING_MAP(X)
#undef X
} lm_spacing;

/* alpha_bar[t], t = 0 .. timesteps-1: the share of signal (in variance) left after t + 1
 * noising steps. */
void lm_alpha_bars(lm_beta_kind kind, int timesteps, double *alpha_bar);

/* The `steps` times that a sampler visits, strictly ascending, 1 <= steps <= timesteps.
 * leading: i * (T/S) + 1, as latent diffusion; trailing: up to T-1 (Lin et al. 2023);
 * linspace: both ends; quad: dense near 0, up to 0.8 T (Song et al. 2020). */
void lm_spaced_times(lm_spacing spacing, int timesteps, int steps, int *times);

#endif
