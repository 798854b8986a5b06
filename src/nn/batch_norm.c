/* Batch normalisation (Ioffe, Szegedy 2015), and what classes change of it. */
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

/* [1,C,2]; the same node as in a group norm. */
static lm_node *find_stats(lm_graph *g, lm_node *joined, double eps) {
    lm_call_attr how = {.i = {(int32_t)joined->shape.dim[2]}, .f = {(float)eps}};
    return lm_call(g, LM_COMP_GROUP_STATS, &joined, 1, &how);
}

/* The buffers follow the batch: its mean, and its variance without bias. */
static void follow_batch(lm_nn *nn, const moments *kept, lm_node *joined, double eps) {
    lm_graph *g = nn->graph;
    int64_t count = joined->shape.dim[1], channels = joined->shape.dim[2];
    lm_node *stats = find_stats(g, joined, eps);
    lm_node *rstd = read_column(g, stats, 1, channels);
    lm_node *biased = lm_div(g, lm_const(g, 1), lm_square(g, rstd));
    biased = lm_add_scalar(g, biased, -(double)(float)eps);
    double unbias = count > 1 ? (double)count / (double)(count - 1) : 1;
    lm_nn_follow(nn, kept->mean, read_column(g, stats, 0, channels), LM_BATCH_NORM_RATE);
    lm_nn_follow(nn, kept->variance, lm_scale(g, biased, unbias), LM_BATCH_NORM_RATE);
}

/* gamma and beta are [C], or [N,C] with a row of its own for each sample. */
typedef struct affine {
    lm_node *gamma, *beta;
} affine;

/* [C] or [N,C] for use beside x[N,..,C]. */
static lm_node *beside(lm_graph *g, lm_node *numbers, const lm_node *x) {
    if (!numbers || numbers->shape.rank == 1) return numbers;
    lm_shape spread = x->shape;
    for (int i = 1; i < spread.rank - 1; i++) spread.dim[i] = 1;
    return lm_reshape(g, numbers, spread);
}

static lm_node *apply_moments(lm_graph *g, lm_node *x, const moments *kept, affine to,
                              double eps) {
    lm_node *rstd = lm_rsqrt(g, lm_add_scalar(g, kept->variance, eps));
    lm_node *scale = lm_mul(g, to.gamma, rstd);
    lm_node *shift = lm_sub(g, to.beta, lm_mul(g, kept->mean, scale));
    return lm_add(g, lm_mul(g, x, beside(g, scale, x)), beside(g, shift, x));
}

static lm_node *apply_batch(lm_graph *g, lm_node *x, lm_node *joined, affine to,
                            double eps) {
    int64_t channels = joined->shape.dim[2];
    if (to.gamma && to.gamma->shape.rank == 1) {
        lm_node *y =
            lm_group_norm(g, joined, to.gamma, to.beta, (int)channels, eps, false);
        return lm_reshape(g, y, x->shape);
    }
    lm_node *stats = find_stats(g, joined, eps);
    stats = lm_broadcast(g, stats, LM_SHAPE(x->shape.dim[0], channels, 2));
    lm_node *src[] = {x, stats, to.gamma, to.beta};
    return lm_call(g, LM_COMP_NORM_ACT, src, 4, NULL);
}

static lm_node *normalise(lm_nn *nn, lm_node *x, affine to, double eps) {
    lm_graph *g = nn->graph;
    int64_t channels = x->shape.dim[x->shape.rank - 1];
    moments kept = {0};
    if (nn->buffers) {
        kept = find_moments(nn, channels);
        if (!nn->train) return apply_moments(g, x, &kept, to, eps);
    }
    lm_node *joined = join_batch(g, x, channels);
    if (!joined) return NULL;
    if (nn->buffers) follow_batch(nn, &kept, joined, eps);
    return apply_batch(g, x, joined, to, eps);
}

/* The channels of x; 0 is a failure. */
static int64_t count_channels(lm_graph *g, const char *name, const lm_node *x) {
    int64_t channels = x->shape.rank > 1 ? x->shape.dim[x->shape.rank - 1] : 0;
    if (channels < 1) lm_graph_fail(g, LM_SHAPE, "%s: nothing to normalise", name);
    return channels;
}

lm_node *lm_nn_batch_norm(lm_nn *nn, const char *name, lm_node *x, double eps) {
    if (!x) return NULL;
    int64_t channels = count_channels(nn->graph, name, x);
    if (!channels) return NULL;
    lm_scope_push(nn->graph, "%s", name);
    affine to = {lm_nn_param(nn, "gamma", LM_SHAPE(channels), LM_INIT(ONES, 0)),
                 lm_nn_param(nn, "beta", LM_SHAPE(channels), LM_INIT(ZEROS, 0))};
    lm_node *y = normalise(nn, x, to, eps);
    lm_scope_pop(nn->graph);
    return y;
}

lm_node *lm_nn_conditional_batch_norm(lm_nn *nn, const char *name, lm_node *x,
                                      lm_node *class, double eps) {
    if (!x || !class) return NULL;
    lm_graph *g = nn->graph;
    int64_t channels = count_channels(g, name, x);
    if (!channels) return NULL;
    const lm_init little = LM_INIT(NORMAL, 0.02);
    lm_scope_push(g, "%s", name);
    lm_node *gain = lm_nn_dense(nn, "gamma", class, channels, false, little);
    affine to = {lm_add_scalar(g, gain, 1),
                 lm_nn_dense(nn, "beta", class, channels, false, little)};
    lm_node *y = normalise(nn, x, to, eps);
    lm_scope_pop(g);
    return y;
}
