/* One network through every combination of options, and on the null backend. */
#include "base/mem.h"
#include "network.h"
#include "testing.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static const network small = {2, 6, 4, 2};

typedef struct results {
    double loss[3], norm[3], logits[10];
    double params[1024];
} results;

static lm_compile_options options_of(int bits) {
    return (lm_compile_options){
        .no_simplify = bits & 1,
        .no_fuse = bits & 2,
        .no_reorder = bits & 4,
        .no_in_place = bits & 8,
        .no_reuse = bits & 16,
        .inline_all = bits & 2,
        .poison = true,
        .check = true,
    };
}

static void train(const char *backend, const lm_compile_options *options, results *got,
                  bool search) {
    lm_engine *engine;
    lm_graph *graph;
    lm_program *program;
    CHECK_OK(lm_engine_new(backend, &engine));
    CHECK_OK(lm_graph_new(&graph));
    network_build(&small, graph);
    CHECK_OK(lm_graph_status(graph));
    CHECK_OK(network_add_vars(&small, engine));
    CHECK_OK(lm_compile(engine, graph, options, &program));
    CHECK_OK(network_set_inputs(&small, program));
    for (int run = 0; run < 3; run++) {
        lm_str text = LM_STR_INIT;
        bool found = false;
        if (search) CHECK_OK(lm_program_find_nonfinite(program, &found, &text));
        if (found) fail_msg("%s", lm_str_text(&text));
        CHECK_OK(lm_program_run(program));
        got->loss[run] = lm_program_scalar(program, "loss");
        got->norm[run] = lm_program_scalar(program, "norm");
    }
    CHECK_OK(lm_program_get(program, "logits", LM_F64, got->logits, 10));
    int64_t count = network_params(&small);
    assert_true(count <= 1024);
    memset(got->params, 0, sizeof got->params);
    CHECK_OK(lm_engine_read_var(engine, "params", 0, count, LM_F64, got->params));
    lm_program_free(program);
    lm_graph_free(graph);
    lm_engine_free(engine);
}

static void compare(const results *got, const results *want, int bits) {
    const double *a = got->loss, *b = want->loss;
    size_t count = sizeof *got / sizeof *a;
    for (size_t i = 0; i < count; i++)
        if (!(fabs(a[i] - b[i]) <= 1e-11 * fmax(1, fabs(b[i]))))
            fail_msg("options 0x%x, result %zu: got %.17g, wanted %.17g", (unsigned)bits,
                     i, a[i], b[i]);
}

static void test_options(void **state) {
    static results plain, got;
    lm_compile_options all_off = options_of(31);
    train("ref", &all_off, &plain, false);
    assert_true(isfinite(plain.loss[0]) && plain.norm[0] > 0);
    assert_true(plain.loss[2] < plain.loss[0]); /* it does train */
    for (int bits = 0; bits < 31; bits++) {
        lm_compile_options options = options_of(bits);
        train("ref", &options, &got, false);
        compare(&got, &plain, bits);
    }
    train("ref", NULL, &got, false);
    compare(&got, &plain, -1);
}

/* Looking for bad numbers between runs changes nothing. */
static void test_search_is_harmless(void **state) {
    static const char *const backends[] = {"ref", "cpu"};
    static results plain, got;
    for (int i = 0; i < 2; i++) {
        train(backends[i], NULL, &plain, false);
        train(backends[i], NULL, &got, true);
        assert_memory_equal(&got, &plain, sizeof got);
    }
}

static lm_program_stats plan_large(const lm_compile_options *options) {
    static const network large = {64, 32, 64, 12};
    lm_engine *engine;
    lm_graph *graph;
    lm_program *program;
    CHECK_OK(lm_engine_new("null", &engine));
    CHECK_OK(lm_graph_new(&graph));
    network_build(&large, graph);
    CHECK_OK(lm_engine_add_var(engine, "params", network_params(&large)));
    CHECK_OK(lm_engine_add_var(engine, "momentum", network_params(&large)));
    CHECK_OK(lm_compile(engine, graph, options, &program));
    CHECK_OK(network_set_inputs(&large, program));
    CHECK_OK(lm_program_run(program));
    assert_true(lm_program_scalar(program, "loss") == 0); /* nothing is computed */
    lm_program_stats stats = lm_program_get_stats(program);
    lm_program_free(program);
    lm_graph_free(graph);
    lm_engine_free(engine);
    return stats;
}

/* The null backend plans a network whose values would take gigabytes, without them. */
static void test_null(void **state) {
    lm_compile_options wasteful = {
        .no_in_place = true, .no_reuse = true, .no_fuse = true};
    lm_mem_reset_peak();
    lm_program_stats fused = plan_large(NULL), plain = plan_large(&wasteful);
    assert_true(fused.n_clusters > 0);
    assert_int_equal(plain.n_clusters, 0);
    assert_true(fused.n_steps < plain.n_steps);
    assert_true(fused.arena_bytes * 2 < plain.arena_bytes);
    assert_true(plain.arena_bytes > (int64_t)2 << 30);
    assert_true(lm_mem_get_stats().peak < (int64_t)256 << 20);
    printf("# null: %d nodes, %d steps, %d clusters, arena %.0f MB of %.0f MB, %.0f ms\n",
           fused.n_nodes, fused.n_steps, fused.n_clusters,
           (double)fused.arena_bytes * 1e-6, (double)plain.arena_bytes * 1e-6,
           1e3 * fused.compile_seconds);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_search_is_harmless),
        cmocka_unit_test(test_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
