/* Convolutions whose result has few channels: forward with stride 1, and the adjoint in x
 * with any. Vectors over so few channels would be nearly empty, so every pixel of the
 * source is multiplied with all taps at once, a matrix product with taps x channels
 * columns, and each element of the result is a sum of such products over the taps. oneDNN
 * 2.6 takes 5 to 10 times as long. */
#include "backend/cpu/conv.h"
#include "backend/cpu/rows.h"
#include "backend/cpu/wino_ops.h"
#include "base/threads.h"

#include <omp.h>
#include <string.h>

enum { MOST_CHANNELS = 4, MOST_TAPS = 64 };

typedef struct narrow_state {
    const lm_wino_ops *products;
    lm_dnnl_conv conv;
    int64_t source[2], target[2]; /* pixels of an image */
    int64_t depth;                /* channels of the source */
    int channels, slots;          /* of the result; slots: 4 for 3, to add vectors */
    int pitch, columns;           /* tap * pitch + channel, in whole vectors */
    int threads;
    int64_t rest, sums, turned, area, areas; /* of the workspace, in floats */
} narrow_state;

static int64_t count_rows(const narrow_state *s) {
    return lm_round_up(s->source[0] * s->source[1], s->products->rows);
}

static int panel_width(const narrow_state *s, int col) {
    return lm_panel_width(s->products->panel, s->columns - col);
}

/* ---- products ---------------------------------------------------------------- */

/* [panel][depth][column of the panel]; columns that are nothing's are zero. */
static void pack_weights(const narrow_state *s, const float *w, float *packed) {
    int taps = (int)(s->conv.kernel[0] * s->conv.kernel[1]);
    bool back = s->conv.pass == LM_DNNL_BACK_DATA;
    memset(packed, 0, (size_t)(s->columns * s->depth) * sizeof *packed);
    for (int start = 0, width; start < s->columns; start += width) {
        width = panel_width(s, start);
        float *panel = packed + start * s->depth;
        for (int col = start; col < start + width && col < taps * s->pitch; col++) {
            int tap = col / s->pitch, c = col % s->pitch;
            if (c >= s->channels) continue;
            const float *from =
                w + (back ? tap * s->channels + c : (c * taps + tap) * s->depth);
            int64_t step = back ? taps * s->channels : 1;
            for (int64_t d = 0; d < s->depth; d++)
                panel[d * width + col - start] = from[d * step];
        }
    }
}

/* All products of an image. The last rows go through a copy, since the product reads
 * whole groups of rows. */
static void multiply_image(const narrow_state *s, const float *image, const float *packed,
                           float *products, float *rest) {
    int64_t pixels = s->source[0] * s->source[1];
    int64_t whole = pixels - pixels % s->products->rows;
    memcpy(rest, image + whole * s->depth,
           (size_t)((pixels - whole) * s->depth) * sizeof *rest);
    for (int col = 0, width; col < s->columns; col += width) {
        width = panel_width(s, col);
        float *to = products + col * count_rows(s);
        const float *panel = packed + col * s->depth;
        s->products->multiply(to, width, image, s->depth, panel, (int)whole,
                              (int)s->depth, NULL);
        s->products->multiply(to + whole * width, width, rest, s->depth, panel,
                              (int)(pixels - whole), (int)s->depth, NULL);
    }
}

/* ---- sums -------------------------------------------------------------------- */

/* Along an axis, tap t of source position i belongs to the target's position
 * i * step + at; it lies inside for the positions first to end - 1. */
typedef struct tap_range {
    int64_t step, at, first, end;
} tap_range;

static tap_range find_range(const narrow_state *s, int axis, int tap) {
    const lm_dnnl_conv *c = &s->conv;
    int64_t reach = tap * c->dilation[axis] - c->pad_lo[axis], size = s->target[axis];
    tap_range r = {1, -reach, 0, 0};
    if (c->pass == LM_DNNL_BACK_DATA) r = (tap_range){c->stride[axis], reach, 0, 0};
    if (r.at < 0) r.first = (r.step - 1 - r.at) / r.step;
    if (r.at < size) r.end = (size - 1 - r.at) / r.step + 1;
    if (r.end > s->source[axis]) r.end = s->source[axis];
    return r;
}

