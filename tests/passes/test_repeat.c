/* Cheap values are made again for late readers, others are not; values stay the same and
 * memory never grows. */
#include "base/mem.h"
#include "passes/passes.h"
#include "random_graph.h"
#include "testing.h"

enum { ROWS = 32, COLUMNS = 16, WIDE = 90 };

static size_t f32_size(lm_dtype dtype) {
    return lm_dtype_size(dtype);
}

static const lm_repeat_options everything = {
    .schedule = {true, true},
    .plan = {.element_size = f32_size, .in_place = true, .reuse = true},
    .least = 1};

static lm_node *input(lm_graph *g, const char *name, int64_t rows, int64_t columns) {
    return lm_input(g, name, LM_F32, LM_SHAPE(rows, columns));
}

/* ---- values that are read early and late ------------------------------------- */

static lm_node *make_dropout(lm_graph *g, lm_node *a) {
    lm_node *key = lm_input(g, "key", LM_U32, LM_SHAPE(4));
    lm_node *keep = lm_le(g, lm_const(g, 0.3), lm_uniform(g, key, 5, a->shape));
    return lm_where(g, keep, lm_scale(g, a, 1 / 0.7), lm_const(g, 0));
}

static lm_node *make_upsampled(lm_graph *g, lm_node *a) {
    lm_node *column = lm_reshape(g, a, LM_SHAPE(ROWS, COLUMNS, 1));
    return lm_reshape(g, lm_broadcast(g, column, LM_SHAPE(ROWS, COLUMNS, 3)),
                      LM_SHAPE(ROWS, 3 * COLUMNS));
}

static lm_node *make_joined(lm_graph *g, lm_node *a) {
    lm_node *b = lm_matmul(g, a, input(g, "v", COLUMNS, COLUMNS), false, false);
    lm_node *parts[] = {a, b};
    lm_graph_output(g, "b", b);
    return lm_concat(g, parts, 2, 1);
}

static lm_node *make_normed(lm_graph *g, lm_node *a) {
    lm_node *scale = lm_input(g, "scale", LM_F32, LM_SHAPE(COLUMNS));
    lm_node *shift = lm_input(g, "shift", LM_F32, LM_SHAPE(COLUMNS));
    lm_node *x = lm_reshape(g, a, LM_SHAPE(4, ROWS / 4, COLUMNS));
    return lm_reshape(g, lm_group_norm(g, x, scale, shift, 4, 1e-5, true), a->shape);
}

/* Dropout of a norm: both are gone in between. */
static lm_node *make_chain(lm_graph *g, lm_node *a) {
    return make_dropout(g, make_normed(g, a));
}

static lm_node *make_product(lm_graph *g, lm_node *a) {
    return lm_matmul(g, a, input(g, "v", COLUMNS, COLUMNS), false, false);
}

static const struct {
    const char *name;
    lm_node *(*make)(lm_graph *g, lm_node *a);
    lm_kind kind; /* of the value that is made again */
    int copies;   /* of that kind */
} cases[] = {
    {"dropout", make_dropout, LM_KIND_EW, 5},
    {"upsampled", make_upsampled, LM_KIND_BROADCAST, 1},
    {"joined", make_joined, LM_KIND_CONCAT, 1},
    {"normed", make_normed, LM_KIND_CALL, 1},
    {"chain", make_chain, LM_KIND_CALL, 1},
    {"product", make_product, LM_KIND_MATMUL, 0},
};
enum { N_CASES = sizeof cases / sizeof *cases };

/* v = make(a) is read by y and, after something wide, by dw; a is read until then
 * anyway. */
static lm_graph *early_and_late(lm_node *(*make)(lm_graph *g, lm_node *a)) {
    lm_graph *g;
    CHECK_OK(lm_graph_new(&g));
    lm_node *x = input(g, "x", ROWS, COLUMNS), *u = input(g, "u", COLUMNS, WIDE);
    lm_node *a = lm_matmul(g, x, input(g, "w", COLUMNS, COLUMNS), false, false);
    lm_node *v = make(g, a);
    lm_node *y = lm_matmul(g, v, input(g, "t", v->shape.dim[1], COLUMNS), false, false);
    lm_node *wide = lm_matmul(g, lm_scale(g, y, 0.01), u, false, false);
    lm_node *back = lm_matmul(g, wide, u, false, true);
    lm_graph_output(g, "dw", lm_matmul(g, v, back, true, false));
    lm_graph_output(g, "da", lm_matmul(g, a, back, true, false));
    CHECK_OK(lm_graph_status(g));
    return g;
}

