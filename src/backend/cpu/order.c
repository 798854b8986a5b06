/* What goes along one axis in order: argmax, running sums, and the k largest. */
#include "backend/cpu/rows.h"

#include <math.h>

enum { COLUMNS = 256 };

typedef struct order_state {
    lm_span span;
    int64_t blocks; /* of COLUMNS columns */
    bool reverse;   /* cumsum */
    int32_t k;      /* topk */
} order_state;

static order_state *order_init(lm_kernel *kernel, const lm_step *step, lm_cpu_run run,
                               int axis) {
    const lm_node *node = step->nodes[0];
    order_state *s =
        lm_cpu_kernel_init(kernel, step, lm_kind_get(node->kind)->text, run, sizeof *s);
    if (!s) return NULL;
    s->span = lm_span_make(node->src[0]->shape, axis, axis);
    s->blocks = (s->span.inner + COLUMNS - 1) / COLUMNS;
    kernel->flops = (double)lm_shape_count(node->src[0]->shape);
    return s;
}

/* Columns of a block: start and how many. */
static int64_t block_columns(const order_state *s, int64_t block, int64_t *start) {
    *start = block * COLUMNS;
    return s->span.inner - *start < COLUMNS ? s->span.inner - *start : COLUMNS;
}

/* ---- argmax ------------------------------------------------------------------ */

/* Along columns: all of a block at once. */
static void argmax_of_columns(const order_state *s, const lm_rows *rows, const float *x,
                              int64_t n, int32_t *at) {
    float best[COLUMNS];
    for (int64_t i = 0; i < n; i++) {
        best[i] = -INFINITY;
        at[i] = 0;
    }
    for (int64_t r = 0; r < s->span.size; r++)
        rows->keep_larger(best, at, x + r * s->span.inner, (int32_t)r, n);
}

/* Along a row: what is the largest, then where. */
static int32_t argmax_of_row(const lm_rows *rows, const float *x, int64_t n) {
    float most = rows->max(x, n);
    int32_t at = 0;
    if (most != most)
        while (x[at] == x[at]) at++;
    else
        while (x[at] != most) at++;
    return at;
}

static lm_status run_argmax(lm_kernel *kernel, const lm_kernel_args *args) {
    const order_state *s = kernel->state;
    const lm_rows *rows = lm_cpu_rows();
    const float *x = args->in[0];
    int32_t *y = args->out[0];
    lm_span span = s->span;
#pragma omp parallel for schedule(static) if (kernel->flops > LM_CPU_GRAIN)
    for (int64_t task = 0; task < span.outer * s->blocks; task++) {
        int64_t outer = task / s->blocks, start;
        int64_t n = block_columns(s, task % s->blocks, &start);
        const float *from = x + outer * span.size * span.inner + start;
        if (span.inner == 1)
            y[outer] = argmax_of_row(rows, from, span.size);
        else
            argmax_of_columns(s, rows, from, n, y + outer * span.inner + start);
    }
    return LM_OK;
}

lm_status lm_cpu_lower_argmax(lm_backend *backend, const lm_step *step,
                              lm_kernel *kernel) {
    int axis = step->nodes[0]->attr.axis.axis;
    return order_init(kernel, step, run_argmax, axis) ? LM_OK : LM_NOMEM;
}

/* ---- cumsum ------------------------------------------------------------------ */

static lm_status run_cumsum(lm_kernel *kernel, const lm_kernel_args *args) {
    const order_state *s = kernel->state;
    const float *x = args->in[0];
    float *y = args->out[0];
    lm_span span = s->span;
#pragma omp parallel for schedule(static) if (kernel->flops > LM_CPU_GRAIN)
    for (int64_t task = 0; task < span.outer * s->blocks; task++) {
        int64_t outer = task / s->blocks, start;
        int64_t n = block_columns(s, task % s->blocks, &start);
        double total[COLUMNS] = {0};
        for (int64_t r = 0; r < span.size; r++) {
            int64_t row = outer * span.size + (s->reverse ? span.size - 1 - r : r);
            int64_t at = row * span.inner + start;
            for (int64_t i = 0; i < n; i++) {
                total[i] += x[at + i];
                y[at + i] = (float)total[i];
            }
        }
    }
    return LM_OK;
}

lm_status lm_cpu_lower_cumsum(lm_backend *backend, const lm_step *step,
                              lm_kernel *kernel) {
    const lm_attr *attr = &step->nodes[0]->attr;
    order_state *s = order_init(kernel, step, run_cumsum, attr->axis.axis);
    if (!s) return LM_NOMEM;
    s->reverse = attr->axis.reverse;
    return LM_OK;
}

/* ---- topk -------------------------------------------------------------------- */

/* NaN is the largest, and of equal values the first. */
static bool is_less(const float *x, int32_t a, int32_t b) {
    bool a_nan = x[a] != x[a], b_nan = x[b] != x[b];
    if (a_nan != b_nan) return b_nan;
    return x[a] < x[b] || (!(x[b] < x[a]) && a > b);
}

/* A heap of indices with the smallest value at its root. */
static void sift_down(const float *x, int32_t *heap, int32_t size, int32_t at) {
    for (;;) {
        int32_t least = at, child = 2 * at + 1;
        for (int32_t c = child; c < child + 2 && c < size; c++)
            if (is_less(x, heap[c], heap[least])) least = c;
        if (least == at) return;
        int32_t moved = heap[at];
        heap[at] = heap[least];
        heap[least] = moved;
        at = least;
    }
}

static void find_top(const float *x, int32_t n, int32_t k, int32_t *top) {
    for (int32_t i = 0; i < k; i++) top[i] = i;
    for (int32_t i = k / 2 - 1; i >= 0; i--) sift_down(x, top, k, i);
    for (int32_t i = k; i < n; i++) {
        if (!is_less(x, top[0], i)) continue;
        top[0] = i;
        sift_down(x, top, k, 0);
    }
    for (int32_t size = k - 1; size > 0; size--) { /* the smallest goes last */
        int32_t smallest = top[0];
        top[0] = top[size];
        top[size] = smallest;
        sift_down(x, top, size, 0);
    }
}

static lm_status run_topk(lm_kernel *kernel, const lm_kernel_args *args) {
    const order_state *s = kernel->state;
    const float *x = args->in[0];
    int32_t *y = args->out[0];
#pragma omp parallel for schedule(static) if (kernel->flops > LM_CPU_GRAIN)
    for (int64_t row = 0; row < s->span.outer; row++)
        find_top(x + row * s->span.size, (int32_t)s->span.size, s->k, y + row * s->k);
    return LM_OK;
}

lm_status lm_cpu_lower_topk(lm_backend *backend, const lm_step *step, lm_kernel *kernel) {
    const lm_node *node = step->nodes[0];
    order_state *s = order_init(kernel, step, run_topk, node->src[0]->shape.rank - 1);
    if (!s) return LM_NOMEM;
    s->k = node->attr.k;
    return LM_OK;
}
