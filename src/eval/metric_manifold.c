/* Whether images lie among the real ones, and the real ones among them. */
#include "base/json.h"
#include "eval/metric.h"
#include "metrics/manifold.h"

#include <stddef.h>

static const char *hinder(const lm_eval_context *context) {
    return context->spec->k < lm_eval_equal_count(context)
               ? NULL
               : "there are no more images than neighbours; see --k";
}

/* All four numbers come from the same distances, which are kept with the part. */
static lm_status need_manifold(lm_eval_context *context, int64_t real) {
    lm_eval_part *part = context->generated;
    const lm_features *r = &context->reference->features, *f = &part->features;
    lm_manifold_rule rule = {context->spec->k, context->spec->closed};
    if (part->manifold.real) return LM_OK;
    context->what = "distances of features";
    return lm_manifold_measure(r->x, real, f->x, f->count, f->dim, &rule, 1,
                               &context->within, &part->manifold);
}

static lm_status measure(lm_eval_context *context, lm_eval_result *result, size_t which) {
    int64_t real;
    LM_TRY(lm_eval_need_features(context, context->generated));
    LM_TRY(lm_eval_need_features(context, context->reference));
    LM_TRY(lm_eval_equal_reference(context, result, &real));
    LM_TRY(lm_json_put(result->protocol, "k", json_integer(context->spec->k)));
    LM_TRY(
        lm_json_put(result->protocol, "tie",
                    json_string(context->spec->closed ? "d <= radius" : "d < radius")));
    LM_TRY(need_manifold(context, real));
    const char *manifold = (const char *)&context->generated->manifold;
    const lm_estimate *estimate = (const lm_estimate *)(manifold + which);
    result->value = estimate->value;
    result->error = estimate->error;
    result->error_from = "scatter of images, balls as they are";
    return LM_OK;
}

static lm_status measure_precision(lm_eval_context *context, lm_eval_result *result) {
    return measure(context, result, offsetof(lm_manifold, precision));
}

static lm_status measure_recall(lm_eval_context *context, lm_eval_result *result) {
    return measure(context, result, offsetof(lm_manifold, recall));
}

static lm_status measure_density(lm_eval_context *context, lm_eval_result *result) {
    return measure(context, result, offsetof(lm_manifold, density));
}

static lm_status measure_coverage(lm_eval_context *context, lm_eval_result *result) {
    return measure(context, result, offsetof(lm_manifold, coverage));
}

#define MANIFOLD(metric, says, from)                                                     \
    const lm_eval_metric lm_##metric##_metric = {                                        \
        .name = #metric,                                                                 \
        .help = says,                                                                    \
        .paper = from,                                                                   \
        .needs = LM_NEED_FEATURES | LM_NEED_REFERENCE | LM_NEED_IMAGES,                  \
        .better = LM_BETTER_HIGH,                                                        \
        .has_floor = true,                                                               \
        .digits = 4,                                                                     \
        .hindrance = hinder,                                                             \
        .measure = measure_##metric}

#define KYNKAANNIEMI "Kynkaanniemi et al. 2019, arXiv:1904.06991"
#define NAEEM        "Naeem et al. 2020, arXiv:2002.09797"

MANIFOLD(precision, "share of images that lie among the real ones", KYNKAANNIEMI);
MANIFOLD(recall, "share of real images that lie among those judged", KYNKAANNIEMI);
MANIFOLD(density, "how densely real images lie where those judged are; 1 is as the real",
         NAEEM);
MANIFOLD(coverage, "share of real images that have one of those judged nearby", NAEEM);
