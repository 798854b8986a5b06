/* Movement of data, exact to the bit: permutations, slices, padding, joins, indices. */
#include "rig.h"

#include <math.h>
#include <string.h>

static lm_node *input_of(rig *r, lm_dtype dtype, lm_shape shape) {
    return dtype == LM_F32 ? rig_input(r, shape) : rig_whole(r, dtype, shape, 200);
}

/* Movement treats elements of one and of four bytes apart. */
static const lm_dtype dtypes[] = {LM_F32, LM_U8};
enum { N_DTYPES = sizeof dtypes / sizeof *dtypes };

static void test_permute(void **state) {
    static const struct {
        int rank, perm[6];
        int64_t dim[6];
    } cases[] = {
        {1, {0}, {7}},
        {2, {1, 0}, {1, 9}},
        {2, {1, 0}, {37, 61}},
        {2, {1, 0}, {128, 300}},
        {3, {0, 2, 1}, {3, 33, 65}},
        {3, {2, 1, 0}, {5, 6, 7}},
        {3, {1, 0, 2}, {11, 13, 3}},
        {4, {0, 2, 1, 3}, {2, 17, 4, 16}},
        {4, {0, 3, 1, 2}, {2, 9, 11, 33}},
        {4, {0, 2, 3, 1}, {2, 33, 5, 7}},
        {4, {3, 0, 1, 2}, {4, 3, 3, 5}},
        {6, {0, 1, 3, 2, 4, 5}, {2, 3, 2, 3, 2, 5}},
        {6, {0, 1, 3, 2, 4, 5}, {2, 4, 2, 4, 2, 16}},
        {6, {5, 4, 3, 2, 1, 0}, {2, 3, 4, 5, 1, 3}},
        {4, {0, 1, 2, 3}, {5, 13, 17, 64}},
    };
    rig *r = *state;
    for (size_t i = 0; i < N_DTYPES * sizeof cases / sizeof *cases; i++) {
        size_t c = i / N_DTYPES;
        lm_shape shape = lm_shape_make(cases[c].rank, cases[c].dim);
        lm_node *x = input_of(r, dtypes[i % N_DTYPES], shape);
        rig_check(r, lm_permute(r->graph, x, cases[c].perm), 0);
        rig_clear(r);
    }
}

static void test_slice(void **state) {
    static const struct {
        int rank;
        int64_t dim[4];
        lm_slice_attr attr;
    } cases[] = {
        {1, {20}, {{3}, {18}, {1}}},
        {1, {20000}, {{1}, {19999}, {3}}},
        {2, {7, 9}, {{0, 2}, {7, 3}, {1, 1}}},
        {2, {7, 9}, {{1, 0}, {7, 9}, {2, 1}}},
        {3, {5, 7, 33}, {{1, 2, 3}, {4, 7, 33}, {1, 2, 5}}},
        {4, {2, 8, 8, 16}, {{0, 1, 0, 0}, {2, 8, 8, 16}, {1, 2, 2, 1}}},
        {4, {2, 8, 8, 16}, {{1, 1, 1, 4}, {2, 7, 7, 12}, {1, 1, 1, 1}}},
    };
    rig *r = *state;
    for (size_t i = 0; i < N_DTYPES * sizeof cases / sizeof *cases; i++) {
        size_t c = i / N_DTYPES;
        lm_shape shape = lm_shape_make(cases[c].rank, cases[c].dim);
        lm_node *x = input_of(r, dtypes[i % N_DTYPES], shape);
        rig_check(r, lm_slice(r->graph, x, &cases[c].attr), 0);
        rig_clear(r);
    }
}

static void test_pad(void **state) {
    static const struct {
        int rank;
        int64_t dim[4];
        lm_pad_attr attr;
    } cases[] = {
        {1, {9}, {{2}, {0}, {0}}},
        {1, {9}, {{0}, {3}, {2}}},
        {2, {3, 5}, {{1, 2}, {3, 4}, {0, 0}}},
        {2, {1, 1}, {{1, 1}, {1, 1}, {5, 5}}},
        {2, {6, 5}, {{0, 1}, {0, 1}, {0, 0}}}, /* strips one element wide */
        {2, {6, 5}, {{0, 0}, {0, 1}, {0, 1}}},
        {3, {4, 3, 6}, {{0, 0, 1}, {0, 1, 0}, {1, 0, 2}}},
        {4, {2, 7, 5, 3}, {{0, 1, 1, 0}, {0, 1, 1, 0}, {0}}},
        {4, {2, 7, 5, 16}, {{0, 1, 2, 0}, {0, 0, 1, 0}, {0}}},
        {4, {2, 4, 4, 16}, {{0, 0, 0, 0}, {0, 1, 1, 0}, {0, 1, 1, 0}}},
        {4, {1, 20, 20, 64}, {{1, 0, 3, 16}, {0, 2, 0, 48}, {0}}},
    };
    rig *r = *state;
    for (size_t i = 0; i < N_DTYPES * sizeof cases / sizeof *cases; i++) {
        size_t c = i / N_DTYPES;
        lm_shape shape = lm_shape_make(cases[c].rank, cases[c].dim);
        lm_node *x = input_of(r, dtypes[i % N_DTYPES], shape);
        rig_check(r, lm_pad(r->graph, x, &cases[c].attr), 0);
        rig_clear(r);
    }
}

