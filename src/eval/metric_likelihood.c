/* What a model with a likelihood says of images that it has not seen. */
#include "base/json.h"
#include "eval/metric.h"

#include <stdio.h>

static lm_status measure(lm_eval_context *context, lm_eval_result *result) {
    const lm_eval_likelihood *likelihood = context->likelihood;
    LM_TRY(lm_json_put(result->protocol, "unit", json_string(likelihood->unit)));
    LM_TRY(likelihood->measure(likelihood->user, &context->test->source, &context->within,
                               &result->value, &result->error));
    result->n = context->test->source.count;
    result->error_from = "scatter of images";
    snprintf(result->note, sizeof result->note, "%s", likelihood->unit);
    return LM_OK;
}

const lm_eval_metric lm_likelihood_metric = {
    .name = "likelihood",
    .help = "bits/dim or nats of held-out images, of a model that has them",
    .needs = LM_NEED_LIKELIHOOD | LM_NEED_TEST,
    .better = LM_BETTER_LOW,
    .digits = 4,
    .measure = measure};
