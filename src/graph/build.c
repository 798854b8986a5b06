/* Helpers of the constructors, and the leaves. */
#include "graph/graph_internal.h"

lm_node *lm_make(lm_graph *g, lm_kind kind, lm_node *const *src, int n_src,
                 const lm_attr *attr) {
    return lm_build(g, kind, src, n_src, attr, LM_F32, LM_SCALAR);
}

lm_node *lm_make1(lm_graph *g, lm_kind kind, lm_node *a, const lm_attr *attr) {
    return lm_make(g, kind, &a, 1, attr);
}

int lm_axis_of(lm_graph *g, const char *what, const lm_node *a, int axis) {
    int rank = a->shape.rank;
    if (axis >= -rank && axis < rank) return axis < 0 ? axis + rank : axis;
    char text[LM_SHAPE_TEXT];
    lm_graph_fail(g, LM_SHAPE, "%s: no axis %d (a %s%s)", what, axis,
                  lm_dtype_name(a->dtype), lm_shape_text(a->shape, text));
    return -1;
}

bool lm_axes_exist(lm_graph *g, const char *what, const lm_node *a, uint32_t mask) {
    if (mask >> a->shape.rank == 0) return true;
    char text[LM_SHAPE_TEXT];
    lm_graph_fail(g, LM_SHAPE, "%s: no axes 0x%x (a %s%s)", what, (unsigned)mask,
                  lm_dtype_name(a->dtype), lm_shape_text(a->shape, text));
    return false;
}

static lm_node *leaf(lm_graph *g, lm_kind kind, const lm_attr *attr, lm_dtype dtype,
                     lm_shape shape) {
    return lm_build(g, kind, NULL, 0, attr, dtype, shape);
}

lm_node *lm_param(lm_graph *g, const char *var, int64_t offset, lm_shape shape) {
    if (lm_graph_status(g) != LM_OK) return NULL;
    lm_attr attr = {.param = {lm_graph_var(g, var), offset}};
    return leaf(g, LM_KIND_PARAM, &attr, LM_F32, shape);
}

lm_node *lm_input(lm_graph *g, const char *name, lm_dtype dtype, lm_shape shape) {
    lm_attr attr = {.name = name};
    return leaf(g, LM_KIND_INPUT, &attr, dtype, shape);
}

lm_node *lm_const(lm_graph *g, double value) {
    return lm_const_full(g, LM_F32, LM_SCALAR, value);
}

lm_node *lm_const_like(lm_graph *g, double value, const lm_node *like) {
    return like ? lm_const_full(g, like->dtype, like->shape, value) : NULL;
}

lm_node *lm_const_full(lm_graph *g, lm_dtype dtype, lm_shape shape, double value) {
    lm_attr attr = {.constant = {value, NULL}};
    return leaf(g, LM_KIND_CONST, &attr, dtype, shape);
}

lm_node *lm_const_data(lm_graph *g, lm_dtype dtype, lm_shape shape, const void *data) {
    if (!data) return lm_graph_fail(g, LM_ARG, "const: the table is missing");
    lm_attr attr = {.constant = {0, data}};
    return leaf(g, LM_KIND_CONST, &attr, dtype, shape);
}

lm_node *lm_iota(lm_graph *g, lm_dtype dtype, lm_shape shape, int axis) {
    lm_attr attr = {.axis = {axis < 0 ? axis + shape.rank : axis, 0, NULL}};
    return leaf(g, LM_KIND_IOTA, &attr, dtype, shape);
}
