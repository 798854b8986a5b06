/* Softmax and what is built on it. The largest element is subtracted first; it cancels,
 * so no gradient flows through it. */
#include "graph/graph_internal.h"

static uint32_t last_axis(const lm_node *x) {
    return 1u << (x->shape.rank - 1);
}

static lm_node *largest(lm_graph *g, lm_node *x) {
    return lm_stop_grad(g, lm_reduce_max(g, x, last_axis(x), true));
}

lm_node *lm_softmax_body(lm_graph *g, lm_node *x) {
    if (!x) return NULL;
    lm_node *e = lm_exp(g, lm_sub(g, x, largest(g, x)));
    return lm_div(g, e, lm_sum(g, e, last_axis(x), true));
}

static lm_node *logsumexp(lm_graph *g, lm_node *x) {
    lm_node *max = largest(g, x), *e = lm_exp(g, lm_sub(g, x, max));
    return lm_add(g, lm_log(g, lm_sum(g, e, last_axis(x), true)), max);
}

/* ---- softmax ----------------------------------------------------------------- */

static lm_status infer_softmax(lm_typing *t) {
    t->shape = t->src[0]->shape;
    LM_RETURN_IF(t->shape.rank < 1, LM_SHAPE, "needs an axis");
    return LM_OK;
}

static lm_status infer_softmax_grad(lm_typing *t) {
    LM_RETURN_IF(!lm_shape_equal(t->src[0]->shape, t->src[1]->shape), LM_SHAPE,
                 "y and g differ in shape");
    return infer_softmax(t);
}

static lm_status infer_logsumexp(lm_typing *t) {
    LM_TRY(infer_softmax(t));
    t->shape.dim[t->shape.rank - 1] = 1;
    return LM_OK;
}

static lm_node *softmax_body(lm_graph *g, const lm_node *call) {
    return lm_softmax_body(g, call->src[0]);
}

static lm_node *softmax_grad_body(lm_graph *g, const lm_node *call) {
    lm_node *y = call->src[0], *cotangent = call->src[1];
    lm_node *inner = lm_sum(g, lm_mul(g, cotangent, y), last_axis(y), true);
    return lm_mul(g, y, lm_sub(g, cotangent, inner));
}

static lm_node *logsumexp_body(lm_graph *g, const lm_node *call) {
    return logsumexp(g, call->src[0]);
}

const lm_composite_rule lm_rule_softmax = {infer_softmax, softmax_body, "x", "f"};
const lm_composite_rule lm_rule_softmax_grad = {infer_softmax_grad, softmax_grad_body,
                                                "y g", "f"};
const lm_composite_rule lm_rule_logsumexp = {infer_logsumexp, logsumexp_body, "x", "f"};

lm_node *lm_softmax(lm_graph *g, lm_node *x) {
    return lm_call(g, LM_COMP_SOFTMAX, &x, 1, NULL);
}

lm_node *lm_logsumexp(lm_graph *g, lm_node *x) {
    return lm_call(g, LM_COMP_LOGSUMEXP, &x, 1, NULL);
}

/* ---- cross entropy ----------------------------------------------------------- */

static lm_status infer_xent(lm_typing *t) {
    lm_shape logits = t->src[0]->shape;
    LM_RETURN_IF(logits.rank != 2, LM_SHAPE, "logits must be [N,C]");
    lm_shape labels = LM_SHAPE(logits.dim[0]);
    LM_RETURN_IF(!lm_shape_equal(t->src[1]->shape, labels), LM_SHAPE,
                 "labels must be [%lld]", (long long)logits.dim[0]);
    t->shape = LM_SHAPE(logits.dim[0], 1);
    return LM_OK;
}

static lm_status infer_xent_grad(lm_typing *t) {
    LM_TRY(infer_xent(t));
    LM_RETURN_IF(!lm_shape_equal(t->src[2]->shape, t->shape), LM_SHAPE,
                 "g must be [%lld,1]", (long long)t->shape.dim[0]);
    t->shape = t->src[0]->shape;
    return LM_OK;
}

/* A mask [N,C] of the elements that the labels name. */
static lm_node *chosen(lm_graph *g, lm_node *logits, lm_node *labels) {
    lm_node *column = lm_reshape(g, labels, LM_SHAPE(logits->shape.dim[0], 1));
    return lm_eq(g, lm_iota(g, LM_I32, logits->shape, 1), column);
}

static lm_node *xent_body(lm_graph *g, const lm_node *call) {
    lm_node *logits = call->src[0];
    lm_node *mask = chosen(g, logits, call->src[1]);
    lm_node *picked = lm_where(g, mask, logits, lm_const(g, 0));
    return lm_sub(g, logsumexp(g, logits), lm_sum(g, picked, 1u << 1, true));
}

static lm_node *xent_grad_body(lm_graph *g, const lm_node *call) {
    lm_node *logits = call->src[0];
    lm_node *onehot = lm_cast(g, chosen(g, logits, call->src[1]), LM_F32);
    return lm_mul(g, call->src[2], lm_sub(g, lm_softmax_body(g, logits), onehot));
}

const lm_composite_rule lm_rule_xent = {infer_xent, xent_body, "logits labels", "fi"};
const lm_composite_rule lm_rule_xent_grad = {infer_xent_grad, xent_grad_body,
                                             "logits labels g", "fif"};

lm_node *lm_softmax_xent(lm_graph *g, lm_node *logits, lm_node *labels) {
    return lm_call(g, LM_COMP_SOFTMAX_XENT, (lm_node *[]){logits, labels}, 2, NULL);
}
