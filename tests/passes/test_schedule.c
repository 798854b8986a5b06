/* Clusters hold what step.h says, and orders what schedule.h says. */
#include "base/mem.h"
#include "passes/passes.h"
#include "passes/plan.h"
#include "random_graph.h"
#include "residual.h"
#include "testing.h"
#include <string.h>

/* ---- invariants of a cluster, from step.h ------------------------------------ */

static bool in_list(lm_node *const *list, int count, const lm_node *node) {
    for (int i = 0; i < count; i++)
        if (list[i] == node) return true;
    return false;
}

static bool is_inside(const lm_step *step, const lm_node *node) {
    return in_list(step->nodes, step->n_nodes, node);
}

static bool is_number(const lm_node *node) {
    return node->kind == LM_KIND_CONST && !node->attr.constant.data;
}

/* Each axis is a product of consecutive axes of the space. */
static bool is_coarser(lm_shape shape, lm_shape space) {
    int axis = 0;
    for (int i = 0; i < shape.rank; i++) {
        int64_t product = 1;
        while (product < shape.dim[i] && axis < space.rank) product *= space.dim[axis++];
        if (product != shape.dim[i]) return false;
    }
    while (axis < space.rank && space.dim[axis] == 1) axis++;
    return axis == space.rank;
}

static void check_full(const lm_step *step, const lm_node *node) {
    assert_int_equal(lm_shape_count(node->shape), lm_shape_count(step->space));
    assert_true(is_coarser(node->shape, step->space));
}

static void sum_form(const lm_node *sum, int64_t form[3]) {
    int axis = 0, rank = sum->shape.rank;
    const lm_shape *from = &sum->src[0]->shape;
    for (int part = 0; part < 3; part++) {
        form[part] = 1;
        while (axis < rank && (part == 2 || (sum->attr.axes >> axis & 1) == (part == 1)))
            form[part] *= from->dim[axis++];
    }
}

static void check_node_inside(const lm_step *step, const lm_node *node, int64_t form[3]) {
    bool repeats = node->kind == LM_KIND_BROADCAST,
         sums = node->kind == LM_KIND_REDUCE_SUM;
    int flags = lm_kind_get(node->kind)->flags;
    assert_true(flags & LM_K_ELEMENTWISE || is_number(node) || sums ||
                node->kind == LM_KIND_RESHAPE);
    if (!sums && !is_number(node)) check_full(step, node);
    for (int s = 0; s < node->n_src; s++) {
        const lm_node *src = node->src[s];
        bool in = in_list(step->in, step->n_in, src);
        assert_true(in || is_inside(step, src));
        assert_false(in && is_inside(step, src));
        assert_false(is_inside(step, src) && src->kind == LM_KIND_REDUCE_SUM);
        if (repeats)
            assert_true(in || is_number(src));
        else if (node->kind == LM_KIND_PHILOX)
            assert_true(in);
        else
            check_full(step, src);
    }
    if (!sums) return;
    int64_t own[3];
    sum_form(node, own);
    if (form[0] == 0) memcpy(form, own, sizeof own);
    assert_memory_equal(form, own, sizeof own);
    assert_true(in_list(step->out, step->n_out, node));
}

static bool is_needed(const lm_step *step, const lm_node *node) {
    if (in_list(step->out, step->n_out, node)) return true;
    for (int n = 0; n < step->n_nodes; n++)
        if (in_list(step->nodes[n]->src, step->nodes[n]->n_src, node)) return true;
    return false;
}

static void check_cluster(const lm_step *step) {
    int64_t form[3] = {0, 0, 0};
    assert_in_range(step->n_in, 0, 16);
    assert_in_range(step->n_out, 1, 8);
    for (int n = 0; n < step->n_nodes; n++) {
        if (n > 0) assert_true(step->nodes[n - 1]->id < step->nodes[n]->id);
        check_node_inside(step, step->nodes[n], form);
        assert_true(is_needed(step, step->nodes[n]));
    }
    for (int i = 0; i < step->n_in; i++) {
        assert_true(is_needed(step, step->in[i]));
        assert_false(in_list(step->in, i, step->in[i]));
    }
    for (int o = 0; o < step->n_out; o++)
        assert_true(is_inside(step, step->out[o]) && !lm_is_view(step->out[o]));
}

