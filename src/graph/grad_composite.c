/* Gradients of composites. A rule emits the composite that has a fused backward kernel;
 * every composite without one, the backward ones above all, is differentiated through its
 * body. So first order is fast and any order exists. */
#include "graph/grad_internal.h"

/* Whether source i is an earlier source once more (self attention: q, k, v of one x). */
static bool is_repeated(const lm_node *call, int i) {
    for (int j = 0; j < i; j++)
        if (call->src[j] == call->src[i]) return true;
    return false;
}

static void grad_through_body(lm_graph *g, lm_node *call, lm_node *ct, lm_node **d) {
    lm_node *body = lm_call_body(g, call);
    if (!body) return;
    /* The sources may depend on each other (statistics on x): partial derivatives. What
     * a repeated source gets is in its first place already. */
    lm_grad_partial(g, body, ct, call->n_src, call->src, d);
    for (int i = 0; i < call->n_src; i++)
        if (is_repeated(call, i)) d[i] = NULL;
}

/* A call with the same parameters as `like`. */
static lm_node *call_like(lm_graph *g, lm_composite composite, const lm_node *like,
                          int n_src, lm_node *const *src) {
    lm_call_attr attr = {0};
    for (int k = 0; k < 3; k++) attr.i[k] = like->attr.call.i[k];
    for (int k = 0; k < 2; k++) attr.f[k] = like->attr.call.f[k];
    return lm_call(g, composite, src, n_src, &attr);
}

/* ---- group normalisation ----
 * xhat = (x - mean) * rstd, z = xhat * gamma + beta, y = act(z). Everything that varies
 * by channel only is computed small, in [N,..,C] with the positions' axes 1, so that x
 * enters one multiply-add: the big expression is one elementwise cluster. */

static int64_t channels_of(const lm_node *x) {
    return x->shape.dim[x->shape.rank - 1];
}

/* v [N,C] or [N,1,C] -> [N,1,..,1,C], the rank of x. */
static lm_node *along_positions(lm_graph *g, lm_node *v, const lm_node *x) {
    lm_shape shape = x->shape;
    for (int i = 1; i < shape.rank - 1; i++) shape.dim[i] = 1;
    return lm_reshape(g, v, shape);
}

/* gamma or beta for use beside x: [C] broadcasts as it is, [N,C] needs the axes. */
static lm_node *affine(lm_graph *g, lm_node *v, const lm_node *x) {
    return v->shape.rank == 1 ? v : along_positions(g, v, x);
}

/* v [N,G,1] -> [N,1,..,1,C], a group's value for each of its channels. */
static lm_node *per_channel(lm_graph *g, lm_node *v, const lm_node *x) {
    if (!v) return NULL;
    int64_t n = v->shape.dim[0], groups = v->shape.dim[1];
    v = lm_broadcast(g, v, LM_SHAPE(n, groups, channels_of(x) / groups));
    return along_positions(g, v, x);
}

static lm_node *mean_of(lm_graph *g, lm_node *stats) {
    return lm_slice_axis(g, stats, 2, 0, 1);
}

static lm_node *rstd_of(lm_graph *g, lm_node *stats) {
    return lm_slice_axis(g, stats, 2, 1, 2);
}

/* With dm and dr the cotangents of mean and rstd, and M elements in a group:
 * dx = dm/M - dr rstd^3 (x - mean)/M = x * slope + shift. */
static void grad_group_stats(lm_graph *g, lm_node *stats, lm_node *ct, lm_node **d) {
    lm_node *x = stats->src[0];
    lm_node *mean = mean_of(g, stats), *rstd = rstd_of(g, stats);
    double share =
        (double)lm_shape_count(stats->shape) / 2 / (double)lm_shape_count(x->shape);
    lm_node *cube = lm_mul(g, lm_square(g, rstd), rstd);
    lm_node *slope = lm_scale(g, lm_mul(g, rstd_of(g, ct), cube), -share);
    lm_node *shift =
        lm_sub(g, lm_scale(g, mean_of(g, ct), share), lm_mul(g, slope, mean));
    d[0] = lm_add(g, lm_mul(g, x, per_channel(g, slope, x)), per_channel(g, shift, x));
}

/* act'(z) times the cotangent of y. */
static lm_node *through_activation(lm_graph *g, const lm_node *y, lm_node *z,
                                   lm_node *ct) {
    if (!y->attr.call.i[0]) return ct;
    lm_node *s = lm_sigmoid(g, z); /* SiLU: s + z s (1 - s) */
    lm_node *rest = lm_add_scalar(g, lm_neg(g, s), 1);
    return lm_mul(g, ct, lm_mul(g, s, lm_add_scalar(g, lm_mul(g, z, rest), 1)));
}

static lm_node *norm_act_dx(lm_graph *g, lm_node *y, lm_node *ct) {
    lm_node *x = y->src[0], *stats = y->src[1];
    lm_node *gamma = affine(g, y->src[2], x), *beta = affine(g, y->src[3], x);
    lm_node *a = lm_mul(g, per_channel(g, rstd_of(g, stats), x), gamma);
    lm_node *b = lm_sub(g, beta, lm_mul(g, per_channel(g, mean_of(g, stats), x), a));
    lm_node *z = lm_add(g, lm_mul(g, x, a), b);
    return lm_mul(g, through_activation(g, y, z, ct), a);
}

