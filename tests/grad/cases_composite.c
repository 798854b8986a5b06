/* A case for every composite: first with the shapes that the fused kernels see, then the
 * corners. Where a source would be computed from another one in a model (statistics, the
 * result in a gradient), it is independent here, so that the rule's partial derivative
 * is what gets checked; the chains follow as cases of their own. */
#include "gradcheck.h"

/* ---- normalisation ----------------------------------------------------------- */

typedef struct norm_case {
    int rank;
    int64_t dim[4];
    int groups, act;
    bool per_sample; /* gamma and beta are [N,C] */
} norm_case;

static const norm_case norm_image = {4, {2, 3, 5, 6}, 3, 0, false};
static const norm_case norm_silu = {4, {2, 3, 5, 6}, 3, 1, false};
static const norm_case norm_adaptive = {4, {3, 2, 1, 4}, 2, 1, true};
static const norm_case norm_instance = {3, {2, 7, 3}, 3, 1, false};
static const norm_case norm_layer = {2, {3, 5}, 1, 0, false};

static lm_shape norm_shape(const norm_case *p) {
    return lm_shape_make(p->rank, p->dim);
}

static lm_node *norm_affine(gc *t, const norm_case *p, double lo) {
    int64_t n = p->dim[0], channels = p->dim[p->rank - 1];
    lm_shape shape = p->per_sample ? LM_SHAPE(n, channels) : LM_SHAPE(channels);
    return gc_float(t, shape, lo, lo + 1);
}

/* Independent statistics: means around 0, deviations around 1. */
static lm_node *norm_stats(gc *t, const norm_case *p) {
    lm_shape shape = LM_SHAPE(p->dim[0], p->groups, 1);
    lm_node *part[2] = {gc_float(t, shape, -0.5, 0.5), gc_float(t, shape, 0.5, 2)};
    return lm_concat(t->graph, part, 2, 2);
}

static lm_node *group_stats(gc *t, const norm_case *p, lm_node *x) {
    lm_call_attr attr = {{p->groups}, {1e-3f}};
    return lm_call(t->graph, LM_COMP_GROUP_STATS, &x, 1, &attr);
}

static lm_node *build_group_stats(gc *t, const gc_case *c) {
    return group_stats(t, c->param, gc_float(t, norm_shape(c->param), -1, 2));
}

static lm_node *build_norm(gc *t, const gc_case *c) {
    const norm_case *p = c->param;
    lm_node *x = gc_float(t, norm_shape(p), -1, 2);
    lm_node *src[5] = {x, c->i[0] ? group_stats(t, p, x) : norm_stats(t, p),
                       norm_affine(t, p, 0.5), norm_affine(t, p, -0.5)};
    if (c->op == LM_COMP_NORM_SUMS) src[4] = gc_float(t, norm_shape(p), -1, 1);
    lm_call_attr attr = {{p->act}, {0}};
    return lm_call(t->graph, c->op, src, src[4] ? 5 : 4, &attr);
}

/* norm_grad with `i` sources: the statistics' part from the sixth, another term. */
static lm_node *build_norm_grad(gc *t, const gc_case *c) {
    const norm_case *p = c->param;
    lm_shape x = norm_shape(p), stats = LM_SHAPE(p->dim[0], p->groups, 2);
    lm_node *src[7] = {gc_float(t, x, -1, 2), norm_stats(t, p), norm_affine(t, p, 0.5),
                       norm_affine(t, p, -0.5), gc_float(t, x, -1, 1)};
    if (c->i[0] > 5) src[5] = gc_float(t, stats, -1, 1);
    if (c->i[0] > 6) src[6] = gc_float(t, x, -1, 1);
    lm_call_attr attr = {{p->act}, {0}};
    return lm_call(t->graph, LM_COMP_NORM_GRAD, src, c->i[0], &attr);
}

static lm_node *build_norm_dstats(gc *t, const gc_case *c) {
    const norm_case *p = c->param;
    int64_t channels = p->dim[p->rank - 1];
    lm_node *src[3] = {norm_stats(t, p), norm_affine(t, p, 0.5),
                       gc_float(t, LM_SHAPE(p->dim[0], 2, channels), -1, 1)};
    return lm_call(t->graph, LM_COMP_NORM_DSTATS, src, 3, NULL);
}

static lm_node *build_stats_grad(gc *t, const gc_case *c) {
    const norm_case *p = c->param;
    lm_shape stats = LM_SHAPE(p->dim[0], p->groups, 2);
    lm_node *src[3] = {gc_float(t, norm_shape(p), -1, 2), norm_stats(t, p),
                       gc_float(t, stats, -1, 1)};
    return lm_call(t->graph, LM_COMP_STATS_GRAD, src, 3, NULL);
}

