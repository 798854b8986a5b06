/* Scaled dot-product attention with heads (Vaswani et al.: "Attention is all you need",
 * eq. 1). Heads are columns: no tensor needs to be rearranged. */
#include "graph/graph_internal.h"

/* Of a call, forward or backward: q, k, v, side by side in one source or each its own. */
static bool is_packed(int n_src, int full) {
    return n_src == full - 2;
}

static lm_status check_heads(const lm_typing *t, lm_shape shape, const char *name,
                             int parts) {
    int64_t heads = t->attr->call.i[0];
    LM_RETURN_IF(heads < 1, LM_ARG, "%lld heads, at least 1 is needed", (long long)heads);
    LM_RETURN_IF(shape.rank != 3, LM_SHAPE, "%s must have rank 3", name);
    LM_RETURN_IF(shape.dim[2] % (parts * heads) != 0, LM_SHAPE,
                 "%s has %lld columns, not a multiple of %lld", name,
                 (long long)shape.dim[2], (long long)(parts * heads));
    return LM_OK;
}

/* Queries may attend to a sequence of another length, with values of another width. */
static lm_status infer_attention(lm_typing *t) {
    lm_shape q = t->src[0]->shape;
    LM_RETURN_IF(t->n_src == 2, LM_ARG, "2 sources, expected q, k and v or all in one");
    if (is_packed(t->n_src, 3)) {
        LM_TRY(check_heads(t, q, "q", 3));
        t->shape = LM_SHAPE(q.dim[0], q.dim[1], q.dim[2] / 3);
        return LM_OK;
    }
    lm_shape k = t->src[1]->shape, v = t->src[2]->shape;
    LM_RETURN_IF(q.rank != 3 || k.rank != 3 || v.rank != 3, LM_SHAPE,
                 "q, k and v must have rank 3");
    LM_RETURN_IF(k.dim[0] != q.dim[0] || k.dim[2] != q.dim[2], LM_SHAPE,
                 "k must be [%lld,S,%lld]", (long long)q.dim[0], (long long)q.dim[2]);
    LM_RETURN_IF(v.dim[0] != k.dim[0] || v.dim[1] != k.dim[1], LM_SHAPE,
                 "v must be [%lld,%lld,E]", (long long)k.dim[0], (long long)k.dim[1]);
    LM_TRY(check_heads(t, q, "q", 1));
    LM_TRY(check_heads(t, v, "v", 1));
    t->shape = LM_SHAPE(q.dim[0], q.dim[1], v.dim[2]);
    return LM_OK;
}

static lm_status infer_packed_grad(lm_typing *t) {
    lm_shape x = t->src[0]->shape;
    LM_TRY(check_heads(t, x, "q", 3));
    lm_shape y = LM_SHAPE(x.dim[0], x.dim[1], x.dim[2] / 3);
    LM_RETURN_IF(!lm_shape_equal(t->src[1]->shape, y) ||
                     !lm_shape_equal(t->src[2]->shape, y),
                 LM_SHAPE, "y and g must be [%lld,%lld,%lld]", (long long)y.dim[0],
                 (long long)y.dim[1], (long long)y.dim[2]);
    t->shape = x;
    return LM_OK;
}

static lm_status infer_attention_grad(lm_typing *t) {
    LM_RETURN_IF(t->n_src == 4, LM_ARG, "4 sources, expected 3 or 5");
    if (is_packed(t->n_src, 5)) return infer_packed_grad(t);
    lm_shape q = t->src[0]->shape;
    LM_RETURN_IF(q.rank != 3, LM_SHAPE, "q must be [B,T,D]");
    for (int i = 1; i < t->n_src; i++)
        LM_RETURN_IF(!lm_shape_equal(t->src[i]->shape, q), LM_SHAPE,
                     "all shapes must be equal");
    LM_TRY(check_heads(t, q, "q", 1));
    t->shape = LM_SHAPE(3, q.dim[0], q.dim[1], q.dim[2]);
    return LM_OK;
}

/* ---- the body ---------------------------------------------------------------- */

/* [B,T,H*D] -> [B*H,T,D]. */
static lm_node *split_heads(lm_graph *g, lm_node *x, int64_t heads) {
    if (!x || heads == 1) return x;
    const int64_t *d = x->shape.dim;
    int64_t samples = d[0], rows = d[1], width = d[2] / heads;
    x = lm_reshape(g, x, LM_SHAPE(samples, rows, heads, width));
    x = lm_permute(g, x, (const int[]){0, 2, 1, 3});
    return lm_reshape(g, x, LM_SHAPE(samples * heads, rows, width));
}

