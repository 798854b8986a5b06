/* Sources of images, and what is extracted from them. */
#include "testing.h"

#include "base/mem.h"
#include "eval/extractor.h"

#include <string.h>

static void a_part_of_a_set_has_no_image_twice(void **state) {
    lm_dataset *set;
    CHECK_OK(lm_dataset_open("builtin:digits:test", LM_SPLIT_TEST, &set));
    lm_set_source from;
    CHECK_OK(lm_set_source_init(&from, set, 0, 1));
    assert_true(from.source.count > 100 || set->endless);
    CHECK_OK(lm_set_source_init(&from, set, 20, 1));
    assert_int_equal(from.source.count, 20);
    uint8_t images[20][28 * 28];
    int32_t labels[20];
    CHECK_OK(lm_source_read(&from.source, 0, 20, images[0], labels));
    for (int i = 0; i < 20; i++)
        for (int j = 0; j < i; j++)
            assert_memory_not_equal(images[i], images[j], sizeof images[i]);
    uint8_t again[28 * 28];
    CHECK_OK(lm_source_read(&from.source, 7, 1, again, NULL));
    assert_memory_equal(again, images[7], sizeof again);
    CHECK_FAILS(lm_source_read(&from.source, 19, 2, images[0], labels), LM_ARG);
    lm_dataset_free(set);
}

static void pixels_are_features(void **state) {
    lm_dataset *set;
    CHECK_OK(lm_dataset_open("builtin:digits", LM_SPLIT_TRAIN, &set));
    lm_set_source from;
    CHECK_OK(lm_set_source_init(&from, set, 300, 1));
    lm_extractor *extractor;
    CHECK_OK(lm_extractor_open("pixels", &from.source, &extractor));
    lm_features features;
    CHECK_OK(lm_features_extract(extractor, &from.source, 0, 300, NULL, &features));
    assert_int_equal(features.dim, 28 * 28);
    uint8_t image[28 * 28];
    int32_t label;
    CHECK_OK(lm_source_read(&from.source, 299, 1, image, &label));
    assert_int_equal(label, features.labels[299]);
    for (int i = 0; i < 28 * 28; i++)
        assert_true(features.x[299 * 784 + i] == (float)image[i] * (1.0F / 255));
    lm_features_release(&features);
    lm_extractor_free(extractor);
    CHECK_FAILS(lm_extractor_open("pixel", &from.source, &extractor), LM_NOT_FOUND);
    assert_non_null(strstr(lm_message(), "did you mean pixels"));
    CHECK_FAILS(lm_extractor_open("pixels:3", &from.source, &extractor), LM_ARG);
    lm_dataset_free(set);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_part_of_a_set_has_no_image_twice),
        cmocka_unit_test(pixels_are_features)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
