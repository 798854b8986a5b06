/* Plans keep apart what lives at the same time, put in place what can be, and the check
 * finds plans that do not. */
#include "base/mem.h"
#include "passes/passes.h"
#include "passes/plan.h"
#include "random_graph.h"
#include "residual.h"
#include "tensor/philox.h"
#include "testing.h"

static size_t f32_size(lm_dtype dtype) {
    return lm_dtype_size(dtype);
}
static size_t f64_size(lm_dtype dtype) {
    return sizeof(double);
}

static lm_graph *random_graph(uint64_t seed) {
    lm_graph *graph, *simple;
    CHECK_OK(random_graph_new(seed, 20 + (int)(seed % 80), &graph));
    CHECK_OK(seed % 3 ? lm_pass_simplify(graph, &simple) : lm_pass_copy(graph, &simple));
    lm_graph_free(graph);
    return simple;
}

/* A third of the steps want scratch memory. */
static size_t *random_workspaces(const lm_schedule *schedule, uint64_t seed) {
    size_t *bytes = calloc((size_t)schedule->n_steps + 1, sizeof *bytes);
    lm_rng rng = {.seed = seed, .stream = 9};
    for (int s = 0; s < schedule->n_steps; s++)
        if (lm_rng_below(&rng, 3) == 0) bytes[s] = 1 + lm_rng_below(&rng, 500);
    return bytes;
}

static int64_t plan_bytes(const lm_schedule *schedule, const lm_plan_options *options) {
    lm_plan plan;
    CHECK_OK(lm_plan_build(schedule, options, &plan));
    CHECK_OK(lm_plan_check(schedule, options, &plan));
    int64_t bytes = plan.arena_bytes;
    lm_plan_release(&plan);
    return bytes;
}

static void test_random_plans(void **state) {
    for (uint64_t seed = 1; seed <= 300; seed++) {
        lm_graph *graph = random_graph(seed);
        lm_schedule schedule;
        lm_schedule_options how = {seed & 1, seed >> 1 & 1};
        CHECK_OK(lm_schedule_build(graph, &how, &schedule));
        size_t *workspace = random_workspaces(&schedule, seed);
        lm_plan_options options = {seed % 5 ? f32_size : f64_size, workspace, true, true};
        int64_t least = plan_bytes(&schedule, &options);
        options.in_place = false;
        int64_t apart = plan_bytes(&schedule, &options);
        options.reuse = false;
        int64_t most = plan_bytes(&schedule, &options);
        options.in_place = true;
        plan_bytes(&schedule, &options);
        assert_true(least <= most && apart <= most);
        free(workspace);
        lm_schedule_release(&schedule);
        lm_graph_free(graph);
    }
}

/* Moving a value onto another that is alive must be found. */
static void test_check_finds_overlaps(void **state) {
    int found = 0, tried = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        lm_graph *graph = random_graph(seed);
        lm_schedule schedule;
        lm_schedule_options how = {true, true};
        CHECK_OK(lm_schedule_build(graph, &how, &schedule));
        lm_plan_options options = {f32_size, NULL, true, true};
        lm_plan plan;
        CHECK_OK(lm_plan_build(&schedule, &options, &plan));
        for (int s = 0; s + 1 < schedule.n_steps; s++) {
            /* Results of two steps in a row, the first of which is read later and would
             * be lost whole. */
            const lm_node *a = schedule.steps[s].out[0],
                          *b = schedule.steps[s + 1].out[0];
            lm_location *at = &plan.of[b->id], kept = *at;
            if (plan.of[a->id].place != LM_PLACE_ARENA || at->place != LM_PLACE_ARENA ||
                plan.last_use[a->id] <= s + 1 || b->kind == LM_KIND_CONCAT ||
                lm_shape_count(b->shape) < lm_shape_count(a->shape))
                continue;
            *at = plan.of[a->id];
            tried++;
            found += lm_plan_check(&schedule, &options, &plan) == LM_INTERNAL;
            *at = kept;
        }
        CHECK_OK(lm_plan_check(&schedule, &options, &plan));
        lm_plan_release(&plan);
        lm_schedule_release(&schedule);
        lm_graph_free(graph);
    }
    assert_true(tried > 100);
    assert_int_equal(found, tried);
}

/* ---- what is made in place --------------------------------------------------- */

typedef struct planned {
    lm_graph *graph;
    lm_schedule schedule;
    lm_plan plan;
} planned;

