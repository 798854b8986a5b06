/* What the arena holds at its peak. */
#include "exec/fixture.h"
#include <string.h>

static char *memory_of(lm_program *program, lm_str *text) {
    CHECK_OK(lm_program_print_memory(program, text));
    return (char *)lm_str_text(text);
}

/* A value for later stays through a chain whose middle is wide. The reference
 * backend keeps 8 bytes an element. */
static void test_peak(void **state) {
    fixture *f = *state;
    lm_graph *g = f->graph;
    static const double zeros[100];
    add_var(f, "x", zeros, 100);
    lm_node *x = lm_param(g, "x", 0, LM_SHAPE(10, 10));
    lm_node *wide = lm_input(g, "wide", LM_F32, LM_SHAPE(10, 1000));
    lm_scope_push(g, "early");
    lm_node *kept = lm_matmul(g, x, x, false, false);
    lm_scope_pop(g);
    lm_scope_push(g, "middle");
    lm_node *large = lm_matmul(g, kept, wide, false, false);
    lm_scope_pop(g);
    lm_node *small = lm_matmul(g, large, wide, false, true);
    lm_graph_output(g, "y", lm_matmul(g, small, kept, false, false));
    lm_program *p;
    CHECK_OK(lm_compile(f->engine, g, NULL, &p));
    lm_str text = LM_STR_INIT;
    const char *listing = memory_of(p, &text);
    /* kept, large and small at the step that makes small: 800 + 80,000 + 800
     * bytes. */
    assert_non_null(strstr(listing, "0.082 MB of an arena of "));
    assert_non_null(strstr(listing, "in use at step 2 of 4\n    0.080 MB  steps 1 to 2  "
                                    "matmul f32[10,1000] at middle\n"));
    assert_non_null(
        strstr(listing, "0.001 MB  steps 0 to 3  matmul f32[10,10] at early"));
    lm_str_release(&text);
    lm_program_free(p);
}

/* Parts that are made inside a concatenation count once; results may live to
 * the end. */
static void test_shared_memory(void **state) {
    fixture *f = *state;
    lm_graph *g = f->graph;
    lm_node *x = lm_input(g, "x", LM_F32, LM_SHAPE(100, 100));
    lm_node *parts[] = {lm_matmul(g, x, x, false, false),
                        lm_matmul(g, x, x, true, false)};
    lm_graph_output(g, "y", lm_concat(g, parts, 2, 0));
    lm_program *p;
    CHECK_OK(lm_compile(f->engine, g, NULL, &p));
    lm_str text = LM_STR_INIT;
    const char *listing = memory_of(p, &text);
    assert_non_null(strstr(listing, "0.160 MB of an arena of 0.160 MB"));
    assert_non_null(strstr(listing, "0.160 MB  steps 2 to the end  concat f32[200,100]"));
    assert_null(strstr(listing, "matmul"));
    lm_str_release(&text);
    lm_program_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {EXEC_TEST(test_peak),
                                       EXEC_TEST(test_shared_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
