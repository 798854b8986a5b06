/* Every rule of the simplifier, as before and after; what must stay, stays. */
#include "base/mem.h"
#include "base/str.h"
#include "passes/passes.h"
#include "testing.h"
#include <string.h>

/* ---- a compact way to write nodes -------------------------------------------- */

static void write_node(const lm_node *node, lm_str *out) {
    char shape[LM_SHAPE_TEXT];
    if (node->kind == LM_KIND_INPUT) {
        lm_str_append(out, node->attr.name);
        return;
    }
    if (node->kind == LM_KIND_CONST && !node->attr.constant.data) {
        lm_str_printf(out, "%.9g", node->attr.constant.value);
        return;
    }
    lm_str_append(out, node->kind == LM_KIND_EW ? lm_ew_get(node->attr.ew.code)->text
                                                : lm_kind_get(node->kind)->text);
    if (node->kind == LM_KIND_MATMUL)
        lm_str_printf(out, "%d%d", node->attr.matmul.ta, node->attr.matmul.tb);
    if (node->kind != LM_KIND_EW) lm_str_append(out, lm_shape_text(node->shape, shape));
    lm_str_append(out, "(");
    for (int s = 0; s < node->n_src; s++) {
        if (s) lm_str_append(out, ",");
        write_node(node->src[s], out);
    }
    lm_str_append(out, ")");
}

/* ---- sources that need braces ------------------------------------------------ */

static lm_node *number(lm_graph *g, double value) {
    return lm_const_full(g, LM_F32, LM_SHAPE(2, 3), value);
}

static lm_node *mask(lm_graph *g, double value) {
    return lm_const_full(g, LM_U8, LM_SHAPE(2, 3), value);
}

static lm_node *permute3(lm_graph *g, lm_node *a, int p, int q, int r) {
    int perm[3] = {p, q, r};
    return lm_permute(g, a, perm);
}

static lm_node *reshape2(lm_graph *g, lm_node *a, int64_t p, int64_t q) {
    return lm_reshape(g, a, LM_SHAPE(p, q));
}

static lm_node *reshape3(lm_graph *g, lm_node *a, int64_t p, int64_t q, int64_t r) {
    return lm_reshape(g, a, LM_SHAPE(p, q, r));
}

static lm_node *repeat2(lm_graph *g, lm_node *a, int64_t p, int64_t q) {
    return lm_build(g, LM_KIND_BROADCAST, &a, 1, NULL, a->dtype, LM_SHAPE(p, q));
}

static lm_node *repeat3(lm_graph *g, lm_node *a, int64_t p, int64_t q, int64_t r) {
    return lm_broadcast(g, a, LM_SHAPE(p, q, r));
}

static lm_node *strided(lm_graph *g, lm_node *a, int32_t lo, int32_t hi, int32_t step) {
    lm_slice_attr slice = {{0, lo}, {2, hi}, {1, step}};
    return lm_slice(g, a, &slice);
}

static lm_node *pad(lm_graph *g, lm_node *a, int32_t lo, int32_t hi) {
    lm_pad_attr attr = {{0, lo}, {0, hi}, {0, 0}};
    return lm_pad(g, a, &attr);
}

static lm_node *pad_raw(lm_graph *g, lm_node *a) {
    lm_attr attr = {.pad = {{0}, {0}, {0}}};
    return lm_build(g, LM_KIND_PAD, &a, 1, &attr, a->dtype, a->shape);
}

static lm_node *join(lm_graph *g, lm_node *a, lm_node *b) {
    lm_node *parts[2] = {a, b};
    return lm_concat(g, parts, 2, 1);
}

static lm_node *one_part(lm_graph *g, lm_node *a) {
    lm_attr attr = {.axis = {.axis = 0}};
    return lm_build(g, LM_KIND_CONCAT, &a, 1, &attr, a->dtype, a->shape);
}

static lm_node *iota(lm_graph *g) {
    return lm_iota(g, LM_F32, LM_SHAPE(3), 0);
}

/* ---- the table --------------------------------------------------------------- */

