/* A constant sparse matrix along one axis: resampling, box filters, blurs, edge padding.
 * A row of the result is a weighted sum of a few rows of the source. */
#include "backend/cpu/rows.h"
#include "base/mem.h"

#include <string.h>

enum {
    BATCH = 16, /* rows that are combined in one call */
    NARROW = 8  /* rows shorter than this are not worth a call */
};

typedef struct axismap_state {
    lm_span span; /* of the source */
    int32_t rows;
    int32_t *row_start, *col; /* the graph, which owns the matrix, may go */
    float *value;
} axismap_state;

static void map_row(const axismap_state *s, const lm_rows *rows, const float *x, float *y,
                    int32_t row) {
    int64_t inner = s->span.inner;
    int32_t first = s->row_start[row], last = s->row_start[row + 1];
    if (last - first == 1 && s->value[first] == 1) {
        memcpy(y, x + s->col[first] * inner, (size_t)inner * sizeof *y);
        return;
    }
    if (first == last) memset(y, 0, (size_t)inner * sizeof *y);
    for (int32_t t = first; t < last; t += BATCH) {
        const float *from[BATCH];
        int terms = last - t < BATCH ? last - t : BATCH;
        for (int k = 0; k < terms; k++) from[k] = x + s->col[t + k] * inner;
        rows->combine(y, from, s->value + t, terms, t > first, inner);
    }
}

static void map_narrow_row(const axismap_state *s, const float *x, float *y,
                           int32_t row) {
    int64_t inner = s->span.inner;
    for (int64_t i = 0; i < inner; i++) {
        float total = 0;
        for (int32_t t = s->row_start[row]; t < s->row_start[row + 1]; t++)
            total += s->value[t] * x[s->col[t] * inner + i];
        y[i] = total;
    }
}

static lm_status run_axismap(lm_kernel *kernel, const lm_kernel_args *args) {
    const axismap_state *s = kernel->state;
    const lm_rows *rows = lm_cpu_rows();
    const float *x = args->in[0];
    float *y = args->out[0];
    int64_t inner = s->span.inner, tasks = s->span.outer * s->rows;
#pragma omp parallel for schedule(static) if (tasks * inner > LM_CPU_GRAIN)
    for (int64_t task = 0; task < tasks; task++) {
        const float *from = x + task / s->rows * s->span.size * inner;
        int32_t row = (int32_t)(task % s->rows);
        if (inner < NARROW)
            map_narrow_row(s, from, y + task * inner, row);
        else
            map_row(s, rows, from, y + task * inner, row);
    }
    return LM_OK;
}

static void release_axismap(lm_kernel *kernel) {
    axismap_state *s = kernel->state;
    lm_free(s->row_start);
    lm_free(s->col);
    lm_free(s->value);
    lm_cpu_kernel_release(kernel);
}

static void *duplicate(const void *from, size_t bytes) {
    void *copy = lm_alloc(bytes);
    return copy ? memcpy(copy, from, bytes) : NULL;
}

lm_status lm_cpu_lower_axismap(lm_backend *backend, const lm_step *step,
                               lm_kernel *kernel) {
    const lm_node *node = step->nodes[0];
    const lm_sparse *matrix = node->attr.axis.matrix;
    axismap_state *s =
        lm_cpu_kernel_init(kernel, step, "axismap", run_axismap, sizeof *s);
    if (!s) return LM_NOMEM;
    kernel->release = release_axismap;
    s->span =
        lm_span_make(node->src[0]->shape, node->attr.axis.axis, node->attr.axis.axis);
    s->rows = matrix->rows;
    size_t rows = (size_t)matrix->rows, nnz = (size_t)matrix->nnz;
    s->row_start = duplicate(matrix->row_start, (rows + 1) * sizeof(int32_t));
    s->col = duplicate(matrix->col, nnz * sizeof(int32_t));
    s->value = duplicate(matrix->value, nnz * sizeof(float));
    if (!s->row_start || !s->col || !s->value) {
        release_axismap(kernel);
        return LM_NOMEM;
    }
    kernel->flops = 2.0 * (double)(s->span.outer * s->span.inner) * (double)nnz;
    return LM_OK;
}
