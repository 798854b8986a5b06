/* The trainer's own settings: how to optimise, not what to optimise. */
#ifndef LIMN_TRAIN_SETTINGS_H
#define LIMN_TRAIN_SETTINGS_H

#include "backend/backend.h"
#include "families/family.h"
#include "nn/optim.h"

/* batch, lr, lr-schedule, warmup, clip, decay, beta1, beta2, ema, ema-ramp,
 * engine.winograd, engine.conv, engine.matmul, engine.tune. */
extern const lm_option lm_trainer_options[];

/* Sets "key=value" in whichever of the two tables has the key; an unknown key names the
 * nearest of both. `prefix` as lm_settings_set. */
lm_status lm_assign_setting(lm_settings *model, lm_settings *trainer, const char *prefix,
                            const char *assignment);

/* A preset's text, "key=value key=value", into both. */
lm_status lm_apply_preset(const lm_preset *preset, lm_settings *model,
                          lm_settings *trainer);

/* Sets "key=value" where only the engine's settings may change. */
lm_status lm_assign_engine(lm_settings *trainer, const char *prefix,
                           const char *assignment);
/* How kernels are chosen; borrows from the settings. */
lm_backend_options lm_trainer_engine(const lm_settings *trainer);

lm_optim_spec lm_trainer_optim(const lm_settings *trainer);
lm_lr_kind lm_trainer_lr_kind(const lm_settings *trainer);

#endif
