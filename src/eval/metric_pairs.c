/* Reconstructions beside what they were made of. */
#include "eval/metric.h"

#include "base/json.h"
#include "base/mem.h"
#include "metrics/pixel_metrics.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

/* ---- by pixels --------------------------------------------------------------- */

/* All three come from one look at the pixels, which is quick. */
static lm_status summarise(lm_eval_context *context, lm_pixel_summary *summary) {
    lm_eval_part *a = context->generated, *b = context->pairs;
    LM_TRY(lm_eval_need_pixels(context, a));
    LM_TRY(lm_eval_need_pixels(context, b));
    int64_t count = a->source.count;
    lm_pixel_error *each = lm_alloc(sizeof *each * (size_t)count);
    if (!each) return LM_NOMEM;
    lm_status status = lm_pixel_compare(a->pixels, b->pixels, count, a->source.height,
                                        a->source.width, a->source.channels, each);
    if (status == LM_OK) status = lm_pixel_summarise(each, count, summary);
    lm_free(each);
    return status;
}

static lm_status measure(lm_eval_context *context, lm_eval_result *result, size_t which,
                         lm_pixel_summary *summary) {
    LM_TRY(summarise(context, summary));
    const lm_estimate *estimate = (const lm_estimate *)((const char *)summary + which);
    result->value = estimate->value;
    result->error = estimate->error;
    result->error_from = "scatter of pairs";
    return LM_OK;
}

static lm_status measure_mse(lm_eval_context *context, lm_eval_result *result) {
    lm_pixel_summary summary;
    return measure(context, result, offsetof(lm_pixel_summary, mse), &summary);
}

static lm_status measure_psnr(lm_eval_context *context, lm_eval_result *result) {
    lm_pixel_summary summary;
    LM_TRY(measure(context, result, offsetof(lm_pixel_summary, psnr), &summary));
    if (summary.equal)
        snprintf(result->note, sizeof result->note,
                 "%" PRId64 " equal pairs left out, which are infinite", summary.equal);
    return LM_OK;
}

static lm_status measure_ssim(lm_eval_context *context, lm_eval_result *result) {
    lm_pixel_summary summary;
    LM_TRY(lm_json_put(result->protocol, "window", json_string(LM_EVAL_SSIM_WINDOW)));
    return measure(context, result, offsetof(lm_pixel_summary, ssim), &summary);
}

const lm_eval_metric lm_mse_metric = {
    .name = "mse",
    .help = "of pairs: mean squared difference of pixels, 0 to 255",
    .needs = LM_NEED_PAIRS,
    .better = LM_BETTER_LOW,
    .digits = 3,
    .measure = measure_mse};

const lm_eval_metric lm_psnr_metric = {
    .name = "psnr",
    .help = "of pairs: peak signal to noise, in dB, the mean of images",
    .needs = LM_NEED_PAIRS,
    .better = LM_BETTER_HIGH,
    .digits = 2,
    .measure = measure_psnr};

const lm_eval_metric lm_ssim_metric = {
    .name = "ssim",
    .help = "of pairs: structural similarity, 1 for equal images",
    .paper = "Wang et al. 2004",
    .needs = LM_NEED_PAIRS,
    .better = LM_BETTER_HIGH,
    .digits = 4,
    .measure = measure_ssim};

/* ---- by LPIPS ---------------------------------------------------------------- */

static lm_lpips_images images_of(const lm_eval_part *part) {
    return (lm_lpips_images){.pixels = part->pixels,
                             .count = part->source.count,
                             .height = part->source.height,
                             .width = part->source.width,
                             .channels = part->source.channels};
}

static lm_status measure_lpips(lm_eval_context *context, lm_eval_result *result) {
    lm_eval_part *a = context->generated, *b = context->pairs;
    LM_TRY(lm_eval_need_pixels(context, a));
    LM_TRY(lm_eval_need_pixels(context, b));
    LM_TRY(lm_eval_name_network(context, result));
    size_t count = (size_t)a->source.count;
    float *each = lm_alloc(sizeof *each * count);
    double *values = lm_alloc(sizeof *values * count);
    lm_lpips_images from = images_of(a), to = images_of(b);
    lm_status status = each && values ? lm_lpips_pairs(context->lpips, &from, &to,
                                                       &context->within, each)
                                      : LM_NOMEM;
    if (status == LM_OK) {
        for (size_t i = 0; i < count; i++) values[i] = (double)each[i];
        lm_estimate mean = lm_estimate_mean(values, (int64_t)count);
        result->value = mean.value;
        result->error = mean.error;
        result->error_from = "scatter of pairs";
    }
    lm_free(each);
    lm_free(values);
    return status;
}

const lm_eval_metric lm_pair_lpips_metric = {
    .name = "lpips",
    .help = "of pairs: distance as LPIPS sees it, 0 for equal images",
    .paper = "Zhang et al. 2018, arXiv:1801.03924",
    .needs = LM_NEED_PAIRS | LM_NEED_LPIPS,
    .better = LM_BETTER_LOW,
    .digits = 4,
    .measure = measure_lpips};
