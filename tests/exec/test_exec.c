/* Engines and programs on the reference backend: variables, inputs, outputs, assigns. */
#include "exec/fixture.h"
#include <math.h>
#include <string.h>

static lm_program *compile(fixture *f, lm_graph *graph) {
    lm_program *program;
    CHECK_OK(lm_compile(f->engine, graph, NULL, &program));
    return program;
}

static void check_var(fixture *f, const char *name, const double *want, int64_t count) {
    double got[64];
    CHECK_OK(lm_engine_read_var(f->engine, name, 0, count, LM_F64, got));
    for (int64_t i = 0; i < count; i++)
        if (got[i] != want[i])
            fail_msg("%s[%d]: got %g, wanted %g", name, (int)i, got[i], want[i]);
}

static void check_output(lm_program *program, const char *name, const double *want,
                         int64_t count) {
    double got[64];
    CHECK_OK(lm_program_get(program, name, LM_F64, got, count));
    for (int64_t i = 0; i < count; i++)
        if (got[i] != want[i])
            fail_msg("%s[%d]: got %g, wanted %g", name, (int)i, got[i], want[i]);
}

/* ---- engine ------------------------------------------------------------------ */

static void test_backends(void **state) {
    lm_engine *engine;
    CHECK_FAILS(lm_engine_new("nul", &engine), LM_NOT_FOUND);
    assert_string_equal(lm_message(), "no backend 'nul' (did you mean 'null'?)");
    assert_null(engine);
}

static void test_variables(void **state) {
    fixture *f = *state;
    lm_engine *e = f->engine;
    CHECK_OK(lm_engine_add_var(e, "weights", 5));
    CHECK_OK(lm_engine_add_var(e, "weights", 5));
    CHECK_FAILS(lm_engine_add_var(e, "weights", 6), LM_SHAPE);
    CHECK_FAILS(lm_engine_add_var(e, "none", 0), LM_ARG);
    for (int i = 0; i < 20; i++) {
        char name[16] = {'v', (char)('a' + i), 0};
        CHECK_OK(lm_engine_add_var(e, name, i + 1));
    }
    assert_true(lm_engine_has_var(e, "weights"));
    assert_false(lm_engine_has_var(e, "weight"));
    assert_int_equal(lm_engine_var_count(e, "vt"), 20);
    assert_int_equal(lm_engine_var_count(e, "vz"), -1);
    check_var(f, "weights", (double[]){0, 0, 0, 0, 0}, 5);
    const float part[] = {1.5f, -2};
    CHECK_OK(lm_engine_write_var(e, "weights", 2, 2, LM_F32, part));
    check_var(f, "weights", (double[]){0, 0, 1.5, -2, 0}, 5);

    CHECK_FAILS(lm_engine_write_var(e, "weights", 4, 2, LM_F32, part), LM_SHAPE);
    CHECK_FAILS(lm_engine_write_var(e, "weights", -1, 2, LM_F32, part), LM_SHAPE);
    CHECK_FAILS(lm_engine_write_var(e, "weights", 1, INT64_MAX, LM_F32, part), LM_SHAPE);
    double one;
    CHECK_FAILS(lm_engine_read_var(e, "wieghts", 0, 1, LM_F64, &one), LM_NOT_FOUND);
    assert_string_equal(lm_message(), "no variable 'wieghts' (did you mean 'weights'?)");
    int64_t variables, arena;
    lm_engine_memory(e, &variables, &arena);
    assert_int_equal(variables, 8 * (5 + 210));
    assert_int_equal(arena, 0);
}

static void test_wrong_variables(void **state) {
    fixture *f = *state;
    lm_program *program;
    lm_scope_push(f->graph, "net.in");
    lm_node *p = lm_param(f->graph, "weight", 2, LM_SHAPE(2, 2));
    lm_scope_pop(f->graph);
    lm_graph_output(f->graph, "y", lm_exp(f->graph, p));
    CHECK_FAILS(lm_compile(f->engine, f->graph, NULL, &program), LM_NOT_FOUND);
    assert_null(program);
    assert_non_null(strstr(lm_message(), "no variable 'weight'"));
    assert_non_null(strstr(lm_message(), "net.in"));
    CHECK_OK(lm_engine_add_var(f->engine, "weight", 5));
    CHECK_FAILS(lm_compile(f->engine, f->graph, NULL, &program), LM_SHAPE);
    assert_non_null(strstr(lm_message(), "5 elements, the slice ends at 6"));
}

/* ---- inputs and outputs ------------------------------------------------------ */

