/* Fréchet distances between the features of images and of the reference. */
#include "eval/metric.h"

#include "base/json.h"
#include "base/mem.h"
#include "metrics/fid.h"
#include "metrics/fid_infinite.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>

/* ---- FID --------------------------------------------------------------------- */

static lm_status need_fid(lm_eval_context *context, lm_estimate *fid) {
    lm_eval_part *part = context->generated;
    LM_TRY(lm_eval_need_moments(context, context->reference));
    LM_TRY(lm_eval_need_features(context, part));
    LM_TRY(lm_eval_need_moments(context, part));
    if (part->fid.error == 0)
        LM_TRY(lm_fid_estimate(&context->reference->moments, &part->moments,
                               part->features.x, &context->within, &part->fid));
    *fid = part->fid;
    return LM_OK;
}

static lm_status measure_fid(lm_eval_context *context, lm_eval_result *result) {
    lm_estimate fid;
    LM_TRY(need_fid(context, &fid));
    result->value = fid.value;
    result->error = fid.error;
    result->error_from = "infinitesimal jackknife, the reference as it is";
    return LM_OK;
}

const lm_eval_metric lm_fid_metric = {
    .name = "fid",
    .help = "Frechet distance of features, taken for Gaussian",
    .paper = "Heusel et al. 2017, arXiv:1706.08500",
    .needs = LM_NEED_FEATURES | LM_NEED_REFERENCE,
    .quick_dim = 4096,
    .better = LM_BETTER_LOW,
    .has_floor = true,
    .digits = 3,
    .measure = measure_fid};

/* ---- without the bias of few images ------------------------------------------ */

enum { POINTS = 15, PARTS = 10 };

static const char *hinder_infinity(const lm_eval_context *context) {
    static_assert(PARTS == 10, "the text says how many images");
    return context->generated->source.count < 2 * PARTS ? "fewer than 20 images" : NULL;
}

/* The paper goes from a tenth of its 50,000 images to all of them. */
static lm_status measure_infinity(lm_eval_context *context, lm_eval_result *result) {
    lm_estimate line, fid;
    LM_TRY(need_fid(context, &fid));
    const lm_features *f = &context->generated->features;
    int64_t smallest = f->count / PARTS;
    LM_TRY(lm_json_put(result->protocol, "points", json_integer(POINTS)));
    LM_TRY(lm_json_put(result->protocol, "smallest", json_integer(smallest)));
    LM_TRY(lm_fid_infinite(&context->reference->moments, f->x, f->count, POINTS, smallest,
                           context->spec->seed, &context->within, &line));
    result->value = line.value;
    result->error = hypot(line.error, fid.error);
    result->error_from = "of the line, and of fid";
    return LM_OK;
}

const lm_eval_metric lm_fid_infinity_metric = {
    .name = "fid_infinity",
    .help = "FID of ever more images, by a line over 1/N; may be below 0",
    .paper = "Chong and Forsyth 2020, arXiv:1911.07023",
    .needs = LM_NEED_FEATURES | LM_NEED_REFERENCE,
    .quick_dim = 512,
    .better = LM_BETTER_LOW,
    .has_floor = true,
    .digits = 3,
    .hindrance = hinder_infinity,
    .measure = measure_infinity};

/* ---- class by class ---------------------------------------------------------- */

/* The rows of each class, one class after the other. */
typedef struct by_class {
    int32_t *rows;
    int64_t *first; /* [classes + 1]: where each class begins */
} by_class;

static void release(by_class *sorted) {
    lm_free(sorted->rows);
    lm_free(sorted->first);
}

static lm_status sort(const int32_t *class, int64_t n, int classes, by_class *sorted) {
    *sorted = (by_class){0};
    sorted->rows = lm_alloc(sizeof *sorted->rows * (size_t)n);
    sorted->first = lm_calloc((size_t)classes + 2, sizeof *sorted->first);
    if (!sorted->rows || !sorted->first) return LM_NOMEM;
    int64_t *next = sorted->first + 1; /* becomes `first`, moved on by one */
    for (int64_t i = 0; i < n; i++)
        if (class[i] >= 0 && class[i] < classes) next[class[i] + 1]++;
    for (int c = 1; c <= classes; c++) next[c] += next[c - 1];
    for (int64_t i = 0; i < n; i++)
        if (class[i] >= 0 && class[i] < classes)
            sorted->rows[next[class[i]]++] = (int32_t)i;
    return LM_OK;
}

