/* A small convolutional network with its gradient and an optimizer step, for tests that
 * want a bit of everything in one graph. */
#ifndef LIMN_TESTS_EXEC_NETWORK_H
#define LIMN_TESTS_EXEC_NETWORK_H

#include "exec/exec.h"

typedef struct network {
    int batch, size, channels, blocks;
} network;

/* Variables "params", "momentum"; inputs "x" f32[batch,size,size,3], "labels" i32[batch];
 * outputs "loss", "norm", "logits". Failures stay in the graph. */
void network_build(const network *net, lm_graph *graph);
int64_t network_params(const network *net);

/* Adds the variables, with fixed values that are neither small nor equal. */
lm_status network_add_vars(const network *net, lm_engine *engine);
/* The same for the inputs. */
lm_status network_set_inputs(const network *net, lm_program *program);

#endif
