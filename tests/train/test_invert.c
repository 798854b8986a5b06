/* States by optimisation: images that a generator has made are found again. */
#include "testing.h"

#include "base/mem.h"
#include "families/opening.h"
#include "image/image.h"
#include "tensor/philox.h"
#include "train/checkpoint.h"
#include "train/draw.h"
#include "train/encoder.h"

#include <math.h>
#include <string.h>

enum { SIDE = 8, SIZE = SIDE * SIDE, Z = 6, COUNT = 20, CLASSES = 3 };

/* A generator of random weights, large enough for its images to differ. */
typedef struct world {
    lm_model *model;
    lm_engine *engine;
    lm_drawer *drawer;
    uint8_t images[COUNT * SIZE];
    int32_t labels[COUNT];
    lm_image_source source;
} world;

static lm_status read_images(const lm_image_source *source, int64_t first, int64_t count,
                             uint8_t *pixels, int32_t *labels) {
    const world *w = source->state;
    memcpy(pixels, w->images + first * SIZE, (size_t)count * SIZE);
    if (labels) memcpy(labels, w->labels + first, (size_t)count * sizeof *labels);
    return LM_OK;
}

static void write_weights(const world *w) {
    const lm_params *group = w->model->groups[0];
    float *values = lm_alloc(sizeof *values * (size_t)group->count);
    assert_non_null(values);
    lm_rng rng = {.seed = 4};
    for (int64_t i = 0; i < group->count; i++)
        values[i] = 0.3F * (float)lm_rng_normal(&rng);
    CHECK_OK(
        lm_engine_write_var(w->engine, group->name, 0, group->count, LM_F32, values));
    lm_free(values);
}

static void make_world(world *w, const char *text) {
    const lm_family *family;
    const lm_image_info info = {SIDE, SIDE, 1, CLASSES};
    *w = (world){.source = {"made", COUNT, SIDE, SIDE, 1, CLASSES, read_images, w}};
    CHECK_OK(lm_family_find("gan", &family));
    CHECK_OK(open_model(family, "base=4 z=6 g-norm=none", text, info, &w->model));
    CHECK_OK(lm_engine_new("cpu", &w->engine));
    CHECK_OK(lm_checkpoint_add_vars(w->model, w->engine));
    write_weights(w);
    const lm_drawer_spec spec = {
        .request = {.eta = -1, .label = -1}, .batch = COUNT, .raw = true};
    CHECK_OK(lm_drawer_new(w->engine, w->model, &spec, &w->drawer));
    float floats[COUNT * SIZE];
    for (int i = 0; i < COUNT; i++) w->labels[i] = i % CLASSES;
    CHECK_OK(lm_drawer_draw(w->drawer, 9, 0, COUNT,
                            w->model->conditional ? w->labels : NULL, floats, NULL,
                            NULL));
    lm_image_from_signed(floats, w->images, COUNT * SIZE);
}

static void end_world(world *w) {
    lm_drawer_free(w->drawer);
    lm_engine_free(w->engine);
    lm_model_close(w->model);
}

static void encode(world *w, const lm_invert_spec *spec, int64_t first, int64_t count,
                   float *states) {
    lm_encoder *encoder;
    const lm_encoder_spec how = {.raw = true, .invert = *spec};
    CHECK_OK(lm_encoder_new(w->engine, w->model, &how, &encoder));
    assert_int_equal(lm_encoder_size(encoder), Z);
    CHECK_OK(lm_encoder_run(encoder, &w->source, first, count, states));
    lm_encoder_free(encoder);
}

/* Mean square of the differences, as a share of the images' own variance. */
static double measure_error(world *w, const float *states) {
    float floats[COUNT * SIZE];
    CHECK_OK(lm_drawer_draw_from(w->drawer, states, 0, 0, COUNT,
                                 w->model->conditional ? w->labels : NULL, floats, NULL,
                                 NULL));
    double off = 0, sum = 0, squares = 0;
    for (int i = 0; i < COUNT * SIZE; i++) {
        double x = w->images[i] / 127.5 - 1;
        off += (floats[i] - x) * (floats[i] - x);
        sum += x;
        squares += x * x;
    }
    double n = COUNT * SIZE;
    return off / (squares - sum * sum / n);
}

static void check_found(const char *settings) {
    world w;
    float states[COUNT * Z];
    make_world(&w, settings);
    lm_invert_spec spec = {.steps = 1, .starts = 1, .seed = 2};
    encode(&w, &spec, 0, COUNT, states);
    double before = measure_error(&w, states);
    spec.steps = 250;
    spec.starts = 4;
    encode(&w, &spec, 0, COUNT, states);
    double after = measure_error(&w, states);
    if (!(before > 0.5)) fail_msg("%g of the variance from the first step", before);
    if (!(after < 0.01)) fail_msg("%g of the variance is left", after);
    end_world(&w);
}

