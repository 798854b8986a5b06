/* Sampling data of which the best possible prediction is known: pixels from N(m, s^2),
 * independent of each other. Then x_t is normal with mean sqrt(a) m and variance
 * a s^2 + 1 - a, and E[eps | x_t] is linear in x_t. */
#include "opening.h"

#include "exec/exec.h"
#include "families/ddpm.h"
#include <math.h>
#include <stdio.h>

#define DATA_MEAN      0.3
#define DATA_DEVIATION 0.2

enum { BATCH = 64, SIDE = 8, COUNT = BATCH * SIDE * SIDE };

typedef struct moments {
    double mean, variance;
} moments;

static lm_model *open_small(const char *more) {
    lm_model *model;
    lm_image_info info = {SIDE, SIDE, 1, 0};
    CHECK_OK(open_model(&lm_family_ddpm, "base=2 mult=1 blocks=1 attention=0", more, info,
                        &model));
    return model;
}

/* One step is linear in x for this epsilon, so moments follow exactly. */
static moments follow_moments(const lm_sampler *sampler) {
    moments at = {0, 1};
    for (int step = 0; step < sampler->n_steps; step++) {
        const float *c = sampler->scalars + (size_t)step * LM_DDPM_SCALARS;
        double a = 1 / ((double)c[LM_DDPM_X0_FROM_X] * c[LM_DDPM_X0_FROM_X]);
        double s2 = DATA_DEVIATION * DATA_DEVIATION;
        double gain = sqrt(1 - a) / (a * s2 + 1 - a); /* eps = gain (x - sqrt(a) m) */
        double slope = c[LM_DDPM_X0_FROM_X] - c[LM_DDPM_X0_FROM_PREDICTION] * gain;
        double shift = c[LM_DDPM_X0_FROM_PREDICTION] * gain * sqrt(a) * DATA_MEAN;
        slope = c[LM_DDPM_NEXT_FROM_X0] * slope + c[LM_DDPM_NEXT_FROM_X];
        shift *= c[LM_DDPM_NEXT_FROM_X0];
        at.mean = slope * at.mean + shift;
        at.variance = slope * slope * at.variance + pow(c[LM_DDPM_NOISE], 2);
    }
    return at;
}

/* The same epsilon as a graph, from the step's own numbers. */
static lm_node *best_epsilon(lm_graph *g, lm_node *x, lm_node *scalars) {
    lm_node *one = lm_const(g, 1), *c[2];
    for (int i = 0; i < 2; i++) {
        int at = i == 0 ? LM_DDPM_X0_FROM_X : LM_DDPM_X0_FROM_PREDICTION;
        c[i] = lm_reshape(g, lm_slice_axis(g, scalars, 0, at, at + 1), LM_SCALAR);
    }
    lm_node *signal = lm_div(g, one, c[0]), *noise = lm_mul(g, c[1], signal);
    lm_node *variance =
        lm_add(g, lm_scale(g, lm_square(g, signal), DATA_DEVIATION * DATA_DEVIATION),
               lm_square(g, noise));
    lm_node *centred = lm_sub(g, x, lm_scale(g, signal, DATA_MEAN));
    return lm_mul(g, lm_div(g, noise, variance), centred);
}

typedef struct chain {
    lm_engine *engine;
    lm_program *init, *step;
} chain;

static void chain_init(chain *c, const lm_model *model) {
    lm_graph *g;
    CHECK_OK(lm_engine_new("cpu", &c->engine));
    for (int i = 0; i < 2; i++) {
        CHECK_OK(lm_graph_new(&g));
        lm_nn nn = {.graph = g, .params = model->groups[0], .var = "model"};
        nn.key = lm_input(g, "key", LM_U32, LM_SHAPE(4));
        lm_node *x = lm_input(g, "x", LM_F32, LM_SHAPE(BATCH, SIDE, SIDE, 1));
        lm_node *scalars = lm_input(g, "scalars", LM_F32, LM_SHAPE(LM_DDPM_SCALARS));
        lm_node *y =
            i == 0 ? lm_ddpm_sample_init(model, &nn, BATCH)
                   : lm_ddpm_update(model, &nn, x, best_epsilon(g, x, scalars), scalars);
        lm_graph_output(g, "x", y);
        CHECK_OK(lm_graph_status(g));
        CHECK_OK(lm_compile(c->engine, g, NULL, i == 0 ? &c->init : &c->step));
        lm_graph_free(g);
    }
}

static void chain_release(chain *c) {
    lm_program_free(c->init);
    lm_program_free(c->step);
    lm_engine_free(c->engine);
}

