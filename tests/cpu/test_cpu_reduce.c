/* Reductions, order, pooling and small matrices. */
#include "rig.h"

#include <math.h>
#include <string.h>

static const struct {
    int rank;
    int64_t dim[5];
} shapes[] = {
    {1, {1}},
    {1, {7}},
    {1, {100003}},
    {2, {1, 5}},
    {2, {33, 65}},
    {2, {3000, 7}},
    {2, {5, 20011}},
    {3, {3, 1, 5}},
    {3, {3, 300, 600}},
    {3, {2, 513, 1}},
    {4, {2, 9, 11, 33}},
    {4, {3, 17, 16, 64}},
    {4, {1, 31, 29, 1}},
    {5, {2, 3, 4, 5, 6}},
};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

static void test_reduce_sum(void **state) {
    rig *r = *state;
    for (int i = 0; i < N_SHAPES; i++) {
        lm_shape shape = lm_shape_make(shapes[i].rank, shapes[i].dim);
        for (int first = 0; first < shape.rank; first++)
            for (int last = first; last < shape.rank; last++) {
                lm_attr attr = {.axes = (2u << last) - (1u << first)};
                lm_node *x = rig_input(r, shape);
                rig_check(r,
                          lm_build(r->graph, LM_KIND_REDUCE_SUM, &x, 1, &attr, LM_F32,
                                   LM_SCALAR),
                          1e-11);
                rig_clear(r);
            }
    }
}

static void test_sum_of_equal_terms(void **state) {
    rig *r = *state; /* where a careless f32 sum loses most: 0.1 a million times */
    lm_node *x = rig_input(r, LM_SHAPE(1 << 20));
    for (int i = 0; i < 1 << 20; i++) rig_values(r, x)[i] = 0.1f;
    rig_check(r, lm_sum(r->graph, x, 1, true), 1e-13);
}

static void test_reduce_max(void **state) {
    rig *r = *state;
    for (int i = 0; i < N_SHAPES; i++) {
        lm_shape shape = lm_shape_make(shapes[i].rank, shapes[i].dim);
        for (uint32_t axes = 1; !(axes >> shape.rank); axes++) {
            lm_attr attr = {.axes = axes};
            lm_node *x = rig_input(r, shape);
            rig_check(
                r,
                lm_build(r->graph, LM_KIND_REDUCE_MAX, &x, 1, &attr, LM_F32, LM_SCALAR),
                0);
            rig_clear(r);
        }
    }
}

static void test_argmax(void **state) {
    rig *r = *state;
    for (int i = 0; i < N_SHAPES; i++)
        for (int axis = 0; axis < shapes[i].rank; axis++) {
            lm_shape shape = lm_shape_make(shapes[i].rank, shapes[i].dim);
            /* Few different values: ties everywhere. */
            lm_node *x = rig_input(r, shape);
            double *values = rig_values(r, x);
            for (int64_t k = 0; k < lm_shape_count(shape); k++)
                values[k] = floor(values[k] * 4);
            rig_check(r, lm_argmax(r->graph, x, axis), 0);
            rig_clear(r);
        }
}

static void test_cumsum(void **state) {
    rig *r = *state;
    for (int i = 0; i < N_SHAPES; i++)
        for (int axis = 0; axis < shapes[i].rank; axis++) {
            lm_node *x = rig_input(r, lm_shape_make(shapes[i].rank, shapes[i].dim));
            rig_check(r, lm_cumsum(r->graph, x, axis, i % 2), 1e-13);
            rig_clear(r);
        }
}

static void test_topk(void **state) {
    static const int64_t cases[][3] = {{1, 1, 1},   {3, 7, 7},     {5, 100, 1},
                                       {2, 33, 16}, {400, 65, 10}, {2, 1000, 999}};
    rig *r = *state;
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        const int64_t *c = cases[i / 2];
        lm_node *x = rig_input(r, LM_SHAPE(c[0], c[1]));
        double *values = rig_values(r, x);
        for (int64_t k = 0; i % 2 && k < c[0] * c[1]; k++)
            values[k] = floor(values[k] * 3);
        rig_check(r, lm_topk(r->graph, x, (int)c[2]), 0);
        rig_clear(r);
    }
}

/* NaN is the largest, infinities are in order, whatever the width of the machine. */
static void test_order_of_special_values(void **state) {
    rig *r = *state;
    for (int i = 0; i < 40; i++) {
        lm_node *x = rig_input(r, LM_SHAPE(5, 23));
        double *values = rig_values(r, x);
        for (int k = 0; k < 5 * 23; k++)
            if ((k * 7 + i) % 11 == 0) values[k] = k % 3 ? -INFINITY : INFINITY;
        for (int k = 0; k < 5 * 23 && i % 2; k++)
            if ((k + i) % 13 == 0) values[k] = NAN;
        for (int k = 0; k < 23; k++) values[23 + k] = -INFINITY;
        for (int axis = 0; axis < 2; axis++) {
            lm_attr attr = {.axes = 1u << axis};
            rig_check(r, lm_argmax(r->graph, x, axis), 0);
            rig_check(
                r,
                lm_build(r->graph, LM_KIND_REDUCE_MAX, &x, 1, &attr, LM_F32, LM_SCALAR),
                0);
        }
        rig_check(r, lm_topk(r->graph, x, 1 + i % 23), 0);
        rig_clear(r);
    }
}

/* ---- pooling ----------------------------------------------------------------- */

