/* The graphs that the trainer and the sampler run, around the network. */
#include "opening.h"

#include "exec/exec.h"
#include "families/ddpm.h"
#include "nn/params.h"
#include <math.h>
#include <stdio.h>

enum { SIDE = 4, PIXELS = SIDE * SIDE, TIMESTEPS = 10 };

typedef struct bench {
    lm_model *model;
    lm_engine *engine;
} bench;

static void bench_init(bench *b, const char *more) {
    CHECK_OK(open_model(&lm_family_ddpm,
                        "base=2 mult=1,2 blocks=1 attention=2 patch=1 "
                        "timesteps=10 schedule=cosine",
                        more, (lm_image_info){SIDE, SIDE, 1, 3}, &b->model));
    CHECK_OK(lm_engine_new("ref", &b->engine));
    CHECK_OK(lm_engine_add_var(b->engine, "model", b->model->groups[0]->count));
}

static void bench_release(bench *b) {
    lm_engine_free(b->engine);
    lm_model_close(b->model);
}

static void write_weights(bench *b, uint64_t seed) {
    lm_params *params = b->model->groups[0];
    float *values = malloc((size_t)params->count * sizeof *values);
    assert_non_null(values);
    for (int i = 0; i < params->n_slices; i++)
        params->slices[i].init = LM_INIT(NORMAL, 0.3);
    CHECK_OK(lm_params_init(params, seed, values));
    CHECK_OK(lm_engine_write_var(b->engine, "model", 0, params->count, LM_F32, values));
    free(values);
}

static lm_nn begin(bench *b, lm_graph **g) {
    CHECK_OK(lm_graph_new(g));
    return (lm_nn){.graph = *g,
                   .params = b->model->groups[0],
                   .var = "model",
                   .key = lm_input(*g, "key", LM_U32, LM_SHAPE(4))};
}

static lm_program *compile(bench *b, lm_graph *g) {
    lm_program *program;
    CHECK_OK(lm_graph_status(g));
    CHECK_OK(lm_compile(b->engine, g, NULL, &program));
    lm_graph_free(g);
    return program;
}

/* The times of a loss: what its only gather looks up. */
static lm_node *find_times(const lm_graph *g) {
    lm_node *found = NULL;
    for (int i = 0; i < lm_graph_size(g); i++) {
        lm_node *node = lm_graph_node(g, i);
        if (node->kind != LM_KIND_GATHER) continue;
        assert_null(found);
        found = node->src[1];
    }
    assert_non_null(found);
    return found;
}

/* What the trainer's loss is made of: bytes to [-1,1], normal noise, and times. */
static void test_loss_parts(void **state) {
    bench b;
    lm_graph *g;
    bench_init(&b, "");
    lm_nn nn = begin(&b, &g);
    lm_node *images = lm_input(g, "images", LM_U8, LM_SHAPE(3, SIDE, SIDE, 1));
    lm_node *loss = lm_family_ddpm.phases[0].loss(b.model, &nn, images, NULL);
    lm_node *x = lm_scale(g, lm_cast(g, images, LM_F32), 1 / 127.5);
    x = lm_add_scalar(g, x, -1);
    lm_node *noise = lm_normal(g, nn.key, LM_DDPM_STREAM_NOISE, images->shape);
    assert_ptr_equal(loss, lm_ddpm_loss_at(b.model, &nn, x, find_times(g), noise, NULL));
    CHECK_OK(lm_graph_status(g));
    lm_graph_free(g);
    bench_release(&b);
}

/* Without weights the network predicts 0, and the loss is the target's mean square: of
 * the noise, or of sqrt(bar) noise - sqrt(1 - bar) x. */
