/* Group normalisation (Wu, He: "Group Normalization", 2018) in two parts, statistics and
 * application, and the sums that all gradients of the application share.
 *
 * Kept apart from the statistics, the application is one multiply-add and an activation
 * for each element, which a following convolution can take in. */
#include "graph/graph_internal.h"

/* ---- types ------------------------------------------------------------------- */

static lm_status infer_group_stats(lm_typing *t) {
    lm_shape x = t->src[0]->shape;
    int32_t groups = t->attr->call.i[0];
    LM_RETURN_IF(x.rank < 2, LM_SHAPE, "x needs a sample and a channel axis");
    int64_t channels = x.dim[x.rank - 1];
    LM_RETURN_IF(groups < 1 || channels % groups, LM_SHAPE,
                 "%d groups do not divide %lld channels", (int)groups,
                 (long long)channels);
    LM_RETURN_IF(!(t->attr->call.f[0] >= 0), LM_ARG, "eps %g is negative",
                 (double)t->attr->call.f[0]);
    t->shape = LM_SHAPE(x.dim[0], groups, 2);
    return LM_OK;
}

static lm_status check_norm(const lm_typing *t) {
    lm_shape x = t->src[0]->shape, stats = t->src[1]->shape;
    LM_RETURN_IF(x.rank < 2, LM_SHAPE, "x needs a sample and a channel axis");
    int64_t batch = x.dim[0], channels = x.dim[x.rank - 1];
    LM_RETURN_IF(stats.rank != 3 || stats.dim[0] != batch || stats.dim[2] != 2 ||
                     channels % stats.dim[1],
                 LM_SHAPE, "stats must be [%lld,G,2], G dividing %lld channels",
                 (long long)batch, (long long)channels);
    for (int i = 2; i < 4; i++) {
        lm_shape p = t->src[i]->shape;
        LM_RETURN_IF(!lm_shape_equal(p, LM_SHAPE(channels)) &&
                         !lm_shape_equal(p, LM_SHAPE(batch, channels)),
                     LM_SHAPE, "%s must be [%lld] or [%lld,%lld]",
                     i == 2 ? "gamma" : "beta", (long long)channels, (long long)batch,
                     (long long)channels);
    }
    LM_RETURN_IF(t->attr->call.i[0] & ~1, LM_ARG, "no activation %d",
                 (int)t->attr->call.i[0]);
    return LM_OK;
}

static lm_status infer_norm_act(lm_typing *t) {
    LM_TRY(check_norm(t));
    t->shape = t->src[0]->shape;
    return LM_OK;
}

static lm_status infer_norm_sums(lm_typing *t) {
    LM_TRY(check_norm(t));
    lm_shape x = t->src[0]->shape;
    LM_RETURN_IF(!lm_shape_equal(t->src[4]->shape, x), LM_SHAPE,
                 "g differs from x in shape");
    t->shape = LM_SHAPE(x.dim[0], 2, x.dim[x.rank - 1]);
    return LM_OK;
}

/* ---- bodies ------------------------------------------------------------------ */

static lm_node *group_stats_body(lm_graph *g, const lm_node *call) {
    lm_node *x = call->src[0];
    int64_t batch = x->shape.dim[0], channels = x->shape.dim[x->shape.rank - 1];
    int64_t groups = call->attr.call.i[0];
    int64_t positions = lm_shape_count(x->shape) / (batch * channels);
    const uint32_t within = 1u << 1 | 1u << 3; /* positions and channels of a group */
    x = lm_reshape(g, x, LM_SHAPE(batch, positions, groups, channels / groups));
    lm_node *mean = lm_mean(g, x, within, true);
    lm_node *variance = lm_mean(g, lm_square(g, lm_sub(g, x, mean)), within, true);
    lm_node *rstd = lm_rsqrt(g, lm_add_scalar(g, variance, call->attr.call.f[0]));
    lm_shape column = LM_SHAPE(batch, groups, 1);
    lm_node *parts[] = {lm_reshape(g, mean, column), lm_reshape(g, rstd, column)};
    return lm_concat(g, parts, 2, 2);
}

/* Per sample and channel, shaped [N,1,..,1,C]: xhat = (x - mean) * rstd and
 * z = x * scale + shift. */