static void test_concat(void **state) {
    static const int64_t sizes[][3] = {{1, 2, 3}, {64, 1, 33}, {5, 5, 5}};
    rig *r = *state;
    for (size_t i = 0; i < 2 * 3 * N_DTYPES * sizeof sizes / sizeof *sizes; i++) {
        int axis = (int)(i / N_DTYPES % 3), parts = 2 + (int)(i / N_DTYPES / 3 % 2);
        lm_node *part[3];
        for (int p = 0; p < parts; p++) {
            lm_shape shape = LM_SHAPE(3, 7, 10);
            shape.dim[axis] = sizes[i / N_DTYPES / 6][p];
            part[p] = input_of(r, dtypes[i % N_DTYPES], shape);
        }
        rig_check(r, lm_concat(r->graph, part, parts, axis), 0);
        rig_clear(r);
    }
}

static void test_concat_of_the_same_twice(void **state) {
    rig *r = *state;
    lm_node *x = rig_input(r, LM_SHAPE(3, 5)), *y = rig_input(r, LM_SHAPE(3, 2));
    rig_check(r, lm_concat(r->graph, (lm_node *[]){x, y, x}, 3, 1), 0);
}

/* A part that the plan made in its place is left there. */
static void test_concat_keeps_what_is_in_place(void **state) {
    rig *r = *state;
    lm_node *a = rig_input(r, LM_SHAPE(2, 3)), *b = rig_input(r, LM_SHAPE(4, 3));
    lm_node *node = lm_concat(r->graph, (lm_node *[]){a, b}, 2, 0);
    lm_step step = {&node, 1, node->src, 2, &node, 1, false, {0, {0}}};
    lm_kernel kernel;
    CHECK_OK(r->cpu->lower(r->cpu, &step, &kernel));
    float y[18], first[6];
    for (int i = 0; i < 18; i++) y[i] = (float)i;
    for (int i = 0; i < 6; i++) first[i] = (float)-i;
    const void *in[] = {first, y + 6};
    void *out[] = {y};
    lm_kernel_args args = {in, (uint64_t[]){0, 0}, out, NULL};
    CHECK_OK(kernel.run(&kernel, &args));
    for (int i = 0; i < 18; i++) assert_true(y[i] == (float)(i < 6 ? -i : i));
    kernel.release(&kernel);
}

/* The larger part is written past the cache where its rows begin at whole vectors. */
static void test_concat_of_large_parts(void **state) {
    rig *r = *state;
    for (int64_t other = 8; other <= 16; other += 8) {
        lm_node *x = rig_input(r, LM_SHAPE(200, 64, 256));
        lm_node *y = rig_input(r, LM_SHAPE(200, 64, other));
        rig_check(r, lm_concat(r->graph, (lm_node *[]){y, x}, 2, 2), 0);
        rig_clear(r);
    }
}

static void test_reverse(void **state) {
    rig *r = *state;
    for (uint32_t axes = 1; axes < 16; axes++) {
        lm_dtype dtype = dtypes[axes % N_DTYPES];
        rig_check(
            r, lm_reverse(r->graph, input_of(r, dtype, LM_SHAPE(3, 5, 1, 17)), axes), 0);
        rig_clear(r);
    }
}

/* ---- by index ---------------------------------------------------------------- */

static const struct {
    int64_t rows, row, count;
} tables[] = {{1, 1, 1}, {10, 1, 33}, {7, 33, 5}, {100, 64, 1000}, {1000, 3, 257}};

static void test_gather(void **state) {
    rig *r = *state;
    for (size_t i = 0; i < N_DTYPES * sizeof tables / sizeof *tables; i++) {
        size_t t = i / N_DTYPES;
        lm_node *x =
            input_of(r, dtypes[i % N_DTYPES], LM_SHAPE(tables[t].rows, tables[t].row));
        lm_node *at = rig_whole(r, LM_I32, LM_SHAPE(tables[t].count), tables[t].rows);
        rig_check(r, lm_gather(r->graph, x, at), 0);
        rig_clear(r);
    }
    lm_node *x = rig_input(r, LM_SHAPE(5, 2, 3));
    rig_check(r, lm_gather(r->graph, x, rig_whole(r, LM_I32, LM_SHAPE(3, 4), 5)), 0);
}

