/* Rows chosen by index, and sparse matrices along an axis. */
#include "backend/ref/ref_internal.h"
#include <inttypes.h>
#include <string.h>

/* Checks one index against the number of rows. */
static lm_status check_index(const lm_node *node, double index, int64_t i, int64_t rows) {
    if (index >= 0 && index < (double)rows) return LM_OK;
    return lm_fail(LM_ARG, "index %" PRId64 " is %.0f, outside 0 to %" PRId64, i, index,
                   rows - 1);
}

lm_status lm_ref_gather(const lm_node *node, const lm_kernel_args *args) {
    int64_t rows = node->src[0]->shape.dim[0];
    int64_t count = lm_shape_count(node->src[1]->shape);
    int64_t width = lm_shape_count(node->src[0]->shape) / rows;
    const double *in = args->in[0], *index = args->in[1];
    double *out = args->out[0];
    for (int64_t i = 0; i < count; i++, out += width) {
        LM_TRY(check_index(node, index[i], i, rows));
        memcpy(out, in + (int64_t)index[i] * width, (size_t)width * sizeof *out);
    }
    return LM_OK;
}

lm_status lm_ref_scatter_add(const lm_node *node, const lm_kernel_args *args) {
    int64_t rows = node->shape.dim[0];
    int64_t count = lm_shape_count(node->src[1]->shape);
    int64_t width = lm_shape_count(node->shape) / rows;
    const double *in = args->in[0], *index = args->in[1];
    double *out = args->out[0];
    memset(out, 0, (size_t)(rows * width) * sizeof *out);
    for (int64_t i = 0; i < count; i++, in += width) {
        LM_TRY(check_index(node, index[i], i, rows));
        double *row = out + (int64_t)index[i] * width;
        for (int64_t e = 0; e < width; e++) row[e] += in[e];
    }
    return LM_OK;
}

lm_status lm_ref_axismap(const lm_node *node, const lm_kernel_args *args) {
    const lm_sparse *matrix = node->attr.axis.matrix;
    int axis = node->attr.axis.axis;
    lm_ref_span span = lm_ref_span_of(node->src[0]->shape, axis, axis);
    const double *in = args->in[0];
    double *out = args->out[0];
    for (int64_t o = 0; o < span.outer; o++, in += span.size * span.inner)
        for (int32_t row = 0; row < matrix->rows; row++, out += span.inner) {
            memset(out, 0, (size_t)span.inner * sizeof *out);
            for (int32_t k = matrix->row_start[row]; k < matrix->row_start[row + 1]; k++)
                for (int64_t e = 0; e < span.inner; e++)
                    out[e] +=
                        (double)matrix->value[k] * in[matrix->col[k] * span.inner + e];
        }
    return LM_OK;
}
