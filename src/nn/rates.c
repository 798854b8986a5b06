/* Learning rate and averaging rate over a run. */
#include "nn/optim.h"
#include <math.h>

double lm_lr_at(lm_lr_kind kind, double lr, int64_t warmup, int64_t step,
                double progress) {
    if (step < warmup) lr *= (double)step / (double)warmup;
    progress = fmin(fmax(progress, 0), 1);
    switch (kind) {
    case LM_LR_CONSTANT:
        break;
    case LM_LR_COSINE:
        lr *= 0.5 * (1.0 + cos(acos(-1.0) * progress));
        break;
    case LM_LR_LINEAR:
        lr *= 1.0 - progress;
        break;
    }
    return lr;
}

double lm_ema_decay(double half_life_images, double ramp, int64_t images_seen,
                    int64_t images) {
    double half_life = half_life_images;
    if (ramp > 0) half_life = fmin(half_life, ramp * (double)images_seen);
    return half_life > 0 ? pow(0.5, (double)images / half_life) : 0;
}
