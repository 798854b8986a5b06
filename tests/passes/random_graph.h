/* Random programs: small graphs of many kinds, which every pass, backend and option must
 * run alike. Values stay within a few units, and nothing jumps where rounding decides, so
 * that results can be compared closely. */
#ifndef LIMN_TESTS_RANDOM_GRAPH_H
#define LIMN_TESTS_RANDOM_GRAPH_H

#include "exec/exec.h"

/* Variables that the graphs read and assign, and their lengths. */
enum { RANDOM_VARS = 2, RANDOM_VAR_COUNT = 96 };
extern const char *const random_vars[RANDOM_VARS];

/* The graph of a seed: about n_nodes operations, inputs "x0".."x2" and "key", outputs
 * "y0".., several assigns. The caller frees it. */
lm_status random_graph_new(uint64_t seed, int n_nodes, lm_graph **graph);

/* Everything that running it changes: outputs and variables. */
typedef struct random_result {
    double *values;
    int64_t count;
} random_result;

/* Compiles and runs it `runs` times on a backend. Free values with free(). */
lm_status random_graph_run(lm_graph *graph, const char *backend,
                           const lm_compile_options *options, int runs,
                           random_result *result);

/* Largest |a - b| / max(1, |b|); infinity where one is NaN or lengths differ. */
double random_result_distance(const random_result *a, const random_result *b);

#endif
