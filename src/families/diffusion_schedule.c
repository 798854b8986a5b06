#include "families/diffusion_schedule.h"
#include <math.h>

#define MAX_BETA 0.999

static double linear_beta(int t, int timesteps) {
    /* 1e-4 to 0.02 at T = 1000 (Ho et al. 2020), rescaled so that other T end at about
     * the same noise. */
    double scale = 1000.0 / timesteps, first = 1e-4 * scale, last = 0.02 * scale;
    return timesteps > 1 ? first + (last - first) * t / (timesteps - 1) : last;
}

/* Nichol, Dhariwal 2021, eq. 17. */
static double cosine_level(double share) {
    const double s = 0.008, half_pi = acos(0.0);
    double c = cos((share + s) / (1.0 + s) * half_pi);
    return c * c;
}

static double cosine_beta(int t, int timesteps) {
    double before = cosine_level((double)t / timesteps);
    return 1.0 - cosine_level((t + 1.0) / timesteps) / before;
}

void lm_alpha_bars(lm_beta_kind kind, int timesteps, double *alpha_bar) {
    double product = 1.0;
    for (int t = 0; t < timesteps; t++) {
        double beta = kind == LM_BETA_LINEAR ? linear_beta(t, timesteps)
                                             : cosine_beta(t, timesteps);
        product *= 1.0 - fmin(beta, MAX_BETA);
        alpha_bar[t] = product;
    }
}

static int spaced_time(lm_spacing spacing, int timesteps, int steps, int i) {
    double T = timesteps, share = steps > 1 ? (double)i / (steps - 1) : 1.0;
    int stride = timesteps / steps, offset = stride > 1 ? 1 : 0;
    switch (spacing) {
    case LM_SPACING_LEADING:
        return i * stride + offset;
    case LM_SPACING_TRAILING:
        return (int)lrint(T * (i + 1) / steps) - 1;
    case LM_SPACING_LINSPACE:
        return (int)lrint((T - 1) * share);
    case LM_SPACING_QUAD:
        return (int)(0.8 * T * share * share);
    }
    return 0;
}

void lm_spaced_times(lm_spacing spacing, int timesteps, int steps, int *times) {
    for (int i = 0; i < steps; i++) {
        int t = spaced_time(spacing, timesteps, steps, i);
        /* The quadratic's first times coincide when steps are many: no time twice. */
        times[i] = i > 0 && t <= times[i - 1] ? times[i - 1] + 1 : t;
    }
}
