/* What the ways to a model's likelihood share: the fit of images, and the mean over a
 * source. */
#ifndef LIMN_TRAIN_NATS_H
#define LIMN_TRAIN_NATS_H

#include "eval/source.h"
#include "families/family.h"
#include "metrics/hook.h"

/* LM_MISMATCH unless the source's images are as the model's. */
lm_status lm_model_fits(const lm_model *model, const lm_image_source *source);

/* -log p of images first .. first + count - 1 in nats, an estimate each. */
typedef lm_status (*lm_nats_fn)(void *user, const lm_image_source *source, int64_t first,
                                int64_t count, double *nats);

/* The mean of all images and its standard error, in units of `unit` nats; `at_once`
 * images between two calls of the hook, which may be NULL. */
lm_status lm_nats_mean(lm_nats_fn measure, void *user, const lm_image_source *source,
                       int64_t at_once, double unit, const lm_metric_hook *hook,
                       double *mean, double *error);

#endif
