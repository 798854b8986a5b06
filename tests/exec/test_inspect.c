/* Versions that kernels see, the search for bad numbers, profiles, listings. */
#include "exec/exec_internal.h"
#include "exec/fixture.h"
#include <math.h>
#include <string.h>

/* ---- versions ---------------------------------------------------------------- */

/* Stands between the engine and the reference backend's matmul and notes what its second
 * source's version is. */
static struct {
    lm_status (*lower)(lm_backend *backend, const lm_step *step, lm_kernel *kernel);
    lm_status (*run)(lm_kernel *kernel, const lm_kernel_args *args);
    uint64_t seen[2];
} spy;

static lm_status spy_run(lm_kernel *kernel, const lm_kernel_args *args) {
    spy.seen[0] = args->version[0];
    spy.seen[1] = args->version[1];
    return spy.run(kernel, args);
}

static lm_status spy_lower(lm_backend *backend, const lm_step *step, lm_kernel *kernel) {
    LM_TRY(spy.lower(backend, step, kernel));
    if (step->nodes[0]->kind != LM_KIND_MATMUL) return LM_OK;
    spy.run = kernel->run;
    kernel->run = spy_run;
    return LM_OK;
}

static lm_program *compile_product(fixture *f, lm_node *a, lm_node *b) {
    spy.lower = f->engine->backend->lower;
    f->engine->backend->lower = spy_lower;
    lm_graph_output(f->graph, "y", lm_matmul(f->graph, a, b, false, false));
    lm_program *program;
    CHECK_OK(lm_compile(f->engine, f->graph, NULL, &program));
    return program;
}

static void test_versions(void **state) {
    fixture *f = *state;
    lm_graph *g = f->graph;
    add_var(f, "w", (double[]){1, 2, 3, 4, 0}, 5);
    lm_node *flat = lm_param(g, "w", 0, LM_SHAPE(4));
    lm_node *x = lm_input(g, "x", LM_F32, LM_SHAPE(1, 2));
    lm_node *last = lm_param(g, "w", 4, LM_SHAPE(1));
    lm_assign(g, last, lm_add_scalar(g, last, 1));
    lm_program *p = compile_product(f, x, lm_reshape(g, flat, LM_SHAPE(2, 2)));
    CHECK_OK(lm_program_set(p, "x", LM_F64, (double[]){1, 1}, 2));
    CHECK_OK(lm_program_run(p));
    assert_true(spy.seen[0] == 0); /* inputs may change at any run */
    uint64_t first = spy.seen[1];
    assert_true(first > 0);
    CHECK_OK(lm_program_run(p)); /* the first run wrote to the variable */
    assert_true(spy.seen[1] != first);
    lm_program_free(p);
}

static void test_versions_stay(void **state) {
    fixture *f = *state;
    lm_graph *g = f->graph;
    add_var(f, "w", (double[]){1, 2, 3, 4}, 4);
    const float table[] = {1, 2, 3, 4};
    lm_node *constant = lm_const_data(g, LM_F32, LM_SHAPE(2, 2), table);
    lm_program *p = compile_product(f, constant, lm_param(g, "w", 0, LM_SHAPE(2, 2)));
    CHECK_OK(lm_program_run(p));
    assert_true(spy.seen[0] > 0);
    uint64_t before[2] = {spy.seen[0], spy.seen[1]};
    CHECK_OK(lm_program_run(p));
    assert_memory_equal(spy.seen, before, sizeof before);
    CHECK_OK(lm_engine_write_var(f->engine, "w", 0, 1, LM_F64, (double[]){5}));
    CHECK_OK(lm_program_run(p));
    assert_true(spy.seen[0] == before[0]);
    assert_true(spy.seen[1] != before[1]);
    lm_program_free(p);
}

/* A value that the plan computes right in a variable changes at every run. */
static void test_versions_in_place(void **state) {
    fixture *f = *state;
    lm_graph *g = f->graph;
    add_var(f, "w", (double[]){1, 2, 3, 4}, 4);
    lm_node *w = lm_param(g, "w", 0, LM_SHAPE(2, 2)), *next = lm_scale(g, w, 2);
    lm_assign(g, w, next);
    lm_node *x = lm_input(g, "x", LM_F32, LM_SHAPE(1, 2));
    lm_program *p = compile_product(f, x, next);
    CHECK_OK(lm_program_set(p, "x", LM_F64, (double[]){1, 1}, 2));
    CHECK_OK(lm_program_run(p));
    assert_true(spy.seen[1] == 0);
    lm_program_free(p);
}

/* ---- bad numbers ------------------------------------------------------------- */

/* w := w - log(x) with a matrix product between; `scoped` names for messages. */
static lm_program *compile_update(fixture *f) {
    lm_graph *g = f->graph;
    lm_node *w = lm_param(g, "w", 0, LM_SHAPE(3));
    lm_node *x = lm_input(g, "x", LM_F32, LM_SHAPE(3));
    lm_scope_push(g, "net.in");
    lm_node *logs = lm_log(g, x);
    lm_scope_pop(g);
    lm_node *moved = lm_mul(g, logs, w);
    lm_assign(g, w, lm_sub(g, w, moved));
    lm_graph_output(g, "loss", lm_sum_all(g, moved));
    add_var(f, "w", (double[]){1, 2, 3}, 3);
    lm_program *program;
    CHECK_OK(lm_compile(f->engine, g, NULL, &program));
    return program;
}

