/* Metrics of classes, as a judge sees them or as labels say. */
#include "eval/metric.h"

#include "base/json.h"
#include "base/mem.h"
#include "metrics/histogram.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- conditional accuracy ---------------------------------------------------- */

/* Real images have the judge's own accuracy, which is the floor. */
static lm_status measure_accuracy(lm_eval_context *context, lm_eval_result *result) {
    lm_eval_part *part = context->generated;
    LM_TRY(lm_eval_need_predicted(context, part));
    const lm_features *f = &part->features;
    lm_share share = lm_conditional_accuracy(part->predicted, f->labels, f->count);
    LM_RETURN_IF(!share.n, LM_ARG, "%s: no image has a label", part->side.spec);
    lm_estimate estimate = lm_estimate_share(share.hits, share.n);
    result->value = estimate.value;
    result->error = estimate.error;
    result->error_from = "binomial";
    result->detail = json_pack("{s:f, s:f}", "low_95", share.low, "high_95", share.high);
    return result->detail ? LM_OK : LM_NOMEM;
}

const lm_eval_metric lm_conditional_accuracy_metric = {
    .name = "conditional_accuracy",
    .help = "share of samples that the judge takes for the class they were asked to be",
    .needs = LM_NEED_FEATURES | LM_NEED_LOGITS | LM_NEED_LABELS,
    .better = LM_BETTER_HIGH,
    .has_floor = true,
    .digits = 4,
    .measure = measure_accuracy};

/* ---- histogram --------------------------------------------------------------- */

/* A class with fewer samples than this share of what the data's frequency predicts is
 * missing: a judge that errs finds some of every class. */
#define MISSING_BELOW 0.1

/* Images of each class on both sides, by the same judge, so that what it confuses is
 * confused alike. */
typedef struct histogram {
    int classes;
    int64_t *generated, *data; /* [classes] */
    lm_histogram_test test;
} histogram;

static void release(histogram *h) {
    lm_free(h->generated);
    lm_free(h->data);
}

static lm_status count(const lm_eval_part *part, int64_t *counts) {
    return lm_histogram_count(part->predicted, part->features.count,
                              part->extractor->classes, counts);
}

static lm_status make(lm_eval_context *context, lm_eval_result *result, histogram *h) {
    size_t classes = (size_t)context->extractor->classes;
    LM_TRY(lm_eval_need_predicted(context, context->generated));
    LM_TRY(lm_eval_need_predicted(context, context->reference));
    LM_TRY(lm_json_put(result->protocol, "missing_below", json_real(MISSING_BELOW)));
    *h = (histogram){.classes = (int)classes};
    h->generated = lm_calloc(classes, sizeof *h->generated);
    h->data = lm_calloc(classes, sizeof *h->data);
    lm_status status = h->generated && h->data ? LM_OK : LM_NOMEM;
    if (status == LM_OK) status = count(context->generated, h->generated);
    if (status == LM_OK) status = count(context->reference, h->data);
    if (status == LM_OK)
        status = lm_histogram_compare(h->generated, h->data, h->classes, MISSING_BELOW,
                                      &h->test);
    if (status != LM_OK) release(h);
    return status;
}

static double expected(const histogram *h, int class) {
    return (double)h->data[class] / (double)h->test.data * (double)h->test.generated;
}

static bool is_missing(const histogram *h, int class) {
    return h->data[class] > 0 &&
           (h->generated[class] == 0 ||
            (double)h->generated[class] < MISSING_BELOW * expected(h, class));
}

static const char *name_or_number(const char *const *names, int classes, int class,
                                  char number[LM_EVAL_NUMBER]) {
    if (names && class < classes) return names[class];
    snprintf(number, LM_EVAL_NUMBER, "%d", class);
    return number;
}

const char *lm_eval_class_name(const lm_eval_context *context, int class,
                               char number[LM_EVAL_NUMBER]) {
    const lm_extractor *judge = context->extractor;
    return name_or_number(judge->class_names, judge->classes, class, number);
}

