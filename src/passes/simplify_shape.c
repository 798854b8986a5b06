/* Rules of nodes that move, repeat or sum elements. */
#include "base/mem.h"
#include "passes/rewrite.h"
#include "passes/simplify.h"
#include <float.h>
#include <math.h>
#include <string.h>

/* ---- numbers ----------------------------------------------------------------- */

/* What moves or repeats elements that are all the same gives the same number. */
static lm_node *same_number(lm_graph *g, lm_node *node) {
    if (!lm_is_uniform(node->src[0])) return NULL;
    double value = node->src[0]->attr.constant.value;
    for (int s = 0; s < node->n_src; s++)
        if (!lm_is_uniform_of(node->src[s], value)) return NULL;
    return lm_const_full(g, node->dtype, node->shape, value);
}

static lm_node *pad_of_zeros(lm_graph *g, lm_node *node) {
    return lm_is_uniform_of(node->src[0], 0) ? same_number(g, node) : NULL;
}

static lm_node *sum_of_number(lm_graph *g, lm_node *node) {
    if (!lm_is_uniform(node->src[0])) return NULL;
    int64_t terms = lm_shape_count(node->src[0]->shape) / lm_shape_count(node->shape);
    double sum = node->src[0]->attr.constant.value * (double)terms;
    return fabs(sum) <= FLT_MAX ? lm_const_full(g, node->dtype, node->shape, sum) : NULL;
}

/* ---- reshape, broadcast ------------------------------------------------------ */

static lm_node *reshape_chain(lm_graph *g, lm_node *node) {
    lm_node *a = node->src[0];
    if (lm_shape_equal(a->shape, node->shape)) return a;
    return a->kind == LM_KIND_RESHAPE ? lm_reshape(g, a->src[0], node->shape) : NULL;
}

static bool only_leads_ones(lm_shape longer, lm_shape shorter) {
    int extra = longer.rank - shorter.rank;
    if (extra < 0) return false;
    for (int i = 0; i < longer.rank; i++)
        if (longer.dim[i] != (i < extra ? 1 : shorter.dim[i - extra])) return false;
    return true;
}

static lm_node *broadcast_chain(lm_graph *g, lm_node *node) {
    lm_node *a = node->src[0];
    if (lm_shape_equal(a->shape, node->shape)) return a;
    if (lm_shape_count(a->shape) == lm_shape_count(node->shape))
        return lm_reshape(g, a, node->shape);
    if (a->kind == LM_KIND_BROADCAST ||
        (a->kind == LM_KIND_RESHAPE && only_leads_ones(a->shape, a->src[0]->shape)))
        return lm_broadcast(g, a->src[0], node->shape);
    return NULL;
}

static lm_node *broadcast_of_iota(lm_graph *g, lm_node *node) {
    lm_node *a = node->src[0];
    if (a->kind != LM_KIND_IOTA) return NULL;
    int axis = a->attr.axis.axis, to = axis + node->shape.rank - a->shape.rank;
    if (a->shape.dim[axis] != node->shape.dim[to])
        return lm_const_full(g, node->dtype, node->shape, 0);
    return lm_iota(g, node->dtype, node->shape, to);
}

/* ---- permute, reverse -------------------------------------------------------- */

static lm_node *permute_chain(lm_graph *g, lm_node *node) {
    lm_node *a = node->src[0];
    int perm[LM_MAX_RANK] = {0}, previous = -1;
    bool in_order = true; /* as far as axes longer than 1 go */
    for (int i = 0; i < node->shape.rank; i++) {
        perm[i] = node->attr.perm[i];
        if (node->shape.dim[i] == 1) continue;
        in_order = in_order && perm[i] > previous;
        previous = perm[i];
    }
    if (in_order) return lm_reshape(g, a, node->shape);
    if (a->kind != LM_KIND_PERMUTE) return NULL;
    for (int i = 0; i < node->shape.rank; i++) perm[i] = a->attr.perm[perm[i]];
    return lm_permute(g, a->src[0], perm);
}

