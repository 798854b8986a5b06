/* Options of a SPEC: what is cropped, resized, converted, chosen and refused. */
#include "testing.h"

#include "base/mem.h"
#include "data/transform.h"

#include <math.h>
#include <string.h>

enum { HEIGHT = 6, WIDTH = 9, COUNT = 7 };

static uint8_t pixel_at(int64_t index, int y, int x, int c) {
    return (uint8_t)(index * 31 + y * 17 + x * 5 + c * 90);
}

/* Colour, wider than high; labels 0 1 2 0 1 2 0. */
static lm_status get_plain(const lm_dataset *set, int64_t index, uint8_t *pixels,
                           int32_t *label) {
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++)
            for (int c = 0; c < 3; c++) *pixels++ = pixel_at(index, y, x, c);
    *label = (int32_t)(index % 3);
    return LM_OK;
}

static lm_dataset *make_plain(void) {
    lm_dataset *set = lm_calloc(1, sizeof *set);
    assert_non_null(set);
    set->name = lm_strdup("plain");
    set->source = lm_strdup("here");
    set->height = HEIGHT;
    set->width = WIDTH;
    set->channels = 3;
    set->classes = 3;
    set->count = COUNT;
    set->hash = 5;
    set->get = get_plain;
    return set;
}

static lm_dataset *make(const char *text) {
    lm_transform transform;
    lm_dataset *set = make_plain();
    CHECK_OK(lm_transform_parse(text, &transform));
    CHECK_OK(lm_dataset_transform(&transform, text, &set));
    return set;
}

static void crops_and_resizes(void **state) {
    lm_dataset *set = make("size=4&filter=box");
    assert_int_equal(set->height, 4);
    assert_int_equal(set->width, 4);
    assert_int_equal(set->channels, 3);
    assert_string_equal(set->name, "plain?size=4&filter=box");
    lm_image square, want;
    CHECK_OK(lm_image_init(&square, HEIGHT, HEIGHT, 3));
    for (int i = 0; i < HEIGHT * HEIGHT * 3; i++) /* the middle 6 of 9 columns */
        square.pixels[i] =
            pixel_at(5, i / 3 / HEIGHT, i / 3 % HEIGHT + (WIDTH - HEIGHT) / 2, i % 3);
    CHECK_OK(lm_image_resize(&square, 4, 4, LM_FILTER_BOX, &want));
    uint8_t pixels[48];
    int32_t label;
    CHECK_OK(set->get(set, 5, pixels, &label));
    assert_memory_equal(pixels, want.pixels, sizeof pixels);
    assert_int_equal(label, 2);
    lm_image_release(&square);
    lm_image_release(&want);
    lm_dataset_free(set);
}

static void converts_channels(void **state) {
    uint8_t pixels[HEIGHT * WIDTH * 3];
    int32_t label;
    lm_dataset *set = make("grey");
    assert_int_equal(set->channels, 1);
    assert_int_equal(set->width, WIDTH);
    CHECK_OK(set->get(set, 2, pixels, &label));
    for (int i = 0; i < HEIGHT * WIDTH; i++) {
        double grey = 0.299 * pixel_at(2, i / WIDTH, i % WIDTH, 0) +
                      0.587 * pixel_at(2, i / WIDTH, i % WIDTH, 1) +
                      0.114 * pixel_at(2, i / WIDTH, i % WIDTH, 2);
        assert_true(pixels[i] > grey - 0.51 && pixels[i] < grey + 0.51);
    }
    lm_transform back;
    CHECK_OK(lm_transform_parse("rgb", &back));
    uint8_t grey[HEIGHT * WIDTH];
    memcpy(grey, pixels, sizeof grey);
    CHECK_OK(lm_dataset_transform(&back, "rgb", &set));
    CHECK_OK(set->get(set, 2, pixels, &label));
    for (int i = 0; i < HEIGHT * WIDTH * 3; i++) assert_int_equal(pixels[i], grey[i / 3]);
    lm_dataset_free(set);
}

