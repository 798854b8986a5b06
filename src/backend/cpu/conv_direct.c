/* Forward convolutions as products whose columns are never stored: in an image whose rows
 * are padded with zeros, the taps of one row of the kernel and all channels are one piece
 * of memory for each pixel of the result, `stride` pixels from one to the next. So a row
 * of the result is a sum of as many matrix products as the kernel has rows, each with its
 * left factor in place. Padded rows wait in a ring that stays in the first cache, and
 * what comes into it next is fetched during the products. */
#include "backend/cpu/conv.h"
#include "backend/cpu/gemm_panels.h"
#include "backend/cpu/shares.h"
#include "base/threads.h"

#include <string.h>

enum {
    BANDS_EACH = 4, /* at least so many for a thread */
    MOST_LANES = 16,
    LEAST_CHANNELS = 16,
    MOST_CHANNELS = 64,
    LEAST_INPUTS = 1 << 20 /* floats */
};

typedef struct direct_state {
    lm_dnnl_conv conv;
    lm_gemm_panels weights;
    int64_t width, term; /* floats of a padded row, of a kernel's row */
    int64_t held;        /* rows of the ring */
    int64_t bands, band; /* of an image: parts of the result, rows of each */
    int threads;
    int64_t rings, ring; /* of the workspace, in floats; of one thread */
} direct_state;

typedef struct direct_run {
    const direct_state *s;
    const float *x, *packed, *bias; /* bias or NULL */
    float *y;
    float *ring; /* of this thread */
} direct_run;

static float *ring_row(const direct_run *r, int64_t row) {
    return r->ring + row % r->s->held * r->s->width;
}

/* A row of the padded image, which begins pad_lo rows and pixels before the image. */
static void load_row(const direct_run *r, int64_t sample, int64_t row) {
    const lm_dnnl_conv *c = &r->s->conv;
    int64_t from = row - c->pad_lo[0], channels = c->in_channels;
    int64_t lead = lm_least(c->pad_lo[1] * channels, r->s->width);
    int64_t real = lm_least(c->in[1] * channels, r->s->width - lead);
    float *to = ring_row(r, row);
    if (from < 0 || from >= c->in[0]) lead = r->s->width, real = 0;
    memset(to, 0, (size_t)lead * sizeof *to);
    if (real > 0)
        memcpy(to + lead, r->x + (sample * c->in[0] + from) * c->in[1] * channels,
               (size_t)real * sizeof *to);
    memset(to + lead + real, 0, (size_t)(r->s->width - lead - real) * sizeof *to);
}

/* One row of the result, whose first row of inputs is `top`. */
static void multiply_row(const direct_run *r, int64_t top, float *y,
                         lm_wino_ahead *ahead) {
    const direct_state *s = r->s;
    const lm_dnnl_conv *c = &s->conv;
    lm_gemm_product p = {.row = c->stride[1] * c->in_channels,
                         .term = 1,
                         .ldc = c->out_channels,
                         .rows = (int)c->out[1],
                         .depth = (int)s->term};
    for (int64_t col = 0; col < s->weights.columns; col += p.width) {
        p.width = lm_gemm_panel_width(&s->weights, col);
        p.b = r->packed + col * s->weights.depth;
        p.start = r->bias ? r->bias + col : NULL;
        p.ldstart = 0;
        p.c = y + col;
        for (int64_t tap = 0; tap < c->kernel[0]; tap++) {
            p.a = ring_row(r, top + tap);
            s->weights.ops->multiply(&p, ahead);
            p.b += s->term * p.width;
            p.start = p.c;
            p.ldstart = p.ldc;
        }
    }
}

/* The inputs of the next row of results, or of the next image's first. */
static lm_wino_ahead look_ahead(const direct_run *r, int64_t sample, int64_t row) {
    const lm_dnnl_conv *c = &r->s->conv;
    const direct_state *s = r->s;
    int64_t line = c->in[1] * c->in_channels;
    int64_t first = sample * c->in[0] + row - c->pad_lo[0];
    int64_t rows = lm_least(c->stride[0], c->batch * c->in[0] - first);
    int64_t tiles = (s->weights.columns - 1) / s->weights.ops->panel + 1;
    lm_wino_ahead ahead = {0};
    if (first < 0 || rows <= 0) return ahead;
    tiles *= c->kernel[0] * ((c->out[1] - 1) / s->weights.ops->rows + 1);
    lm_look_ahead(&ahead, 0, r->x + first * line, rows * line * (int64_t)sizeof(float),
                  tiles);
    return ahead;
}

