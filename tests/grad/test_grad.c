/* What reverse mode leaves out, in which order it adds, and how it ends at kinks. */
#include "base/mem.h"
#include "exec/exec.h"
#include "graph/grad.h"
#include "testing.h"

#include <math.h>
#include <string.h>

typedef struct fixture {
    lm_graph *g;
    lm_node *x, *y; /* two inputs of shape [3,5] */
} fixture;

static int setup(void **state) {
    static fixture f;
    CHECK_OK(lm_graph_new(&f.g));
    f.x = lm_input(f.g, "x", LM_F32, LM_SHAPE(3, 5));
    f.y = lm_input(f.g, "y", LM_F32, LM_SHAPE(3, 5));
    *state = &f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    lm_graph_free(f->g);
    return 0;
}

static lm_node *grad_of(fixture *f, lm_node *y, lm_node *wrt) {
    lm_node *out = wrt;
    CHECK_OK(lm_grad(f->g, y, NULL, 1, &wrt, &out));
    return out;
}

/* ---- symbolic zeros ---------------------------------------------------------- */

/* The gradient by x is a symbolic zero and adds no node. */
static void expect_none(fixture *f, lm_node *y) {
    CHECK_OK(lm_graph_status(f->g));
    int before = lm_graph_size(f->g);
    assert_null(grad_of(f, y, f->x));
    assert_int_equal(lm_graph_size(f->g), before);
}

static void test_no_path(void **state) {
    fixture *f = *state;
    expect_none(f, f->y);
    expect_none(f, lm_exp(f->g, f->y));
    expect_none(f, lm_const(f->g, 3));
    lm_node *later = lm_exp(f->g, f->x), *out;
    CHECK_OK(lm_grad(f->g, f->y, NULL, 1, &later, &out));
    assert_null(out);
}

static void test_ends_of_gradients(void **state) {
    fixture *f = *state;
    lm_graph *g = f->g;
    expect_none(f, lm_stop_grad(g, lm_exp(g, f->x)));
    expect_none(f, lm_where(g, lm_lt(g, f->x, f->y), f->y, lm_exp(g, f->y)));
    lm_node *index = lm_reshape(g, lm_argmax(g, f->x, 0), LM_SHAPE(5));
    expect_none(f, lm_gather(g, lm_exp(g, f->y), index));
    expect_none(f, lm_cast(g, lm_cast(g, f->x, LM_I32), LM_F32));
}

/* x * stop_grad(x): one of two paths counts. */
static void test_stopped_path(void **state) {
    fixture *f = *state;
    lm_node *stopped = lm_stop_grad(f->g, f->x);
    lm_node *y = lm_mul(f->g, f->x, stopped), *out;
    CHECK_OK(lm_grad(f->g, y, f->y, 1, &f->x, &out));
    assert_ptr_equal(out, lm_mul(f->g, f->y, stopped));
}

static void test_leaky_has_no_second_derivative(void **state) {
    fixture *f = *state;
    expect_none(f, grad_of(f, lm_leaky_relu(f->g, f->x, 0.2), f->x));
    expect_none(f, grad_of(f, lm_relu(f->g, f->x), f->x));
    expect_none(f, grad_of(f, lm_ew1(f->g, LM_EW_ABS, f->x), f->x));
}

/* The third derivative of x^2 is no 0 * x^-1. */
static void test_powers_end(void **state) {
    fixture *f = *state;
    lm_node *square = lm_ew_value(f->g, LM_EW_POWC, f->x, 2);
    expect_none(f, grad_of(f, grad_of(f, square, f->x), f->x));
    lm_node *first = lm_ew_value(f->g, LM_EW_POWC, f->x, 1);
    expect_none(f, grad_of(f, first, f->x));
    assert_null(grad_of(f, lm_ew_value(f->g, LM_EW_POWC, f->x, 0), f->x));
}

static void test_integers_have_no_gradient(void **state) {
    fixture *f = *state;
    lm_node *index = lm_input(f->g, "index", LM_I32, LM_SHAPE(7));
    assert_null(grad_of(f, lm_gather(f->g, f->x, index), index));
}

/* ---- engine ------------------------------------------------------------------ */

static void test_value_itself(void **state) {
    fixture *f = *state;
    lm_node *out[3], *wrt[3] = {f->x, f->y, f->x};
    CHECK_OK(lm_grad(f->g, f->x, f->y, 3, wrt, out));
    assert_ptr_equal(out[0], f->y);
    assert_null(out[1]);
    assert_ptr_equal(out[2], f->y);
    assert_ptr_equal(grad_of(f, f->x, f->x), lm_const_like(f->g, 1, f->x));
}

