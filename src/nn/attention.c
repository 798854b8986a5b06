#include "nn/nn.h"
#include <math.h>

/* The residual branch starts next to zero (Ho et al. 2020, their code's init_scale 0). */
#define NEAR_ZERO 1e-10

/* [N,H,W,C] -> [N*heads, H*W, C/heads]. */
static lm_node *split_heads(lm_graph *g, lm_node *x, int heads) {
    if (!x) return NULL;
    const int64_t *d = x->shape.dim;
    int64_t positions = d[1] * d[2], width = d[3] / heads;
    if (heads > 1) {
        x = lm_reshape(g, x, LM_SHAPE(d[0], positions, heads, width));
        x = lm_permute(g, x, (const int[]){0, 2, 1, 3});
    }
    return lm_reshape(g, x, LM_SHAPE(d[0] * heads, positions, width));
}

static lm_node *join_heads(lm_graph *g, lm_node *x, int heads, lm_shape shape) {
    const int64_t *d = shape.dim;
    if (heads > 1) {
        x = lm_reshape(g, x, LM_SHAPE(d[0], heads, d[1] * d[2], d[3] / heads));
        x = lm_permute(g, x, (const int[]){0, 2, 1, 3});
    }
    return lm_reshape(g, x, shape);
}

lm_node *lm_nn_attention(lm_nn *nn, const char *name, lm_node *x, int heads, int groups) {
    if (!x) return NULL;
    lm_graph *g = nn->graph;
    if (x->shape.rank != 4 || heads < 1 || x->shape.dim[3] % heads != 0)
        return lm_graph_fail(g, LM_ARG,
                             "%s: attention needs x[N,H,W,C] with C a multiple of %d",
                             name, heads);
    int64_t channels = x->shape.dim[3];
    lm_init init = LM_INIT(FAN_AVG, 1);
    lm_scope_push(g, "%s", name);
    lm_node *h = lm_nn_group_norm(nn, "norm", x, groups, 1e-6, false);
    lm_node *q = split_heads(g, lm_nn_dense(nn, "q", h, channels, true, init), heads);
    lm_node *k = split_heads(g, lm_nn_dense(nn, "k", h, channels, true, init), heads);
    lm_node *v = split_heads(g, lm_nn_dense(nn, "v", h, channels, true, init), heads);
    lm_node *y = lm_attention(g, q, k, v, 1.0 / sqrt((double)(channels / heads)));
    y = join_heads(g, y, heads, x->shape);
    y = lm_nn_dense(nn, "out", y, channels, true, LM_INIT(FAN_AVG, NEAR_ZERO));
    lm_scope_pop(g);
    return lm_add(g, x, y);
}
