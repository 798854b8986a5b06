/* Printing: golden text with the attributes of every kind, and well-formed Graphviz. */
#include "graph/graph_internal.h"
#include "graph_tools.h"
#include <stdio.h>
#include <string.h>

static const char *print(const lm_graph *g, lm_str *out) {
    lm_str_clear(out);
    CHECK_OK(lm_print(g, out));
    return lm_str_text(out);
}

/* ---- one graph with every kind ----------------------------------------------- */

static const int32_t map_start[] = {0, 1, 2, 2}, map_col[] = {0, 1};
static const float map_value[] = {1, 1}, table[] = {1, 2, 3};
static const lm_sparse map = {3, 2, 2, map_start, map_col, map_value, NULL};

static void add_output(lm_graph *g, lm_node *node) {
    char name[8];
    int count;
    lm_graph_roots(g, &count);
    snprintf(name, sizeof name, "r%d", count % 1000);
    lm_graph_output(g, name, node);
}

static void add_spatial(lm_graph *g) {
    lm_node *x = input(g, "x", "f32[1,4,6,2]"), *w = input(g, "w", "f32[2,3,3,1]");
    lm_conv_attr conv = {.stride = {2, 1},
                         .dilation = {1, 2},
                         .pad_lo = {1, 2},
                         .pad_hi = {1, 2},
                         .groups = 2};
    lm_node *y = lm_conv(g, x, w, NULL, &conv);
    conv.size[0] = 4, conv.size[1] = 6;
    add_output(g, lm_conv_dgrad(g, y, w, &conv));
    conv.size[0] = conv.size[1] = 3;
    add_output(g, lm_conv_wgrad(g, x, y, &conv));
    lm_pool_attr pool = {
        .window = {2, 3}, .stride = {2, 2}, .pad_hi = {0, 1}, .size = {4, 6}};
    lm_node *index = lm_pool_argmax(g, x, &pool);
    lm_node *pooled = lm_pool_gather(g, x, index, &pool);
    add_output(g, lm_pool_scatter(g, pooled, index, &pool));
}

static void add_flat(lm_graph *g) {
    lm_node *a = input(g, "a", "f32[2,3]"), *i = lm_topk(g, a, 2);
    add_output(g, lm_matmul(g, a, a, true, false));
    add_output(g, lm_inv(g, lm_matmul(g, a, a, false, true)));
    add_output(g, lm_logabsdet(g, input(g, "q", "f32[2,2]")));
    add_output(g, lm_gather(g, a, lm_argmax(g, a, 1)));
    add_output(g, lm_scatter_add(g, lm_slice_axis(g, a, 1, 0, 2), i, 5));
    add_output(g, lm_axismap(g, a, 0, lm_sparse_intern(g, &map)));
    add_output(g, lm_cumsum(g, lm_cumsum(g, a, 0, false), 1, true));
    add_output(g, lm_reduce_max(g, lm_sum(g, a, 3, true), 2, true));
    add_output(g, lm_permute(g, lm_reverse(g, a, 2), (int[]){1, 0}));
    add_output(g, lm_slice(g, a, &(lm_slice_attr){{0, 0}, {2, 3}, {1, 2}}));
    add_output(g, lm_pad(g, a, &(lm_pad_attr){{1, 0}, {0, 2}, {0, 1}}));
    add_output(g, lm_concat(g, (lm_node *[]){a, a}, 2, 1));
    add_output(g, lm_allreduce_sum(g, lm_leaky_relu(g, a, 0.2)));
    lm_node *filled = lm_const_data(g, LM_F32, LM_SHAPE(3), table);
    add_output(g, lm_reshape(g, lm_broadcast(g, filled, LM_SHAPE(2, 3)), LM_SHAPE(6)));
    lm_node *columns = lm_iota(g, LM_I32, LM_SHAPE(2, 3), 1);
    add_output(g, lm_eq(g, columns, lm_const_full(g, LM_I32, LM_SHAPE(2, 3), 2)));
    add_output(g, lm_philox(g, input(g, "key", "u32[4]"), 4000000000u, LM_SHAPE(2)));
    lm_scope_push(g, "head");
    lm_call_attr stats = {.i = {3}, .f = {0.001f}};
    add_output(g, lm_call(g, LM_COMP_GROUP_STATS, &a, 1, &stats));
    lm_scope_pop(g);
    lm_node *p = lm_param(g, "ema", 7, LM_SHAPE(2, 3));
    lm_assign(g, p, a);
}

