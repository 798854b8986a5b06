/* The registry, presets, and which settings open. */
#include "opening.h"

#include "base/mem.h"
#include "families/ddpm.h"
#include <stdio.h>
#include <string.h>

static void test_find(void **state) {
    const lm_family *family;
    const lm_preset *preset;
    CHECK_OK(lm_family_find("ddpm", &family));
    assert_ptr_equal(family, &lm_family_ddpm);
    CHECK_FAILS(lm_family_find("ddmp", &family), LM_NOT_FOUND);
    assert_non_null(strstr(lm_message(), "did you mean ddpm"));
    CHECK_FAILS(lm_family_find("photograph", &family), LM_NOT_FOUND);
    assert_non_null(strstr(lm_message(), "ddpm"));
    CHECK_OK(lm_preset_find(&lm_family_ddpm, "cifar10", &preset));
    assert_string_equal(preset->name, "cifar10");
    CHECK_FAILS(lm_preset_find(&lm_family_ddpm, "cifar", &preset), LM_NOT_FOUND);
    assert_non_null(strstr(lm_message(), "did you mean cifar10"));
}

/* 35.7 million (Ho et al. 2020, appendix B); to the last one, as their code counts. */
static void test_parameters(void **state) {
    lm_model *model;
    CHECK_OK(open_preset(&lm_family_ddpm, "cifar10", "", (lm_image_info){32, 32, 3, 10},
                         &model));
    assert_int_equal(lm_model_parameters(model), 35746307);
    lm_model_close(model);
}

/* Every preset opens on the images that it is made for. */
static void test_presets_open(void **state) {
    for (int f = 0; lm_families[f]; f++)
        for (const lm_preset *p = lm_families[f]->presets; p && p->name; p++) {
            lm_model *model;
            CHECK_OK(open_preset(lm_families[f], p->name, "", p->info, &model));
            lm_model_close(model);
        }
}

/* Those of ddpm for greys and for colours. */
static void test_presets_open_on_others(void **state) {
    const lm_image_info infos[] = {{28, 28, 1, 10}, {32, 32, 3, 10}};
    static const char *const names[] = {"mnist", "tiny"};
    for (int i = 0; i < 4; i++) {
        lm_model *model;
        CHECK_OK(open_preset(&lm_family_ddpm, names[i / 2], "", infos[i % 2], &model));
        lm_model_close(model);
    }
}

static void test_refusals(void **state) {
    static const refusal rows[] = {
        {"mult=1,2,2,2", {28, 28, 1, 10}, "7x7 at level 3"},
        {"mult=1,2 patch=3", {28, 28, 1, 10}, "patch"},
        {"mult=1,2 attention=16", {28, 28, 1, 10}, "attention"},
        {"mult=1,2,2 attention=7 heads=5", {28, 28, 1, 10}, "heads"},
        {"mult=1,2,2 attention=0 heads=5", {28, 28, 1, 10}, "heads"},
        {"base=33", {28, 28, 1, 10}, "base"},
        {"", {0, 28, 1, 10}, "0x28"},
    };
    check_refusals(&lm_family_ddpm, "mnist", rows, sizeof rows / sizeof *rows);
}

/* Groups shrink to divide the channels; non-square and odd maps are fine while they need
 * no half. */
static void test_odd_shapes(void **state) {
    lm_model *model;
    CHECK_OK(open_preset(&lm_family_ddpm, "mnist",
                         "base=10 mult=1,3 blocks=1 attention=0",
                         (lm_image_info){14, 22, 2, 0}, &model));
    lm_model_close(model);
    CHECK_OK(open_preset(&lm_family_ddpm, "mnist", "base=6 mult=1 blocks=1 attention=7",
                         (lm_image_info){7, 5, 1, 0}, &model));
    lm_model_close(model);
}

static lm_status open_small(void) {
    lm_settings settings;
    lm_model *model;
    lm_image_info info = {4, 4, 1, 0};
    LM_TRY(lm_settings_init(&settings, lm_family_ddpm.options));
    lm_status status =
        lm_settings_apply(&settings, "base=2 mult=1 blocks=1 attention=4 timesteps=5");
    if (status != LM_OK) {
        lm_settings_release(&settings);
        return status;
    }
    LM_TRY(lm_model_open(&lm_family_ddpm, &settings, &info, &model));
    lm_model_close(model);
    return LM_OK;
}

static void test_out_of_memory(void **state) {
    int64_t before = lm_mem_get_stats().blocks, n = 0;
    lm_status status;
    do {
        lm_mem_fail_at(++n, 0);
        status = open_small();
        lm_mem_fail_at(0, 0);
        if (status != LM_OK && status != LM_NOMEM)
            fail_msg("%s: %s", lm_status_name(status), lm_message());
        assert_int_equal(lm_mem_get_stats().blocks, before);
    } while (status != LM_OK);
    assert_true(n > 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_presets_open),
        cmocka_unit_test(test_presets_open_on_others),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_odd_shapes),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
