/* Options that say what of an image is seen, against Pillow and numpy
 * (tests/golden/make_fit.py). */
#include "testing.h"

#include "base/file.h"
#include "base/mem.h"
#include "data/transform.h"
#include "image/frame.h"

#include <stdio.h>
#include <string.h>

typedef struct fit_case {
    int height, width, channels;
    const char *options;
    int to_height, to_width;
} fit_case;

static const fit_case cases[] = {
    {13, 22, 3, "crop=10x15", 10, 15},
    {13, 22, 3, "crop=11&size=8", 8, 8},
    {13, 22, 3, "fit=pad&size=8", 8, 8},
    {13, 22, 3, "fit=pad&size=9&background=black", 9, 9},
    {22, 13, 3, "size=8&background=1234aB&fit=pad", 8, 8},
    {22, 13, 1, "size=11&background=1234aB&fit=pad", 11, 11},
    {3, 40, 3, "crop=1x40&size=12&fit=pad&background=c80a00", 12, 12},
    {5, 4, 1, "size=16&fit=pad", 16, 16}};
enum { N_CASES = sizeof cases / sizeof *cases, MOST = 16 * 16 * 3 };

static lm_status draw(const lm_dataset *set, int64_t index, lm_image *image,
                      int32_t *label) {
    const fit_case *k = set->state;
    LM_TRY(lm_image_init(image, k->width, k->height, k->channels));
    uint8_t *to = image->pixels;
    for (int y = 0; y < k->height; y++)
        for (int x = 0; x < k->width; x++)
            for (int c = 0; c < k->channels; c++)
                *to++ = (uint8_t)(y * 37 + x * 11 + c * 90 + x * y % 7 * 20);
    *label = -1;
    return LM_OK;
}

/* A set of one image whose size is known only when it is read. */
static lm_dataset *make(const fit_case *k, const char *options) {
    lm_transform transform;
    lm_dataset *set = lm_calloc(1, sizeof *set);
    assert_non_null(set);
    set->name = lm_strdup("drawn");
    set->source = lm_strdup("here");
    set->channels = k->channels;
    set->count = 1;
    set->read = draw;
    set->state = (void *)k;
    CHECK_OK(lm_transform_parse(options, &transform));
    CHECK_OK(lm_dataset_transform(&transform, options, &set));
    return set;
}

static void as_pillow_does(void **state) {
    void *golden;
    size_t size, at = 0;
    char path[512];
    snprintf(path, sizeof path, "%s/tests/golden/fit.bin", getenv("LIMN_TEST_SOURCE"));
    CHECK_OK(lm_file_read(path, 1 << 16, &golden, &size));
    for (int i = 0; i < N_CASES; i++) {
        lm_dataset *set = make(&cases[i], cases[i].options);
        assert_int_equal(set->height, cases[i].to_height);
        assert_int_equal(set->width, cases[i].to_width);
        uint8_t pixels[MOST];
        int32_t label;
        CHECK_OK(set->get(set, 0, pixels, &label));
        size_t bytes = (size_t)set->height * set->width * set->channels;
        assert_true(at + bytes <= size);
        for (size_t p = 0; p < bytes; p++, at++)
            if (abs(pixels[p] - ((uint8_t *)golden)[at]) > 1)
                fail_msg("%s: byte %zu is %d, Pillow has %d", cases[i].options, p,
                         pixels[p], ((uint8_t *)golden)[at]);
        lm_dataset_free(set);
    }
    assert_int_equal(at, size);
    lm_free(golden);
}

static void background_stays_out_of_crops(void **state) {
    uint8_t white[MOST], black[MOST];
    int32_t label;
    lm_dataset *a = make(&cases[0], "size=8&background=white");
    lm_dataset *b = make(&cases[0], "size=8&background=black&fit=crop");
    CHECK_OK(a->get(a, 0, white, &label));
    CHECK_OK(b->get(b, 0, black, &label));
    assert_memory_equal(white, black, 8 * 8 * 3);
    assert_true(a->hash != b->hash);
    lm_dataset_free(a);
    lm_dataset_free(b);
}

/* Where sizes are known at once an impossible crop is refused at once. */
static void refuses_too_small_images(void **state) {
    lm_dataset *set = make(&cases[0], "crop=14");
    uint8_t pixels[14 * 14 * 3];
    int32_t label;
    CHECK_FAILS(set->get(set, 0, pixels, &label), LM_FORMAT);
    assert_string_equal(lm_message(),
                        "drawn: image 0: 13 rows of 22 pixels, cannot crop 14 of 14");
    lm_dataset_free(set);
    CHECK_FAILS(lm_dataset_open("builtin:digits?crop=33", LM_SPLIT_TRAIN, &set), LM_ARG);
    assert_non_null(strstr(lm_message(), "rows of"));
    assert_null(set);
}

static void refuses_what_makes_no_sense(void **state) {
    static const char *const bad[] = {"crop",
                                      "crop=",
                                      "crop=0",
                                      "crop=x",
                                      "crop=4x",
                                      "crop=x4",
                                      "crop=4x4x4",
                                      "crop=4097",
                                      "crop=-1x4",
                                      "fit=pad",
                                      "fit=stretch&size=4",
                                      "fit&size=4",
                                      "background",
                                      "background=red",
                                      "background=12345",
                                      "background=1234567",
                                      "background=0x1234",
                                      "fit=pad&fit=crop&size=4"};
    lm_transform transform;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_FAILS(lm_transform_parse(bad[i], &transform), LM_ARG);
}

static void changes_channels_in_place(void **state) {
    lm_image image;
    CHECK_OK(lm_image_init(&image, 2, 1, 1));
    image.pixels[0] = 7, image.pixels[1] = 200;
    CHECK_OK(lm_image_set_channels(&image, 3));
    static const uint8_t want[] = {7, 7, 7, 200, 200, 200};
    assert_memory_equal(image.pixels, want, 6);
    image.pixels[3] = 100; /* 0.299 of it goes */
    CHECK_OK(lm_image_set_channels(&image, 1));
    assert_int_equal(image.channels, 1);
    assert_int_equal(image.pixels[0], 7);
    assert_int_equal(image.pixels[1], 170);
    lm_image_release(&image);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_pillow_does),
        cmocka_unit_test(background_stays_out_of_crops),
        cmocka_unit_test(refuses_too_small_images),
        cmocka_unit_test(refuses_what_makes_no_sense),
        cmocka_unit_test(changes_channels_in_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