/* A wanted node does not hide what lies behind it. */
static void test_inner_node(void **state) {
    fixture *f = *state;
    lm_node *h = lm_exp(f->g, f->x), *y = lm_mul(f->g, h, f->y);
    lm_node *out[2], *wrt[2] = {h, f->x};
    CHECK_OK(lm_grad(f->g, y, f->y, 2, wrt, out));
    assert_ptr_equal(out[0], lm_mul(f->g, f->y, f->y));
    assert_ptr_equal(out[1], lm_mul(f->g, out[0], h));
}

static void test_order_of_summation(void **state) {
    fixture *f = *state;
    lm_graph *g = f->g;
    lm_node *a = lm_exp(g, f->x), *b = lm_ew1(g, LM_EW_SIN, f->x);
    lm_node *c = lm_neg(g, f->x);
    lm_node *ys[3] = {c, a, b}, *out;
    CHECK_OK(lm_grad_many(g, 3, ys, (lm_node *[]){f->y, f->y, f->y}, 1, &f->x, &out));
    lm_node *first = lm_mul(g, f->y, a);
    lm_node *second = lm_mul(g, f->y, lm_ew1(g, LM_EW_COS, f->x));
    lm_node *sum = lm_add(g, lm_add(g, first, second), lm_neg(g, f->y));
    assert_ptr_equal(out, sum);
}

static void test_one_value_twice(void **state) {
    fixture *f = *state;
    lm_node *ys[2] = {f->x, f->x}, *seeds[2] = {f->y, NULL}, *out;
    CHECK_OK(lm_grad_many(f->g, 2, ys, seeds, 1, &f->x, &out));
    assert_ptr_equal(out, lm_add(f->g, f->y, lm_const_like(f->g, 1, f->x)));
}

static void test_labels(void **state) {
    fixture *f = *state;
    lm_scope_push(f->g, "net");
    lm_node *y = lm_exp(f->g, f->x);
    lm_scope_pop(f->g);
    lm_scope_push(f->g, "loss");
    lm_node *out;
    CHECK_OK(lm_grad(f->g, y, f->y, 1, &f->x, &out));
    assert_string_equal(out->label, "net'");
    CHECK_OK(
        lm_grad(f->g, out, lm_input(f->g, "z", LM_F32, LM_SHAPE(3, 5)), 1, &f->x, &out));
    assert_string_equal(out->label, "net'");
    lm_scope_pop(f->g);
}

static void test_wrong_arguments(void **state) {
    fixture *f = *state;
    lm_node *out = f->x, *none = NULL;
    CHECK_FAILS(lm_grad(f->g, NULL, NULL, 1, &f->x, &out), LM_ARG);
    assert_null(out);
    CHECK_FAILS(lm_grad(f->g, f->x, NULL, 1, &none, &out), LM_ARG);
    lm_node *seed = lm_const(f->g, 1);
    CHECK_FAILS(lm_grad(f->g, f->x, seed, 1, &f->x, &out), LM_SHAPE);
    assert_non_null(strstr(lm_message(), "expected f32[3,5]"));
}

static void test_integer_value(void **state) {
    fixture *f = *state;
    lm_node *out, *index = lm_argmax(f->g, f->x, 0);
    CHECK_FAILS(lm_grad(f->g, index, NULL, 1, &f->x, &out), LM_DTYPE);
}

static void test_failed_graph(void **state) {
    fixture *f = *state;
    lm_graph_fail(f->g, LM_MISMATCH, "layer: wrong width");
    lm_node *out = f->x;
    CHECK_FAILS(lm_grad(f->g, f->x, NULL, 1, &f->x, &out), LM_MISMATCH);
    assert_null(out);
}

/* Two orders over a composite without a rule, in a graph of its own. */
static lm_status differentiate_twice(void) {
    lm_graph *g;
    LM_TRY(lm_graph_new(&g));
    lm_scope_push(g, "net");
    lm_node *x = lm_input(g, "x", LM_F32, LM_SHAPE(2, 3, 4)), *dx = NULL, *ddx = NULL;
    lm_node *gamma = lm_input(g, "gamma", LM_F32, LM_SHAPE(4));
    lm_node *y = lm_softmax(g, lm_group_norm(g, x, gamma, gamma, 2, 1e-5, true));
    lm_scope_pop(g);
    lm_status status = lm_graph_status(g);
    if (status == LM_OK) status = lm_grad(g, y, NULL, 1, &x, &dx);
    if (status == LM_OK) status = lm_grad(g, dx, dx, 1, &x, &ddx);
    assert_true((status == LM_OK) == (ddx != NULL));
    lm_graph_free(g);
    return status;
}