static void test_nonfinite(void **state) {
    fixture *f = *state;
    lm_program *p = compile_update(f);
    lm_str text = LM_STR_INIT;
    bool found = true;
    CHECK_FAILS(lm_program_find_nonfinite(p, &found, &text), LM_ARG); /* x is not set */
    CHECK_OK(lm_program_set(p, "x", LM_F64, (double[]){1, 2, 3}, 3));
    CHECK_OK(lm_program_find_nonfinite(p, &found, &text));
    assert_false(found);
    assert_string_equal(lm_str_text(&text), "");
    CHECK_OK(lm_program_set(p, "x", LM_F64, (double[]){1, -2, 0}, 3));
    for (int again = 0; again < 2; again++) {
        lm_str_clear(&text);
        CHECK_OK(lm_program_find_nonfinite(p, &found, &text));
        assert_true(found);
        assert_string_equal(lm_str_text(&text),
                            "log f32[3] at net.in: 2 of 3 values are not finite");
    }
    double w[3];
    CHECK_OK(lm_engine_read_var(f->engine, "w", 0, 3, LM_F64, w));
    assert_memory_equal(w, ((double[]){1, 2, 3}), sizeof w);
    lm_str_release(&text);
    lm_program_free(p);
}

static void test_nonfinite_leaf(void **state) {
    fixture *f = *state;
    lm_program *p = compile_update(f);
    lm_str text = LM_STR_INIT;
    bool found;
    CHECK_OK(lm_program_set(p, "x", LM_F64, (double[]){1, 2, NAN}, 3));
    CHECK_OK(lm_program_find_nonfinite(p, &found, &text));
    assert_true(found);
    assert_non_null(strstr(lm_str_text(&text), "input"));
    assert_non_null(strstr(lm_str_text(&text), "1 of 3 values are not finite"));
    lm_str_clear(&text);
    CHECK_OK(lm_program_set(p, "x", LM_F64, (double[]){1, 2, 3}, 3));
    CHECK_OK(lm_engine_write_var(f->engine, "w", 1, 1, LM_F64, (double[]){INFINITY}));
    CHECK_OK(lm_program_find_nonfinite(p, &found, &text));
    assert_true(found);
    assert_non_null(strstr(lm_str_text(&text), "param"));
    lm_str_release(&text);
    lm_program_free(p);
}

/* ---- profile and listing ----------------------------------------------------- */

static void test_profile(void **state) {
    fixture *f = *state;
    lm_program *p = compile_update(f);
    CHECK_OK(lm_program_set(p, "x", LM_F64, (double[]){1, 2, 3}, 3));
    CHECK_OK(lm_program_run(p));
    lm_program_profile(p, true);
    CHECK_OK(lm_program_run(p));
    CHECK_OK(lm_program_run(p));
    lm_program_profile(p, false);
    CHECK_OK(lm_program_run(p));
    lm_profile_row *rows;
    int count, logs = 0;
    CHECK_OK(lm_program_get_profile(p, &rows, &count));
    assert_true(count >= 4 && count <= lm_program_get_stats(p).n_steps);
    for (int i = 0; i < count; i++) {
        assert_int_equal(rows[i].runs, 2);
        assert_true(rows[i].seconds >= 0);
        assert_true(rows[i].bytes > 0);
        assert_string_equal(rows[i].group, "ref");
        logs += !strcmp(rows[i].label, "net.in") && !strcmp(rows[i].kind, "ew");
    }
    assert_int_equal(logs, 1);
    lm_free(rows);
    lm_program_free(p);
}

static void test_listing(void **state) {
    fixture *f = *state;
    lm_program *p = compile_update(f);
    lm_program_stats stats = lm_program_get_stats(p);
    assert_int_equal(stats.n_clusters, 0);
    assert_true(stats.arena_bytes > 0);
    assert_true(stats.compile_seconds >= 0);
    lm_str text = LM_STR_INIT;
    CHECK_OK(lm_program_print(p, &text));
    int lines = 0;
    for (const char *c = lm_str_text(&text); *c; c++) lines += *c == '\n';
    assert_int_equal(lines, stats.n_steps);
    assert_non_null(strstr(lm_str_text(&text), "log f32[3] at net.in -> arena+"));
    assert_non_null(strstr(lm_str_text(&text), "-> var w+0"));
    lm_str_release(&text);
    lm_program_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        EXEC_TEST(test_versions),          EXEC_TEST(test_versions_stay),
        EXEC_TEST(test_versions_in_place), EXEC_TEST(test_nonfinite),
        EXEC_TEST(test_nonfinite_leaf),    EXEC_TEST(test_profile),
        EXEC_TEST(test_listing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