typedef struct coefficients {
    lm_node *mean, *rstd, *scale, *shift;
} coefficients;

/* Column `which` of the statistics, repeated for the channels of each group: [N,C]. */
static lm_node *by_channel(lm_graph *g, lm_node *stats, int which, lm_shape flat) {
    int64_t batch = flat.dim[0], groups = stats->shape.dim[1];
    lm_node *column = lm_slice_axis(g, stats, 2, which, which + 1);
    lm_shape blocks = LM_SHAPE(batch, groups, flat.dim[1] / groups);
    return lm_reshape(g, lm_broadcast(g, column, blocks), flat);
}

static coefficients find_coefficients(lm_graph *g, const lm_node *call) {
    lm_shape x = call->src[0]->shape, spread = x;
    lm_node *gamma = call->src[2], *beta = call->src[3];
    for (int i = 1; i < x.rank - 1; i++) spread.dim[i] = 1;
    lm_shape flat = LM_SHAPE(x.dim[0], x.dim[x.rank - 1]);
    lm_node *mean = by_channel(g, call->src[1], 0, flat);
    lm_node *rstd = by_channel(g, call->src[1], 1, flat);
    lm_node *scale = lm_mul(g, rstd, gamma);
    lm_node *shift = lm_sub(g, beta, lm_mul(g, mean, scale));
    return (coefficients){lm_reshape(g, mean, spread), lm_reshape(g, rstd, spread),
                          lm_reshape(g, scale, spread), lm_reshape(g, shift, spread)};
}

static lm_node *norm_act_body(lm_graph *g, const lm_node *call) {
    coefficients c = find_coefficients(g, call);
    lm_node *z = lm_add(g, lm_mul(g, call->src[0], c.scale), c.shift);
    return call->attr.call.i[0] ? lm_silu(g, z) : z;
}

/* SiLU'(z) = s (1 + z (1 - s)), s = sigmoid(z). */
static lm_node *silu_slope(lm_graph *g, lm_node *z) {
    lm_node *s = lm_sigmoid(g, z);
    lm_node *rest = lm_sub(g, lm_const_like(g, 1, s), s);
    return lm_mul(g, s, lm_add_scalar(g, lm_mul(g, z, rest), 1));
}

static lm_node *norm_sums_body(lm_graph *g, const lm_node *call) {
    lm_node *x = call->src[0], *dz = call->src[4];
    coefficients c = find_coefficients(g, call);
    if (call->attr.call.i[0])
        dz = lm_mul(g, dz, silu_slope(g, lm_add(g, lm_mul(g, x, c.scale), c.shift)));
    lm_node *xhat = lm_mul(g, lm_sub(g, x, c.mean), c.rstd);
    int rank = x->shape.rank;
    uint32_t positions = ((1u << (rank - 1)) - 1) & ~1u; /* all axes but first and last */
    lm_shape row = LM_SHAPE(x->shape.dim[0], 1, x->shape.dim[rank - 1]);
    lm_node *sums[] = {
        lm_reshape(g, lm_sum(g, dz, positions, true), row),
        lm_reshape(g, lm_sum(g, lm_mul(g, dz, xhat), positions, true), row)};
    return lm_concat(g, sums, 2, 1);
}

const lm_composite_rule lm_rule_group_stats = {infer_group_stats, group_stats_body, "x",
                                               "f"};
const lm_composite_rule lm_rule_norm_act = {infer_norm_act, norm_act_body,
                                            "x stats gamma beta", "f"};
const lm_composite_rule lm_rule_norm_sums = {infer_norm_sums, norm_sums_body,
                                             "x stats gamma beta g", "f"};

lm_node *lm_group_norm(lm_graph *g, lm_node *x, lm_node *gamma, lm_node *beta, int groups,
                       double eps, bool silu) {
    lm_call_attr how = {.i = {groups}, .f = {(float)eps}};
    lm_node *stats = lm_call(g, LM_COMP_GROUP_STATS, &x, 1, &how);
    lm_call_attr act = {.i = {silu}};
    return lm_call(g, LM_COMP_NORM_ACT, (lm_node *[]){x, stats, gamma, beta}, 4, &act);
}
