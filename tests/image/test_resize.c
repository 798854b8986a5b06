/* Resizing against Pillow's results (tests/golden/make_resize.py). */
#include "ramps.h"
#include "testing.h"

#include "base/file.h"
#include "base/mem.h"
#include "image/resize.h"

#include <stdio.h>
#include <stdlib.h>

static const resize_case cases[] = {
    {32, 32, 3, 16, 16}, {37, 53, 3, 16, 24}, {20, 31, 1, 7, 31}, {9, 7, 3, 21, 20},
    {64, 40, 1, 5, 3},   {5, 5, 1, 5, 9},     {3, 200, 3, 3, 11}, {1, 1, 3, 4, 4}};
enum { N_CASES = sizeof cases / sizeof *cases, N_FILTERS = 4 };

/* The largest difference; *count of pixels that differ at all. */
static int compare(const lm_image *image, const uint8_t *want, size_t size, int *count) {
    int most = 0;
    for (size_t i = 0; i < size; i++) {
        int difference = abs(image->pixels[i] - want[i]);
        *count += difference > 0;
        if (difference > most) most = difference;
    }
    return most;
}

static void as_pillow_does(void **state) {
    void *golden;
    size_t size, at = 0;
    int differ = 0;
    char path[512];
    snprintf(path, sizeof path, "%s/tests/golden/resize.bin", getenv("LIMN_TEST_SOURCE"));
    CHECK_OK(lm_file_read(path, 1 << 20, &golden, &size));
    for (int i = 0; i < N_CASES; i++)
        for (int filter = 0; filter < N_FILTERS; filter++) {
            const resize_case *k = &cases[i];
            lm_image from, to;
            draw_ramps(k, &from);
            CHECK_OK(lm_image_resize(&from, k->to_height, k->to_width, filter, &to));
            assert_int_equal(to.height, k->to_height);
            assert_int_equal(to.width, k->to_width);
            size_t bytes = (size_t)to.height * to.width * to.channels;
            assert_true(at + bytes <= size);
            int most = compare(&to, (const uint8_t *)golden + at, bytes, &differ);
            if (most > 1)
                fail_msg("case %d, %s: %d levels from Pillow's", i,
                         lm_filter_name(filter), most);
            at += bytes;
            lm_image_release(&from);
            lm_image_release(&to);
        }
    assert_int_equal(at, size);
    /* Pillow rounds between the passes, so a few differ by one. */
    assert_true(differ < (int)(size / 4));
    lm_free(golden);
}

static void same_size_changes_nothing(void **state) {
    for (int filter = 0; filter < N_FILTERS; filter++) {
        lm_image from, to;
        draw_ramps(&cases[1], &from);
        CHECK_OK(lm_image_resize(&from, from.height, from.width, filter, &to));
        assert_memory_equal(from.pixels, to.pixels, 37 * 53 * 3);
        lm_image_release(&from);
        lm_image_release(&to);
    }
}

static void bad_requests_are_refused(void **state) {
    lm_image from, to;
    lm_filter filter;
    draw_ramps(&cases[0], &from);
    CHECK_FAILS(lm_image_resize(&from, 0, 5, LM_FILTER_BOX, &to), LM_ARG);
    CHECK_FAILS(lm_image_resize(&from, 5, 32769, LM_FILTER_BOX, &to), LM_ARG);
    CHECK_FAILS(lm_filter_find("cubic", &filter), LM_ARG);
    CHECK_OK(lm_filter_find("lanczos", &filter));
    assert_int_equal(filter, LM_FILTER_LANCZOS);
    lm_image_release(&from);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_pillow_does),
                                       cmocka_unit_test(same_size_changes_nothing),
                                       cmocka_unit_test(bad_requests_are_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
