/* The kernel distance between the features of images and of the reference. */
#include "base/json.h"
#include "eval/metric.h"
#include "metrics/kid.h"

#include <math.h>

/* As tables have it. Their "+-" is the deviation of subsets, kept as a detail: it shrinks
 * with the subsets' size, not with their number, and is no error of the mean. */
static lm_status take_subsets(lm_eval_context *context, const lm_kid_set *a,
                              const lm_kid_set *b, int dim, lm_eval_result *result) {
    int subsets = context->spec->subsets, size = context->spec->subset_size;
    lm_spread kid;
    LM_RETURN_IF(size < 3, LM_ARG, "--subset-size %d: expected at least 3", size);
    LM_TRY(lm_json_put(result->protocol, "estimator", json_string("mean over subsets")));
    LM_TRY(lm_json_put(result->protocol, "subsets", json_integer(subsets)));
    LM_TRY(lm_json_put(result->protocol, "subset_size", json_integer(size)));
    LM_TRY(lm_kid_subsets(a, b, dim, subsets, size, context->spec->seed, &context->within,
                          &kid));
    result->value = kid.mean;
    if (subsets > 1) result->error = kid.deviation / sqrt(subsets - 1);
    result->error_from = "scatter of subsets";
    result->detail = json_pack("{s:f}", "deviation", kid.deviation);
    return result->detail ? LM_OK : LM_NOMEM;
}

static lm_status take_all(lm_eval_context *context, const lm_kid_set *a,
                          const lm_kid_set *b, int dim, lm_eval_result *result) {
    lm_estimate kid;
    LM_TRY(lm_json_put(result->protocol, "estimator", json_string("all pairs")));
    LM_TRY(lm_kid(a, b, dim, &context->within, &kid));
    result->value = kid.value;
    result->error = kid.error;
    result->error_from = "jackknife";
    return LM_OK;
}

static const char *hinder_kid(const lm_eval_context *context) {
    int64_t count = lm_eval_equal_count(context);
    if (count < 3) return "fewer than 3 images";
    return context->spec->subsets && context->spec->subset_size > count
               ? "there are fewer images than in a subset; see --subset-size"
               : NULL;
}

static lm_status measure_kid(lm_eval_context *context, lm_eval_result *result) {
    lm_kid_set a = {0}, b = {0};
    LM_TRY(lm_eval_need_features(context, context->generated));
    LM_TRY(lm_eval_need_features(context, context->reference));
    LM_TRY(lm_eval_equal_reference(context, result, &b.n));
    a.x = context->generated->features.x;
    a.n = context->generated->features.count;
    b.x = context->reference->features.x;
    LM_TRY(lm_json_put(result->protocol, "kernel", json_string("(x.y/dim + 1)^3")));
    return (context->spec->subsets ? take_subsets : take_all)(
        context, &a, &b, context->extractor->dim, result);
}

const lm_eval_metric lm_kid_metric = {
    .name = "kid",
    .help = "kernel distance of features, without bias: 0 for equal distributions",
    .paper = "Binkowski et al. 2018, arXiv:1801.01401",
    .needs = LM_NEED_FEATURES | LM_NEED_REFERENCE | LM_NEED_IMAGES,
    .better = LM_BETTER_LOW,
    .has_floor = true,
    .digits = 5,
    .hindrance = hinder_kid,
    .measure = measure_kid};