static double loss_without_weights(const char *settings, const float *x,
                                   const float *noise, const int32_t *times) {
    bench b;
    lm_graph *g;
    bench_init(&b, settings);
    lm_nn nn = begin(&b, &g);
    lm_shape shape = LM_SHAPE(2, SIDE, SIDE, 1);
    lm_graph_output(g, "loss",
                    lm_ddpm_loss_at(b.model, &nn, lm_input(g, "x", LM_F32, shape),
                                    lm_input(g, "t", LM_I32, LM_SHAPE(2)),
                                    lm_input(g, "noise", LM_F32, shape), NULL));
    lm_program *program = compile(&b, g);
    CHECK_OK(lm_program_set(program, "x", LM_F32, x, 2 * PIXELS));
    CHECK_OK(lm_program_set(program, "t", LM_I32, times, 2));
    CHECK_OK(lm_program_set(program, "noise", LM_F32, noise, 2 * PIXELS));
    CHECK_OK(lm_program_run(program));
    double loss = lm_program_scalar(program, "loss");
    lm_program_free(program);
    bench_release(&b);
    return loss;
}

static void test_targets(void **state) {
    const int32_t times[2] = {1, 7};
    float x[2 * PIXELS], noise[2 * PIXELS];
    double bar[TIMESTEPS], epsilon = 0, velocity = 0;
    lm_alpha_bars(LM_BETA_COSINE, TIMESTEPS, bar);
    for (int i = 0; i < 2 * PIXELS; i++) {
        x[i] = (float)sin(i * 1.7);
        noise[i] = (float)cos(i * 0.9) * 1.4f;
        double a = bar[times[i / PIXELS]], v = sqrt(a) * noise[i] - sqrt(1 - a) * x[i];
        epsilon += noise[i] * noise[i] / (2.0 * PIXELS);
        velocity += v * v / (2.0 * PIXELS);
    }
    assert_true(fabs(loss_without_weights("", x, noise, times) - epsilon) < 1e-6);
    assert_true(fabs(loss_without_weights("predict=v", x, noise, times) - velocity) <
                1e-6);
}

/* Without weights the network predicts 0, and the loss is the noise's mean square; times
 * are uniform (chi-squared with 9 degrees of freedom: above 33.7 once in 10 000). */
static void test_draws(void **state) {
    enum { BATCH = 4000 };
    static int32_t times[BATCH];
    static uint8_t pixels[BATCH * PIXELS];
    const uint32_t key[4] = {1, 2, 3, 0};
    bench b;
    lm_graph *g;
    bench_init(&b, "");
    lm_nn nn = begin(&b, &g);
    lm_node *images = lm_input(g, "images", LM_U8, LM_SHAPE(BATCH, SIDE, SIDE, 1));
    lm_graph_output(g, "loss", lm_family_ddpm.phases[0].loss(b.model, &nn, images, NULL));
    lm_graph_output(g, "times", find_times(g));
    lm_program *program = compile(&b, g);
    CHECK_OK(lm_program_set(program, "key", LM_U32, key, 4));
    CHECK_OK(lm_program_set(program, "images", LM_U8, pixels, BATCH * PIXELS));
    CHECK_OK(lm_program_run(program));
    CHECK_OK(lm_program_get(program, "times", LM_I32, times, BATCH));
    double loss = lm_program_scalar(program, "loss");
    assert_true(fabs(loss - 1) < 5 * sqrt(2.0 / (BATCH * PIXELS)));

    double chi = 0, wanted = BATCH / (double)TIMESTEPS;
    int counts[TIMESTEPS] = {0};
    for (int i = 0; i < BATCH; i++) {
        assert_in_range(times[i], 0, TIMESTEPS - 1);
        counts[times[i]]++;
    }
    for (int t = 0; t < TIMESTEPS; t++) chi += pow(counts[t] - wanted, 2) / wanted;
    assert_true(chi < 33.7);
    lm_program_free(program);
    bench_release(&b);
}

