/* Noise schedules, sampling times and the sampler's numbers. */
#include "testing.h"

#include "base/mem.h"
#include "families/ddpm.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static void check_near(double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance * fmax(1e-3, fabs(want))))
        fail_msg("got %.15g, wanted %.15g", got, want);
}

static void test_linear_levels(void **state) {
    static double bar[1000], few[250];
    lm_alpha_bars(LM_BETA_LINEAR, 1000, bar);
    long double product = 1;
    for (int t = 0; t < 1000; t++) {
        product *= 1 - (1e-4L + (0.02L - 1e-4L) * t / 999);
        check_near(bar[t], (double)product, 1e-12);
    }
    check_near(bar[0], 0.9999, 1e-12);
    check_near(bar[999], 4.035829765375676e-5, 1e-12); /* numpy's cumprod */
    lm_alpha_bars(LM_BETA_LINEAR, 250, few);
    check_near(few[0], 1 - 4e-4, 1e-12);
    check_near(few[249] / few[248], 1 - 0.08, 1e-12);
}

static void test_cosine_levels(void **state) {
    static double bar[1000];
    lm_alpha_bars(LM_BETA_COSINE, 1000, bar);
    const double pi = acos(-1.0), start = pow(cos(0.008 / 1.008 * pi / 2), 2);
    for (int t = 0; t < 999; t++) {
        double level = pow(cos(((t + 1) / 1000.0 + 0.008) / 1.008 * pi / 2), 2);
        check_near(bar[t], level / start, 1e-9);
        assert_true(t == 0 || bar[t] < bar[t - 1]);
    }
    check_near(bar[999] / bar[998], 0.001, 1e-9); /* clipped: beta at most 0.999 */
}

static void test_single_level(void **state) {
    double bar;
    lm_alpha_bars(LM_BETA_LINEAR, 1, &bar);
    assert_true(bar > 0 && bar < 1);
    lm_alpha_bars(LM_BETA_COSINE, 1, &bar);
    assert_true(bar > 0 && bar < 1);
}

static void check_times(lm_spacing spacing, int timesteps, int steps, int n,
                        const int *at, const int *want) {
    int times[1000];
    lm_spaced_times(spacing, timesteps, steps, times);
    for (int i = 0; i < n; i++) {
        int k = at[i] < 0 ? steps + at[i] : at[i];
        if (times[k] != want[i])
            fail_msg("spacing %d, %d of %d: times[%d] is %d, wanted %d", (int)spacing,
                     steps, timesteps, k, times[k], want[i]);
    }
}

#define TIMES(SPACING, T, S, ...)                                                        \
    check_times(LM_SPACING_##SPACING, T, S, 4, (const int[]){0, 1, 2, -1},               \
                (const int[]){__VA_ARGS__})

static void test_times(void **state) {
    TIMES(LEADING, 1000, 50, 1, 21, 41, 981);   /* latent diffusion */
    TIMES(LEADING, 1000, 30, 1, 34, 67, 958);   /* 30 does not divide 1000 */
    TIMES(LEADING, 1000, 1000, 0, 1, 2, 999);   /* no offset: 1000 is no level */
    TIMES(TRAILING, 1000, 50, 19, 39, 59, 999); /* Lin et al. 2023, table 2 */
    TIMES(TRAILING, 1000, 1000, 0, 1, 2, 999);
    TIMES(LINSPACE, 1000, 50, 0, 20, 41, 999);  /* 20.39, 40.78 */
    TIMES(LINSPACE, 1000, 5, 0, 250, 500, 999); /* 249.75, 499.5 to even */
    TIMES(QUAD, 1000, 10, 0, 9, 39, 800);       /* 9.88, 39.5 */
    TIMES(QUAD, 1000, 50, 0, 1, 2, 800);        /* 0, 0.33, 1.33, 3.0: none twice */
}

static void test_times_ascend(void **state) {
    int times[128];
    for (int spacing = 0; spacing <= LM_SPACING_QUAD; spacing++)
        for (int T = 1; T <= 101; T += 4)
            for (int steps = 1; steps <= T; steps++) {
                lm_spaced_times((lm_spacing)spacing, T, steps, times);
                assert_true(times[0] >= 0 && times[steps - 1] < T);
                for (int i = 1; i < steps; i++) assert_true(times[i] > times[i - 1]);
            }
}

/* ---- the sampler ------------------------------------------------------------- */

