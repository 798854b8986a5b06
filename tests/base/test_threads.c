/* The thread count and how the workers treat subnormal numbers. */
#include "testing.h"

#include "base/threads.h"
#include <float.h>
#include <omp.h>

static int count_workers(void) {
    int count = 0;
#pragma omp parallel reduction(+ : count)
    count += 1;
    return count;
}

static void test_count(void **state) {
    int standard = lm_threads();
    assert_int_equal(standard, omp_get_max_threads());
    lm_threads_set(3);
    assert_int_equal(lm_threads(), 3);
    assert_int_equal(count_workers(), 3);
    lm_threads_set(1);
    assert_int_equal(count_workers(), 1);
    lm_threads_set(0);
    assert_int_equal(lm_threads(), standard);
    lm_threads_set(-5);
    assert_int_equal(lm_threads(), standard);
}

static void test_subnormals_are_flushed_in_every_worker(void **state) {
#if !defined(__x86_64__)
    skip();
#endif
    lm_threads_set(4);
    volatile float smallest = FLT_MIN, half = 0.5f;
    volatile float subnormal = FLT_TRUE_MIN, large = 1e30f;
    int results = 0, operands = 0;
#pragma omp parallel reduction(+ : results, operands)
    {
        results += smallest * half != 0;
        operands += subnormal * large != 0;
    }
    assert_int_equal(results, 0);
    assert_int_equal(operands, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_count),
        cmocka_unit_test(test_subnormals_are_flushed_in_every_worker),
    };
    return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