static const char golden[] =
    "%0 = input f32[1,4,6,2] 'x'\n"
    "%1 = input f32[2,3,3,1] 'w'\n"
    "%2 = conv f32[1,2,6,2] (%0, %1) stride 2x1 dilation 1x2 pad 1x2 groups 2\n"
    "%3 = conv_dgrad f32[1,4,6,2] (%2, %1) stride 2x1 dilation 1x2 pad 1x2 size 4x6 "
    "groups 2\n"
    "%4 = conv_wgrad f32[2,3,3,1] (%0, %2) stride 2x1 dilation 1x2 pad 1x2 size 3 groups "
    "2\n"
    "%5 = pool_argmax u8[1,2,3,2] (%0) window 2x3 stride 2 pad_hi 0x1\n"
    "%6 = pool_gather f32[1,2,3,2] (%0, %5) window 2x3 stride 2 pad_hi 0x1\n"
    "%7 = pool_scatter f32[1,4,6,2] (%6, %5) window 2x3 stride 2 pad_hi 0x1 size 4x6\n"
    "%8 = input f32[2,3] 'a'\n"
    "%9 = topk i32[2,2] (%8) k 2\n"
    "%10 = matmul f32[3,3] (%8, %8) ta\n"
    "%11 = matmul f32[2,2] (%8, %8) tb\n"
    "%12 = inv f32[2,2] (%11)\n"
    "%13 = input f32[2,2] 'q'\n"
    "%14 = logabsdet f32[1,1] (%13)\n"
    "%15 = argmax i32[2,1] (%8) axis 1\n"
    "%16 = gather f32[2,1,3] (%8, %15)\n"
    "%17 = slice f32[2,2] (%8) 0:2,0:2\n"
    "%18 = scatter_add f32[5] (%17, %9) rows 5\n"
    "%19 = axismap f32[3,3] (%8) axis 0 matrix 3x2 nnz 2\n"
    "%20 = cumsum f32[2,3] (%8) axis 0\n"
    "%21 = cumsum f32[2,3] (%20) axis 1 reverse\n"
    "%22 = reduce_sum f32[1,1] (%8) axes 0,1\n"
    "%23 = reduce_max f32[1,1] (%22) axes 1\n"
    "%24 = reverse f32[2,3] (%8) axes 1\n"
    "%25 = permute f32[3,2] (%24) axes 1,0\n"
    "%26 = slice f32[2,2] (%8) 0:2,0:3:2\n"
    "%27 = pad f32[3,7] (%8) 1:0,0:2:1\n"
    "%28 = concat f32[2,6] (%8, %8) axis 1\n"
    "%29 = leaky f32[2,3] (%8) 0.2\n"
    "%30 = allreduce_sum f32[2,3] (%29)\n"
    "%31 = const f32[3] table\n"
    "%32 = broadcast f32[2,3] (%31)\n"
    "%33 = reshape f32[6] (%32)\n"
    "%34 = iota i32[2,3] axis 1\n"
    "%35 = const i32[2,3] 2\n"
    "%36 = eq u8[2,3] (%34, %35)\n"
    "%37 = input u32[4] 'key'\n"
    "%38 = philox u32[2] (%37) stream 4000000000\n"
    "%39 = group_stats f32[2,3,2] (%8) i0=3 f0=0.001 ; head\n"
    "%40 = param f32[2,3] 'ema' at 7\n"
    "%41 = assign f32[2,3] (%40, %8)\n"
    "output 'r0' = %3\n"
    "output 'r1' = %4\n"
    "output 'r2' = %7\n"
    "output 'r3' = %10\n"
    "output 'r4' = %12\n"
    "output 'r5' = %14\n"
    "output 'r6' = %16\n"
    "output 'r7' = %18\n"
    "output 'r8' = %19\n"
    "output 'r9' = %21\n"
    "output 'r10' = %23\n"
    "output 'r11' = %25\n"
    "output 'r12' = %26\n"
    "output 'r13' = %27\n"
    "output 'r14' = %28\n"
    "output 'r15' = %30\n"
    "output 'r16' = %33\n"
    "output 'r17' = %36\n"
    "output 'r18' = %38\n"
    "output 'r19' = %39\n";