static void test_out_of_memory(void **state) {
    int64_t blocks = lm_mem_get_stats().blocks, n = 1;
    for (;; n++) {
        lm_mem_fail_at(n, 0);
        lm_status status = differentiate_twice();
        lm_mem_fail_at(0, 0);
        assert_int_equal(lm_mem_get_stats().blocks, blocks);
        if (status == LM_OK) break;
        assert_int_equal(status, LM_NOMEM);
    }
    assert_true(n > 5);
}

/* ---- what it costs ----------------------------------------------------------- */

static int count_kind(fixture *f, int kind, int composite) {
    lm_node **nodes;
    int count, found = 0;
    CHECK_OK(lm_topological(f->g, &nodes, &count));
    for (int i = 0; i < count; i++)
        if ((int)nodes[i]->kind == kind)
            found += kind != LM_KIND_CALL || nodes[i]->attr.call.composite == composite;
    lm_free(nodes);
    return found;
}

/* First-order group norm: statistics once, one pass of sums, one that makes the gradient
 * by x with what comes through the statistics, no body. */
static void test_cost_of_group_norm(void **state) {
    fixture *f = *state;
    lm_graph *g = f->g;
    lm_node *x = lm_input(g, "image", LM_F32, LM_SHAPE(2, 3, 5, 6));
    lm_node *gamma = lm_param(g, "w", 0, LM_SHAPE(6));
    lm_node *beta = lm_param(g, "w", 6, LM_SHAPE(6));
    lm_node *y = lm_group_norm(g, x, gamma, beta, 3, 1e-5, true);
    lm_node *out[3], *wrt[3] = {x, gamma, beta};
    CHECK_OK(lm_grad(g, y, NULL, 3, wrt, out));
    for (int i = 0; i < 3; i++) lm_graph_output(g, (char[]){(char)('a' + i), 0}, out[i]);
    CHECK_OK(lm_verify(g));
    assert_int_equal(count_kind(f, LM_KIND_CALL, LM_COMP_GROUP_STATS), 1);
    assert_int_equal(count_kind(f, LM_KIND_CALL, LM_COMP_NORM_SUMS), 1);
    assert_int_equal(count_kind(f, LM_KIND_CALL, LM_COMP_NORM_GRAD), 1);
    assert_int_equal(count_kind(f, LM_KIND_CALL, LM_COMP_STATS_GRAD), 0);
    assert_int_equal(count_kind(f, LM_KIND_CALL, LM_COMP_NORM_ACT), 0);
    lm_node **nodes;
    int count;
    CHECK_OK(lm_topological(g, &nodes, &count));
    for (int i = 0; i < count; i++) /* reductions of the sums, over N, only */
        if (nodes[i]->kind == LM_KIND_REDUCE_SUM)
            assert_true(lm_shape_count(nodes[i]->src[0]->shape) <= 2 * 2 * 6);
    lm_free(nodes);
}

/* A gradient penalty on a piecewise linear critic: forward, data gradient, and for the
 * weights one weight gradient a layer and what leads there. Nothing goes back through the
 * first pass, whose second derivatives are symbolic zeros. */
static void test_cost_of_gradient_penalty(void **state) {
    fixture *f = *state;
    lm_graph *g = f->g;
    lm_conv_attr same = {.pad_lo = {1, 1}, .pad_hi = {1, 1}};
    lm_node *x = lm_input(g, "image", LM_F32, LM_SHAPE(2, 5, 5, 3)), *h = x, *w[2];
    for (int i = 0; i < 2; i++) {
        w[i] = lm_param(g, "w", 100 * i, LM_SHAPE(3, 3, 3, 3));
        h = lm_leaky_relu(g, lm_conv(g, h, w[i], NULL, &same), 0.2);
    }
    lm_node *slope, *dw[2];
    CHECK_OK(lm_grad(g, h, NULL, 1, &x, &slope));
    lm_node *penalty = lm_mean_all(g, lm_square(g, slope));
    CHECK_OK(lm_grad(g, penalty, NULL, 2, w, dw));
    lm_graph_output(g, "penalty", penalty);
    lm_graph_output(g, "first", dw[0]);
    lm_graph_output(g, "second", dw[1]);
    assert_int_equal(count_kind(f, LM_KIND_CONV_DGRAD, 0), 2);
    assert_int_equal(count_kind(f, LM_KIND_CONV_WGRAD, 0), 2);
    assert_int_equal(count_kind(f, LM_KIND_CONV, 0), 3); /* two forward, one back up */
}

