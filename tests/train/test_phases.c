/* Steps of several phases by their rules, against a plain loop; stopping and going on in
 * the middle of such a schedule. The losses are linear in the weights, so that gradients
 * are numbers that can be written down. */
#include "scratch.h"

#include "base/file.h"
#include "base/mem.h"
#include "tensor/philox.h"
#include "train/phases.h"
#include "train/settings.h"

#include <math.h>
#include <string.h>

enum { GENERATOR, CRITIC, GROUPS };
enum { SIDE = 2, BATCH = 4, WEIGHTS = 3, READS = 3, STEPS = 9, SEED = 11 };
enum { STREAM_PENALTY = 7, STREAM_GENERATOR = 9 };

/* ---- a family ---------------------------------------------------------------- */

/* Three times a step; every fourth step at half the rate; every second at twice. */
static const lm_phase_rule rules[] = {{1, READS, 1}, {4, 2, 0.5}, {2, 1, 2}};

static bool critic_rule(const lm_model *model, lm_phase_rule *rule) {
    *rule = rules[0];
    return true;
}
static bool penalty_rule(const lm_model *model, lm_phase_rule *rule) {
    *rule = rules[1];
    return true;
}
static bool generator_rule(const lm_model *model, lm_phase_rule *rule) {
    *rule = rules[2];
    return true;
}

static lm_node *weights(lm_nn *nn) {
    return lm_nn_param(nn, "w", LM_SHAPE(WEIGHTS), LM_INIT(NORMAL, 1));
}

static lm_node *sum_times(lm_nn *nn, lm_node *factor) {
    return lm_mul(nn->graph, lm_sum_all(nn->graph, weights(nn)), factor);
}

static lm_node *critic_loss(const lm_model *model, lm_nn *nn, lm_node *images,
                            lm_node *labels) {
    lm_node *mean = lm_mean_all(nn->graph, lm_nn_signed(nn->graph, images));
    lm_graph_output(nn->graph, "mean", mean);
    return sum_times(nn, mean);
}

static lm_node *mean_uniform(lm_nn *nn, uint32_t stream) {
    return lm_mean_all(nn->graph,
                       lm_uniform(nn->graph, nn->key, stream, LM_SHAPE(BATCH)));
}

static lm_node *penalty_loss(const lm_model *model, lm_nn *nn, lm_node *images,
                             lm_node *labels) {
    return sum_times(nn, mean_uniform(nn, STREAM_PENALTY));
}

static lm_node *generator_loss(const lm_model *model, lm_nn *nn, lm_node *images,
                               lm_node *labels) {
    return sum_times(nn, mean_uniform(nn, STREAM_GENERATOR));
}

static lm_status open_model(lm_model *model) {
    static const char *const names[] = {"generator", "critic"};
    lm_graph *g;
    for (; model->n_groups < GROUPS; model->n_groups++)
        LM_TRY(lm_params_new(names[model->n_groups], &model->groups[model->n_groups]));
    model->groups[CRITIC]->no_average = true;
    LM_TRY(lm_graph_new(&g));
    for (int i = 0; i < GROUPS; i++) {
        lm_params *group = model->groups[i];
        weights(&(lm_nn){.graph = g, .params = group, .var = group->name});
    }
    lm_status status = lm_graph_status(g);
    lm_graph_free(g);
    return status;
}

static const lm_option no_options[] = {{0}};
static const lm_family family = {
    .name = "fake",
    .options = no_options,
    .phases = {{"critic", CRITIC, critic_loss, critic_rule},
               {"penalty", CRITIC, penalty_loss, penalty_rule},
               {"generator", GENERATOR, generator_loss, generator_rule}},
    .open = open_model};

/* ---- a run ------------------------------------------------------------------- */

typedef struct bench {
    lm_run run; /* what checkpoints ask of one */
    lm_model *model;
    lm_settings trainer;
    lm_engine *engine;
    lm_phases phases;
    lm_train_state state;
} bench;