static void test_inputs(void **state) {
    fixture *f = *state;
    lm_graph *g = f->graph;
    lm_node *x = lm_input(g, "image", LM_F32, LM_SHAPE(2, 3));
    lm_node *unused = lm_input(g, "label", LM_I32, LM_SHAPE(2));
    assert_non_null(unused);
    lm_graph_output(g, "twice", lm_scale(g, x, 2));
    lm_graph_output(g, "same", x);
    lm_graph_output(g, "total", lm_sum_all(g, x));
    lm_graph_output(g, "seven", lm_const(g, 7));
    lm_program *p = compile(f, g);
    assert_true(lm_program_has_input(p, "image"));
    assert_false(lm_program_has_input(p, "label"));

    const double values[] = {1, 2, 3, 4, 5, 6};
    CHECK_FAILS(lm_program_run(p), LM_ARG);
    assert_string_equal(lm_message(), "input 'image' was never set");
    CHECK_FAILS(lm_program_set(p, "image", LM_F64, values, 5), LM_SHAPE);
    assert_string_equal(lm_message(),
                        "input 'image' is f32[2,3]: 6 elements expected, 5 given");
    CHECK_FAILS(lm_program_set(p, "imgae", LM_F64, values, 6), LM_NOT_FOUND);
    assert_string_equal(lm_message(), "no input 'imgae' (did you mean 'image'?)");
    CHECK_OK(lm_program_set(p, "label", LM_F64, values, 2)); /* known, not needed */
    CHECK_OK(lm_program_set(p, "image", LM_F64, values, 6));

    double one;
    CHECK_FAILS(lm_program_get(p, "total", LM_F64, &one, 1), LM_ARG);
    assert_true(isnan(lm_program_scalar(p, "total")));
    for (int run = 0; run < 2; run++) { /* the input stays between runs */
        CHECK_OK(lm_program_run(p));
        check_output(p, "twice", (double[]){2, 4, 6, 8, 10, 12}, 6);
        check_output(p, "same", values, 6);
        assert_true(lm_program_scalar(p, "total") == 21);
        assert_true(lm_program_scalar(p, "seven") == 7);
    }
    assert_true(isnan(lm_program_scalar(p, "twice")));
    assert_true(isnan(lm_program_scalar(p, "absent")));
    CHECK_FAILS(lm_program_get(p, "twcie", LM_F64, &one, 1), LM_NOT_FOUND);
    assert_string_equal(lm_message(), "no output 'twcie' (did you mean 'twice'?)");
    lm_shape shape;
    CHECK_OK(lm_program_output_shape(p, "twice", &shape));
    assert_true(lm_shape_equal(shape, LM_SHAPE(2, 3)));
    CHECK_FAILS(lm_program_output_shape(p, "absent", &shape), LM_NOT_FOUND);
    lm_program_free(p);
}

/* Element types of the host and of the graph may differ both ways. */
static void test_conversions(void **state) {
    fixture *f = *state;
    lm_graph *g = f->graph;
    lm_node *rows = lm_param(g, "table", 0, LM_SHAPE(3, 2));
    lm_node *index = lm_input(g, "index", LM_I32, LM_SHAPE(2));
    lm_graph_output(g, "rows", lm_gather(g, rows, index));
    lm_graph_output(g, "mask", lm_lt(g, rows, lm_const_like(g, 3, rows)));
    add_var(f, "table", (double[]){1, 2, 3, 4, 5, 6}, 6);
    lm_program *p = compile(f, g);
    const uint8_t bytes[] = {2, 0};
    CHECK_OK(lm_program_set(p, "index", LM_U8, bytes, 2));
    CHECK_OK(lm_program_run(p));
    check_output(p, "rows", (double[]){5, 6, 1, 2}, 4);
    uint8_t mask[6];
    CHECK_OK(lm_program_get(p, "mask", LM_U8, mask, 6));
    assert_memory_equal(mask, ((uint8_t[]){1, 1, 0, 0, 0, 0}), 6);

    const int64_t outside[] = {0, 3};
    CHECK_OK(lm_program_set(p, "index", LM_I64, outside, 2));
    CHECK_FAILS(lm_program_run(p), LM_ARG);
    assert_non_null(strstr(lm_message(), "gather"));
    assert_non_null(strstr(lm_message(), "index 1 is 3, outside 0 to 2"));
    double one[4];
    CHECK_FAILS(lm_program_get(p, "rows", LM_F64, one, 4), LM_ARG);
    lm_program_free(p);
}

static void test_two_shapes(void **state) {
    fixture *f = *state;
    lm_graph *g = f->graph;
    lm_node *a = lm_input(g, "x", LM_F32, LM_SHAPE(2));
    lm_node *b = lm_input(g, "x", LM_F32, LM_SHAPE(3));
    if (lm_graph_status(g) != LM_OK) return; /* the graph itself may refuse */
    lm_graph_output(g, "y", lm_add(g, lm_sum_all(g, a), lm_sum_all(g, b)));
    lm_program *program;
    CHECK_FAILS(lm_compile(f->engine, g, NULL, &program), LM_ARG);
}

