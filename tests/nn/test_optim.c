/* AdamW against a plain loop, the guard against bad steps, and the schedules. */
#include "testing.h"

#include "exec/exec.h"
#include "nn/optim.h"
#include <math.h>
#include <string.h>

enum { USED = 6, UNUSED = 3, COUNT = USED + UNUSED };

typedef struct bench {
    lm_params *params;
    lm_engine *engine;
    lm_program *program;
} bench;

/* loss = sum((w - target)^2 * weight) over one slice; another is not used by it. */
static void bench_init(bench *b, const lm_optim_spec *spec) {
    static const char *const vars[] = {"model", "model.m", "model.v", "model.ema"};
    lm_graph *g;
    CHECK_OK(lm_params_new("model", &b->params));
    CHECK_OK(lm_graph_new(&g));
    lm_nn nn = {.graph = g, .params = b->params, .var = "model"};
    lm_nn_param(&nn, "unused", LM_SHAPE(UNUSED), LM_INIT(ONES, 0));
    lm_node *w = lm_nn_param(&nn, "used", LM_SHAPE(2, 3), LM_INIT(ONES, 0));
    lm_node *target = lm_input(g, "target", LM_F32, LM_SHAPE(2, 3));
    lm_node *weight = lm_input(g, "weight", LM_F32, LM_SCALAR);
    lm_node *loss = lm_sum_all(g, lm_square(g, lm_sub(g, w, target)));
    loss = lm_mul(g, loss, weight);
    lm_graph_output(g, "loss", loss);
    CHECK_OK(lm_optim_adamw(&nn, loss, spec));
    CHECK_OK(lm_engine_new("ref", &b->engine));
    for (int i = 0; i < 4; i++) CHECK_OK(lm_engine_add_var(b->engine, vars[i], COUNT));
    CHECK_OK(lm_compile(b->engine, g, NULL, &b->program));
    lm_graph_free(g);
}

static void bench_release(bench *b) {
    lm_program_free(b->program);
    lm_engine_free(b->engine);
    lm_params_free(b->params);
}

static void run(bench *b, const double *target, double weight, const float *scalars) {
    CHECK_OK(lm_program_set(b->program, "target", LM_F64, target, USED));
    CHECK_OK(lm_program_set(b->program, "weight", LM_F64, &weight, 1));
    CHECK_OK(lm_program_set(b->program, "model.step", LM_F32, scalars, LM_OPTIM_SCALARS));
    CHECK_OK(lm_program_run(b->program));
}

static void read_var(bench *b, const char *name, double *values) {
    CHECK_OK(lm_engine_read_var(b->engine, name, 0, COUNT, LM_F64, values));
}

/* The unused slice comes first and feels only the weight decay. */
static void check_run(const lm_optim_spec *spec) {
    const double target[USED] = {1, -2, 0.5, 3, 0, -0.25}, lr = 0.05, decay = 0.9;
    double p[COUNT], m[COUNT] = {0}, v[COUNT] = {0}, ema[COUNT], got[COUNT];
    bench b;
    bench_init(&b, spec);
    for (int i = 0; i < COUNT; i++) p[i] = ema[i] = 0.1 * (i + 1);
    CHECK_OK(lm_engine_write_var(b.engine, "model", 0, COUNT, LM_F64, p));
    CHECK_OK(lm_engine_write_var(b.engine, "model.ema", 0, COUNT, LM_F64, p));
    for (int step = 1; step <= 7; step++) {
        float scalars[LM_OPTIM_SCALARS];
        lm_optim_scalars(spec, step, lr, decay, scalars);
        run(&b, target, 1.0, scalars);
        double grad[COUNT] = {0}, square = 0;
        for (int i = 0; i < USED; i++) grad[UNUSED + i] = 2 * (p[UNUSED + i] - target[i]);
        for (int i = 0; i < COUNT; i++) square += grad[i] * grad[i];
        double norm = sqrt(square);
        double clip = spec->clip > 0 ? fmin(1, spec->clip / (norm + 1e-6)) : 1;
        assert_true(fabs(lm_program_scalar(b.program, "model.grad_norm") - norm) < 1e-6);
        for (int i = 0; i < COUNT; i++) {
            double g = clip * grad[i];
            m[i] = spec->beta1 * m[i] + (1 - spec->beta1) * g;
            v[i] = spec->beta2 * v[i] + (1 - spec->beta2) * g * g;
            double m_hat = m[i] / (1 - pow(spec->beta1, step));
            double v_hat = v[i] / (1 - pow(spec->beta2, step));
            p[i] -= lr * spec->weight_decay * p[i];
            p[i] -= lr * m_hat / (sqrt(v_hat) + spec->eps);
            ema[i] = decay * ema[i] + (1 - decay) * p[i];
        }
        read_var(&b, "model", got);
        for (int i = 0; i < COUNT; i++) assert_true(fabs(got[i] - p[i]) < 1e-6);
        read_var(&b, "model.ema", got);
        for (int i = 0; i < COUNT; i++) assert_true(fabs(got[i] - ema[i]) < 1e-6);
    }
    bench_release(&b);
}