static void bench_init(bench *b) {
    static const char *const settings[] = {"batch=4",   "lr=0.05",      "warmup=3",
                                           "beta1=0.5", "clip=0",       "beta2=0.975",
                                           "ema=37",    "ema-ramp=0.75"};
    static char nothing[] = "";
    lm_settings none = {0};
    *b = (bench){.run = {.family = &family,
                         .preset = nothing,
                         .data = nothing,
                         .info = {SIDE, SIDE, 1, 0},
                         .seed = SEED}};
    CHECK_OK(lm_settings_init(&none, no_options));
    CHECK_OK(lm_model_open(&family, &none, &b->run.info, &b->model));
    CHECK_OK(lm_settings_init(&b->trainer, lm_trainer_options));
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        CHECK_OK(lm_assign_setting(&b->model->settings, &b->trainer, "", settings[i]));
    CHECK_OK(lm_engine_new("cpu", &b->engine));
    CHECK_OK(lm_checkpoint_add_vars(b->model, b->engine));
    CHECK_OK(lm_init_weights(b->model, b->engine, SEED));
    CHECK_OK(lm_phases_init(b->model, &b->trainer, BATCH, &b->phases));
    CHECK_OK(lm_phases_compile(&b->phases, b->engine));
}

static void bench_release(bench *b) {
    lm_phases_release(&b->phases);
    lm_engine_free(b->engine);
    lm_settings_release(&b->trainer);
    lm_model_close(b->model);
}

static uint8_t pixel_at(int64_t step, int64_t index) {
    return (uint8_t)((step * 37 + index * index * 5 + index) % 251);
}

static void take_step(bench *b) {
    static const int32_t labels[READS * BATCH];
    static uint8_t pixels[READS * BATCH * SIDE * SIDE];
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = pixel_at(b->state.step, (int64_t)i);
    const lm_step_input input = {
        .pixels = pixels, .labels = labels, .seed = SEED, .step = b->state.step};
    CHECK_OK(lm_phases_run(&b->phases, &input));
    b->state.step++;
    b->state.images += READS * BATCH;
}

static void read_weights(bench *b, const char *name, double values[WEIGHTS]) {
    CHECK_OK(lm_engine_read_var(b->engine, name, 0, WEIGHTS, LM_F64, values));
}

/* ---- the plain loop ---------------------------------------------------------- */

/* All weights of a group have the same gradient: what moves one moves all. */
typedef struct plain {
    double moved, average, m, v; /* moved, average: since the beginning */
    int64_t updates, seen;
} plain;

static double batch_mean(int64_t step, int run) {
    const int count = BATCH * SIDE * SIDE;
    double sum = 0;
    for (int i = 0; i < count; i++) sum += pixel_at(step, run * count + i) / 127.5 - 1;
    return sum / count;
}

static double uniform_mean(uint32_t stream, int64_t step, int run) {
    double sum = 0;
    for (int i = 0; i < BATCH; i++)
        sum +=
            lm_philox_u24(SEED, stream, (uint32_t)step, (uint32_t)(run * BATCH + i), 0);
    return sum / BATCH / (1 << 24);
}

static double gradient_of(int phase, int64_t step, int run) {
    if (phase == 0) return batch_mean(step, run);
    return uniform_mean(phase == 1 ? STREAM_PENALTY : STREAM_GENERATOR, step, run);
}

static void update(plain *p, double gradient, double lr, int64_t images) {
    const double beta1 = 0.5, beta2 = 0.975;
    p->updates++;
    p->m = beta1 * p->m + (1 - beta1) * gradient;
    p->v = beta2 * p->v + (1 - beta2) * gradient * gradient;
    double m = p->m / (1 - pow(beta1, (double)p->updates));
    double v = p->v / (1 - pow(beta2, (double)p->updates));
    p->moved -= lr * m / (sqrt(v) + 1e-8);
    double half_life = fmin(37, 0.75 * (double)images);
    double keep = pow(0.5, (double)(images - p->seen) / half_life);
    p->average = keep * p->average + (1 - keep) * p->moved;
    p->seen = images;
}

