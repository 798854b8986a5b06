/* The table of metrics. */
#include "eval/metric.h"

#include "base/mem.h"

#include <math.h>
#include <string.h>

extern const lm_eval_metric lm_fid_metric, lm_fid_infinity_metric, lm_kid_metric,
    lm_is_metric, lm_precision_metric, lm_recall_metric, lm_density_metric,
    lm_coverage_metric, lm_class_fid_metric, lm_class_histogram_metric,
    lm_missing_classes_metric, lm_conditional_accuracy_metric, lm_copying_metric,
    lm_neighbours_metric, lm_pixel_neighbours_metric, lm_lpips_diversity_metric,
    lm_mse_metric, lm_psnr_metric, lm_ssim_metric, lm_pair_lpips_metric,
    lm_likelihood_metric, lm_reconstruction_mse_metric, lm_reconstruction_psnr_metric,
    lm_reconstruction_ssim_metric, lm_kl_metric, lm_active_units_metric;

const lm_eval_metric *const lm_eval_metrics[] = {&lm_fid_metric,
                                                 &lm_fid_infinity_metric,
                                                 &lm_kid_metric,
                                                 &lm_is_metric,
                                                 &lm_precision_metric,
                                                 &lm_recall_metric,
                                                 &lm_density_metric,
                                                 &lm_coverage_metric,
                                                 &lm_class_fid_metric,
                                                 &lm_class_histogram_metric,
                                                 &lm_missing_classes_metric,
                                                 &lm_conditional_accuracy_metric,
                                                 &lm_copying_metric,
                                                 &lm_neighbours_metric,
                                                 &lm_pixel_neighbours_metric,
                                                 &lm_lpips_diversity_metric,
                                                 &lm_mse_metric,
                                                 &lm_psnr_metric,
                                                 &lm_ssim_metric,
                                                 &lm_pair_lpips_metric,
                                                 &lm_likelihood_metric,
                                                 &lm_reconstruction_mse_metric,
                                                 &lm_reconstruction_psnr_metric,
                                                 &lm_reconstruction_ssim_metric,
                                                 &lm_kl_metric,
                                                 &lm_active_units_metric,
                                                 NULL};

enum { METRICS = sizeof lm_eval_metrics / sizeof *lm_eval_metrics };

static const lm_eval_metric *find(const char *name, size_t length) {
    for (int i = 0; lm_eval_metrics[i]; i++) {
        const char *candidate = lm_eval_metrics[i]->name;
        if (strlen(candidate) == length && strncmp(candidate, name, length) == 0)
            return lm_eval_metrics[i];
    }
    return NULL;
}

static lm_status fail_unknown(const char *name, size_t length) {
    char word[64];
    const char *names[METRICS] = {NULL};
    if (length >= sizeof word) length = sizeof word - 1;
    memcpy(word, name, length);
    word[length] = 0;
    for (int i = 0; lm_eval_metrics[i]; i++) names[i] = lm_eval_metrics[i]->name;
    const char *near = lm_nearest(word, names);
    return lm_fail(LM_ARG, "%s: no such metric%s%s", word,
                   near ? "; did you mean " : "; 'limn eval --help' lists them",
                   near ? near : "");
}

static lm_status pick(const char *names, const lm_eval_metric **picked) {
    int n = 0;
    for (const char *at = names; *at;) {
        size_t length = strcspn(at, ",");
        const lm_eval_metric *metric = find(at, length);
        if (!metric) return fail_unknown(at, length);
        bool twice = false;
        for (int i = 0; i < n; i++) twice = twice || picked[i] == metric;
        LM_RETURN_IF(twice, LM_ARG, "%s: named twice", metric->name);
        picked[n++] = metric;
        at += length + (at[length] == ',');
    }
    return n ? LM_OK : lm_fail(LM_ARG, "no metric is named");
}

lm_status lm_eval_metrics_find(const char *names, const lm_eval_metric ***metrics) {
    const lm_eval_metric **picked = lm_calloc(METRICS, sizeof *picked);
    if (!picked) return LM_NOMEM;
    lm_status status = LM_OK;
    if (names)
        status = pick(names, picked);
    else
        memcpy(picked, lm_eval_metrics, sizeof lm_eval_metrics);
    if (status == LM_OK)
        *metrics = picked;
    else
        lm_free(picked);
    return status;
}

bool lm_eval_is_better(const lm_eval_metric *metric, double value, double than) {
    if (isnan(value) || isnan(than)) return !isnan(value);
    return metric->better == LM_BETTER_LOW ? value < than : value > than;
}

bool lm_eval_is_quick(const lm_eval_metric *metric, int dim) {
    return metric->quick_dim == 0 || dim <= metric->quick_dim;
}

const char *lm_eval_hindrance(const lm_eval_context *context,
                              const lm_eval_metric *metric) {
    int classes = context->extractor->classes;
    int shown = (metric->needs & LM_NEED_CLASSES) && context->by_labels
                    ? context->reference->source.classes
                    : classes;
    const struct {
        unsigned need;
        bool there;
        const char *why;
    } rows[] = {
        {LM_NEED_LOGITS, classes > 0, "the extractor has no classes"},
        {LM_NEED_LABELS, context->generated->source.classes > 0, "images have no labels"},
        {LM_NEED_LABELS,
         context->generated->source.classes == context->extractor->classes,
         "labels are not the extractor's classes"},
        {LM_NEED_REFERENCE, context->reference, "there is no reference"},
        {LM_NEED_IMAGES, context->reference && context->reference->side.source,
         "the reference has statistics, no images"},
        {LM_NEED_TRAIN, context->train, "there are no training images"},
        {LM_NEED_TEST, context->test, "there are no held-out images"},
        {LM_NEED_CLASSES, shown > 0, "there are neither labels nor a judge"},
        {LM_NEED_FEW_CLASSES, shown <= LM_EVAL_CLASSES, "there are too many classes"},
        {LM_NEED_PAIRS, context->pairs, "images have no pairs; see --pairs"},
        {LM_NEED_LPIPS, context->lpips, "there is no LPIPS network; see --lpips"},
        {LM_NEED_LIKELIHOOD, context->likelihood, "there is no likelihood"},
        {LM_NEED_CODING, context->coding, "there is no encoder"},
        {LM_NEED_POSTERIOR, context->coding && context->coding->has_posterior,
         "codes have no posterior"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if ((metric->needs & rows[i].need) && !rows[i].there) return rows[i].why;
    if (!context->spec->metrics && !lm_eval_is_quick(metric, context->extractor->dim))
        return "takes long with so many features; ask for it by name";
    return metric->hindrance ? metric->hindrance(context) : NULL;
}
