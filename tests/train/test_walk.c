/* Ways between states: their ends, their lengths, and where an arc is a line. */
#include "testing.h"

#include "train/walk.h"

#include <math.h>

enum { SIZE = 5, FRAMES = 7 };

static double length(const float *v) {
    double sum = 0;
    for (int i = 0; i < SIZE; i++) sum += (double)v[i] * v[i];
    return sqrt(sum);
}

static void check_ends(const float *a, const float *b, const float *states) {
    for (int i = 0; i < SIZE; i++) {
        assert_true(fabsf(states[i] - a[i]) < 1e-6F);
        assert_true(fabsf(states[(FRAMES - 1) * SIZE + i] - b[i]) < 1e-6F);
    }
}

static void an_arc_keeps_its_length(void **state) {
    static const float a[SIZE] = {1, 2, 0, -1, 0.5F}, b[SIZE] = {2, -1, 1, 0.5F, 0};
    float states[FRAMES * SIZE];
    lm_walk(LM_WALK_SLERP, a, b, SIZE, FRAMES, states);
    check_ends(a, b, states);
    assert_true(fabs(length(a) - length(b)) < 1e-6);
    for (int f = 0; f < FRAMES; f++)
        assert_true(fabs(length(states + f * SIZE) - length(a)) < 1e-5);
    lm_walk(LM_WALK_LERP, a, b, SIZE, FRAMES, states);
    check_ends(a, b, states);
    assert_true(length(states + FRAMES / 2 * SIZE) < 0.9 * length(a));
    for (int i = 0; i < SIZE; i++)
        assert_true(fabsf(states[FRAMES / 2 * SIZE + i] - (a[i] + b[i]) / 2) < 1e-6F);
}

static void check_is_line(const float *a, const float *b) {
    float states[FRAMES * SIZE];
    lm_walk(LM_WALK_SLERP, a, b, SIZE, FRAMES, states);
    check_ends(a, b, states);
    for (int i = 0; i < SIZE; i++)
        assert_true(fabsf(states[FRAMES / 2 * SIZE + i] - (a[i] + b[i]) / 2) < 1e-6F);
}

static void an_arc_without_a_plane_is_a_line(void **state) {
    static const float zero[SIZE] = {0}, a[SIZE] = {1, 2, 3, 4, 5};
    static const float same[SIZE] = {2, 4, 6, 8, 10},
                       opposite[SIZE] = {-1, -2, -3, -4, -5};
    check_is_line(a, zero);
    check_is_line(a, same);
    check_is_line(a, opposite);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_arc_keeps_its_length),
        cmocka_unit_test(an_arc_without_a_plane_is_a_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
