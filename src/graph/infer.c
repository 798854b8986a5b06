/* Inference: the dtype and shape of a node from its sources, and everything that must
 * hold for it. The constructors and the verifier both use it. */
#include "graph/graph_internal.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

/* Far above any memory; keeps byte counts within int64. */
#define MAX_ELEMENTS ((int64_t)1 << 44)

/* ---- leaves ------------------------------------------------------------------ */

static lm_status infer_free(lm_typing *t) {
    return LM_OK;
}

static lm_status infer_param(lm_typing *t) {
    LM_RETURN_IF(t->attr->param.offset < 0, LM_ARG, "offset %lld is negative",
                 (long long)t->attr->param.offset);
    LM_RETURN_IF(t->attr->param.var < 0 || t->attr->param.var >= t->graph->n_vars, LM_ARG,
                 "no variable has number %d", (int)t->attr->param.var);
    return LM_OK;
}

static lm_status infer_input(lm_typing *t) {
    LM_RETURN_IF(!t->attr->name || !t->attr->name[0], LM_ARG, "the name is empty");
    return LM_OK;
}

static lm_status check_axis(const lm_typing *t, lm_shape shape) {
    LM_RETURN_IF(t->attr->axis.axis < 0 || t->attr->axis.axis >= shape.rank, LM_SHAPE,
                 "axis %d of rank %d does not exist", (int)t->attr->axis.axis,
                 shape.rank);
    return LM_OK;
}

static lm_status infer_iota(lm_typing *t) {
    LM_RETURN_IF(!lm_dtype_fits(t->dtype, 'n'), LM_DTYPE, "%s, expected f32 or i32",
                 lm_dtype_name(t->dtype));
    return check_axis(t, t->shape);
}

static lm_status infer_philox(lm_typing *t) {
    LM_RETURN_IF(!lm_shape_equal(t->src[0]->shape, LM_SHAPE(4)), LM_SHAPE,
                 "the key must have 4 words");
    LM_RETURN_IF(t->shape.rank < 1, LM_SHAPE, "needs a sample axis (axis 0)");
    LM_RETURN_IF(lm_shape_count(t->shape) / t->shape.dim[0] > UINT32_MAX, LM_SHAPE,
                 "more than 2^32 elements a sample");
    return LM_OK;
}

/* ---- shape ------------------------------------------------------------------- */

static lm_status infer_same(lm_typing *t) {
    t->shape = t->src[0]->shape;
    return LM_OK;
}

static lm_status infer_broadcast(lm_typing *t) {
    char text[LM_SHAPE_TEXT];
    lm_shape from = t->src[0]->shape;
    int lead = t->shape.rank - from.rank;
    for (int i = 0; i < from.rank; i++)
        LM_RETURN_IF(lead < 0 ||
                         (from.dim[i] != 1 && from.dim[i] != t->shape.dim[lead + i]),
                     LM_SHAPE, "does not broadcast to %s", lm_shape_text(t->shape, text));
    return LM_OK;
}

static lm_status infer_reshape(lm_typing *t) {
    char text[LM_SHAPE_TEXT];
    int64_t count = lm_shape_count(t->shape);
    LM_RETURN_IF(count != lm_shape_count(t->src[0]->shape), LM_SHAPE,
                 "does not have the %lld elements of %s", (long long)count,
                 lm_shape_text(t->shape, text));
    return LM_OK;
}

static lm_status infer_permute(lm_typing *t) {
    lm_shape from = t->src[0]->shape;
    uint32_t seen = 0;
    t->shape = from;
    for (int i = 0; i < from.rank; i++) {
        int32_t axis = t->attr->perm[i];
        LM_RETURN_IF(axis < 0 || axis >= from.rank || (seen >> axis & 1), LM_ARG,
                     "the axes are not a permutation of 0 to %d", from.rank - 1);
        seen |= 1u << axis;
        t->shape.dim[i] = from.dim[axis];
    }
    return LM_OK;
}

