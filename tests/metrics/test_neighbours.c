/* Nearest neighbours against all distances sorted. */
#include "metrics/clouds.h"

#include "base/mem.h"
#include "base/threads.h"
#include "metrics/distances.h"
#include "metrics/neighbours.h"

#include <math.h>
#include <string.h>

typedef struct pair {
    double squared;
    int32_t index;
} pair;

static int compare_pairs(const void *a, const void *b) {
    const pair *x = a, *y = b;
    if (x->squared != y->squared) return x->squared < y->squared ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

static void check(const char *what, const float *a, int n, const float *b, int count,
                  int dim, int m) {
    lm_neighbours found;
    CHECK_OK(lm_neighbours_find(a, n, b, count, dim, m, NULL, &found));
    assert_int_equal(found.count, n);
    int others = b ? count : n;
    pair *all = malloc(sizeof *all * (size_t)others);
    assert_non_null(all);
    for (int i = 0; i < n; i++) {
        int size = 0;
        for (int j = 0; j < others; j++)
            if (b || j != i)
                all[size++] = (pair){
                    lm_distance_squared(a + i * dim, (b ? b : a) + j * dim, dim), j};
        qsort(all, (size_t)size, sizeof *all, compare_pairs);
        for (int k = 0; k < m; k++)
            if (found.index[i * m + k] != all[k].index ||
                found.squared[i * m + k] != all[k].squared)
                fail_msg("%s: neighbour %d of %d is %d at %.17g, not %d at %.17g", what,
                         k, i, found.index[i * m + k], found.squared[i * m + k],
                         all[k].index, all[k].squared);
    }
    free(all);
    lm_neighbours_release(&found);
}

static void distances_are_exact(void **state) {
    const float a[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    const float b[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13.5F};
    assert_true(lm_distance_squared(a, b, 11) == 6.25);
    assert_true(lm_distance_squared(a, a, 11) == 0);
    assert_true(lm_distance_squared(a, b, 10) == 0);
    assert_true(lm_distance_squared(a, b + 3, 8) == 8 * 9 - 9 + 5.5 * 5.5);
    const float large = 1e30F, small = 1e-30F;
    assert_true(lm_distance_squared(&large, &small, 1) ==
                ((double)large - (double)small) * ((double)large - (double)small));
}

/* Every pair's bounds hold its distance, also where numbers cancel. */
static void check_bounds(void *user, const lm_distance_tile *tile) {
    const lm_distances *pairs = user;
    for (int i = 0; i < tile->rows; i++)
        for (int j = 0; j < tile->columns; j++) {
            int64_t row = tile->row + i, column = tile->column + j;
            float product = tile->products[i * tile->columns + j];
            double low, high;
            lm_distances_bounds(pairs, row, column, product, &low, &high);
            double squared =
                lm_distance_squared(pairs->rows.x + row * pairs->dim,
                                    pairs->columns.x + column * pairs->dim, pairs->dim);
            if (!(low <= squared && squared <= high && low >= 0)) abort();
            float cut = lm_distances_cut(pairs, pairs->rows.low[row], squared);
            if (!(product + pairs->columns.low[column] <= cut)) abort();
        }
}

static void bounds_hold(void **state) {
    const struct {
        double scale, offset;
        int dim;
    } cases[] = {{1, 0, 64},     {1, 1e4, 64},    {1e-3, 1e4, 5000},
                 {1e-30, 0, 64}, {1e-38, 0, 300}, {1e35, 0, 64},
                 {1e-44, 0, 9},  {0, 5, 3},       {1, 1e-3, 1}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        float *a = cloud_new(1, 50, cases[c].dim, cases[c].scale, cases[c].offset);
        float *b = cloud_new(2, 40, cases[c].dim, cases[c].scale, cases[c].offset);
        lm_distances pairs;
        CHECK_OK(lm_distances_init(&pairs, a, 50, b, 40, cases[c].dim));
        CHECK_OK(lm_distances_visit(&pairs, check_bounds, &pairs, NULL, "bounds"));
        lm_distances_release(&pairs);
        free(a);
        free(b);
    }
}

static void neighbours_are_those_of_all_distances(void **state) {
    float *a = cloud_new(1, 300, 50, 1, 0), *b = cloud_new(2, 211, 50, 1, 0.1);
    check("of another set", a, 300, b, 211, 50, 4);
    check("all of them", a, 10, b, 20, 50, 20);
    check("of its own set", a, 300, NULL, 0, 50, 5);
    check("all of its own", b, 30, NULL, 0, 50, 29);
    free(a);
    free(b);
}

/* 1600 vectors have several large tiles with one thread and small ones with many. */
static void sets_of_several_tiles(void **state) {
    float *a = cloud_new(3, 1600, 3, 1, 0);
    for (int threads = 1; threads <= 5; threads += 4) {
        lm_threads_set(threads);
        check("several tiles", a, 1600, NULL, 0, 3, 3);
        check("tiles of two sets", a, 1600, a + 3 * 50, 1400, 3, 3);
    }
    lm_threads_set(0);
    free(a);
}

static void equal_distances_go_by_index(void **state) {
    float *a = lattice_new(1, 400, 6, 3), *b = lattice_new(2, 300, 6, 3);
    check("lattice", a, 400, NULL, 0, 6, 5);
    check("two lattices", a, 400, b, 300, 6, 7);
    float *same = lattice_new(1, 300, 20, 1);
    check("equal vectors", same, 300, NULL, 0, 20, 3);
    check("equal sets", same, 300, same, 300, 20, 3);
    free(a);
    free(b);
    free(same);
}

static void neighbours_closer_than_f32_sees(void **state) {
    float *a = modes_new(1, 500, 40, 3), *b = modes_new(1, 200, 40, 3);
    check("tiny clouds", a, 500, NULL, 0, 40, 5);
    check("tiny clouds of two sets", a, 500, b, 200, 40, 5);
    float *far = cloud_new(4, 200, 30, 1e-2, 1e4);
    check("far from zero", far, 200, NULL, 0, 30, 5);
    free(a);
    free(b);
    free(far);
}

static void long_vectors(void **state) {
    float *a = cloud_new(5, 40, 5001, 1, 0);
    check("long vectors", a, 40, NULL, 0, 5001, 3);
    free(a);
}

static bool stop_half_way(void *user, double share) {
    *(double *)user = share;
    return share < 0.5;
}

static void wrong_input_is_refused(void **state) {
    float *a = cloud_new(1, 40, 8, 1, 0);
    lm_neighbours found;
    CHECK_FAILS(lm_neighbours_find(a, 40, NULL, 0, 8, 40, NULL, &found), LM_ARG);
    CHECK_FAILS(lm_neighbours_find(a, 40, a, 3, 8, 4, NULL, &found), LM_ARG);
    CHECK_FAILS(lm_neighbours_find(a, 40, a, 3, 8, 0, NULL, &found), LM_ARG);
    CHECK_FAILS(lm_neighbours_find(a, 0, a, 3, 8, 1, NULL, &found), LM_ARG);
    CHECK_FAILS(lm_neighbours_find(a, 40, a, 3, 0, 1, NULL, &found), LM_ARG);
    const float bad[] = {NAN, INFINITY, -INFINITY, 1e38F};
    for (int i = 0; i < 4; i++) {
        a[100] = bad[i];
        CHECK_FAILS(lm_neighbours_find(a, 40, NULL, 0, 8, 3, NULL, &found), LM_NUMERIC);
        CHECK_FAILS(lm_neighbours_find(a + 200, 2, a, 40, 8, 3, NULL, &found),
                    LM_NUMERIC);
        assert_null(found.index);
    }
    free(a);
}

static void it_can_be_interrupted(void **state) {
    float *a = cloud_new(1, 2000, 8, 1, 0);
    double share = 0;
    const lm_metric_hook hook = {stop_half_way, &share};
    lm_neighbours found;
    CHECK_FAILS(lm_neighbours_find(a, 2000, NULL, 0, 8, 3, &hook, &found),
                LM_INTERRUPTED);
    assert_true(share >= 0.5 && share < 1);
    assert_null(found.index);
    free(a);
}

static void every_allocation_may_fail(void **state) {
    float *a = cloud_new(1, 40, 8, 1, 0);
    lm_neighbours found;
    int64_t blocks = lm_mem_get_stats().blocks;
    lm_status status;
    int64_t n = 0;
    do {
        lm_mem_fail_at(++n, 0);
        status = lm_neighbours_find(a, 40, a, 20, 8, 3, NULL, &found);
        lm_mem_fail_at(0, 0);
        if (status != LM_OK) assert_int_equal(status, LM_NOMEM);
        if (status != LM_OK) assert_int_equal(lm_mem_get_stats().blocks, blocks);
    } while (status != LM_OK);
    assert_true(n > 10);
    lm_neighbours_release(&found);
    assert_int_equal(lm_mem_get_stats().blocks, blocks);
    free(a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distances_are_exact),
        cmocka_unit_test(bounds_hold),
        cmocka_unit_test(neighbours_are_those_of_all_distances),
        cmocka_unit_test(sets_of_several_tiles),
        cmocka_unit_test(equal_distances_go_by_index),
        cmocka_unit_test(neighbours_closer_than_f32_sees),
        cmocka_unit_test(long_vectors),
        cmocka_unit_test(wrong_input_is_refused),
        cmocka_unit_test(it_can_be_interrupted),
        cmocka_unit_test(every_allocation_may_fail),
    };
    lm_threads_set(0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