static void plain_step(plain groups[GROUPS], int64_t step) {
    static const int group_of[] = {CRITIC, CRITIC, GENERATOR};
    int read = 0;
    for (int phase = 0; phase < 3; phase++) {
        if (step % rules[phase].every) continue;
        for (int run = 0; run < rules[phase].runs; run++) {
            if (run == read) read++;
            double lr = 0.05 * rules[phase].rate * fmin(1, (double)(step + 1) / 3);
            update(&groups[group_of[phase]], gradient_of(phase, step, run), lr,
                   (step * READS + read) * BATCH);
        }
    }
}

static void check_near(const double *got, const double *from, double moved) {
    for (int i = 0; i < WEIGHTS; i++)
        if (!(fabs(got[i] - from[i] - moved) < 2e-6))
            fail_msg("moved by %.9g, wanted %.9g", got[i] - from[i], moved);
}

static void test_plain_loop(void **state) {
    plain groups[GROUPS] = {{0}};
    double generator[WEIGHTS], critic[WEIGHTS], got[WEIGHTS];
    bench b;
    bench_init(&b);
    read_weights(&b, "generator", generator);
    read_weights(&b, "critic", critic);
    for (int64_t step = 0; step < STEPS; step++) {
        take_step(&b);
        plain_step(groups, step);
        read_weights(&b, "critic", got);
        check_near(got, critic, groups[CRITIC].moved);
        read_weights(&b, "generator", got);
        check_near(got, generator, groups[GENERATOR].moved);
        read_weights(&b, "generator.ema", got);
        check_near(got, generator, groups[GENERATOR].average);
        assert_true(fabs(b.phases.results[0].lr - 0.05 * fmin(1, (step + 1) / 3.0)) <
                    1e-12);
    }
    assert_true(fabs(groups[GENERATOR].moved - groups[GENERATOR].average) > 1e-3);
    bench_release(&b);
}

/* ---- stopping, going on ------------------------------------------------------ */

static void save(bench *b, const char *name) {
    CHECK_OK(
        lm_checkpoint_save(scratch(name), &b->run, b->model, b->engine, &b->state, NULL));
}

static void assert_same_files(const char *a, const char *b) {
    void *x, *y;
    size_t m, n;
    CHECK_OK(lm_file_read(scratch(a), 1 << 20, &x, &m));
    CHECK_OK(lm_file_read(scratch(b), 1 << 20, &y, &n));
    assert_int_equal(m, n);
    assert_memory_equal(x, y, n);
    lm_free(x);
    lm_free(y);
}

/* Wherever it stops, relative to the phases that do not run in every step. */
static void test_resume(void **state) {
    bench whole;
    bench_init(&whole);
    while (whole.state.step < STEPS) take_step(&whole);
    save(&whole, "whole");
    for (int stop = 1; stop < STEPS; stop++) {
        bench first, second;
        bench_init(&first);
        while (first.state.step < stop) take_step(&first);
        save(&first, "part");
        bench_release(&first);
        bench_init(&second);
        CHECK_OK(lm_checkpoint_load(scratch("part"), second.model, second.engine,
                                    &second.state));
        assert_int_equal(second.state.step, stop);
        assert_int_equal(second.state.images, stop * READS * BATCH);
        while (second.state.step < STEPS) take_step(&second);
        save(&second, "parts");
        bench_release(&second);
        assert_same_files("whole", "parts");
    }
    bench_release(&whole);
}

