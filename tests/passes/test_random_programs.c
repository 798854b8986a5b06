/* Whatever passes are on or off, a program computes the same. */
#include "random_graph.h"
#include "testing.h"
#include <math.h>

static lm_graph *make(uint64_t seed, int n_nodes) {
    lm_graph *graph;
    CHECK_OK(random_graph_new(seed, n_nodes, &graph));
    return graph;
}

static lm_compile_options subset(unsigned bits) {
    return (lm_compile_options){.no_simplify = bits & 1,
                                .no_fuse = bits >> 1 & 1,
                                .no_reorder = bits >> 2 & 1,
                                .no_in_place = bits >> 3 & 1,
                                .no_reuse = bits >> 4 & 1,
                                .inline_all = bits >> 5 & 1,
                                .no_repeat = bits >> 6 & 1,
                                .repeat_least = 1,
                                .poison = true,
                                .check = true};
}

enum { ALL_OFF = 31 | 64, ALL_ON = 0 };

static void compare(lm_graph *graph, const random_result *want, const char *backend,
                    unsigned bits, double tolerance, uint64_t seed) {
    lm_compile_options options = subset(bits);
    random_result got;
    lm_status status = random_graph_run(graph, backend, &options, 2, &got);
    if (status != LM_OK)
        fail_msg("seed %d on %s without %x: %s", (int)seed, backend, bits, lm_message());
    double distance = random_result_distance(&got, want);
    if (!(distance <= tolerance))
        fail_msg("seed %d on %s without %x: off by %g", (int)seed, backend, bits,
                 distance);
    free(got.values);
}

static random_result oracle(lm_graph *graph) {
    lm_compile_options options = subset(ALL_OFF);
    random_result result;
    CHECK_OK(random_graph_run(graph, "ref", &options, 2, &result));
    return result;
}

static void test_every_subset(void **state) {
    for (uint64_t seed = 1; seed <= 25; seed++) {
        lm_graph *graph = make(seed, 40);
        random_result want = oracle(graph);
        for (unsigned bits = 0; bits < 128; bits++)
            compare(graph, &want, "ref", bits, 1e-12, seed);
        free(want.values);
        lm_graph_free(graph);
    }
}

static void test_many_graphs(void **state) {
    for (uint64_t seed = 1000; seed < 1400; seed++) {
        lm_graph *graph = make(seed, 10 + (int)(seed % 60));
        random_result want = oracle(graph);
        compare(graph, &want, "ref", ALL_ON, 1e-12, seed);
        free(want.values);
        lm_graph_free(graph);
    }
}

/* Clusters exist on this backend only. */
static void test_clusters_on_cpu(void **state) {
    for (uint64_t seed = 1; seed <= 300; seed++) {
        lm_graph *graph = make(seed, 10 + (int)(seed % 60));
        random_result want = oracle(graph);
        compare(graph, &want, "cpu", ALL_ON, 2e-5, seed);
        compare(graph, &want, "cpu", seed % 128, 2e-5, seed);
        free(want.values);
        lm_graph_free(graph);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_subset),
        cmocka_unit_test(test_many_graphs),
        cmocka_unit_test(test_clusters_on_cpu),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