static bool is_call(const lm_node *node, lm_composite composite) {
    return node->kind == LM_KIND_CALL && node->attr.call.composite == (int)composite;
}

static void check_statistics_chain(const lm_step *step) {
    const lm_node *joined = step->nodes[0];
    assert_int_equal(step->n_nodes, 2);
    assert_true(is_call(step->nodes[1], LM_COMP_GROUP_STATS));
    assert_ptr_equal(step->nodes[1]->src[0], joined);
    assert_int_equal(joined->attr.axis.axis, joined->shape.rank - 1);
    assert_int_equal(step->n_in, joined->n_src);
    assert_in_range(step->n_in, 2, LM_CHAIN_PARTS);
    for (int i = 0; i < step->n_in; i++) assert_ptr_equal(step->in[i], joined->src[i]);
    assert_int_equal(step->n_out, 2);
    for (int i = 0; i < 2; i++) assert_ptr_equal(step->out[i], step->nodes[i]);
}

/* As step.h says, from the sums to the gradient or its slices. */
static void check_gradient_chain(const lm_step *step) {
    const lm_node *sums = step->nodes[0], *grad = step->nodes[2];
    assert_true(is_call(sums, LM_COMP_NORM_SUMS));
    assert_true(is_call(step->nodes[1], LM_COMP_NORM_DSTATS));
    assert_true(is_call(grad, LM_COMP_NORM_GRAD));
    assert_ptr_equal(step->nodes[1]->src[2], sums);
    assert_ptr_equal(grad->src[5], step->nodes[1]);
    assert_int_equal(step->n_in, grad->n_src - 1);
    for (int i = 0; i < step->n_in; i++)
        assert_ptr_equal(step->in[i], grad->src[i < 5 ? i : 6]);
    int n_slices = 0, n_sums = 0;
    for (int n = 3; n < step->n_nodes; n++) {
        bool slice = step->nodes[n]->kind == LM_KIND_SLICE;
        n_slices += slice;
        n_sums += !slice;
        assert_true(in_list(step->out, step->n_out, step->nodes[n]));
        assert_true(is_inside(step, step->nodes[n]->src[0]));
        if (!slice) assert_int_equal(step->nodes[n]->kind, LM_KIND_REDUCE_SUM);
    }
    assert_int_equal(in_list(step->out, step->n_out, grad), n_slices == 0);
    int others = (n_slices ? n_slices : 1) + n_sums;
    assert_in_range(step->n_out - others, 0, 1);
    if (step->n_out > others) assert_ptr_equal(step->out[0], sums);
}

/* ---- a whole schedule -------------------------------------------------------- */

typedef struct counts {
    int clusters, chains, members, sums, reshapes, outputs, repeated;
} counts;

static bool is_dear(const lm_node *node) {
    return node->kind == LM_KIND_EW &&
           (node->attr.ew.code == LM_EW_TANH || node->attr.ew.code == LM_EW_SIGMOID ||
            node->attr.ew.code == LM_EW_EXP || node->attr.ew.code == LM_EW_LOG ||
            node->attr.ew.code == LM_EW_SQRT || node->attr.ew.code == LM_EW_COS);
}

static void check_ready(const bool *made, const lm_node *node) {
    const lm_node *root = lm_view_root(node, NULL);
    if ((lm_kind_get(root->kind)->flags & LM_K_LEAF) && root->kind != LM_KIND_IOTA)
        return;
    assert_true(made[root->id]);
}