static lm_node *reverse_chain(lm_graph *g, lm_node *node) {
    lm_node *a = node->src[0];
    uint32_t axes = node->attr.axes;
    for (int i = 0; i < node->shape.rank; i++)
        if (node->shape.dim[i] == 1) axes &= ~(1u << i);
    if (a->kind == LM_KIND_REVERSE) return lm_reverse(g, a->src[0], axes ^ a->attr.axes);
    return axes != node->attr.axes ? lm_reverse(g, a, axes) : NULL;
}

/* ---- slice ------------------------------------------------------------------- */

static lm_node *slice_whole(lm_graph *g, lm_node *node) {
    return lm_shape_equal(node->shape, node->src[0]->shape) ? node->src[0] : NULL;
}

static int32_t last_taken(const lm_node *slice, int axis) {
    return slice->attr.slice.lo[axis] +
           (int32_t)(slice->shape.dim[axis] - 1) * slice->attr.slice.step[axis];
}

static lm_node *slice_chain(lm_graph *g, lm_node *node) {
    lm_node *a = node->src[0];
    if (a->kind != LM_KIND_SLICE) return NULL;
    lm_slice_attr both = {{0}, {0}, {0}};
    const lm_slice_attr *inner = &a->attr.slice;
    for (int i = 0; i < node->shape.rank; i++) {
        both.lo[i] = inner->lo[i] + node->attr.slice.lo[i] * inner->step[i];
        both.hi[i] = inner->lo[i] + last_taken(node, i) * inner->step[i] + 1;
        both.step[i] =
            node->shape.dim[i] > 1 ? inner->step[i] * node->attr.slice.step[i] : 1;
    }
    return lm_slice(g, a->src[0], &both);
}

/* All that is taken comes out of one part. */
static lm_node *slice_of_concat(lm_graph *g, lm_node *node) {
    lm_node *a = node->src[0];
    if (a->kind != LM_KIND_CONCAT) return NULL;
    int axis = a->attr.axis.axis;
    int32_t start = 0, last = last_taken(node, axis);
    for (int p = 0; p < a->n_src; p++) {
        int32_t end = start + (int32_t)a->src[p]->shape.dim[axis];
        if (node->attr.slice.lo[axis] >= start && last < end) {
            lm_slice_attr inside = node->attr.slice;
            inside.lo[axis] -= start;
            inside.hi[axis] = last + 1 - start;
            return lm_simplify(g, lm_slice(g, a->src[p], &inside));
        }
        start = end;
    }
    return NULL;
}

/* All that is taken is data, or all is padding. */
static lm_node *slice_of_pad(lm_graph *g, lm_node *node) {
    lm_node *a = node->src[0];
    if (a->kind != LM_KIND_PAD) return NULL;
    bool data = true;
    lm_slice_attr inside = node->attr.slice;
    for (int i = 0; i < node->shape.rank; i++) {
        int32_t lo = a->attr.pad.lo[i], first = inside.lo[i], last = last_taken(node, i);
        int32_t hi = (int32_t)a->shape.dim[i] - a->attr.pad.hi[i];
        if (last < lo || first >= hi)
            return lm_const_full(g, node->dtype, node->shape, 0);
        data = data && !a->attr.pad.interior[i] && first >= lo && last < hi;
        inside.lo[i] = first - lo;
        inside.hi[i] = last + 1 - lo;
    }
    return data ? lm_simplify(g, lm_slice(g, a->src[0], &inside)) : NULL;
}

/* ---- pad, concat ------------------------------------------------------------- */

