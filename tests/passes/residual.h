/* A residual network with a loss, its gradients as one flat vector and an optimizer step
 * with a moving average: the graphs that the passes are made for, in small. */
#ifndef LIMN_TESTS_RESIDUAL_H
#define LIMN_TESTS_RESIDUAL_H

#include "graph/graph.h"

/* Variables "p", "m", "v" and "ema", each of the same length; inputs "x", "key"; output
 * "loss". The caller frees it. */
lm_status residual_new(int blocks, lm_graph **graph);

#endif
