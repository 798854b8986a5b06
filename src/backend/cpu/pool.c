/* Max pooling as its three linear or discrete parts: where the largest is, taking what is
 * there, and putting it back. All go pixel by pixel over a row of channels. */
#include "backend/cpu/rows.h"

#include <math.h>
#include <string.h>

enum { CHANNELS = 256, MAX_POSITIONS = 256 };

typedef struct pool_state {
    lm_pool_attr pool;
    int64_t batch, in[2], out[2], channels;
    int64_t offset[MAX_POSITIONS]; /* of a position within the window, in elements */
} pool_state;

static pool_state *pool_init(lm_kernel *kernel, const lm_step *step, lm_cpu_run run,
                             lm_shape in, lm_shape out) {
    const lm_node *node = step->nodes[0];
    pool_state *s =
        lm_cpu_kernel_init(kernel, step, lm_kind_get(node->kind)->text, run, sizeof *s);
    if (!s) return NULL;
    s->pool = node->attr.pool;
    s->batch = in.dim[0];
    s->channels = in.dim[3];
    for (int i = 0; i < 2; i++) {
        s->in[i] = in.dim[1 + i];
        s->out[i] = out.dim[1 + i];
    }
    for (int i = 0; i < s->pool.window[0]; i++)
        for (int k = 0; k < s->pool.window[1]; k++)
            s->offset[i * s->pool.window[1] + k] = (i * s->in[1] + k) * s->channels;
    kernel->flops = (double)lm_shape_count(out) * s->pool.window[0] * s->pool.window[1];
    return s;
}

/* Where the window of one output pixel starts in the input; may lie in the padding. */
static void window_start(const pool_state *s, int64_t pixel, int64_t start[2],
                         int64_t *image) {
    start[1] = pixel % s->out[1] * s->pool.stride[1] - s->pool.pad_lo[1];
    start[0] = pixel / s->out[1] % s->out[0] * s->pool.stride[0] - s->pool.pad_lo[0];
    *image = pixel / s->out[1] / s->out[0];
}

static bool is_inside(const pool_state *s, const int64_t start[2], int position) {
    int64_t h = start[0] + position / s->pool.window[1];
    int64_t w = start[1] + position % s->pool.window[1];
    return h >= 0 && h < s->in[0] && w >= 0 && w < s->in[1];
}

/* Positions may come from outside, and what they name beyond the image would be read. */
static lm_status check_positions(const pool_state *s, const uint8_t *at, bool parallel) {
    int64_t pixels = s->batch * s->out[0] * s->out[1], channels = s->channels;
    int positions = s->pool.window[0] * s->pool.window[1];
    int64_t outside = 0;
#pragma omp parallel for schedule(static) reduction(+ : outside) if (parallel)
    for (int64_t pixel = 0; pixel < pixels; pixel++) {
        const uint8_t *position = at + pixel * channels;
        int64_t start[2], image;
        window_start(s, pixel, start, &image);
        for (int64_t c = 0; c < channels; c++) outside += position[c] >= positions;
        if (is_inside(s, start, 0) && is_inside(s, start, positions - 1)) continue;
        for (int64_t c = 0; c < channels; c++)
            outside += !is_inside(s, start, position[c]);
    }
    LM_RETURN_IF(outside > 0, LM_ARG, "%lld positions lie outside their windows",
                 (long long)outside);
    return LM_OK;
}

/* ---- argmax ------------------------------------------------------------------ */

static void find_largest(const pool_state *s, const lm_rows *rows, const float *x,
                         const int64_t start[2], int64_t n, uint8_t *to) {
    float best[CHANNELS];
    int32_t at[CHANNELS];
    bool first = true;
    for (int i = 0; i < s->pool.window[0]; i++) {
        for (int k = 0; k < s->pool.window[1]; k++) {
            int64_t h = start[0] + i, w = start[1] + k;
            int32_t position = i * s->pool.window[1] + k;
            if (h < 0 || h >= s->in[0] || w < 0 || w >= s->in[1]) continue;
            for (int64_t c = 0; c < n && first; c++) {
                best[c] = -INFINITY;
                at[c] = position;
            }
            first = false;
            rows->keep_larger(best, at, x + (h * s->in[1] + w) * s->channels, position,
                              n);
        }
    }
    for (int64_t c = 0; c < n; c++) to[c] = (uint8_t)at[c];
}

