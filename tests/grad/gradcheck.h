/* Checks of gradients against differences, in f64 on the reference backend.
 *
 * A case builds one op over inputs that it asks for here; the checks need no more. */
#ifndef LIMN_TESTS_GRADCHECK_H
#define LIMN_TESTS_GRADCHECK_H

#include "graph/graph.h"
#include "tensor/philox.h"

#define GC_MAX_INPUTS 12

typedef enum gc_table { GC_KIND, GC_EW, GC_COMPOSITE, GC_MODEL } gc_table;

/* A value that the graph is given. Active ones are differentiated. */
typedef struct gc_input {
    char name[16];
    lm_node *node;
    lm_dtype dtype;        /* of `value` */
    int64_t count, offset; /* offset: in the variable, for parameters */
    bool active, is_param;
    void *value; /* f64 or i32 */
} gc_input;

/* A case under construction. */
typedef struct gc {
    lm_graph *graph;
    lm_rng rng;
    gc_input input[GC_MAX_INPUTS];
    int n_inputs;
    int64_t var_count;
} gc;

typedef struct gc_case gc_case;
struct gc_case {
    gc_table table;
    int op; /* lm_kind, lm_ew or lm_composite; models: 0 */
    const char *name;
    /* Composites: returns the call itself. */
    lm_node *(*build)(gc *t, const gc_case *c);
    double lo, hi, value;
    int i[4];
    const void *param;
    bool no_gradient; /* every gradient is a symbolic zero */
};

/* The cases of each file, ended by a row without builder. */
extern const gc_case gc_cases_ew[], gc_cases_kinds[], gc_cases_composite[],
    gc_cases_models[];

/* Active inputs: uniform in [lo, hi); a shuffled grid around 0 of this spacing, without 0
 * and ties (for ops with kinks); a slice of a variable. */
lm_node *gc_float(gc *t, lm_shape shape, double lo, double hi);
lm_node *gc_distinct(gc *t, lm_shape shape, double spacing);
lm_node *gc_param(gc *t, lm_shape shape, double lo, double hi);
/* Inactive ones. */
lm_node *gc_fixed(gc *t, lm_shape shape, double lo, double hi);
lm_node *gc_integers(gc *t, lm_dtype dtype, lm_shape shape, int32_t below);

/* Each runs one check of the case and fails the test with a message. */
void gc_check_first_order(const gc_case *c);
void gc_check_second_order(const gc_case *c);
void gc_check_adjoint(const gc_case *c); /* <y(x) - y(0), r> = <x, A'r> */
void gc_check_closure(const gc_case *c); /* third order builds and verifies */
void gc_check_body(const gc_case *c);    /* composites: rule against body */

#endif
