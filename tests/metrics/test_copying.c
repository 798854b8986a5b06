/* The test of copying, and what it is made of. */
#include "metrics/clouds.h"

#include "base/mem.h"
#include "base/threads.h"
#include "golden/comparisons.h"
#include "metrics/copying.h"
#include "metrics/distances.h"
#include "metrics/kmeans.h"

#include <math.h>
#include <string.h>

enum { DIM = 6 };

/* A mixture of three normal clouds; to be freed with free(). */
static float *mixture_new(uint64_t seed, int n, double spread) {
    static const double places[3][2] = {{0, 0}, {6, 1}, {-2, 7}};
    float *x = malloc(sizeof *x * (size_t)n * DIM);
    assert_non_null(x);
    for (int i = 0; i < n; i++) {
        lm_rng rng = {.seed = seed, .sample = (uint32_t)i};
        uint32_t place = lm_rng_below(&rng, 3);
        for (int k = 0; k < DIM; k++)
            x[i * DIM + k] =
                (float)((k < 2 ? places[place][k] : 0) + spread * lm_rng_normal(&rng));
    }
    return x;
}

/* Training samples with a little noise. */
static float *copies_new(const float *train, int n, int count, double noise) {
    float *x = malloc(sizeof *x * (size_t)count * DIM);
    assert_non_null(x);
    for (int i = 0; i < count; i++) {
        lm_rng rng = {.seed = 99, .sample = (uint32_t)i};
        uint32_t from = lm_rng_below(&rng, (uint32_t)n);
        for (int k = 0; k < DIM; k++)
            x[i * DIM + k] =
                train[from * DIM + (uint32_t)k] + (float)(noise * lm_rng_normal(&rng));
    }
    return x;
}

static void ranks_are_scipys(void **state) {
    for (size_t i = 0; i < sizeof golden_ranks / sizeof *golden_ranks; i++) {
        int n = (int)golden_ranks[i].n, m = (int)golden_ranks[i].m;
        int scale = (int)golden_ranks[i].scale;
        double a[500], b[500];
        for (int k = 0; k < n; k++) a[k] = k * 37 % 101 / scale;
        for (int k = 0; k < m; k++) b[k] = (k * 53 % 113 + 3) / scale;
        lm_rank_test test;
        CHECK_OK(lm_rank_test_run(a, n, b, m, &test));
        assert_true(test.u == golden_ranks[i].u);
        assert_true(fabs(test.p_less - golden_ranks[i].p) <= 1e-12 * golden_ranks[i].p);
        lm_rank_test other;
        CHECK_OK(lm_rank_test_run(b, m, a, n, &other));
        assert_true(fabs(test.z + other.z) < 1e-12);
        assert_true(test.u + other.u == (double)n * m);
    }
}

static void ranks_of_nothing_and_of_equal_values(void **state) {
    const double same[] = {2, 2, 2}, bad[] = {1, NAN};
    lm_rank_test test;
    CHECK_OK(lm_rank_test_run(same, 3, same, 2, &test));
    assert_true(test.z == 0 && test.p_less == 0.5 && test.u == 3);
    CHECK_FAILS(lm_rank_test_run(same, 3, bad, 2, &test), LM_NUMERIC);
    CHECK_FAILS(lm_rank_test_run(same, 0, same, 2, &test), LM_ARG);
    CHECK_FAILS(lm_rank_test_run(same, 3, same, 0, &test), LM_ARG);
}

/* Three clouds are found, each centre at the mean of the vectors that are nearest to it.
 */
