/* Drawers of models that draw in one pass: labels, being stopped, what they refuse. */
#include "testing.h"

#include "families/opening.h"
#include "families/vae.h"
#include "train/checkpoint.h"
#include "train/draw.h"

#include <string.h>

enum { SIDE = 3, PIXELS = SIDE * SIDE, CLASSES = 4, LATENT = 2, BATCH = 8, COUNT = 20 };

typedef struct rig {
    lm_model *model;
    lm_engine *engine;
    lm_drawer *drawer;
} rig;

static lm_status new_drawer(rig *r, lm_sample_request request) {
    const lm_drawer_spec spec = {.request = request, .batch = BATCH, .raw = true};
    return lm_drawer_new(r->engine, r->model, &spec, &r->drawer);
}

static int rig_open(void **state) {
    static rig r;
    r = (rig){0};
    CHECK_OK(open_model(&lm_family_vae, "net=mlp hidden=4 latent=2 conditional=true", "",
                        (lm_image_info){SIDE, SIDE, 1, CLASSES}, &r.model));
    CHECK_OK(lm_engine_new("cpu", &r.engine));
    CHECK_OK(lm_checkpoint_add_vars(r.model, r.engine));
    *state = &r;
    return 0;
}

static int rig_close(void **state) {
    rig *r = *state;
    lm_drawer_free(r->drawer);
    lm_engine_free(r->engine);
    lm_model_close(r->model);
    return 0;
}

static const lm_sample_request plain = {.eta = -1, .label = -1};

/* A state that says for which label it was drawn. */
static void draw_label(void *user, uint64_t seed, int64_t index, int32_t label,
                       float *state) {
    for (int i = 0; i < LATENT; i++) state[i] = (float)label;
}

static void states_are_of_their_labels(void **state) {
    rig *r = *state;
    int32_t labels[COUNT];
    float states[COUNT * LATENT];
    CHECK_OK(new_drawer(r, plain));
    CHECK_OK(
        lm_drawer_start_from(r->drawer, &(lm_drawer_starts){draw_label, NULL, "labels"}));
    for (int i = 0; i < COUNT; i++) labels[i] = i / 3 % CLASSES;
    CHECK_OK(lm_drawer_states(r->drawer, 1, 0, COUNT, labels, states));
    for (int i = 0; i < COUNT; i++)
        assert_true(states[i * LATENT + 1] == (float)labels[i]);
    CHECK_OK(lm_drawer_states(r->drawer, 1, 0, COUNT, NULL, states));
    for (int i = 0; i < COUNT; i++) assert_true(states[i * LATENT] == -1);
    labels[7] = CLASSES;
    CHECK_FAILS(lm_drawer_states(r->drawer, 1, 0, COUNT, labels, states), LM_ARG);
}

static bool count_down(void *user, int step, int steps) {
    int *left = user;
    assert_int_equal(step, steps);
    return --*left > 0;
}

static void it_stops_between_batches(void **state) {
    rig *r = *state;
    float images[COUNT * PIXELS];
    const int32_t labels[COUNT] = {0};
    int left = 2;
    CHECK_OK(new_drawer(r, plain));
    CHECK_FAILS(lm_drawer_draw(r->drawer, 1, 0, COUNT, labels, images, count_down, &left),
                LM_INTERRUPTED);
    assert_int_equal(left, 0);
    left = 100;
    CHECK_OK(lm_drawer_draw(r->drawer, 1, 0, COUNT, labels, images, count_down, &left));
    assert_int_equal(left, 100 - (COUNT + BATCH - 1) / BATCH);
}

static void what_it_would_pass_over_is_refused(void **state) {
    rig *r = *state;
    const struct {
        lm_sample_request request;
        const char *says;
    } rows[] = {
        {{.eta = -1, .label = -1, .steps = 5}, "steps"},
        {{.eta = 0, .label = -1}, "eta"},
        {{.eta = -1, .label = -1, .guidance = 2}, "guidance"},
        {{.eta = -1, .label = -1, .truncation = 1}, "truncation"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CHECK_FAILS(new_drawer(r, rows[i].request), LM_ARG);
        assert_ptr_equal(strstr(lm_message(), rows[i].says), lm_message());
    }
    const lm_sample_request limit = {
        .eta = -1, .label = -1, .steps = 5, .cut_steps = true};
    CHECK_OK(new_drawer(r, limit));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(states_are_of_their_labels, rig_open, rig_close),
        cmocka_unit_test_setup_teardown(it_stops_between_batches, rig_open, rig_close),
        cmocka_unit_test_setup_teardown(what_it_would_pass_over_is_refused, rig_open,
                                        rig_close)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