static void test_broken_graph(void **state) {
    fixture *f = *state;
    lm_graph *g = f->graph;
    lm_node *a = lm_input(g, "a", LM_F32, LM_SHAPE(2));
    lm_node *b = lm_input(g, "b", LM_F32, LM_SHAPE(3));
    lm_graph_output(g, "y", lm_add(g, a, b));
    lm_program *program;
    CHECK_FAILS(lm_compile(f->engine, g, NULL, &program), LM_SHAPE);
}

/* ---- assigns ----------------------------------------------------------------- */

/* Everything in a graph sees variables as they were before the run. */
static void test_assign_reads_old(void **state) {
    fixture *f = *state;
    lm_graph *g = f->graph;
    lm_node *p = lm_param(g, "p", 0, LM_SHAPE(3)), *q = lm_param(g, "q", 0, LM_SHAPE(3));
    lm_assign(g, p, lm_add_scalar(g, p, 1));
    lm_assign(g, q, lm_add(g, q, lm_scale(g, p, 10)));
    lm_graph_output(g, "sum", lm_add(g, p, q));
    add_var(f, "p", (double[]){1, 2, 3}, 3);
    add_var(f, "q", (double[]){0, 0, 0}, 3);
    lm_program *program = compile(f, g);
    CHECK_OK(lm_program_run(program));
    check_var(f, "p", (double[]){2, 3, 4}, 3);
    check_var(f, "q", (double[]){10, 20, 30}, 3);
    check_output(program, "sum", (double[]){1, 2, 3}, 3);
    CHECK_OK(lm_program_run(program));
    check_var(f, "p", (double[]){3, 4, 5}, 3);
    check_var(f, "q", (double[]){30, 50, 70}, 3);
    check_output(program, "sum", (double[]){12, 23, 34}, 3);
    lm_program_free(program);
}

static void test_exchange(void **state) {
    fixture *f = *state;
    lm_graph *g = f->graph;
    lm_node *p = lm_param(g, "p", 0, LM_SHAPE(2, 1)),
            *q = lm_param(g, "q", 0, LM_SHAPE(2));
    lm_assign(g, p, lm_reshape(g, q, LM_SHAPE(2, 1)));
    lm_assign(g, q, lm_reshape(g, p, LM_SHAPE(2)));
    add_var(f, "p", (double[]){1, 2}, 2);
    add_var(f, "q", (double[]){3, 4}, 2);
    lm_program *program = compile(f, g);
    CHECK_OK(lm_program_run(program));
    check_var(f, "p", (double[]){3, 4}, 2);
    check_var(f, "q", (double[]){1, 2}, 2);
    CHECK_OK(lm_program_run(program));
    check_var(f, "p", (double[]){1, 2}, 2);
    check_var(f, "q", (double[]){3, 4}, 2);
    lm_program_free(program);
}

/* Three in a ring, and slices of one variable that overlap what they are taken from. */
static void test_rotation(void **state) {
    fixture *f = *state;
    lm_graph *g = f->graph;
    const char *names[] = {"a", "b", "c"};
    lm_node *p[3];
    for (int i = 0; i < 3; i++) p[i] = lm_param(g, names[i], 0, LM_SCALAR);
    for (int i = 0; i < 3; i++) lm_assign(g, p[i], p[(i + 1) % 3]);
    lm_node *tail = lm_param(g, "line", 1, LM_SHAPE(4));
    lm_assign(g, tail, lm_param(g, "line", 0, LM_SHAPE(4)));
    for (int i = 0; i < 3; i++) add_var(f, names[i], (double[]){i + 1}, 1);
    add_var(f, "line", (double[]){1, 2, 3, 4, 5}, 5);
    lm_program *program = compile(f, g);
    CHECK_OK(lm_program_run(program));
    for (int i = 0; i < 3; i++) check_var(f, names[i], (double[]){(i + 1) % 3 + 1}, 1);
    check_var(f, "line", (double[]){1, 1, 2, 3, 4}, 5);
    lm_program_free(program);
}

