/* The inception score, by whichever classifier the extractor is. */
#include "base/json.h"
#include "eval/metric.h"
#include "metrics/inception_score.h"

#include <math.h>

/* Tables print the deviation of splits behind "+-", which is kept as a detail. */
static lm_status measure_is(lm_eval_context *context, lm_eval_result *result) {
    lm_eval_part *part = context->generated;
    LM_TRY(lm_eval_need_features(context, part));
    const lm_features *f = &part->features;
    int splits = context->spec->splits;
    if (splits > f->count) splits = (int)f->count;
    lm_spread score;
    LM_TRY(lm_json_put(result->protocol, "splits", json_integer(splits)));
    LM_TRY(lm_inception_score(f->logits, f->count, f->classes, splits, true,
                              context->spec->seed, &context->within, &score));
    result->value = score.mean;
    if (splits > 1) result->error = score.deviation / sqrt(splits - 1);
    result->error_from = "scatter of splits";
    result->detail = json_pack("{s:f}", "deviation", score.deviation);
    return result->detail ? LM_OK : LM_NOMEM;
}

const lm_eval_metric lm_is_metric = {
    .name = "is",
    .help = "inception score: classes told surely, and all of them; 1 to their number",
    .paper = "Salimans et al. 2016, arXiv:1606.03498",
    .needs = LM_NEED_FEATURES | LM_NEED_LOGITS,
    .better = LM_BETTER_HIGH,
    .has_floor = true,
    .digits = 3,
    .measure = measure_is};
