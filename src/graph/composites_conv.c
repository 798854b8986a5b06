/* A convolution of 3x3 taps, stride 1 and padding 1, with what surrounds it in a residual
 * block: normalisation and activation before it, additions and activation after it. */
#include "graph/graph_internal.h"

static const lm_conv_attr same = {.stride = {1, 1},
                                  .dilation = {1, 1},
                                  .pad_lo = {1, 1},
                                  .pad_hi = {1, 1},
                                  .groups = 1};

lm_conv_block_sources lm_conv_block_find(const lm_node *call) {
    int parts = call->attr.call.i[0], next = 2;
    lm_conv_block_sources at = {0};
    if (parts & LM_BLOCK_BIAS) at.bias = next++;
    if (parts & LM_BLOCK_NORM) {
        at.norm = next;
        next += 3;
    }
    if (parts & LM_BLOCK_SHIFT) at.shift = next++;
    if (parts & LM_BLOCK_RESIDUAL) at.residual = next++;
    at.count = next;
    return at;
}

enum { ALL_PARTS = LM_BLOCK_BIAS | LM_BLOCK_NORM | LM_BLOCK_SHIFT | LM_BLOCK_RESIDUAL };

/* ---- types ------------------------------------------------------------------- */

static lm_status check_activation(int act) {
    LM_RETURN_IF(act < LM_ACT_NONE || act > LM_ACT_LEAKY, LM_ARG, "no activation %d",
                 act);
    return LM_OK;
}

static lm_status expect(const lm_typing *t, int i, lm_shape shape, const char *name) {
    LM_RETURN_IF(i > 0 && !lm_shape_equal(t->src[i]->shape, shape), LM_SHAPE,
                 "%s does not fit", name);
    return LM_OK;
}

static lm_status infer_conv_block(lm_typing *t) {
    LM_RETURN_IF(t->attr->call.i[0] & ~ALL_PARTS, LM_ARG, "no parts %d",
                 (int)t->attr->call.i[0]);
    lm_node asked = {.attr = *t->attr};
    lm_conv_block_sources at = lm_conv_block_find(&asked);
    lm_shape x = t->src[0]->shape, w = t->src[1]->shape;
    LM_RETURN_IF(t->n_src != at.count, LM_ARG, "%d sources, the parts need %d", t->n_src,
                 at.count);
    LM_RETURN_IF(x.rank != 4, LM_SHAPE, "x must be [N,H,W,C]");
    LM_TRY(expect(t, 1, LM_SHAPE(w.dim[0], 3, 3, x.dim[3]), "w"));
    t->shape = LM_SHAPE(x.dim[0], x.dim[1], x.dim[2], w.dim[0]);
    LM_TRY(expect(t, at.bias, LM_SHAPE(w.dim[0]), "bias"));
    LM_TRY(expect(t, at.shift, LM_SHAPE(x.dim[0], w.dim[0]), "shift"));
    LM_TRY(expect(t, at.residual, t->shape, "residual"));
    LM_TRY(check_activation(t->attr->call.i[1]));
    LM_TRY(check_activation(t->attr->call.i[2]));
    return at.norm ? lm_check_norm(t, at.norm) : LM_OK;
}

static lm_status infer_conv_block_wgrad(lm_typing *t) {
    lm_shape x = t->src[0]->shape, y = t->src[1]->shape;
    LM_RETURN_IF(t->n_src != 2 && t->n_src != 5, LM_ARG, "%d sources, expected 2 or 5",
                 t->n_src);
    LM_RETURN_IF(x.rank != 4 || y.rank != 4, LM_SHAPE, "x and y must have rank 4");
    LM_TRY(expect(t, 1, LM_SHAPE(x.dim[0], x.dim[1], x.dim[2], y.dim[3]), "y"));
    LM_TRY(check_activation(t->attr->call.i[0]));
    if (t->n_src == 5) LM_TRY(lm_check_norm(t, 2));
    t->shape = LM_SHAPE(y.dim[3], 3, 3, x.dim[3]);
    return LM_OK;
}

/* ---- bodies ------------------------------------------------------------------ */

static lm_node *activate(lm_graph *g, lm_node *x, int act, double slope) {
    if (act == LM_ACT_LEAKY) return lm_leaky_relu(g, x, slope);
    return act == LM_ACT_SILU ? lm_silu(g, x) : x;
}

/* x after its normalisation, whose sources start at `norm` (0: none), and activation. */
static lm_node *prepare(lm_graph *g, const lm_node *call, int norm, int act) {
    lm_node *x = call->src[0];
    if (norm) {
        lm_call_attr linear = {{0}, {0}};
        lm_node *src[] = {x, call->src[norm], call->src[norm + 1], call->src[norm + 2]};
        x = lm_call_body(g, lm_call(g, LM_COMP_NORM_ACT, src, 4, &linear));
    }
    return activate(g, x, act, call->attr.call.f[0]);
}

static lm_node *conv_block_body(lm_graph *g, const lm_node *call) {
    lm_conv_block_sources at = lm_conv_block_find(call);
    lm_node *x = prepare(g, call, at.norm, call->attr.call.i[1]);
    lm_node *y = lm_conv(g, x, call->src[1], at.bias ? call->src[at.bias] : NULL, &same);
    if (at.shift) {
        lm_shape row = LM_SHAPE(call->shape.dim[0], 1, 1, call->shape.dim[3]);
        y = lm_add(g, y, lm_reshape(g, call->src[at.shift], row));
    }
    if (at.residual) y = lm_add(g, y, call->src[at.residual]);
    return activate(g, y, call->attr.call.i[2], call->attr.call.f[1]);
}

static lm_node *conv_block_wgrad_body(lm_graph *g, const lm_node *call) {
    lm_conv_attr how = same;
    how.size[0] = how.size[1] = 3;
    lm_node *x = prepare(g, call, call->n_src == 5 ? 2 : 0, call->attr.call.i[0]);
    return lm_conv_wgrad(g, x, call->src[1], &how);
}

const lm_composite_rule lm_rule_conv_block = {infer_conv_block, conv_block_body,
                                              "x w part", "f"};
const lm_composite_rule lm_rule_conv_block_wgrad = {
    infer_conv_block_wgrad, conv_block_wgrad_body, "x y stats gamma beta", "f"};