/* Moving averages of what the same run computes, over slices of flat variables. */
static void test_flat_update(void **state) {
    fixture *f = *state;
    lm_graph *g = f->graph;
    lm_node *all = lm_param(g, "params", 0, LM_SHAPE(6));
    lm_node *w = lm_param(g, "params", 0, LM_SHAPE(2, 2));
    lm_node *b = lm_param(g, "params", 4, LM_SHAPE(2));
    lm_node *x = lm_input(g, "x", LM_F32, LM_SHAPE(1, 2));
    lm_node *y = lm_matmul_bias(g, x, w, b, false, false);
    lm_node *next = lm_scale(g, all, 0.5);
    lm_assign(g, all, next);
    lm_node *ema = lm_param(g, "ema", 0, LM_SHAPE(6));
    lm_assign(g, ema, lm_scale(g, lm_add(g, ema, next), 0.5));
    lm_graph_output(g, "y", y);
    add_var(f, "params", (double[]){2, 4, 6, 8, 10, 12}, 6);
    CHECK_OK(lm_engine_add_var(f->engine, "ema", 6));
    lm_program *program = compile(f, g);
    CHECK_OK(lm_program_set(program, "x", LM_F64, (double[]){1, 10}, 2));
    CHECK_OK(lm_program_run(program));
    check_output(program, "y", (double[]){72, 96}, 2);
    check_var(f, "params", (double[]){1, 2, 3, 4, 5, 6}, 6);
    check_var(f, "ema", (double[]){0.5, 1, 1.5, 2, 2.5, 3}, 6);
    CHECK_OK(lm_program_run(program));
    check_output(program, "y", (double[]){36, 48}, 2);
    lm_program_free(program);
}

/* ---- several programs -------------------------------------------------------- */

static lm_program *compile_chain(fixture *f, int64_t width, int length, bool update) {
    lm_graph *g;
    CHECK_OK(lm_graph_new(&g));
    lm_node *p = lm_param(g, "p", 0, LM_SHAPE(1));
    lm_node *x = lm_broadcast(g, p, LM_SHAPE(width));
    for (int i = 0; i < length; i++) x = lm_add(g, lm_reverse(g, x, 1), x);
    lm_graph_output(g, "y", x);
    if (update) lm_assign(g, p, lm_add_scalar(g, p, 1));
    lm_program *program = compile(f, g);
    lm_graph_free(g); /* the program keeps what it needs */
    return program;
}

static void test_shared_arena(void **state) {
    fixture *f = *state;
    add_var(f, "p", (double[]){1}, 1);
    lm_program *small = compile_chain(f, 3, 2, true);
    CHECK_OK(lm_program_run(small));
    int64_t variables, before, after;
    lm_engine_memory(f->engine, &variables, &before);
    lm_program *large = compile_chain(f, 1000, 3, false);
    check_output(small, "y", (double[]){4, 4, 4}, 3); /* until another one runs */
    CHECK_OK(lm_program_run(large));
    lm_engine_memory(f->engine, &variables, &after);
    assert_true(after > before);
    assert_true(after >= lm_program_get_stats(large).arena_bytes);
    double y[1000];
    CHECK_FAILS(lm_program_get(small, "y", LM_F64, y, 3), LM_ARG);
    CHECK_OK(lm_program_get(large, "y", LM_F64, y, 1000));
    for (int i = 0; i < 1000; i++) assert_true(y[i] == 16); /* p is 2 by now */
    CHECK_OK(lm_program_run(small)); /* finds its values again in the moved arena */
    check_output(small, "y", (double[]){8, 8, 8}, 3);
    lm_program_free(small);
    CHECK_OK(lm_program_run(large));
    CHECK_OK(lm_program_get(large, "y", LM_F64, y, 1000));
    assert_true(y[999] == 24);
    lm_program_free(large);
}

/* A run gives the same bits every time, and whatever ran in between. */
static void test_repeatable(void **state) {
    fixture *f = *state;
    lm_graph *g = f->graph;
    lm_node *key = lm_input(g, "key", LM_U32, LM_SHAPE(4));
    lm_node *noise = lm_normal(g, key, 3, LM_SHAPE(4, 33));
    lm_graph_output(g, "noise", lm_softmax(g, noise));
    lm_program *p = compile(f, g);
    const uint32_t words[] = {1, 2, 3, 4};
    CHECK_OK(lm_program_set(p, "key", LM_U32, words, 4));
    double first[132], again[132];
    CHECK_OK(lm_program_run(p));
    CHECK_OK(lm_program_get(p, "noise", LM_F64, first, 132));
    add_var(f, "p", (double[]){5}, 1);
    lm_program *other = compile_chain(f, 500, 2, true);
    CHECK_OK(lm_program_run(other));
    CHECK_OK(lm_program_run(p));
    CHECK_OK(lm_program_get(p, "noise", LM_F64, again, 132));
    assert_memory_equal(first, again, sizeof first);
    lm_program_free(other);
    lm_program_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        EXEC_TEST(test_backends),        EXEC_TEST(test_variables),
        EXEC_TEST(test_wrong_variables), EXEC_TEST(test_inputs),
        EXEC_TEST(test_conversions),     EXEC_TEST(test_two_shapes),
        EXEC_TEST(test_broken_graph),    EXEC_TEST(test_assign_reads_old),
        EXEC_TEST(test_exchange),        EXEC_TEST(test_rotation),
        EXEC_TEST(test_flat_update),     EXEC_TEST(test_shared_arena),
        EXEC_TEST(test_repeatable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
