/* Gradient rules of every kind but ew and call: mostly linear maps, whose cotangents go
 * through the adjoint map. Adjoint pairs: broadcast and reduce_sum, slice and pad, gather
 * and scatter_add, pool_gather and pool_scatter, axismap and its transpose, cumsum in
 * both directions, and the convolution trio, which permutes among itself. */
#include "graph/grad_internal.h"

/* ---- shape ------------------------------------------------------------------- */

static void grad_broadcast(lm_graph *g, lm_node *y, lm_node *ct, lm_node **d) {
    d[0] = lm_sum_to(g, ct, y->src[0]->shape);
}

static void grad_reshape(lm_graph *g, lm_node *y, lm_node *ct, lm_node **d) {
    d[0] = lm_reshape(g, ct, y->src[0]->shape);
}

static void grad_permute(lm_graph *g, lm_node *y, lm_node *ct, lm_node **d) {
    int inverse[LM_MAX_RANK];
    for (int i = 0; i < y->shape.rank; i++) inverse[y->attr.perm[i]] = i;
    d[0] = lm_permute(g, ct, inverse);
}

static void grad_slice(lm_graph *g, lm_node *y, lm_node *ct, lm_node **d) {
    const lm_slice_attr *slice = &y->attr.slice;
    lm_pad_attr pad = {0};
    for (int i = 0; i < y->shape.rank; i++) {
        int64_t end = slice->lo[i] + (y->shape.dim[i] - 1) * slice->step[i] + 1;
        pad.lo[i] = slice->lo[i];
        pad.hi[i] = (int32_t)(y->src[0]->shape.dim[i] - end);
        pad.interior[i] = slice->step[i] - 1;
    }
    d[0] = lm_pad(g, ct, &pad);
}

static void grad_pad(lm_graph *g, lm_node *y, lm_node *ct, lm_node **d) {
    const lm_pad_attr *pad = &y->attr.pad;
    lm_slice_attr slice = {0};
    for (int i = 0; i < y->shape.rank; i++) {
        slice.lo[i] = pad->lo[i];
        slice.hi[i] = (int32_t)(y->shape.dim[i] - pad->hi[i]);
        slice.step[i] = pad->interior[i] + 1;
    }
    d[0] = lm_slice(g, ct, &slice);
}

static void grad_concat(lm_graph *g, lm_node *y, lm_node *ct, lm_node **d) {
    int axis = y->attr.axis.axis;
    int64_t lo = 0;
    for (int i = 0; i < y->n_src; i++) {
        int64_t hi = lo + y->src[i]->shape.dim[axis];
        d[i] = lm_slice_axis(g, ct, axis, lo, hi);
        lo = hi;
    }
}

static void grad_reverse(lm_graph *g, lm_node *y, lm_node *ct, lm_node **d) {
    d[0] = lm_reverse(g, ct, y->attr.axes);
}

/* ---- reductions -------------------------------------------------------------- */

static void grad_reduce_sum(lm_graph *g, lm_node *y, lm_node *ct, lm_node **d) {
    d[0] = lm_broadcast(g, ct, y->src[0]->shape);
}

/* Ties share equally, as in max. */
static void grad_reduce_max(lm_graph *g, lm_node *y, lm_node *ct, lm_node **d) {
    lm_node *x = y->src[0];
    lm_node *largest = lm_cast(g, lm_eq(g, x, y), x->dtype);
    lm_node *ties = lm_sum(g, largest, y->attr.axes, true);
    d[0] = lm_mul(g, largest, lm_div(g, ct, ties));
}

static void grad_cumsum(lm_graph *g, lm_node *y, lm_node *ct, lm_node **d) {
    d[0] = lm_cumsum(g, ct, y->attr.axis.axis, !y->attr.axis.reverse);
}

static void grad_allreduce_sum(lm_graph *g, lm_node *y, lm_node *ct, lm_node **d) {
    d[0] = lm_allreduce_sum(g, ct);
}

/* ---- rows, maps, pools ------------------------------------------------------- */

static void grad_gather(lm_graph *g, lm_node *y, lm_node *ct, lm_node **d) {
    d[0] = lm_scatter_add(g, ct, y->src[1], y->src[0]->shape.dim[0]);
}

static void grad_scatter_add(lm_graph *g, lm_node *y, lm_node *ct, lm_node **d) {
    d[0] = lm_gather(g, ct, y->src[1]);
}

static void grad_axismap(lm_graph *g, lm_node *y, lm_node *ct, lm_node **d) {
    const lm_sparse *adjoint = lm_sparse_transpose(g, y->attr.axis.matrix);
    if (adjoint) d[0] = lm_axismap(g, ct, y->attr.axis.axis, adjoint);
}

static void grad_pool_gather(lm_graph *g, lm_node *y, lm_node *ct, lm_node **d) {
    lm_pool_attr attr = y->attr.pool;
    for (int i = 0; i < 2; i++) attr.size[i] = (int32_t)y->src[0]->shape.dim[1 + i];
    d[0] = lm_pool_scatter(g, ct, y->src[1], &attr);
}

static void grad_pool_scatter(lm_graph *g, lm_node *y, lm_node *ct, lm_node **d) {
    lm_pool_attr attr = y->attr.pool;
    for (int i = 0; i < 2; i++) attr.size[i] = 0;
    d[0] = lm_pool_gather(g, ct, y->src[1], &attr);
}

/* ---- linear algebra ---------------------------------------------------------- */