static void cells_are_clouds(void **state) {
    enum { N = 600 };
    float *x = mixture_new(1, N, 0.3), centres[3 * DIM], again[3 * DIM];
    int32_t cell[N];
    CHECK_OK(lm_kmeans(x, N, DIM, 3, 50, 4, NULL, centres));
    CHECK_OK(lm_kmeans_assign(x, N, centres, 3, DIM, cell));
    double mean[3 * DIM] = {0};
    int count[3] = {0};
    for (int i = 0; i < N; i++) {
        for (int c = 0; c < 3; c++)
            assert_true(lm_distance_squared(x + i * DIM, centres + cell[i] * DIM, DIM) <=
                        lm_distance_squared(x + i * DIM, centres + c * DIM, DIM));
        for (int k = 0; k < DIM; k++) mean[cell[i] * DIM + k] += (double)x[i * DIM + k];
        count[cell[i]]++;
    }
    for (int c = 0; c < 3; c++) {
        assert_in_range(count[c], N / 3 - 60, N / 3 + 60);
        for (int k = 0; k < DIM; k++)
            assert_true(
                fabs(mean[c * DIM + k] / count[c] - (double)centres[c * DIM + k]) < 1e-5);
    }
    lm_threads_set(3);
    CHECK_OK(lm_kmeans(x, N, DIM, 3, 50, 4, NULL, again));
    lm_threads_set(0);
    assert_memory_equal(centres, again, sizeof again);
    CHECK_FAILS(lm_kmeans(x, 2, DIM, 3, 50, 4, NULL, centres), LM_ARG);
    CHECK_FAILS(lm_kmeans(x, 2, DIM, 0, 50, 4, NULL, centres), LM_ARG);
    float *same = lattice_new(1, 5, DIM, 1);
    CHECK_OK(lm_kmeans(same, 5, DIM, 3, 50, 4, NULL, centres));
    free(same);
    free(x);
}

enum { TRAIN = 600, HELD_OUT = 300, GENERATED = 300 };

static lm_copying run(const float *train, const float *held_out, const float *generated,
                      int cells) {
    const lm_copying_options options = {.cells = cells, .least = 20, .seed = 3};
    lm_copying result;
    CHECK_OK(lm_copying_test(train, TRAIN, held_out, HELD_OUT, generated, GENERATED, DIM,
                             &options, NULL, &result));
    return result;
}

static void copies_are_caught(void **state) {
    float *train = mixture_new(1, TRAIN, 1), *held_out = mixture_new(2, HELD_OUT, 1);
    float *copies = copies_new(train, TRAIN, GENERATED, 0.05);
    lm_copying got = run(train, held_out, copies, 3);
    assert_true(got.whole.p_less < 1e-6 && got.whole.z < -5);
    assert_true(got.cells_p < 1e-6 && got.cells_z < -3);
    assert_true(got.closer > 0.95);
    assert_true(got.median_generated < 0.3 * got.median_held_out);
    assert_int_equal(got.counted, 3);
    int64_t in_cells = 0;
    for (int c = 0; c < 3; c++) in_cells += got.cell[c].generated;
    assert_int_equal(in_cells, GENERATED);
    lm_copying_release(&got);
    free(train);
    free(held_out);
    free(copies);
}

static void underfitting_is_above_zero(void **state) {
    float *train = mixture_new(1, TRAIN, 1), *held_out = mixture_new(2, HELD_OUT, 1);
    float *blurred = mixture_new(3, GENERATED, 1.6);
    lm_copying got = run(train, held_out, blurred, 3);
    assert_true(got.whole.z > 5 && got.whole.p_less > 1 - 1e-6 && got.cells_z > 3);
    lm_copying_release(&got);
    free(train);
    free(held_out);
    free(blurred);
}

/* Copies in one cloud and too wide ones elsewhere: right on the whole, seen in a cell. */
static void a_cell_that_copies_is_seen(void **state) {
    float *train = mixture_new(1, TRAIN, 1), *held_out = mixture_new(2, HELD_OUT, 1);
    float *copies = copies_new(train, TRAIN, GENERATED, 0.05);
    float *wide = mixture_new(3, 2 * GENERATED, 1.6);
    for (int i = 0, from = 0; i < GENERATED; i++) {
        if (copies[i * DIM] >= 4) continue; /* the cloud on the right */
        while (wide[from * DIM] >= 4) from++;
        memcpy(copies + i * DIM, wide + from++ * DIM, DIM * sizeof *wide);
    }
    lm_copying got = run(train, held_out, copies, 6);
    assert_true(got.whole.z > 0 && got.whole.p_less > 0.5);
    double lowest = 0;
    for (int c = 0; c < 6; c++) lowest = fmin(lowest, got.cell[c].z);
    assert_true(lowest < -5);
    lm_copying_release(&got);
    free(train);
    free(held_out);
    free(copies);
    free(wide);
}