/* ---- kinks ------------------------------------------------------------------- */

/* Values of the gradient of y by x, with x as given and y as the cotangent. */
static void run_gradient(fixture *f, lm_node *y, const double x[15], const double ct[15],
                         double gradient[15]) {
    lm_node *out;
    lm_engine *engine;
    lm_program *program;
    CHECK_OK(lm_grad(f->g, y, f->y, 1, &f->x, &out));
    lm_graph_output(f->g, "dx", out);
    CHECK_OK(lm_engine_new("ref", &engine));
    CHECK_OK(lm_compile(engine, f->g, NULL, &program));
    CHECK_OK(lm_program_set(program, "x", LM_F64, x, 15));
    CHECK_OK(lm_program_set(program, "y", LM_F64, ct, 15));
    CHECK_OK(lm_program_run(program));
    CHECK_OK(lm_program_get(program, "dx", LM_F64, gradient, 15));
    lm_program_free(program);
    lm_engine_free(engine);
}

static const double steps[15] = {-2, 0, 1, 3, 3, 0, 5, 5, -5, 5, 7, 7, 7, 7, 7};
static const double ct[15] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

static void expect_gradient(fixture *f, lm_node *y, const double want[15]) {
    double got[15];
    run_gradient(f, y, steps, ct, got);
    for (int i = 0; i < 15; i++) assert_float_equal(got[i], want[i], 1e-12);
}

static void test_max_shares_ties(void **state) {
    fixture *f = *state;
    lm_node *zero = lm_const_like(f->g, 0, f->x);
    expect_gradient(f, lm_max2(f->g, f->x, zero),
                    (double[15]){0, 1, 3, 4, 5, 3, 7, 8, 0, 10, 11, 12, 13, 14, 15});
}

static void test_min_shares_ties(void **state) {
    fixture *f = *state;
    lm_node *zero = lm_const_like(f->g, 0, f->x);
    expect_gradient(f, lm_min2(f->g, f->x, zero),
                    (double[15]){1, 1, 0, 0, 0, 3, 0, 0, 9});
}

static void test_both_operands_tie(void **state) {
    fixture *f = *state;
    expect_gradient(f, lm_max2(f->g, f->x, lm_add_scalar(f->g, f->x, 0)), ct);
}

static void test_reduce_max_shares_ties(void **state) {
    fixture *f = *state;
    lm_node *largest = lm_reduce_max(f->g, f->x, 1u << 1, true);
    lm_node *y = lm_broadcast(f->g, largest, f->x->shape);
    expect_gradient(f, y,
                    (double[15]){0, 0, 0, 7.5, 7.5, 0, 40 / 3.0, 40 / 3.0, 0, 40 / 3.0,
                                 13, 13, 13, 13, 13});
}

static void test_leaky_at_zero(void **state) {
    fixture *f = *state;
    expect_gradient(f, lm_leaky_relu(f->g, f->x, 0.5),
                    (double[15]){0.5, 1, 3, 4, 5, 3, 7, 8, 4.5, 10, 11, 12, 13, 14, 15});
}

static void test_abs_at_zero(void **state) {
    fixture *f = *state;
    expect_gradient(f, lm_ew1(f->g, LM_EW_ABS, f->x),
                    (double[15]){-1, 0, 3, 4, 5, 0, 7, 8, -9, 10, 11, 12, 13, 14, 15});
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_no_path),
        TEST(test_ends_of_gradients),
        TEST(test_stopped_path),
        TEST(test_leaky_has_no_second_derivative),
        TEST(test_powers_end),
        TEST(test_integers_have_no_gradient),
        TEST(test_value_itself),
        TEST(test_inner_node),
        TEST(test_order_of_summation),
        TEST(test_one_value_twice),
        TEST(test_labels),
        TEST(test_wrong_arguments),
        TEST(test_integer_value),
        TEST(test_failed_graph),
        TEST(test_out_of_memory),
        TEST(test_cost_of_group_norm),
        TEST(test_cost_of_gradient_penalty),
        TEST(test_max_shares_ties),
        TEST(test_min_shares_ties),
        TEST(test_both_operands_tie),
        TEST(test_reduce_max_shares_ties),
        TEST(test_leaky_at_zero),
        TEST(test_abs_at_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