static planned make_plan(lm_graph *graph) {
    planned p = {.graph = graph};
    lm_schedule_options how = {true, true};
    CHECK_OK(lm_schedule_build(graph, &how, &p.schedule));
    lm_plan_options options = {f32_size, NULL, true, true};
    CHECK_OK(lm_plan_build(&p.schedule, &options, &p.plan));
    CHECK_OK(lm_plan_check(&p.schedule, &options, &p.plan));
    return p;
}

static void release(planned *p) {
    lm_plan_release(&p->plan);
    lm_schedule_release(&p->schedule);
    lm_graph_free(p->graph);
}

static bool is_skipped(const planned *p, const lm_node *node) {
    for (int s = 0; s < p->schedule.n_steps; s++)
        if (p->schedule.steps[s].out[0] == node) return p->plan.skip[s];
    fail_msg("the node has no step");
    return false;
}

static void test_optimizer_writes_in_place(void **state) {
    lm_graph *graph, *simple;
    CHECK_OK(residual_new(3, &graph));
    CHECK_OK(lm_pass_simplify(graph, &simple));
    lm_graph_free(graph);
    planned p = make_plan(simple);
    int assigns = 0, parts = 0, copied = 0;
    for (int s = 0; s < p.schedule.n_steps; s++) {
        const lm_node *node = p.schedule.steps[s].nodes[0];
        if (node->kind == LM_KIND_ASSIGN) {
            assert_true(p.plan.skip[s]);
            assigns++;
        }
        if (node->kind != LM_KIND_CONCAT || lm_shape_count(node->shape) < 1000) continue;
        int64_t at = p.plan.of[node->id].offset;
        for (int i = 0; i < node->n_src; i++) {
            copied += p.plan.of[node->src[i]->id].offset != at;
            at += lm_shape_count(node->src[i]->shape) * (int64_t)sizeof(float);
            parts++;
        }
    }
    assert_int_equal(assigns, 4);
    assert_true(parts > 10);
    assert_int_equal(copied, 0);
    release(&p);
}

/* The old value is wanted by something that needs the new one: no way in place. */
static void test_assign_waits_for_late_reader(void **state) {
    lm_graph *g;
    CHECK_OK(lm_graph_new(&g));
    lm_node *p = lm_param(g, "v", 0, LM_SHAPE(4, 4));
    lm_node *q = lm_exp(g, p);
    lm_graph_output(g, "y", lm_matmul(g, q, p, false, false));
    lm_assign(g, p, q);
    int count;
    const lm_node *assign = lm_graph_roots(g, &count)[1].node;
    planned made = make_plan(g);
    assert_false(is_skipped(&made, assign));
    assert_int_equal(made.plan.of[q->id].place, LM_PLACE_ARENA);
    release(&made);
}

/* Elements of the assigned slice are read through views of a larger one, in another
 * order: acting the plan out tells whether that came first. */
static void test_assign_sees_overlapping_slices(void **state) {
    lm_graph *g;
    CHECK_OK(lm_graph_new(&g));
    lm_node *all = lm_param(g, "v", 0, LM_SHAPE(8));
    lm_node *p = lm_param(g, "v", 0, LM_SHAPE(4));
    lm_node *high = lm_slice_axis(g, all, 0, 4, 8), *low = lm_slice_axis(g, all, 0, 0, 4);
    lm_assign(g, p, lm_add(g, lm_exp(g, high), lm_reverse(g, low, 1)));
    planned made = make_plan(g);
    release(&made);
}

static void test_concat_of_shared_parts_copies(void **state) {
    lm_graph *g;
    CHECK_OK(lm_graph_new(&g));
    lm_node *x = lm_input(g, "x", LM_F32, LM_SHAPE(5));
    lm_node *once = lm_exp(g, x), *twice = lm_tanh(g, x), *kept = lm_ew1(g, LM_EW_SIN, x);
    lm_node *parts[] = {once, twice, twice, kept};
    lm_node *joined = lm_concat(g, parts, 4, 0);
    lm_graph_output(g, "sum", lm_sum_all(g, joined));
    lm_graph_output(g, "kept", kept);
    planned p = make_plan(g);
    int64_t at = p.plan.of[joined->id].offset;
    assert_int_equal(p.plan.of[once->id].offset, at);
    assert_int_not_equal(p.plan.of[twice->id].offset, at + 20);
    assert_false(is_skipped(&p, joined));
    release(&p);
}