const char *lm_eval_label_name(const lm_eval_context *context, int class,
                               char number[LM_EVAL_NUMBER]) {
    const lm_image_source *real = &context->reference->source;
    return name_or_number(real->class_names, real->classes, class, number);
}

static lm_status list_classes(const lm_eval_context *context, const histogram *h,
                              json_t *list) {
    char number[LM_EVAL_NUMBER];
    for (int c = 0; c < h->classes; c++)
        LM_TRY(lm_json_put(list, NULL,
                           json_pack("{s:o, s:I, s:f}", "class",
                                     lm_json_text(lm_eval_class_name(context, c, number)),
                                     "images", (json_int_t)h->generated[c], "expected",
                                     expected(h, c))));
    return LM_OK;
}

static lm_status describe_histogram(const lm_eval_context *context, const histogram *h,
                                    lm_eval_result *result) {
    json_t *list = json_array();
    const lm_histogram_test *t = &h->test;
    result->value = t->p;
    snprintf(result->note, sizeof result->note, "chi-square %.1f, %d degrees: %s",
             t->statistic, t->freedom,
             t->p < 0.001  ? "classes are not as in the data"
             : t->p < 0.05 ? "classes are perhaps not as in the data"
                           : "classes are as in the data");
    result->detail =
        json_pack("{s:o, s:f, s:i, s:i, s:f, s:f}", "by_class", list, "chi_square",
                  t->statistic, "freedom", t->freedom, "sparse_cells", t->sparse,
                  "entropy", t->generated_entropy, "entropy_of_data", t->data_entropy);
    return result->detail ? list_classes(context, h, list) : LM_NOMEM;
}

static lm_status measure_histogram(lm_eval_context *context, lm_eval_result *result) {
    histogram h;
    LM_TRY(make(context, result, &h));
    lm_status status = describe_histogram(context, &h, result);
    release(&h);
    return status;
}

const lm_eval_metric lm_class_histogram_metric = {
    .name = "class_histogram",
    .help = "p of a chi-square test that classes are as frequent as in the data",
    .needs = LM_NEED_FEATURES | LM_NEED_LOGITS | LM_NEED_FEW_CLASSES | LM_NEED_REFERENCE |
             LM_NEED_IMAGES,
    .better = LM_BETTER_NEITHER,
    .has_floor = true,
    .digits = 4,
    .measure = measure_histogram};

static lm_status describe_missing(const lm_eval_context *context, const histogram *h,
                                  lm_eval_result *result) {
    char number[LM_EVAL_NUMBER];
    json_t *list = json_array();
    size_t used = 0;
    result->value = h->test.missing;
    result->detail = json_pack("{s:o}", "missing", list);
    if (!result->detail) return LM_NOMEM;
    for (int c = 0; c < h->classes; c++) {
        if (!is_missing(h, c)) continue;
        const char *name = lm_eval_class_name(context, c, number);
        LM_TRY(lm_json_put(list, NULL, lm_json_text(name)));
        if (used < sizeof result->note)
            used += (size_t)snprintf(result->note + used, sizeof result->note - used,
                                     "%s%s", used ? ", " : "missing: ", name);
    }
    return LM_OK;
}

static lm_status measure_missing(lm_eval_context *context, lm_eval_result *result) {
    histogram h;
    LM_TRY(make(context, result, &h));
    lm_status status = describe_missing(context, &h, result);
    release(&h);
    return status;
}

const lm_eval_metric lm_missing_classes_metric = {
    .name = "missing_classes",
    .help = "classes of the data with less than a tenth of the images they should have",
    .needs = LM_NEED_FEATURES | LM_NEED_LOGITS | LM_NEED_FEW_CLASSES | LM_NEED_REFERENCE |
             LM_NEED_IMAGES,
    .better = LM_BETTER_LOW,
    .has_floor = true,
    .measure = measure_missing};