static lm_node *pad_chain(lm_graph *g, lm_node *node) {
    lm_node *a = node->src[0];
    lm_pad_attr both = node->attr.pad;
    if (lm_shape_equal(a->shape, node->shape)) return a;
    if (a->kind != LM_KIND_PAD) return NULL;
    for (int i = 0; i < node->shape.rank; i++) {
        if (both.interior[i]) return NULL;
        both.lo[i] += a->attr.pad.lo[i];
        both.hi[i] += a->attr.pad.hi[i];
        both.interior[i] = a->attr.pad.interior[i];
    }
    return lm_pad(g, a->src[0], &both);
}

/* Replaces parts [at, at + removed) of a concat by `count` others. */
static lm_node *replace_parts(lm_graph *g, lm_node *node, int at, int removed,
                              lm_node *const *parts, int count) {
    int total = node->n_src - removed + count, n = 0;
    lm_node **all = lm_alloc((size_t)total * sizeof *all);
    if (!all) return lm_graph_fail(g, LM_NOMEM, "%s", lm_message());
    for (int p = 0; p < at; p++) all[n++] = node->src[p];
    for (int p = 0; p < count; p++) all[n++] = parts[p];
    for (int p = at + removed; p < node->n_src; p++) all[n++] = node->src[p];
    lm_node *made = lm_concat(g, all, total, node->attr.axis.axis);
    lm_free(all);
    return made;
}

static lm_node *concat_of_one(lm_graph *g, lm_node *node) {
    return node->n_src == 1 ? node->src[0] : NULL;
}

static lm_node *concat_chain(lm_graph *g, lm_node *node) {
    for (int p = 0; p < node->n_src; p++) {
        lm_node *a = node->src[p];
        if (a->kind == LM_KIND_CONCAT && a->attr.axis.axis == node->attr.axis.axis)
            return replace_parts(g, node, p, 1, a->src, a->n_src);
    }
    return NULL;
}

/* b takes up along `axis` where a ends, both from one source. */
static bool continues(const lm_node *a, const lm_node *b, int axis) {
    if (a->kind != LM_KIND_SLICE || b->kind != LM_KIND_SLICE || a->src[0] != b->src[0])
        return false;
    for (int i = 0; i < a->shape.rank; i++) {
        const lm_slice_attr *p = &a->attr.slice, *q = &b->attr.slice;
        if (i == axis ? p->step[i] != 1 || q->step[i] != 1 || p->hi[i] != q->lo[i]
                      : p->lo[i] != q->lo[i] || p->hi[i] != q->hi[i] ||
                            p->step[i] != q->step[i])
            return false;
    }
    return true;
}

static lm_node *concat_of_slices(lm_graph *g, lm_node *node) {
    int axis = node->attr.axis.axis;
    for (int p = 0; p + 1 < node->n_src; p++) {
        lm_node *a = node->src[p], *b = node->src[p + 1];
        if (!continues(a, b, axis)) continue;
        lm_slice_attr joined = a->attr.slice;
        joined.hi[axis] = b->attr.slice.hi[axis];
        lm_node *part = lm_simplify(g, lm_slice(g, a->src[0], &joined));
        return part ? replace_parts(g, node, p, 2, &part, 1) : NULL;
    }
    return NULL;
}

/* ---- sums -------------------------------------------------------------------- */

static lm_node *reduce_nothing(lm_graph *g, lm_node *node) {
    return lm_shape_equal(node->shape, node->src[0]->shape) ? node->src[0] : NULL;
}

/* Sums over axes that a broadcast repeated are products: sum what was there before,
 * scale, repeat along the axes that stay. */
static lm_node *sum_of_broadcast(lm_graph *g, lm_node *node) {
    lm_node *a = node->src[0];
    if (a->kind != LM_KIND_BROADCAST) return NULL;
    lm_node *small = a->src[0];
    lm_shape shape = {.rank = a->shape.rank};
    int extra = a->shape.rank - small->shape.rank;
    double factor = 1;
    for (int i = 0; i < shape.rank; i++) {
        shape.dim[i] = i < extra ? 1 : small->shape.dim[i - extra];
        if ((node->attr.axes >> i & 1) && shape.dim[i] != a->shape.dim[i])
            factor *= (double)a->shape.dim[i];
    }
    if (factor == 1) return NULL;
    lm_node *sum = lm_simplify(g, lm_reshape(g, small, shape));
    lm_attr attr = {.axes = node->attr.axes};
    if (sum) sum = lm_simple_build(g, LM_KIND_REDUCE_SUM, &sum, 1, &attr, node);
    if (sum) sum = lm_simple_ew(g, LM_EW_MUL, sum, lm_const_like(g, factor, sum));
    return lm_broadcast(g, sum, node->shape);
}

