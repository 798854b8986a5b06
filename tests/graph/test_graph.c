/* Life of a graph: hash-consing, scopes, failures, roots, rebuilding. */
#include "base/mem.h"
#include "graph_tools.h"
#include <string.h>

/* ---- identity ---------------------------------------------------------------- */

static void equal_nodes_are_one(void **state) {
    lm_graph *g = new_graph();
    lm_node *x = input(g, "x", "f32[2,3]"), *y = input(g, "y", "f32[2,3]");
    assert_ptr_equal(input(g, "x", "f32[2,3]"), x);
    assert_ptr_not_equal(x, y);
    assert_ptr_equal(lm_add(g, x, y), lm_add(g, x, y));
    assert_ptr_not_equal(lm_add(g, x, y), lm_add(g, y, x));
    assert_ptr_equal(lm_const(g, 0.1), lm_const(g, 0.1));
    assert_ptr_not_equal(lm_const(g, 0.0), lm_const(g, -0.0));
    assert_ptr_not_equal(lm_leaky_relu(g, x, 0.1), lm_leaky_relu(g, x, 0.2));
    assert_ptr_not_equal(lm_cast(g, x, LM_I32), lm_cast(g, x, LM_U8));
    assert_ptr_not_equal(lm_reshape(g, x, LM_SHAPE(3, 2)), lm_reshape(g, x, LM_SHAPE(6)));
    assert_ptr_equal(lm_param(g, "w", 5, LM_SHAPE(2)), lm_param(g, "w", 5, LM_SHAPE(2)));
    assert_ptr_not_equal(lm_param(g, "w", 5, LM_SHAPE(2)),
                         lm_param(g, "v", 5, LM_SHAPE(2)));
    CHECK_OK(lm_graph_status(g));
    lm_graph_free(g);
}

/* Bytes of the union beyond the kind's own fields do not count, nor does a value that the
 * code does not read. */
static void unused_attributes_do_not_count(void **state) {
    lm_graph *g = new_graph();
    lm_node *x = input(g, "x", "f32[2,3]");
    lm_attr dirty;
    memset(&dirty, 0xa5, sizeof dirty);
    dirty.ew.code = LM_EW_EXP;
    lm_node *y = lm_build(g, LM_KIND_EW, &x, 1, &dirty, LM_F32, LM_SCALAR);
    assert_ptr_equal(y, lm_exp(g, x));
    memset(&dirty, 0x5a, sizeof dirty);
    dirty.param.var = 0;
    dirty.param.offset = 3;
    lm_node *p = lm_param(g, "w", 3, LM_SHAPE(2));
    assert_ptr_equal(lm_build(g, LM_KIND_PARAM, NULL, 0, &dirty, LM_F32, LM_SHAPE(2)), p);
    CHECK_OK(lm_graph_status(g));
    lm_graph_free(g);
}

static void names_and_tables_are_copied(void **state) {
    lm_graph *g = new_graph();
    char name[] = "image";
    float table[] = {1, 2, 3};
    lm_node *x = lm_input(g, name, LM_F32, LM_SHAPE(3));
    lm_node *c = lm_const_data(g, LM_F32, LM_SHAPE(3), table);
    memset(name, '?', sizeof name - 1);
    table[0] = 9;
    assert_string_equal(x->attr.name, "image");
    assert_float_equal(((const float *)c->attr.constant.data)[0], 1, 0);
    assert_ptr_not_equal(lm_const_data(g, LM_F32, LM_SHAPE(3), table), c);
    table[0] = 1;
    assert_ptr_equal(lm_const_data(g, LM_F32, LM_SHAPE(3), table), c);
    assert_ptr_not_equal(lm_const_data(g, LM_F32, LM_SHAPE(1, 3), table), c);
    CHECK_OK(lm_graph_status(g));
    lm_graph_free(g);
}