static lm_node *build_group_norm(gc *t, const gc_case *c) {
    const norm_case *p = c->param;
    lm_node *x = gc_float(t, norm_shape(p), -1, 2);
    lm_node *gamma = norm_affine(t, p, 0.5), *beta = norm_affine(t, p, -0.5);
    return lm_group_norm(t->graph, x, gamma, beta, p->groups, 1e-3, p->act);
}

/* ---- convolution ------------------------------------------------------------- */

/* conv_block with the parts i[0] and other activations, i[1] and i[2]. */
static lm_node *build_conv_block(gc *t, const gc_case *c) {
    const norm_case *p = c->param;
    int64_t n = p->dim[0], filters = 3;
    lm_shape x = norm_shape(p), y = LM_SHAPE(n, p->dim[1], p->dim[2], filters);
    lm_node *src[8] = {gc_float(t, x, -1, 1),
                       gc_float(t, LM_SHAPE(filters, 3, 3, p->dim[3]), -1, 1)};
    int count = 2, parts = c->i[0];
    if (parts & LM_BLOCK_BIAS) src[count++] = gc_float(t, LM_SHAPE(filters), -1, 1);
    if (parts & LM_BLOCK_NORM) {
        src[count++] = norm_stats(t, p);
        src[count++] = norm_affine(t, p, 0.5);
        src[count++] = norm_affine(t, p, -0.5);
    }
    if (parts & LM_BLOCK_SHIFT) src[count++] = gc_float(t, LM_SHAPE(n, filters), -1, 1);
    if (parts & LM_BLOCK_RESIDUAL) src[count++] = gc_float(t, y, -1, 1);
    lm_call_attr attr = {{parts, c->i[1] ? c->i[1] : p->act, c->i[2]}, {0.3f, 0.2f}};
    return lm_call(t->graph, LM_COMP_CONV_BLOCK, src, count, &attr);
}

static lm_node *build_conv_block_wgrad(gc *t, const gc_case *c) {
    const norm_case *p = c->param;
    lm_shape y = LM_SHAPE(p->dim[0], p->dim[1], p->dim[2], 2);
    lm_node *src[5] = {gc_float(t, norm_shape(p), -1, 2), gc_float(t, y, -1, 1),
                       norm_stats(t, p), norm_affine(t, p, 0.5), norm_affine(t, p, -0.5)};
    lm_call_attr attr = {{p->act}, {0}};
    return lm_call(t->graph, LM_COMP_CONV_BLOCK_WGRAD, src, 5, &attr);
}

/* ---- softmax ----------------------------------------------------------------- */

static lm_node *build_rows(gc *t, const gc_case *c) {
    lm_node *x = gc_float(t, LM_SHAPE(2, 1, 5), -2, 2);
    return lm_call(t->graph, c->op, &x, 1, NULL);
}

static lm_node *build_softmax_grad(gc *t, const gc_case *c) {
    lm_node *src[2] = {gc_float(t, LM_SHAPE(3, 5), 0.1, 0.5),
                       gc_float(t, LM_SHAPE(3, 5), -1, 1)};
    return lm_call(t->graph, c->op, src, 2, NULL);
}

static lm_node *build_xent(gc *t, const gc_case *c) {
    lm_node *src[3] = {gc_float(t, LM_SHAPE(3, 5), -2, 2),
                       gc_integers(t, LM_I32, LM_SHAPE(3), 5)};
    bool backward = c->op == LM_COMP_SOFTMAX_XENT_GRAD;
    if (backward) src[2] = gc_float(t, LM_SHAPE(3, 1), -1, 1);
    return lm_call(t->graph, c->op, src, backward ? 3 : 2, NULL);
}

/* ---- attention --------------------------------------------------------------- */

/* i0 queries; i1 heads of 3 columns */
static lm_node *build_attention(gc *t, const gc_case *c) {
    int n_src = c->op == LM_COMP_ATTENTION_GRAD ? 5 : 3, heads = c->i[1];
    lm_node *src[5];
    for (int i = 0; i < n_src; i++)
        src[i] = gc_float(t, LM_SHAPE(2, c->i[0], 3 * heads), -1, 1);
    lm_call_attr attr = {{heads}, {0.6f}};
    return lm_call(t->graph, c->op, src, n_src, &attr);
}

/* Queries, keys and values side by side. */
static lm_node *build_packed(gc *t, const gc_case *c) {
    int heads = c->i[1];
    lm_node *src[3] = {gc_float(t, LM_SHAPE(2, c->i[0], 6 * heads), -1, 1)};
    for (int i = 1; i < 3; i++)
        src[i] = gc_float(t, LM_SHAPE(2, c->i[0], 2 * heads), -1, 1);
    lm_call_attr attr = {{heads}, {0.6f}};
    return lm_call(t->graph, c->op, src, c->op == LM_COMP_ATTENTION_GRAD ? 3 : 1, &attr);
}