/* Sums over neighbouring axes in turn are one sum. */
static lm_node *sum_chain(lm_graph *g, lm_node *node) {
    lm_node *a = node->src[0];
    if (a->kind != LM_KIND_REDUCE_SUM) return NULL;
    lm_attr attr = {.axes = node->attr.axes | a->attr.axes};
    uint32_t run = attr.axes / (attr.axes & -attr.axes); /* shifted down to bit 0 */
    if (run & (run + 1)) return NULL;
    return lm_build(g, LM_KIND_REDUCE_SUM, a->src, 1, &attr, node->dtype, node->shape);
}

/* ---- matmul ------------------------------------------------------------------ */

static bool is_transposed(const lm_node *node) {
    if (node->kind != LM_KIND_PERMUTE) return false;
    int rank = node->shape.rank;
    for (int i = 0; i < rank - 2; i++)
        if (node->attr.perm[i] != i) return false;
    return rank >= 2 && node->attr.perm[rank - 1] == rank - 2;
}

static lm_node *matmul_of_transposed(lm_graph *g, lm_node *node) {
    lm_attr attr = node->attr;
    lm_node *src[3] = {NULL};
    for (int s = 0; s < node->n_src; s++) src[s] = node->src[s];
    if (is_transposed(src[0])) {
        src[0] = src[0]->src[0];
        attr.matmul.ta ^= 1;
    } else if (is_transposed(src[1])) {
        src[1] = src[1]->src[0];
        attr.matmul.tb ^= 1;
    } else {
        return NULL;
    }
    return lm_build(g, LM_KIND_MATMUL, src, node->n_src, &attr, node->dtype, node->shape);
}

const lm_rule lm_shape_rules[] = {
    {LM_KIND_RESHAPE, same_number},
    {LM_KIND_RESHAPE, reshape_chain},
    {LM_KIND_BROADCAST, same_number},
    {LM_KIND_BROADCAST, broadcast_chain},
    {LM_KIND_BROADCAST, broadcast_of_iota},
    {LM_KIND_PERMUTE, same_number},
    {LM_KIND_PERMUTE, permute_chain},
    {LM_KIND_REVERSE, same_number},
    {LM_KIND_REVERSE, reverse_chain},
    {LM_KIND_SLICE, same_number},
    {LM_KIND_SLICE, slice_whole},
    {LM_KIND_SLICE, slice_chain},
    {LM_KIND_SLICE, slice_of_concat},
    {LM_KIND_SLICE, slice_of_pad},
    {LM_KIND_PAD, pad_of_zeros},
    {LM_KIND_PAD, pad_chain},
    {LM_KIND_CONCAT, concat_of_one},
    {LM_KIND_CONCAT, same_number},
    {LM_KIND_CONCAT, concat_chain},
    {LM_KIND_CONCAT, concat_of_slices},
    {LM_KIND_REDUCE_SUM, reduce_nothing},
    {LM_KIND_REDUCE_SUM, sum_of_number},
    {LM_KIND_REDUCE_SUM, sum_of_broadcast},
    {LM_KIND_REDUCE_SUM, sum_chain},
    {LM_KIND_REDUCE_MAX, reduce_nothing},
    {LM_KIND_REDUCE_MAX, same_number},
    {LM_KIND_MATMUL, matmul_of_transposed},
    {LM_KIND_REVERSE, NULL},
};