/* Slices of one value that lie in the concat as they lie in the value. */
static void test_concat_of_pieces_needs_no_copy(void **state) {
    lm_graph *g;
    CHECK_OK(lm_graph_new(&g));
    lm_node *x = lm_input(g, "x", LM_F32, LM_SHAPE(2, 6));
    lm_node *y = lm_exp(g, lm_input(g, "y", LM_F32, LM_SHAPE(5)));
    lm_node *pair = lm_softmax(g, x);
    lm_node *parts[3] = {y};
    for (int i = 0; i < 2; i++)
        parts[1 + i] = lm_reshape(g, lm_slice_axis(g, pair, 0, i, i + 1), LM_SHAPE(6));
    lm_node *joined = lm_concat(g, parts, 3, 0);
    lm_graph_output(g, "all", joined);
    planned p = make_plan(g);
    assert_true(is_skipped(&p, joined));
    release(&p);
}

/* The place of a part that is made late serves others until then. */
static void test_late_part_leaves_its_place(void **state) {
    lm_graph *g;
    CHECK_OK(lm_graph_new(&g));
    lm_node *x = lm_input(g, "x", LM_F32, LM_SHAPE(16, 16));
    lm_node *first = lm_matmul(g, x, x, false, false);
    lm_node *middle = lm_matmul(g, first, x, false, false);
    lm_node *next = lm_matmul(g, middle, x, false, false);
    lm_node *parts[] = {first, lm_matmul(g, next, x, false, false)};
    lm_node *joined = lm_concat(g, parts, 2, 0);
    lm_graph_output(g, "all", joined);
    planned p = make_plan(g);
    assert_true(is_skipped(&p, joined));
    assert_int_equal(p.plan.of[middle->id].offset, p.plan.of[parts[1]->id].offset);
    assert_int_equal(p.plan.arena_bytes, 3 * 16 * 16 * 4);
    release(&p);
}

static void test_elementwise_takes_dying_input(void **state) {
    lm_graph *g;
    CHECK_OK(lm_graph_new(&g));
    lm_node *x = lm_input(g, "x", LM_F32, LM_SHAPE(32, 32));
    lm_node *a = lm_softmax(g, x), *b = lm_exp(g, a);
    lm_graph_output(g, "y", lm_matmul(g, b, b, false, false));
    planned p = make_plan(g);
    assert_int_equal(p.plan.of[a->id].offset, p.plan.of[b->id].offset);
    assert_int_equal(p.plan.arena_bytes, 2 * 32 * 32 * 4);
    release(&p);
}

/* ---- memory runs out --------------------------------------------------------- */

static bool keep_none(void *user, const lm_node *call) {
    return false;
}

static lm_status everything(lm_graph *graph) {
    lm_graph *simple = NULL, *inlined = NULL;
    lm_schedule schedule;
    lm_plan plan;
    lm_schedule_options how = {true, true};
    lm_plan_options options = {f32_size, NULL, true, true};
    lm_status status = lm_pass_simplify(graph, &simple);
    if (status == LM_OK) status = lm_pass_inline(simple, keep_none, NULL, &inlined);
    if (status == LM_OK) status = lm_schedule_build(inlined, &how, &schedule);
    if (status == LM_OK) {
        status = lm_plan_build(&schedule, &options, &plan);
        if (status == LM_OK) {
            status = lm_plan_check(&schedule, &options, &plan);
            lm_plan_release(&plan);
        }
        lm_schedule_release(&schedule);
    }
    lm_graph_free(inlined);
    lm_graph_free(simple);
    return status;
}

static void test_every_allocation_may_fail(void **state) {
    lm_graph *graph;
    CHECK_OK(residual_new(1, &graph));
    int64_t held = lm_mem_get_stats().blocks;
    lm_status status = LM_NOMEM;
    int64_t n = 0;
    while (status != LM_OK) {
        n++;
        lm_mem_fail_at(n, n & 1);
        status = everything(graph);
        lm_mem_fail_at(0, 0);
        if (status != LM_OK && status != LM_NOMEM)
            fail_msg("allocation %d: %s: %s", (int)n, lm_status_name(status),
                     lm_message());
        assert_int_equal(lm_mem_get_stats().blocks, held);
    }
    assert_true(n > 50);
    lm_graph_free(graph);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_plans),
        cmocka_unit_test(test_check_finds_overlaps),
        cmocka_unit_test(test_optimizer_writes_in_place),
        cmocka_unit_test(test_assign_waits_for_late_reader),
        cmocka_unit_test(test_assign_sees_overlapping_slices),
        cmocka_unit_test(test_concat_of_shared_parts_copies),
        cmocka_unit_test(test_concat_of_pieces_needs_no_copy),
        cmocka_unit_test(test_late_part_leaves_its_place),
        cmocka_unit_test(test_elementwise_takes_dying_input),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