static lm_node *build_one_source(gc *t, const gc_case *c) {
    lm_node *x = gc_float(t, LM_SHAPE(2, 5, 3), -1, 1);
    return lm_attention(t->graph, x, x, x, 1, 0.6);
}

/* Queries of one sequence, keys and wider values of a longer one. */
static lm_node *build_cross(gc *t, const gc_case *c) {
    lm_node *q = gc_float(t, LM_SHAPE(2, 3, 4), -1, 1);
    lm_node *k = gc_float(t, LM_SHAPE(2, 5, 4), -1, 1);
    lm_node *v = gc_float(t, LM_SHAPE(2, 5, 2), -1, 1);
    return lm_attention(t->graph, q, k, v, 1, 0.6);
}

/* ---- the table --------------------------------------------------------------- */

#define COMP(composite, builder)                                                         \
    .table = GC_COMPOSITE, .op = LM_COMP_##composite, .build = builder

const gc_case gc_cases_composite[] = {
    {COMP(GROUP_STATS, build_group_stats), .param = &norm_image},
    {COMP(GROUP_STATS, build_group_stats), .name = "a channel each",
     .param = &norm_instance},
    {COMP(GROUP_STATS, build_group_stats), .name = "one group", .param = &norm_layer},
    {COMP(NORM_ACT, build_norm), .name = "linear", .param = &norm_image},
    {COMP(NORM_ACT, build_norm), .name = "silu", .param = &norm_silu},
    {COMP(NORM_ACT, build_norm), .name = "adaptive", .param = &norm_adaptive},
    {COMP(NORM_ACT, build_norm), .name = "rank 2", .param = &norm_layer},
    {COMP(NORM_ACT, build_norm), .name = "own statistics", .param = &norm_silu, .i = {1}},
    {COMP(NORM_ACT, build_group_norm), .name = "group norm", .param = &norm_instance},
    {COMP(NORM_SUMS, build_norm), .name = "linear", .param = &norm_layer},
    {COMP(NORM_SUMS, build_norm), .name = "silu", .param = &norm_instance},
    {COMP(NORM_SUMS, build_norm), .name = "adaptive", .param = &norm_adaptive},
    {COMP(NORM_GRAD, build_norm_grad), .name = "linear", .param = &norm_image, .i = {5}},
    {COMP(NORM_GRAD, build_norm_grad), .name = "silu", .param = &norm_instance, .i = {6}},
    {COMP(NORM_GRAD, build_norm_grad), .name = "with a term", .param = &norm_adaptive,
     .i = {7}},
    {COMP(NORM_DSTATS, build_norm_dstats), .param = &norm_image},
    {COMP(NORM_DSTATS, build_norm_dstats), .name = "adaptive", .param = &norm_adaptive},
    {COMP(STATS_GRAD, build_stats_grad), .param = &norm_image},
    {COMP(STATS_GRAD, build_stats_grad), .name = "one group", .param = &norm_layer},
    {COMP(CONV_BLOCK, build_conv_block), .name = "bare", .param = &norm_image},
    {COMP(CONV_BLOCK, build_conv_block), .name = "all parts", .param = &norm_adaptive,
     .i = {15}},
    {COMP(CONV_BLOCK, build_conv_block), .name = "normalised", .param = &norm_silu,
     .i = {2}},
    {COMP(CONV_BLOCK_WGRAD, build_conv_block_wgrad), .param = &norm_adaptive},
    {COMP(CONV_BLOCK, build_conv_block), .name = "leaky", .param = &norm_image,
     .i = {8, 2, 2}},
    {COMP(CONV_BLOCK_WGRAD, build_conv_block_wgrad), .name = "linear",
     .param = &norm_image},
    {COMP(SOFTMAX, build_rows)},
    {COMP(SOFTMAX_GRAD, build_softmax_grad)},
    {COMP(LOGSUMEXP, build_rows)},
    {COMP(ATTENTION, build_attention), .i = {5, 1}},
    {COMP(ATTENTION, build_attention), .name = "heads", .i = {3, 2}},
    {COMP(ATTENTION, build_packed), .name = "packed", .i = {3, 2}},
    {COMP(ATTENTION, build_one_source), .name = "one source"},
    {COMP(ATTENTION, build_cross), .name = "cross"},
    {COMP(ATTENTION_GRAD, build_attention), .i = {3, 1}},
    {COMP(ATTENTION_GRAD, build_packed), .name = "packed", .i = {2, 2}},
    {COMP(SOFTMAX_XENT, build_xent)},
    {COMP(SOFTMAX_XENT_GRAD, build_xent)},
    {.build = NULL},
};
