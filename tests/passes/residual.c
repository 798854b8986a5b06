#include "residual.h"
#include "graph/grad.h"
#include <string.h>

enum { CHANNELS = 8, SIZE = 6, BATCH = 3, MAX_PARAMS = 64 };

typedef struct network {
    lm_graph *g;
    lm_node *params[MAX_PARAMS];
    int n_params;
    int64_t count;
} network;

static lm_node *param(network *n, lm_shape shape) {
    lm_node *p = lm_param(n->g, "p", n->count, shape);
    n->count += lm_shape_count(shape);
    n->params[n->n_params++] = p;
    return p;
}

static lm_node *conv(network *n, lm_node *x, int64_t from, int64_t to) {
    lm_conv_attr attr = {.stride = {1, 1}, .pad_lo = {1, 1}, .pad_hi = {1, 1}};
    return lm_conv(n->g, x, param(n, LM_SHAPE(to, 3, 3, from)), param(n, LM_SHAPE(to)),
                   &attr);
}

static lm_node *block(network *n, lm_node *x) {
    lm_node *gamma = param(n, LM_SHAPE(CHANNELS)), *beta = param(n, LM_SHAPE(CHANNELS));
    lm_node *h = lm_group_norm(n->g, x, gamma, beta, 2, 1e-5, false);
    h = conv(n, lm_silu(n->g, h), CHANNELS, CHANNELS);
    lm_node *scale = param(n, LM_SHAPE(CHANNELS));
    h = lm_add(n->g, h, lm_mul(n->g, lm_relu(n->g, h), scale));
    return lm_add(n->g, x, h);
}

/* Adam with decay, clipping by norm, and an average of weights, on flat vectors. */
static void optimize(network *n, lm_node *grad) {
    lm_graph *g = n->g;
    lm_shape shape = LM_SHAPE(n->count);
    lm_node *p = lm_param(g, "p", 0, shape), *m = lm_param(g, "m", 0, shape);
    lm_node *v = lm_param(g, "v", 0, shape), *ema = lm_param(g, "ema", 0, shape);
    lm_node *norm = lm_sqrt(g, lm_sum_all(g, lm_square(g, grad)));
    grad = lm_mul(g, grad, lm_min2(g, lm_const(g, 1), lm_div(g, lm_const(g, 1), norm)));
    lm_node *m1 = lm_add(g, lm_scale(g, m, 0.9), lm_scale(g, grad, 0.1));
    lm_node *v1 =
        lm_add(g, lm_scale(g, v, 0.999), lm_scale(g, lm_square(g, grad), 0.001));
    lm_node *step = lm_div(g, m1, lm_add_scalar(g, lm_sqrt(g, v1), 1e-8));
    lm_node *p1 = lm_sub(g, lm_scale(g, p, 0.9999), lm_scale(g, step, 1e-3));
    lm_node *ema1 = lm_add(g, lm_scale(g, ema, 0.99), lm_scale(g, p1, 0.01));
    lm_assign(g, p, p1);
    lm_assign(g, m, m1);
    lm_assign(g, v, v1);
    lm_assign(g, ema, ema1);
}

lm_status residual_new(int blocks, lm_graph **graph) {
    lm_status status = lm_graph_new(graph);
    if (status != LM_OK) return status;
    network n = {.g = *graph};
    lm_node *key = lm_input(n.g, "key", LM_U32, LM_SHAPE(4));
    lm_node *x = lm_input(n.g, "x", LM_U8, LM_SHAPE(BATCH, SIZE, SIZE, 3));
    x = lm_scale(n.g, lm_cast(n.g, x, LM_F32), 1.0 / 127.5);
    x = lm_add_scalar(n.g, x, -1);
    lm_node *noise = lm_normal(n.g, key, 1, LM_SHAPE(BATCH, SIZE, SIZE, 3));
    lm_node *h = lm_add(n.g, x, lm_scale(n.g, noise, 0.5));
    h = conv(&n, h, 3, CHANNELS);
    for (int b = 0; b < blocks; b++) h = block(&n, h);
    h = conv(&n, lm_silu(n.g, h), CHANNELS, 3);
    lm_node *loss = lm_mean_all(n.g, lm_square(n.g, lm_sub(n.g, h, noise)));
    lm_graph_output(n.g, "loss", loss);

    lm_node *grads[MAX_PARAMS];
    if (lm_grad(n.g, loss, NULL, n.n_params, n.params, grads) == LM_OK) {
        for (int i = 0; i < n.n_params; i++)
            grads[i] =
                lm_reshape(n.g, grads[i], LM_SHAPE(lm_shape_count(n.params[i]->shape)));
        optimize(&n, lm_concat(n.g, grads, n.n_params, 0));
    }
    status = lm_graph_status(n.g);
    if (status != LM_OK) {
        lm_graph_free(*graph);
        *graph = NULL;
    }
    return status;
}
