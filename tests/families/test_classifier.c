/* Which settings open, presets, and what training changes about images. */
#include "opening.h"

#include "base/mem.h"
#include "exec/exec.h"
#include "families/classifier.h"

#include <stdio.h>
#include <string.h>

/* Judges are trained by them, in a known time. */
static void presets_have_a_length(void **state) {
    for (const lm_preset *p = lm_family_classifier.presets; p->name; p++)
        assert_true(p->steps > 0);
}

static void refuses_what_does_not_fit(void **state) {
    static const refusal rows[] = {
        {"", {28, 28, 1, 0}, "label"},
        {"", {28, 28, 1, 1}, "label"},
        {"patch=3", {28, 28, 1, 10}, "patch"},
        {"channels=8,8,8,8", {28, 28, 1, 10}, "7x7 at level 2"},
        {"augment=colour", {28, 28, 1, 10}, "colour"},
        {"", {28, 0, 1, 10}, "28x0"},
    };
    check_refusals(&lm_family_classifier, NULL, rows, sizeof rows / sizeof *rows);
}

enum { SIDE = 8, BATCH = 2, PIXELS = SIDE * SIDE };

/* The loss of one step, with weights of a seed. */
static double loss_of(const char *settings, const int32_t labels[BATCH], uint32_t step) {
    const uint32_t key[4] = {5, 0, step, 0};
    uint8_t pixels[BATCH * PIXELS];
    float values[4096];
    lm_model *model;
    lm_engine *engine;
    lm_graph *g;
    lm_program *program;
    for (int i = 0; i < BATCH * PIXELS; i++) pixels[i] = (uint8_t)(37 * i);
    CHECK_OK(open_model(&lm_family_classifier, settings, "",
                        (lm_image_info){SIDE, SIDE, 1, 3}, &model));
    lm_params *params = model->groups[0];
    assert_true(params->count <= 4096);
    for (int i = 0; i < params->n_slices; i++)
        params->slices[i].init = LM_INIT(NORMAL, 0.5);
    CHECK_OK(lm_params_init(params, 1, values));
    CHECK_OK(lm_engine_new("ref", &engine));
    CHECK_OK(lm_engine_add_var(engine, "model", params->count));
    CHECK_OK(lm_engine_write_var(engine, "model", 0, params->count, LM_F32, values));
    CHECK_OK(lm_graph_new(&g));
    lm_nn nn = {.graph = g,
                .params = params,
                .var = "model",
                .train = true,
                .key = lm_input(g, "key", LM_U32, LM_SHAPE(4))};
    lm_node *loss = lm_family_classifier.phases[0].loss(
        model, &nn, lm_input(g, "images", LM_U8, LM_SHAPE(BATCH, SIDE, SIDE, 1)),
        lm_input(g, "labels", LM_I32, LM_SHAPE(BATCH)));
    lm_graph_output(g, "loss", loss);
    CHECK_OK(lm_graph_status(g));
    CHECK_OK(lm_compile(engine, g, NULL, &program));
    lm_graph_free(g);
    if (lm_program_has_input(program, "key"))
        CHECK_OK(lm_program_set(program, "key", LM_U32, key, 4));
    CHECK_OK(lm_program_set(program, "images", LM_U8, pixels, BATCH * PIXELS));
    CHECK_OK(lm_program_set(program, "labels", LM_I32, labels, BATCH));
    CHECK_OK(lm_program_run(program));
    double result = lm_program_scalar(program, "loss");
    lm_program_free(program);
    lm_engine_free(engine);
    lm_model_close(model);
    return result;
}

#define SMALL "channels=4 blocks=1 patch=2 features=4 "

static void each_change_changes_training(void **state) {
    static const char *const changes[] = {"shift=1",   "rotate=20",     "scale=0.2",
                                          "slant=0.3", "augment=color", "dropout=0.5"};
    const int32_t labels[BATCH] = {0, 2};
    double plain = loss_of(SMALL, labels, 0);
    assert_true(plain > 0 && plain == loss_of(SMALL, labels, 1));
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        char settings[96];
        snprintf(settings, sizeof settings, SMALL "%s", changes[i]);
        double first = loss_of(settings, labels, 0);
        if (first == plain || first == loss_of(settings, labels, 1))
            fail_msg("%s changes nothing", changes[i]);
    }
}

/* An image without a label counts for nothing, and one without any label has no loss. */
static void images_without_label_do_not_count(void **state) {
    const int32_t both[BATCH] = {0, 2}, first[BATCH] = {0, -1}, second[BATCH] = {-1, 2},
                  none[BATCH] = {-1, -1};
    double mean = (loss_of(SMALL, first, 0) + loss_of(SMALL, second, 0)) / 2;
    assert_true(loss_of(SMALL, both, 0) - mean < 1e-9 &&
                mean - loss_of(SMALL, both, 0) < 1e-9);
    assert_true(loss_of(SMALL, first, 0) != loss_of(SMALL, both, 0));
    assert_true(loss_of(SMALL, none, 0) == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(presets_have_a_length),
        cmocka_unit_test(refuses_what_does_not_fit),
        cmocka_unit_test(each_change_changes_training),
        cmocka_unit_test(images_without_label_do_not_count)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