static void test_no_average(void **state) {
    bench b;
    bench_init(&b);
    assert_false(lm_engine_has_var(b.engine, "critic.ema"));
    assert_true(lm_engine_has_var(b.engine, "critic.v"));
    lm_engine *other;
    CHECK_OK(lm_engine_new("cpu", &other));
    CHECK_OK(lm_checkpoint_add_part(b.model, LM_GROUP_EMA, other));
    assert_true(lm_engine_has_var(other, "generator.ema"));
    assert_false(lm_engine_has_var(other, "critic.ema"));
    lm_engine_free(other);
    bench_release(&b);
}

/* ---- what is said of it ------------------------------------------------------ */

static double number_in(const char *members, const char *name) {
    char text[4096];
    snprintf(text, sizeof text, "{%s}", members + 1); /* without the first comma */
    json_t *json = json_loads(text, 0, NULL);
    assert_non_null(json);
    json_t *value = json_object_get(json, name);
    if (!json_is_number(value)) fail_msg("no %s in %s", name, text);
    double number = json_number_value(value);
    json_decref(json);
    return number;
}

static void test_describe(void **state) {
    static const char *const numbers[] = {"critic_loss",    "critic_grad_norm",
                                          "penalty_loss",   "penalty_grad_norm",
                                          "generator_loss", "generator_grad_norm"};
    char text[LM_LOSSES_TEXT], expected[LM_LOSSES_TEXT];
    lm_str members = LM_STR_INIT;
    bench b;
    bench_init(&b);
    lm_phases_text(&b.phases, text);
    assert_string_equal(text, "");
    while (b.state.step < 4) take_step(&b); /* the penalty's run was the first step's */
    const lm_phase_result *r = b.phases.results;
    CHECK_OK(lm_phases_describe(&b.phases, &members));
    for (int i = 0; i < 6; i++) {
        double value = i % 2 ? r[i / 2].grad_norm : r[i / 2].loss;
        assert_true(fabs(number_in(members.text, numbers[i]) - value) <= 1e-8);
    }
    assert_true(fabs(number_in(members.text, "mean") - batch_mean(3, READS - 1)) < 1e-5);
    double norm = fabs(batch_mean(3, READS - 1)) * sqrt(WEIGHTS); /* of the last run */
    assert_true(fabs(r[0].grad_norm - norm) < 1e-6);
    lm_phases_text(&b.phases, text);
    snprintf(expected, sizeof expected, "critic %.4f, penalty %.4f, generator %.4f",
             r[0].loss, r[1].loss, r[2].loss);
    assert_string_equal(text, expected);
    assert_true(lm_phases_first(&b.phases).loss == r[0].loss);
    lm_phases_forget(&b.phases); /* nothing of undone steps is told */
    lm_str_clear(&members);
    CHECK_OK(lm_phases_describe(&b.phases, &members));
    assert_string_equal(members.text, "");
    lm_phases_text(&b.phases, text);
    assert_string_equal(text, "");
    lm_str_release(&members);
    bench_release(&b);
}

static void test_not_finite(void **state) {
    const float bad = NAN;
    double before[WEIGHTS], after[WEIGHTS];
    bench b;
    bench_init(&b);
    CHECK_OK(lm_engine_write_var(b.engine, "critic", 0, 1, LM_F32, &bad));
    read_weights(&b, "generator", before);
    static uint8_t pixels[READS * BATCH * SIDE * SIDE];
    static const int32_t labels[READS * BATCH];
    const lm_step_input input = {.pixels = pixels, .labels = labels, .seed = SEED};
    CHECK_FAILS(lm_phases_run(&b.phases, &input), LM_NUMERIC);
    assert_non_null(strstr(lm_message(), "phase critic"));
    assert_non_null(strstr(lm_message(), "first bad tensor"));
    read_weights(&b, "generator", after);
    assert_memory_equal(before, after, sizeof after);
    bench_release(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_loop), cmocka_unit_test(test_resume),
        cmocka_unit_test(test_no_average), cmocka_unit_test(test_describe),
        cmocka_unit_test(test_not_finite),
    };
    return cmocka_run_group_tests(tests, scratch_begin, scratch_end);
}
