/* label=NAME: attributes as labels, their parts, names, and what is refused. */
#include "testing.h"

#include "base/mem.h"
#include "data/data_internal.h"
#include "data/relabel.h"
#include "data/transform.h"

#include <string.h>

enum { COUNT = 12 };

static const char *const names[] = {"Smiling", "height", "hat"};
static const char *const hats[] = {"none", "cap", "crown"};
static const lm_attribute_kind kinds[] = {{2, NULL}, {0, NULL}, {3, hats}};

static lm_status get_plain(const lm_dataset *set, int64_t index, uint8_t *pixels,
                           int32_t *label) {
    pixels[0] = (uint8_t)index;
    *label = -1;
    return LM_OK;
}

static lm_status get_values(const lm_dataset *set, int64_t index, float *values) {
    values[0] = (float)(index % 2);
    values[1] = (float)index / (COUNT - 1);
    values[2] = (float)(index % 3) / 2;
    return LM_OK;
}

static lm_dataset *make_plain(void) {
    lm_dataset *set = lm_calloc(1, sizeof *set);
    assert_non_null(set);
    set->name = lm_strdup("plain");
    set->source = lm_strdup("here");
    set->height = set->width = set->channels = 1;
    set->count = COUNT;
    set->hash = 5;
    set->get = get_plain;
    set->n_attributes = 3;
    set->attribute_names = names;
    set->attribute_kinds = kinds;
    set->attributes = get_values;
    CHECK_OK(lm_dataset_add_file(set, "from/here"));
    return set;
}

static lm_dataset *make(const char *text) {
    lm_transform transform;
    lm_dataset *set = make_plain();
    CHECK_OK(lm_transform_parse(text, &transform));
    CHECK_OK(lm_dataset_transform(&transform, text, &set));
    return set;
}

static void check_labels(lm_dataset *set, int classes, const int32_t *want) {
    assert_int_equal(set->classes, classes);
    for (int64_t i = 0; i < set->count; i++) {
        int32_t alone, label;
        uint8_t pixel;
        CHECK_OK(lm_dataset_label(set, i, &alone));
        CHECK_OK(set->get(set, i, &pixel, &label));
        assert_int_equal(alone, want[i]);
        assert_int_equal(label, want[i]);
    }
}

static void cuts_equal_parts(void **state) {
    assert_int_equal(lm_attribute_part(0, 2), 0);
    assert_int_equal(lm_attribute_part(0.49999f, 2), 0);
    assert_int_equal(lm_attribute_part(0.5f, 2), 1);
    assert_int_equal(lm_attribute_part(1, 2), 1);
    assert_int_equal(lm_attribute_part(-1, 2), 0); /* signs, too, can be told apart */
    assert_int_equal(lm_attribute_part(1e30f, 7), 6);
    for (int levels = 2; levels <= LM_MAX_PARTS; levels++)
        for (int k = 0; k < levels; k++)
            assert_int_equal(lm_attribute_part((float)k / (float)(levels - 1), levels),
                             k);
}

static void labels_by_attributes(void **state) {
    static const int32_t smiling[COUNT] = {0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1},
                         halves[COUNT] = {0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1},
                         thirds[COUNT] = {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2},
                         hat[COUNT] = {0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2};
    lm_dataset *set = make("label=Smiling");
    check_labels(set, 2, smiling);
    assert_string_equal(set->class_names[0], "no Smiling");
    assert_string_equal(set->class_names[1], "Smiling");
    float values[3];
    CHECK_OK(set->attributes(set, 3, values));
    assert_true(values[0] == 1 && values[2] == 0);
    assert_int_equal(set->n_files, 1); /* handed on through both layers */
    lm_dataset_free(set);
    set = make("label=height");
    check_labels(set, 2, halves);
    assert_string_equal(set->class_names[1], "height 0.5 to 1");
    lm_dataset_free(set);
    set = make("label=height:3");
    check_labels(set, 3, thirds);
    lm_dataset_free(set);
    set = make("label=hat");
    check_labels(set, 3, hat);
    assert_string_equal(set->class_names[2], "crown");
    lm_dataset_free(set);
}

/* The classes chosen are those of the new labels. */
static void chooses_among_the_new(void **state) {
    lm_dataset *set = make("classes=2,0&label=hat");
    uint8_t pixel;
    int32_t label;
    assert_int_equal(set->count, 8);
    assert_string_equal(set->class_names[0], "crown");
    CHECK_OK(set->get(set, 1, &pixel, &label));
    assert_int_equal(pixel, 2);
    assert_int_equal(label, 0);
    lm_dataset *other = make("classes=2,0&label=hat:3");
    assert_true(set->hash != other->hash); /* spelt differently */
    lm_dataset_free(set);
    lm_dataset_free(other);
}

static void refuses(void **state) {
    static const char *const bad[] = {
        "label",         "label=",         "label=:2",       "label=height:1",
        "label=height:", "label=height:x", "label=hat:1001", "label=a&label=b"};
    lm_transform transform;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_FAILS(lm_transform_parse(bad[i], &transform), LM_ARG);
    lm_dataset *set = make_plain();
    CHECK_FAILS(lm_dataset_relabel("Smilling", 0, &set), LM_ARG);
    assert_null(set);
    assert_non_null(strstr(lm_message(), "did you mean Smiling?"));
    set = make_plain();
    CHECK_FAILS(lm_dataset_relabel("x", 0, &set), LM_ARG);
    assert_non_null(strstr(lm_message(), "Smiling, height, hat"));
    set = make_plain();
    set->attributes = NULL;
    CHECK_FAILS(lm_dataset_relabel("hat", 0, &set), LM_ARG);
}

static void leaks_nothing(void **state) {
    for (int fail = 1; fail < 100; fail++) {
        size_t blocks = lm_mem_get_stats().blocks;
        lm_dataset *set = make_plain();
        lm_mem_fail_at(fail, 1);
        lm_status status = lm_dataset_relabel("hat", 0, &set);
        lm_mem_fail_at(0, 0);
        lm_dataset_free(set);
        assert_int_equal(lm_mem_get_stats().blocks, blocks);
        if (status == LM_OK) return;
        assert_int_equal(status, LM_NOMEM);
    }
    fail_msg("memory never sufficed");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_equal_parts),      cmocka_unit_test(labels_by_attributes),
        cmocka_unit_test(chooses_among_the_new), cmocka_unit_test(refuses),
        cmocka_unit_test(leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
