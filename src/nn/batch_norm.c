/* Batch normalisation (Ioffe, Szegedy 2015). */
#include "nn/nn.h"

/* All positions of the batch as one sample, with a group for each channel: so batch norm
 * is group norm and shares its kernels. */
static lm_node *join_batch(lm_graph *g, lm_node *x, int64_t channels) {
    return lm_reshape(g, x, LM_SHAPE(1, lm_shape_count(x->shape) / channels, channels));
}

/* One number of each channel out of statistics [1,C,2]. */
static lm_node *read_column(lm_graph *g, lm_node *stats, int which, int64_t channels) {
    return lm_reshape(g, lm_slice_axis(g, stats, 2, which, which + 1),
                      LM_SHAPE(channels));
}

typedef struct moments {
    lm_node *mean, *variance; /* buffers [C] */
} moments;

static moments find_moments(lm_nn *nn, int64_t channels) {
    return (moments){lm_nn_buffer(nn, "mean", LM_SHAPE(channels), LM_INIT(ZEROS, 0)),
                     lm_nn_buffer(nn, "variance", LM_SHAPE(channels), LM_INIT(ONES, 0))};
}

/* The buffers follow the batch: its mean, and its variance without bias. */
static void follow_batch(lm_nn *nn, const moments *kept, lm_node *joined, double eps) {
    lm_graph *g = nn->graph;
    int64_t count = joined->shape.dim[1], channels = joined->shape.dim[2];
    lm_call_attr how = {.i = {(int32_t)channels}, .f = {(float)eps}};
    lm_node *stats = lm_call(g, LM_COMP_GROUP_STATS, &joined, 1, &how);
    lm_node *rstd = read_column(g, stats, 1, channels);
    lm_node *biased = lm_div(g, lm_const(g, 1), lm_square(g, rstd));
    biased = lm_add_scalar(g, biased, -(double)how.f[0]);
    double unbias = count > 1 ? (double)count / (double)(count - 1) : 1;
    lm_nn_follow(nn, kept->mean, read_column(g, stats, 0, channels), LM_BATCH_NORM_RATE);
    lm_nn_follow(nn, kept->variance, lm_scale(g, biased, unbias), LM_BATCH_NORM_RATE);
}

static lm_node *apply_moments(lm_graph *g, lm_node *x, const moments *kept,
                              lm_node *gamma, lm_node *beta, double eps) {
    lm_node *rstd = lm_rsqrt(g, lm_add_scalar(g, kept->variance, eps));
    lm_node *scale = lm_mul(g, gamma, rstd);
    lm_node *shift = lm_sub(g, beta, lm_mul(g, kept->mean, scale));
    return lm_add(g, lm_mul(g, x, scale), shift);
}

static lm_node *normalise(lm_nn *nn, lm_node *x, lm_node *gamma, lm_node *beta,
                          double eps) {
    lm_graph *g = nn->graph;
    int64_t channels = x->shape.dim[x->shape.rank - 1];
    moments kept = {0};
    if (nn->buffers) {
        kept = find_moments(nn, channels);
        if (!nn->train) return apply_moments(g, x, &kept, gamma, beta, eps);
    }
    lm_node *joined = join_batch(g, x, channels);
    if (nn->buffers && joined) follow_batch(nn, &kept, joined, eps);
    lm_node *y = lm_group_norm(g, joined, gamma, beta, (int)channels, eps, false);
    return lm_reshape(g, y, x->shape);
}

lm_node *lm_nn_batch_norm(lm_nn *nn, const char *name, lm_node *x, double eps) {
    if (!x) return NULL;
    lm_graph *g = nn->graph;
    int64_t channels = x->shape.rank ? x->shape.dim[x->shape.rank - 1] : 0;
    if (channels < 1) return lm_graph_fail(g, LM_SHAPE, "%s: nothing to normalise", name);
    lm_scope_push(g, "%s", name);
    lm_node *gamma = lm_nn_param(nn, "gamma", LM_SHAPE(channels), LM_INIT(ONES, 0));
    lm_node *beta = lm_nn_param(nn, "beta", LM_SHAPE(channels), LM_INIT(ZEROS, 0));
    lm_node *y = normalise(nn, x, gamma, beta, eps);
    lm_scope_pop(g);
    return y;
}