/* Of all taps along a row. */
static void find_ranges(const narrow_state *s, tap_range ranges[MOST_TAPS]) {
    for (int tap = 0; tap < s->conv.kernel[1]; tap++) ranges[tap] = find_range(s, 1, tap);
}

typedef float four __attribute__((vector_size(16), aligned(4), may_alias));

/* One tap of one row of the source, products `width` floats apart; sums are `step` pixels
 * of the result apart. */
static void add_row(const narrow_state *s, const float *products, int width,
                    int64_t count, float *sums, int64_t step) {
    step *= s->slots;
    if (s->slots == 4)
        for (int64_t i = 0; i < count; i++)
            *(four *)(sums + i * step) += *(const four *)(products + i * width);
    else
        for (int64_t i = 0; i < count; i++)
            for (int c = 0; c < s->slots; c++)
                sums[i * step + c] += products[i * width + c];
}

static int count_taps(const narrow_state *s) {
    return (int)(s->conv.kernel[0] * s->conv.kernel[1]);
}

/* The products of a row of the source, of one channel, as rows of a tap each. */
static void turn_row(const narrow_state *s, const float *products, int64_t row,
                     float *turned) {
    int64_t pixels = s->source[1], taps = count_taps(s);
    for (int start = 0, width; start < taps; start += width) {
        width = panel_width(s, start);
        lm_cpu_rows()->transpose(turned + start * pixels, pixels,
                                 products + start * count_rows(s) + row * pixels * width,
                                 width, lm_least(width, taps - start), pixels);
    }
}

/* The same as add_taps, with vectors of pixels. */
static void add_turned_taps(const narrow_state *s, const float *products, float *sums,
                            float *turned) {
    int64_t taps_x = s->conv.kernel[1], pixels = s->source[1];
    tap_range x[MOST_TAPS];
    find_ranges(s, x);
    for (int64_t i = 0; i < s->source[0]; i++) {
        turn_row(s, products, i, turned);
        for (int tap = 0; tap < count_taps(s); tap++) {
            tap_range y = find_range(s, 0, (int)(tap / taps_x)), *r = &x[tap % taps_x];
            if (i < y.first || i >= y.end) continue;
            float *to = sums + (i * y.step + y.at) * s->target[1];
            for (int64_t k = r->first; k < r->end; k++)
                to[k * r->step + r->at] += turned[tap * pixels + k];
        }
    }
}

/* Row by row, since all taps of a row are in the nearest cache. */
static void add_taps(const narrow_state *s, const float *products, float *sums) {
    int taps_x = (int)s->conv.kernel[1], taps = count_taps(s), start = 0;
    tap_range x[MOST_TAPS];
    find_ranges(s, x);
    for (int64_t i = 0; i < s->source[0]; i++, start = 0)
        for (int tap = 0, width = panel_width(s, 0); tap < taps; tap++) {
            tap_range y = find_range(s, 0, tap / taps_x), *r = &x[tap % taps_x];
            while (start + width <= tap * s->pitch) {
                start += width;
                width = panel_width(s, start);
            }
            if (i < y.first || i >= y.end) continue;
            int64_t row = (i * y.step + y.at) * s->target[1], left = i * s->source[1];
            add_row(s,
                    products + start * count_rows(s) + tap * s->pitch - start +
                        (left + r->first) * width,
                    width, r->end - r->first,
                    sums + (row + r->first * r->step + r->at) * s->slots, r->step);
        }
}

static void start_sums(const narrow_state *s, const float *bias, float *sums) {
    for (int64_t i = 0; i < s->target[0] * s->target[1]; i++)
        for (int c = 0; c < s->slots; c++)
            sums[i * s->slots + c] = bias && c < s->channels ? bias[c] : 0;
}

static void put_sums(const narrow_state *s, const float *sums, float *to) {
    int64_t pixels = s->target[0] * s->target[1];
    if (s->slots == s->channels) {
        memcpy(to, sums, (size_t)(pixels * s->slots) * sizeof *to);
        return;
    }
    for (int64_t i = 0; i < pixels; i++, to += s->channels, sums += s->slots)
        for (int c = 0; c < s->channels; c++) to[c] = sums[c];
}

/* ---- running ----------------------------------------------------------------- */

