/* Reductions, scans and selections along axes. */
#include "backend/ref/ref_internal.h"
#include <math.h>

bool lm_ref_beats(double a, double best) {
    return a > best || (isnan(a) && !isnan(best));
}

lm_ref_span lm_ref_span_of(lm_shape shape, int first, int last) {
    lm_ref_span span = {1, 1, 1};
    for (int axis = 0; axis < shape.rank; axis++) {
        int64_t *part = axis < first  ? &span.outer
                        : axis > last ? &span.inner
                                      : &span.size;
        *part *= shape.dim[axis];
    }
    return span;
}

typedef double (*fold)(double total, double value);

static double fold_sum(double total, double value) {
    return total + value;
}

static double fold_max(double total, double value) {
    return lm_ref_beats(value, total) ? value : total;
}

/* Reads the source in order; a reduced axis does not move the result's place. Returns
 * what is left of the source. */
static const double *fold_axis(const lm_node *node, int axis, const double *in,
                               double *out, fold each) {
    lm_shape from = node->src[0]->shape;
    if (axis == from.rank) {
        *out = each(*out, *in);
        return in + 1;
    }
    int64_t stride = lm_ref_span_of(node->shape, axis, axis).inner;
    if (node->attr.axes >> axis & 1) stride = 0;
    for (int64_t i = 0; i < from.dim[axis]; i++)
        in = fold_axis(node, axis + 1, in, out + i * stride, each);
    return in;
}

static lm_status reduce(const lm_node *node, const lm_kernel_args *args, double start,
                        fold each) {
    double *out = args->out[0];
    int64_t count = lm_shape_count(node->shape);
    for (int64_t i = 0; i < count; i++) out[i] = start;
    fold_axis(node, 0, args->in[0], out, each);
    return LM_OK;
}

lm_status lm_ref_reduce_sum(const lm_node *node, const lm_kernel_args *args) {
    return reduce(node, args, 0, fold_sum);
}

lm_status lm_ref_reduce_max(const lm_node *node, const lm_kernel_args *args) {
    return reduce(node, args, -INFINITY, fold_max);
}

lm_status lm_ref_argmax(const lm_node *node, const lm_kernel_args *args) {
    int axis = node->attr.axis.axis;
    lm_ref_span span = lm_ref_span_of(node->src[0]->shape, axis, axis);
    double *out = args->out[0];
    for (int64_t o = 0; o < span.outer; o++) {
        const double *in = (const double *)args->in[0] + o * span.size * span.inner;
        for (int64_t e = 0; e < span.inner; e++) {
            int64_t best = 0;
            for (int64_t i = 1; i < span.size; i++)
                if (lm_ref_beats(in[i * span.inner + e], in[best * span.inner + e]))
                    best = i;
            *out++ = (double)best;
        }
    }
    return LM_OK;
}

lm_status lm_ref_cumsum(const lm_node *node, const lm_kernel_args *args) {
    int axis = node->attr.axis.axis;
    bool reverse = node->attr.axis.reverse;
    lm_ref_span span = lm_ref_span_of(node->shape, axis, axis);
    for (int64_t o = 0; o < span.outer; o++)
        for (int64_t e = 0; e < span.inner; e++) {
            int64_t at = o * span.size * span.inner + e;
            const double *in = (const double *)args->in[0] + at;
            double *out = (double *)args->out[0] + at;
            double total = 0;
            for (int64_t i = 0; i < span.size; i++) {
                int64_t k = (reverse ? span.size - 1 - i : i) * span.inner;
                total += in[k];
                out[k] = total;
            }
        }
    return LM_OK;
}

/* Descending by value, ties ascending by index: a strict total order, NaN first. */
static bool comes_before(const double *row, int64_t a, int64_t b) {
    if (lm_ref_beats(row[a], row[b])) return true;
    return !lm_ref_beats(row[b], row[a]) && a < b;
}

lm_status lm_ref_topk(const lm_node *node, const lm_kernel_args *args) {
    lm_shape shape = node->src[0]->shape;
    int64_t n = shape.dim[shape.rank - 1], rows = lm_shape_count(shape) / n;
    const double *row = args->in[0];
    double *out = args->out[0];
    for (int64_t r = 0; r < rows; r++, row += n) {
        int64_t previous = -1;
        for (int k = 0; k < node->attr.k; k++) {
            int64_t best = -1;
            for (int64_t i = 0; i < n; i++)
                if ((previous < 0 || comes_before(row, previous, i)) &&
                    (best < 0 || comes_before(row, i, best)))
                    best = i;
            *out++ = (double)best;
            previous = best;
        }
    }
    return LM_OK;
}