/* Enough nodes that every table grows several times. */
static void many_nodes_keep_their_identity(void **state) {
    enum { COUNT = 5000 };
    lm_graph *g = new_graph();
    lm_node *x = input(g, "x", "f32[1]");
    for (int i = 0; i < COUNT; i++) lm_ew_value(g, LM_EW_POWC, x, i);
    assert_int_equal(lm_graph_size(g), COUNT + 1);
    for (int i = 0; i < COUNT; i++) {
        lm_node *again = lm_ew_value(g, LM_EW_POWC, x, i);
        assert_int_equal(again->id, i + 1);
        assert_ptr_equal(lm_graph_node(g, i + 1), again);
    }
    assert_int_equal(lm_graph_size(g), COUNT + 1);
    lm_graph_free(g);
}

/* What changes nothing is not built. */
static void identities_are_not_built(void **state) {
    lm_graph *g = new_graph();
    lm_node *x = input(g, "x", "f32[2,1,3]");
    assert_ptr_equal(lm_reshape(g, x, LM_SHAPE(2, 1, 3)), x);
    assert_ptr_equal(lm_broadcast(g, x, LM_SHAPE(2, 1, 3)), x);
    assert_ptr_equal(lm_permute(g, x, (int[]){0, 1, 2}), x);
    assert_ptr_equal(lm_slice_axis(g, x, -1, 0, 3), x);
    assert_ptr_equal(lm_pad(g, x, &(lm_pad_attr){.interior = {0, 5, 0}}), x);
    assert_ptr_equal(lm_concat(g, &x, 1, 2), x);
    assert_ptr_equal(lm_reverse(g, x, 1u << 1), x);
    assert_ptr_equal(lm_sum(g, x, 0, true), x);
    assert_ptr_equal(lm_sum(g, x, 1u << 1, true), x);
    assert_ptr_equal(lm_sum_to(g, x, x->shape), x);
    assert_ptr_equal(lm_cast(g, x, LM_F32), x);
    assert_ptr_equal(lm_stop_grad(g, x)->src[0], x); /* but this one is */
    assert_int_equal(lm_graph_size(g), 2);
    lm_graph_free(g);
}

static void equal_slices_have_one_form(void **state) {
    lm_graph *g = new_graph();
    lm_node *x = input(g, "x", "f32[9]");
    lm_node *a = lm_slice(g, x, &(lm_slice_attr){{1}, {7}, {3}});
    lm_node *b = lm_slice(g, x, &(lm_slice_attr){{1}, {5}, {3}});
    assert_ptr_equal(a, b);
    assert_int_equal(a->shape.dim[0], 2);
    assert_int_equal(lm_slice(g, x, &(lm_slice_attr){{1}, {8}, {3}})->shape.dim[0], 3);
    lm_graph_free(g);
}

/* ---- formulas that choose a form --------------------------------------------- */

static void operands_broadcast(void **state) {
    lm_graph *g = new_graph();
    char text[128];
    lm_node *a = input(g, "a", "f32[5,1,3]"), *b = input(g, "b", "f32[7,1]");
    lm_node *y = lm_add(g, a, b);
    assert_string_equal(type_text(y, text), "f32[5,7,3]");
    assert_int_equal(y->src[0]->kind, LM_KIND_BROADCAST);
    assert_int_equal(y->src[1]->kind, LM_KIND_BROADCAST);
    lm_node *mask = input(g, "m", "u8[3]");
    assert_string_equal(type_text(lm_where(g, mask, a, b), text), "f32[5,7,3]");
    assert_string_equal(type_text(lm_lt(g, b, a), text), "u8[5,7,3]");
    /* A filled tensor is one constant, not a broadcast. */
    lm_node *filled = lm_mul(g, a, lm_const(g, 2))->src[1];
    assert_ptr_equal(filled, lm_const_like(g, 2, a));
    assert_string_equal(type_text(lm_sum_to(g, y, b->shape), text), "f32[7,1]");
    assert_string_equal(type_text(lm_sum_to(g, y, LM_SCALAR), text), "f32[]");
    CHECK_OK(lm_graph_status(g));
    lm_graph_free(g);
}