/* [B*H,T,D] -> [B,T,H*D]. */
static lm_node *join_heads(lm_graph *g, lm_node *x, int64_t heads) {
    if (!x || heads == 1) return x;
    const int64_t *d = x->shape.dim;
    int64_t samples = d[0] / heads, rows = d[1], width = d[2];
    x = lm_reshape(g, x, LM_SHAPE(samples, heads, rows, width));
    x = lm_permute(g, x, (const int[]){0, 2, 1, 3});
    return lm_reshape(g, x, LM_SHAPE(samples, rows, heads * width));
}

/* The sources of a call, each as [B*H,..,..]; `full` is their number without packing. */
static void split_sources(lm_graph *g, const lm_node *call, int full, lm_node **src) {
    int64_t heads = call->attr.call.i[0];
    bool packed = is_packed(call->n_src, full);
    for (int i = 0; i < full; i++) {
        lm_node *x = call->src[packed ? (i < 3 ? 0 : i - 2) : i];
        int64_t width = x->shape.dim[2] / 3;
        if (packed && i < 3) x = lm_slice_axis(g, x, 2, i * width, (i + 1) * width);
        src[i] = split_heads(g, x, heads);
    }
}

static lm_node *weights(lm_graph *g, const lm_node *call, lm_node *q, lm_node *k) {
    lm_node *scores = lm_matmul(g, q, k, false, true);
    return lm_softmax_body(g, lm_scale(g, scores, call->attr.call.f[0]));
}

static lm_node *attention_body(lm_graph *g, const lm_node *call) {
    lm_node *src[3];
    split_sources(g, call, 3, src);
    lm_node *p = weights(g, call, src[0], src[1]);
    return join_heads(g, lm_matmul(g, p, src[2], false, false), call->attr.call.i[0]);
}

/* sum(g * y) over the row equals sum(dp * p) and is cheaper (Dao et al.:
 * "FlashAttention", appendix B.2). */
static lm_node *attention_grad_body(lm_graph *g, const lm_node *call) {
    lm_node *src[5];
    split_sources(g, call, 5, src);
    lm_node *q = src[0], *k = src[1], *v = src[2], *y = src[3], *dy = src[4];
    lm_node *p = weights(g, call, q, k);
    lm_node *dp = lm_matmul(g, dy, v, false, true);
    lm_node *inner = lm_sum(g, lm_mul(g, dy, y), 1u << 2, true);
    lm_node *ds = lm_scale(g, lm_mul(g, p, lm_sub(g, dp, inner)), call->attr.call.f[0]);
    lm_node *parts[] = {lm_matmul(g, ds, k, false, false),
                        lm_matmul(g, ds, q, true, false),
                        lm_matmul(g, p, dy, true, false)};
    bool packed = is_packed(call->n_src, 5);
    for (int i = 0; i < 3; i++) {
        parts[i] = join_heads(g, parts[i], call->attr.call.i[0]);
        if (!parts[i]) return NULL;
        const int64_t *d = parts[i]->shape.dim;
        if (!packed) parts[i] = lm_reshape(g, parts[i], LM_SHAPE(1, d[0], d[1], d[2]));
    }
    return lm_concat(g, parts, 3, packed ? 2 : 0);
}

const lm_composite_rule lm_rule_attention = {infer_attention, attention_body, "q k v",
                                             "f"};
const lm_composite_rule lm_rule_attention_grad = {infer_attention_grad,
                                                  attention_grad_body, "q k v y g", "f"};

static lm_call_attr attributes(int heads, double scale) {
    return (lm_call_attr){.i = {heads}, .f = {(float)scale}};
}

lm_node *lm_attention(lm_graph *g, lm_node *q, lm_node *k, lm_node *v, int heads,
                      double scale) {
    lm_call_attr attr = attributes(heads, scale);
    return lm_call(g, LM_COMP_ATTENTION, (lm_node *[]){q, k, v}, 3, &attr);
}

lm_node *lm_self_attention(lm_graph *g, lm_node *qkv, int heads, double scale) {
    lm_call_attr attr = attributes(heads, scale);
    return lm_call(g, LM_COMP_ATTENTION, &qkv, 1, &attr);
}