/* X(name, before: of x, y f32[2,3] and s f32[3], u u8[2,3]; after) */
#define CASES(X)                                                                         \
    X(add_zero, lm_add(g, x, number(g, 0)), "x")                                         \
    X(zero_add, lm_add(g, number(g, 0), x), "x")                                         \
    X(sub_zero, lm_sub(g, x, number(g, 0)), "x")                                         \
    X(zero_sub, lm_sub(g, number(g, 0), x), "neg(x)")                                    \
    X(mul_one, lm_mul(g, x, number(g, 1)), "x")                                          \
    X(mul_minus_one, lm_mul(g, x, number(g, -1)), "neg(x)")                              \
    X(div_one, lm_div(g, x, number(g, 1)), "x")                                          \
    X(mul_zero_stays, lm_mul(g, x, number(g, 0)), "mul(x,0)")                            \
    X(sub_self_stays, lm_sub(g, x, x), "sub(x,x)")                                       \
    X(div_self_stays, lm_div(g, x, x), "div(x,x)")                                       \
    X(div_three_stays, lm_div(g, x, number(g, 3)), "div(x,3)")                           \
    X(div_eight, lm_div(g, x, number(g, 8)), "mul(x,0.125)")                             \
    X(neg_neg, lm_ew1(g, LM_EW_NEG, lm_ew1(g, LM_EW_NEG, x)), "x")                       \
    X(neg_sub, lm_ew1(g, LM_EW_NEG, lm_sub(g, x, y)), "sub(y,x)")                        \
    X(add_neg, lm_add(g, x, lm_ew1(g, LM_EW_NEG, y)), "sub(x,y)")                        \
    X(neg_add, lm_add(g, lm_ew1(g, LM_EW_NEG, x), y), "sub(y,x)")                        \
    X(sub_neg, lm_sub(g, x, lm_ew1(g, LM_EW_NEG, y)), "add(x,y)")                        \
    X(abs_neg, lm_ew1(g, LM_EW_ABS, lm_ew1(g, LM_EW_NEG, x)), "abs(x)")                  \
    X(abs_abs, lm_ew1(g, LM_EW_ABS, lm_ew1(g, LM_EW_ABS, x)), "abs(x)")                  \
    X(mul_negs, lm_mul(g, lm_ew1(g, LM_EW_NEG, x), lm_ew1(g, LM_EW_NEG, y)), "mul(x,y)") \
    X(factors, lm_mul(g, number(g, 3), lm_mul(g, x, number(g, 0.5))), "mul(x,1.5)")      \
    X(factors_cancel, lm_mul(g, number(g, 2), lm_mul(g, x, number(g, 0.5))), "x")        \
    X(factors_neg, lm_mul(g, lm_ew1(g, LM_EW_NEG, x), number(g, 2)), "mul(x,-2)")        \
    X(factors_underflow, lm_mul(g, lm_mul(g, x, number(g, 1e-30)), number(g, 1e-30)),    \
      "mul(mul(x,1e-30),1e-30)")                                                         \
    X(fold_add, lm_add(g, number(g, 1.5), number(g, 2)), "3.5")                          \
    X(fold_chain, lm_sqrt(g, lm_mul(g, number(g, 8), number(g, 2))), "4")                \
    X(fold_mask, lm_lt(g, number(g, 1), number(g, 2)), "1")                              \
    X(fold_cast, lm_cast(g, number(g, 2.75), LM_I32), "2")                               \
    X(fold_not_infinite, lm_div(g, number(g, 1), number(g, 0)), "div(1,0)")              \
    X(fold_not_nan, lm_log(g, number(g, -1)), "log(-1)")                                 \
    X(cast_same, lm_ew_value(g, LM_EW_STOP, x, 0), "x")                                  \
    X(cast_twice, lm_cast(g, lm_cast(g, u, LM_F32), LM_F32), "cast(u)")                  \
    X(power_one, lm_ew_value(g, LM_EW_POWC, x, 1), "x")                                  \
    X(where_true, lm_where(g, mask(g, 1), x, y), "x")                                    \
    X(where_false, lm_where(g, mask(g, 0), x, y), "y")                                   \
    X(where_same, lm_where(g, u, x, x), "x")                                             \
    X(fma_left, lm_add(g, lm_mul(g, x, y), x), "fma(x,y,x)")                             \
    X(fma_right, lm_add(g, x, lm_mul(g, x, y)), "fma(x,y,x)")                            \
    X(fma_not_twice, lm_add(g, lm_mul(g, x, y), lm_exp(g, lm_mul(g, x, y))),             \
      "add(mul(x,y),exp(mul(x,y)))")                                                     \
    X(hoist, lm_mul(g, repeat2(g, s, 2, 3), number(g, 3)), "broadcast[2,3](mul(s,3))")   \
    X(hoist_two, lm_add(g, repeat2(g, s, 2, 3), repeat2(g, lm_exp(g, s), 2, 3)),         \
      "broadcast[2,3](add(s,exp(s)))")                                                   \
    X(broadcast_number, repeat2(g, lm_const(g, 2), 2, 3), "2")                           \
    X(broadcast_chain, repeat3(g, repeat2(g, s, 2, 3), 4, 2, 3), "broadcast[4,2,3](s)")  \
    X(broadcast_led, repeat3(g, reshape2(g, s, 1, 3), 4, 2, 3), "broadcast[4,2,3](s)")   \
    X(broadcast_nothing, repeat3(g, x, 1, 2, 3), "reshape[1,2,3](x)")                    \
    X(broadcast_iota, repeat2(g, iota(g), 2, 3), "iota[2,3]()")                          \
    X(reshape_chain, reshape2(g, reshape3(g, x, 1, 3, 2), 6, 1), "reshape[6,1](x)")      \
    X(reshape_back, reshape2(g, reshape3(g, x, 1, 3, 2), 2, 3), "x")                     \
    X(reshape_number, reshape2(g, number(g, 7), 3, 2), "7")                              \
    X(permute_chain, lm_transpose(g, lm_transpose(g, x)), "x")                           \
    X(permute_compose,                                                                   \
      permute3(g, permute3(g, repeat3(g, x, 4, 2, 3), 1, 2, 0), 1, 2, 0),                \
      "permute[3,4,2](broadcast[4,2,3](x))")                                             \
    X(permute_ones, permute3(g, reshape3(g, x, 2, 1, 3), 1, 0, 2), "reshape[1,2,3](x)")  \
    X(reverse_twice, lm_reverse(g, lm_reverse(g, x, 3), 1), "reverse[2,3](x)")           \
    X(reverse_back, lm_reverse(g, lm_reverse(g, x, 3), 3), "x")                          \
    X(slice_slice, strided(g, strided(g, join(g, x, y), 0, 6, 2), 1, 3, 1),              \
      "slice[2,2](concat[2,6](x,y))")                                                    \
    X(slice_part, strided(g, join(g, x, y), 4, 6, 1), "slice[2,2](y)")                   \
    X(slice_whole_part, strided(g, join(g, x, y), 3, 6, 1), "y")                         \
    X(slice_both_parts, strided(g, join(g, x, y), 2, 4, 1),                              \
      "slice[2,2](concat[2,6](x,y))")                                                    \
    X(slice_data, strided(g, pad(g, x, 1, 1), 1, 4, 1), "x")                             \
    X(slice_zeros, strided(g, pad(g, x, 2, 1), 0, 2, 1), "0")                            \
    X(slice_mixed, strided(g, pad(g, x, 1, 1), 0, 2, 1), "slice[2,2](pad[2,5](x))")      \
    X(slice_number, strided(g, number(g, 4), 1, 2, 1), "4")                              \
    X(pad_nothing, pad_raw(g, x), "x")                                                   \
    X(pad_pad, pad(g, pad(g, x, 1, 0), 0, 2), "pad[2,6](x)")                             \
    X(pad_zero, pad(g, number(g, 0), 1, 1), "0")                                         \
    X(pads_join, lm_add(g, pad(g, x, 0, 3), pad(g, y, 3, 0)), "concat[2,6](x,y)")        \
    X(pads_join_swapped, lm_add(g, pad(g, x, 3, 0), pad(g, y, 0, 3)),                    \
      "concat[2,6](y,x)")                                                                \
    X(pads_join_inside, lm_add(g, pad(g, x, 1, 4), pad(g, y, 4, 1)),                     \
      "pad[2,8](concat[2,6](x,y))")                                                      \
    X(pads_three,                                                                        \
      lm_add(g, lm_add(g, pad(g, x, 0, 6), pad(g, y, 3, 3)), pad(g, x, 6, 0)),           \
      "concat[2,9](x,y,x)")                                                              \
    X(pads_overlap, lm_add(g, pad(g, x, 0, 2), pad(g, y, 2, 0)),                         \
      "add(pad[2,5](x),pad[2,5](y))")                                                    \
    X(pads_gap, lm_add(g, pad(g, x, 0, 4), pad(g, y, 4, 0)),                             \
      "add(pad[2,7](x),pad[2,7](y))")                                                    \
    X(concat_one, one_part(g, x), "x")                                                   \
    X(concat_flat, join(g, join(g, x, y), x), "concat[2,9](x,y,x)")                      \
    X(concat_slices, join(g, strided(g, x, 0, 1, 1), strided(g, x, 1, 3, 1)), "x")       \
    X(concat_other_order, join(g, strided(g, x, 1, 3, 1), strided(g, x, 0, 1, 1)),       \
      "concat[2,3](slice[2,2](x),slice[2,1](x))")                                        \
    X(concat_number, join(g, number(g, 5), number(g, 5)), "5")                           \
    X(sum_number, lm_sum(g, number(g, 2), 1, true), "4")                                 \
    X(sum_broadcast, lm_sum(g, repeat2(g, s, 2, 3), 1, true), "mul(reshape[1,3](s),2)")  \
    X(sum_part_broadcast, lm_sum(g, repeat2(g, s, 2, 3), 3, true),                       \
      "mul(reduce_sum[1,1](reshape[1,3](s)),2)")                                         \
    X(sum_sum, lm_sum(g, lm_sum(g, x, 1, true), 2, true), "reduce_sum[1,1](x)")          \
    X(sum_nothing, lm_sum(g, reshape3(g, x, 2, 1, 3), 2, true), "reshape[2,1,3](x)")     \
    X(max_number, lm_reduce_max(g, number(g, 2), 3, true), "2")                          \
    X(matmul_left, lm_matmul(g, lm_transpose(g, x), y, false, false),                    \
      "matmul10[3,3](x,y)")                                                              \
    X(matmul_right, lm_matmul(g, x, lm_transpose(g, y), false, false),                   \
      "matmul01[2,2](x,y)")

