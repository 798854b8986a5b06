/* Metrics of classes as a judge sees them. */
#include "eval/metric.h"

#include "base/json.h"

#include <math.h>
#include <stdio.h>

/* The share of samples that a judge takes for the class that they were asked to be. Real
 * images have the judge's own accuracy, which is the floor. */
static lm_status measure_accuracy(lm_eval_context *context, lm_eval_result *result) {
    lm_eval_part *part = context->generated;
    int64_t right = 0, known = 0;
    LM_TRY(lm_eval_need_predicted(context, part));
    for (int64_t i = 0; i < part->features.count; i++) {
        int32_t label = part->features.labels[i];
        known += label >= 0;
        right += label >= 0 && label == part->predicted[i];
    }
    LM_RETURN_IF(!known, LM_ARG, "%s: no image has a label", part->side.spec);
    double share = (double)right / (double)known;
    result->value = share;
    result->error = sqrt(share * (1 - share) / (double)known);
    result->error_from = "binomial";
    return LM_OK;
}

const lm_eval_metric lm_conditional_accuracy_metric = {
    .name = "conditional_accuracy",
    .help = "share of samples that the judge takes for the class they were asked to be",
    .needs = LM_NEED_FEATURES | LM_NEED_LOGITS | LM_NEED_LABELS,
    .better = LM_BETTER_HIGH,
    .has_floor = true,
    .digits = 4,
    .measure = measure_accuracy};
