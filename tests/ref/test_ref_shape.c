/* Kinds that move, choose or sum elements, against formulas by index. */
#include "rig.h"
#include <math.h>
#include <string.h>

/* Row-major index of (i, j, k) in a shape of rank 3. */
static int64_t at3(lm_shape s, int64_t i, int64_t j, int64_t k) {
    return (i * s.dim[1] + j) * s.dim[2] + k;
}

#define FOR3(s, i, j, k)                                                                 \
    for (int64_t i = 0; i < (s).dim[0]; i++)                                             \
        for (int64_t j = 0; j < (s).dim[1]; j++)                                         \
            for (int64_t k = 0; k < (s).dim[2]; k++)

/* x[3,5,7] through a kind that only moves elements: `from` gives the source's index, or
 * -1 where the result is zero. */
typedef int64_t (*moved_from)(lm_shape x, int64_t i, int64_t j, int64_t k);

static void check_moved(rig *r, lm_node *node, const double *x, moved_from from) {
    lm_shape shape = node->shape;
    assert_int_equal(shape.rank, 3);
    double *got = RIG_RUN(r, node, x);
    double *want = rig_zeros(r, lm_shape_count(shape));
    FOR3(shape, i, j, k) {
        int64_t source = from(node->src[0]->shape, i, j, k);
        want[at3(shape, i, j, k)] = source < 0 ? 0 : x[source];
    }
    rig_compare(got, want, lm_shape_count(shape), 0);
}

static int64_t from_permuted(lm_shape x, int64_t i, int64_t j, int64_t k) {
    return at3(x, j, k, i); /* perm 2, 0, 1 */
}

static int64_t from_sliced(lm_shape x, int64_t i, int64_t j, int64_t k) {
    return at3(x, i + 1, j * 3, 2 + k * 2);
}

static int64_t from_reversed(lm_shape x, int64_t i, int64_t j, int64_t k) {
    return at3(x, x.dim[0] - 1 - i, j, x.dim[2] - 1 - k);
}

static int64_t from_padded(lm_shape x, int64_t i, int64_t j, int64_t k) {
    if (i < 1 || i > x.dim[0] || j % 3 || k < 2 || (k - 2) % 2) return -1;
    if (j / 3 >= x.dim[1] || (k - 2) / 2 >= x.dim[2]) return -1;
    return at3(x, i - 1, j / 3, (k - 2) / 2);
}

static int64_t from_copied(lm_shape x, int64_t i, int64_t j, int64_t k) {
    return at3(x, i, j, k);
}

static void test_moves(void **state) {
    rig *r = *state;
    lm_graph *g = r->graph;
    lm_shape shape = LM_SHAPE(3, 5, 7);
    lm_node *x = rig_input(r, shape);
    double *values = rig_random(r, lm_shape_count(shape));
    check_moved(r, lm_permute(g, x, (int[]){2, 0, 1}), values, from_permuted);
    lm_slice_attr slice = {{1, 0, 2}, {3, 5, 7}, {1, 3, 2}};
    check_moved(r, lm_slice(g, x, &slice), values, from_sliced);
    check_moved(r, lm_reverse(g, x, 5), values, from_reversed);
    lm_pad_attr pad = {{1, 0, 2}, {0, 4, 1}, {0, 2, 1}};
    lm_node *padded = lm_pad(g, x, &pad);
    check_moved(r, padded, values, from_padded);
    assert_true(lm_shape_equal(padded->shape, LM_SHAPE(4, 17, 16)));
    check_moved(r, lm_allreduce_sum(g, x), values, from_copied);
}

static void test_broadcast(void **state) {
    rig *r = *state;
    lm_shape narrow = LM_SHAPE(5, 1, 3), wide = LM_SHAPE(2, 5, 4, 3);
    double *x = rig_random(r, 15), *want = rig_zeros(r, 120);
    for (int i = 0; i < 120; i++) want[i] = x[i / 12 % 5 * 3 + i % 3];
    lm_node *node = lm_broadcast(r->graph, rig_input(r, narrow), wide);
    assert_int_equal(node->kind, LM_KIND_BROADCAST);
    rig_compare(RIG_RUN(r, node, x), want, 120, 0);

    lm_node *scalar = lm_broadcast(r->graph, rig_input(r, LM_SCALAR), LM_SHAPE(7));
    double *got = RIG_RUN(r, scalar, x);
    for (int i = 0; i < 7; i++) assert_true(got[i] == x[0]);
}

