/* Importance sampling where the truth is known: a decoder that knows one distribution,
 * whatever its code, so that every posterior leads to the same probability. */
#include "testing.h"

#include "families/opening.h"
#include "families/vae.h"
#include "train/importance.h"

#include <math.h>
#include <string.h>

enum { SIDE = 3, PIXELS = SIDE * SIDE, IMAGES = 40 };

static lm_status read_images(const lm_image_source *source, int64_t first, int64_t count,
                             uint8_t *pixels, int32_t *labels) {
    for (int64_t i = 0; i < count * PIXELS; i++)
        pixels[i] = (first * PIXELS + i) % 3 ? 0 : 255;
    for (int64_t i = 0; labels && i < count; i++) labels[i] = -1;
    return LM_OK;
}

static const lm_image_source source = {.name = "stripes",
                                       .count = IMAGES,
                                       .height = SIDE,
                                       .width = SIDE,
                                       .channels = 1,
                                       .read = read_images};

/* All weights zero, but the biases of the posterior and the decoder. */
static void open_biased(const char *text, float mean, float logit,
                        lm_opened_run *opened) {
    const lm_image_info info = {SIDE, SIDE, 1, 0};
    *opened = (lm_opened_run){.raw = true};
    CHECK_OK(open_model(&lm_family_vae, text, "", info, &opened->model));
    const lm_params *group = opened->model->groups[0];
    CHECK_OK(lm_engine_new("cpu", &opened->engine));
    CHECK_OK(lm_engine_add_var(opened->engine, group->name, group->count));
    const lm_param_slice *posterior = lm_params_find(group, "encoder.posterior.bias");
    const lm_param_slice *out = lm_params_find(group, "decoder.out.bias");
    float bias[PIXELS];
    for (int i = 0; i < PIXELS; i++) bias[i] = logit;
    CHECK_OK(lm_engine_write_var(opened->engine, group->name, posterior->offset, 1,
                                 LM_F32, &mean));
    CHECK_OK(lm_engine_write_var(opened->engine, group->name, out->offset, out->count,
                                 LM_F32, bias));
}

/* Three of nine pixels are white in every image. */
static double true_nats(double logit) {
    double p = 1 / (1 + exp(-logit));
    return -3 * log(p) - 6 * log(1 - p);
}

#define BINARY "net=mlp hidden=4 latent=2 likelihood=bernoulli"

static double worst_error(const lm_opened_run *opened, int samples, double truth) {
    lm_importance *importance;
    double nats[IMAGES], worst = 0;
    CHECK_OK(lm_importance_new(opened, samples, 7, &importance));
    CHECK_OK(lm_importance_measure(importance, &source, 0, IMAGES, nats));
    for (int i = 0; i < IMAGES; i++) worst = fmax(worst, fabs(nats[i] - truth));
    lm_importance_free(importance);
    return worst;
}

static void samples_find_the_probability(void **state) {
    lm_opened_run opened;
    open_biased(BINARY, 0, 0.7F, &opened);
    assert_true(worst_error(&opened, 1, true_nats(0.7F)) < 1e-4);
    lm_run_close(&opened);
    /* A posterior that is off: single weights differ, their mean does not. */
    open_biased(BINARY, 0.8F, 0.7F, &opened);
    double few = worst_error(&opened, 2, true_nats(0.7F));
    double many = worst_error(&opened, 2000, true_nats(0.7F));
    assert_true(few > 0.2);
    assert_true(many < 0.1);
    lm_run_close(&opened);
}

static void units_and_errors(void **state) {
    lm_opened_run opened;
    lm_importance *importance;
    double mean, error;
    open_biased(BINARY, 0, 0.7F, &opened);
    CHECK_OK(lm_importance_new(&opened, 20, 7, &importance));
    lm_eval_likelihood likelihood = lm_importance_likelihood(importance);
    assert_string_equal(likelihood.unit, "nats, 20 importance samples");
    CHECK_OK(likelihood.measure(likelihood.user, &source, NULL, &mean, &error));
    assert_true(fabs(mean - true_nats(0.7F)) < 1e-4 && error >= 0 && error < 1e-4);
    lm_importance_free(importance);
    lm_run_close(&opened);
    open_biased("net=mlp hidden=4 latent=2 likelihood=logistic", 0, 0, &opened);
    CHECK_OK(lm_importance_new(&opened, 1, 7, &importance));
    likelihood = lm_importance_likelihood(importance);
    assert_string_equal(likelihood.unit, "bits/dim, 1 importance samples");
    CHECK_OK(likelihood.measure(likelihood.user, &source, NULL, &mean, &error));
    assert_true(mean > 1 && mean < 16);
    lm_importance_free(importance);
    lm_run_close(&opened);
}

static void wrong_use_is_refused(void **state) {
    lm_opened_run opened;
    lm_importance *importance;
    double nats[1];
    open_biased(BINARY, 0, 0, &opened);
    CHECK_FAILS(lm_importance_new(&opened, 0, 7, &importance), LM_ARG);
    CHECK_OK(lm_importance_new(&opened, 3, 7, &importance));
    lm_image_source wide = source;
    wide.width = 4;
    CHECK_FAILS(lm_importance_measure(importance, &wide, 0, 1, nats), LM_MISMATCH);
    CHECK_FAILS(lm_importance_measure(importance, &source, IMAGES, 1, nats), LM_ARG);
    lm_importance_free(importance);
    lm_run_close(&opened);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_find_the_probability),
        cmocka_unit_test(units_and_errors),
        cmocka_unit_test(wrong_use_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