/* Sums [N,1,C] down to a parameter of shape [C] or [N,C]. */
static lm_node *to_affine(lm_graph *g, lm_node *sums, const lm_node *param) {
    return param->shape.rank == 1 ? lm_sum_to(g, sums, param->shape)
                                  : lm_reshape(g, sums, param->shape);
}

/* v [N,1,C] -> [N,G,1]: sums over the channels of each group. */
static lm_node *over_group(lm_graph *g, lm_node *v, const lm_node *stats) {
    if (!v) return NULL;
    int64_t n = stats->shape.dim[0], groups = stats->shape.dim[1];
    v = lm_reshape(g, v, LM_SHAPE(n, groups, v->shape.dim[2] / groups));
    return lm_sum(g, v, 1u << 2, true);
}

/* One pass over the positions (NORM_SUMS: sums of dz and of dz xhat) serves gamma, beta
 * and the statistics:
 * dmean = -rstd sum_group(gamma S0), drstd = sum_group(gamma S1) / rstd. */
static void grad_norm_act(lm_graph *g, lm_node *y, lm_node *ct, lm_node **d) {
    lm_node *x = y->src[0], *stats = y->src[1], *gamma = y->src[2], *beta = y->src[3];
    lm_node *src[5] = {x, stats, gamma, beta, ct};
    lm_node *sums = call_like(g, LM_COMP_NORM_SUMS, y, 5, src);
    lm_node *dz = lm_slice_axis(g, sums, 1, 0, 1);
    lm_node *dz_xhat = lm_slice_axis(g, sums, 1, 1, 2);
    lm_node *scale = gamma;
    if (gamma->shape.rank == 2) {
        lm_shape shape = LM_SHAPE(gamma->shape.dim[0], 1, gamma->shape.dim[1]);
        scale = lm_reshape(g, gamma, shape);
    }
    lm_node *rstd = rstd_of(g, stats);
    lm_node *dmean = over_group(g, lm_mul(g, scale, dz), stats);
    lm_node *drstd = over_group(g, lm_mul(g, scale, dz_xhat), stats);
    lm_node *dstats[2] = {lm_neg(g, lm_mul(g, rstd, dmean)), lm_div(g, drstd, rstd)};
    d[0] = norm_act_dx(g, y, ct);
    d[1] = lm_concat(g, dstats, 2, 2);
    d[2] = to_affine(g, dz_xhat, gamma);
    d[3] = to_affine(g, dz, beta);
}

/* ---- softmax and attention --------------------------------------------------- */

static void grad_softmax(lm_graph *g, lm_node *y, lm_node *ct, lm_node **d) {
    d[0] = call_like(g, LM_COMP_SOFTMAX_GRAD, y, 2, (lm_node *[]){y, ct});
}

static void grad_logsumexp(lm_graph *g, lm_node *y, lm_node *ct, lm_node **d) {
    d[0] = lm_mul(g, ct, lm_softmax(g, y->src[0]));
}

static void grad_softmax_xent(lm_graph *g, lm_node *y, lm_node *ct, lm_node **d) {
    lm_node *src[3] = {y->src[0], y->src[1], ct};
    d[0] = call_like(g, LM_COMP_SOFTMAX_XENT_GRAD, y, 3, src);
}

/* The fused gradient packs its three results, so they must be alike. */
static void grad_attention(lm_graph *g, lm_node *y, lm_node *ct, lm_node **d) {
    lm_node *q = y->src[0], *src[5] = {q, y->src[1], y->src[2], y, ct};
    bool alike = lm_shape_equal(q->shape, src[1]->shape) &&
                 lm_shape_equal(q->shape, src[2]->shape);
    if (!alike) {
        grad_through_body(g, y, ct, d);
        return;
    }
    lm_node *packed = call_like(g, LM_COMP_ATTENTION_GRAD, y, 5, src);
    for (int i = 0; i < 3; i++)
        d[i] = lm_reshape(g, lm_slice_axis(g, packed, 0, i, i + 1), q->shape);
}

/* ---- the table --------------------------------------------------------------- */

static const lm_grad_rule rules[LM_COMP_COUNT] = {
    [LM_COMP_GROUP_STATS] = grad_group_stats,
    [LM_COMP_NORM_ACT] = grad_norm_act,
    [LM_COMP_NORM_SUMS] = grad_through_body,
    [LM_COMP_SOFTMAX] = grad_softmax,
    [LM_COMP_SOFTMAX_GRAD] = grad_through_body,
    [LM_COMP_LOGSUMEXP] = grad_logsumexp,
    [LM_COMP_ATTENTION] = grad_attention,
    [LM_COMP_ATTENTION_GRAD] = grad_through_body,
    [LM_COMP_SOFTMAX_XENT] = grad_softmax_xent,
    [LM_COMP_SOFTMAX_XENT_GRAD] = grad_through_body,
};

lm_grad_rule lm_grad_composite_rule(lm_composite composite) {
    return rules[composite];
}