static void check_step(const lm_schedule *schedule, int s, bool *made, int *computed,
                       counts *c) {
    const lm_step *step = &schedule->steps[s];
    for (int i = 0; i < step->n_in; i++) check_ready(made, step->in[i]);
    if (step->cluster) {
        check_cluster(step);
        c->clusters++;
        c->outputs += step->n_out;
    } else if (step->n_nodes > 1) {
        bool statistics = step->nodes[0]->kind == LM_KIND_CONCAT;
        (statistics ? check_statistics_chain : check_gradient_chain)(step);
        c->chains++;
    } else {
        assert_int_equal(step->n_in, step->nodes[0]->n_src);
        for (int i = 0; i < step->n_in; i++)
            assert_ptr_equal(step->in[i], step->nodes[0]->src[i]);
    }
    for (int n = 0; n < step->n_nodes; n++) {
        const lm_node *node = step->nodes[n];
        c->members += node->kind == LM_KIND_EW;
        c->sums += step->cluster && node->kind == LM_KIND_REDUCE_SUM;
        c->reshapes += node->kind == LM_KIND_RESHAPE;
        c->repeated += node->kind == LM_KIND_EW && computed[node->id];
        if (is_dear(node)) assert_int_equal(computed[node->id], 0);
        computed[node->id]++;
    }
    for (int o = 0; o < step->n_out; o++) {
        assert_false(made[step->out[o]->id]);
        made[step->out[o]->id] = true;
    }
    if (step->nodes[0]->kind != LM_KIND_ASSIGN) return;
    for (int later = s + 1; later < schedule->n_steps; later++)
        for (int i = 0; i < schedule->steps[later].n_in; i++) {
            const lm_node *read = lm_step_reads_param(&schedule->steps[later], i);
            assert_false(read && lm_params_overlap(read, step->nodes[0]->src[0]));
        }
}

static counts check_schedule(const lm_schedule *schedule) {
    counts c = {0};
    size_t n = (size_t)lm_graph_size(schedule->graph);
    bool *made = calloc(n, sizeof *made);
    int *computed = calloc(n, sizeof *computed);
    for (int s = 0; s < schedule->n_steps; s++)
        check_step(schedule, s, made, computed, &c);
    int n_roots;
    const lm_named_node *roots = lm_graph_roots(schedule->graph, &n_roots);
    for (int r = 0; r < n_roots; r++) check_ready(made, roots[r].node);
    free(made);
    free(computed);
    return c;
}

static lm_graph *simplified(lm_graph *graph) {
    lm_graph *simple;
    CHECK_OK(lm_pass_simplify(graph, &simple));
    lm_graph_free(graph);
    return simple;
}

static lm_schedule build(lm_graph *graph, bool fuse, bool reorder) {
    lm_schedule schedule;
    lm_schedule_options options = {fuse, reorder};
    CHECK_OK(lm_schedule_build(graph, &options, &schedule));
    return schedule;
}

static size_t f32_size(lm_dtype dtype) {
    return lm_dtype_size(dtype);
}

static int64_t arena_bytes(const lm_schedule *schedule, bool in_place) {
    lm_plan plan;
    lm_plan_options options = {
        .element_size = f32_size, .in_place = in_place, .reuse = true};
    CHECK_OK(lm_plan_build(schedule, &options, &plan));
    CHECK_OK(lm_plan_check(schedule, &options, &plan));
    int64_t bytes = plan.arena_bytes;
    lm_plan_release(&plan);
    return bytes;
}

/* ---- tests ------------------------------------------------------------------- */

