/* Engines and programs. An engine is a backend with named variables and one arena that
 * all its programs share; a program is a compiled graph. One thread at a time. */
#ifndef LIMN_EXEC_EXEC_H
#define LIMN_EXEC_EXEC_H

#include "backend/backend.h"
#include "base/str.h"
#include "graph/graph.h"

typedef struct lm_engine lm_engine;
typedef struct lm_program lm_program;

/* backend: "cpu", "ref" or "null". */
lm_status lm_engine_new(const char *backend, lm_engine **engine);
void lm_engine_free(lm_engine *engine); /* after its programs */
/* How programs that are compiled from now on choose kernels. An unknown candidate is
 * LM_NOT_FOUND. */
lm_status lm_engine_configure(lm_engine *engine, const lm_backend_options *options);

/* Variables are flat f32 (f64 in ref) vectors, zero at first. Adding one that exists
 * with the same count is fine. */
lm_status lm_engine_add_var(lm_engine *engine, const char *name, int64_t count);
bool lm_engine_has_var(const lm_engine *engine, const char *name);
int64_t lm_engine_var_count(const lm_engine *engine, const char *name); /* -1: none */
lm_status lm_engine_write_var(lm_engine *engine, const char *name, int64_t offset,
                              int64_t count, lm_dtype dtype, const void *from);
lm_status lm_engine_read_var(lm_engine *engine, const char *name, int64_t offset,
                             int64_t count, lm_dtype dtype, void *to);
/* Bytes held for variables and for the shared arena. */
void lm_engine_memory(const lm_engine *engine, int64_t *variables, int64_t *arena);

typedef struct lm_compile_options {
    bool no_simplify, no_fuse, no_reorder, no_in_place, no_reuse; /* for tests */
    bool no_repeat;       /* for tests: keep cheap values until their last reader */
    int64_t repeat_least; /* bytes of the smallest that are made again; 0: 64 KB */
    bool inline_all;      /* no fused composite kernels */
    bool poison; /* fill freed memory with NaN at each run (debug builds: always) */
    bool check;  /* verify between passes and check the plan (debug: always) */
} lm_compile_options;

/* Compiles what the graph's roots need. The graph stays as it is and may be freed
 * afterwards. options may be NULL. Variables must have been added and be large enough.
 * All values of a run come from the variables as they were before it: p := q and q := p
 * in one graph exchange the two. Only an output that is a variable's slice itself shows
 * what the variable holds after the run. */
lm_status lm_compile(lm_engine *engine, lm_graph *graph,
                     const lm_compile_options *options, lm_program **program);
void lm_program_free(lm_program *program);

/* Inputs keep their content between runs; a run fails while one was never set. count must
 * be the input's element count. An input that the compiled graph has but its roots do not
 * need is accepted and ignored (lm_program_has_input tells); a name that it does not have
 * is LM_NOT_FOUND. */
lm_status lm_program_set(lm_program *program, const char *input, lm_dtype dtype,
                         const void *from, int64_t count);
bool lm_program_has_input(const lm_program *program, const char *input);
lm_status lm_program_run(lm_program *program);
/* Results of the latest run; valid until another program of this engine runs. */
lm_status lm_program_get(lm_program *program, const char *output, lm_dtype dtype,
                         void *to, int64_t count);
lm_status lm_program_output_shape(const lm_program *program, const char *output,
                                  lm_shape *shape);
double lm_program_scalar(lm_program *program, const char *output); /* NaN if absent */
/* The outputs in order of declaration; NULL beyond the last. */
const char *lm_program_output_name(const lm_program *program, int index);

/* Runs step by step, unfused and without the assigns, looking at every float value that
 * is read or made. *found false: all finite. Else the first bad one is described at the
 * end of `text` ("conv f32[..] at unet.in: 3 of 100 values are not finite"). Variables
 * and inputs stay as they are; results of an earlier run are lost. */
lm_status lm_program_find_nonfinite(lm_program *program, bool *found, lm_str *text);

typedef struct lm_program_stats {
    int n_nodes, n_steps, n_clusters;
    int64_t arena_bytes;     /* workspaces included */
    int64_t workspace_bytes; /* the largest of a step */
    int64_t constant_bytes;
    double compile_seconds;
    double flops, bytes; /* of one run, estimated */
} lm_program_stats;
lm_program_stats lm_program_get_stats(const lm_program *program);

/* Profile: while on, each step is timed. */
void lm_program_profile(lm_program *program, bool on);
/* kind: a composite or kind of node, or "fused add sigmoid .." of a cluster. label: the
 * layer that most of its nodes are from. */
typedef struct lm_profile_row {
    const char *kernel, *group, *kind, *label; /* owned by the program */
    int64_t runs;
    double seconds, flops, bytes; /* sums over runs */
} lm_profile_row;
/* A row per step that has something to run, in order of execution; lm_free'd by the
 * caller. */
lm_status lm_program_get_profile(lm_program *program, lm_profile_row **rows, int *count);

/* Rows of one or more programs, summed up. Starts as {0}. */
typedef struct lm_profile_sum {
    const char *name;
    int kernels;
    double seconds, backward; /* over all runs; backward: of these, in gradients */
    double flops, bytes;
} lm_profile_sum;
typedef struct lm_profile_table {
    lm_profile_sum *sums; /* the slowest first */
    int count, capacity;
} lm_profile_table;
typedef struct lm_profile {
    lm_profile_table kinds;  /* by kind and, where that says more, kernel */
    lm_profile_table layers; /* by label, gradients with their layer; "-": none */
    lm_profile_table groups; /* by the kernels' group */
    lm_profile_sum total;
    double program_seconds; /* of whole runs: kernels and what is between them */
    int64_t steps;          /* runs and seconds of what the caller calls a step, */
    double step_seconds;    /* kept here for reports; lm_profile_add leaves them alone */
    lm_arena names;
} lm_profile;
lm_status lm_profile_add(lm_profile *profile, lm_program *program);
void lm_profile_release(lm_profile *profile);

/* The schedule with places and kernels, a line per step. */
lm_status lm_program_print(const lm_program *program, lm_str *out);
/* What is in the arena at the (last) step at which most of it is in use: a line a value
 * or workspace, the largest first. */
lm_status lm_program_print_memory(const lm_program *program, lm_str *out);

#endif
