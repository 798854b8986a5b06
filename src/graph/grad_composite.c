/* Gradients of composites. A rule emits the composite that has a fused backward kernel;
 * every composite without one, the backward ones above all, is differentiated through its
 * body. So first order is fast and any order exists. */
#include "graph/grad_internal.h"
#include "graph/graph_internal.h"

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
 * One pass over the positions (NORM_SUMS) serves gamma, beta and the statistics, one more
 * (NORM_GRAD) makes the gradient by x. The statistics' own gradient by x is a term of the
 * same sum; lm_grad_fuse_terms makes them one call. */

static void grad_group_stats(lm_graph *g, lm_node *stats, lm_node *ct, lm_node **d) {
    lm_node *src[3] = {stats->src[0], stats, ct};
    d[0] = lm_call(g, LM_COMP_STATS_GRAD, src, 3, NULL);
}

/* Row `which` of the sums [N,2,C], down to a parameter of shape [C] or [N,C]. The sum
 * over the samples is shared by gamma and beta, whose gradients then lie side by side. */
static lm_node *to_affine(lm_graph *g, lm_node *sums, int which, const lm_node *param) {
    if (param->shape.rank == 1) sums = lm_sum(g, sums, 1u << 0, true);
    return lm_reshape(g, lm_slice_axis(g, sums, 1, which, which + 1), param->shape);
}

static void grad_norm_act(lm_graph *g, lm_node *y, lm_node *ct, lm_node **d) {
    lm_node *src[5] = {y->src[0], y->src[1], y->src[2], y->src[3], ct};
    lm_node *sums = call_like(g, LM_COMP_NORM_SUMS, y, 5, src);
    lm_node *of_stats[3] = {y->src[1], y->src[2], sums};
    d[0] = call_like(g, LM_COMP_NORM_GRAD, y, 5, src);
    d[1] = lm_call(g, LM_COMP_NORM_DSTATS, of_stats, 3, NULL);
    d[2] = to_affine(g, sums, 0, y->src[2]);
    d[3] = to_affine(g, sums, 1, y->src[3]);
}

static bool is_call(const lm_node *node, lm_composite composite) {
    return node->kind == LM_KIND_CALL && node->attr.call.composite == (int)composite;
}

/* Whether a NORM_GRAD can take the other term in as its next source: first what the
 * statistics of the same x contribute, then one value that is in memory anyway. */
static bool takes_in(const lm_node *norm, const lm_node *other) {
    if (!is_call(norm, LM_COMP_NORM_GRAD)) return false;
    if (norm->n_src == 5)
        return is_call(other, LM_COMP_STATS_GRAD) && other->src[0] == norm->src[0] &&
               other->src[1] == norm->src[1];
    return norm->n_src == 6 && other->kind != LM_KIND_BROADCAST &&
           other->kind != LM_KIND_CONST;
}

lm_node *lm_grad_fuse_terms(lm_graph *g, lm_node *a, lm_node *b) {
    if (!a || !b) return NULL;
    lm_node *norm = takes_in(a, b) ? a : takes_in(b, a) ? b : NULL;
    if (!norm) return NULL;
    lm_node *src[7], *other = norm == a ? b : a;
    for (int i = 0; i < norm->n_src; i++) src[i] = norm->src[i];
    src[norm->n_src] = norm->n_src == 5 ? other->src[2] : other;
    lm_scope scope;
    lm_label_begin(g, &scope, norm->label);
    lm_node *both = call_like(g, LM_COMP_NORM_GRAD, norm, norm->n_src + 1, src);
    lm_label_end(g, &scope);
    return both;
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
    lm_node *q = y->src[0];
    if (y->n_src == 1) {
        d[0] = call_like(g, LM_COMP_ATTENTION_GRAD, y, 3, (lm_node *[]){q, y, ct});
        return;
    }
    lm_node *src[5] = {q, y->src[1], y->src[2], y, ct};
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
    [LM_COMP_NORM_GRAD] = grad_through_body,
    [LM_COMP_NORM_DSTATS] = grad_through_body,
    [LM_COMP_STATS_GRAD] = grad_through_body,
    [LM_COMP_CONV_BLOCK] = grad_through_body,
    [LM_COMP_CONV_BLOCK_WGRAD] = grad_through_body,
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
