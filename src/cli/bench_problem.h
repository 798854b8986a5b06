/* Problem files of `limn bench ops`: one operator with its shape a line. */
#ifndef LIMN_CLI_BENCH_PROBLEM_H
#define LIMN_CLI_BENCH_PROBLEM_H

#include "graph/graph.h"

/* A line "conv n=64 h=32 w=32 c=64 k=64 kernel=3 pad=1 pass=dgrad" as a graph: f32 inputs
 * to outputs. LM_ARG failures name the key or the operator. */
lm_status bench_problem_build(const char *line, lm_graph **graph);

/* All operators with their keys, for help. */
void bench_problem_help(lm_str *out);

/* Calls `use` for each problem of a file: spaces trimmed, without comments (from # on)
 * and empty lines. Failures, also those of `use`, have FILE:LINE in front. */
typedef lm_status bench_problem_use(void *user, const char *line);
lm_status bench_problem_read(const char *path, bench_problem_use *use, void *user);

#endif