static lm_model *open_model(const char *more) {
    lm_settings settings;
    lm_model *model;
    lm_image_info info = {8, 8, 1, 0};
    CHECK_OK(lm_settings_init(&settings, lm_family_ddpm.options));
    CHECK_OK(lm_settings_apply(&settings, "base=2 mult=1 blocks=1 attention=0"));
    CHECK_OK(lm_settings_apply(&settings, more));
    CHECK_OK(lm_model_open(&lm_family_ddpm, &settings, &info, &model));
    return model;
}

static lm_sampler make(const char *settings, const char *name, int steps, double eta) {
    lm_model *model = open_model(settings);
    lm_sample_request request = {
        .steps = steps, .eta = eta, .sampler = name, .label = -1};
    lm_sampler sampler;
    CHECK_OK(lm_ddpm_sampler(model, &request, &sampler));
    lm_model_close(model);
    return sampler;
}

static const float *numbers(const lm_sampler *sampler, int step) {
    return sampler->scalars + (size_t)step * LM_DDPM_SCALARS;
}

/* Ho et al. 2020, eq. 6 and 7, in their own terms. */
static void test_ancestral_posterior(void **state) {
    static double bar[1000];
    lm_alpha_bars(LM_BETA_LINEAR, 1000, bar);
    lm_sampler sampler = make("variance=small", "ddpm", 1000, -1);
    lm_sampler large = make("variance=large", "ddpm", 1000, -1);
    lm_sampler ddim = make("", "ddim", 1000, 1.0);
    assert_int_equal(sampler.n_steps, 1000);
    for (int step = 0; step < 1000; step++) {
        int t = 999 - step;
        double last = t > 0 ? bar[t - 1] : 1, alpha = bar[t] / last, beta = 1 - alpha;
        double variance = (1 - last) / (1 - bar[t]) * beta;
        const float *got = numbers(&sampler, step);
        assert_int_equal((int)got[LM_DDPM_T], t);
        check_near(got[LM_DDPM_X0_FROM_X], 1 / sqrt(bar[t]), 1e-6);
        check_near(got[LM_DDPM_X0_FROM_PREDICTION], sqrt(1 - bar[t]) / sqrt(bar[t]),
                   1e-6);
        check_near(got[LM_DDPM_NEXT_FROM_X0], sqrt(last) * beta / (1 - bar[t]), 1e-6);
        check_near(got[LM_DDPM_NEXT_FROM_X], sqrt(alpha) * (1 - last) / (1 - bar[t]),
                   1e-6);
        check_near(got[LM_DDPM_NOISE], sqrt(variance), 1e-6);
        check_near(numbers(&large, step)[LM_DDPM_NOISE], t > 0 ? sqrt(beta) : 0, 1e-6);
        assert_memory_equal(got, numbers(&ddim, step), LM_DDPM_SCALARS * sizeof *got);
    }
    lm_sampler_release(&ddim);
    lm_sampler_release(&large);
    lm_sampler_release(&sampler);
}

/* Whatever is predicted, the exact prediction leads back to x0: with v = sqrt(bar) eps -
 * sqrt(1 - bar) x0, and x = sqrt(bar) x0 + sqrt(1 - bar) eps. Nothing else differs. */
static void test_velocity(void **state) {
    static double bar[1000];
    const double x0 = -0.7, eps = 1.3;
    lm_alpha_bars(LM_BETA_COSINE, 1000, bar);
    lm_sampler noise = make("schedule=cosine", "ddim", 50, 0.5);
    lm_sampler v = make("schedule=cosine predict=v", "ddim", 50, 0.5);
    for (int step = 0; step < 50; step++) {
        const float *got = numbers(&v, step), *other = numbers(&noise, step);
        double a = bar[(int)got[LM_DDPM_T]], x = sqrt(a) * x0 + sqrt(1 - a) * eps;
        double velocity = sqrt(a) * eps - sqrt(1 - a) * x0;
        check_near(got[LM_DDPM_X0_FROM_X] * x -
                       got[LM_DDPM_X0_FROM_PREDICTION] * velocity,
                   x0, 1e-6);
        assert_float_equal(got[LM_DDPM_T], other[LM_DDPM_T], 0);
        for (int i = LM_DDPM_NEXT_FROM_X0; i < LM_DDPM_SCALARS; i++)
            assert_float_equal(got[i], other[i], 0);
    }
    lm_sampler_release(&v);
    lm_sampler_release(&noise);
}

/* Without noise, x' = sqrt(next) x0 + sqrt(1 - next) eps for any x0 and eps; the last
 * step gives x0. */
