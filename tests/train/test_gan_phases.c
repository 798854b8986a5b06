/* What the programs of a real adversarial pair hold, and what they leave alone; its runs
 * with updates and penalties by rules, stopped anywhere. */
#include "scratch.h"

#include "base/file.h"
#include "base/mem.h"
#include "families/gan.h"
#include "families/opening.h"
#include "train/phases.h"
#include "train/settings.h"
#include "train/trainer.h"

#include <math.h>
#include <string.h>

/* ---- programs ---------------------------------------------------------------- */

enum { DISCRIMINATE, PENALISE, GENERATE };
enum { SIDE = 16, COLOURS = 3, BATCH = 4, BASE = 4, TAPS = 16 };

typedef struct bench {
    lm_model *model;
    lm_settings trainer;
    lm_engine *engine;
    lm_phases phases;
} bench;

/* R1 in a phase of its own, D without norms. Profiles count operations. */
static void bench_init(bench *b, const char *more) {
    const lm_image_info info = {SIDE, SIDE, COLOURS, 0};
    CHECK_OK(open_model(&lm_family_gan, "base=4 z=5 d-norm=none r1=2 penalty-every=4",
                        more, info, &b->model));
    CHECK_OK(lm_settings_init(&b->trainer, lm_trainer_options));
    CHECK_OK(lm_engine_new("cpu", &b->engine));
    CHECK_OK(lm_checkpoint_add_vars(b->model, b->engine));
    CHECK_OK(lm_init_weights(b->model, b->engine, 1));
    CHECK_OK(lm_phases_init(b->model, &b->trainer, BATCH, &b->phases));
    CHECK_OK(lm_phases_compile(&b->phases, b->engine));
    lm_phases_profile(&b->phases, true);
}

static void bench_release(bench *b) {
    lm_phases_release(&b->phases);
    lm_engine_free(b->engine);
    lm_settings_release(&b->trainer);
    lm_model_close(b->model);
}

/* One step of one phase alone. */
static void run_alone(bench *b, int phase) {
    static uint8_t pixels[BATCH * SIDE * SIDE * COLOURS];
    static const int32_t labels[BATCH];
    for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)(i * 97 % 251);
    for (int i = 0; i < b->phases.turns.count; i++)
        if (i != phase) b->phases.turns.rules[i] = (lm_phase_rule){0};
    const lm_step_input input = {.pixels = pixels, .labels = labels};
    CHECK_OK(lm_phases_run(&b->phases, &input));
}

/* Kernels of a kind in a network, and what they multiply and add. */
typedef struct found {
    int count;
    double flops;
} found;

static found look_for(const bench *b, int phase, const char *kind, const char *network) {
    lm_profile_row *rows;
    int n;
    found f = {0};
    CHECK_OK(lm_program_get_profile(b->phases.programs[phase], &rows, &n));
    for (int i = 0; i < n; i++) {
        if (strncmp(rows[i].label, network, strlen(network)) != 0) continue;
        if (kind && strcmp(rows[i].kind, kind) != 0) continue;
        f.count++;
        f.flops += rows[i].flops;
    }
    lm_free(rows);
    return f;
}

static float *read_var(const bench *b, const char *name, int64_t *count) {
    *count = lm_engine_var_count(b->engine, name);
    assert_true(*count > 0);
    float *values = lm_alloc((size_t)*count * sizeof *values);
    assert_non_null(values);
    CHECK_OK(lm_engine_read_var(b->engine, name, 0, *count, LM_F32, values));
    return values;
}

/* Runs a phase, and looks whether any variable of a group has changed. */
static void check_untouched(bench *b, int phase, int group) {
    float *before[LM_GROUP_PARTS] = {NULL};
    char name[LM_GROUP_NAME];
    int64_t count;
    const lm_params *params = b->model->groups[group];
    for (int p = 0; p < LM_GROUP_PARTS; p++)
        if (lm_engine_has_var(b->engine, lm_group_var(params, p, name)))
            before[p] = read_var(b, name, &count);
    run_alone(b, phase);
    for (int p = 0; p < LM_GROUP_PARTS; p++) {
        if (!before[p]) continue;
        float *after = read_var(b, lm_group_var(params, p, name), &count);
        assert_memory_equal(before[p], after, (size_t)count * sizeof *after);
        lm_free(after);
        lm_free(before[p]);
    }
}

/* Through D, but not into its weights: of what reaches G, D has the transposed
 * convolutions and nothing else. */
static void test_generator_leaves_d_alone(void **state) {
    bench b;
    bench_init(&b, "");
    check_untouched(&b, GENERATE, LM_GAN_DISCRIMINATOR);
    assert_int_equal(look_for(&b, GENERATE, "conv_wgrad", "discriminator").count, 0);
    assert_int_equal(look_for(&b, GENERATE, NULL, "discriminator.adamw").count, 0);
    assert_int_equal(look_for(&b, GENERATE, "conv_dgrad", "discriminator").count, 2);
    assert_int_equal(look_for(&b, GENERATE, "conv", "discriminator").count, 2);
    assert_int_equal(look_for(&b, GENERATE, "conv_wgrad", "generator").count, 2);
    bench_release(&b);
}

