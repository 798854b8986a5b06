/* Single nodes through the CPU backend, compared with the reference backend. */
#ifndef LIMN_TESTS_CPU_RIG_H
#define LIMN_TESTS_CPU_RIG_H

#include "backend/backend.h"
#include "testing.h"

enum { RIG_MAX_INPUTS = 16 };

typedef struct rig {
    lm_graph *graph;
    lm_backend *cpu, *ref;
    int64_t blocks; /* held before the test */
    uint64_t random;
    struct {
        lm_node *node;
        double *values;
    } inputs[RIG_MAX_INPUTS];
    int n_inputs;
} rig;

int rig_setup(void **state);
int rig_teardown(void **state); /* checks that nothing leaked */
/* Forgets graph and inputs, so that a table of cases can go on. */
void rig_clear(rig *r);

/* An input with random f32 values in [-1, 1), which may be changed in place. */
lm_node *rig_input(rig *r, lm_shape shape);
/* Whole numbers from 0 to limit - 1. */
lm_node *rig_whole(rig *r, lm_dtype dtype, lm_shape shape, int64_t limit);
double *rig_values(rig *r, const lm_node *input);

/* Lowers and runs the node, whose sources are inputs, on both backends, with one and with
 * two threads, twice each. Checks: the normalised mean square error is at most
 * `tolerance`, not a byte around the output and the workspace is touched, every element
 * is written, all runs of own kernels agree to the bit. */
void rig_check(rig *r, lm_node *node, double tolerance);
/* The run must fail with this status. */
void rig_check_fails(rig *r, lm_node *node, lm_status expected);

/* Lowering with every allocation failing in turn: LM_NOMEM, and nothing is left behind.
 */
void rig_check_faults(rig *r, lm_node *node);

double rig_nmse(const double *got, const double *want, int64_t count);

#define RIG_TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

#endif
