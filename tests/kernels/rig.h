/* Runs one kernel of the CPU backend outside any program and compares it with the
 * reference backend, which computes the same graph node by node in f64. */
#ifndef LIMN_TESTS_KERNELS_RIG_H
#define LIMN_TESTS_KERNELS_RIG_H

#include "testing.h"

#include "backend/backend.h"
#include "graph/graph.h"

enum { RIG_MAX = 16 };

typedef struct rig {
    lm_graph *graph;
    lm_node *in[RIG_MAX];
    void *data[RIG_MAX]; /* of each input, in its dtype */
    int n_in;
    lm_node *out[RIG_MAX];
    int n_out;
    uint32_t seed;
    /* Set before rig_check. */
    lm_backend_options options;
    int threads;    /* the most: every number up to it must give the same bytes */
    lm_shape space; /* of a cluster */
    bool chain; /* the nodes are one (step.h): inputs made in its order, outputs too */
    int alias_out, alias_in; /* out shares the memory of in; -1: none */
    double tolerance;        /* of |error| / (|truth| + scale) */
    double scale;
    double rms_error, max_error; /* set by it: relative to the rms of the truth */
} rig;

void rig_start(rig *r);
/* Inputs: normal numbers, or whole numbers below `limit` for integer types. */
lm_node *rig_input(rig *r, lm_dtype dtype, lm_shape shape, uint32_t limit);
/* With given elements. */
lm_node *rig_given(rig *r, lm_dtype dtype, lm_shape shape, const void *data);
void rig_output(rig *r, lm_node *node);
/* Lowers all nodes but inputs as one step (a cluster unless it is one call or one
 * convolution), runs it with one thread, two and so on, and compares. Ends the rig. */
void rig_check(rig *r);

float rig_normal(uint32_t *seed);
uint32_t rig_below(uint32_t *seed, uint32_t limit);

/* Runs the tests at each lower instruction set in a child process, then here. */
int rig_main(const struct CMUnitTest *tests, size_t count, const char *name);

#endif
