/* Constructors of nodes that move elements, and of reductions. What would change nothing
 * is not built. */
#include "graph/graph_internal.h"
#include <string.h>

/* ---- shape ------------------------------------------------------------------- */

lm_node *lm_broadcast(lm_graph *g, lm_node *a, lm_shape shape) {
    if (!a || lm_shape_equal(a->shape, shape)) return a;
    /* One form for a filled tensor, so that rules need to look for one only. */
    if (a->kind == LM_KIND_CONST && !a->attr.constant.data && a->shape.rank == 0)
        return lm_const_full(g, a->dtype, shape, a->attr.constant.value);
    return lm_build(g, LM_KIND_BROADCAST, &a, 1, NULL, a->dtype, shape);
}

lm_node *lm_reshape(lm_graph *g, lm_node *a, lm_shape shape) {
    if (!a || lm_shape_equal(a->shape, shape)) return a;
    return lm_build(g, LM_KIND_RESHAPE, &a, 1, NULL, a->dtype, shape);
}

lm_node *lm_permute(lm_graph *g, lm_node *a, const int *perm) {
    if (!a) return NULL;
    lm_attr attr;
    memset(&attr, 0, sizeof attr);
    bool identity = true;
    for (int i = 0; i < a->shape.rank; i++) {
        attr.perm[i] = perm[i];
        identity = identity && perm[i] == i;
    }
    return identity ? a : lm_make1(g, LM_KIND_PERMUTE, a, &attr);
}

lm_node *lm_transpose(lm_graph *g, lm_node *a) {
    if (!a) return NULL;
    int perm[LM_MAX_RANK], rank = a->shape.rank;
    if (rank < 2) return lm_graph_fail(g, LM_SHAPE, "transpose: needs two axes");
    for (int i = 0; i < rank; i++) perm[i] = i;
    perm[rank - 1] = rank - 2;
    perm[rank - 2] = rank - 1;
    return lm_permute(g, a, perm);
}

lm_node *lm_slice(lm_graph *g, lm_node *a, const lm_slice_attr *slice) {
    if (!a) return NULL;
    lm_attr attr;
    memset(&attr, 0, sizeof attr);
    bool whole = true;
    for (int i = 0; i < a->shape.rank; i++) {
        int32_t lo = slice->lo[i], hi = slice->hi[i], step = slice->step[i];
        /* Ends right after the last element taken: one form for equal slices. */
        if (step > 1 && hi > lo && hi <= a->shape.dim[i])
            hi = lo + (hi - lo - 1) / step * step + 1;
        attr.slice.lo[i] = lo;
        attr.slice.hi[i] = hi;
        attr.slice.step[i] = step;
        whole = whole && lo == 0 && hi == a->shape.dim[i] && step == 1;
    }
    return whole ? a : lm_make1(g, LM_KIND_SLICE, a, &attr);
}

lm_node *lm_slice_axis(lm_graph *g, lm_node *a, int axis, int64_t lo, int64_t hi) {
    if (!a) return NULL;
    axis = lm_axis_of(g, "slice", a, axis);
    if (axis < 0) return NULL;
    if (lo < 0 || hi > a->shape.dim[axis])
        return lm_graph_fail(g, LM_SHAPE, "slice: %lld:%lld of %lld on axis %d",
                             (long long)lo, (long long)hi, (long long)a->shape.dim[axis],
                             axis);
    lm_slice_attr slice = {{0}, {0}, {0}};
    for (int i = 0; i < a->shape.rank; i++) {
        slice.hi[i] = (int32_t)a->shape.dim[i];
        slice.step[i] = 1;
    }
    slice.lo[axis] = (int32_t)lo;
    slice.hi[axis] = (int32_t)(hi < lo ? lo : hi);
    return lm_slice(g, a, &slice);
}

lm_node *lm_pad(lm_graph *g, lm_node *a, const lm_pad_attr *pad) {
    if (!a) return NULL;
    lm_attr attr;
    memset(&attr, 0, sizeof attr);
    bool nothing = true;
    for (int i = 0; i < a->shape.rank; i++) {
        attr.pad.lo[i] = pad->lo[i];
        attr.pad.hi[i] = pad->hi[i];
        /* A single element has nothing between. */
        attr.pad.interior[i] = a->shape.dim[i] > 1 ? pad->interior[i] : 0;
        nothing = nothing && !attr.pad.lo[i] && !attr.pad.hi[i] && !attr.pad.interior[i];
    }
    return nothing ? a : lm_make1(g, LM_KIND_PAD, a, &attr);
}

