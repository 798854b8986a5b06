/* What a model's codes keep of images that it has not seen, and what they cost. */
#include "base/json.h"
#include "eval/metric.h"
#include "families/family.h"

#include <math.h>
#include <stdio.h>

static lm_status look(lm_eval_context *context, lm_eval_coding_numbers *numbers,
                      lm_eval_result *result) {
    const lm_eval_coding *coding = context->coding;
    LM_TRY(
        coding->measure(coding->user, &context->test->source, &context->within, numbers));
    result->n = context->test->source.count;
    result->error_from = "scatter of images";
    return LM_OK;
}

static void take(lm_eval_result *result, lm_estimate estimate) {
    result->value = estimate.value;
    result->error = estimate.error;
}

static lm_status measure_mse(lm_eval_context *context, lm_eval_result *result) {
    lm_eval_coding_numbers numbers;
    LM_TRY(look(context, &numbers, result));
    take(result, numbers.pixels.mse);
    snprintf(result->note, sizeof result->note, "values 0 to 255");
    return LM_OK;
}

static lm_status measure_psnr(lm_eval_context *context, lm_eval_result *result) {
    lm_eval_coding_numbers numbers;
    LM_TRY(look(context, &numbers, result));
    take(result, numbers.pixels.psnr);
    snprintf(result->note, sizeof result->note, "dB");
    return LM_OK;
}

static lm_status measure_ssim(lm_eval_context *context, lm_eval_result *result) {
    lm_eval_coding_numbers numbers;
    LM_TRY(lm_json_put(result->protocol, "window", json_string(LM_EVAL_SSIM_WINDOW)));
    LM_TRY(look(context, &numbers, result));
    take(result, numbers.pixels.ssim);
    return LM_OK;
}

static lm_status measure_kl(lm_eval_context *context, lm_eval_result *result) {
    lm_eval_coding_numbers numbers;
    LM_TRY(lm_json_put(result->protocol, "unit", json_string("nats")));
    LM_TRY(look(context, &numbers, result));
    take(result, numbers.kl);
    snprintf(result->note, sizeof result->note, "nats an image");
    return LM_OK;
}

static lm_status measure_active(lm_eval_context *context, lm_eval_result *result) {
    lm_eval_coding_numbers numbers;
    char rule[48];
    snprintf(rule, sizeof rule, "variance of means above %g", LM_ACTIVE_VARIANCE);
    LM_TRY(lm_json_put(result->protocol, "estimator", json_string(rule)));
    LM_TRY(look(context, &numbers, result));
    result->value = (double)numbers.active;
    result->error_from = "";
    snprintf(result->note, sizeof result->note, "of %lld units",
             (long long)numbers.units);
    return LM_OK;
}

const lm_eval_metric lm_reconstruction_mse_metric = {
    .name = "reconstruction_mse",
    .help = "of held-out images, encoded and decoded: mean squared difference, 0 to 255",
    .needs = LM_NEED_CODING | LM_NEED_TEST,
    .better = LM_BETTER_LOW,
    .digits = 2,
    .measure = measure_mse};

const lm_eval_metric lm_reconstruction_psnr_metric = {
    .name = "reconstruction_psnr",
    .help = "the same as peak signal to noise, in dB, the mean of images",
    .needs = LM_NEED_CODING | LM_NEED_TEST,
    .better = LM_BETTER_HIGH,
    .digits = 2,
    .measure = measure_psnr};

const lm_eval_metric lm_reconstruction_ssim_metric = {
    .name = "reconstruction_ssim",
    .help = "the same as structural similarity, 1 for equal images",
    .paper = "Wang et al. 2004",
    .needs = LM_NEED_CODING | LM_NEED_TEST,
    .better = LM_BETTER_HIGH,
    .digits = 4,
    .measure = measure_ssim};

const lm_eval_metric lm_kl_metric = {
    .name = "kl",
    .help = "divergence of held-out images' posteriors from the prior, nats an image",
    .paper = "Kingma, Welling 2014",
    .needs = LM_NEED_CODING | LM_NEED_POSTERIOR | LM_NEED_TEST,
    .better = LM_BETTER_NEITHER,
    .digits = 2,
    .measure = measure_kl};

const lm_eval_metric lm_active_units_metric = {
    .name = "active_units",
    .help = "units of a code whose posterior mean varies over held-out images",
    .paper = "Burda, Grosse, Salakhutdinov 2016",
    .needs = LM_NEED_CODING | LM_NEED_POSTERIOR | LM_NEED_TEST,
    .better = LM_BETTER_NEITHER,
    .digits = 0,
    .measure = measure_active};
