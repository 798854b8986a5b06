/* What the files of this room share. */
#ifndef LIMN_EXEC_INTERNAL_H
#define LIMN_EXEC_INTERNAL_H

#include "backend/backend.h"
#include "exec/exec.h"
#include "passes/plan.h"

typedef struct lm_variable {
    char *name;
    int64_t count;
    void *memory;
    uint64_t version; /* from 1; goes up with every write */
} lm_variable;

struct lm_engine {
    lm_backend *backend;
    lm_variable *vars;
    int n_vars, capacity;
    void *arena;
    int64_t arena_bytes;
    uint64_t arena_generation; /* goes up when the arena moves */
    lm_program *latest;        /* whose results the arena holds, or NULL */
};

/* An input's value, between runs too. */
typedef struct lm_input_slot {
    lm_node *node;
    void *memory;
    bool is_set;
} lm_input_slot;

/* A step ready to run. `versions_of` tells for each input where its version comes from: a
 * variable of the engine, or one of the two below. */
enum { LM_CHANGES_ALWAYS = -1, LM_CHANGES_NEVER = -2 };
typedef struct lm_bound_step {
    const void **in;
    uint64_t *version;
    int *versions_of;
    void **out;
    void *workspace;
    double seconds; /* while profiling */
    int64_t runs;
    const char *kind; /* in profiles; NULL: not asked for yet */
} lm_bound_step;

struct lm_program {
    lm_engine *engine;
    lm_program *parent; /* of a probe: the program whose inputs it reads */
    lm_program *probe;  /* made by the first lm_program_find_nonfinite */
    lm_compile_options options;
    lm_arena memory; /* the tables below */
    lm_graph *graph; /* after all passes */
    lm_schedule schedule;
    lm_plan plan;
    lm_kernel *kernels; /* by step */
    int n_kernels;      /* lowered so far */
    int n_nodes;
    int *variable;          /* by variable of the graph: the engine's */
    bool *is_assigned;      /* by variable of the graph */
    lm_input_slot **inputs; /* by input of the plan */
    void **constants;       /* by constant of the plan */
    const char **declared;  /* inputs that the caller's graph had; NULL at the end */
    lm_named_node *outputs; /* of the graph, without assigns */
    int n_outputs;
    lm_bound_step *bound; /* by step */
    uint64_t bound_to;    /* the arena's generation; 0: not yet */
    lm_node **dying;      /* by step: the first of its dying values; when poisoning */
    lm_node **next_dying; /* by node: the one after it */
    bool profiling;
    double seconds; /* of whole runs while profiling */
    double compile_seconds;
    int64_t constant_bytes;
};

/* ---- engine.c ---------------------------------------------------------------- */

int lm_engine_find_var(const lm_engine *engine, const char *name); /* -1: none */
/* "no variable 'x' (did you mean 'y'?)", LM_NOT_FOUND. */
lm_status lm_engine_no_var(const lm_engine *engine, const char *name);
/* The same about any kind of thing; candidates end with NULL. */
lm_status lm_fail_unknown(const char *what, const char *name,
                          const char *const *candidates);
/* Makes the arena large enough. Its content is lost when it has to grow. */
lm_status lm_engine_reserve(lm_engine *engine, int64_t bytes);
/* Zeroed; records LM_NOMEM's message. */
lm_status lm_engine_alloc(lm_engine *engine, lm_dtype dtype, int64_t count,
                          void **memory);
void lm_engine_dealloc(lm_engine *engine, void *memory);
size_t lm_engine_size(const lm_engine *engine, lm_dtype dtype, int64_t count);
/* Sets every element to one number. */
void lm_engine_fill(lm_engine *engine, void *memory, lm_dtype dtype, int64_t count,
                    double value);

/* ---- compile.c --------------------------------------------------------------- */

/* The whole of lm_compile; `parent` only for a probe. */
lm_status lm_program_build(lm_engine *engine, lm_graph *graph,
                           const lm_compile_options *options, lm_program *parent,
                           lm_program **program);

/* ---- bind.c ------------------------------------------------------------------ */

/* Finds the engine's variable of each of the graph's and checks that slices fit. */
lm_status lm_program_find_vars(lm_program *program);
/* Gives inputs and constants their memory and lists the outputs. */
lm_status lm_program_place(lm_program *program);
void lm_program_unplace(lm_program *program);
/* Allocates the tables of arguments of every step. */
lm_status lm_program_make_steps(lm_program *program);
/* Where a value that is in memory lies now. */
void *lm_program_address(const lm_program *program, const lm_node *node);
/* Fills in all pointers, after the arena moved. */
void lm_program_bind(lm_program *program);

/* ---- poison.c ---------------------------------------------------------------- */

/* Lists for each step the values whose memory holds nothing of use after it. */
lm_status lm_program_list_dying(lm_program *program);
void lm_program_poison_all(lm_program *program);
void lm_program_poison_after(lm_program *program, int step);

/* ---- program.c --------------------------------------------------------------- */

/* Reserves and binds memory, checks that every input is set. */
lm_status lm_program_begin(lm_program *program);
lm_status lm_program_run_step(lm_program *program, int step);
/* lm_fail_context with the node's text. */
lm_status lm_fail_at_node(lm_status status, const lm_node *node);

#endif
