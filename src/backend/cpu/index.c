/* Rows chosen by indices, and their adjoint. */
#include "backend/cpu/cpu_internal.h"

#include <omp.h>
#include <string.h>

typedef struct index_state {
    int64_t count; /* indices */
    int64_t rows;  /* that they may name */
    int64_t row;   /* elements of one */
    size_t element;
} index_state;

/* Indices come from data, so each is checked at each run. */
static lm_status check_indices(const index_state *s, const int32_t *index) {
    for (int64_t i = 0; i < s->count; i++)
        LM_RETURN_IF(index[i] < 0 || index[i] >= s->rows, LM_ARG,
                     "index %lld is %d, expected 0 to %lld", (long long)i, (int)index[i],
                     (long long)s->rows - 1);
    return LM_OK;
}

static lm_status run_gather(lm_kernel *kernel, const lm_kernel_args *args) {
    const index_state *s = kernel->state;
    const int32_t *index = args->in[1];
    const char *from = args->in[0];
    char *to = args->out[0];
    size_t bytes = (size_t)s->row * s->element;
    LM_TRY(check_indices(s, index));
#pragma omp parallel for schedule(static) if (s->count * s->row > LM_CPU_GRAIN)
    for (int64_t i = 0; i < s->count; i++)
        memcpy(to + (size_t)i * bytes, from + (size_t)index[i] * bytes, bytes);
    return LM_OK;
}

/* A thread owns a range of the result's rows and adds to them in the order of i, so that
 * sums are the same for any number of threads. */
static lm_status run_scatter_add(lm_kernel *kernel, const lm_kernel_args *args) {
    const index_state *s = kernel->state;
    const int32_t *index = args->in[1];
    const float *x = args->in[0];
    float *y = args->out[0];
    LM_TRY(check_indices(s, index));
#pragma omp parallel if (s->count * s->row > LM_CPU_GRAIN)
    {
        int64_t threads = omp_get_num_threads(), thread = omp_get_thread_num();
        int64_t first = s->rows * thread / threads;
        int64_t last = s->rows * (thread + 1) / threads;
        memset(y + first * s->row, 0, (size_t)((last - first) * s->row) * sizeof *y);
        for (int64_t i = 0; i < s->count; i++) {
            if (index[i] < first || index[i] >= last) continue;
            float *to = y + index[i] * s->row;
            for (int64_t k = 0; k < s->row; k++) to[k] += x[i * s->row + k];
        }
    }
    return LM_OK;
}

static lm_status lower_index(const lm_step *step, lm_kernel *kernel, lm_cpu_run run,
                             lm_shape table) {
    const lm_node *node = step->nodes[0];
    index_state *s =
        lm_cpu_kernel_init(kernel, step, lm_kind_get(node->kind)->text, run, sizeof *s);
    if (!s) return LM_NOMEM;
    s->count = lm_shape_count(node->src[1]->shape);
    s->rows = table.dim[0];
    s->row = lm_shape_count(table) / table.dim[0];
    s->element = lm_dtype_size(node->dtype);
    return LM_OK;
}

lm_status lm_cpu_lower_gather(lm_backend *backend, const lm_step *step,
                              lm_kernel *kernel) {
    return lower_index(step, kernel, run_gather, step->nodes[0]->src[0]->shape);
}

lm_status lm_cpu_lower_scatter_add(lm_backend *backend, const lm_step *step,
                                   lm_kernel *kernel) {
    return lower_index(step, kernel, run_scatter_add, step->nodes[0]->shape);
}
