/* Constructors of matrix products, convolutions, pooling and indexing. */
#include "graph/graph_internal.h"

/* ---- matrices ---------------------------------------------------------------- */

lm_node *lm_matmul(lm_graph *g, lm_node *a, lm_node *b, bool ta, bool tb) {
    return lm_matmul_bias(g, a, b, NULL, ta, tb);
}

lm_node *lm_matmul_bias(lm_graph *g, lm_node *a, lm_node *b, lm_node *bias, bool ta,
                        bool tb) {
    lm_attr attr = {.matmul = {ta, tb}};
    return lm_make(g, LM_KIND_MATMUL, (lm_node *[]){a, b, bias}, bias ? 3 : 2, &attr);
}

lm_node *lm_inv(lm_graph *g, lm_node *a) {
    return lm_make1(g, LM_KIND_INV, a, NULL);
}

lm_node *lm_logabsdet(lm_graph *g, lm_node *a) {
    return lm_make1(g, LM_KIND_LOGABSDET, a, NULL);
}

/* ---- convolution ------------------------------------------------------------- */

static lm_attr conv_attr(const lm_conv_attr *conv, bool sized) {
    lm_attr attr = {.conv = *conv};
    for (int i = 0; i < 2; i++) {
        if (attr.conv.stride[i] == 0) attr.conv.stride[i] = 1;
        if (attr.conv.dilation[i] == 0) attr.conv.dilation[i] = 1;
        if (!sized) attr.conv.size[i] = 0;
    }
    if (attr.conv.groups == 0) attr.conv.groups = 1;
    return attr;
}

lm_node *lm_conv(lm_graph *g, lm_node *x, lm_node *w, lm_node *bias,
                 const lm_conv_attr *attr) {
    lm_attr full = conv_attr(attr, false);
    return lm_make(g, LM_KIND_CONV, (lm_node *[]){x, w, bias}, bias ? 3 : 2, &full);
}

lm_node *lm_conv_dgrad(lm_graph *g, lm_node *y, lm_node *w, const lm_conv_attr *attr) {
    lm_attr full = conv_attr(attr, true);
    return lm_make(g, LM_KIND_CONV_DGRAD, (lm_node *[]){y, w}, 2, &full);
}

lm_node *lm_conv_wgrad(lm_graph *g, lm_node *x, lm_node *y, const lm_conv_attr *attr) {
    lm_attr full = conv_attr(attr, true);
    return lm_make(g, LM_KIND_CONV_WGRAD, (lm_node *[]){x, y}, 2, &full);
}

/* ---- pooling ----------------------------------------------------------------- */

static lm_attr pool_attr(const lm_pool_attr *pool, bool sized) {
    lm_attr attr = {.pool = *pool};
    if (!sized) attr.pool.size[0] = attr.pool.size[1] = 0;
    return attr;
}

lm_node *lm_pool_argmax(lm_graph *g, lm_node *x, const lm_pool_attr *attr) {
    lm_attr full = pool_attr(attr, false);
    return lm_make1(g, LM_KIND_POOL_ARGMAX, x, &full);
}

lm_node *lm_pool_gather(lm_graph *g, lm_node *x, lm_node *index,
                        const lm_pool_attr *attr) {
    lm_attr full = pool_attr(attr, false);
    return lm_make(g, LM_KIND_POOL_GATHER, (lm_node *[]){x, index}, 2, &full);
}

lm_node *lm_pool_scatter(lm_graph *g, lm_node *y, lm_node *index,
                         const lm_pool_attr *attr) {
    lm_attr full = pool_attr(attr, true);
    return lm_make(g, LM_KIND_POOL_SCATTER, (lm_node *[]){y, index}, 2, &full);
}

lm_node *lm_maxpool(lm_graph *g, lm_node *x, const lm_pool_attr *attr) {
    return lm_pool_gather(g, x, lm_pool_argmax(g, x, attr), attr);
}

/* ---- indexing ---------------------------------------------------------------- */

lm_node *lm_gather(lm_graph *g, lm_node *a, lm_node *index) {
    return lm_make(g, LM_KIND_GATHER, (lm_node *[]){a, index}, 2, NULL);
}

lm_node *lm_scatter_add(lm_graph *g, lm_node *a, lm_node *index, int64_t rows) {
    lm_attr attr = {.rows = rows};
    return lm_make(g, LM_KIND_SCATTER_ADD, (lm_node *[]){a, index}, 2, &attr);
}

lm_node *lm_axismap(lm_graph *g, lm_node *a, int axis, const lm_sparse *matrix) {
    if (!a || !matrix) return NULL;
    axis = lm_axis_of(g, "axismap", a, axis);
    lm_attr attr = {.axis = {axis, 0, matrix}};
    return axis < 0 ? NULL : lm_make1(g, LM_KIND_AXISMAP, a, &attr);
}

lm_node *lm_allreduce_sum(lm_graph *g, lm_node *a) {
    return lm_make1(g, LM_KIND_ALLREDUCE_SUM, a, NULL);
}
