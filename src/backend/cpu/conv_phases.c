/* Stride-2 convolutions by sub-pixel phases and Winograd's F(4x4, 2x2); phase_ops.h has
 * the arithmetic. With lo the padding before the first pixel and a tap t = 2 j + p,
 *
 *   forward  y[o]        = sum over p, j of x[2 (o + j) + p - lo] w[2 j + p]
 *   dgrad    x[2 u + r]  = sum over j    of y[u + e - j] w[2 j + p]
 *                          for p = (r + lo) mod 2 and e = (r + lo - p) / 2,
 *
 * so the forward pass sums over the channels of all four phases in one product, and dgrad
 * is four products whose results interleave. The weights' gradient transforms x as the
 * forward pass does and y by the adjoint. Results do not depend on the number of threads.
 *
 * For dgrad all phases share one transform of y (subpixel_ops.h). Where an axis is no
 * multiple of four outputs, some of its tiles are narrow and have three: F(4, 2)'s
 * product at infinity goes to a tile's last output alone (is made of its last gradient
 * alone), so that they do without; subpixel_ops.h has narrow tiles of its own. 14 outputs
 * as 4 + 4 + 3 + 3 take 18 products a phase, not 20. Here: the geometry, tiles, windows,
 * and the choice of passes. */
#include "backend/cpu/conv_phases.h"

#include "base/threads.h"

#include <string.h>

/* ---- tiles ------------------------------------------------------------------- */

lm_phase_place lm_phase_find(const lm_phases *s, int64_t tile) {
    int64_t each = s->grid[0] * s->grid[1];
    int64_t number[] = {tile % each / s->grid[1], tile % s->grid[1]};
    lm_phase_place p = {.sample = tile / each};
    for (int i = 0; i < 2; i++) {
        p.narrow[i] = number[i] >= s->whole[i];
        p.at[i] = LM_PHASE_OUT * number[i];
        if (p.narrow[i]) p.at[i] -= number[i] - s->whole[i];
    }
    return p;
}

void lm_phase_sort(const lm_phases *s, int64_t first, int64_t count,
                   lm_phase_chunk *chunk) {
    static const bool low[] = {true, false, false, true};
    static const bool slim[] = {false, false, true, true};
    int64_t n = 0;
    for (int k = 0; k < 4; k++) {
        chunk->start[k] = n;
        for (int64_t t = first; t < first + count; t++) {
            lm_phase_place p = lm_phase_find(s, t);
            if (p.narrow[0] == low[k] && p.narrow[1] == slim[k]) chunk->tile[n++] = t;
        }
    }
    chunk->start[4] = n;
}

/* Narrow tiles lack infinity, the last point; for dx -2, where a part begins with point
 * number `offset`. */
static int lacked_point(const lm_phases *s, int part, int axis) {
    return s->back ? LM_SUBPIXEL_MINUS_TWO - s->offset[part][axis] : LM_PHASE_IN - 1;
}

lm_phase_range lm_phase_need(const lm_phases *s, const lm_phase_chunk *chunk, int part,
                             int product) {
    const int64_t *start = chunk->start;
    bool tall = product / LM_PHASE_IN == lacked_point(s, part, 0);
    bool wide = product % LM_PHASE_IN == lacked_point(s, part, 1);
    return (lm_phase_range){start[tall], start[wide ? 2 : tall ? 3 : 4]};
}

int lm_phase_factor(const lm_phases *s, int part, int product) {
    if (!s->back) return product;
    const int *offset = s->offset[part];
    return (product / LM_PHASE_IN + offset[0]) * LM_WINO_IN + product % LM_PHASE_IN +
           offset[1];
}

int lm_phase_factors(const lm_phases *s) {
    return s->back ? LM_WINO_PLANES : LM_PHASE_PLANES;
}

/* ---- windows ----------------------------------------------------------------- */

/* Pixels of a window, `spacing` apart, and of each `count` channels from `first`. Those
 * from `end` on count as zeros. */
typedef struct window {
    const lm_phase_source *from;
    int64_t top, left, end[2], first, count;
    int edge, spacing;
} window;

/* One row of a window; zeros where there are no pixels or channels. */
static void fill_row(const window *w, const float *row, float *to) {
    const lm_phase_source *from = w->from;
    size_t real = (size_t)lm_least(w->count, from->channels - w->first);
    size_t pixel = (size_t)w->count;
    for (int i = 0; i < w->edge; i++, to += pixel) {
        int64_t x = w->left + (int64_t)i * w->spacing;
        size_t there = x < 0 || x >= w->end[1] ? 0 : real;
        memcpy(to, row + x * from->channels + w->first, there * sizeof *to);
        memset(to + there, 0, (pixel - there) * sizeof *to);
    }
}