static lm_status infer_slice(lm_typing *t) {
    const lm_slice_attr *a = &t->attr->slice;
    lm_shape from = t->src[0]->shape;
    t->shape = from;
    for (int i = 0; i < from.rank; i++) {
        LM_RETURN_IF(a->lo[i] < 0 || a->lo[i] >= a->hi[i] || a->hi[i] > from.dim[i] ||
                         a->step[i] < 1,
                     LM_SHAPE, "axis %d has no range %d:%d:%d", i, (int)a->lo[i],
                     (int)a->hi[i], (int)a->step[i]);
        t->shape.dim[i] = (a->hi[i] - a->lo[i] - 1) / a->step[i] + 1;
    }
    return LM_OK;
}

static lm_status infer_pad(lm_typing *t) {
    const lm_pad_attr *a = &t->attr->pad;
    lm_shape from = t->src[0]->shape;
    t->shape = from;
    for (int i = 0; i < from.rank; i++) {
        LM_RETURN_IF(a->lo[i] < 0 || a->hi[i] < 0 || a->interior[i] < 0, LM_ARG,
                     "axis %d has negative padding", i);
        t->shape.dim[i] =
            a->lo[i] + (from.dim[i] - 1) * ((int64_t)a->interior[i] + 1) + 1 + a->hi[i];
    }
    return LM_OK;
}

static lm_status infer_concat(lm_typing *t) {
    t->shape = t->src[0]->shape;
    LM_TRY(check_axis(t, t->shape));
    int axis = t->attr->axis.axis;
    for (int i = 1; i < t->n_src; i++) {
        const lm_node *part = t->src[i];
        lm_shape aligned = part->shape;
        LM_RETURN_IF(part->dtype != t->src[0]->dtype, LM_DTYPE, "part %d is %s", i,
                     lm_dtype_name(part->dtype));
        if (aligned.rank == t->shape.rank) aligned.dim[axis] = t->shape.dim[axis];
        LM_RETURN_IF(!lm_shape_equal(aligned, t->shape), LM_SHAPE,
                     "part %d differs off axis %d", i, axis);
        t->shape.dim[axis] += part->shape.dim[axis];
    }
    return LM_OK;
}

/* ---- reductions -------------------------------------------------------------- */

static lm_status check_axes(const lm_typing *t) {
    uint32_t axes = t->attr->axes;
    LM_RETURN_IF(axes == 0 || axes >> t->src[0]->shape.rank, LM_SHAPE,
                 "axes 0x%x of rank %d do not exist", (unsigned)axes,
                 t->src[0]->shape.rank);
    return LM_OK;
}

static lm_status infer_reverse(lm_typing *t) {
    LM_TRY(check_axes(t));
    return infer_same(t);
}

static lm_status infer_reduce(lm_typing *t) {
    LM_TRY(check_axes(t));
    t->shape = t->src[0]->shape;
    for (int i = 0; i < t->shape.rank; i++)
        if (t->attr->axes >> i & 1) t->shape.dim[i] = 1;
    return LM_OK;
}

static lm_status infer_reduce_sum(lm_typing *t) {
    uint32_t axes = t->attr->axes, lowest = axes & -axes;
    LM_RETURN_IF(axes & (axes + lowest), LM_ARG, "axes 0x%x are not adjacent",
                 (unsigned)axes);
    return infer_reduce(t);
}

static lm_status infer_argmax(lm_typing *t) {
    LM_TRY(check_axis(t, t->src[0]->shape));
    t->shape = t->src[0]->shape;
    t->shape.dim[t->attr->axis.axis] = 1;
    return LM_OK;
}

static lm_status infer_cumsum(lm_typing *t) {
    LM_TRY(check_axis(t, t->src[0]->shape));
    return infer_same(t);
}

static lm_status infer_topk(lm_typing *t) {
    t->shape = t->src[0]->shape;
    LM_RETURN_IF(t->shape.rank < 1, LM_SHAPE, "needs an axis");
    int64_t *last = &t->shape.dim[t->shape.rank - 1];
    LM_RETURN_IF(t->attr->k < 1 || t->attr->k > *last, LM_ARG,
                 "k is %d, the last axis has %lld", (int)t->attr->k, (long long)*last);
    *last = t->attr->k;
    return LM_OK;
}

