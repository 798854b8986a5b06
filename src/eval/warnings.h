/* What a person should know before believing a number. */
#ifndef LIMN_EVAL_WARNINGS_H
#define LIMN_EVAL_WARNINGS_H

#include "eval/metric.h"

/* Adds sentences to evaluation->warnings: too few images for the features, floors of
 * fewer images, numbers that are not told from their floor, missing classes. */
lm_status lm_eval_warn(const lm_eval_context *context, lm_evaluation *evaluation);

#endif
