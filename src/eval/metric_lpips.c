/* Distances as LPIPS sees them. */
#include "base/json.h"
#include "eval/metric.h"

lm_status lm_eval_name_network(const lm_eval_context *context, lm_eval_result *result) {
    LM_TRY(lm_json_put(result->protocol, "network",
                       json_string(lm_lpips_id(context->lpips))));
    return lm_json_put(result->protocol, "network_weights",
                       json_string(lm_lpips_weights(context->lpips)));
}

static const char *hinder_diversity(const lm_eval_context *context) {
    return context->generated->source.count < 4 ? "fewer than 4 images" : NULL;
}

static lm_status measure_diversity(lm_eval_context *context, lm_eval_result *result) {
    const lm_image_source *source = &context->generated->source;
    lm_lpips_diversity d;
    LM_TRY(lm_eval_name_network(context, result));
    LM_TRY(lm_lpips_measure_diversity(context->lpips, source, source->count, false,
                                      context->spec->seed, &context->within, &d));
    result->value = d.mean;
    result->error = d.error;
    result->error_from = "independent pairs";
    return LM_OK;
}

const lm_eval_metric lm_lpips_diversity_metric = {
    .name = "lpips_diversity",
    .help = "mean LPIPS distance of two images of what is judged",
    .paper = "Zhang et al. 2018, arXiv:1801.03924",
    .needs = LM_NEED_LPIPS,
    .better = LM_BETTER_NEITHER,
    .has_floor = true,
    .digits = 4,
    .hindrance = hinder_diversity,
    .measure = measure_diversity};