static void test_random_clusters(void **state) {
    counts total = {0};
    double with = 0, without = 0;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        lm_graph *graph;
        CHECK_OK(random_graph_new(seed, 20 + (int)(seed % 100), &graph));
        if (seed % 4) graph = simplified(graph);
        int64_t bytes[2];
        for (int reorder = 0; reorder < 2; reorder++) {
            lm_schedule schedule = build(graph, true, reorder);
            counts c = check_schedule(&schedule);
            total.clusters += c.clusters;
            total.members += c.members;
            total.sums += c.sums;
            total.reshapes += c.reshapes;
            total.outputs += c.outputs;
            total.repeated += c.repeated;
            bytes[reorder] = arena_bytes(&schedule, true);
            lm_schedule_release(&schedule);
            schedule = build(graph, false, reorder);
            check_schedule(&schedule);
            lm_schedule_release(&schedule);
        }
        without += (double)bytes[0];
        with += (double)bytes[1];
        lm_graph_free(graph);
    }
    /* All that clusters can do happens. */
    assert_true(total.members > total.clusters + total.clusters / 4);
    assert_true(total.outputs > total.clusters);
    assert_true(total.sums > 0 && total.reshapes > 0 && total.repeated > 0);
    assert_true(with <= without);
}

static void test_residual_network(void **state) {
    lm_graph *graph;
    CHECK_OK(residual_new(4, &graph));
    graph = simplified(graph);
    lm_schedule schedule = build(graph, true, true), plain = build(graph, false, false);
    counts c = check_schedule(&schedule);
    check_schedule(&plain);
    assert_true(c.sums > 0 && c.chains > 0);
    assert_true(schedule.n_steps < plain.n_steps * 2 / 3);
    assert_true(arena_bytes(&schedule, true) < arena_bytes(&plain, true));

    /* The optimizer is one pass: whatever is assigned comes out of one step, which reads
     * p, m, v, ema, the gradient and its norm. */
    const lm_step *update = NULL;
    for (int s = 0; s < schedule.n_steps; s++)
        for (int o = 0; o < schedule.steps[s].n_out; o++)
            for (int a = 0; a < schedule.n_steps; a++) {
                const lm_node *node = schedule.steps[a].nodes[0];
                if (node->kind != LM_KIND_ASSIGN ||
                    node->src[1] != schedule.steps[s].out[o])
                    continue;
                assert_true(!update || update == &schedule.steps[s]);
                update = &schedule.steps[s];
            }
    assert_non_null(update);
    assert_int_equal(update->n_out, 4);
    assert_int_equal(update->n_in, 6);
    lm_schedule_release(&schedule);
    lm_schedule_release(&plain);
    lm_graph_free(graph);
}

static void test_same_graph_same_schedule(void **state) {
    lm_graph *graph[2];
    lm_schedule schedule[2];
    for (int i = 0; i < 2; i++) {
        CHECK_OK(random_graph_new(42, 100, &graph[i]));
        graph[i] = simplified(graph[i]);
        schedule[i] = build(graph[i], true, true);
    }
    assert_int_equal(schedule[0].n_steps, schedule[1].n_steps);
    for (int s = 0; s < schedule[0].n_steps; s++) {
        const lm_step *a = &schedule[0].steps[s], *b = &schedule[1].steps[s];
        assert_int_equal(a->n_nodes, b->n_nodes);
        assert_int_equal(a->n_in, b->n_in);
        assert_int_equal(a->n_out, b->n_out);
        for (int n = 0; n < a->n_nodes; n++)
            assert_int_equal(a->nodes[n]->id, b->nodes[n]->id);
    }
    for (int i = 0; i < 2; i++) {
        lm_schedule_release(&schedule[i]);
        lm_graph_free(graph[i]);
    }
}

static void test_exchange_is_refused(void **state) {
    lm_graph *graph;
    CHECK_OK(lm_graph_new(&graph));
    lm_node *a = lm_param(graph, "v", 0, LM_SHAPE(4));
    lm_node *b = lm_param(graph, "v", 4, LM_SHAPE(4));
    lm_assign(graph, a, b);
    lm_assign(graph, b, a);
    lm_schedule schedule;
    lm_schedule_options options = {true, true};
    CHECK_FAILS(lm_schedule_build(graph, &options, &schedule), LM_UNSUPPORTED);
    lm_graph_free(graph);
}

