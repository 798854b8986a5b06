/* An engine on the reference backend and an empty graph, for each test anew. */
#ifndef LIMN_TESTS_EXEC_FIXTURE_H
#define LIMN_TESTS_EXEC_FIXTURE_H

#include "base/mem.h"
#include "exec/exec.h"
#include "testing.h"

typedef struct fixture {
    lm_engine *engine;
    lm_graph *graph;
    int64_t blocks;
} fixture;

static int setup(void **state) {
    static fixture f;
    f.blocks = lm_mem_get_stats().blocks;
    CHECK_OK(lm_engine_new("ref", &f.engine));
    CHECK_OK(lm_graph_new(&f.graph));
    *state = &f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    lm_graph_free(f->graph);
    lm_engine_free(f->engine);
    assert_int_equal(lm_mem_get_stats().blocks, f->blocks);
    return 0;
}

#define EXEC_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static void add_var(fixture *f, const char *name, const double *values, int64_t count) {
    CHECK_OK(lm_engine_add_var(f->engine, name, count));
    CHECK_OK(lm_engine_write_var(f->engine, name, 0, count, LM_F64, values));
}

#endif
