/* Group normalisation (Wu, He: "Group Normalization", 2018) in two parts, statistics and
 * application, the sums that all gradients of the application share, and the gradients.
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

static lm_status check_stats(const lm_typing *t, int at) {
    lm_shape x = t->src[0]->shape, stats = t->src[at]->shape;
    LM_RETURN_IF(x.rank < 2, LM_SHAPE, "x needs a sample and a channel axis");
    int64_t batch = x.dim[0], channels = x.dim[x.rank - 1];
    LM_RETURN_IF(stats.rank != 3 || stats.dim[0] != batch || stats.dim[2] != 2 ||
                     channels % stats.dim[1],
                 LM_SHAPE, "stats must be [%lld,G,2], G dividing %lld channels",
                 (long long)batch, (long long)channels);
    return LM_OK;
}

lm_status lm_check_norm(const lm_typing *t, int at) {
    LM_TRY(check_stats(t, at));
    int64_t batch = t->src[0]->shape.dim[0];
    int64_t channels = t->src[0]->shape.dim[t->src[0]->shape.rank - 1];
    for (int i = at + 1; i < at + 3; i++) {
        lm_shape p = t->src[i]->shape;
        LM_RETURN_IF(!lm_shape_equal(p, LM_SHAPE(channels)) &&
                         !lm_shape_equal(p, LM_SHAPE(batch, channels)),
                     LM_SHAPE, "%s must be [%lld] or [%lld,%lld]",
                     i == at + 1 ? "gamma" : "beta", (long long)channels,
                     (long long)batch, (long long)channels);
    }
    return LM_OK;
}

static lm_status check_norm(const lm_typing *t) {
    LM_TRY(lm_check_norm(t, 1));
    LM_RETURN_IF(t->attr->call.i[0] & ~1, LM_ARG, "no activation %d",
                 (int)t->attr->call.i[0]);
    return LM_OK;
}

/* Source `which` has the shape of source `like`. */
static lm_status check_alike(const lm_typing *t, int which, int like, const char *name,
                             const char *like_name) {
    LM_RETURN_IF(!lm_shape_equal(t->src[which]->shape, t->src[like]->shape), LM_SHAPE,
                 "%s differs from %s in shape", name, like_name);
    return LM_OK;
}

static lm_status infer_norm_act(lm_typing *t) {
    LM_TRY(check_norm(t));
    t->shape = t->src[0]->shape;
    return LM_OK;
}

static lm_status infer_norm_sums(lm_typing *t) {
    LM_TRY(check_norm(t));
    LM_TRY(check_alike(t, 4, 0, "g", "x"));
    lm_shape x = t->src[0]->shape;
    t->shape = LM_SHAPE(x.dim[0], 2, x.dim[x.rank - 1]);
    return LM_OK;
}

static lm_status infer_norm_grad(lm_typing *t) {
    LM_TRY(check_norm(t));
    LM_TRY(check_alike(t, 4, 0, "g", "x"));
    if (t->n_src > 5) LM_TRY(check_alike(t, 5, 1, "d", "stats"));
    if (t->n_src > 6) LM_TRY(check_alike(t, 6, 0, "r", "x"));
    t->shape = t->src[0]->shape;
    return LM_OK;
}

static lm_status infer_norm_dstats(lm_typing *t) {
    lm_shape stats = t->src[0]->shape, gamma = t->src[1]->shape, sums = t->src[2]->shape;
    LM_RETURN_IF(sums.rank != 3 || sums.dim[1] != 2, LM_SHAPE, "sums must be [N,2,C]");
    int64_t batch = sums.dim[0], channels = sums.dim[2];
    LM_RETURN_IF(stats.rank != 3 || stats.dim[0] != batch || stats.dim[2] != 2 ||
                     channels % stats.dim[1],
                 LM_SHAPE, "stats must be [%lld,G,2], G dividing %lld channels",
                 (long long)batch, (long long)channels);
    LM_RETURN_IF(!lm_shape_equal(gamma, LM_SHAPE(channels)) &&
                     !lm_shape_equal(gamma, LM_SHAPE(batch, channels)),
                 LM_SHAPE, "gamma must be [%lld] or [%lld,%lld]", (long long)channels,
                 (long long)batch, (long long)channels);
    t->shape = stats;
    return LM_OK;
}