/* The derivative of a forward step is not computed, and stored, in the forward pass. */
static void test_late_factors_stay_late(void **state) {
    lm_graph *g;
    CHECK_OK(lm_graph_new(&g));
    lm_node *x = lm_input(g, "x", LM_F32, LM_SHAPE(8, 8));
    lm_node *w = lm_input(g, "w", LM_F32, LM_SHAPE(8, 8));
    lm_node *s = lm_ew1(g, LM_EW_SIGMOID, x);
    lm_node *slope = lm_mul(g, s, lm_sub(g, lm_const_like(g, 1, s), s));
    lm_node *y = lm_matmul(g, s, w, false, false);
    lm_graph_output(g, "dx", lm_mul(g, lm_matmul(g, y, w, false, true), slope));
    lm_schedule schedule = build(g, true, true);
    check_schedule(&schedule);
    assert_int_equal(schedule.n_steps, 4);
    assert_int_equal(schedule.steps[0].n_out, 1);
    assert_ptr_equal(schedule.steps[0].out[0], s);
    lm_schedule_release(&schedule);
    lm_graph_free(g);
}

/* The gradients of a norm and how they are used: `late`, it takes in a value made of its
 * own sums, which must come between; something else reads the statistics' part; slices of
 * it `step` channels apart; sums over positions of these, or of itself. */
typedef struct norm_use {
    bool late, read_dstats;
    int n_slices, step;
    bool summed;
} norm_use;

static void sum_positions(lm_graph *g, const char *name, lm_node *x) {
    lm_graph_output(g, name, lm_sum(g, x, 1u << 1 | 1u << 2, true));
}

static counts norm_schedule(norm_use use) {
    lm_graph *g;
    CHECK_OK(lm_graph_new(&g));
    lm_shape shape = LM_SHAPE(2, 4, 4, 6);
    lm_node *src[7] = {
        lm_input(g, "x", LM_F32, shape), lm_input(g, "stats", LM_F32, LM_SHAPE(2, 3, 2)),
        lm_input(g, "gamma", LM_F32, LM_SHAPE(6)),
        lm_input(g, "beta", LM_F32, LM_SHAPE(6)), lm_input(g, "g", LM_F32, shape)};
    lm_node *sums = lm_call(g, LM_COMP_NORM_SUMS, src, 5, NULL);
    lm_node *of[] = {src[1], src[2], sums};
    src[5] = lm_call(g, LM_COMP_NORM_DSTATS, of, 3, NULL);
    lm_node *total = lm_sum(g, sums, 7, true);
    src[6] = lm_add(g, src[0], lm_reshape(g, total, LM_SHAPE(1)));
    lm_node *d = lm_call(g, LM_COMP_NORM_GRAD, src, use.late ? 7 : 6, NULL);
    for (int i = 0; i < use.n_slices; i++) {
        lm_node *part = lm_slice_axis(g, d, 3, use.step * i, use.step * i + 3);
        lm_graph_output(g, i ? "b" : "a", part);
        if (use.summed) sum_positions(g, i ? "sum b" : "sum a", part);
    }
    if (use.n_slices == 0) lm_graph_output(g, "d", d);
    if (use.n_slices == 0 && use.summed) sum_positions(g, "sum d", d);
    lm_graph_output(g, "sums", total);
    if (use.read_dstats) lm_graph_output(g, "dstats", src[5]);
    lm_schedule schedule = build(g, true, true);
    counts c = check_schedule(&schedule);
    c.members = schedule.n_steps;
    lm_schedule_release(&schedule);
    lm_graph_free(g);
    return c;
}