static void fill_window(const window *w, const float *image, int64_t sample, float *to) {
    const int64_t *size = w->from->size, line = size[1] * w->from->channels;
    size_t row = (size_t)(w->edge * w->count);
    for (int i = 0; i < w->edge; i++, to += row) {
        int64_t y = w->top + (int64_t)i * w->spacing;
        if (y < 0 || y >= w->end[0])
            memset(to, 0, row * sizeof *to);
        else
            fill_row(w, image + (sample * size[0] + y) * line, to);
    }
}

static window find_window(const lm_phases *s, const lm_phase_source *from, int64_t tile,
                          int64_t first, int64_t count, int64_t *sample) {
    lm_phase_place p = lm_phase_find(s, tile);
    *sample = p.sample;
    return (window){.from = from,
                    .top = p.at[0] * from->scale + from->origin[0],
                    .left = p.at[1] * from->scale + from->origin[1],
                    .end = {from->size[0], from->size[1]},
                    .first = first,
                    .count = count,
                    .edge = from->edge,
                    .spacing = 1};
}

/* All phases by way of one window, a phase by one of its own pixels. */
void lm_phase_transform(const lm_phases *s, const float *image, int64_t tile,
                        const lm_phase_cut *cut, float *planes, int64_t plane,
                        float *scratch) {
    int64_t sample, count = cut->count;
    window w = find_window(s, &s->in, tile, cut->first, count, &sample);
    if (cut->phases == 1) {
        w.top += s->offset[cut->from][0];
        w.left += s->offset[cut->from][1];
        w.edge = LM_PHASE_IN;
        w.spacing = 2;
        fill_window(&w, image, sample, scratch);
        s->ops->input(planes, plane, scratch, w.edge * count, count, (int)count);
        return;
    }
    ptrdiff_t row = s->in.edge * count;
    fill_window(&w, image, sample, scratch);
    if (s->back) {
        lm_phase_place p = lm_phase_find(s, tile);
        s->back->input(planes, plane, scratch, row, count, (int)count, p.narrow);
        return;
    }
    for (int phase = 0; phase < LM_PHASES; phase++)
        s->ops->input(planes + phase * count, plane,
                      scratch + s->offset[phase][0] * row + s->offset[phase][1] * count,
                      2 * row, 2 * count, (int)count);
}

void lm_phase_transform_gradient(const lm_phases *s, const float *image, int64_t tile,
                                 int64_t first, int64_t count, float *planes,
                                 int64_t plane, float *scratch) {
    int64_t sample;
    window w = find_window(s, &s->gradient, tile, first, count, &sample);
    lm_phase_place p = lm_phase_find(s, tile);
    for (int i = 0; i < 2; i++)
        w.end[i] = lm_least(w.end[i], p.at[i] + LM_PHASE_OUT - p.narrow[i]);
    fill_window(&w, image, sample, scratch);
    s->ops->gradient(planes, plane, scratch, w.edge * count, count, (int)count);
}

/* ---- weights ----------------------------------------------------------------- */

/* The kernel's row or column behind tap j of a phase; the kernel's size or more: none. */
static int64_t tap_of(const lm_phases *s, int axis, int phase, int j) {
    if (s->conv.pass != LM_DNNL_BACK_DATA) return 2 * j + phase;
    return 2 * (1 - j) + (phase + s->conv.pad_lo[axis]) % 2;
}

bool lm_phase_find_tap(const lm_phases *s, int phase, int tap, int64_t *offset) {
    int64_t y = tap_of(s, 0, phase / 2, tap / 2), x = tap_of(s, 1, phase % 2, tap % 2);
    *offset = (y * s->conv.kernel[1] + x) * s->conv.in_channels;
    return y < s->conv.kernel[0] && x < s->conv.kernel[1];
}

int lm_phase_panel(const lm_phases *s, int64_t col) {
    return lm_panel_width(s->products->panel, s->columns - col);
}

int64_t lm_phase_nth_panel(const lm_phases *s, int64_t n) {
    int64_t col = lm_least(n, s->columns / s->products->panel);
    n -= col;
    col *= s->products->panel;
    for (; n > 0; n--) col += lm_phase_panel(s, col);
    return col;
}

int64_t lm_phase_panels(const lm_phases *s) {
    int64_t count = s->columns / s->products->panel;
    for (int64_t col = count * s->products->panel; col < s->columns; count++)
        col += lm_phase_panel(s, col);
    return count;
}

/* ---- making ------------------------------------------------------------------ */