/* Of 200 honest generators, p < 0.05 is to be had by 10; binomial, 1e-4 beyond 22. */
static void honest_samples_pass(void **state) {
    enum { SEEDS = 200 };
    int whole = 0, cells = 0, upper = 0;
    for (int seed = 0; seed < SEEDS; seed++) {
        float *train = mixture_new(1000 + (uint64_t)seed, TRAIN, 1);
        float *held_out = mixture_new(2000 + (uint64_t)seed, HELD_OUT, 1);
        float *honest = mixture_new(3000 + (uint64_t)seed, GENERATED, 1);
        lm_copying got = run(train, held_out, honest, seed % 4 ? 0 : 3);
        whole += got.whole.p_less < 0.05;
        upper += got.whole.p_less > 0.5;
        cells += seed % 4 == 0 && got.cells_p < 0.05;
        if (seed % 4) assert_true(isnan(got.cells_p));
        lm_copying_release(&got);
        free(train);
        free(held_out);
        free(honest);
    }
    assert_in_range(whole, 1, 22);
    assert_in_range(upper, 70, 130);
    assert_in_range(cells, 0, 9); /* of 50 */
}

static void small_cells_do_not_count(void **state) {
    float *train = mixture_new(1, TRAIN, 1), *held_out = mixture_new(2, HELD_OUT, 1);
    lm_copying got = run(train, held_out, held_out, 60);
    assert_true(got.counted < 10);
    for (int c = 0; c < 60; c++)
        assert_true(isnan(got.cell[c].z) ==
                    (got.cell[c].generated < 20 || got.cell[c].held_out < 20));
    lm_copying_release(&got);
    free(train);
    free(held_out);
}

static bool count_up(void *user, double share) {
    double *last = user;
    assert_true(share >= *last - 1e-12 && share <= 1 + 1e-12);
    *last = share;
    return share < 0.5;
}

static void wrong_input_is_refused(void **state) {
    float *x = mixture_new(1, 60, 1);
    lm_copying_options options = LM_COPYING_DEFAULTS;
    lm_copying got;
    CHECK_FAILS(lm_copying_test(x, 0, x, 10, x, 10, DIM, &options, NULL, &got), LM_ARG);
    CHECK_FAILS(lm_copying_test(x, 60, x, 0, x, 10, DIM, &options, NULL, &got), LM_ARG);
    CHECK_FAILS(lm_copying_test(x, 60, x, 10, x, 0, DIM, &options, NULL, &got), LM_ARG);
    CHECK_FAILS(lm_copying_test(x, 9, x, 10, x, 10, DIM, &options, NULL, &got), LM_ARG);
    options.cells = -1;
    CHECK_FAILS(lm_copying_test(x, 60, x, 10, x, 9, DIM, &options, NULL, &got), LM_ARG);
    options.cells = 4;
    double last = 0;
    const lm_metric_hook hook = {count_up, &last};
    lm_threads_set(1);
    CHECK_FAILS(lm_copying_test(x, 60, x, 10, x, 10, DIM, &options, &hook, &got),
                LM_INTERRUPTED);
    lm_threads_set(0);
    x[5] = NAN;
    CHECK_FAILS(lm_copying_test(x, 60, x, 10, x, 9, DIM, &options, NULL, &got),
                LM_NUMERIC);
    free(x);
}

static void every_allocation_may_fail(void **state) {
    float *x = mixture_new(1, 60, 1);
    const lm_copying_options options = {.cells = 2, .least = 3};
    lm_copying got;
    int64_t blocks = lm_mem_get_stats().blocks, n = 0;
    lm_status status;
    do {
        lm_mem_fail_at(++n, 0);
        status = lm_copying_test(x, 30, x + 30 * DIM, 15, x + 45 * DIM, 15, DIM, &options,
                                 NULL, &got);
        lm_mem_fail_at(0, 0);
        if (status != LM_OK) assert_int_equal(status, LM_NOMEM);
        if (status != LM_OK) assert_int_equal(lm_mem_get_stats().blocks, blocks);
    } while (status != LM_OK);
    assert_true(n > 100);
    lm_copying_release(&got);
    assert_int_equal(lm_mem_get_stats().blocks, blocks);
    free(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_are_scipys),
        cmocka_unit_test(ranks_of_nothing_and_of_equal_values),
        cmocka_unit_test(cells_are_clouds),
        cmocka_unit_test(copies_are_caught),
        cmocka_unit_test(underfitting_is_above_zero),
        cmocka_unit_test(a_cell_that_copies_is_seen),
        cmocka_unit_test(honest_samples_pass),
        cmocka_unit_test(small_cells_do_not_count),
        cmocka_unit_test(wrong_input_is_refused),
        cmocka_unit_test(every_allocation_may_fail),
    };
    lm_threads_set(0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