static void sums_go_run_by_run(void **state) {
    lm_graph *g = new_graph();
    char text[128];
    lm_node *x = input(g, "x", "f32[2,3,5,1,7]");
    lm_node *y = lm_sum(g, x, 1u << 0 | 1u << 2 | 1u << 3 | 1u << 4, true);
    assert_string_equal(type_text(y, text), "f32[1,3,1,1,1]");
    assert_int_equal(y->attr.axes, 1u << 0);
    assert_int_equal(y->src[0]->attr.axes, 7u << 2);
    assert_ptr_equal(y->src[0]->src[0], x);
    assert_string_equal(type_text(lm_sum(g, x, 1u << 1 | 1u << 4, false), text),
                        "f32[2,5,1]");
    assert_string_equal(type_text(lm_mean_all(g, x), text), "f32[]");
    assert_string_equal(type_text(lm_reduce_max(g, x, 1u << 0 | 1u << 2, false), text),
                        "f32[3,1,7]");
    lm_node *mean = lm_mean(g, x, 1u << 4, true);
    assert_float_equal(mean->src[1]->attr.constant.value, 1.0 / 7, 1e-15);
    CHECK_OK(lm_graph_status(g));
    lm_graph_free(g);
}

/* ---- scopes and failures ----------------------------------------------------- */

static void scopes_make_labels(void **state) {
    lm_graph *g = new_graph();
    lm_node *outside = input(g, "x", "f32[2]");
    lm_scope_push(g, "unet");
    lm_scope_push(g, "down.%d", 0);
    assert_string_equal(lm_scope_path(g), "unet.down.0");
    lm_node *inner = lm_exp(g, outside);
    lm_scope_push(g, "%s", "");
    assert_string_equal(lm_scope_path(g), "unet.down.0");
    lm_scope_pop(g);
    lm_scope_pop(g);
    lm_node *again = lm_exp(g, outside), *other = lm_neg(g, outside);
    lm_scope_pop(g);
    assert_string_equal(lm_scope_path(g), "");
    assert_string_equal(outside->label, "");
    assert_ptr_equal(again, inner); /* the label of the first stays */
    assert_string_equal(inner->label, "unet.down.0");
    assert_string_equal(other->label, "unet");
    lm_graph_free(g);
}

static void scopes_stay_balanced_after_a_failure(void **state) {
    lm_graph *g = new_graph();
    lm_scope_push(g, "a");
    lm_graph_fail(g, LM_ARG, "wrong %s", "option");
    lm_scope_push(g, "b");
    lm_scope_push(g, "c");
    lm_scope_pop(g);
    lm_scope_pop(g);
    assert_string_equal(lm_scope_path(g), "a");
    lm_scope_pop(g);
    assert_string_equal(lm_scope_path(g), "");
    CHECK_MESSAGE(g, LM_ARG, "a: wrong option");
}

static void the_first_failure_stays(void **state) {
    lm_graph *g = new_graph();
    lm_node *x = input(g, "x", "f32[2,3]");
    lm_scope_push(g, "enc");
    assert_null(lm_matmul(g, x, x, false, false));
    lm_scope_pop(g);
    assert_null(lm_reshape(g, x, LM_SHAPE(5)));
    assert_null(lm_graph_fail(g, LM_IO, "later"));
    assert_null(lm_exp(g, x)); /* nothing is built any more */
    lm_message_clear();
    CHECK_MESSAGE(g, LM_SHAPE,
                  "enc: matmul: a has inner size 3, b has 2 (a f32[2,3], b f32[2,3])");
}