static void images_are_found_again(void **state) {
    check_found("");
    check_found("conditional=true");
}

/* More starts never hurt, and the seed counts. */
static void starts_and_seeds(void **state) {
    world w;
    float one[COUNT * Z], many[COUNT * Z], other[COUNT * Z];
    make_world(&w, "");
    encode(&w, &(lm_invert_spec){.steps = 40, .starts = 1}, 0, COUNT, one);
    encode(&w, &(lm_invert_spec){.steps = 40, .starts = 16}, 0, COUNT, many);
    encode(&w, &(lm_invert_spec){.steps = 40, .starts = 1, .seed = 1}, 0, COUNT, other);
    assert_true(measure_error(&w, many) < measure_error(&w, one));
    assert_memory_not_equal(one, other, sizeof one);
    end_world(&w);
}

static void portions_do_not_matter(void **state) {
    world w;
    float whole[COUNT * Z], again[COUNT * Z], part[3 * Z];
    const lm_invert_spec spec = {.steps = 20, .seed = 3}; /* 16 images at a time */
    make_world(&w, "");
    encode(&w, &spec, 0, COUNT, whole);
    encode(&w, &spec, 0, COUNT, again);
    encode(&w, &spec, 15, 3, part);
    assert_memory_equal(whole, again, sizeof whole);
    for (int i = 0; i < 3 * Z; i++)
        assert_true(fabsf(part[i] - whole[15 * Z + i]) < 1e-4F);
    end_world(&w);
}

static void states_stay_near_the_shell(void **state) {
    world w;
    float free_states[COUNT * Z], held[COUNT * Z];
    make_world(&w, "");
    memset(w.images, 255, sizeof w.images); /* far from all that it makes */
    encode(&w, &(lm_invert_spec){.steps = 150, .shell = 0}, 0, COUNT, free_states);
    encode(&w, &(lm_invert_spec){.steps = 150, .shell = 10}, 0, COUNT, held);
    double squares = 0;
    for (int i = 0; i < COUNT * Z; i++)
        squares += (double)free_states[i] * free_states[i];
    assert_true(squares / (COUNT * Z) > 1.5);
    for (int i = 0; i < COUNT; i++) {
        squares = 0;
        for (int k = 0; k < Z; k++) squares += (double)held[i * Z + k] * held[i * Z + k];
        assert_true(squares / Z > 0.8 && squares / Z < 1.2);
    }
    end_world(&w);
}

static bool refuse(void *user) {
    ++*(int *)user;
    return false;
}

static void what_cannot_be_done(void **state) {
    world w;
    lm_encoder *encoder = NULL;
    lm_inverter *inverter = NULL;
    float states[COUNT * Z];
    int asked = 0;
    make_world(&w, "conditional=true");
    CHECK_FAILS(lm_inverter_new(w.engine, w.model, true, &(lm_invert_spec){.starts = 65},
                                &inverter),
                LM_ARG);
    CHECK_FAILS(lm_inverter_new(w.engine, w.model, true, &(lm_invert_spec){.steps = -1},
                                &inverter),
                LM_ARG);
    CHECK_FAILS(lm_inverter_new(w.engine, w.model, true, &(lm_invert_spec){.rate = NAN},
                                &inverter),
                LM_ARG);
    assert_null(inverter);
    const lm_encoder_spec stopped = {.raw = true,
                                     .invert = {.go_on = refuse, .user = &asked}};
    CHECK_OK(lm_encoder_new(w.engine, w.model, &stopped, &encoder));
    CHECK_FAILS(lm_encoder_run(encoder, &w.source, 0, COUNT, states), LM_INTERRUPTED);
    assert_int_equal(asked, 1);
    w.labels[1] = -1;
    CHECK_FAILS(lm_encoder_run(encoder, &w.source, 0, COUNT, states), LM_MISMATCH);
    lm_encoder_free(encoder);
    end_world(&w);
}

static void steps_cannot_be_inverted(void **state) {
    const lm_family *family;
    CHECK_OK(lm_family_find("ddpm", &family));
    assert_false(lm_can_invert(family));
    CHECK_OK(lm_family_find("classifier", &family));
    assert_false(lm_can_invert(family));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(images_are_found_again),
        cmocka_unit_test(starts_and_seeds),
        cmocka_unit_test(portions_do_not_matter),
        cmocka_unit_test(states_stay_near_the_shell),
        cmocka_unit_test(what_cannot_be_done),
        cmocka_unit_test(steps_cannot_be_inverted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
