/* Images as floats of another size, against what TensorFlow 1's formula, PyTorch and
 * Pillow make of them (tests/golden/make_resize_rule.py). */
#include "ramps.h"
#include "testing.h"

#include "base/file.h"
#include "base/mem.h"
#include "image/resize_rule.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const resize_case cases[] = {{8, 8, 3, 19, 19}, {32, 32, 1, 23, 17},
                                    {5, 9, 3, 5, 20},  {40, 31, 1, 7, 9},
                                    {1, 1, 3, 3, 2},   {6, 50, 1, 11, 4}};
enum { N_CASES = sizeof cases / sizeof *cases, N_RULES = 3, MOST = 19 * 19 * 3 };

static void check_case(const resize_case *k, lm_resize_rule rule, const uint8_t *golden) {
    lm_image from;
    float got[MOST], want[MOST];
    size_t count = (size_t)k->to_height * k->to_width * k->channels;
    draw_ramps(k, &from);
    CHECK_OK(lm_resize_floats(&from, k->to_height, k->to_width, rule, got));
    memcpy(want, golden, count * sizeof *want);
    for (size_t i = 0; i < count; i++)
        if (!(fabsf(got[i] - want[i]) <= 1e-4F))
            fail_msg("%s of %dx%d, value %zu: %.8g, wanted %.8g",
                     lm_resize_rule_name(rule), k->height, k->width, i, got[i], want[i]);
    lm_image_release(&from);
}

static void as_the_networks_were_shown_them(void **state) {
    void *golden;
    size_t size, at = 0;
    char path[512];
    snprintf(path, sizeof path, "%s/tests/golden/resize_rule.bin",
             getenv("LIMN_TEST_SOURCE"));
    CHECK_OK(lm_file_read(path, 1 << 20, &golden, &size));
    for (int i = 0; i < N_CASES; i++)
        for (int rule = 0; rule < N_RULES; rule++) {
            const resize_case *k = &cases[i];
            size_t bytes = (size_t)k->to_height * k->to_width * k->channels * 4;
            assert_true(at + bytes <= size);
            check_case(k, (lm_resize_rule)rule, (const uint8_t *)golden + at);
            at += bytes;
        }
    assert_int_equal(at, size);
    lm_free(golden);
}

static void same_size_keeps_every_value(void **state) {
    lm_image from;
    float got[40 * 31];
    draw_ramps(&cases[3], &from);
    for (int rule = 0; rule < N_RULES; rule++) {
        CHECK_OK(lm_resize_floats(&from, 40, 31, (lm_resize_rule)rule, got));
        for (int i = 0; i < 40 * 31; i++) assert_true(got[i] == (float)from.pixels[i]);
    }
    CHECK_FAILS(lm_resize_floats(&from, 0, 31, LM_RESIZE_CLEAN, got), LM_ARG);
    CHECK_FAILS(lm_resize_floats(&from, 3, 32769, LM_RESIZE_PYTORCH, got), LM_ARG);
    lm_image_release(&from);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_the_networks_were_shown_them),
                                       cmocka_unit_test(same_size_keeps_every_value)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