static void null_goes_through(void **state) {
    lm_graph *g = new_graph();
    lm_node *x = input(g, "x", "f32[1,2,2,1]"), *none = NULL;
    lm_shape s = x->shape;
    lm_conv_attr conv = {.size = {2, 2}};
    lm_pool_attr pool = {.window = {1, 1}, .stride = {1, 1}, .size = {2, 2}};
    lm_node *results[] = {lm_ew1(g, LM_EW_EXP, none),
                          lm_add(g, x, none),
                          lm_sub(g, none, x),
                          lm_ew3(g, LM_EW_FMA, x, x, none),
                          lm_where(g, none, x, x),
                          lm_scale(g, none, 2),
                          lm_add_scalar(g, none, 2),
                          lm_silu(g, none),
                          lm_gelu(g, none),
                          lm_clamp(g, none, 0, 1),
                          lm_cast(g, none, LM_U8),
                          lm_const_like(g, 1, none),
                          lm_broadcast(g, none, s),
                          lm_reshape(g, none, s),
                          lm_permute(g, none, NULL),
                          lm_transpose(g, none),
                          lm_slice(g, none, NULL),
                          lm_slice_axis(g, none, 0, 0, 1),
                          lm_pad(g, none, NULL),
                          lm_concat(g, (lm_node *[]){x, none}, 2, 0),
                          lm_reverse(g, none, 1),
                          lm_sum(g, none, 1, true),
                          lm_mean(g, none, 1, true),
                          lm_reduce_max(g, none, 1, true),
                          lm_sum_all(g, none),
                          lm_mean_all(g, none),
                          lm_sum_to(g, none, s),
                          lm_argmax(g, none, 0),
                          lm_cumsum(g, none, 0, false),
                          lm_topk(g, none, 1),
                          lm_matmul(g, x, none, false, false),
                          lm_conv(g, x, none, NULL, &conv),
                          lm_conv_dgrad(g, none, x, &conv),
                          lm_conv_wgrad(g, x, none, &conv),
                          lm_inv(g, none),
                          lm_logabsdet(g, none),
                          lm_gather(g, x, none),
                          lm_scatter_add(g, none, x, 1),
                          lm_axismap(g, none, 0, NULL),
                          lm_axismap(g, x, 0, NULL),
                          lm_maxpool(g, none, &pool),
                          lm_pool_scatter(g, none, none, &pool),
                          lm_philox(g, none, 0, s),
                          lm_uniform(g, none, 0, s),
                          lm_normal(g, none, 0, s),
                          lm_allreduce_sum(g, none),
                          lm_group_norm(g, x, none, x, 1, 0, true),
                          lm_softmax(g, none),
                          lm_logsumexp(g, none),
                          lm_attention(g, none, x, x, 1, 1),
                          lm_softmax_xent(g, x, none),
                          lm_call_body(g, none)};
    for (size_t i = 0; i < sizeof results / sizeof *results; i++)
        if (results[i]) fail_msg("result %zu is not NULL", i);
    lm_assign(g, none, x);
    CHECK_OK(lm_graph_status(g)); /* and leaves no failure of its own */
    lm_graph_output(g, "y", none);
    CHECK_MESSAGE(g, LM_ARG, "output 'y': the node is missing");
}

static void bad_arguments_name_themselves(void **state) {
    lm_graph *g = new_graph();
    input(g, "x", "f32[2]");
    input(g, "x", "f32[3]");
    CHECK_MESSAGE(g, LM_SHAPE, "input: 'x' is f32[2] and cannot be f32[3] as well");
    g = new_graph();
    lm_slice_axis(g, input(g, "x", "f32[2,3]"), 1, 1, 4);
    CHECK_MESSAGE(g, LM_SHAPE, "slice: 1:4 of 3 on axis 1");
    g = new_graph();
    lm_slice_axis(g, input(g, "x", "f32[2,3]"), -3, 0, 1);
    CHECK_MESSAGE(g, LM_SHAPE, "slice: no axis -3 (a f32[2,3])");
    g = new_graph();
    lm_sum(g, input(g, "x", "f32[2,3]"), 1u << 2, true);
    CHECK_MESSAGE(g, LM_SHAPE, "reduce_sum: no axes 0x4 (a f32[2,3])");
    g = new_graph();
    lm_sum_to(g, input(g, "x", "f32[2,3]"), LM_SHAPE(2));
    CHECK_MESSAGE(g, LM_SHAPE,
                  "reshape: does not have the 2 elements of [2] (a f32[1,3])");
    g = new_graph();
    lm_graph_output(g, "y", lm_const(g, 1));
    lm_graph_output(g, "y", lm_const(g, 2));
    CHECK_MESSAGE(g, LM_ARG, "output 'y' is declared twice");
    lm_graph *other = new_graph();
    lm_node *foreign = input(other, "x", "f32[2]");
    g = new_graph();
    lm_exp(g, foreign);
    CHECK_MESSAGE(g, LM_ARG, "ew: source 0 belongs to another graph");
    lm_graph_free(other);
}