static void chain_run(chain *c, const lm_sampler *sampler, float *x) {
    uint32_t key[4] = {2020, 0, 0, 0};
    CHECK_OK(lm_program_set(c->init, "key", LM_U32, key, 4));
    CHECK_OK(lm_program_run(c->init));
    CHECK_OK(lm_program_get(c->init, "x", LM_F32, x, COUNT));
    for (int step = 0; step < sampler->n_steps; step++) {
        key[2] = (uint32_t)step;
        const float *scalars = sampler->scalars + (size_t)step * LM_DDPM_SCALARS;
        CHECK_OK(lm_program_set(c->step, "key", LM_U32, key, 4));
        CHECK_OK(lm_program_set(c->step, "x", LM_F32, x, COUNT));
        CHECK_OK(lm_program_set(c->step, "scalars", LM_F32, scalars, LM_DDPM_SCALARS));
        CHECK_OK(lm_program_run(c->step));
        CHECK_OK(lm_program_get(c->step, "x", LM_F32, x, COUNT));
    }
}

static moments measure(const float *x) {
    moments m = {0, 0};
    for (int i = 0; i < COUNT; i++) m.mean += x[i] / (double)COUNT;
    for (int i = 0; i < COUNT; i++)
        m.variance += (x[i] - m.mean) * (x[i] - m.mean) / (double)COUNT;
    return m;
}

static const struct {
    const char *settings, *sampler;
    int steps;
    double eta, bias; /* bias: relative error of the deviation that the steps allow */
} rows[] = {
    {"clip-x0=false variance=small", "ddpm", 1000, 0, 0.02},
    {"clip-x0=false variance=large", "ddpm", 1000, 0, 0.02},
    {"clip-x0=false schedule=cosine", "ddpm", 1000, 0, 0.02},
    {"clip-x0=false", "ddim", 1000, 0, 0.01},
    {"clip-x0=false spacing=quad", "ddim", 100, 0, 0.05},
    {"clip-x0=false timesteps=200", "ddim", 200, 0.5, 0.05},
};

/* The chain ends at the data's mean and variance, as closely as its steps allow; and the
 * programs draw what the numbers say, within five standard errors. */
static void test_normal_data(void **state) {
    static float x[COUNT];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        lm_model *model = open_small(rows[i].settings);
        lm_sample_request request = {.steps = rows[i].steps,
                                     .eta = rows[i].eta,
                                     .sampler = rows[i].sampler,
                                     .label = -1};
        lm_sampler sampler;
        chain c;
        CHECK_OK(lm_ddpm_sampler(model, &request, &sampler));
        moments exact = follow_moments(&sampler);
        if (!(fabs(exact.mean - DATA_MEAN) < rows[i].bias * DATA_DEVIATION) ||
            !(fabs(sqrt(exact.variance) / DATA_DEVIATION - 1) < rows[i].bias))
            fail_msg("%s: mean %g, deviation %g", sampler.protocol, exact.mean,
                     sqrt(exact.variance));
        chain_init(&c, model);
        chain_run(&c, &sampler, x);
        moments got = measure(x);
        double error = sqrt(exact.variance / COUNT);
        if (!(fabs(got.mean - exact.mean) < 5 * error) ||
            !(fabs(got.variance / exact.variance - 1) < 5 * sqrt(2.0 / COUNT)))
            fail_msg("%s: drew mean %g, variance %g; wanted %g, %g", sampler.protocol,
                     got.mean, got.variance, exact.mean, exact.variance);
        chain_release(&c);
        lm_sampler_release(&sampler);
        lm_model_close(model);
    }
}

/* With clipping no step predicts beyond [-1,1], and the last one returns a prediction. */
static void test_clipping(void **state) {
    static float x[COUNT];
    for (int clip = 0; clip < 2; clip++) {
        lm_model *model = open_small(clip ? "" : "clip-x0=false");
        lm_sample_request request = {
            .steps = 1, .eta = 0, .sampler = "ddim", .label = -1};
        lm_sampler sampler;
        chain c;
        CHECK_OK(lm_ddpm_sampler(model, &request, &sampler));
        sampler.scalars[LM_DDPM_X0_FROM_X] = 30; /* spreads the prediction */
        sampler.scalars[LM_DDPM_X0_FROM_PREDICTION] = 0;
        chain_init(&c, model);
        chain_run(&c, &sampler, x);
        float largest = 0;
        for (int i = 0; i < COUNT; i++) largest = fmaxf(largest, fabsf(x[i]));
        assert_true(clip ? largest == 1.0f : largest > 60.0f);
        chain_release(&c);
        lm_sampler_release(&sampler);
        lm_model_close(model);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_normal_data),
        cmocka_unit_test(test_clipping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
