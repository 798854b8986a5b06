/* Distribution functions against scipy. */
#include "testing.h"

#include "golden/comparisons.h"
#include "metrics/special.h"

#include <math.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void check(double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance * fabs(want)))
        fail_msg("%.17g, not %.17g", got, want);
}

static void gamma_is_scipys(void **state) {
    for (size_t i = 0; i < COUNT(golden_gammas); i++)
        check(lm_gamma_above(golden_gammas[i].a, golden_gammas[i].x),
              golden_gammas[i].above, golden_gammas[i].a < 1e3 ? 1e-11 : 1e-9);
}

static void gamma_of_nothing_and_of_nonsense(void **state) {
    assert_true(lm_gamma_above(3, 0) == 1);
    assert_true(lm_gamma_above(3, INFINITY) == 0);
    assert_true(isnan(lm_gamma_above(0, 1)));
    assert_true(isnan(lm_gamma_above(1, -1)));
    assert_true(isnan(lm_gamma_above(1, NAN)));
    assert_true(isnan(lm_gamma_above(NAN, 1)));
}

static void chi_square_of_two_is_exponential(void **state) {
    for (double x = 0.125; x < 100; x *= 2)
        check(lm_chi_square_above(x, 2), exp(-x / 2), 1e-13);
}

static void normal_is_scipys(void **state) {
    for (size_t i = 0; i < COUNT(golden_normals); i++)
        check(lm_normal_below(golden_normals[i].z), golden_normals[i].below, 1e-13);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(gamma_is_scipys),
                                       cmocka_unit_test(gamma_of_nothing_and_of_nonsense),
                                       cmocka_unit_test(chi_square_of_two_is_exponential),
                                       cmocka_unit_test(normal_is_scipys)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