/* ---- indexing and effects ---------------------------------------------------- */

static lm_status infer_gather(lm_typing *t) {
    lm_shape from = t->src[0]->shape, index = t->src[1]->shape;
    LM_RETURN_IF(from.rank < 1, LM_SHAPE, "a has no rows");
    LM_RETURN_IF(index.rank + from.rank - 1 > LM_MAX_RANK, LM_SHAPE,
                 "the result would have rank %d, at most %d is possible",
                 index.rank + from.rank - 1, LM_MAX_RANK);
    t->shape = index;
    for (int i = 1; i < from.rank; i++) t->shape.dim[t->shape.rank++] = from.dim[i];
    return LM_OK;
}

static lm_status infer_scatter_add(lm_typing *t) {
    lm_shape from = t->src[0]->shape, index = t->src[1]->shape;
    LM_RETURN_IF(t->attr->rows < 1, LM_ARG, "%lld rows", (long long)t->attr->rows);
    for (int i = 0; i < index.rank; i++)
        LM_RETURN_IF(i >= from.rank || from.dim[i] != index.dim[i], LM_SHAPE,
                     "the first axes of a are not those of index");
    LM_RETURN_IF(from.rank - index.rank + 1 > LM_MAX_RANK, LM_SHAPE,
                 "the result would have rank %d", from.rank - index.rank + 1);
    t->shape = (lm_shape){1, {t->attr->rows}};
    for (int i = index.rank; i < from.rank; i++)
        t->shape.dim[t->shape.rank++] = from.dim[i];
    return LM_OK;
}

static lm_status infer_axismap(lm_typing *t) {
    const lm_sparse *matrix = t->attr->axis.matrix;
    LM_RETURN_IF(!matrix, LM_ARG, "the matrix is missing");
    LM_TRY(check_axis(t, t->src[0]->shape));
    t->shape = t->src[0]->shape;
    int64_t *dim = &t->shape.dim[t->attr->axis.axis];
    LM_RETURN_IF(*dim != matrix->cols, LM_SHAPE,
                 "axis %d has %lld elements, the matrix %d columns",
                 (int)t->attr->axis.axis, (long long)*dim, (int)matrix->cols);
    *dim = matrix->rows;
    return LM_OK;
}

static lm_status infer_assign(lm_typing *t) {
    LM_RETURN_IF(t->src[0]->kind != LM_KIND_PARAM, LM_ARG, "the target is no param");
    LM_RETURN_IF(!lm_shape_equal(t->src[0]->shape, t->src[1]->shape), LM_SHAPE,
                 "target and value differ in shape");
    return infer_same(t);
}

/* ---- the table --------------------------------------------------------------- */

#define ATTR(field) sizeof(((lm_attr *)NULL)->field)

