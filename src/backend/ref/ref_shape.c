/* Kinds that move elements and change none: each is one copy between two strided views.
 */
#include "backend/ref/ref_internal.h"
#include <string.h>

/* Element (i, j, ..) lies at first + i * stride[0] + j * stride[1] + .. */
typedef struct view {
    int64_t first, stride[LM_MAX_RANK];
} view;

static view view_of(lm_shape shape) {
    view v = {0, {0}};
    int64_t stride = 1;
    for (int axis = shape.rank - 1; axis >= 0; axis--) {
        v.stride[axis] = stride;
        stride *= shape.dim[axis];
    }
    return v;
}

static void copy_axes(lm_shape shape, int axis, const double *in, const view *from,
                      double *out, const view *to) {
    if (axis == shape.rank) {
        *out = *in;
        return;
    }
    int64_t in_stride = from->stride[axis], out_stride = to->stride[axis];
    if (axis == shape.rank - 1) {
        for (int64_t i = 0; i < shape.dim[axis]; i++)
            out[i * out_stride] = in[i * in_stride];
        return;
    }
    for (int64_t i = 0; i < shape.dim[axis]; i++)
        copy_axes(shape, axis + 1, in + i * in_stride, from, out + i * out_stride, to);
}

/* Copies every index of `shape` from one view to the other. */
static void copy_view(lm_shape shape, const double *in, view from, double *out, view to) {
    copy_axes(shape, 0, in + from.first, &from, out + to.first, &to);
}

static void copy_all(double *out, const double *in, lm_shape shape) {
    memmove(out, in, (size_t)lm_shape_count(shape) * sizeof *out);
}

lm_status lm_ref_copy(const lm_node *node, const lm_kernel_args *args) {
    copy_all(args->out[0], args->in[0], node->shape);
    return LM_OK;
}

/* The plan makes out[0] the slice of the variable. */
lm_status lm_ref_assign(const lm_node *node, const lm_kernel_args *args) {
    copy_all(args->out[0], args->in[1], node->src[1]->shape);
    return LM_OK;
}

lm_status lm_ref_broadcast(const lm_node *node, const lm_kernel_args *args) {
    lm_shape from = node->src[0]->shape;
    view narrow = view_of(from), wide = {0, {0}};
    int added = node->shape.rank - from.rank;
    for (int axis = 0; axis < from.rank; axis++)
        wide.stride[added + axis] = from.dim[axis] == 1 ? 0 : narrow.stride[axis];
    copy_view(node->shape, args->in[0], wide, args->out[0], view_of(node->shape));
    return LM_OK;
}

lm_status lm_ref_permute(const lm_node *node, const lm_kernel_args *args) {
    view plain = view_of(node->src[0]->shape), permuted = {0, {0}};
    for (int axis = 0; axis < node->shape.rank; axis++)
        permuted.stride[axis] = plain.stride[node->attr.perm[axis]];
    copy_view(node->shape, args->in[0], permuted, args->out[0], view_of(node->shape));
    return LM_OK;
}

lm_status lm_ref_slice(const lm_node *node, const lm_kernel_args *args) {
    const lm_slice_attr *slice = &node->attr.slice;
    view from = view_of(node->src[0]->shape);
    for (int axis = 0; axis < node->shape.rank; axis++) {
        from.first += slice->lo[axis] * from.stride[axis];
        from.stride[axis] *= slice->step[axis];
    }
    copy_view(node->shape, args->in[0], from, args->out[0], view_of(node->shape));
    return LM_OK;
}

lm_status lm_ref_reverse(const lm_node *node, const lm_kernel_args *args) {
    view from = view_of(node->shape);
    for (int axis = 0; axis < node->shape.rank; axis++)
        if (node->attr.axes >> axis & 1) {
            from.first += (node->shape.dim[axis] - 1) * from.stride[axis];
            from.stride[axis] = -from.stride[axis];
        }
    copy_view(node->shape, args->in[0], from, args->out[0], view_of(node->shape));
    return LM_OK;
}

lm_status lm_ref_pad(const lm_node *node, const lm_kernel_args *args) {
    const lm_pad_attr *pad = &node->attr.pad;
    lm_shape from = node->src[0]->shape;
    view to = view_of(node->shape);
    for (int axis = 0; axis < from.rank; axis++) {
        to.first += pad->lo[axis] * to.stride[axis];
        to.stride[axis] *= pad->interior[axis] + 1;
    }
    memset(args->out[0], 0, (size_t)lm_shape_count(node->shape) * sizeof(double));
    copy_view(from, args->in[0], view_of(from), args->out[0], to);
    return LM_OK;
}

lm_status lm_ref_concat(const lm_node *node, const lm_kernel_args *args) {
    int axis = node->attr.axis.axis;
    view to = view_of(node->shape);
    for (int i = 0; i < node->n_src; i++) {
        lm_shape part = node->src[i]->shape;
        copy_view(part, args->in[i], view_of(part), args->out[0], to);
        to.first += part.dim[axis] * to.stride[axis];
    }
    return LM_OK;
}