static void run_image(const narrow_state *s, const float *image, const float *packed,
                      const float *bias, float *to, float *area) {
    float *rest = area + s->rest, *sums = area + s->sums;
    multiply_image(s, image, packed, area, rest);
    start_sums(s, bias, sums);
    if (s->channels == 1)
        add_turned_taps(s, area, sums, area + s->turned);
    else
        add_taps(s, area, sums);
    put_sums(s, sums, to);
}

static lm_status run_narrow(lm_kernel *kernel, const lm_kernel_args *args) {
    const narrow_state *s = kernel->state;
    const float *from = args->in[0], *bias = s->conv.bias ? args->in[2] : NULL;
    float *to = args->out[0], *packed = args->workspace;
    int64_t source = s->source[0] * s->source[1] * s->depth;
    int64_t target = s->target[0] * s->target[1] * s->channels;
    pack_weights(s, args->in[1], packed);
#pragma omp parallel for schedule(static) num_threads(s->threads)
    for (int64_t n = 0; n < s->conv.batch; n++)
        run_image(s, from + n * source, packed, bias, to + n * target,
                  packed + s->areas + omp_get_thread_num() * s->area);
    return LM_OK;
}

/* ---- making ------------------------------------------------------------------ */

static int64_t result_channels(const lm_dnnl_conv *c) {
    return c->pass == LM_DNNL_BACK_DATA ? c->in_channels : c->out_channels;
}

static bool fits(const lm_dnnl_conv *c) {
    if (c->pass == LM_DNNL_BACK_WEIGHTS || c->groups > 1) return false;
    if (c->pass == LM_DNNL_FORWARD && (c->stride[0] > 1 || c->stride[1] > 1))
        return false;
    return result_channels(c) <= MOST_CHANNELS &&
           c->kernel[0] * c->kernel[1] <= MOST_TAPS;
}

/* From so many channels on, the products are worth it. */
static bool leads(const lm_dnnl_conv *c) {
    return (c->pass == LM_DNNL_BACK_DATA ? c->out_channels : c->in_channels) >= 16;
}

static void describe(narrow_state *s, const lm_dnnl_conv *conv) {
    bool back = conv->pass == LM_DNNL_BACK_DATA;
    s->products = LM_ISA_PICK(lm_wino_ops);
    s->conv = *conv;
    s->threads = lm_threads();
    s->depth = back ? conv->out_channels : conv->in_channels;
    s->channels = (int)result_channels(conv);
    s->slots = s->channels == 3 ? 4 : s->channels;
    for (int i = 0; i < 2; i++) {
        s->source[i] = back ? conv->out[i] : conv->in[i];
        s->target[i] = back ? conv->in[i] : conv->out[i];
    }
    /* Taps lie side by side where none is cut by the end of a panel. */
    int lanes = s->products->lanes, taps = (int)(conv->kernel[0] * conv->kernel[1]);
    s->pitch = s->channels;
    s->columns = (int)lm_round_up(taps * s->pitch, lanes);
    if (panel_width(s, 0) < s->columns) {
        s->pitch = s->slots;
        s->columns = (int)lm_round_up(taps * s->pitch, lanes);
    }
    s->rest = lm_round_up(count_rows(s) * s->columns, lanes);
    s->sums = lm_round_up(s->rest + s->products->rows * s->depth, lanes);
    s->turned = lm_round_up(s->sums + s->target[0] * s->target[1] * s->slots, lanes);
    s->area = lm_round_up(s->turned + taps * s->source[1], 16);
    s->areas = lm_round_up(s->columns * s->depth, 16);
}

static lm_status lower(lm_backend *backend, const lm_step *step, const lm_dnnl_conv *conv,
                       lm_kernel *kernel) {
    narrow_state *s =
        lm_cpu_kernel_init(kernel, step, "narrow convolution", run_narrow, sizeof *s);
    if (!s) return LM_NOMEM;
    describe(s, conv);
    kernel->workspace = (size_t)(s->areas + s->threads * s->area) * sizeof(float);
    kernel->flops = lm_conv_flops(conv);
    return LM_OK;
}

const lm_conv_candidate lm_conv_narrow = {
    .name = "narrow", .fits = fits, .leads = leads, .lower = lower};
