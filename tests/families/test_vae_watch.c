/* When posterior collapse is said to begin and to end. */
#include "opening.h"

#include "base/mem.h"
#include "families/vae.h"

#include <string.h>

typedef struct rig {
    lm_model *model;
    void *memory;
    int told;         /* notices so far */
    lm_notice notice; /* the latest */
} rig;

static void rig_open(rig *r, const char *text) {
    const lm_image_info info = {4, 4, 1, 0};
    *r = (rig){0};
    CHECK_OK(
        open_model(&lm_family_vae, "net=mlp hidden=4 latent=20", text, info, &r->model));
    r->memory = lm_calloc(1, lm_vae_watch.size);
    assert_non_null(r->memory);
}

static void rig_close(rig *r) {
    lm_free(r->memory);
    lm_model_close(r->model);
}

/* Rows of steps first, first + 10 .. below `last`. */
static void show(rig *r, int first, int last, double beta, double active) {
    for (int step = first; step < last; step += 10) {
        json_t *row = json_pack("{s:i, s:f, s:f}", "step", step, "beta", beta,
                                "active_units", active);
        assert_non_null(row);
        r->told += lm_vae_watch.look(r->model, r->memory, row, &r->notice);
        json_decref(row);
    }
}

static void test_told_once_each(void **state) {
    rig r;
    rig_open(&r, "beta=4");
    show(&r, 10, 1000, 4, 19);
    assert_int_equal(r.told, 0);
    show(&r, 1000, 3000, 4, 3);
    assert_int_equal(r.told, 1);
    assert_true(r.notice.begins);
    assert_string_equal(r.notice.name, "posterior-collapse");
    assert_non_null(strstr(r.notice.text, " of 20 latent units tell images apart"));
    assert_non_null(
        strstr(r.notice.text, "a beta below 4, free-bits=0.1, beta-schedule"));
    show(&r, 3000, 4000, 4, 6); /* more, but not enough to take it back */
    assert_int_equal(r.told, 1);
    show(&r, 4000, 6000, 4, 8);
    assert_int_equal(r.told, 2);
    assert_false(r.notice.begins);
    assert_non_null(strstr(r.notice.text, "posterior collapse is over: "));
    show(&r, 6000, 8000, 4, 6); /* fewer, but not so few as to say it again */
    assert_int_equal(r.told, 2);
    rig_close(&r);
}

/* A window decides, not a row. */
static void test_rows_alone_do_not_count(void **state) {
    rig r;
    rig_open(&r, "");
    for (int step = 10; step < 5000; step += 100) {
        show(&r, step, step + 20, 1, 0);
        show(&r, step + 20, step + 100, 1, 20);
    }
    assert_int_equal(r.told, 0);
    rig_close(&r);
}

static void test_first_window_is_for_waking_up(void **state) {
    rig r;
    rig_open(&r, "");
    show(&r, 10, 270, 1, 0);
    assert_int_equal(r.told, 0);
    show(&r, 270, 2000, 1, 12);
    assert_int_equal(r.told, 0);
    rig_close(&r);
}

static void test_warm_up_is_not_judged(void **state) {
    rig r;
    rig_open(&r, "beta=0.3 beta-schedule=warmup beta-steps=3000 free-bits=0.01");
    for (int step = 0; step < 3000; step += 10)
        show(&r, step, step + 10, 0.3 * step / 3000, 0);
    assert_int_equal(r.told, 0);
    show(&r, 3000, 4000, 0.3, 0); /* as the log has what f32 made of 0.3 */
    assert_int_equal(r.told, 1);
    assert_non_null(strstr(r.notice.text, "more free-bits, more beta-steps"));
    rig_close(&r);
}

/* Where few rows are logged, a window is longer. */
static void test_few_rows(void **state) {
    rig r;
    rig_open(&r, "");
    for (int step = 1000; step <= 10000; step += 1000) {
        assert_int_equal(r.told, 0);
        show(&r, step, step + 1, 1, 0);
    }
    assert_int_equal(r.told, 1);
    rig_close(&r);
}

static void test_other_rows_are_no_concern(void **state) {
    rig r;
    rig_open(&r, "");
    json_t *row = json_pack("{s:i, s:s}", "step", 10, "notice", "posterior-collapse");
    for (int i = 0; i < 1000; i++)
        assert_false(lm_vae_watch.look(r.model, r.memory, row, &r.notice));
    json_decref(row);
    rig_close(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_told_once_each),
        cmocka_unit_test(test_rows_alone_do_not_count),
        cmocka_unit_test(test_first_window_is_for_waking_up),
        cmocka_unit_test(test_warm_up_is_not_judged),
        cmocka_unit_test(test_few_rows),
        cmocka_unit_test(test_other_rows_are_no_concern),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