static void test_concat(void **state) {
    rig *r = *state;
    lm_node *parts[] = {rig_input(r, LM_SHAPE(2, 1, 3)), rig_input(r, LM_SHAPE(2, 4, 3)),
                        rig_input(r, LM_SHAPE(2, 2, 3))};
    double *a = rig_random(r, 6), *b = rig_random(r, 24), *c = rig_random(r, 12);
    double *want = rig_zeros(r, 42);
    for (int i = 0; i < 42; i++) {
        int n = i / 21, row = i / 3 % 7, k = i % 3;
        want[i] = row < 1   ? a[n * 3 + k]
                  : row < 5 ? b[(n * 4 + row - 1) * 3 + k]
                            : c[(n * 2 + row - 5) * 3 + k];
    }
    lm_node *node = lm_concat(r->graph, parts, 3, 1);
    rig_compare(RIG_RUN(r, node, a, b, c), want, 42, 0);
}

/* All sets of axes of a rank-3 value that the kind accepts. */
static void test_reductions(void **state) {
    rig *r = *state;
    lm_shape shape = LM_SHAPE(3, 5, 7);
    lm_node *x = rig_input(r, shape);
    double *values = rig_random(r, 105);
    for (uint32_t axes = 1; axes < 8; axes++) {
        for (int max = 0; max < 2; max++) {
            if (!max && axes == 5) continue; /* sums take adjacent axes only */
            lm_node *node =
                lm_build(r->graph, max ? LM_KIND_REDUCE_MAX : LM_KIND_REDUCE_SUM, &x, 1,
                         &(lm_attr){.axes = axes}, LM_F32, LM_SCALAR);
            double *got = RIG_RUN(r, node, values);
            double *want = rig_zeros(r, lm_shape_count(node->shape));
            int64_t count = lm_shape_count(node->shape);
            for (int64_t i = 0; i < count && max; i++) want[i] = -2;
            FOR3(shape, i, j, k) {
                int64_t to = at3(node->shape, axes & 1 ? 0 : i, axes & 2 ? 0 : j,
                                 axes & 4 ? 0 : k);
                double value = values[at3(shape, i, j, k)];
                want[to] = max ? fmax(want[to], value) : want[to] + value;
            }
            rig_compare(got, want, count, 1e-15);
        }
    }
}

static void test_reduce_nan(void **state) {
    rig *r = *state;
    const double x[] = {1, NAN, 3, -INFINITY, -INFINITY, -INFINITY};
    lm_node *node = lm_reduce_max(r->graph, rig_input(r, LM_SHAPE(2, 3)), 2, true);
    const double want[] = {NAN, -INFINITY};
    rig_compare(RIG_RUN(r, node, x), want, 2, 0);
}

static void test_argmax(void **state) {
    rig *r = *state;
    const double x[] = {1, 4, 7, 4, 7, 0, 7, 7, 7, 2, 7, 9};
    lm_node *input = rig_input(r, LM_SHAPE(2, 3, 2));
    const double want_middle[] = {1, 0, 0, 2}; /* [2,1,2], the first of equals */
    rig_compare(RIG_RUN(r, lm_argmax(r->graph, input, 1), x), want_middle, 4, 0);
    const double want_last[] = {1, 0, 0, 0, 0, 1};
    rig_compare(RIG_RUN(r, lm_argmax(r->graph, input, 2), x), want_last, 6, 0);
}

static void test_cumsum(void **state) {
    rig *r = *state;
    const double x[] = {1, 2, 3, 4, 5, 6, 10, 20, 30, 40, 50, 60};
    lm_node *input = rig_input(r, LM_SHAPE(2, 3, 2));
    const double forward[] = {1, 2, 4, 6, 9, 12, 10, 20, 40, 60, 90, 120};
    const double backward[] = {9, 12, 8, 10, 5, 6, 90, 120, 80, 100, 50, 60};
    rig_compare(RIG_RUN(r, lm_cumsum(r->graph, input, 1, false), x), forward, 12, 0);
    rig_compare(RIG_RUN(r, lm_cumsum(r->graph, input, 1, true), x), backward, 12, 0);
}

static void test_topk(void **state) {
    rig *r = *state;
    const double x[] = {3, 9, 9, -1, 9, 0, 0, 0, 0, 0, 1, NAN, 2, NAN, 3};
    lm_node *input = rig_input(r, LM_SHAPE(3, 5));
    const double want[] = {1, 2, 4, 0, 0, 1, 2, 3, 1, 3, 4, 2};
    rig_compare(RIG_RUN(r, lm_topk(r->graph, input, 4), x), want, 12, 0);
}

static void test_rows(void **state) {
    rig *r = *state;
    const double x[] = {1, 2, 3, 4, 5, 6}, index[] = {2, 0, 2, 1, 0, 0};
    lm_node *rows = rig_input(r, LM_SHAPE(3, 2));
    lm_node *indices = rig_input_of(r, LM_I32, LM_SHAPE(2, 3));
    lm_node *gather = lm_gather(r->graph, rows, indices);
    const double gathered[] = {5, 6, 1, 2, 5, 6, 3, 4, 1, 2, 1, 2};
    double *got = RIG_RUN(r, gather, x, index);
    rig_compare(got, gathered, 12, 0);

    lm_node *source = rig_input(r, LM_SHAPE(2, 3, 2));
    lm_node *scatter = lm_scatter_add(r->graph, source, indices, 4);
    const double scattered[] = {3, 6, 3, 4, 10, 12, 0, 0};
    rig_compare(RIG_RUN(r, scatter, got, index), scattered, 8, 0);
}