static lm_status class_moments(const lm_eval_part *part, const by_class *sorted,
                               int class, const lm_metric_hook *hook, lm_moments *m) {
    int64_t first = sorted->first[class];
    return lm_moments_of(part->features.x, sorted->rows + first,
                         sorted->first[class + 1] - first, part->features.dim, hook, m);
}

static lm_status class_fid(lm_eval_context *context, const by_class *generated,
                           const by_class *real, int class, double *fid) {
    lm_moments a = {0}, b = {0};
    int64_t n = generated->first[class + 1] - generated->first[class];
    int64_t m = real->first[class + 1] - real->first[class];
    *fid = NAN;
    if (n < 2 || m < 2) return LM_OK;
    lm_status status =
        class_moments(context->generated, generated, class, &context->within, &a);
    if (status == LM_OK)
        status = class_moments(context->reference, real, class, &context->within, &b);
    if (status == LM_OK) status = lm_fid(&a, &b, &context->within, fid);
    lm_moments_release(&a);
    lm_moments_release(&b);
    return status;
}

static const char *name_class(const lm_eval_context *context, int class,
                              char number[LM_EVAL_NUMBER]) {
    return context->by_labels ? lm_eval_label_name(context, class, number)
                              : lm_eval_class_name(context, class, number);
}

static lm_status add_class(lm_eval_context *context, int class, double fid,
                           json_t *list) {
    char number[LM_EVAL_NUMBER];
    const char *name = name_class(context, class, number);
    return lm_json_put(list, NULL,
                       json_pack("{s:o, s:o}", "class", lm_json_text(name), "fid",
                                 isnan(fid) ? json_null() : json_real(fid)));
}

static lm_status measure_sorted(lm_eval_context *context, const by_class *generated,
                                const by_class *real, int classes,
                                lm_eval_result *result) {
    json_t *list = json_array();
    double sum = 0, worst = -1, fid;
    int known = 0, which = 0;
    result->detail = json_pack("{s:o}", "by_class", list);
    if (!result->detail) return LM_NOMEM;
    for (int c = 0; c < classes; c++) {
        LM_TRY(class_fid(context, generated, real, c, &fid));
        LM_TRY(add_class(context, c, fid, list));
        LM_TRY(
            lm_metric_progress(&context->within, "class_fid", (double)(c + 1) / classes));
        if (isnan(fid)) continue;
        sum += fid;
        known++;
        if (fid > worst) {
            worst = fid;
            which = c;
        }
    }
    char number[LM_EVAL_NUMBER];
    if (!known) return LM_OK;
    result->value = sum / known;
    snprintf(result->note, sizeof result->note, "of %d classes; worst: %s, %.3g", known,
             name_class(context, which, number), worst);
    return LM_OK;
}

/* Classes are labels where both sides have the same, else what the judge sees. */
static lm_status measure_classes(lm_eval_context *context, lm_eval_result *result) {
    lm_eval_part *images = context->generated, *real = context->reference;
    bool labels = context->by_labels;
    int classes = labels ? real->source.classes : context->extractor->classes;
    LM_TRY(lm_eval_need_features(context, images));
    LM_TRY(lm_eval_need_features(context, real));
    if (!labels) {
        LM_TRY(lm_eval_need_predicted(context, images));
        LM_TRY(lm_eval_need_predicted(context, real));
    }
    LM_TRY(lm_json_put(result->protocol, "classes_by",
                       json_string(labels ? "labels" : "judge")));
    by_class a = {0}, b = {0};
    lm_status status = sort(labels ? images->features.labels : images->predicted,
                            images->features.count, classes, &a);
    if (status == LM_OK)
        status = sort(labels ? real->features.labels : real->predicted,
                      real->features.count, classes, &b);
    if (status == LM_OK) status = measure_sorted(context, &a, &b, classes, result);
    release(&a);
    release(&b);
    return status;
}

const lm_eval_metric lm_class_fid_metric = {
    .name = "class_fid",
    .help = "FID of each class with that class of the data; the mean of classes",
    .needs = LM_NEED_FEATURES | LM_NEED_CLASSES | LM_NEED_FEW_CLASSES |
             LM_NEED_REFERENCE | LM_NEED_IMAGES,
    .quick_dim = 512,
    .better = LM_BETTER_LOW,
    .has_floor = true,
    .digits = 3,
    .measure = measure_classes};