static void test_scatter_add(void **state) {
    rig *r = *state;
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++) {
        lm_node *x = rig_input(r, LM_SHAPE(tables[t].count, tables[t].row));
        lm_node *at = rig_whole(r, LM_I32, LM_SHAPE(tables[t].count), tables[t].rows);
        rig_check(r, lm_scatter_add(r->graph, x, at, tables[t].rows), 1e-12);
        rig_clear(r);
    }
    lm_node *x = rig_input(r, LM_SHAPE(3, 4, 2, 3));
    lm_node *at = rig_whole(r, LM_I32, LM_SHAPE(3, 4), 5);
    rig_check(r, lm_scatter_add(r->graph, x, at, 5), 1e-12);
}

static void test_indices_are_checked(void **state) {
    static const double wrong[] = {-1, 5};
    rig *r = *state;
    for (int i = 0; i < 2; i++) {
        lm_node *at = rig_whole(r, LM_I32, LM_SHAPE(3), 5);
        rig_values(r, at)[2] = wrong[i];
        rig_check_fails(r, lm_gather(r->graph, rig_input(r, LM_SHAPE(5, 4)), at), LM_ARG);
        rig_check_fails(r, lm_scatter_add(r->graph, rig_input(r, LM_SHAPE(3, 4)), at, 5),
                        LM_ARG);
        rig_clear(r);
    }
}

/* ---- along an axis ----------------------------------------------------------- */

/* rows x cols with `terms` entries in each row but every fifth, which is empty. */
static const lm_sparse *make_matrix(rig *r, int32_t rows, int32_t cols, int32_t terms,
                                    float value) {
    int32_t start[64] = {0}, col[64 * 40], nnz = 0;
    float values[64 * 40];
    for (int32_t i = 0; i < rows; i++) {
        for (int32_t t = 0; t < terms && (i % 5 != 4 || terms == 1); t++, nnz++) {
            int32_t first = i * cols / rows;
            col[nnz] = (first + terms > cols ? cols - terms : first) + t;
            values[nnz] = value + (value == 1 ? 0 : (float)t / 8);
        }
        start[i + 1] = nnz;
    }
    lm_sparse matrix = {rows, cols, nnz, start, col, values, NULL};
    return lm_sparse_intern(r->graph, &matrix);
}

static void test_axismap(void **state) {
    static const struct {
        int32_t rows, cols, terms;
        float value;
    } maps[] = {{1, 1, 1, 1},     {14, 7, 1, 1},    {7, 14, 2, 0.5f}, {13, 7, 3, -0.75f},
                {5, 33, 33, .1f}, {9, 40, 20, .3f}, {33, 33, 4, 1}};
    rig *r = *state;
    for (size_t i = 0; i < sizeof maps / sizeof *maps * 4 * 3; i++) {
        size_t m = i / 12;
        int axis = (int)(i / 3 % 4);
        static const int64_t channels[] = {1, 3, 33};
        lm_shape shape = LM_SHAPE(2, 3, 4, channels[i % 3]);
        shape.dim[axis] = maps[m].cols;
        const lm_sparse *matrix =
            make_matrix(r, maps[m].rows, maps[m].cols, maps[m].terms, maps[m].value);
        rig_check(r, lm_axismap(r->graph, rig_input(r, shape), axis, matrix), 1e-12);
        rig_clear(r);
    }
}

static void test_lowering_without_memory(void **state) {
    rig *r = *state;
    lm_node *x = rig_input(r, LM_SHAPE(2, 7));
    rig_check_faults(r, lm_axismap(r->graph, x, 1, make_matrix(r, 14, 7, 1, 1)));
    rig_check_faults(r, lm_concat(r->graph, (lm_node *[]){x, x}, 2, 0));
    rig_check_faults(r, lm_scale(r->graph, x, 3));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        RIG_TEST(test_permute),
        RIG_TEST(test_slice),
        RIG_TEST(test_pad),
        RIG_TEST(test_concat),
        RIG_TEST(test_concat_of_the_same_twice),
        RIG_TEST(test_concat_keeps_what_is_in_place),
        RIG_TEST(test_concat_of_large_parts),
        RIG_TEST(test_reverse),
        RIG_TEST(test_gather),
        RIG_TEST(test_scatter_add),
        RIG_TEST(test_indices_are_checked),
        RIG_TEST(test_axismap),
        RIG_TEST(test_lowering_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