/* ---- roots ------------------------------------------------------------------- */

static void outputs_come_before_assigns(void **state) {
    lm_graph *g = new_graph();
    lm_node *p = lm_param(g, "w", 0, LM_SHAPE(2)), *q = lm_neg(g, p);
    lm_graph_output(g, "first", p);
    lm_assign(g, p, q);
    lm_assign(g, p, q); /* the same: once */
    lm_graph_output(g, "second", q);
    int count;
    const lm_named_node *roots = lm_graph_roots(g, &count);
    assert_int_equal(count, 3);
    assert_string_equal(roots[0].name, "first");
    assert_string_equal(roots[1].name, "second");
    assert_string_equal(roots[2].name, "");
    assert_int_equal(roots[2].node->kind, LM_KIND_ASSIGN);
    lm_named_node turned[] = {roots[2], roots[1]};
    CHECK_OK(lm_graph_set_roots(g, turned, 2));
    roots = lm_graph_roots(g, &count);
    assert_int_equal(count, 2);
    assert_string_equal(roots[0].name, "second");
    CHECK_OK(lm_graph_set_roots(g, roots, 1)); /* its own list */
    lm_graph_roots(g, &count);
    assert_int_equal(count, 1);
    CHECK_OK(lm_verify(g));
    lm_graph_free(g);
}

static void only_needed_nodes_are_listed(void **state) {
    lm_graph *g = new_graph();
    lm_node *x = input(g, "x", "f32[2]"), *dead = lm_exp(g, x);
    lm_node *y = lm_neg(g, x), *late = lm_exp(g, dead);
    lm_graph_output(g, "y", lm_add(g, y, y));
    lm_node **nodes;
    int count;
    CHECK_OK(lm_topological(g, &nodes, &count));
    assert_int_equal(count, 3);
    assert_ptr_equal(nodes[0], x);
    assert_ptr_equal(nodes[1], y);
    assert_ptr_not_equal(nodes[2], late);
    lm_free(nodes);
    lm_graph_free(g);
    g = new_graph();
    CHECK_OK(lm_topological(g, &nodes, &count)); /* nothing at all */
    assert_int_equal(count, 0);
    lm_free(nodes);
    lm_graph_free(g);
}

/* ---- rebuilding -------------------------------------------------------------- */

/* Copies what the roots need; returns the printed text of the copy. */
static void copy_graph(const lm_graph *from, lm_graph *to) {
    lm_node **nodes, **map, *src[8];
    int count, n_roots;
    CHECK_OK(lm_topological(from, &nodes, &count));
    map = lm_calloc((size_t)lm_graph_size(from), sizeof *map);
    for (int i = 0; i < count; i++) {
        for (int s = 0; s < nodes[i]->n_src; s++) src[s] = map[nodes[i]->src[s]->id];
        map[nodes[i]->id] = lm_rebuild(to, from, nodes[i], src);
    }
    const lm_named_node *roots = lm_graph_roots(from, &n_roots);
    lm_named_node *mapped = lm_calloc((size_t)n_roots, sizeof *mapped);
    for (int i = 0; i < n_roots; i++)
        mapped[i] = (lm_named_node){roots[i].name, map[roots[i].node->id]};
    CHECK_OK(lm_graph_set_roots(to, mapped, n_roots));
    lm_free(mapped);
    lm_free(map);
    lm_free(nodes);
}

