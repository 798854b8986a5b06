/* Sums and maxima over axes. Sums are cut into pieces whose size depends on nothing but
 * the shape and added in order, so that results do not depend on the threads. */
#include "backend/cpu/rows.h"

#include <math.h>

/* ---- reduce_sum -------------------------------------------------------------- */

enum {
    ROW_PIECE = 1024,   /* elements of one row that are added in f32 */
    COLUMN_PIECE = 128, /* rows that are added in f32 */
    COLUMNS = 512       /* columns of one task */
};

typedef struct sum_state {
    lm_span span;
    int64_t piece, pieces; /* of span.size */
    int64_t width, widths; /* columns of a task, tasks across */
} sum_state;

static int64_t divide_up(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

/* Sums of every piece into partial[outer][piece][inner]. */
static void sum_pieces(const sum_state *s, const float *x, float *partial) {
    const lm_rows *rows = lm_cpu_rows();
    lm_span span = s->span;
    int64_t tasks = span.outer * s->pieces * s->widths;
#pragma omp parallel for schedule(static) if (span.outer * span.size * span.inner >      \
                                              LM_CPU_GRAIN)
    for (int64_t task = 0; task < tasks; task++) {
        int64_t column = task % s->widths * s->width, block = task / s->widths;
        int64_t first = block % s->pieces * s->piece, outer = block / s->pieces;
        int64_t size = span.size - first < s->piece ? span.size - first : s->piece;
        int64_t n = span.inner - column < s->width ? span.inner - column : s->width;
        const float *from = x + (outer * span.size + first) * span.inner + column;
        float *to = partial + block * span.inner + column;
        if (span.inner == 1) {
            *to = rows->sum(from, size);
            continue;
        }
        for (int64_t i = 0; i < n; i++) to[i] = 0;
        rows->add_rows(to, from, size, span.inner, n);
    }
}

static void add_pieces(const sum_state *s, const float *partial, float *y) {
    lm_span span = s->span;
    int64_t tasks = span.outer * s->widths;
#pragma omp parallel for schedule(static) if (tasks * s->pieces * s->width > LM_CPU_GRAIN)
    for (int64_t task = 0; task < tasks; task++) {
        int64_t column = task % s->widths * s->width, outer = task / s->widths;
        int64_t n = span.inner - column < s->width ? span.inner - column : s->width;
        const float *from = partial + outer * s->pieces * span.inner + column;
        double total[COLUMNS] = {0};
        for (int64_t p = 0; p < s->pieces; p++)
            for (int64_t i = 0; i < n; i++) total[i] += from[p * span.inner + i];
        for (int64_t i = 0; i < n; i++)
            y[outer * span.inner + column + i] = (float)total[i];
    }
}

static lm_status run_sum(lm_kernel *kernel, const lm_kernel_args *args) {
    const sum_state *s = kernel->state;
    if (s->pieces == 1) {
        sum_pieces(s, args->in[0], args->out[0]);
    } else {
        sum_pieces(s, args->in[0], args->workspace);
        add_pieces(s, args->workspace, args->out[0]);
    }
    return LM_OK;
}

lm_status lm_cpu_lower_reduce_sum(lm_backend *backend, const lm_step *step,
                                  lm_kernel *kernel) {
    const lm_node *node = step->nodes[0];
    uint32_t axes = node->attr.axes;
    sum_state *s = lm_cpu_kernel_init(kernel, step, "reduce_sum", run_sum, sizeof *s);
    if (!s) return LM_NOMEM;
    lm_span span =
        lm_span_make(node->src[0]->shape, __builtin_ctz(axes), 31 - __builtin_clz(axes));
    s->span = span;
    s->piece = span.inner == 1 ? ROW_PIECE : COLUMN_PIECE;
    s->pieces = divide_up(span.size, s->piece);
    s->width = span.inner < COLUMNS ? span.inner : COLUMNS;
    s->widths = divide_up(span.inner, s->width);
    if (s->pieces > 1)
        kernel->workspace = (size_t)(span.outer * s->pieces * span.inner) * sizeof(float);
    kernel->flops = (double)lm_shape_count(node->src[0]->shape);
    return LM_OK;
}

/* ---- reduce_max -------------------------------------------------------------- */

/* Any set of axes: kept and reduced axes in order, without the last run of equals, which
 * is the inner loop. */
typedef struct axis_list {
    int rank;
    int64_t size[LM_MAX_RANK], stride[LM_MAX_RANK], count;
} axis_list;

typedef struct max_state {
    axis_list kept, reduced;
    int64_t inner;
    bool inner_reduced;
} max_state;

static int64_t offset_of(const axis_list *list, int64_t index) {
    int64_t offset = 0;
    for (int i = list->rank - 1; i >= 0; i--) {
        offset += index % list->size[i] * list->stride[i];
        index /= list->size[i];
    }
    return offset;
}

static lm_status run_max(lm_kernel *kernel, const lm_kernel_args *args) {
    const max_state *s = kernel->state;
    const lm_rows *rows = lm_cpu_rows();
    const float *x = args->in[0];
    float *y = args->out[0];
    int64_t width = s->inner_reduced ? 1 : s->inner;
#pragma omp parallel for schedule(static) if (kernel->flops > LM_CPU_GRAIN)
    for (int64_t k = 0; k < s->kept.count; k++) {
        const float *from = x + offset_of(&s->kept, k);
        float *to = y + k * width;
        for (int64_t i = 0; i < width; i++) to[i] = -INFINITY;
        for (int64_t r = 0; r < s->reduced.count; r++) {
            const float *row = from + offset_of(&s->reduced, r);
            if (s->inner_reduced) {
                float most = rows->max(row, s->inner);
                rows->max_rows(to, &most, 1, 0, 1);
            } else {
                rows->max_rows(to, row, 1, 0, s->inner);
            }
        }
    }
    return LM_OK;
}

lm_status lm_cpu_lower_reduce_max(lm_backend *backend, const lm_step *step,
                                  lm_kernel *kernel) {
    const lm_node *node = step->nodes[0];
    max_state *s = lm_cpu_kernel_init(kernel, step, "reduce_max", run_max, sizeof *s);
    if (!s) return LM_NOMEM;
    lm_shape from = node->src[0]->shape;
    int last = from.rank - 1;
    s->inner_reduced = node->attr.axes >> last & 1;
    s->inner = s->kept.count = s->reduced.count = 1;
    for (; last >= 0 && (node->attr.axes >> last & 1) == s->inner_reduced; last--)
        s->inner *= from.dim[last];
    for (int i = 0; i <= last; i++) {
        axis_list *list = node->attr.axes >> i & 1 ? &s->reduced : &s->kept;
        list->size[list->rank] = from.dim[i];
        list->stride[list->rank++] = lm_span_make(from, i, i).inner;
        list->count *= from.dim[i];
    }
    kernel->flops = (double)lm_shape_count(from);
    return LM_OK;
}