static lm_status infer_stats_grad(lm_typing *t) {
    LM_TRY(check_stats(t, 1));
    LM_TRY(check_alike(t, 2, 1, "d", "stats"));
    t->shape = t->src[0]->shape;
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

/* The cotangent of z from that of y. */
static lm_node *through_activation(lm_graph *g, const lm_node *call, coefficients c) {
    lm_node *dy = call->src[4];
    if (!call->attr.call.i[0]) return dy;
    return lm_mul(g, dy,
                  silu_slope(g, lm_add(g, lm_mul(g, call->src[0], c.scale), c.shift)));
}

static lm_node *norm_sums_body(lm_graph *g, const lm_node *call) {
    lm_node *x = call->src[0];
    coefficients c = find_coefficients(g, call);
    lm_node *dz = through_activation(g, call, c);
    lm_node *xhat = lm_mul(g, lm_sub(g, x, c.mean), c.rstd);
    int rank = x->shape.rank;
    uint32_t positions = ((1u << (rank - 1)) - 1) & ~1u; /* all axes but first and last */
    lm_shape row = LM_SHAPE(x->shape.dim[0], 1, x->shape.dim[rank - 1]);
    lm_node *sums[] = {
        lm_reshape(g, lm_sum(g, lm_mul(g, dz, xhat), positions, true), row),
        lm_reshape(g, lm_sum(g, dz, positions, true), row)};
    return lm_concat(g, sums, 2, 1);
}

/* A column of statistics for use beside x: [N,1,..,1,C]. */
static lm_node *beside(lm_graph *g, lm_node *column, const lm_node *x) {
    lm_shape shape = x->shape;
    int64_t batch = shape.dim[0], groups = column->shape.dim[1];
    int64_t channels = shape.dim[shape.rank - 1];
    for (int i = 1; i < shape.rank - 1; i++) shape.dim[i] = 1;
    column = lm_broadcast(g, column, LM_SHAPE(batch, groups, channels / groups));
    return lm_reshape(g, column, shape);
}

/* With M elements in a group: d_mean/M - d_rstd rstd^3 (x - mean)/M = x slope + shift,
 * slope and shift made small, before they are repeated. */
static lm_node *stats_grad(lm_graph *g, lm_node *x, lm_node *stats, lm_node *d) {
    lm_node *mean = lm_slice_axis(g, stats, 2, 0, 1);
    lm_node *rstd = lm_slice_axis(g, stats, 2, 1, 2);
    lm_node *d_mean = lm_slice_axis(g, d, 2, 0, 1),
            *d_rstd = lm_slice_axis(g, d, 2, 1, 2);
    double share =
        (double)lm_shape_count(stats->shape) / 2 / (double)lm_shape_count(x->shape);
    lm_node *cube = lm_mul(g, lm_square(g, rstd), rstd);
    lm_node *slope = lm_scale(g, lm_mul(g, d_rstd, cube), -share);
    lm_node *shift = lm_sub(g, lm_scale(g, d_mean, share), lm_mul(g, slope, mean));
    if (!slope || !shift) return NULL;
    return lm_add(g, lm_mul(g, x, beside(g, slope, x)), beside(g, shift, x));
}

static lm_node *stats_grad_body(lm_graph *g, const lm_node *call) {
    return stats_grad(g, call->src[0], call->src[1], call->src[2]);
}

static lm_node *norm_grad_body(lm_graph *g, const lm_node *call) {
    coefficients c = find_coefficients(g, call);
    lm_node *d = lm_mul(g, through_activation(g, call, c), c.scale);
    if (call->n_src > 5)
        d = lm_add(g, d, stats_grad(g, call->src[0], call->src[1], call->src[5]));
    return call->n_src > 6 ? lm_add(g, d, call->src[6]) : d;
}

/* d_mean = -rstd sum(gamma S_dz), d_rstd = sum(gamma S_dz_xhat) / rstd, over the channels
 * of a group. */
static lm_node *norm_dstats_body(lm_graph *g, const lm_node *call) {
    lm_node *stats = call->src[0], *gamma = call->src[1], *sums = call->src[2];
    int64_t batch = stats->shape.dim[0], groups = stats->shape.dim[1];
    int64_t channels = sums->shape.dim[2];
    if (gamma->shape.rank == 2)
        gamma = lm_reshape(g, gamma, LM_SHAPE(batch, 1, channels));
    lm_node *scaled = lm_mul(g, sums, gamma);
    scaled = scaled ? lm_reshape(g, scaled, LM_SHAPE(batch, 2, groups, channels / groups))
                    : NULL;
    lm_node *total = lm_sum(g, scaled, 1u << 3, false); /* [N,2,G] */
    lm_node *rstd = lm_slice_axis(g, stats, 2, 1, 2);
    lm_shape column = LM_SHAPE(batch, groups, 1);
    lm_node *by_xhat = lm_reshape(g, lm_slice_axis(g, total, 1, 0, 1), column);
    lm_node *by_one = lm_reshape(g, lm_slice_axis(g, total, 1, 1, 2), column);
    lm_node *parts[2] = {lm_neg(g, lm_mul(g, rstd, by_one)), lm_div(g, by_xhat, rstd)};
    return lm_concat(g, parts, 2, 2);
}

const lm_composite_rule lm_rule_group_stats = {infer_group_stats, group_stats_body, "x",
                                               "f"};
const lm_composite_rule lm_rule_norm_act = {infer_norm_act, norm_act_body,
                                            "x stats gamma beta", "f"};
const lm_composite_rule lm_rule_norm_sums = {infer_norm_sums, norm_sums_body,
                                             "x stats gamma beta g", "f"};
const lm_composite_rule lm_rule_norm_grad = {infer_norm_grad, norm_grad_body,
                                             "x stats gamma beta g d r", "f"};
const lm_composite_rule lm_rule_norm_dstats = {infer_norm_dstats, norm_dstats_body,
                                               "stats gamma sums", "f"};
const lm_composite_rule lm_rule_stats_grad = {infer_stats_grad, stats_grad_body,
                                              "x stats d", "f"};

lm_node *lm_group_norm(lm_graph *g, lm_node *x, lm_node *gamma, lm_node *beta, int groups,
                       double eps, bool silu) {
    lm_call_attr how = {.i = {groups}, .f = {(float)eps}};
    lm_node *stats = lm_call(g, LM_COMP_GROUP_STATS, &x, 1, &how);
    lm_call_attr act = {.i = {silu}};
    return lm_call(g, LM_COMP_NORM_ACT, (lm_node *[]){x, stats, gamma, beta}, 4, &act);
}