const lm_kind_rule lm_kind_rules[LM_KIND_COUNT] = {
    [LM_KIND_PARAM] = {infer_param, ATTR(param), "", "", 'f'},
    [LM_KIND_INPUT] = {infer_input, ATTR(name), "", "", '?'},
    [LM_KIND_CONST] = {infer_free, ATTR(constant), "", "", '?'},
    [LM_KIND_IOTA] = {infer_iota, ATTR(axis), "", "", '?'},
    [LM_KIND_EW] = {lm_infer_ew, ATTR(ew), "a b c", "*", '?'},
    [LM_KIND_BROADCAST] = {infer_broadcast, 0, "a", "*", '0'},
    [LM_KIND_REDUCE_SUM] = {infer_reduce_sum, ATTR(axes), "a", "f", 'f'},
    [LM_KIND_REDUCE_MAX] = {infer_reduce, ATTR(axes), "a", "f", 'f'},
    [LM_KIND_ARGMAX] = {infer_argmax, ATTR(axis), "a", "f", 'i'},
    [LM_KIND_RESHAPE] = {infer_reshape, 0, "a", "*", '0'},
    [LM_KIND_PERMUTE] = {infer_permute, ATTR(perm), "a", "*", '0'},
    [LM_KIND_SLICE] = {infer_slice, ATTR(slice), "a", "*", '0'},
    [LM_KIND_PAD] = {infer_pad, ATTR(pad), "a", "*", '0'},
    [LM_KIND_CONCAT] = {infer_concat, ATTR(axis), "", "*", '0'},
    [LM_KIND_REVERSE] = {infer_reverse, ATTR(axes), "a", "*", '0'},
    [LM_KIND_GATHER] = {infer_gather, 0, "a index", "*i", '0'},
    [LM_KIND_SCATTER_ADD] = {infer_scatter_add, ATTR(rows), "a index", "fi", 'f'},
    [LM_KIND_MATMUL] = {lm_infer_matmul, ATTR(matmul), "a b bias", "f", 'f'},
    [LM_KIND_CONV] = {lm_infer_conv, ATTR(conv), "x w bias", "f", 'f'},
    [LM_KIND_CONV_DGRAD] = {lm_infer_conv_dgrad, ATTR(conv), "y w", "f", 'f'},
    [LM_KIND_CONV_WGRAD] = {lm_infer_conv_wgrad, ATTR(conv), "x y", "f", 'f'},
    [LM_KIND_AXISMAP] = {infer_axismap, ATTR(axis), "a", "f", 'f'},
    [LM_KIND_POOL_ARGMAX] = {lm_infer_pool_argmax, ATTR(pool), "x", "f", 'm'},
    [LM_KIND_POOL_GATHER] = {lm_infer_pool_gather, ATTR(pool), "x index", "fm", 'f'},
    [LM_KIND_POOL_SCATTER] = {lm_infer_pool_scatter, ATTR(pool), "y index", "fm", 'f'},
    [LM_KIND_CUMSUM] = {infer_cumsum, ATTR(axis), "a", "f", 'f'},
    [LM_KIND_TOPK] = {infer_topk, ATTR(k), "a", "f", 'i'},
    [LM_KIND_PHILOX] = {infer_philox, ATTR(stream), "key", "u", 'u'},
    [LM_KIND_INV] = {lm_infer_square, 0, "a", "f", 'f'},
    [LM_KIND_LOGABSDET] = {lm_infer_logabsdet, 0, "a", "f", 'f'},
    [LM_KIND_ALLREDUCE_SUM] = {infer_same, 0, "a", "f", 'f'},
    [LM_KIND_ASSIGN] = {infer_assign, 0, "param value", "f", 'f'},
    [LM_KIND_CALL] = {lm_infer_call, ATTR(call), "", "*", 'f'},
};

/* ---- around the rules -------------------------------------------------------- */

bool lm_dtype_fits(lm_dtype dtype, char letter) {
    switch (letter) {
    case 'f':
        return dtype == LM_F32;
    case 'i':
        return dtype == LM_I32;
    case 'u':
        return dtype == LM_U32;
    case 'm':
        return dtype == LM_U8;
    case 'n':
        return dtype == LM_F32 || dtype == LM_I32;
    default:
        return lm_dtype_in_graph(dtype);
    }
}

/* Word `index` of a list of names, as "%.*s" wants it; empty past the end. */
static int source_name(const char **names, int index) {
    for (; index > 0 && **names; index--) {
        *names += strcspn(*names, " ");
        *names += strspn(*names, " ");
    }
    return (int)strcspn(*names, " ");
}

lm_status lm_check_types(const lm_typing *t, const char *names, const char *types) {
    static const char *const wanted[] = {
        ['f'] = "f32", ['i'] = "i32",        ['u'] = "u32",
        ['m'] = "u8",  ['n'] = "f32 or i32", ['*'] = "a type of graphs"};
    int last = (int)strlen(types) - 1;
    for (int i = 0; i < t->n_src; i++) {
        char letter = types[i < last ? i : last];
        if (lm_dtype_fits(t->src[i]->dtype, letter)) continue;
        const char *name = names;
        int length = source_name(&name, i);
        return lm_fail(LM_DTYPE, "%.*s is %s, expected %s", length, name,
                       lm_dtype_name(t->src[i]->dtype), wanted[(int)letter]);
    }
    return LM_OK;
}

