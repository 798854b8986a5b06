#include "nn/nn.h"
#include <math.h>

/* h[.., C] -> [.., 3 C]: three layers of equal width and separate names as one product.
 * Joining the weights copies little; h, and its gradient, are then touched once. */
static lm_node *project(lm_nn *nn, lm_node *h, lm_shape shape) {
    static const char *const names[] = {"q", "k", "v"};
    if (!h) return NULL;
    lm_graph *g = nn->graph;
    int64_t channels = h->shape.dim[h->shape.rank - 1];
    lm_node *weight[3], *bias[3];
    for (int i = 0; i < 3; i++) {
        lm_scope_push(g, "%s", names[i]);
        weight[i] =
            lm_nn_weight(nn, LM_SHAPE(channels, channels), 0, LM_INIT(FAN_AVG, 1));
        bias[i] = lm_nn_param(nn, "bias", LM_SHAPE(channels), LM_INIT(ZEROS, 0));
        lm_scope_pop(g);
    }
    lm_scope_push(g, "qkv");
    h = lm_reshape(g, h, LM_SHAPE(lm_shape_count(h->shape) / channels, channels));
    h = lm_matmul_bias(g, h, lm_concat(g, weight, 3, 0), lm_concat(g, bias, 3, 0), false,
                       true);
    lm_scope_pop(g);
    return lm_reshape(g, h, shape);
}

lm_node *lm_nn_attention(lm_nn *nn, const char *name, lm_node *x, int heads, int groups) {
    if (!x) return NULL;
    lm_graph *g = nn->graph;
    if (x->shape.rank != 4 || heads < 1 || x->shape.dim[3] % heads != 0)
        return lm_graph_fail(g, LM_ARG,
                             "%s: attention needs x[N,H,W,C] with C a multiple of %d",
                             name, heads);
    const int64_t *d = x->shape.dim;
    lm_scope_push(g, "%s", name);
    lm_node *h = lm_nn_group_norm(nn, "norm", x, groups, 1e-6, false);
    h = project(nn, h, LM_SHAPE(d[0], d[1] * d[2], 3 * d[3]));
    h = lm_self_attention(g, h, heads, 1.0 / sqrt((double)d[3] / heads));
    h = lm_reshape(g, h, x->shape);
    h = lm_nn_dense(nn, "out", h, d[3], true, LM_INIT(FAN_AVG, LM_NEAR_ZERO));
    lm_scope_pop(g);
    return lm_add(g, x, h);
}