static void run_band(const direct_run *r, int64_t number) {
    const direct_state *s = r->s;
    const lm_dnnl_conv *c = &s->conv;
    int64_t sample = number / s->bands, first = number % s->bands * s->band;
    int64_t end = lm_least(first + s->band, c->out[0]), next = 0;
    for (int64_t row = first; row < end; row++) {
        int64_t top = row * c->stride[0];
        if (next < top || row == first) next = top;
        for (; next < top + c->kernel[0]; next++) load_row(r, sample, next);
        lm_wino_ahead ahead = look_ahead(r, sample, next);
        multiply_row(r, top,
                     r->y + (sample * c->out[0] + row) * c->out[1] * c->out_channels,
                     &ahead);
    }
}

static lm_status run_direct(lm_kernel *kernel, const lm_kernel_args *args) {
    direct_state *s = kernel->state;
    float *workspace = args->workspace;
    direct_run run = {.s = s,
                      .x = args->in[0],
                      .bias = s->conv.bias ? args->in[2] : NULL,
                      .y = args->out[0]};
    run.packed = lm_gemm_panels_find(&s->weights, args->in[1], args->version[1],
                                     workspace, s->threads);
    lm_shares bands;
    lm_shares_init(&bands, s->conv.batch * s->bands, s->threads);
#pragma omp parallel num_threads(s->threads)
    {
        direct_run own = run;
        own.ring = workspace + s->rings + omp_get_thread_num() * s->ring;
        LM_SHARES_EACH (&bands, i) run_band(&own, i);
    }
    return LM_OK;
}

/* ---- making ------------------------------------------------------------------ */

static void release_direct(lm_kernel *kernel) {
    direct_state *s = kernel->state;
    lm_gemm_panels_release(&s->weights);
    lm_cpu_kernel_release(kernel);
}

/* Whole vectors of results, on every machine. */
static bool fits(const lm_dnnl_conv *c) {
    return c->pass == LM_DNNL_FORWARD && c->groups == 1 && c->dilation[0] == 1 &&
           c->dilation[1] == 1 && c->out_channels % MOST_LANES == 0;
}

/* What comes from memory is fetched in time here; oneDNN waits for it, which shows where
 * there are few products for each input. */
static bool leads(const lm_dnnl_conv *c) {
    int64_t inputs = c->batch * c->in[0] * c->in[1] * c->in_channels;
    return (c->stride[0] > 1 || c->stride[1] > 1) && c->kernel[0] * c->kernel[1] <= 9 &&
           c->in_channels >= LEAST_CHANNELS && c->in_channels <= MOST_CHANNELS &&
           inputs >= LEAST_INPUTS;
}

static void plan(direct_state *s) {
    const lm_dnnl_conv *c = &s->conv;
    int64_t wanted = BANDS_EACH * s->threads, bands = (wanted - 1) / c->batch + 1;
    s->term = c->kernel[1] * c->in_channels;
    s->width = ((c->out[1] - 1) * c->stride[1] + c->kernel[1]) * c->in_channels;
    s->held = c->kernel[0];
    s->band = (c->out[0] - 1) / bands + 1;
    s->bands = (c->out[0] - 1) / s->band + 1;
    s->rings = lm_round_up(s->weights.columns * s->weights.depth, MOST_LANES);
    s->ring = lm_round_up(s->held * s->width, MOST_LANES);
}

static lm_status lower(lm_backend *backend, const lm_step *step, const lm_dnnl_conv *conv,
                       lm_kernel *kernel) {
    direct_state *s =
        lm_cpu_kernel_init(kernel, step, "direct convolution", run_direct, sizeof *s);
    if (!s) return LM_NOMEM;
    int64_t depth = conv->kernel[0] * conv->kernel[1] * conv->in_channels;
    kernel->release = release_direct;
    s->conv = *conv;
    s->threads = lm_threads();
    s->weights = (lm_gemm_panels){.ops = LM_ISA_PICK(lm_gemm_ops),
                                  .depth = depth,
                                  .n = conv->out_channels,
                                  .columns = conv->out_channels,
                                  .b_term = 1,
                                  .b_column = depth};
    plan(s);
    kernel->workspace = (size_t)(s->rings + s->threads * s->ring) * sizeof(float);
    kernel->flops = lm_conv_flops(conv);
    return LM_OK;
}

const lm_conv_candidate lm_conv_direct = {
    .name = "direct", .fits = fits, .leads = leads, .lower = lower};