/* Each value is drawn once, by its own brightness. */
static void makes_two_values(void **state) {
    enum { IMAGES = 400, SIZE = 28 * 28 };
    lm_dataset *plain, *drawn, *cut;
    CHECK_OK(lm_dataset_open("builtin:digits", LM_SPLIT_TRAIN, &plain));
    CHECK_OK(lm_dataset_open("builtin:digits?binarise=draw", LM_SPLIT_TRAIN, &drawn));
    CHECK_OK(lm_dataset_open("builtin:digits?binarise=threshold", LM_SPLIT_TRAIN, &cut));
    double expected = 0, ones = 0, variance = 0, alike = 0;
    uint8_t bytes[SIZE], two[SIZE], again[SIZE];
    int32_t label;
    for (int i = 0; i < IMAGES; i++) {
        CHECK_OK(plain->get(plain, i, bytes, &label));
        CHECK_OK(drawn->get(drawn, i, two, &label));
        CHECK_OK(drawn->get(drawn, i, again, &label));
        assert_memory_equal(two, again, SIZE);
        CHECK_OK(cut->get(cut, i, again, &label));
        for (int p = 0; p < SIZE; p++) {
            double share = bytes[p] / 255.0;
            assert_true(two[p] == 0 || two[p] == 255);
            assert_int_equal(again[p], bytes[p] < 128 ? 0 : 255);
            expected += share;
            variance += share * (1 - share);
            ones += two[p] == 255;
            alike += two[p] == again[p];
        }
    }
    assert_true(variance > 100 && fabs(ones - expected) < 5 * sqrt(variance));
    assert_true(alike < IMAGES * SIZE);
    lm_dataset_free(cut);
    lm_dataset_free(drawn);
    lm_dataset_free(plain);
}

static void chooses_classes(void **state) {
    static const int64_t from[] = {0, 2, 3, 5, 6};
    lm_dataset *set = make("classes=2,0");
    uint8_t pixels[HEIGHT * WIDTH * 3], want[HEIGHT * WIDTH * 3];
    int32_t label, old;
    assert_int_equal(set->count, 5);
    assert_int_equal(set->classes, 2);
    for (int i = 0; i < 5; i++) {
        CHECK_OK(set->get(set, i, pixels, &label));
        CHECK_OK(get_plain(set, from[i], want, &old));
        assert_memory_equal(pixels, want, sizeof want);
        assert_int_equal(label, old == 2 ? 0 : 1);
    }
    lm_dataset_free(set);
    set = make("limit=2&classes=1");
    assert_int_equal(set->count, 2);
    assert_int_equal(set->classes, 1);
    lm_dataset_free(set);
}

static void changes_the_hash(void **state) {
    lm_dataset *a = make("size=4"), *b = make("size=5"), *c = make("size=4");
    assert_true(a->hash != b->hash && a->hash == c->hash && a->hash != 5);
    lm_dataset_free(a);
    lm_dataset_free(b);
    lm_dataset_free(c);
}

static void works_in_specs(void **state) {
    lm_dataset *set;
    uint8_t pixels[12 * 12 * 3];
    int32_t label;
    CHECK_OK(
        lm_dataset_open("builtin:digits:test?size=12&rgb&limit=9", LM_SPLIT_TRAIN, &set));
    assert_int_equal(set->count, 9);
    assert_false(set->endless);
    assert_int_equal(set->channels, 3);
    CHECK_OK(set->get(set, 8, pixels, &label));
    assert_true(label >= 0 && label < 10);
    lm_dataset_free(set);
    CHECK_FAILS(lm_dataset_open("builtin:digits?classes=3", LM_SPLIT_TRAIN, &set),
                LM_ARG);
    assert_null(set);
    CHECK_FAILS(lm_dataset_open("builtin:digitz?size=12", LM_SPLIT_TRAIN, &set),
                LM_NOT_FOUND);
}

static void refuses_what_makes_no_sense(void **state) {
    static const char *const bad[] = {
        "",          "size",         "size=0",        "size=x",
        "size=9999", "filter=cubic", "grey=1",        "grey&rgb",
        "classes=",  "classes=1,1",  "classes=a",     "limit=0",
        "binarise",  "binarise=yes", "size=4&size=4", "colour",
        "&size=4"};
    lm_transform transform;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_FAILS(lm_transform_parse(bad[i], &transform), LM_ARG);
    CHECK_FAILS(lm_transform_parse("sise=4", &transform), LM_ARG);
    assert_non_null(strstr(lm_message(), "did you mean size?"));
    lm_dataset *set = make_plain();
    CHECK_OK(lm_transform_parse("classes=3", &transform));
    CHECK_FAILS(lm_dataset_transform(&transform, "classes=3", &set), LM_ARG);
    assert_null(set);
}

static void leaks_nothing(void **state) {
    for (int fail = 1; fail < 200; fail++) {
        size_t blocks = lm_mem_get_stats().blocks;
        lm_dataset *set = NULL;
        uint8_t pixels[16];
        int32_t label;
        lm_mem_fail_at(fail, 1);
        lm_status status =
            lm_dataset_open("builtin:digits?size=4&limit=3", LM_SPLIT_TRAIN, &set);
        if (status == LM_OK) status = set->get(set, 1, pixels, &label);
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
        cmocka_unit_test(crops_and_resizes),
        cmocka_unit_test(converts_channels),
        cmocka_unit_test(makes_two_values),
        cmocka_unit_test(chooses_classes),
        cmocka_unit_test(changes_the_hash),
        cmocka_unit_test(works_in_specs),
        cmocka_unit_test(refuses_what_makes_no_sense),
        cmocka_unit_test(leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