static void test_bad_index(void **state) {
    rig *r = *state;
    const double x[] = {1, 2, 3, 4, 5, 6}, index[] = {0, 3}, negative[] = {0, -1};
    lm_node *indices = rig_input_of(r, LM_I32, LM_SHAPE(2));
    lm_node *gather = lm_gather(r->graph, rig_input(r, LM_SHAPE(3, 2)), indices);
    double *out;
    CHECK_FAILS(rig_try(r, gather, (const double *const[]){x, index}, &out), LM_ARG);
    assert_string_equal(lm_message(), "index 1 is 3, outside 0 to 2");
    CHECK_FAILS(rig_try(r, gather, (const double *const[]){x, negative}, &out), LM_ARG);
}

/* Along each axis against the same matrix written densely. */
static void test_axismap(void **state) {
    rig *r = *state;
    static const int32_t row_start[] = {0, 2, 2, 5, 6}, col[] = {0, 2, 0, 1, 2, 1};
    static const float value[] = {0.5f, -1, 2, 0.25f, 3, 1};
    static const double dense[4][3] = {{0.5, 0, -1}, {0, 0, 0}, {2, 0.25, 3}, {0, 1, 0}};
    lm_sparse matrix = {4, 3, 6, row_start, col, value, NULL};
    const lm_sparse *kept = lm_sparse_intern(r->graph, &matrix);
    double *values = rig_random(r, 27);
    lm_shape shape = LM_SHAPE(3, 3, 3);
    lm_node *x = rig_input(r, shape);
    for (int axis = 0; axis < 3; axis++) {
        lm_node *node = lm_axismap(r->graph, x, axis, kept);
        double *got = RIG_RUN(r, node, values), *want = rig_zeros(r, 36);
        FOR3(node->shape, i, j, k) {
            int64_t to = at3(node->shape, i, j, k), row = axis == 0   ? i
                                                          : axis == 1 ? j
                                                                      : k;
            for (int64_t c = 0; c < 3; c++)
                want[to] +=
                    dense[row][c] * values[at3(shape, axis == 0 ? c : i,
                                               axis == 1 ? c : j, axis == 2 ? c : k)];
        }
        rig_compare(got, want, 36, 1e-15);
    }
}

/* Every kind has a kernel, save the four that never make a step. */
static void test_all_kinds(void **state) {
    rig *r = *state;
    lm_node *square = rig_input(r, LM_SHAPE(1, 1));
    lm_node *src[] = {square, square, square};
    for (int kind = 0; kind < LM_KIND_COUNT; kind++) {
        lm_node fake = {.kind = kind, .shape = LM_SHAPE(1, 1), .label = "", .n_src = 3};
        fake.src = src;
        lm_node *node = &fake;
        lm_step step = {.nodes = &node, .n_nodes = 1, .out = &node, .n_out = 1};
        lm_kernel kernel;
        lm_status status = r->backend->lower(r->backend, &step, &kernel);
        bool none = kind == LM_KIND_PARAM || kind == LM_KIND_INPUT ||
                    kind == LM_KIND_CONST || kind == LM_KIND_CALL;
        if (status != (none ? LM_INTERNAL : LM_OK))
            fail_msg("%s: %s", lm_kind_get(kind)->text, lm_status_name(status));
    }
}

static void test_memory(void **state) {
    rig *r = *state;
    lm_backend *b = r->backend;
    assert_int_equal(b->element_size(LM_U8), 8);
    assert_false(b->clusters);
    double *memory = rig_zeros(r, 3);
    const float floats[] = {1.75f, -2.5f, 300};
    b->upload(b, memory, LM_F32, floats, LM_F32, 3);
    rig_compare(memory, (const double[]){1.75, -2.5, 300}, 3, 0);
    b->upload(b, memory, LM_U8, floats, LM_F32, 3);
    rig_compare(memory, (const double[]){1, 0, 255}, 3, 0);
    const uint32_t words[] = {0xffffffffu, 0x80000001u, 0};
    b->upload(b, memory, LM_U32, words, LM_U32, 3);
    uint32_t back[3];
    b->download(b, back, LM_U32, memory, LM_U32, 3);
    assert_memory_equal(back, words, sizeof words);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        RIG_TEST(test_moves),      RIG_TEST(test_broadcast),  RIG_TEST(test_concat),
        RIG_TEST(test_reductions), RIG_TEST(test_reduce_nan), RIG_TEST(test_argmax),
        RIG_TEST(test_cumsum),     RIG_TEST(test_topk),       RIG_TEST(test_rows),
        RIG_TEST(test_bad_index),  RIG_TEST(test_axismap),    RIG_TEST(test_all_kinds),
        RIG_TEST(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