/* With A = op(a) and B = op(b): dA = ct B' and dB = A' ct, transposed back for a and b by
 * exchanging the factors. */
static void grad_matmul(lm_graph *g, lm_node *y, lm_node *ct, lm_node **d) {
    lm_node *a = y->src[0], *b = y->src[1];
    bool ta = y->attr.matmul.ta, tb = y->attr.matmul.tb;
    d[0] = ta ? lm_matmul(g, b, ct, tb, true) : lm_matmul(g, ct, b, false, !tb);
    d[1] = tb ? lm_matmul(g, ct, a, true, ta) : lm_matmul(g, a, ct, !ta, false);
    if (y->n_src == 3) d[2] = lm_sum_to(g, ct, y->src[2]->shape);
}

static void grad_inv(lm_graph *g, lm_node *y, lm_node *ct, lm_node **d) {
    d[0] = lm_neg(g, lm_matmul(g, lm_matmul(g, y, ct, true, false), y, false, true));
}

static void grad_logabsdet(lm_graph *g, lm_node *y, lm_node *ct, lm_node **d) {
    d[0] = lm_mul(g, ct, lm_transpose(g, lm_inv(g, y->src[0])));
}

/* ---- convolution ------------------------------------------------------------- */

/* The geometry of y's convolution for a result whose axes 1 and 2 are those of `like`:
 * height and width of NHWC as well as of OHWI. NULL: conv, which needs no size. */
static lm_conv_attr conv_attr(const lm_node *y, const lm_node *like) {
    lm_conv_attr attr = y->attr.conv;
    for (int i = 0; i < 2; i++) attr.size[i] = like ? (int32_t)like->shape.dim[1 + i] : 0;
    return attr;
}

static void grad_conv(lm_graph *g, lm_node *y, lm_node *ct, lm_node **d) {
    lm_node *x = y->src[0], *w = y->src[1];
    lm_conv_attr to_x = conv_attr(y, x), to_w = conv_attr(y, w);
    d[0] = lm_conv_dgrad(g, ct, w, &to_x);
    d[1] = lm_conv_wgrad(g, x, ct, &to_w);
    if (y->n_src == 3) d[2] = lm_sum_to(g, ct, y->src[2]->shape);
}

static void grad_conv_dgrad(lm_graph *g, lm_node *x, lm_node *ct, lm_node **d) {
    lm_node *y = x->src[0], *w = x->src[1];
    lm_conv_attr to_y = conv_attr(x, NULL), to_w = conv_attr(x, w);
    d[0] = lm_conv(g, ct, w, NULL, &to_y);
    d[1] = lm_conv_wgrad(g, ct, y, &to_w);
}

static void grad_conv_wgrad(lm_graph *g, lm_node *w, lm_node *ct, lm_node **d) {
    lm_node *x = w->src[0], *y = w->src[1];
    lm_conv_attr to_x = conv_attr(w, x), to_y = conv_attr(w, NULL);
    d[0] = lm_conv_dgrad(g, y, ct, &to_x);
    d[1] = lm_conv(g, x, ct, NULL, &to_y);
}

/* ---- the table --------------------------------------------------------------- */

void lm_grad_none(lm_graph *g, lm_node *node, lm_node *cotangent, lm_node **d) {}

/* ew and call have tables of their own. */
static const lm_grad_rule rules[LM_KIND_COUNT] = {
    [LM_KIND_PARAM] = lm_grad_none,
    [LM_KIND_INPUT] = lm_grad_none,
    [LM_KIND_CONST] = lm_grad_none,
    [LM_KIND_IOTA] = lm_grad_none,
    [LM_KIND_BROADCAST] = grad_broadcast,
    [LM_KIND_REDUCE_SUM] = grad_reduce_sum,
    [LM_KIND_REDUCE_MAX] = grad_reduce_max,
    [LM_KIND_ARGMAX] = lm_grad_none,
    [LM_KIND_RESHAPE] = grad_reshape,
    [LM_KIND_PERMUTE] = grad_permute,
    [LM_KIND_SLICE] = grad_slice,
    [LM_KIND_PAD] = grad_pad,
    [LM_KIND_CONCAT] = grad_concat,
    [LM_KIND_REVERSE] = grad_reverse,
    [LM_KIND_GATHER] = grad_gather,
    [LM_KIND_SCATTER_ADD] = grad_scatter_add,
    [LM_KIND_MATMUL] = grad_matmul,
    [LM_KIND_CONV] = grad_conv,
    [LM_KIND_CONV_DGRAD] = grad_conv_dgrad,
    [LM_KIND_CONV_WGRAD] = grad_conv_wgrad,
    [LM_KIND_AXISMAP] = grad_axismap,
    [LM_KIND_POOL_ARGMAX] = lm_grad_none,
    [LM_KIND_POOL_GATHER] = grad_pool_gather,
    [LM_KIND_POOL_SCATTER] = grad_pool_scatter,
    [LM_KIND_CUMSUM] = grad_cumsum,
    [LM_KIND_TOPK] = lm_grad_none,
    [LM_KIND_PHILOX] = lm_grad_none,
    [LM_KIND_INV] = grad_inv,
    [LM_KIND_LOGABSDET] = grad_logabsdet,
    [LM_KIND_ALLREDUCE_SUM] = grad_allreduce_sum,
    [LM_KIND_ASSIGN] = lm_grad_none,
};

lm_grad_rule lm_grad_kind_rule(lm_kind kind) {
    return rules[kind];
}