typedef struct simplify_case {
    const char *name, *after;
    lm_node *(*before)(lm_graph *g, lm_node *x, lm_node *y, lm_node *s, lm_node *u);
} simplify_case;

#define X(name, before, after)                                                           \
    static lm_node *name(lm_graph *g, lm_node *x, lm_node *y, lm_node *s, lm_node *u) {  \
        return before;                                                                   \
    }
CASES(X)
#undef X

static const simplify_case cases[] = {
#define X(name, before, after) {#name, after, name},
    CASES(X)
#undef X
};

static void check_case(const simplify_case *c) {
    lm_graph *graph, *simple;
    CHECK_OK(lm_graph_new(&graph));
    lm_node *x = lm_input(graph, "x", LM_F32, LM_SHAPE(2, 3));
    lm_node *y = lm_input(graph, "y", LM_F32, LM_SHAPE(2, 3));
    lm_node *s = lm_input(graph, "s", LM_F32, LM_SHAPE(3));
    lm_node *u = lm_input(graph, "u", LM_U8, LM_SHAPE(2, 3));
    lm_graph_output(graph, "result", c->before(graph, x, y, s, u));
    CHECK_OK(lm_graph_status(graph));
    CHECK_OK(lm_pass_simplify(graph, &simple));
    CHECK_OK(lm_verify(simple));

    int count;
    const lm_named_node *roots = lm_graph_roots(simple, &count);
    assert_int_equal(count, 1);
    lm_str got = LM_STR_INIT;
    write_node(roots[0].node, &got);
    if (strcmp(lm_str_text(&got), c->after) != 0)
        fail_msg("%s: got %s, wanted %s", c->name, lm_str_text(&got), c->after);
    lm_str_release(&got);

    /* What is simple stays as it is. */
    lm_graph *again;
    CHECK_OK(lm_pass_simplify(simple, &again));
    assert_int_equal(lm_graph_size(again) <= lm_graph_size(simple), true);
    write_node(lm_graph_roots(again, &count)[0].node, &got);
    assert_string_equal(lm_str_text(&got), c->after);
    lm_str_release(&got);
    lm_graph_free(again);
    lm_graph_free(simple);
    lm_graph_free(graph);
}