static int count_copies(lm_graph *graph, lm_kind kind) {
    lm_node **nodes;
    int count, copies = 0;
    CHECK_OK(lm_topological(graph, &nodes, &count));
    for (int i = 0; i < count; i++) copies += nodes[i]->copy && nodes[i]->kind == kind;
    lm_free(nodes);
    return copies;
}

static int64_t planned_bytes(lm_graph *graph) {
    lm_schedule schedule;
    lm_plan plan;
    CHECK_OK(lm_schedule_build(graph, &everything.schedule, &schedule));
    CHECK_OK(lm_plan_build(&schedule, &everything.plan, &plan));
    CHECK_OK(lm_plan_check(&schedule, &everything.plan, &plan));
    int64_t bytes = plan.arena_bytes;
    lm_plan_release(&plan);
    lm_schedule_release(&schedule);
    return bytes;
}

static lm_graph *repeated(lm_graph *graph, const lm_repeat_options *options) {
    lm_graph *result;
    CHECK_OK(lm_pass_repeat(graph, options, &result));
    CHECK_OK(lm_verify(result));
    return result;
}

static void test_what_is_made_again(void **state) {
    for (int c = 0; c < N_CASES; c++) {
        lm_graph *graph = early_and_late(cases[c].make), *simple;
        CHECK_OK(lm_pass_simplify(graph, &simple));
        lm_graph *result = repeated(simple, &everything);
        int copies = count_copies(result, cases[c].kind);
        if (copies != cases[c].copies) fail_msg("%s: %d copies", cases[c].name, copies);
        int64_t before = planned_bytes(simple), after = planned_bytes(result);
        if (copies ? after >= before : after != before)
            fail_msg("%s: %d to %d bytes", cases[c].name, (int)before, (int)after);
        lm_graph_free(result);
        lm_graph_free(simple);
        lm_graph_free(graph);
    }
}

static void test_small_values_are_kept(void **state) {
    lm_repeat_options options = everything;
    options.least = ROWS * 3 * COLUMNS * (int64_t)sizeof(float) + 1;
    lm_graph *graph = early_and_late(make_upsampled);
    lm_graph *result = repeated(graph, &options);
    assert_int_equal(count_copies(result, LM_KIND_BROADCAST), 0);
    lm_graph_free(result);
    lm_graph_free(graph);
}

static void test_same_values(void **state) {
    static const char *const backends[] = {"ref", "cpu"};
    for (int c = 0; c < 2 * N_CASES; c++) {
        lm_graph *graph = early_and_late(cases[c / 2].make);
        random_result with, without;
        lm_compile_options options = {.repeat_least = 1, .poison = true, .check = true};
        CHECK_OK(random_graph_run(graph, backends[c % 2], &options, 2, &with));
        options.no_repeat = true;
        CHECK_OK(random_graph_run(graph, backends[c % 2], &options, 2, &without));
        /* The very same kernels over the very same values. */
        assert_true(random_result_distance(&with, &without) == 0);
        free(with.values);
        free(without.values);
        lm_graph_free(graph);
    }
}

/* ---- any graph --------------------------------------------------------------- */

static void test_memory_never_grows(void **state) {
    int changed = 0;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        lm_graph *graph, *simple;
        CHECK_OK(random_graph_new(seed, 20 + (int)(seed % 100), &graph));
        CHECK_OK(lm_pass_simplify(graph, &simple));
        lm_repeat_options options = everything;
        options.schedule.fuse = seed % 3;
        lm_graph *result = repeated(simple, &options);
        if (options.schedule.fuse) {
            int64_t before = planned_bytes(simple), after = planned_bytes(result);
            assert_true(after <= before);
            changed += after < before;
        }
        lm_graph_free(result);
        lm_graph_free(simple);
        lm_graph_free(graph);
    }
    assert_true(changed > 10);
}

static void test_every_allocation_may_fail(void **state) {
    lm_graph *graph = early_and_late(make_chain), *result = NULL;
    int64_t held = lm_mem_get_stats().blocks;
    lm_status status = LM_NOMEM;
    for (int64_t n = 1; status != LM_OK; n++) {
        lm_mem_fail_at(n, n & 1);
        status = lm_pass_repeat(graph, &everything, &result);
        lm_mem_fail_at(0, 0);
        if (status == LM_OK) break;
        assert_int_equal(status, LM_NOMEM);
        assert_null(result);
        assert_int_equal(lm_mem_get_stats().blocks, held);
    }
    assert_int_equal(count_copies(result, LM_KIND_CALL), 1);
    lm_graph_free(result);
    lm_graph_free(graph);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_made_again),
        cmocka_unit_test(test_small_values_are_kept),
        cmocka_unit_test(test_same_values),
        cmocka_unit_test(test_memory_never_grows),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
