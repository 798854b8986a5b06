/* Views, and what may share memory. */
#include "passes/schedule.h"

/* One block: at most one axis is cut, those before it have one element left, those after
 * it are whole. */
static bool slice_is_block(const lm_node *node) {
    const lm_shape *from = &node->src[0]->shape;
    bool cut = false;
    for (int axis = from->rank - 1; axis >= 0; axis--) {
        if (node->attr.slice.step[axis] != 1 && node->shape.dim[axis] > 1) return false;
        if (cut && node->shape.dim[axis] != 1) return false;
        cut |= node->shape.dim[axis] != from->dim[axis];
    }
    return true;
}

bool lm_is_view(const lm_node *node) {
    return node->kind == LM_KIND_RESHAPE || node->kind == LM_KIND_ALLREDUCE_SUM ||
           (node->kind == LM_KIND_SLICE && slice_is_block(node));
}

static int64_t slice_start(const lm_node *node) {
    int64_t start = 0, stride = 1;
    for (int axis = node->shape.rank - 1; axis >= 0; axis--) {
        start += node->attr.slice.lo[axis] * stride;
        stride *= node->src[0]->shape.dim[axis];
    }
    return start;
}

lm_node *lm_view_root(const lm_node *node, int64_t *offset) {
    int64_t start = 0;
    for (; lm_is_view(node); node = node->src[0])
        if (node->kind == LM_KIND_SLICE) start += slice_start(node);
    if (offset) *offset = start;
    return (lm_node *)node;
}

const lm_node *lm_step_reads_param(const lm_step *step, int i) {
    if (step->nodes[0]->kind == LM_KIND_ASSIGN && i == 0) return NULL;
    const lm_node *root = lm_view_root(step->in[i], NULL);
    return root->kind == LM_KIND_PARAM ? root : NULL;
}

bool lm_params_overlap(const lm_node *a, const lm_node *b) {
    int64_t a_lo = a->attr.param.offset, b_lo = b->attr.param.offset;
    return a->attr.param.var == b->attr.param.var &&
           a_lo < b_lo + lm_shape_count(b->shape) &&
           b_lo < a_lo + lm_shape_count(a->shape);
}

/* Element for element: neither repeats the source nor hands it to all. */
static bool reads_pointwise(const lm_node *node) {
    return node->kind == LM_KIND_EW || node->kind == LM_KIND_RESHAPE;
}

/* A kernel may compute out[o] right into its memory, so a reader of in[i] that comes
 * after out[o] would see the new value; and a reader that repeats in[i], or sums it,
 * looks at elements of other places. What reads a reshape of in[i] counts too. */
static bool cluster_may_alias(const lm_step *step, const lm_node *out,
                              const lm_node *in) {
    bool written = false;
    for (int n = 0; n < step->n_nodes; n++) {
        const lm_node *node = step->nodes[n];
        for (int s = 0; s < node->n_src; s++) {
            const lm_node *src = node->src[s];
            while (src != in && src->kind == LM_KIND_RESHAPE) src = src->src[0];
            if (src == in && (written || !reads_pointwise(node))) return false;
        }
        written |= node == out;
    }
    return true;
}

/* Sources that a composite reads element for element, each before it writes there: by
 * number, or of a conv_block the residual, wherever it is. */
static bool call_may_alias(const lm_node *call, const lm_node *in) {
    static const uint32_t pointwise[LM_COMP_COUNT] = {
        [LM_COMP_NORM_ACT] = 1u << 0,
        [LM_COMP_NORM_GRAD] = 1u << 0 | 1u << 4 | 1u << 6,
    };
    uint32_t may = pointwise[call->attr.call.composite];
    if (call->attr.call.composite == LM_COMP_CONV_BLOCK)
        may = 1u << lm_conv_block_find(call).residual & ~1u;
    for (int i = 0; i < call->n_src; i++)
        if (call->src[i] == in && !(may >> i & 1)) return false;
    return may != 0;
}

bool lm_step_may_alias(const lm_step *step, int o, int i) {
    const lm_node *out = step->out[o], *in = step->in[i];
    if (out->kind == LM_KIND_CALL) return call_may_alias(out, in);
    if (out->kind != LM_KIND_EW || out->dtype != in->dtype ||
        lm_shape_count(out->shape) != lm_shape_count(in->shape))
        return false;
    return !step->cluster || cluster_may_alias(step, out, in);
}