static void test_rules(void **state) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check_case(&cases[i]);
}

/* ---- the other passes -------------------------------------------------------- */

static void test_copy_drops_dead_code(void **state) {
    lm_graph *graph, *copy;
    CHECK_OK(lm_graph_new(&graph));
    lm_node *x = lm_input(graph, "x", LM_F32, LM_SHAPE(2, 3));
    lm_exp(graph, lm_tanh(graph, x));
    lm_graph_output(graph, "y", lm_neg(graph, x));
    CHECK_OK(lm_pass_copy(graph, &copy));
    assert_int_equal(lm_graph_size(graph), 4);
    assert_int_equal(lm_graph_size(copy), 2);
    lm_graph_free(copy);
    lm_graph_free(graph);
}

static bool keep_softmax(void *user, const lm_node *call) {
    ++*(int *)user;
    return call->attr.call.composite == LM_COMP_SOFTMAX;
}

static void test_inline_keeps_what_it_is_told(void **state) {
    lm_graph *graph, *inlined;
    CHECK_OK(lm_graph_new(&graph));
    lm_node *x = lm_input(graph, "x", LM_F32, LM_SHAPE(2, 3));
    lm_graph_output(graph, "p", lm_softmax(graph, x));
    lm_graph_output(graph, "z", lm_logsumexp(graph, x));
    int asked = 0;
    CHECK_OK(lm_pass_inline(graph, keep_softmax, &asked, &inlined));
    CHECK_OK(lm_verify(inlined));
    assert_true(asked >= 2);
    lm_node **nodes;
    int count, calls = 0;
    CHECK_OK(lm_topological(inlined, &nodes, &count));
    for (int i = 0; i < count; i++) calls += nodes[i]->kind == LM_KIND_CALL;
    assert_int_equal(calls, 1);
    lm_free(nodes);
    lm_graph_free(inlined);
    lm_graph_free(graph);
}

/* An output that is an assigned param becomes a copy, through every pass. */
static void test_outputs_keep_old_values(void **state) {
    lm_graph *graph, *copy;
    CHECK_OK(lm_graph_new(&graph));
    lm_node *p = lm_param(graph, "v", 4, LM_SHAPE(6));
    lm_node *other = lm_param(graph, "v", 10, LM_SHAPE(6));
    lm_graph_output(graph, "old", lm_reshape(graph, p, LM_SHAPE(2, 3)));
    lm_graph_output(graph, "free", other);
    lm_assign(graph, p, lm_neg(graph, p));
    CHECK_OK(lm_pass_simplify(graph, &copy));
    int count;
    const lm_named_node *roots = lm_graph_roots(copy, &count);
    assert_int_equal(count, 3);
    assert_int_equal(roots[0].node->kind, LM_KIND_EW);
    assert_int_equal(roots[1].node->kind, LM_KIND_PARAM);
    lm_graph_free(copy);
    lm_graph_free(graph);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_copy_drops_dead_code),
        cmocka_unit_test(test_inline_keeps_what_it_is_told),
        cmocka_unit_test(test_outputs_keep_old_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
