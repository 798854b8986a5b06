#include "nn/nn.h"

lm_node *lm_nn_group_norm(lm_nn *nn, const char *name, lm_node *x, int groups, double eps,
                          bool silu) {
    if (!x) return NULL;
    lm_graph *g = nn->graph;
    int64_t channels = x->shape.rank ? x->shape.dim[x->shape.rank - 1] : 0;
    if (groups < 1 || channels % groups != 0)
        return lm_graph_fail(g, LM_ARG, "%s: %d groups do not divide %lld channels", name,
                             groups, (long long)channels);
    lm_scope_push(g, "%s", name);
    lm_node *gamma = lm_nn_param(nn, "gamma", LM_SHAPE(channels), LM_INIT(ONES, 0));
    lm_node *beta = lm_nn_param(nn, "beta", LM_SHAPE(channels), LM_INIT(ZEROS, 0));
    lm_node *y = lm_group_norm(g, x, gamma, beta, groups, eps, silu);
    lm_scope_pop(g);
    return y;
}

/* Layer norm is group norm with every row a sample of one position and one group, so
 * both share the fused kernels. */
lm_node *lm_nn_layer_norm(lm_nn *nn, const char *name, lm_node *x, double eps) {
    if (!x) return NULL;
    lm_graph *g = nn->graph;
    int64_t width = x->shape.rank ? x->shape.dim[x->shape.rank - 1] : 0;
    if (width < 1) return lm_graph_fail(g, LM_SHAPE, "%s: nothing to normalise", name);
    lm_shape rows = LM_SHAPE(lm_shape_count(x->shape) / width, 1, width);
    lm_node *y = lm_nn_group_norm(nn, name, lm_reshape(g, x, rows), 1, eps, false);
    return lm_reshape(g, y, x->shape);
}