static void test_adamw(void **state) {
    check_run(&(lm_optim_spec){0.9, 0.999, 1e-8, 0, 0});
    check_run(&(lm_optim_spec){0.8, 0.95, 1e-6, 0.1, 1.5});
    check_run(&(lm_optim_spec){0, 0.99, 1e-8, 0.01, 100});
}

/* A loss or gradient that is not finite leaves every variable as it was. */
static void test_guard(void **state) {
    const double bad[] = {NAN, INFINITY, -INFINITY};
    const double target[USED] = {1, -2, 0.5, 3, 0, -0.25};
    static const char *const vars[] = {"model", "model.m", "model.v", "model.ema"};
    const lm_optim_spec spec = {0.9, 0.99, 1e-8, 0.1, 1};
    double before[4][COUNT], after[COUNT];
    float scalars[LM_OPTIM_SCALARS];
    bench b;
    bench_init(&b, &spec);
    lm_optim_scalars(&spec, 1, 0.1, 0.9, scalars);
    run(&b, target, 1, scalars);
    for (int i = 0; i < 4; i++) read_var(&b, vars[i], before[i]);
    for (int k = 0; k < 3; k++) {
        run(&b, target, bad[k], scalars);
        for (int i = 0; i < 4; i++) {
            read_var(&b, vars[i], after);
            assert_memory_equal(before[i], after, sizeof after);
        }
    }
    run(&b, target, 1, scalars);
    read_var(&b, "model", after);
    assert_memory_not_equal(before[0], after, sizeof after);
    bench_release(&b);
}

static void check_near(double got, double want) {
    if (!(fabs(got - want) <= 1e-12 * fmax(1, fabs(want))))
        fail_msg("got %.15g, wanted %.15g", got, want);
}

static void test_learning_rate(void **state) {
    check_near(lm_lr_at(LM_LR_CONSTANT, 2e-4, 0, 1, 0), 2e-4);
    check_near(lm_lr_at(LM_LR_CONSTANT, 2e-4, 100, 1, 0), 2e-6);
    check_near(lm_lr_at(LM_LR_CONSTANT, 2e-4, 100, 50, 0.5), 1e-4);
    check_near(lm_lr_at(LM_LR_CONSTANT, 2e-4, 100, 100, 1), 2e-4);
    check_near(lm_lr_at(LM_LR_COSINE, 1, 0, 9, 0.5), 0.5);
    check_near(lm_lr_at(LM_LR_COSINE, 1, 0, 9, 1.0 / 3), 0.75);
    check_near(lm_lr_at(LM_LR_COSINE, 1, 0, 9, 1), 0);
    check_near(lm_lr_at(LM_LR_LINEAR, 4, 10, 5, 0.25), 1.5);
    check_near(lm_lr_at(LM_LR_LINEAR, 4, 0, 5, 1.5), 0);
}

static void test_average(void **state) {
    check_near(lm_ema_decay(500, 0, 1, 500), 0.5);
    check_near(lm_ema_decay(1000, 0.05, 1 << 30, 500), sqrt(0.5));
    /* The ramp holds the half-life to a share of what was seen. */
    check_near(lm_ema_decay(1000, 0.05, 2000, 100), 0.5);
    check_near(lm_ema_decay(1000, 0.05, 0, 100), 0);
    check_near(lm_ema_decay(0, 0, 100, 100), 0);
    /* 0.9999 at batch 128 (Ho et al. 2020). */
    assert_true(fabs(lm_ema_decay(887000, 0, 0, 128) - 0.9999) < 1e-7);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_adamw),
        cmocka_unit_test(test_guard),
        cmocka_unit_test(test_learning_rate),
        cmocka_unit_test(test_average),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