static const struct {
    int64_t n, h, w, c;
    lm_pool_attr attr;
} pools[] = {
    {1, 1, 1, 1, {{1, 1}, {1, 1}, {0, 0}, {0, 0}, {0, 0}}},
    {2, 8, 8, 16, {{2, 2}, {2, 2}, {0, 0}, {0, 0}, {0, 0}}},
    {2, 9, 7, 33, {{3, 3}, {2, 2}, {1, 1}, {1, 1}, {0, 0}}},
    {2, 7, 9, 3, {{3, 2}, {1, 1}, {2, 0}, {0, 1}, {0, 0}}},
    {1, 12, 5, 300, {{3, 5}, {4, 1}, {0, 4}, {1, 4}, {0, 0}}},
    {3, 5, 5, 64, {{2, 2}, {3, 3}, {0, 0}, {0, 0}, {0, 0}}}, /* gaps between windows */
};
enum { N_POOLS = sizeof pools / sizeof *pools };

static lm_node *pool_input(rig *r, int i) {
    return rig_input(r, LM_SHAPE(pools[i].n, pools[i].h, pools[i].w, pools[i].c));
}

/* Positions that are inside: those of the largest, found by hand. */
static lm_node *pool_positions(rig *r, int i) {
    const lm_pool_attr *a = &pools[i].attr;
    lm_node *x = lm_input(r->graph, "x", LM_F32,
                          LM_SHAPE(pools[i].n, pools[i].h, pools[i].w, pools[i].c));
    lm_shape shape = lm_pool_argmax(r->graph, x, a)->shape;
    lm_node *at = rig_whole(r, LM_U8, shape, a->window[0] * a->window[1]);
    double *values = rig_values(r, at);
    for (int64_t k = 0; k < lm_shape_count(shape); k++) {
        int64_t pixel = k / shape.dim[3];
        int64_t w = pixel % shape.dim[2] * a->stride[1] - a->pad_lo[1];
        int64_t h = pixel / shape.dim[2] % shape.dim[1] * a->stride[0] - a->pad_lo[0];
        int64_t row = (int64_t)values[k] / a->window[1];
        int64_t column = (int64_t)values[k] % a->window[1];
        while (h + row < 0) row++;
        while (h + row >= pools[i].h) row--;
        while (w + column < 0) column++;
        while (w + column >= pools[i].w) column--;
        values[k] = (double)(row * a->window[1] + column);
    }
    return at;
}

static void test_pool(void **state) {
    rig *r = *state;
    for (int i = 0; i < N_POOLS; i++) {
        lm_node *x = pool_input(r, i), *at = pool_positions(r, i);
        rig_check(r, lm_pool_argmax(r->graph, x, &pools[i].attr), 0);
        rig_check(r, lm_pool_gather(r->graph, x, at, &pools[i].attr), 0);
        lm_pool_attr sized = pools[i].attr;
        sized.size[0] = (int32_t)pools[i].h;
        sized.size[1] = (int32_t)pools[i].w;
        lm_node *y = rig_input(r, at->shape);
        rig_check(r, lm_pool_scatter(r->graph, y, at, &sized), 1e-13);
        rig_clear(r);
    }
}

static void test_pool_of_special_values(void **state) {
    rig *r = *state;
    for (int i = 0; i < N_POOLS; i++) {
        lm_node *x = pool_input(r, i);
        double *values = rig_values(r, x);
        for (int64_t k = 0; k < lm_shape_count(x->shape); k++)
            values[k] = k % 3 == 0 ? -INFINITY : k % 7 == 0 ? NAN : floor(values[k] * 2);
        rig_check(r, lm_pool_argmax(r->graph, x, &pools[i].attr), 0);
        rig_clear(r);
    }
}

static void test_pool_positions_are_checked(void **state) {
    rig *r = *state;
    static const double wrong[] = {9, 0}; /* not of the window, in the padding */
    for (int i = 0; i < 2; i++) {
        lm_node *x = pool_input(r, 2), *at = pool_positions(r, 2);
        rig_values(r, at)[0] = wrong[i];
        rig_check_fails(r, lm_pool_gather(r->graph, x, at, &pools[2].attr), LM_ARG);
        rig_clear(r);
    }
}

/* ---- small matrices ---------------------------------------------------------- */

static void test_inverse_and_determinant(void **state) {
    static const int64_t cases[][2] = {{1, 1}, {7, 2}, {3, 5}, {2, 16}, {1, 33}, {40, 8}};
    rig *r = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t n = cases[i][1];
        lm_node *x = rig_input(r, LM_SHAPE(cases[i][0], n, n));
        rig_check(r, lm_inv(r->graph, x), 1e-10);
        rig_check(r, lm_logabsdet(r->graph, x), 1e-12);
        rig_clear(r);
    }
}

/* A zero on the diagonal needs an exchange of rows; a singular matrix has log 0. */
static void test_pivots(void **state) {
    rig *r = *state;
    static const double swap[] = {0, 2, 0, 0, 0, 3, 5, 0, 0}, singular[] = {1, 2, 2, 4};
    lm_node *x = rig_input(r, LM_SHAPE(3, 3));
    memcpy(rig_values(r, x), swap, sizeof swap);
    rig_check(r, lm_inv(r->graph, x), 1e-14);
    rig_check(r, lm_logabsdet(r->graph, x), 1e-14);
    lm_node *y = rig_input(r, LM_SHAPE(2, 2));
    memcpy(rig_values(r, y), singular, sizeof singular);
    rig_check(r, lm_logabsdet(r->graph, y), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        RIG_TEST(test_reduce_sum),
        RIG_TEST(test_sum_of_equal_terms),
        RIG_TEST(test_reduce_max),
        RIG_TEST(test_argmax),
        RIG_TEST(test_cumsum),
        RIG_TEST(test_topk),
        RIG_TEST(test_order_of_special_values),
        RIG_TEST(test_pool),
        RIG_TEST(test_pool_of_special_values),
        RIG_TEST(test_pool_positions_are_checked),
        RIG_TEST(test_inverse_and_determinant),
        RIG_TEST(test_pivots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