/* The rows of the table that a loss looks up. */
static lm_node *find_rows(const lm_graph *g, const lm_model *model) {
    const lm_param_slice *table = lm_params_find(model->groups[0], "unet.class.weight");
    assert_non_null(table);
    for (int i = 0; i < lm_graph_size(g); i++) {
        lm_node *node = lm_graph_node(g, i);
        if (node->kind == LM_KIND_GATHER &&
            lm_shape_equal(node->src[0]->shape, table->shape))
            return node->src[1];
    }
    fail_msg("no row of the table is looked up");
    return NULL;
}

/* Labels reach the table as they are, or as its last row when there is none or it is
 * hidden, which happens as often as the settings say. */
static void test_hidden_labels(void **state) {
    enum { BATCH = 4000, CLASSES = 3 };
    static const double drops[] = {0, 0.3, 1};
    static int32_t labels[BATCH], seen[BATCH];
    static uint8_t pixels[BATCH * PIXELS];
    const uint32_t key[4] = {1, 2, 3, 0};
    for (int i = 0; i < BATCH; i++) labels[i] = i % (CLASSES + 1) - 1;
    for (int k = 0; k < 3; k++) {
        char more[64];
        snprintf(more, sizeof more, "conditional=true label-drop=%g", drops[k]);
        bench b;
        lm_graph *g;
        bench_init(&b, more);
        lm_nn nn = begin(&b, &g);
        lm_node *images = lm_input(g, "images", LM_U8, LM_SHAPE(BATCH, SIDE, SIDE, 1));
        lm_node *given = lm_input(g, "labels", LM_I32, LM_SHAPE(BATCH));
        lm_node *loss = lm_family_ddpm.phases[0].loss(b.model, &nn, images, given);
        lm_graph_output(g, "loss", loss);
        lm_graph_output(g, "rows", find_rows(g, b.model));
        lm_program *program = compile(&b, g);
        CHECK_OK(lm_program_set(program, "key", LM_U32, key, 4));
        CHECK_OK(lm_program_set(program, "labels", LM_I32, labels, BATCH));
        CHECK_OK(lm_program_set(program, "images", LM_U8, pixels, BATCH * PIXELS));
        CHECK_OK(lm_program_run(program));
        CHECK_OK(lm_program_get(program, "rows", LM_I32, seen, BATCH));
        int labelled = 0, hidden = 0;
        for (int i = 0; i < BATCH; i++) {
            if (labels[i] < 0) {
                assert_int_equal(seen[i], CLASSES);
                continue;
            }
            labelled++;
            hidden += seen[i] == CLASSES;
            if (seen[i] != CLASSES) assert_int_equal(seen[i], labels[i]);
        }
        double error = sqrt(labelled * drops[k] * (1 - drops[k]));
        assert_true(fabs(hidden - labelled * drops[k]) <= 4 * error);
        lm_program_free(program);
        bench_release(&b);
    }
}

/* Draws of one key must not repeat each other: the step of a run, the start and the steps
 * of a sample have the same key when step and seed agree. */
static int collect_streams(const lm_graph *g, uint32_t *streams, int count) {
    for (int i = 0; i < lm_graph_size(g); i++) {
        lm_node *node = lm_graph_node(g, i);
        if (node->kind != LM_KIND_PHILOX) continue;
        for (int k = 0; k < count; k++)
            assert_int_not_equal(streams[k], node->attr.stream);
        streams[count++] = node->attr.stream;
    }
    return count;
}

static void test_streams(void **state) {
    uint32_t streams[64];
    int count = 0;
    bench b;
    bench_init(&b, "dropout=0.1 conditional=true");
    for (int which = 0; which < 3; which++) {
        lm_graph *g;
        lm_nn nn = begin(&b, &g);
        lm_shape shape = LM_SHAPE(2, SIDE, SIDE, 1);
        lm_node *labels = lm_input(g, "labels", LM_I32, LM_SHAPE(2));
        nn.train = which == 0;
        if (which == 0)
            lm_family_ddpm.phases[0].loss(b.model, &nn,
                                          lm_input(g, "images", LM_U8, shape), labels);
        if (which == 1) lm_family_ddpm.sample_init(b.model, &nn, 2);
        if (which == 2)
            lm_family_ddpm.sample_step(b.model, &nn, lm_input(g, "x", LM_F32, shape),
                                       lm_input(g, "s", LM_F32, LM_SHAPE(7)), labels);
        CHECK_OK(lm_graph_status(g));
        count = collect_streams(g, streams, count);
        lm_graph_free(g);
    }
    assert_int_equal(count, 4 + 8 + 2 + 2); /* dropout: a stream for each of 8 blocks */
    bench_release(&b);
}

