/* Memory that runs out at every possible moment: a clean status and nothing left over. */
#include "base/mem.h"
#include "network.h"
#include "testing.h"

static const network tiny = {1, 4, 2, 1};

static lm_status use_program(lm_engine *engine, lm_graph *graph) {
    lm_program *program;
    LM_TRY(lm_compile(engine, graph, NULL, &program));
    double loss;
    bool found;
    lm_str text = LM_STR_INIT;
    lm_status status = network_set_inputs(&tiny, program);
    if (status == LM_OK) status = lm_program_run(program);
    if (status == LM_OK) status = lm_program_get(program, "loss", LM_F64, &loss, 1);
    if (status == LM_OK) status = lm_program_find_nonfinite(program, &found, &text);
    if (status == LM_OK) status = lm_program_print(program, &text);
    lm_str_release(&text);
    lm_program_free(program);
    return status;
}

static lm_status use_graph(lm_engine *engine) {
    lm_graph *graph;
    LM_TRY(lm_graph_new(&graph));
    network_build(&tiny, graph);
    lm_status status = use_program(engine, graph);
    lm_graph_free(graph);
    return status;
}

static lm_status use_all(const char *backend) {
    lm_engine *engine;
    LM_TRY(lm_engine_new(backend, &engine));
    lm_status status = network_add_vars(&tiny, engine);
    if (status == LM_OK) status = use_graph(engine);
    lm_engine_free(engine);
    return status;
}

static void check_faults(const char *backend, bool sticky) {
    int64_t blocks = lm_mem_get_stats().blocks;
    CHECK_OK(use_all(backend));
    lm_mem_fail_at(0, 0);
    for (int64_t n = 1;; n++) {
        lm_mem_fail_at(n, sticky);
        lm_status status = use_all(backend);
        int64_t made = lm_mem_fail_at(0, 0);
        assert_int_equal(lm_mem_get_stats().blocks, blocks);
        if (made < n) {
            CHECK_OK(status);
            return;
        }
        if (status != LM_NOMEM)
            fail_msg("%s, allocation %lld of %lld: %s (%s)", backend, (long long)n,
                     (long long)made, lm_status_name(status), lm_message());
    }
}

static void test_ref_once(void **state) {
    check_faults("ref", false);
}

static void test_ref_from_then_on(void **state) {
    check_faults("ref", true);
}

static void test_null_from_then_on(void **state) {
    check_faults("null", true);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ref_once),
        cmocka_unit_test(test_ref_from_then_on),
        cmocka_unit_test(test_null_from_then_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
