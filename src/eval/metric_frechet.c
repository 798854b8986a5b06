/* Fréchet distances between the features of images and of the reference. */
#include "eval/metric.h"
#include "metrics/fid.h"

static lm_status measure_fid(lm_eval_context *context, lm_eval_result *result) {
    LM_TRY(lm_eval_need_moments(context, context->reference));
    LM_TRY(lm_eval_need_moments(context, context->generated));
    return lm_fid(&context->generated->moments, &context->reference->moments,
                  &context->within, &result->value);
}

const lm_eval_metric lm_fid_metric = {
    .name = "fid",
    .help = "Frechet distance of features, taken for Gaussian",
    .paper = "Heusel et al. 2017, arXiv:1706.08500",
    .needs = LM_NEED_FEATURES | LM_NEED_REFERENCE,
    .better = LM_BETTER_LOW,
    .has_floor = true,
    .digits = 3,
    .measure = measure_fid};
