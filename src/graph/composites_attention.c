/* Scaled dot-product attention (Vaswani et al.: "Attention is all you need", eq. 1). */
#include "graph/graph_internal.h"

/* Queries may attend to a sequence of another length, with values of another width. */
static lm_status infer_attention(lm_typing *t) {
    lm_shape q = t->src[0]->shape, k = t->src[1]->shape, v = t->src[2]->shape;
    LM_RETURN_IF(q.rank != 3 || k.rank != 3 || v.rank != 3, LM_SHAPE,
                 "q, k and v must have rank 3");
    LM_RETURN_IF(k.dim[0] != q.dim[0] || k.dim[2] != q.dim[2], LM_SHAPE,
                 "k must be [%lld,S,%lld]", (long long)q.dim[0], (long long)q.dim[2]);
    LM_RETURN_IF(v.dim[0] != k.dim[0] || v.dim[1] != k.dim[1], LM_SHAPE,
                 "v must be [%lld,%lld,E]", (long long)k.dim[0], (long long)k.dim[1]);
    t->shape = LM_SHAPE(q.dim[0], q.dim[1], v.dim[2]);
    return LM_OK;
}

static lm_status infer_attention_grad(lm_typing *t) {
    lm_shape q = t->src[0]->shape;
    LM_RETURN_IF(q.rank != 3, LM_SHAPE, "q must be [B,T,D]");
    for (int i = 1; i < t->n_src; i++)
        LM_RETURN_IF(!lm_shape_equal(t->src[i]->shape, q), LM_SHAPE,
                     "all shapes must be equal");
    t->shape = LM_SHAPE(3, q.dim[0], q.dim[1], q.dim[2]);
    return LM_OK;
}

static lm_node *weights(lm_graph *g, const lm_node *call) {
    lm_node *scores = lm_matmul(g, call->src[0], call->src[1], false, true);
    return lm_softmax_body(g, lm_scale(g, scores, call->attr.call.f[0]));
}

static lm_node *attention_body(lm_graph *g, const lm_node *call) {
    return lm_matmul(g, weights(g, call), call->src[2], false, false);
}

/* sum(g * y) over the row equals sum(dp * p) and is cheaper (Dao et al.:
 * "FlashAttention", appendix B.2). */
static lm_node *attention_grad_body(lm_graph *g, const lm_node *call) {
    lm_node *q = call->src[0], *k = call->src[1], *v = call->src[2];
    lm_node *y = call->src[3], *dy = call->src[4];
    double scale = call->attr.call.f[0];
    lm_node *p = weights(g, call);
    lm_node *dp = lm_matmul(g, dy, v, false, true);
    lm_node *inner = lm_sum(g, lm_mul(g, dy, y), 1u << 2, true);
    lm_node *ds = lm_scale(g, lm_mul(g, p, lm_sub(g, dp, inner)), scale);
    lm_shape one = LM_SHAPE(1, q->shape.dim[0], q->shape.dim[1], q->shape.dim[2]);
    lm_node *parts[] = {lm_reshape(g, lm_matmul(g, ds, k, false, false), one),
                        lm_reshape(g, lm_matmul(g, ds, q, true, false), one),
                        lm_reshape(g, lm_matmul(g, p, dy, true, false), one)};
    return lm_concat(g, parts, 3, 0);
}

const lm_composite_rule lm_rule_attention = {infer_attention, attention_body, "q k v",
                                             "f"};
const lm_composite_rule lm_rule_attention_grad = {infer_attention_grad,
                                                  attention_grad_body, "q k v y g", "f"};

lm_node *lm_attention(lm_graph *g, lm_node *q, lm_node *k, lm_node *v, double scale) {
    lm_call_attr attr = {.f = {(float)scale}};
    return lm_call(g, LM_COMP_ATTENTION, (lm_node *[]){q, k, v}, 3, &attr);
}