static bool fits(const lm_dnnl_conv *c) {
    for (int i = 0; i < 2; i++)
        if (c->stride[i] != 2 || c->dilation[i] != 1 || c->kernel[i] > 4) return false;
    return c->groups == 1;
}

/* As few tiles as cover `size` outputs, and as many of them narrow as can be. */
static void cut_axis(lm_phases *s, int axis, int64_t size) {
    int64_t tiles = (size + LM_PHASE_OUT - 1) / LM_PHASE_OUT;
    s->grid[axis] = tiles;
    s->whole[axis] = tiles - lm_least(tiles, LM_PHASE_OUT * tiles - size);
}

/* What is transformed as input: x, or for its adjoint y. */
static void describe_sources(lm_phases *s) {
    const lm_dnnl_conv *c = &s->conv;
    bool back = c->pass == LM_DNNL_BACK_DATA;
    int lanes = s->products->lanes;
    s->in = (lm_phase_source){.channels = back ? c->out_channels : c->in_channels,
                              .scale = back ? 1 : 2,
                              .edge = back ? LM_WINO_IN : 2 * LM_PHASE_IN};
    s->gradient = (lm_phase_source){.channels = c->out_channels,
                                    .width = lm_round_up(c->out_channels, lanes),
                                    .scale = 1,
                                    .edge = LM_PHASE_OUT};
    s->in.width = lm_round_up(s->in.channels, lanes);
    for (int i = 0; i < 2; i++) {
        int odd = (int)(c->pad_lo[i] % 2);
        s->in.size[i] = back ? c->out[i] : c->in[i];
        s->in.origin[i] = back ? c->pad_lo[i] / 2 - 1 : -c->pad_lo[i];
        s->gradient.size[i] = c->out[i];
        for (int phase = 0; phase < LM_PHASES; phase++) {
            int second = i ? phase % 2 : phase / 2;
            s->offset[phase][i] = back ? second * odd : second;
        }
        cut_axis(s, i, back ? (c->in[i] + 1) / 2 : c->out[i]);
    }
    s->tiles = c->batch * s->grid[0] * s->grid[1];
}

/* depth and columns of the weights' matrices; of their gradient's sums, filters in whole
 * groups of rows and the channels of all phases. */
static void describe_products(lm_phases *s) {
    const lm_dnnl_conv *c = &s->conv;
    int lanes = s->products->lanes;
    s->parts = 1;
    s->depth = LM_PHASES * s->in.width;
    s->columns = lm_round_up(c->out_channels, lanes);
    if (c->pass == LM_DNNL_BACK_DATA) {
        s->parts = LM_PHASES;
        s->depth = s->in.width;
        s->columns = lm_round_up(c->in_channels, lanes);
    } else if (c->pass == LM_DNNL_BACK_WEIGHTS) {
        s->depth = lm_round_up(c->out_channels, s->products->rows);
        s->columns = LM_PHASES * s->in.width;
    }
}

static lm_status lower(lm_backend *backend, const lm_step *step, const lm_dnnl_conv *conv,
                       lm_kernel *kernel) {
    bool gradient = conv->pass == LM_DNNL_BACK_WEIGHTS;
    lm_phases *s = lm_cpu_kernel_init(
        kernel, step, "winograd phases",
        gradient ? lm_conv_phases_gradient : lm_conv_phases_run, sizeof *s);
    if (!s) return LM_NOMEM;
    s->ops = LM_ISA_PICK(lm_phase_ops);
    s->products = LM_ISA_PICK(lm_wino_ops);
    if (conv->pass == LM_DNNL_BACK_DATA) s->back = LM_ISA_PICK(lm_subpixel_ops);
    s->conv = *conv;
    s->threads = lm_threads();
    describe_sources(s);
    describe_products(s);
    (gradient ? lm_phase_plan_gradient : lm_phase_plan_forward)(s);
    kernel->workspace = (size_t)(s->at.packed + s->threads * s->at.area) * sizeof(float);
    kernel->flops = lm_conv_flops(conv);
    return LM_OK;
}

/* Smaller kernels waste taps; few channels waste lanes and leave the transforms more work
 * than the products. */
/* With 3x3 taps, nearly half of a phase's are zeros; only the weights' gradient of many
 * channels gains by it. */
static bool leads(const lm_dnnl_conv *c) {
    int64_t channels = lm_least(c->in_channels, c->out_channels);
    if (c->kernel[0] == 3 && c->kernel[1] == 3)
        return c->pass == LM_DNNL_BACK_WEIGHTS && channels >= 128;
    return c->kernel[0] == 4 && c->kernel[1] == 4 && channels >= 32;
}

const lm_conv_candidate lm_conv_phases = {
    .name = "phases", .winograd = true, .fits = fits, .leads = leads, .lower = lower};