static char *printed(const lm_graph *g) {
    lm_str out = LM_STR_INIT;
    CHECK_OK(lm_print(g, &out));
    char *text = lm_strdup(lm_str_text(&out));
    lm_str_release(&out);
    return text;
}

/* The copy outlives the original, although the variables of the target have other numbers
 * and there was something in it before. */
static void rebuilding_crosses_graphs(void **state) {
    lm_graph *a = new_graph(), *b = new_graph(), *c = new_graph();
    build_net(a);
    lm_graph *dense = new_graph();
    copy_graph(a, dense); /* without dead nodes, so that ids agree from here on */
    lm_graph_free(a);
    char *before = printed(dense);
    lm_param(b, "other", 0, LM_SHAPE(3));
    copy_graph(dense, b);
    lm_graph_free(dense);
    CHECK_OK(lm_verify(b));
    assert_string_equal(lm_graph_var_name(b, 0), "other");
    assert_string_equal(lm_graph_var_name(b, 1), "weights");
    copy_graph(b, c);
    lm_graph_free(b);
    CHECK_OK(lm_verify(c));
    assert_int_equal(lm_graph_var_count(c), 1);
    char *after = printed(c);
    assert_string_equal(before, after);
    lm_free(before);
    lm_free(after);
    lm_graph_free(c);
}

static void rebuilding_in_place_finds_the_node(void **state) {
    lm_graph *g = new_graph();
    lm_scope_push(g, "first");
    lm_node *x = input(g, "x", "f32[2]"), *y = lm_exp(g, x);
    lm_scope_pop(g);
    assert_ptr_equal(lm_rebuild(g, g, y, &x), y);
    lm_node *z = lm_rebuild(g, g, y, &y);
    assert_string_equal(z->label, "first");
    assert_string_equal(lm_scope_path(g), "");
    lm_graph_free(g);
}

/* ---- sparse matrices --------------------------------------------------------- */

static void transposing_twice_gives_it_back(void **state) {
    /* 0 2 0 1
     * 0 0 0 0
     * 3 0 4 0 */
    const int32_t start[] = {0, 2, 2, 4}, col[] = {1, 3, 0, 2};
    const float value[] = {2, 1, 3, 4};
    lm_graph *g = new_graph();
    lm_sparse m = {3, 4, 4, start, col, value, NULL};
    const lm_sparse *kept = lm_sparse_intern(g, &m);
    assert_ptr_not_equal(kept, &m);
    assert_ptr_equal(lm_sparse_intern(g, &m), kept);
    const lm_sparse *t = lm_sparse_transpose(g, &m);
    assert_ptr_equal(lm_sparse_transpose(g, kept), t);
    assert_ptr_equal(t->transpose, kept);
    assert_ptr_equal(lm_sparse_transpose(g, t), kept);
    const int32_t t_start[] = {0, 1, 2, 3, 4}, t_col[] = {2, 0, 2, 0};
    const float t_value[] = {3, 2, 4, 1};
    assert_int_equal(t->rows, 4);
    assert_int_equal(t->cols, 3);
    assert_memory_equal(t->row_start, t_start, sizeof t_start);
    assert_memory_equal(t->col, t_col, sizeof t_col);
    assert_memory_equal(t->value, t_value, sizeof t_value);
    const lm_sparse same = {4, 3, 4, t_start, t_col, t_value, NULL};
    assert_ptr_equal(lm_sparse_intern(g, &same), t);
    const int32_t eye_start[] = {0, 1, 2}, eye_col[] = {0, 1};
    const float ones[] = {1, 1};
    const lm_sparse eye = {2, 2, 2, eye_start, eye_col, ones, NULL};
    assert_ptr_equal(lm_sparse_transpose(g, &eye), lm_sparse_intern(g, &eye));
    CHECK_OK(lm_graph_status(g));
    lm_graph_free(g);
}