lm_node *lm_concat(lm_graph *g, lm_node *const *parts, int count, int axis) {
    for (int i = 0; i < count; i++)
        if (!parts[i]) return NULL;
    if (count < 1) return lm_graph_fail(g, LM_ARG, "concat: no parts");
    axis = lm_axis_of(g, "concat", parts[0], axis);
    if (axis < 0 || count == 1) return axis < 0 ? NULL : parts[0];
    lm_attr attr = {.axis = {axis, 0, NULL}};
    return lm_make(g, LM_KIND_CONCAT, parts, count, &attr);
}

lm_node *lm_reverse(lm_graph *g, lm_node *a, uint32_t axes) {
    if (!a || !lm_axes_exist(g, "reverse", a, axes)) return NULL;
    for (int i = 0; i < a->shape.rank; i++)
        if (a->shape.dim[i] == 1) axes &= ~(1u << i);
    lm_attr attr = {.axes = axes};
    return axes ? lm_make1(g, LM_KIND_REVERSE, a, &attr) : a;
}

/* ---- reductions -------------------------------------------------------------- */

static lm_node *drop_axes(lm_graph *g, lm_node *a, uint32_t axes) {
    if (!a) return NULL;
    lm_shape shape = LM_SCALAR;
    for (int i = 0; i < a->shape.rank; i++)
        if (!(axes >> i & 1)) shape.dim[shape.rank++] = a->shape.dim[i];
    return lm_reshape(g, a, shape);
}

/* Sums run by run, the last axes first: those are contiguous, and what is left for the
 * next run is smaller. */
lm_node *lm_sum(lm_graph *g, lm_node *a, uint32_t axes, bool keep) {
    if (!a || !lm_axes_exist(g, "reduce_sum", a, axes)) return NULL;
    lm_node *sum = a;
    for (int top = a->shape.rank - 1; top >= 0; top--) {
        uint32_t run = 0;
        int64_t count = 1;
        for (; top >= 0 && axes >> top & 1; top--) {
            run |= 1u << top;
            count *= a->shape.dim[top];
        }
        lm_attr attr = {.axes = run};
        if (count > 1) sum = lm_make1(g, LM_KIND_REDUCE_SUM, sum, &attr);
    }
    return keep ? sum : drop_axes(g, sum, axes);
}

lm_node *lm_mean(lm_graph *g, lm_node *a, uint32_t axes, bool keep) {
    lm_node *sum = lm_sum(g, a, axes, keep);
    if (!sum) return NULL;
    double count = (double)(lm_shape_count(a->shape) / lm_shape_count(sum->shape));
    return lm_scale(g, sum, 1 / count);
}

lm_node *lm_reduce_max(lm_graph *g, lm_node *a, uint32_t axes, bool keep) {
    if (!a || !lm_axes_exist(g, "reduce_max", a, axes)) return NULL;
    lm_attr attr = {.axes = axes};
    lm_node *max = axes ? lm_make1(g, LM_KIND_REDUCE_MAX, a, &attr) : a;
    return keep ? max : drop_axes(g, max, axes);
}

static uint32_t all_axes(const lm_node *a) {
    return (1u << a->shape.rank) - 1;
}

lm_node *lm_sum_all(lm_graph *g, lm_node *a) {
    return a ? lm_sum(g, a, all_axes(a), false) : NULL;
}

lm_node *lm_mean_all(lm_graph *g, lm_node *a) {
    return a ? lm_mean(g, a, all_axes(a), false) : NULL;
}

lm_node *lm_sum_to(lm_graph *g, lm_node *a, lm_shape shape) {
    if (!a) return NULL;
    int lead = a->shape.rank - shape.rank;
    uint32_t axes = 0;
    for (int i = 0; i < a->shape.rank; i++)
        if (i < lead || (lead >= 0 && shape.dim[i - lead] == 1)) axes |= 1u << i;
    return lm_reshape(g, lm_sum(g, a, axes, true), shape);
}

static lm_node *along_axis(lm_graph *g, lm_kind kind, lm_node *a, int axis,
                           bool reverse) {
    if (!a) return NULL;
    axis = lm_axis_of(g, lm_kind_get(kind)->text, a, axis);
    lm_attr attr = {.axis = {axis, reverse, NULL}};
    return axis < 0 ? NULL : lm_make1(g, kind, a, &attr);
}

lm_node *lm_argmax(lm_graph *g, lm_node *a, int axis) {
    return along_axis(g, LM_KIND_ARGMAX, a, axis, false);
}

lm_node *lm_cumsum(lm_graph *g, lm_node *a, int axis, bool reverse) {
    return along_axis(g, LM_KIND_CUMSUM, a, axis, reverse);
}

lm_node *lm_topk(lm_graph *g, lm_node *a, int k) {
    lm_attr attr = {.k = k};
    return lm_make1(g, LM_KIND_TOPK, a, &attr);
}
