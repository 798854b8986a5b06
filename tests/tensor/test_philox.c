/* Philox against Random123's known answers, and the draws against their distributions.
 * Seeds are fixed, so that the statistical tests give the same numbers on every run; the
 * bounds are those that a sound generator keeps with probability 0.9999. */
#include "testing.h"

#include "tensor/philox.h"
#include <math.h>
#include <string.h>

static void test_known_answers(void **state) {
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } cases[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{~0u, ~0u, ~0u, ~0u},
         {~0u, ~0u},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t out[4];
        lm_philox4x32(cases[i].counter, cases[i].key, out);
        assert_memory_equal(out, cases[i].out, sizeof out);
    }
}

static void test_convention(void **state) {
    const uint64_t seed = 0x299f31d0a4093822; /* the digits of pi, as above */
    const uint32_t words[4] = {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1};
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(
            lm_philox_u24(seed, 0x03707344, 0x13198a2e, 0x85a308d3, 0x243f6a88 * 4u + i),
            words[i] >> 8);
}

static void test_draws_follow_the_counter(void **state) {
    lm_rng rng = {.seed = 77, .stream = 3, .step = 5, .sample = 2};
    for (uint32_t i = 0; i < 9; i++)
        assert_true(lm_rng_uniform(&rng) == lm_philox_u24(77, 3, 5, 2, i) * 0x1p-24);
    assert_int_equal(rng.element, 9);
    lm_rng_normal(&rng);
    assert_int_equal(rng.element, 11);
    lm_rng again = {.seed = 77, .stream = 3, .step = 5, .sample = 2, .element = 9};
    double u = lm_rng_uniform(&again), v = lm_rng_uniform(&again);
    rng.element = 9;
    double wanted = sqrt(-2 * log(1 - u)) * cos(2 * acos(-1.0) * v);
    assert_true(fabs(lm_rng_normal(&rng) - wanted) < 1e-14);
}

static void test_uniform(void **state) {
    enum { N = 1 << 18, BINS = 64 };
    int bins[BINS] = {0};
    double sum = 0, squares = 0, lagged = 0, last = 0.5;
    lm_rng rng = {.seed = 2024};
    for (int i = 0; i < N; i++) {
        double u = lm_rng_uniform(&rng);
        assert_true(u >= 0 && u < 1);
        bins[(int)(u * BINS)]++;
        sum += u - 0.5;
        squares += (u - 0.5) * (u - 0.5);
        lagged += (u - 0.5) * (last - 0.5);
        last = u;
    }
    double chi = 0;
    for (int i = 0; i < BINS; i++) chi += pow(bins[i] - N / BINS, 2) / (N / BINS);
    assert_true(fabs(sum / N) < 3.9 * sqrt(1 / 12.0 / N));
    assert_true(fabs(squares / N - 1 / 12.0) < 3.9 * sqrt(1 / 180.0 / N));
    assert_true(fabs(lagged / N) < 3.9 / 12 / sqrt(N));
    assert_true(chi > 27 && chi < 115); /* 63 degrees of freedom */
}

static void test_normal(void **state) {
    enum { N = 1 << 18, BINS = 32 };
    int bins[BINS] = {0};
    double moments[5] = {0};
    lm_rng rng = {.seed = 7};
    for (int i = 0; i < N; i++) {
        double z = lm_rng_normal(&rng), power = 1;
        int bin = (int)(BINS * 0.5 * erfc(-z / sqrt(2)));
        bins[bin < BINS ? bin : BINS - 1]++;
        for (int k = 0; k < 5; k++, power *= z) moments[k] += power / N;
    }
    double chi = 0;
    for (int i = 0; i < BINS; i++) chi += pow(bins[i] - N / BINS, 2) / (N / BINS);
    assert_true(fabs(moments[1]) < 3.9 / sqrt(N));
    assert_true(fabs(moments[2] - 1) < 3.9 * sqrt(2.0 / N));
    assert_true(fabs(moments[3]) < 3.9 * sqrt(15.0 / N));
    assert_true(fabs(moments[4] - 3) < 3.9 * sqrt(96.0 / N));
    assert_true(chi > 8 && chi < 70); /* 31 degrees of freedom */
}

static void test_below(void **state) {
    static const uint32_t limits[] = {1, 2, 3, 7, 10, 61};
    enum { N = 60000 };
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        int bins[61] = {0};
        lm_rng rng = {.seed = 5, .stream = (uint32_t)i};
        for (int j = 0; j < N; j++) {
            uint32_t draw = lm_rng_below(&rng, limits[i]);
            assert_true(draw < limits[i]);
            bins[draw]++;
        }
        double chi = 0, each = (double)N / limits[i], freedom = limits[i] - 1;
        for (uint32_t j = 0; j < limits[i]; j++) chi += pow(bins[j] - each, 2) / each;
        assert_true(chi <= freedom + 4 * sqrt(2 * freedom) + 12);
    }
}

/* With limit 3 * 2^30, keeping every word would favour some thirds twice over. */
static void test_below_is_unbiased_for_large_limits(void **state) {
    enum { N = 100000 };
    int thirds[3] = {0};
    lm_rng rng = {.seed = 11};
    for (int i = 0; i < N; i++) thirds[lm_rng_below(&rng, 3u << 30) % 3]++;
    assert_true(rng.element > N * 1.3 && rng.element < N * 1.37);
    for (int i = 0; i < 3; i++) assert_true(abs(thirds[i] - N / 3) < 600);
}

static void test_streams_differ(void **state) {
    lm_rng rngs[] = {{.seed = 1},
                     {.seed = 2},
                     {.seed = (uint64_t)1 << 32},
                     {.seed = 1, .stream = 1},
                     {.seed = 1, .step = 1},
                     {.seed = 1, .sample = 1},
                     {.seed = 1, .element = 1 << 20}};
    enum { STREAMS = sizeof rngs / sizeof *rngs, N = 4096 };
    double draws[STREAMS][N];
    for (int i = 0; i < STREAMS; i++)
        for (int j = 0; j < N; j++) draws[i][j] = lm_rng_uniform(&rngs[i]) - 0.5;
    for (int i = 0; i < STREAMS; i++)
        for (int j = 0; j < i; j++) {
            double product = 0;
            for (int k = 0; k < N; k++) product += draws[i][k] * draws[j][k];
            assert_true(fabs(product / N) < 4.5 / 12 / sqrt(N));
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers),
        cmocka_unit_test(test_convention),
        cmocka_unit_test(test_draws_follow_the_counter),
        cmocka_unit_test(test_uniform),
        cmocka_unit_test(test_normal),
        cmocka_unit_test(test_below),
        cmocka_unit_test(test_below_is_unbiased_for_large_limits),
        cmocka_unit_test(test_streams_differ),
    };
    return cmocka_run_group_tests_name("philox", tests, NULL, NULL);
}