static void bad_matrices_are_refused(void **state) {
    static const int32_t start[] = {0, 1, 2}, back[] = {0, 2, 1}, beyond[] = {0, 1, 3};
    static const int32_t col[] = {0, 1}, outside[] = {0, 2}, negative[] = {-1, 0};
    static const int32_t twice[] = {1, 1}, both[] = {0, 2, 2};
    static const float value[] = {1, 1};
    const struct {
        lm_sparse matrix;
        const char *message;
    } cases[] = {
        {{2, 2, 2, beyond, col, value, NULL},
         "sparse matrix: rows start at 0 and end at 3, expected 0 and 2"},
        {{2, 2, 1, back, col, value, NULL}, "sparse matrix: row 1 ends before it starts"},
        {{2, 2, 2, start, outside, value, NULL},
         "sparse matrix: row 1 has column 2 after -1, of 2 columns"},
        {{2, 2, 2, start, negative, value, NULL},
         "sparse matrix: row 0 has column -1 after -1, of 2 columns"},
        {{2, 2, 2, both, twice, value, NULL},
         "sparse matrix: row 0 has column 1 after 1, of 2 columns"},
        {{0, 2, 0, start, col, value, NULL}, "sparse matrix: 0 by 2 with 0 entries"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lm_graph *g = new_graph();
        assert_null(lm_sparse_intern(g, &cases[i].matrix));
        CHECK_MESSAGE(g, LM_ARG, cases[i].message);
    }
}

/* ---- memory ------------------------------------------------------------------ */

/* Every allocation of building fails once: no leak, a clean status. */
static void running_out_of_memory_is_clean(void **state) {
    int failures = 0;
    for (int64_t n = 1;; n++) {
        int64_t blocks = lm_mem_get_stats().blocks;
        lm_mem_fail_at(n, n & 1);
        lm_graph *g;
        lm_status status = lm_graph_new(&g);
        if (status == LM_OK) {
            build_net(g);
            status = lm_verify(g);
        }
        lm_str out = LM_STR_INIT;
        if (status == LM_OK) status = lm_print(g, &out);
        lm_str_release(&out);
        lm_graph_free(g);
        bool finished = lm_mem_fail_at(0, 0) < n;
        assert_int_equal(lm_mem_get_stats().blocks, blocks);
        if (finished) {
            CHECK_OK(status);
            break;
        }
        assert_int_equal(status, LM_NOMEM);
        failures++;
    }
    assert_true(failures > 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_nodes_are_one),
        cmocka_unit_test(unused_attributes_do_not_count),
        cmocka_unit_test(names_and_tables_are_copied),
        cmocka_unit_test(many_nodes_keep_their_identity),
        cmocka_unit_test(identities_are_not_built),
        cmocka_unit_test(equal_slices_have_one_form),
        cmocka_unit_test(operands_broadcast),
        cmocka_unit_test(sums_go_run_by_run),
        cmocka_unit_test(scopes_make_labels),
        cmocka_unit_test(scopes_stay_balanced_after_a_failure),
        cmocka_unit_test(the_first_failure_stays),
        cmocka_unit_test(null_goes_through),
        cmocka_unit_test(bad_arguments_name_themselves),
        cmocka_unit_test(outputs_come_before_assigns),
        cmocka_unit_test(only_needed_nodes_are_listed),
        cmocka_unit_test(rebuilding_crosses_graphs),
        cmocka_unit_test(rebuilding_in_place_finds_the_node),
        cmocka_unit_test(transposing_twice_gives_it_back),
        cmocka_unit_test(bad_matrices_are_refused),
        cmocka_unit_test(running_out_of_memory_is_clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