static void test_gradients_of_norms_chain(void **state) {
    static const struct {
        norm_use use;
        int chains, steps; /* one is the total of the sums */
    } cases[] = {
        {{0}, 1, 2},
        {{.n_slices = 2, .step = 3}, 1, 2},
        {{.n_slices = 2, .step = 3, .summed = true}, 1, 2},
        {{.summed = true}, 1, 2},
        {{.n_slices = 2, .step = 2}, 1, 4}, /* they share a channel */
        {{.late = true}, 0, 5},
        {{.read_dstats = true}, 0, 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        counts c = norm_schedule(cases[i].use);
        assert_int_equal(c.chains, cases[i].chains);
        assert_int_equal(c.members, cases[i].steps);
    }
}

/* Channels alone, of more than one row, a few parts, once. */
static void test_statistics_of_concats_chain(void **state) {
    static const struct {
        int64_t positions;
        int parts, axis, readers, chains, steps;
    } cases[] = {
        {5, 2, 2, 1, 1, 1}, {5, LM_CHAIN_PARTS, 2, 1, 1, 1},     {5, 2, 2, 2, 1, 2},
        {1, 2, 2, 1, 0, 2}, {5, LM_CHAIN_PARTS + 1, 2, 1, 0, 2}, {5, 2, 1, 1, 0, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lm_graph *g;
        CHECK_OK(lm_graph_new(&g));
        lm_node *part[LM_CHAIN_PARTS + 1];
        for (int p = 0; p < cases[i].parts; p++)
            part[p] = lm_input(g, p % 2 ? "a" : "b", LM_F32,
                               LM_SHAPE(1, cases[i].positions, 6));
        lm_node *x = lm_concat(g, part, cases[i].parts, cases[i].axis);
        for (int r = 0; r < cases[i].readers; r++) {
            lm_call_attr how = {.i = {1 + r}, .f = {1e-5f}};
            lm_node *stats = lm_call(g, LM_COMP_GROUP_STATS, &x, 1, &how);
            lm_graph_output(g, r ? "second" : "first", stats);
        }
        lm_schedule schedule = build(g, true, true);
        assert_int_equal(check_schedule(&schedule).chains, cases[i].chains);
        assert_int_equal(schedule.n_steps, cases[i].steps);
        lm_schedule_release(&schedule);
        lm_graph_free(g);
    }
}

/* A mask in bytes is read as bytes by each of its readers, not stored as floats. */
static void test_cheap_values_are_repeated(void **state) {
    lm_graph *g;
    CHECK_OK(lm_graph_new(&g));
    lm_node *pixels = lm_input(g, "x", LM_U8, LM_SHAPE(8, 8));
    lm_node *x = lm_scale(g, lm_cast(g, pixels, LM_F32), 1.0 / 255);
    lm_node *y = lm_matmul(g, lm_exp(g, x), lm_input(g, "w", LM_F32, LM_SHAPE(8, 8)),
                           false, false);
    lm_graph_output(g, "loss", lm_mean_all(g, lm_square(g, lm_sub(g, y, x))));
    g = simplified(g);
    lm_schedule schedule = build(g, true, true);
    counts c = check_schedule(&schedule);
    assert_int_equal(c.repeated, 2);
    for (int s = 0; s < schedule.n_steps; s++)
        for (int o = 0; o < schedule.steps[s].n_out; o++) {
            const lm_node *out = schedule.steps[s].out[o];
            assert_false(out->kind == LM_KIND_EW && out->attr.ew.code == LM_EW_MUL &&
                         lm_shape_count(out->shape) > 1);
        }
    lm_schedule_release(&schedule);
    lm_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_clusters),
        cmocka_unit_test(test_residual_network),
        cmocka_unit_test(test_same_graph_same_schedule),
        cmocka_unit_test(test_exchange_is_refused),
        cmocka_unit_test(test_gradients_of_norms_chain),
        cmocka_unit_test(test_statistics_of_concats_chain),
        cmocka_unit_test(test_late_factors_stay_late),
        cmocka_unit_test(test_cheap_values_are_repeated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
