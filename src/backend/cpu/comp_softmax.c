/* Softmax and its relatives: each row is independent. */
#include "backend/cpu/comp.h"

#include "base/threads.h"

#include <math.h>
#include <omp.h>

enum { SERIAL = 16384 /* elements below which one thread does all */ };

typedef struct softmax_state {
    const lm_comp_ops *ops;
    void (*row)(const struct softmax_state *s, const lm_kernel_args *args, int64_t row,
                float *scratch);
    int64_t rows, scratch; /* floats of each thread, for kernels whose output is small */
    int n, threads;
} softmax_state;

static void softmax(const softmax_state *s, float *y, const float *x) {
    float sum = s->ops->exp_sum(y, x, 1, s->ops->max(x, s->n), s->n);
    s->ops->scale(y, y, 1 / sum, s->n);
}

/* `scratch` takes a row. */
static float logsumexp(const softmax_state *s, const float *x, float *scratch) {
    float max = s->ops->max(x, s->n);
    return max + logf(s->ops->exp_sum(scratch, x, 1, max, s->n));
}

static void softmax_row(const softmax_state *s, const lm_kernel_args *args, int64_t row,
                        float *scratch) {
    softmax(s, (float *)args->out[0] + row * s->n,
            (const float *)args->in[0] + row * s->n);
}

static void softmax_grad_row(const softmax_state *s, const lm_kernel_args *args,
                             int64_t row, float *scratch) {
    const float *y = (const float *)args->in[0] + row * s->n;
    const float *g = (const float *)args->in[1] + row * s->n;
    s->ops->softmax_grad((float *)args->out[0] + row * s->n, y, g,
                         s->ops->dot(y, g, s->n), 1, s->n);
}

static void logsumexp_row(const softmax_state *s, const lm_kernel_args *args, int64_t row,
                          float *scratch) {
    const float *x = (const float *)args->in[0] + row * s->n;
    ((float *)args->out[0])[row] = logsumexp(s, x, scratch);
}

/* A label outside the classes chooses nothing, as in the body. */
static void xent_row(const softmax_state *s, const lm_kernel_args *args, int64_t row,
                     float *scratch) {
    const float *x = (const float *)args->in[0] + row * s->n;
    int32_t label = ((const int32_t *)args->in[1])[row];
    float chosen = label >= 0 && label < s->n ? x[label] : 0;
    ((float *)args->out[0])[row] = logsumexp(s, x, scratch) - chosen;
}

static void xent_grad_row(const softmax_state *s, const lm_kernel_args *args, int64_t row,
                          float *scratch) {
    float *d = (float *)args->out[0] + row * s->n;
    int32_t label = ((const int32_t *)args->in[1])[row];
    softmax(s, d, (const float *)args->in[0] + row * s->n);
    if (label >= 0 && label < s->n) d[label] -= 1;
    s->ops->scale(d, d, ((const float *)args->in[2])[row], s->n);
}

static lm_status run_rows(lm_kernel *kernel, const lm_kernel_args *args) {
    const softmax_state *s = kernel->state;
#pragma omp parallel num_threads(s->threads)
    {
        float *scratch = (float *)args->workspace + omp_get_thread_num() * s->scratch;
#pragma omp for schedule(static)
        for (int64_t row = 0; row < s->rows; row++) s->row(s, args, row, scratch);
    }
    return LM_OK;
}

static lm_status lower_rows(const lm_step *step, lm_kernel *kernel, const char *name,
                            void (*row)(const softmax_state *, const lm_kernel_args *,
                                        int64_t, float *),
                            bool needs_scratch) {
    softmax_state *s = lm_cpu_kernel_init(kernel, step, name, run_rows, sizeof *s);
    if (!s) return LM_NOMEM;
    lm_shape x = step->nodes[0]->src[0]->shape;
    int64_t count = lm_shape_count(x);
    s->ops = LM_ISA_PICK(lm_comp_ops);
    s->row = row;
    s->n = (int)x.dim[x.rank - 1];
    s->rows = s->n ? count / s->n : 0;
    s->threads = count < SERIAL ? 1 : lm_threads();
    s->scratch = needs_scratch ? (s->n + 15) / 16 * 16 : 0;
    kernel->workspace = (size_t)(s->threads * s->scratch) * sizeof(float);
    kernel->flops = 4.0 * (double)count;
    return LM_OK;
}

lm_status lm_comp_lower_softmax(lm_backend *backend, const lm_step *step,
                                lm_kernel *kernel) {
    return lower_rows(step, kernel, "softmax", softmax_row, false);
}

lm_status lm_comp_lower_softmax_grad(lm_backend *backend, const lm_step *step,
                                     lm_kernel *kernel) {
    return lower_rows(step, kernel, "softmax_grad", softmax_grad_row, false);
}

lm_status lm_comp_lower_logsumexp(lm_backend *backend, const lm_step *step,
                                  lm_kernel *kernel) {
    return lower_rows(step, kernel, "logsumexp", logsumexp_row, true);
}

lm_status lm_comp_lower_xent(lm_backend *backend, const lm_step *step,
                             lm_kernel *kernel) {
    return lower_rows(step, kernel, "softmax_xent", xent_row, true);
}

lm_status lm_comp_lower_xent_grad(lm_backend *backend, const lm_step *step,
                                  lm_kernel *kernel) {
    return lower_rows(step, kernel, "softmax_xent_grad", xent_grad_row, false);
}