static void test_implicit(void **state) {
    static double bar[400];
    lm_alpha_bars(LM_BETA_COSINE, 400, bar);
    lm_sampler sampler =
        make("timesteps=400 schedule=cosine spacing=linspace", "ddim", 7, 0);
    int times[7];
    lm_spaced_times(LM_SPACING_LINSPACE, 400, 7, times);
    for (int step = 0; step < 7; step++) {
        const float *got = numbers(&sampler, step);
        int i = 6 - step;
        double now = bar[times[i]], next = i > 0 ? bar[times[i - 1]] : 1;
        double x0 = 0.3, eps = -1.2, x = sqrt(now) * x0 + sqrt(1 - now) * eps;
        assert_int_equal((int)got[LM_DDPM_T], times[i]);
        check_near(got[LM_DDPM_NEXT_FROM_X0] * x0 + got[LM_DDPM_NEXT_FROM_X] * x,
                   sqrt(next) * x0 + sqrt(1 - next) * eps, 1e-6);
        assert_true(got[LM_DDPM_NOISE] == 0);
    }
    const float *last = numbers(&sampler, 6);
    assert_true(last[LM_DDPM_NEXT_FROM_X0] == 1 && last[LM_DDPM_NEXT_FROM_X] == 0);
    lm_sampler_release(&sampler);
}

/* Every sampler ends with x0 itself, whatever its noise was. */
static void test_last_step(void **state) {
    static const char *const names[] = {"ddpm", "ddim"};
    for (int i = 0; i < 2; i++) {
        lm_sampler sampler = make("variance=large", names[i], 13, 1.0);
        const float *last = numbers(&sampler, 12);
        assert_true(last[LM_DDPM_NOISE] == 0);
        assert_true(last[LM_DDPM_NEXT_FROM_X0] == 1 && last[LM_DDPM_NEXT_FROM_X] == 0);
        lm_sampler_release(&sampler);
    }
}

static void test_protocol(void **state) {
    const struct {
        const char *settings, *name;
        int steps;
        double eta;
        int n_steps;
        const char *protocol;
    } rows[] = {
        {"", NULL, 0, -1, 50, "ddim steps=50 eta=0 spacing=trailing clip-x0=yes"},
        {"timesteps=20", NULL, 0, 0.5, 20,
         "ddim steps=20 eta=0.5 spacing=trailing clip-x0=yes"},
        {"sampler=ddpm clip-x0=false", NULL, 0, -1, 1000,
         "ddpm steps=1000 variance=small spacing=trailing clip-x0=no"},
        {"sample-steps=10 eta=1 spacing=quad", NULL, 0, -1, 10,
         "ddim steps=10 eta=1 spacing=quad clip-x0=yes"},
        {"sample-steps=10 variance=large", "ddpm", 5, -1, 5,
         "ddpm steps=5 variance=large spacing=trailing clip-x0=yes"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        lm_sampler sampler =
            make(rows[i].settings, rows[i].name, rows[i].steps, rows[i].eta);
        assert_string_equal(sampler.protocol, rows[i].protocol);
        assert_int_equal(sampler.n_steps, rows[i].n_steps);
        assert_int_equal(sampler.nfe, rows[i].n_steps);
        assert_int_equal(sampler.n_scalars, LM_DDPM_SCALARS);
        assert_true(lm_shape_equal(sampler.state, LM_SHAPE(8, 8, 1)));
        lm_sampler_release(&sampler);
    }
}

static void test_bad_requests(void **state) {
    const struct {
        lm_sample_request request;
        const char *says;
    } rows[] = {{{.steps = 1001, .label = -1}, "1001"},
                {{.steps = -1, .label = -1}, "sample-steps"},
                {{.eta = 1.5, .label = -1}, "eta"},
                {{.sampler = "euler", .label = -1}, "euler is not one of"},
                {{.label = 3}, "class"},
                {{.label = -1, .guidance = 2}, "guidance"}};
    lm_model *model = open_model("");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        lm_sampler sampler;
        CHECK_FAILS(lm_ddpm_sampler(model, &rows[i].request, &sampler), LM_ARG);
        assert_non_null(strstr(lm_message(), rows[i].says));
        assert_null(sampler.scalars);
    }
    lm_model_close(model);
}

static lm_model *open_conditional(const char *more) {
    lm_settings settings;
    lm_model *model;
    lm_image_info info = {8, 8, 1, 10};
    CHECK_OK(lm_settings_init(&settings, lm_family_ddpm.options));
    CHECK_OK(lm_settings_apply(&settings, "base=2 mult=1 blocks=1 attention=0 "
                                          "conditional=true"));
    CHECK_OK(lm_settings_apply(&settings, more));
    CHECK_OK(lm_model_open(&lm_family_ddpm, &settings, &info, &model));
    return model;
}

