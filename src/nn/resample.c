/* Changes of resolution, all by whole factors, without parameters. */
#include "nn/nn.h"

static bool is_map(lm_nn *nn, const lm_node *x, int factor, int multiple,
                   const char *what) {
    if (!x) return false;
    const int64_t *d = x->shape.dim;
    if (x->shape.rank == 4 && factor > 0 && d[1] % multiple == 0 && d[2] % multiple == 0)
        return true;
    char text[LM_SHAPE_TEXT];
    lm_graph_fail(nn->graph, LM_SHAPE, "%s: %s does not fit a factor of %d", what,
                  lm_shape_text(x->shape, text), factor);
    return false;
}

lm_node *lm_nn_upsample_nearest(lm_nn *nn, lm_node *x, int factor) {
    if (!is_map(nn, x, factor, 1, "upsampling")) return NULL;
    lm_graph *g = nn->graph;
    const int64_t *d = x->shape.dim;
    lm_node *y = lm_reshape(g, x, LM_SHAPE(d[0], d[1], 1, d[2], 1, d[3]));
    y = lm_broadcast(g, y, LM_SHAPE(d[0], d[1], factor, d[2], factor, d[3]));
    return lm_reshape(g, y, LM_SHAPE(d[0], d[1] * factor, d[2] * factor, d[3]));
}

/* [N,H,W,C] -> [N, H/f, f, W/f, f, C]. */
static lm_node *split_blocks(lm_graph *g, lm_node *x, int f) {
    const int64_t *d = x->shape.dim;
    return lm_reshape(g, x, LM_SHAPE(d[0], d[1] / f, f, d[2] / f, f, d[3]));
}

lm_node *lm_nn_avg_pool(lm_nn *nn, lm_node *x, int factor) {
    if (!is_map(nn, x, factor, factor, "average pooling")) return NULL;
    const int64_t *d = x->shape.dim;
    lm_node *y =
        lm_mean(nn->graph, split_blocks(nn->graph, x, factor), 1u << 2 | 1u << 4, false);
    return lm_reshape(nn->graph, y, LM_SHAPE(d[0], d[1] / factor, d[2] / factor, d[3]));
}

/* Swapping the axes of the block's row and of the map's column is its own inverse. */
static const int swap_blocks[] = {0, 1, 3, 2, 4, 5};

lm_node *lm_nn_space_to_depth(lm_nn *nn, lm_node *x, int factor) {
    if (!is_map(nn, x, factor, factor, "space to depth")) return NULL;
    if (factor == 1) return x;
    lm_graph *g = nn->graph;
    const int64_t *d = x->shape.dim;
    int64_t f = factor;
    lm_node *y = lm_permute(g, split_blocks(g, x, factor), swap_blocks);
    return lm_reshape(g, y, LM_SHAPE(d[0], d[1] / f, d[2] / f, d[3] * f * f));
}

lm_node *lm_nn_depth_to_space(lm_nn *nn, lm_node *x, int factor) {
    if (!is_map(nn, x, factor, 1, "depth to space")) return NULL;
    if (factor == 1) return x;
    lm_graph *g = nn->graph;
    const int64_t *d = x->shape.dim;
    int64_t f = factor;
    if (d[3] % (f * f) != 0)
        return lm_graph_fail(g, LM_SHAPE, "depth to space: %lld channels, factor %d",
                             (long long)d[3], factor);
    lm_node *y = lm_reshape(g, x, LM_SHAPE(d[0], d[1], d[2], f, f, d[3] / (f * f)));
    y = lm_permute(g, y, swap_blocks);
    return lm_reshape(g, y, LM_SHAPE(d[0], d[1] * f, d[2] * f, d[3] / (f * f)));
}