/* Images first .. first + batch - 1 of one seed. */
static void draw(bench *b, uint32_t first, int batch, double *x) {
    lm_graph *g;
    lm_sampler sampler;
    lm_sample_request request = {.eta = -1, .sampler = "ddpm", .label = -1};
    uint32_t key[4] = {99, 0, 0, first};
    int64_t count = (int64_t)batch * PIXELS;
    CHECK_OK(lm_family_ddpm.sampler(b->model, &request, &sampler));

    lm_nn nn = begin(b, &g);
    lm_graph_output(g, "x", lm_family_ddpm.sample_init(b->model, &nn, batch));
    lm_program *init = compile(b, g);
    nn = begin(b, &g);
    lm_node *in = lm_input(g, "x", LM_F32, LM_SHAPE(batch, SIDE, SIDE, 1));
    lm_node *scalars = lm_input(g, "scalars", LM_F32, LM_SHAPE(sampler.n_scalars));
    lm_node *y = lm_family_ddpm.sample_step(b->model, &nn, in, scalars, NULL);
    lm_graph_output(g, "x", y);
    lm_graph_output(g, "image", lm_family_ddpm.sample_image(b->model, &nn, y, NULL));
    lm_program *step = compile(b, g);

    CHECK_OK(lm_program_set(init, "key", LM_U32, key, 4));
    CHECK_OK(lm_program_run(init));
    CHECK_OK(lm_program_get(init, "x", LM_F64, x, count));
    for (int i = 0; i < sampler.n_steps; i++) {
        key[2] = (uint32_t)i;
        CHECK_OK(lm_program_set(step, "key", LM_U32, key, 4));
        CHECK_OK(lm_program_set(step, "x", LM_F64, x, count));
        CHECK_OK(lm_program_set(step, "scalars", LM_F32,
                                sampler.scalars + (size_t)i * sampler.n_scalars,
                                sampler.n_scalars));
        CHECK_OK(lm_program_run(step));
        CHECK_OK(lm_program_get(step, "x", LM_F64, x, count));
    }
    CHECK_OK(lm_program_get(step, "image", LM_F64, x, count));
    lm_program_free(step);
    lm_program_free(init);
    lm_sampler_release(&sampler);
}

/* An image depends on its number, not on which batch it is drawn in; two differ. */
static void test_samples(void **state) {
    static const char *const settings[] = {"", "patch=2 mult=1", "clip-x0=false"};
    for (int k = 0; k < 3; k++) {
        double all[3 * PIXELS], last[PIXELS], largest = 0;
        bench b;
        bench_init(&b, settings[k]);
        write_weights(&b, 5);
        draw(&b, 0, 3, all);
        draw(&b, 2, 1, last);
        double apart = 0;
        for (int i = 0; i < PIXELS; i++) {
            assert_true(fabs(last[i] - all[2 * PIXELS + i]) < 1e-12);
            apart = fmax(apart, fabs(all[i] - all[PIXELS + i]));
            largest = fmax(largest, fabs(all[i]));
        }
        assert_true(apart > 0.1);
        assert_true(largest <= 1);
        bench_release(&b);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loss_parts), cmocka_unit_test(test_targets),
        cmocka_unit_test(test_draws),      cmocka_unit_test(test_streams),
        cmocka_unit_test(test_samples),    cmocka_unit_test(test_hidden_labels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
