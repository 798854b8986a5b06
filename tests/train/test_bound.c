/* The variational bound where the truth is known: a network that says nothing leaves
 * sums that can be worked out by hand. */
#include "testing.h"

#include "families/ddpm.h"
#include "families/opening.h"
#include "families/vae.h"
#include "train/bound.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SIDE = 3, PIXELS = SIDE * SIDE, IMAGES = 960, STEPS = 20 };

/* Exact values, by mpmath with 60 digits. */
static void mass_of_a_byte(void **state) {
    static const struct {
        uint8_t byte;
        double mean, deviation, log_mass;
    } rows[] = {
        {128, 0.0, 0.01, -1.2602893038887105},   {100, -0.2, 0.05, -2.8214584683942883},
        {0, -1.0, 0.02, -0.5486562443384672},    {0, 0.9, 0.02, -4499.3626329348056},
        {255, 1.0, 0.004, -0.17846455247635603}, {255, 0.5, 0.01, -1235.2925437845793},
        {10, 0.9, 0.05, -665.2844233183491},     {200, -0.9, 0.01, -10732.722418781868},
        {127, 0.25, 0.002, -7818.2473162602699}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double got = lm_discrete_normal(rows[i].byte, rows[i].mean, rows[i].deviation);
        if (!(fabs(got / rows[i].log_mass - 1) < 1e-6))
            fail_msg("row %zu: %.12g, wanted %.12g", i, got, rows[i].log_mass);
    }
    /* All bytes together are certain. */
    double sum = 0;
    for (int byte = 0; byte < 256; byte++)
        sum += exp(lm_discrete_normal((uint8_t)byte, 0.37, 0.11));
    assert_true(fabs(sum - 1) < 1e-12);
}

static lm_status read_images(const lm_image_source *source, int64_t first, int64_t count,
                             uint8_t *pixels, int32_t *labels) {
    for (int64_t i = 0; i < count * PIXELS; i++) pixels[i] = (uint8_t)(i % PIXELS * 31);
    for (int64_t i = 0; labels && i < count; i++) labels[i] = -1;
    return LM_OK;
}

static const lm_image_source source = {.name = "ramps",
                                       .count = IMAGES,
                                       .height = SIDE,
                                       .width = SIDE,
                                       .channels = 1,
                                       .read = read_images};

/* All weights are zero, so that the network says 0. */
static void open_zero(const char *more, lm_opened_run *opened) {
    const lm_image_info info = {SIDE, SIDE, 1, 0};
    *opened = (lm_opened_run){.raw = true};
    CHECK_OK(open_model(&lm_family_ddpm,
                        "base=2 mult=1 blocks=1 attention=0 timesteps=20 clip-x0=false",
                        more, info, &opened->model));
    const lm_params *group = opened->model->groups[0];
    CHECK_OK(lm_engine_new("cpu", &opened->engine));
    CHECK_OK(lm_engine_add_var(opened->engine, group->name, group->count));
}

/* The mean over z of -log of the byte's mass around guess + spread z. */
static double decoder_nats(uint8_t byte, double guess, double spread, double deviation) {
    enum { POINTS = 4001 };
    double sum = 0, weights = 0;
    for (int i = 0; i < POINTS; i++) {
        double z = -8 + 16.0 * i / (POINTS - 1), weight = exp(-z * z / 2);
        sum -= weight * lm_discrete_normal(byte, guess + spread * z, deviation);
        weights += weight;
    }
    return sum / weights;
}

/* Ho et al. 2020, eq. 5 to 8, of guesses x_t / sqrt(a), or sqrt(a) x_t when the velocity
 * is said to be 0. */
static double true_nats(bool v, bool large) {
    double bar[STEPS], nats = 0;
    lm_alpha_bars(LM_BETA_LINEAR, STEPS, bar);
    for (int p = 0; p < PIXELS; p++) {
        double x = p * 31 / 127.5 - 1, last = bar[STEPS - 1];
        nats += 0.5 * (last * x * x + (1 - last) - 1 - log(1 - last));
        for (int t = 0; t < STEPS; t++) {
            int at = t > 0 ? t : 1;
            double now = bar[at], next = bar[at - 1], beta = 1 - now / next;
            double posterior = (1 - next) / (1 - now) * beta;
            double gain = v ? sqrt(bar[t]) : 1 / sqrt(bar[t]);
            double guess = gain * sqrt(bar[t]) * x, spread = gain * sqrt(1 - bar[t]);
            if (t == 0) {
                nats += decoder_nats((uint8_t)(p * 31), guess, spread, sqrt(posterior));
                continue;
            }
            double variance = large ? beta : posterior;
            double from = sqrt(next) * beta / (1 - now);
            double square = (guess - x) * (guess - x) + spread * spread;
            nats += 0.5 * (log(variance / posterior) + posterior / variance - 1);
            nats += from * from * square / (2 * variance);
        }
    }
    return nats;
}

