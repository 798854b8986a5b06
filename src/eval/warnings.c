#include "eval/warnings.h"

#include "base/mem.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* Takes over the text. */
static lm_status add(lm_evaluation *evaluation, lm_str *text) {
    size_t count = (size_t)evaluation->n_warnings;
    char **grown = lm_str_text(text)
                       ? lm_realloc(evaluation->warnings, sizeof *grown * (count + 1))
                       : NULL;
    if (!grown) {
        lm_str_release(text);
        return LM_NOMEM;
    }
    evaluation->warnings = grown;
    evaluation->warnings[evaluation->n_warnings++] = text->text;
    return LM_OK;
}

/* A covariance of fewer vectors than dimensions is singular, and the distance of two such
 * is far too large; the paper's own advice is 10,000 images for 2048 features. */
static lm_status warn_few(const lm_eval_context *context, lm_evaluation *evaluation) {
    const lm_eval_result *fid = lm_evaluation_find(evaluation, "fid");
    int dim = context->extractor->dim;
    if (!fid || fid->n > dim) return LM_OK;
    lm_str text = LM_STR_INIT;
    lm_str_printf(&text,
                  "%" PRId64
                  " images are fewer than the %d features: fid is far too high; "
                  "read it beside its floor only, or trust kid",
                  fid->n, dim);
    return add(evaluation, &text);
}

static bool looks_at_features(const lm_eval_spec *spec, const lm_evaluation *evaluation) {
    bool looks = spec->save_stats || spec->sheet;
    for (int i = 0; i < evaluation->count; i++)
        looks |= evaluation->results[i].metric->needs & LM_NEED_FEATURES;
    return looks;
}

/* Fréchet and kernel distances of pixels follow what no eye does: they are a last resort
 * that nobody should get without knowing. */
static lm_status warn_pixels(const lm_eval_context *context, lm_evaluation *evaluation) {
    if (context->spec->extractor || strcmp(context->extractor->id, "pixels") != 0)
        return LM_OK;
    if (!looks_at_features(context->spec, evaluation)) return LM_OK;
    lm_str text = LM_STR_INIT;
    lm_str_append(&text, "there is neither a judge for these images nor Inception "
                         "(docs/evaluation.md says how to have them); features are the "
                         "pixels themselves, which see little of what people see");
    return add(evaluation, &text);
}

static lm_status warn_short_floor(lm_evaluation *evaluation) {
    const lm_eval_result *first = NULL;
    for (int i = 0; i < evaluation->count && !first; i++)
        if (evaluation->results[i].floor_n &&
            evaluation->results[i].floor_n < evaluation->results[i].n)
            first = &evaluation->results[i];
    if (!first) return LM_OK;
    lm_str text = LM_STR_INIT;
    lm_str_printf(&text,
                  "floors are of %" PRId64
                  " real images, all that there are, numbers of %" PRId64
                  ": what depends on the number of images has too high a floor",
                  first->floor_n, first->n);
    return add(evaluation, &text);
}

/* Whether a number is no worse than that of real images, as far as the errors tell. */
static bool at_floor(const lm_eval_result *r) {
    double worse =
        r->metric->better == LM_BETTER_LOW ? r->value - r->floor : r->floor - r->value;
    double error =
        hypot(isnan(r->error) ? 0 : r->error, isnan(r->floor_error) ? 0 : r->floor_error);
    return r->metric->better != LM_BETTER_NEITHER && !isnan(r->floor) && error > 0 &&
           worse < 2 * error;
}

static lm_status warn_at_floor(lm_evaluation *evaluation) {
    lm_str text = LM_STR_INIT;
    for (int i = 0; i < evaluation->count; i++)
        if (at_floor(&evaluation->results[i]))
            lm_str_printf(&text, "%s%s", text.length ? ", " : "",
                          evaluation->results[i].metric->name);
    if (text.failed || !text.length) return text.failed ? LM_NOMEM : LM_OK;
    lm_str_printf(&text,
                  ": no worse than real images within twice the errors; more images "
                  "would tell more");
    return add(evaluation, &text);
}

lm_status lm_eval_warn(const lm_eval_context *context, lm_evaluation *evaluation) {
    LM_TRY(warn_pixels(context, evaluation));
    LM_TRY(warn_few(context, evaluation));
    LM_TRY(warn_short_floor(evaluation));
    return warn_at_floor(evaluation);
}
