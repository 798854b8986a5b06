/* Variational autoencoders: which settings fit which images, how beta grows, what is
 * logged, and that draws have the size of the data. */
#include "opening.h"

#include "exec/exec.h"
#include "families/vae.h"
#include "nn/optim.h"

#include <math.h>
#include <string.h>

static void test_any_size(void **state) {
    static const int sizes[] = {28, 31, 32, 45, 64, 96, 128};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        lm_model *model;
        CHECK_OK(open_model(&lm_family_vae, "base=4 mult=1,1,1,1", "",
                            (lm_image_info){sizes[i], sizes[i], 3, 0}, &model));
        lm_graph *g;
        CHECK_OK(lm_graph_new(&g));
        lm_nn nn = {.graph = g, .params = model->groups[0], .var = "model"};
        lm_node *z = lm_input(g, "z", LM_F32, LM_SHAPE(2, 16));
        lm_node *image = lm_family_vae.sample_image(model, &nn, z, NULL);
        CHECK_OK(lm_graph_status(g));
        assert_true(lm_shape_equal(image->shape, LM_SHAPE(2, sizes[i], sizes[i], 3)));
        lm_graph_free(g);
        lm_model_close(model);
    }
}

static void test_wrong_settings(void **state) {
    static const refusal rows[] = {
        {"conditional=true", {28, 28, 1, 0}, "conditional"},
        {"samples=5 free-bits=0.1", {28, 28, 1, 10}, "free-bits"},
        {"likelihood=logistic scale=optimal", {28, 28, 1, 10}, "scale"},
        {"likelihood=bernoulli range=signed", {28, 28, 1, 10}, "range"},
        {"mult=1,1,1,1,1,1,1", {28, 28, 1, 10}, "mult"},
        {"mult=1,1,1,1,1,1,1,1,1", {512, 512, 1, 10}, "mult"},
        {"likelihood=gaussian", {28, 28, 2, 10}, "channels"},
    };
    check_refusals(&lm_family_vae, NULL, rows, sizeof rows / sizeof *rows);
}

/* ---- one step of training ---------------------------------------------------- */

enum { N = 8, SIDE = 6 };

typedef struct rig {
    lm_model *model;
    lm_engine *engine;
    lm_program *program;
} rig;

static void rig_open(rig *r, const char *settings) {
    lm_graph *g;
    CHECK_OK(open_model(&lm_family_vae, settings, "", (lm_image_info){SIDE, SIDE, 1, 3},
                        &r->model));
    const lm_params *group = r->model->groups[0];
    CHECK_OK(lm_engine_new("ref", &r->engine));
    CHECK_OK(lm_engine_add_var(r->engine, "model", group->count));
    float *weights = malloc(sizeof *weights * (size_t)group->count);
    assert_non_null(weights);
    CHECK_OK(lm_params_init(group, 3, weights));
    CHECK_OK(lm_engine_write_var(r->engine, "model", 0, group->count, LM_F32, weights));
    free(weights);
    CHECK_OK(lm_graph_new(&g));
    lm_nn nn = {.graph = g, .params = r->model->groups[0], .var = "model", .train = true};
    nn.key = lm_input(g, "key", LM_U32, LM_SHAPE(4));
    lm_node *images = lm_input(g, "images", LM_U8, LM_SHAPE(N, SIDE, SIDE, 1));
    lm_node *labels = lm_input(g, "labels", LM_I32, LM_SHAPE(N));
    lm_graph_output(g, "loss",
                    lm_family_vae.phases[0].loss(r->model, &nn, images, labels));
    CHECK_OK(lm_graph_status(g));
    CHECK_OK(lm_compile(r->engine, g, NULL, &r->program));
    lm_graph_free(g);
    uint8_t pixels[N * SIDE * SIDE];
    int32_t classes[N];
    for (int i = 0; i < N * SIDE * SIDE; i++) pixels[i] = (uint8_t)(i * 37 % 256);
    for (int i = 0; i < N; i++) classes[i] = i % 3;
    CHECK_OK(lm_program_set(r->program, "images", LM_U8, pixels, N * SIDE * SIDE));
    if (lm_program_has_input(r->program, "labels"))
        CHECK_OK(lm_program_set(r->program, "labels", LM_I32, classes, N));
}

static double run_at(rig *r, uint32_t step, const char *output) {
    const uint32_t key[4] = {5, 0, step, 0};
    if (lm_program_has_input(r->program, "key"))
        CHECK_OK(lm_program_set(r->program, "key", LM_U32, key, 4));
    CHECK_OK(lm_program_run(r->program));
    return lm_program_scalar(r->program, output);
}

static void rig_close(rig *r) {
    lm_program_free(r->program);
    lm_engine_free(r->engine);
    lm_model_close(r->model);
}

#define SMALL "net=mlp hidden=8 latent=3 likelihood=gaussian scale=fixed "

static void test_beta_schedules(void **state) {
    rig r;
    rig_open(&r, SMALL "beta=4 beta-schedule=warmup beta-steps=10");
    assert_true(fabs(run_at(&r, 0, "beta")) < 1e-6);
    assert_true(fabs(run_at(&r, 5, "beta") - 2) < 1e-6);
    assert_true(fabs(run_at(&r, 10, "beta") - 4) < 1e-6);
    assert_true(fabs(run_at(&r, 99, "beta") - 4) < 1e-6);
    double kl = run_at(&r, 99, "kl"), error = run_at(&r, 99, "reconstruction");
    assert_true(fabs(run_at(&r, 99, "loss") - (error + 4 * kl)) < 1e-6 * fabs(error));
    rig_close(&r);
    rig_open(&r, SMALL "beta=4 beta-schedule=cyclic beta-steps=20");
    assert_true(fabs(run_at(&r, 5, "beta") - 2) < 1e-5);
    assert_true(fabs(run_at(&r, 15, "beta") - 4) < 1e-5);
    assert_true(fabs(run_at(&r, 45, "beta") - 2) < 1e-5);
    rig_close(&r);
}

/* At the start every unit is near its prior, so that its cost is the free one. */
static void test_free_bits(void **state) {
    rig r;
    rig_open(&r, SMALL "free-bits=50");
    double error = run_at(&r, 0, "reconstruction");
    assert_true(fabs(run_at(&r, 0, "loss") - error - 3 * 50) < 1e-6 * fabs(error));
    rig_close(&r);
}

/* The bound grows with the number of samples (Burda et al., theorem 1); on average over
 * many draws it must show. */
static void test_importance_bound_is_tighter(void **state) {
    double mean[2] = {0};
    for (int which = 0; which < 2; which++) {
        rig r;
        rig_open(&r, which ? SMALL "samples=20" : SMALL "samples=2");
        for (uint32_t step = 0; step < 40; step++)
            mean[which] += run_at(&r, step, "loss") / 40;
        rig_close(&r);
    }
    assert_true(mean[1] < mean[0]);
}

static void test_conditional_reads_labels(void **state) {
    rig r;
    rig_open(&r, "base=2 mult=1,2 latent=2 conditional=true prior=learned");
    assert_true(lm_program_has_input(r.program, "labels"));
    assert_true(isfinite(run_at(&r, 0, "loss")));
    rig_close(&r);
    rig_open(&r, SMALL);
    assert_false(lm_program_has_input(r.program, "labels"));
    rig_close(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_size),
        cmocka_unit_test(test_wrong_settings),
        cmocka_unit_test(test_beta_schedules),
        cmocka_unit_test(test_free_bits),
        cmocka_unit_test(test_importance_bound_is_tighter),
        cmocka_unit_test(test_conditional_reads_labels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
