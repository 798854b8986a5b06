/* Sums of one value share the reading of it. Gradients of biases make many: a cotangent
 * that two layers get is summed for the bias of each, once as it is and once as a matrix;
 * and where it is summed over positions (an embedding's share), the sum over everything
 * but the channels is a sum of that. */
#include "base/mem.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

enum { MOST_SUMS = 4, LEAST_ELEMENTS = 1 << 12 };

/* Which axes of a value are summed by someone. */
typedef struct summed {
    uint32_t axes[MOST_SUMS];
    int count;
} summed;

/* Axes of `to`, a reshape's source, that hold what `axes` of `from` hold; false where the
 * two shapes mix summed with other elements. */
static bool carry_axes(lm_shape from, uint32_t axes, lm_shape to, uint32_t *carried) {
    int i = 0, j = 0;
    *carried = 0;
    while (i < from.rank || j < to.rank) {
        int64_t left = 1, right = 1;
        bool some = false, all = true;
        int first = j;
        do {
            bool more = j == to.rank || (i < from.rank && left <= right);
            if (!more) {
                right *= to.dim[j++];
                continue;
            }
            if (i == from.rank) return false;
            left *= from.dim[i];
            if (from.dim[i] > 1) {
                some |= axes >> i & 1;
                all &= axes >> i & 1;
            }
            i++;
        } while (left != right);
        if (some && !all) return false;
        for (int k = first; k < j && some; k++) *carried |= 1u << k;
    }
    return true;
}

/* The value behind reshapes that a sum reads, and its axes. */
static const lm_node *find_summed(const lm_node *sum, uint32_t *axes) {
    const lm_node *x = sum->src[0];
    *axes = sum->attr.axes;
    for (; x->kind == LM_KIND_RESHAPE; x = x->src[0])
        if (!carry_axes(x->shape, *axes, x->src[0]->shape, axes)) return NULL;
    return lm_shape_count(x->shape) < LEAST_ELEMENTS ? NULL : x;
}

static lm_status note_sums(lm_graph *graph, summed *sums) {
    lm_node **nodes;
    int count;
    LM_TRY(lm_topological(graph, &nodes, &count));
    for (int i = 0; i < count; i++) {
        uint32_t axes;
        if (nodes[i]->kind != LM_KIND_REDUCE_SUM) continue;
        const lm_node *x = find_summed(nodes[i], &axes);
        summed *s = x ? sums + x->id : NULL;
        if (s && s->count < MOST_SUMS) s->axes[s->count++] = axes;
    }
    lm_free(nodes);
    return LM_OK;
}

/* All axes but the first and the last, where a chain (chain.c) that makes the value could
 * sum it up on the way; or 0. */
static uint32_t find_positions(const lm_node *x) {
    const lm_node *made = x->kind == LM_KIND_SLICE ? x->src[0] : x;
    if (made->kind != LM_KIND_CALL || made->attr.call.composite != LM_COMP_NORM_GRAD)
        return 0;
    return ((1u << (x->shape.rank - 1)) - 1) & ~1u;
}

/* By way of the sum over most of these axes that someone wants. */
static lm_node *sum_by_parts(lm_graph *g, lm_node *x, const summed *s, uint32_t axes) {
    uint32_t positions = find_positions(x), part = axes & ~positions ? positions : 0;
    if (positions & ~axes) part = 0;
    for (int i = 0; i < s->count; i++)
        if (s->axes[i] != axes && (s->axes[i] & ~axes) == 0 &&
            __builtin_popcount(s->axes[i]) > __builtin_popcount(part))
            part = s->axes[i];
    if (part) x = sum_by_parts(g, x, s, part);
    return lm_sum(g, x, axes & ~part, true);
}

static lm_node *share_sum(lm_rewrite *rewrite, const lm_node *old, lm_node *const *src) {
    uint32_t axes;
    const lm_node *x = old->kind == LM_KIND_REDUCE_SUM ? find_summed(old, &axes) : NULL;
    if (!x) return lm_rewrite_same(rewrite, old, src);
    lm_node *sum = sum_by_parts(rewrite->to, rewrite->map[x->id],
                                (summed *)rewrite->user + x->id, axes);
    return sum ? lm_reshape(rewrite->to, sum, old->shape) : NULL;
}

lm_status lm_pass_share_sums(lm_graph *from, lm_graph **to) {
    LM_TRY(lm_graph_status(from));
    summed *sums = lm_calloc((size_t)lm_graph_size(from) + 1, sizeof *sums);
    if (!sums) return LM_NOMEM;
    lm_status status = note_sums(from, sums);
    if (status == LM_OK) status = lm_rewrite_graph(from, share_sum, sums, to);
    lm_free(sums);
    return status;
}