/* Guidance is a number more in each row, and twice the work. */
static void test_guidance(void **state) {
    static const struct {
        double setting, request;
        const char *says;
        int per_step, scalars;
    } rows[] = {{1, 0, "guidance=1 (w=0)", 1, LM_DDPM_SCALARS},
                {3, 0, "guidance=3 (w=2)", 2, LM_DDPM_SCALARS + 1},
                {3, 1, "guidance=1 (w=0)", 1, LM_DDPM_SCALARS},
                {1, 0.5, "guidance=0.5 (w=-0.5)", 2, LM_DDPM_SCALARS + 1}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char settings[64];
        snprintf(settings, sizeof settings, "guidance=%g", rows[i].setting);
        lm_model *model = open_conditional(settings);
        lm_sample_request request = {.steps = 5,
                                     .eta = 0.5,
                                     .sampler = "ddim",
                                     .label = 9,
                                     .guidance = rows[i].request};
        lm_sampler sampler;
        CHECK_OK(lm_ddpm_sampler(model, &request, &sampler));
        assert_non_null(strstr(sampler.protocol, rows[i].says));
        assert_int_equal(sampler.nfe, 5 * rows[i].per_step);
        assert_int_equal(sampler.n_scalars, rows[i].scalars);
        lm_sampler plain = make("", "ddim", 5, 0.5);
        double scale = rows[i].request > 0 ? rows[i].request : rows[i].setting;
        for (int step = 0; step < 5; step++) {
            const float *row = sampler.scalars + (size_t)step * sampler.n_scalars;
            assert_memory_equal(row, numbers(&plain, step),
                                LM_DDPM_SCALARS * sizeof *row);
            if (rows[i].per_step == 2) check_near(row[LM_DDPM_GUIDANCE], scale, 1e-7);
        }
        lm_sampler_release(&plain);
        lm_sampler_release(&sampler);
        lm_model_close(model);
    }
}

static void test_bad_classes(void **state) {
    lm_model *model = open_conditional("label-drop=0");
    lm_sample_request outside = {.label = 10}, blind = {.label = 3, .guidance = 2},
                      negative = {.label = 3, .guidance = -1};
    lm_sampler sampler;
    CHECK_FAILS(lm_ddpm_sampler(model, &outside, &sampler), LM_ARG);
    assert_non_null(strstr(lm_message(), "class: 10 is not within 0 and 9"));
    CHECK_FAILS(lm_ddpm_sampler(model, &blind, &sampler), LM_ARG);
    assert_non_null(strstr(lm_message(), "label-drop=0"));
    CHECK_FAILS(lm_ddpm_sampler(model, &negative, &sampler), LM_ARG);
    lm_model_close(model);
    lm_settings settings;
    lm_image_info unlabelled = {8, 8, 1, 0};
    CHECK_OK(lm_settings_init(&settings, lm_family_ddpm.options));
    CHECK_OK(lm_settings_apply(&settings, "base=2 attention=0 conditional=true"));
    CHECK_FAILS(lm_model_open(&lm_family_ddpm, &settings, &unlabelled, &model), LM_ARG);
    assert_non_null(strstr(lm_message(), "conditional"));
}

static void test_out_of_memory(void **state) {
    lm_model *model = open_model("");
    lm_sample_request request = {.eta = 0, .label = -1};
    int64_t before = lm_mem_get_stats().blocks, n = 0;
    lm_status status;
    do {
        lm_sampler sampler;
        lm_mem_fail_at(++n, 0);
        status = lm_ddpm_sampler(model, &request, &sampler);
        lm_mem_fail_at(0, 0);
        assert_true(status == LM_OK || status == LM_NOMEM);
        lm_sampler_release(&sampler);
        assert_int_equal(lm_mem_get_stats().blocks, before);
    } while (status != LM_OK);
    lm_model_close(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear_levels), cmocka_unit_test(test_cosine_levels),
        cmocka_unit_test(test_single_level),  cmocka_unit_test(test_times),
        cmocka_unit_test(test_times_ascend),  cmocka_unit_test(test_ancestral_posterior),
        cmocka_unit_test(test_velocity),      cmocka_unit_test(test_implicit),
        cmocka_unit_test(test_last_step),     cmocka_unit_test(test_protocol),
        cmocka_unit_test(test_bad_requests),  cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_guidance),      cmocka_unit_test(test_bad_classes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
