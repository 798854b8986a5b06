/* Single nodes through the reference backend, without schedule or plan. */
#ifndef LIMN_TESTS_REF_RIG_H
#define LIMN_TESTS_REF_RIG_H

#include "backend/backend.h"
#include "testing.h"

typedef struct rig {
    lm_graph *graph;
    lm_backend *backend;
    int64_t blocks;     /* held before the test */
    double *arrays[64]; /* freed at the end */
    int n_arrays;
    uint64_t random;
} rig;

int rig_setup(void **state);
int rig_teardown(void **state); /* checks that nothing leaked */

/* Zeros, or uniform numbers in [-1, 1); owned by the rig. */
double *rig_zeros(rig *r, int64_t count);
double *rig_random(rig *r, int64_t count);

/* An f32 input (or one of another dtype) with a name of its own. */
lm_node *rig_input(rig *r, lm_shape shape);
lm_node *rig_input_of(rig *r, lm_dtype dtype, lm_shape shape);

/* Runs the node on the values of its sources; the result is owned by the rig. */
lm_status rig_try(rig *r, lm_node *node, const double *const *in, double **out);
double *rig_run(rig *r, lm_node *node, const double *const *in);
#define RIG_RUN(r, node, ...) rig_run(r, node, (const double *const[]){__VA_ARGS__})

/* Every element within `tolerance` times the largest magnitude of `want`, or 1. */
void rig_compare(const double *got, const double *want, int64_t count, double tolerance);

#define RIG_TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

#endif