static void every_kind_prints_its_attributes(void **state) {
    lm_graph *g = new_graph();
    lm_str out = LM_STR_INIT;
    add_spatial(g);
    add_flat(g);
    CHECK_OK(lm_graph_status(g));
    CHECK_OK(lm_verify(g));
    bool seen[LM_KIND_COUNT] = {false};
    for (int id = 0; id < lm_graph_size(g); id++) seen[lm_graph_node(g, id)->kind] = true;
    for (int k = 0; k < LM_KIND_COUNT; k++)
        if (!seen[k]) fail_msg("no %s in this graph", lm_kind_get((lm_kind)k)->text);
    assert_string_equal(print(g, &out), golden);
    lm_str_release(&out);
    lm_graph_free(g);
}

static void only_what_the_roots_need_is_printed(void **state) {
    lm_graph *g = new_graph();
    lm_str out = LM_STR_INIT;
    assert_string_equal(print(g, &out), "");
    lm_node *x = input(g, "x", "f32[2]");
    lm_exp(g, x);
    lm_scope_push(g, "a.b");
    lm_graph_output(g, "y", lm_neg(g, x));
    assert_string_equal(print(g, &out), "%0 = input f32[2] 'x'\n"
                                        "%2 = neg f32[2] (%0) ; a.b\n"
                                        "output 'y' = %2\n");
    lm_str_release(&out);
    lm_graph_free(g);
}

static void one_node_has_a_line(void **state) {
    lm_graph *g = new_graph();
    lm_str out = LM_STR_INIT;
    lm_scope_push(g, "unet.in");
    lm_node *x = input(g, "x", "f32[1,2,2,3]"), *w = input(g, "w", "f32[4,1,1,3]");
    lm_node_text(lm_conv(g, x, w, NULL, &(lm_conv_attr){.groups = 1}), &out);
    assert_string_equal(lm_str_text(&out), "conv f32[1,2,2,4] stride 1 at unet.in");
    lm_str_clear(&out);
    lm_scope_pop(g);
    lm_node_text(lm_param(g, "w", 3, LM_SHAPE(2)), &out);
    assert_string_equal(lm_str_text(&out), "param f32[2] #0 at 3");
    lm_str_release(&out);
    lm_graph_free(g);
}

/* ---- Graphviz ---------------------------------------------------------------- */

static int count_of(const char *text, const char *part) {
    int count = 0;
    for (; (text = strstr(text, part)); text += strlen(part)) count++;
    return count;
}

/* A node and its edges for each needed node, an ellipse for each output. */
static void dot_has_every_node_and_edge(void **state) {
    lm_graph *g = new_graph();
    lm_str out = LM_STR_INIT;
    build_net(g);
    CHECK_OK(lm_print_dot(g, &out));
    const char *text = lm_str_text(&out);
    int nodes = lm_graph_size(g), edges = 0;
    for (int id = 0; id < nodes; id++) edges += lm_graph_node(g, id)->n_src;
    assert_int_equal(count_of(text, "fillcolor"), nodes); /* all are needed */
    assert_int_equal(count_of(text, "->"), edges + 1);
    assert_int_equal(count_of(text, "ellipse"), 1);
    assert_int_equal(count_of(text, "{"), count_of(text, "}"));
    assert_non_null(strstr(text, "label=\"conv f32[2,4,4,4] stride 1 pad 1\\n"
                                 "net.block.conv1\"];\n"));
    assert_string_equal(text + strlen(text) - 3, "\n}\n");
    lm_str_release(&out);
    lm_graph_free(g);
}

static void dot_escapes_quotes(void **state) {
    lm_graph *g = new_graph();
    lm_str out = LM_STR_INIT;
    lm_graph_output(g, "a\"b\\c", input(g, "d\"e", "f32[2]"));
    CHECK_OK(lm_print_dot(g, &out));
    assert_non_null(strstr(lm_str_text(&out), "label=\"a\\\"b\\\\c\""));
    assert_non_null(strstr(lm_str_text(&out), "'d\\\"e'\""));
    lm_str_release(&out);
    lm_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_prints_its_attributes),
        cmocka_unit_test(only_what_the_roots_need_is_printed),
        cmocka_unit_test(one_node_has_a_line),
        cmocka_unit_test(dot_has_every_node_and_edge),
        cmocka_unit_test(dot_escapes_quotes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