static void the_bound_is_what_it_should_be(void **state) {
    static double nats[IMAGES];
    static const char *const settings[] = {"", "predict=v", "variance=large"};
    static const int terms[] = {0, 5};
    for (int k = 0; k < 6; k++) {
        lm_opened_run opened;
        lm_bound_meter *meter;
        open_zero(settings[k % 3], &opened);
        CHECK_OK(lm_bound_meter_new(&opened, terms[k / 3], 11, &meter));
        CHECK_OK(lm_bound_measure(meter, &source, 0, IMAGES, nats));
        double sum = 0, squares = 0, truth = true_nats(k % 3 == 1, k % 3 == 2);
        for (int i = 0; i < IMAGES; i++) {
            sum += nats[i];
            squares += nats[i] * nats[i];
        }
        double mean = sum / IMAGES;
        double error = sqrt((squares / IMAGES - mean * mean) / IMAGES);
        if (!(fabs(mean - truth) < 4 * error) || !(error < 0.1 * truth))
            fail_msg("%s, %d terms: %g +- %g, wanted %g", settings[k % 3], terms[k / 3],
                     mean, error, truth);
        lm_eval_likelihood likelihood = lm_bound_likelihood(meter);
        double bits, bits_error;
        CHECK_OK(likelihood.measure(likelihood.user, &source, NULL, &bits, &bits_error));
        assert_true(fabs(bits * PIXELS * log(2) / mean - 1) < 1e-9);
        assert_true(fabs(bits_error * PIXELS * log(2) / error - 1) < 1e-3);
        assert_non_null(strstr(likelihood.unit, "bits/dim, bound by 1+"));
        lm_bound_meter_free(meter);
        lm_run_close(&opened);
    }
}

/* Guesses within [-1,1] are never worse for an image that is. */
static void clipping_helps(void **state) {
    double free_nats[64], clipped[64], free_sum = 0, clipped_sum = 0;
    lm_opened_run opened;
    lm_bound_meter *meter;
    for (int k = 0; k < 2; k++) {
        open_zero(k ? "clip-x0=true" : "", &opened);
        CHECK_OK(lm_bound_meter_new(&opened, 0, 11, &meter));
        CHECK_OK(lm_bound_measure(meter, &source, 0, 64, k ? clipped : free_nats));
        lm_bound_meter_free(meter);
        lm_run_close(&opened);
    }
    for (int i = 0; i < 64; i++) {
        free_sum += free_nats[i];
        clipped_sum += clipped[i];
    }
    assert_true(clipped_sum < free_sum);
}

static void numbers_are_of_the_index(void **state) {
    double all[100], some[10];
    lm_opened_run opened;
    lm_bound_meter *meter;
    open_zero("", &opened);
    CHECK_OK(lm_bound_meter_new(&opened, 3, 11, &meter));
    CHECK_OK(lm_bound_measure(meter, &source, 0, 100, all));
    CHECK_OK(lm_bound_measure(meter, &source, 45, 10, some));
    for (int i = 0; i < 10; i++) assert_true(fabs(all[45 + i] / some[i] - 1) < 1e-6);
    assert_true(all[1] != all[2]);
    lm_image_source other = source;
    other.width = 4;
    CHECK_FAILS(lm_bound_measure(meter, &other, 0, 1, some), LM_MISMATCH);
    lm_bound_meter_free(meter);
    CHECK_FAILS(lm_bound_meter_new(&opened, -1, 11, &meter), LM_ARG);
    lm_run_close(&opened);
}

static void not_every_family_has_one(void **state) {
    const lm_image_info info = {28, 28, 1, 0};
    lm_opened_run opened = {.raw = true};
    lm_bound_meter *meter;
    CHECK_OK(
        open_model(&lm_family_vae, "net=mlp hidden=4 latent=2", "", info, &opened.model));
    CHECK_FAILS(lm_bound_meter_new(&opened, 0, 1, &meter), LM_UNSUPPORTED);
    lm_run_close(&opened);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mass_of_a_byte),
        cmocka_unit_test(the_bound_is_what_it_should_be),
        cmocka_unit_test(clipping_helps),
        cmocka_unit_test(numbers_are_of_the_index),
        cmocka_unit_test(not_every_family_has_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