static lm_status run_argmax(lm_kernel *kernel, const lm_kernel_args *args) {
    const pool_state *s = kernel->state;
    const lm_rows *rows = lm_cpu_rows();
    const float *x = args->in[0];
    uint8_t *y = args->out[0];
    int64_t image_size = s->in[0] * s->in[1] * s->channels;
    int64_t pixels = s->batch * s->out[0] * s->out[1];
#pragma omp parallel for schedule(static) if (kernel->flops > LM_CPU_GRAIN)
    for (int64_t pixel = 0; pixel < pixels; pixel++) {
        int64_t start[2], image;
        window_start(s, pixel, start, &image);
        for (int64_t c = 0; c < s->channels; c += CHANNELS)
            find_largest(s, rows, x + image * image_size + c, start,
                         s->channels - c < CHANNELS ? s->channels - c : CHANNELS,
                         y + pixel * s->channels + c);
    }
    return LM_OK;
}

lm_status lm_cpu_lower_pool_argmax(lm_backend *backend, const lm_step *step,
                                   lm_kernel *kernel) {
    const lm_node *node = step->nodes[0];
    return pool_init(kernel, step, run_argmax, node->src[0]->shape, node->shape)
               ? LM_OK
               : LM_NOMEM;
}

/* ---- gather ------------------------------------------------------------------ */

static lm_status run_gather(lm_kernel *kernel, const lm_kernel_args *args) {
    const pool_state *s = kernel->state;
    const float *x = args->in[0];
    const uint8_t *at = args->in[1];
    float *y = args->out[0];
    int64_t pixels = s->batch * s->out[0] * s->out[1], channels = s->channels;
    LM_TRY(check_positions(s, at, kernel->flops > LM_CPU_GRAIN));
#pragma omp parallel for schedule(static) if (kernel->flops > LM_CPU_GRAIN)
    for (int64_t pixel = 0; pixel < pixels; pixel++) {
        int64_t start[2], image;
        window_start(s, pixel, start, &image);
        int64_t base = ((image * s->in[0] + start[0]) * s->in[1] + start[1]) * channels;
        for (int64_t c = 0, i = pixel * channels; c < channels; c++, i++)
            y[i] = x[base + s->offset[at[i]] + c];
    }
    return LM_OK;
}

lm_status lm_cpu_lower_pool_gather(lm_backend *backend, const lm_step *step,
                                   lm_kernel *kernel) {
    const lm_node *node = step->nodes[0];
    return pool_init(kernel, step, run_gather, node->src[0]->shape, node->shape)
               ? LM_OK
               : LM_NOMEM;
}

/* ---- scatter ----------------------------------------------------------------- */

/* Windows along one axis that hold input position p: [first, last]. */
static void windows_of(const pool_state *s, int axis, int64_t p, int64_t *first,
                       int64_t *last) {
    int64_t shifted = p + s->pool.pad_lo[axis], stride = s->pool.stride[axis];
    int64_t before = shifted - s->pool.window[axis] + 1;
    *first = before <= 0 ? 0 : (before + stride - 1) / stride;
    *last = shifted / stride;
    if (*last >= s->out[axis]) *last = s->out[axis] - 1;
}

/* Written from the input's side: each pixel collects from the windows that hold it. */
static void collect(const pool_state *s, const lm_rows *rows, const float *y,
                    const uint8_t *at, int64_t image, int64_t h, int64_t w, float *to) {
    int64_t h_first, h_last, w_first, w_last;
    windows_of(s, 0, h, &h_first, &h_last);
    windows_of(s, 1, w, &w_first, &w_last);
    memset(to, 0, (size_t)s->channels * sizeof *to);
    for (int64_t i = h_first; i <= h_last; i++) {
        for (int64_t k = w_first; k <= w_last; k++) {
            int64_t row = h + s->pool.pad_lo[0] - i * s->pool.stride[0];
            int64_t column = w + s->pool.pad_lo[1] - k * s->pool.stride[1];
            int64_t from = ((image * s->out[0] + i) * s->out[1] + k) * s->channels;
            rows->add_chosen(to, y + from, at + from,
                             (int)(row * s->pool.window[1] + column), s->channels);
        }
    }
}

static lm_status run_scatter(lm_kernel *kernel, const lm_kernel_args *args) {
    const pool_state *s = kernel->state;
    const lm_rows *rows = lm_cpu_rows();
    int64_t lines = s->batch * s->in[0];
    LM_TRY(check_positions(s, args->in[1], kernel->flops > LM_CPU_GRAIN));
#pragma omp parallel for schedule(static) if (kernel->flops > LM_CPU_GRAIN)
    for (int64_t line = 0; line < lines; line++)
        for (int64_t w = 0; w < s->in[1]; w++)
            collect(s, rows, args->in[0], args->in[1], line / s->in[0], line % s->in[0],
                    w, (float *)args->out[0] + (line * s->in[1] + w) * s->channels);
    return LM_OK;
}

lm_status lm_cpu_lower_pool_scatter(lm_backend *backend, const lm_step *step,
                                    lm_kernel *kernel) {
    const lm_node *node = step->nodes[0];
    return pool_init(kernel, step, run_scatter, node->shape, node->src[0]->shape)
               ? LM_OK
               : LM_NOMEM;
}