static lm_status check_sources(const lm_typing *t) {
    const lm_kind_info *info = lm_kind_get(t->kind);
    LM_RETURN_IF(
        t->n_src < info->min_src || (info->max_src >= 0 && t->n_src > info->max_src),
        LM_ARG, "%d sources, expected %d to %d", t->n_src, info->min_src, info->max_src);
    for (int i = 0; i < t->n_src; i++)
        LM_RETURN_IF(lm_kind_get(t->src[i]->kind)->flags & LM_K_EFFECT, LM_ARG,
                     "source %d is an effect and has no value", i);
    const lm_kind_rule *rule = &lm_kind_rules[t->kind];
    return lm_check_types(t, rule->names, rule->types);
}

static lm_status check_shape(lm_shape shape) {
    int64_t count = 1;
    LM_RETURN_IF(shape.rank < 0 || shape.rank > LM_MAX_RANK, LM_SHAPE,
                 "rank %d, at most %d is possible", shape.rank, LM_MAX_RANK);
    for (int i = 0; i < shape.rank; i++) {
        LM_RETURN_IF(shape.dim[i] < 1 || shape.dim[i] > INT32_MAX, LM_SHAPE,
                     "axis %d would have %lld elements", i, (long long)shape.dim[i]);
        LM_RETURN_IF(count > MAX_ELEMENTS / shape.dim[i], LM_SHAPE,
                     "more than 2^44 elements");
        count *= shape.dim[i];
    }
    return LM_OK;
}

static lm_status infer_result(lm_typing *t) {
    const lm_kind_rule *rule = &lm_kind_rules[t->kind];
    LM_TRY(check_sources(t));
    LM_TRY(check_shape(t->shape)); /* asked for, where that matters; else scalar */
    t->shape = lm_shape_make(t->shape.rank, t->shape.dim);
    switch (rule->result) {
    case 'f':
        t->dtype = LM_F32;
        break;
    case 'i':
        t->dtype = LM_I32;
        break;
    case 'u':
        t->dtype = LM_U32;
        break;
    case 'm':
        t->dtype = LM_U8;
        break;
    case '0':
        t->dtype = t->src[0]->dtype;
        break;
    default:
        LM_RETURN_IF(!lm_dtype_in_graph(t->dtype), LM_DTYPE, "%s is not a type of graphs",
                     lm_dtype_name(t->dtype));
    }
    LM_TRY(rule->infer(t));
    return check_shape(t->shape);
}

/* Puts the kind before the message and the sources behind it. */
static lm_status explain(const lm_typing *t, lm_status status) {
    char text[LM_GRAPH_MESSAGE], shape[LM_SHAPE_TEXT];
    const lm_node like = {.kind = t->kind, .attr = *t->attr};
    bool known =
        (t->kind != LM_KIND_CALL || (unsigned)t->attr->call.composite < LM_COMP_COUNT) &&
        (t->kind != LM_KIND_EW || (unsigned)t->attr->ew.code < LM_EW_COUNT);
    const char *op = known ? lm_node_op_text(&like) : lm_kind_get(t->kind)->text;
    const char *names = lm_kind_rules[t->kind].names;
    if (t->kind == LM_KIND_CALL && known)
        names = lm_composite_sources((lm_composite)t->attr->call.composite);
    size_t used = (size_t)snprintf(text, sizeof text, "%s: %s", op, lm_message());
    for (int i = 0; i < t->n_src && used < sizeof text; i++) {
        const char *name = names;
        int length = source_name(&name, i);
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%.*s%s%s%s",
                                 i ? ", " : " (", length, name, length ? " " : "",
                                 lm_dtype_name(t->src[i]->dtype),
                                 lm_shape_text(t->src[i]->shape, shape));
    }
    return lm_fail(status, "%s%s", text, t->n_src ? ")" : "");
}

lm_status lm_infer(lm_typing *t) {
    lm_status status = infer_result(t);
    return status == LM_OK ? LM_OK : explain(t, status);
}