static void test_discriminator_leaves_g_alone(void **state) {
    bench b;
    bench_init(&b, "");
    check_untouched(&b, DISCRIMINATE, LM_GAN_GENERATOR);
    assert_int_equal(look_for(&b, DISCRIMINATE, "conv_dgrad", "generator").count, 2);
    assert_int_equal(look_for(&b, DISCRIMINATE, "conv_wgrad", "generator").count, 0);
    assert_int_equal(look_for(&b, DISCRIMINATE, "conv", "generator").count, 0);
    assert_int_equal(look_for(&b, DISCRIMINATE, "conv_wgrad", "discriminator").count, 4);
    /* Of images nothing is asked. */
    assert_int_equal(look_for(&b, DISCRIMINATE, "conv_dgrad", "discriminator").count, 2);
    bench_release(&b);
}

/* Multiplications and additions of both convolutions of D on a batch, padding
 * included. */
static double count_flops(void) {
    double flops = 0;
    int in = COLOURS, out = BASE, side = SIDE / 2;
    for (int layer = 0; layer < 2; layer++, side /= 2, in = out, out *= 2) {
        flops += 2.0 * BATCH * side * side * TAPS * in * out;
    }
    return flops;
}

static void check_flops(found f, int count, double flops) {
    assert_int_equal(f.count, count);
    if (fabs(f.flops - flops) > 1e-9 * flops)
        fail_msg("%.0f operations, wanted %.0f", f.flops, flops);
}

/* R1 without norms. Of D's values only those are computed whose sign the slopes depend
 * on: two convolutions, and no logit. Their adjoints give the gradient; what reaches them
 * goes forwards again and makes the weights' gradients. Slopes of leaky ReLUs change
 * nowhere, so that nothing goes back through the first pass; and G is not there. */
static void test_penalty_computes_what_it_needs(void **state) {
    static const char *const norms[] = {"g-norm=none", "g-norm=batch"};
    for (int i = 0; i < 2; i++) {
        bench b;
        double flops = count_flops();
        bench_init(&b, norms[i]);
        check_untouched(&b, PENALISE, LM_GAN_GENERATOR);
        assert_int_equal(look_for(&b, PENALISE, NULL, "generator").count, 0);
        check_flops(look_for(&b, PENALISE, "conv", "discriminator"), 4, 2 * flops);
        check_flops(look_for(&b, PENALISE, "conv_dgrad", "discriminator"), 2, flops);
        check_flops(look_for(&b, PENALISE, "conv_wgrad", "discriminator"), 2, flops);
        bench_release(&b);
    }
}

/* ---- runs -------------------------------------------------------------------- */

static lm_train_request small_run(const char *name, int64_t steps) {
    static const char *const settings[] = {
        "base=4",     "z=5",  "d-norm=layer",    "d-steps=3",
        "g-rate=0.5", "r1=1", "penalty-every=4", "batch=4"};
    return (lm_train_request){.family = "gan",
                              .data = "builtin:digits?limit=13&size=16",
                              .out = scratch(name),
                              .assignments = settings,
                              .n_assignments = sizeof settings / sizeof *settings,
                              .limits = {.steps = steps},
                              .seed = 3,
                              .save_every = 1000,
                              .snapshot_every = 1000,
                              .log_every = 1,
                              .snapshot_count = 2};
}

typedef struct countdown {
    int calls, at;
} countdown;

static bool stop_at(void *user) {
    countdown *s = user;
    return ++s->calls >= s->at;
}

static void assert_same_files(const char *a, const char *b) {
    void *x, *y;
    size_t m, n;
    CHECK_OK(lm_file_read(a, 1 << 24, &x, &m));
    CHECK_OK(lm_file_read(b, 1 << 24, &y, &n));
    assert_int_equal(m, n);
    assert_memory_equal(x, y, n);
    lm_free(x);
    lm_free(y);
}

static void test_resume_within_rules(void **state) {
    enum { STEPS = 6, READS = 3 };
    lm_train_result whole, part;
    lm_train_request request = small_run("whole", STEPS);
    CHECK_OK(lm_train(&request, &whole));
    assert_int_equal(whole.state.images, STEPS * READS * 4);
    assert_non_null(strstr(whole.losses, "penalty "));
    countdown stopper = {0, 2};
    request = small_run("parts", STEPS);
    request.hooks = (lm_train_hooks){.user = &stopper, .stop = stop_at};
    CHECK_FAILS(lm_train(&request, &part), LM_INTERRUPTED);
    stopper = (countdown){0, 3};
    request.resume = true;
    CHECK_FAILS(lm_train(&request, &part), LM_INTERRUPTED);
    assert_int_equal(part.state.step, 5);
    request.hooks = (lm_train_hooks){0};
    CHECK_OK(lm_train(&request, &part));
    assert_same_files(whole.checkpoint, part.checkpoint);
    assert_same_files(whole.sheet, part.sheet);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_generator_leaves_d_alone),
        cmocka_unit_test(test_discriminator_leaves_g_alone),
        cmocka_unit_test(test_penalty_computes_what_it_needs),
        cmocka_unit_test(test_resume_within_rules),
    };
    return cmocka_run_group_tests(tests, scratch_begin, scratch_end);
}
