/* Stride-2 convolutions by sub-pixel phases and Winograd's F(4x4, 2x2); phase_ops.h has
 * the arithmetic. With lo the padding before the first pixel and a tap t = 2 j + p,
 *
 *   forward  y[o]        = sum over p, j of x[2 (o + j) + p - lo] w[2 j + p]
 *   dgrad    x[2 u + r]  = sum over j    of y[u + e - j] w[2 j + p]
 *                          for p = (r + lo) mod 2 and e = (r + lo - p) / 2,
 *
 * so the forward pass sums over the channels of all four phases in one product, and dgrad
 * is four products whose results interleave. The weights' gradient transforms x as the
 * forward pass does and y by the adjoint. Tiles are worked through in chunks, one a
 * thread; of the gradient all threads transform a chunk and share its products. Results
 * do not depend on the number of threads. */
#include "backend/cpu/conv.h"
#include "backend/cpu/phase_ops.h"
#include "backend/cpu/wino_ops.h"
#include "base/threads.h"

#include <omp.h>
#include <string.h>

enum {
    PHASES = 4,
    CHUNK_BYTES = 8 << 20, /* of transformed inputs, about; at least and at most tiles: */
    LEAST_TILES = 48,
    MOST_TILES = 384,
    BLOCK = 48, /* tiles of one product; a multiple of the register tile's rows */
    SKEW = 16,  /* planes a power of two apart would share few cache sets */
    MOST_LANES = 16
};

/* What is cut into windows, one a tile: `edge` pixels wide, from `origin`, `step` apart;
 * `width` is its channels in whole vectors. */
typedef struct source {
    int64_t size[2], channels, width, origin[2], step;
    int edge;
} source;

typedef struct phases_state {
    const lm_phase_ops *ops;
    const lm_wino_ops *products;
    lm_dnnl_conv conv;
    source in, gradient; /* gradient: dy, for the weights' */
    int spacing;         /* of a phase's pixels in a window of `in` */
    int offset[2][2];    /* of each phase, in pixels of the window */
    int64_t grid[2], tiles, chunk;
    int64_t parts, depth, columns; /* products a plane; rows and columns of its weights */
    int threads;
    struct {
        int64_t packed, planes, gradients, areas, area, total;
    } at; /* parts of the workspace, in floats; area: of each thread */
} phases_state;

static int64_t min64(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t round_up(int64_t n, int64_t step) {
    return (n + step - 1) / step * step;
}

/* ---- windows ----------------------------------------------------------------- */

typedef struct place {
    int64_t sample, tile[2];
} place;

static place find_tile(const phases_state *s, int64_t number) {
    int64_t each = s->grid[0] * s->grid[1];
    place p = {number / each, {number % each / s->grid[1], number % s->grid[1]}};
    return p;
}

/* One row of a window; zeros outside the image. */
static void fill_row(const source *from, const float *row, int64_t left, float *to) {
    int64_t first = left < 0 ? min64(-left, from->edge) : 0;
    int64_t last = min64(from->size[1] - left, from->edge);
    if (last < first) last = first;
    memset(to, 0, (size_t)(first * from->width) * sizeof *to);
    if (from->channels == from->width)
        memcpy(to + first * from->width, row + (left + first) * from->channels,
               (size_t)((last - first) * from->width) * sizeof *to);
    else
        for (int64_t i = first; i < last; i++) {
            float *pixel = to + i * from->width;
            memcpy(pixel, row + (left + i) * from->channels,
                   (size_t)from->channels * sizeof *to);
            for (int64_t c = from->channels; c < from->width; c++) pixel[c] = 0;
        }
    memset(to + last * from->width, 0,
           (size_t)((from->edge - last) * from->width) * sizeof *to);
}

static void fill_window(const source *from, const float *image, const place *p,
                        float *window) {
    int64_t top = p->tile[0] * from->step + from->origin[0];
    int64_t left = p->tile[1] * from->step + from->origin[1];
    size_t row = (size_t)(from->edge * from->width);
    for (int64_t y = top; y < top + from->edge; y++, window += row)
        if (y < 0 || y >= from->size[0])
            memset(window, 0, row * sizeof *window);
        else
            fill_row(from,
                     image +
                         (p->sample * from->size[0] + y) * from->size[1] * from->channels,
                     left, window);
}

/* Floats from one plane to the next; products read whole groups of rows. */
static int64_t input_plane(const phases_state *s) {
    return (s->chunk + s->products->rows) * PHASES * s->in.width + SKEW;
}

static int64_t gradient_plane(const phases_state *s) {
    return (s->chunk + s->products->rows) * s->gradient.width + SKEW;
}

/* The four phases of a tile's window, side by side in each plane. */
static void transform_input(const phases_state *s, const float *image, int64_t tile,
                            float *planes, float *window) {
    place p = find_tile(s, tile);
    ptrdiff_t pixel = s->in.width, row = s->in.edge * pixel;
    fill_window(&s->in, image, &p, window);
    for (int phase = 0; phase < PHASES; phase++)
        s->ops->input(planes + phase * s->in.width, input_plane(s),
                      window + s->offset[0][phase / 2] * row +
                          s->offset[1][phase % 2] * pixel,
                      s->spacing * row, s->spacing * pixel, (int)s->in.width);
}

static void transform_gradient(const phases_state *s, const float *image, int64_t tile,
                               float *planes, float *window) {
    place p = find_tile(s, tile);
    ptrdiff_t pixel = s->gradient.width, row = s->gradient.edge * pixel;
    fill_window(&s->gradient, image, &p, window);
    s->ops->gradient(planes, gradient_plane(s), window, row, pixel, (int)pixel);
}

/* ---- weights ----------------------------------------------------------------- */

static int panel_width(const phases_state *s, int64_t col) {
    return lm_panel_width(s->products->panel, s->columns - col);
}

static bool starts_panel(const phases_state *s, int64_t col) {
    int64_t start = col - col % s->products->panel;
    while (start < col) start += panel_width(s, start);
    return start == col;
}

/* The kernel's row or column behind tap j of a phase; the kernel's size or more: none. */
static int64_t tap_of(const phases_state *s, int axis, int phase, int j) {
    if (s->conv.pass != LM_DNNL_BACK_DATA) return 2 * j + phase;
    return 2 * (1 - j) + (phase + s->conv.pad_lo[axis]) % 2;
}

static bool find_tap(const phases_state *s, int phase, int tap, int64_t *offset) {
    int64_t y = tap_of(s, 0, phase / 2, tap / 2), x = tap_of(s, 1, phase % 2, tap % 2);
    *offset = (y * s->conv.kernel[1] + x) * s->conv.in_channels;
    return y < s->conv.kernel[0] && x < s->conv.kernel[1];
}

/* One tap of a vector of columns and `count` rows of the product, whose rows are `pitch`
 * apart in `to`. Runs along whichever of them is contiguous in memory. */
static void gather_tap(const phases_state *s, const float *from, int64_t row, int count,
                       int64_t col, float *to, int pitch) {
    bool back = s->conv.pass == LM_DNNL_BACK_DATA;
    int64_t filter = s->conv.kernel[0] * s->conv.kernel[1] * s->conv.in_channels;
    int64_t rows = back ? s->conv.out_channels : s->conv.in_channels;
    int64_t cols = back ? s->conv.in_channels : s->conv.out_channels;
    int high = (int)min64(count, rows - row);
    int wide = (int)min64(s->products->lanes, cols - col);
    if (back)
        for (int r = 0; r < high; r++)
            memcpy(to + r * pitch, from + (row + r) * filter + col,
                   (size_t)(wide > 0 ? wide : 0) * sizeof *to);
    else
        for (int l = 0; l < wide; l++)
            for (int r = 0; r < high; r++)
                to[r * pitch + l] = from[(col + l) * filter + row + r];
}

enum { GATHERED = 16 }; /* rows at once: a cache line of channels */

/* Transformed weights lie as [part][panel][plane][row][column of the panel]. */
static float *packed_panel(const phases_state *s, float *packed, int64_t part,
                           int64_t col) {
    return packed + LM_PHASE_PLANES * s->depth * (part * s->columns + col);
}

/* Rows of one panel, of one phase. */
static void pack_panel(const phases_state *s, const float *w, int phase, int64_t col,
                       float *packed) {
    int width = panel_width(s, col), lanes = s->products->lanes;
    int64_t part = s->parts > 1 ? phase : 0, first = s->parts > 1 ? 0 : phase, offset;
    float *to = packed_panel(s, packed, part, col) + first * s->in.width * width;
    for (int64_t row = 0; row < s->in.width; row += GATHERED)
        for (int l = 0; l < width; l += lanes) {
            float taps[GATHERED * LM_PHASE_TAPS * MOST_LANES] = {0};
            int count = (int)min64(GATHERED, s->in.width - row);
            for (int tap = 0; tap < LM_PHASE_TAPS; tap++)
                if (find_tap(s, phase, tap, &offset))
                    gather_tap(s, w + offset, row, count, col + l, taps + tap * lanes,
                               LM_PHASE_TAPS * lanes);
            for (int r = 0; r < count; r++)
                s->ops->filter(to + (row + r) * width + l, s->depth * width,
                               taps + r * LM_PHASE_TAPS * lanes, lanes);
        }
}

/* By all threads of the region. */
static void pack_weights(const phases_state *s, const float *w, float *packed) {
    int lanes = s->products->lanes;
#pragma omp for schedule(dynamic) collapse(2)
    for (int phase = 0; phase < PHASES; phase++)
        for (int64_t vector = 0; vector < s->columns / lanes; vector++) {
            int64_t col = vector * lanes;
            if (starts_panel(s, col)) pack_panel(s, w, phase, col, packed);
        }
}

/* ---- forward and the adjoint in x -------------------------------------------- */

typedef struct run {
    const phases_state *s;
    const float *from, *bias; /* bias or NULL */
    float *to;
    float *packed, *planes, *area; /* of the workspace; area: of this thread */
    int64_t first, tiles;          /* of the chunk */
} run;

/* A 4x4 tile of results into the image: phase `part` of it for the adjoint. */
static void put_tile(const run *r, int64_t number, int part, int64_t col, int width,
                     const float *tile) {
    const phases_state *s = r->s;
    bool back = s->conv.pass == LM_DNNL_BACK_DATA;
    const int64_t *size = back ? s->conv.in : s->conv.out;
    int64_t channels = back ? s->conv.in_channels : s->conv.out_channels;
    int64_t step = back ? 2 : 1, count = min64(width, channels - col);
    place p = find_tile(s, number);
    for (int i = 0; i < LM_PHASE_OUT; i++) {
        int64_t y = (p.tile[0] * LM_PHASE_OUT + i) * step + part / 2;
        for (int j = 0; j < LM_PHASE_OUT && y < size[0]; j++, tile += width) {
            int64_t x = (p.tile[1] * LM_PHASE_OUT + j) * step + part % 2;
            if (x >= size[1]) continue;
            float *to = r->to + ((p.sample * size[0] + y) * size[1] + x) * channels + col;
            if (r->bias)
                for (int64_t c = 0; c < count; c++) to[c] = tile[c] + r->bias[col + c];
            else
                memcpy(to, tile, (size_t)count * sizeof *to);
        }
    }
}

/* A block of tiles of the chunk times one panel of weights, and back to pixels. */
static void put_block(const run *r, int part, int64_t col, int64_t first) {
    const phases_state *s = r->s;
    int width = panel_width(s, col), rows = (int)min64(BLOCK, r->tiles - first);
    int64_t line = PHASES * s->in.width, plane = BLOCK * width + SKEW;
    const float *packed = packed_panel(s, r->packed, part, col);
    const float *from = r->planes + first * line + part * s->in.width;
    float *tile = r->area + LM_PHASE_PLANES * plane;
    for (int p = 0; p < LM_PHASE_PLANES; p++)
        s->products->multiply(r->area + p * plane, width, from + p * input_plane(s), line,
                              packed + p * s->depth * width, rows, (int)s->depth, NULL);
    for (int i = 0; i < rows; i++) {
        s->ops->output(tile, r->area + (int64_t)i * width, plane, width);
        put_tile(r, r->first + first + i, part, col, width, tile);
    }
}

/* A chunk from windows to pixels. */
static void run_chunk(const run *r) {
    const phases_state *s = r->s;
    for (int64_t t = 0; t < r->tiles; t++)
        transform_input(s, r->from, r->first + t, r->planes + t * PHASES * s->in.width,
                        r->area);
    for (int part = 0; part < (int)s->parts; part++)
        for (int64_t col = 0; col < s->columns; col += panel_width(s, col))
            for (int64_t first = 0; first < r->tiles; first += BLOCK)
                put_block(r, part, col, first);
}

static lm_status run_phases(lm_kernel *kernel, const lm_kernel_args *args) {
    const phases_state *s = kernel->state;
    float *memory = args->workspace;
#pragma omp parallel num_threads(s->threads)
    {
        float *own = memory + s->at.areas + omp_get_thread_num() * s->at.area;
        run r = {.s = s,
                 .from = args->in[0],
                 .bias = s->conv.bias ? args->in[2] : NULL,
                 .to = args->out[0],
                 .packed = memory + s->at.packed,
                 .planes = own,
                 .area = own + LM_PHASE_PLANES * input_plane(s)};
        pack_weights(s, args->in[1], r.packed);
#pragma omp for schedule(dynamic)
        for (int64_t first = 0; first < s->tiles; first += s->chunk) {
            r.first = first;
            r.tiles = min64(s->chunk, s->tiles - first);
            run_chunk(&r);
        }
    }
    return LM_OK;
}

/* ---- the adjoint in the weights ---------------------------------------------- */

/* Sums lie as [panel][plane][filter][column of the panel]; a column is a phase's channel.
 */
static float *sums_panel(const phases_state *s, float *sums, int64_t col) {
    return sums + LM_PHASE_PLANES * s->depth * col;
}

static void transform_chunk(const phases_state *s, const float *x, const float *dy,
                            int64_t first, int64_t tiles, float *memory) {
    float *window = memory + s->at.areas + omp_get_thread_num() * s->at.area;
#pragma omp for schedule(static)
    for (int64_t t = 0; t < tiles; t++) {
        transform_input(s, x, first + t, memory + s->at.planes + t * PHASES * s->in.width,
                        window);
        transform_gradient(s, dy, first + t,
                           memory + s->at.gradients + t * s->gradient.width, window);
    }
}

static void sum_chunk(const phases_state *s, int64_t first, int64_t tiles,
                      float *memory) {
    int lanes = s->products->lanes;
#pragma omp for schedule(dynamic) collapse(2)
    for (int64_t vector = 0; vector < s->columns / lanes; vector++)
        for (int p = 0; p < LM_PHASE_PLANES; p++) {
            int64_t col = vector * lanes;
            if (!starts_panel(s, col)) continue;
            int width = panel_width(s, col);
            s->products->accumulate(
                sums_panel(s, memory + s->at.packed, col) + p * s->depth * width, width,
                memory + s->at.gradients + p * gradient_plane(s), s->gradient.width,
                memory + s->at.planes + p * input_plane(s) + col, PHASES * s->in.width,
                (int)s->conv.out_channels, (int)tiles, first > 0, NULL);
        }
}

/* The gradient of one filter from its sums, for one vector of columns. */
static void put_taps(const phases_state *s, float *sums, int64_t filter, int64_t col,
                     float *dw) {
    int64_t start = col - col % s->products->panel, offset;
    while (start + panel_width(s, start) <= col) start += panel_width(s, start);
    int width = panel_width(s, start), lanes = s->products->lanes;
    int phase = (int)(col / s->in.width);
    int64_t c = col % s->in.width, channels = s->conv.in_channels;
    if (c >= channels) return;
    float taps[LM_PHASE_TAPS * MOST_LANES];
    s->ops->filter_gradient(taps, lanes,
                            sums_panel(s, sums, start) + filter * width + col - start,
                            s->depth * width);
    dw += filter * s->conv.kernel[0] * s->conv.kernel[1] * channels + c;
    for (int tap = 0; tap < LM_PHASE_TAPS; tap++)
        if (find_tap(s, phase, tap, &offset))
            memcpy(dw + offset, taps + tap * lanes,
                   (size_t)min64(lanes, channels - c) * sizeof *dw);
}

static lm_status run_gradient(lm_kernel *kernel, const lm_kernel_args *args) {
    const phases_state *s = kernel->state;
    float *memory = args->workspace;
#pragma omp parallel num_threads(s->threads)
    {
        for (int64_t first = 0; first < s->tiles; first += s->chunk) {
            int64_t tiles = min64(s->chunk, s->tiles - first);
            transform_chunk(s, args->in[0], args->in[1], first, tiles, memory);
            sum_chunk(s, first, tiles, memory);
        }
#pragma omp for schedule(static)
        for (int64_t filter = 0; filter < s->conv.out_channels; filter++)
            for (int64_t col = 0; col < s->columns; col += s->products->lanes)
                put_taps(s, memory + s->at.packed, filter, col, args->out[0]);
    }
    return LM_OK;
}

/* ---- making ------------------------------------------------------------------ */

static bool fits(const lm_dnnl_conv *c) {
    for (int i = 0; i < 2; i++)
        if (c->stride[i] != 2 || c->dilation[i] != 1 || c->kernel[i] > 4) return false;
    return c->groups == 1;
}

/* What is transformed as input: x, or for its adjoint y. */
static void describe_sources(phases_state *s) {
    const lm_dnnl_conv *c = &s->conv;
    bool back = c->pass == LM_DNNL_BACK_DATA;
    int lanes = s->products->lanes;
    s->spacing = back ? 1 : 2;
    s->in = (source){.channels = back ? c->out_channels : c->in_channels,
                     .step = LM_PHASE_OUT * s->spacing,
                     .edge = back ? LM_PHASE_IN + 1 : 2 * LM_PHASE_IN};
    s->gradient = (source){.channels = c->out_channels,
                           .width = round_up(c->out_channels, lanes),
                           .step = LM_PHASE_OUT,
                           .edge = LM_PHASE_OUT};
    s->in.width = round_up(s->in.channels, lanes);
    for (int i = 0; i < 2; i++) {
        int64_t half = c->pad_lo[i] / 2;
        s->in.size[i] = back ? c->out[i] : c->in[i];
        s->in.origin[i] = back ? half - 1 : -c->pad_lo[i];
        s->offset[i][1] = back ? (int)((c->pad_lo[i] + 1) / 2 - half) : 1;
        s->gradient.size[i] = c->out[i];
        s->grid[i] = (back ? (c->in[i] + 1) / 2 : c->out[i]) + LM_PHASE_OUT - 1;
        s->grid[i] /= LM_PHASE_OUT;
    }
    s->tiles = c->batch * s->grid[0] * s->grid[1];
}

/* depth and columns of the weights' matrices; of their gradient's sums, filters in whole
 * groups of rows and the channels of all phases. */
static void describe_products(phases_state *s) {
    const lm_dnnl_conv *c = &s->conv;
    int lanes = s->products->lanes;
    s->parts = 1;
    s->depth = PHASES * s->in.width;
    s->columns = round_up(c->out_channels, lanes);
    if (c->pass == LM_DNNL_BACK_DATA) {
        s->parts = PHASES;
        s->depth = s->in.width;
        s->columns = round_up(c->in_channels, lanes);
    } else if (c->pass == LM_DNNL_BACK_WEIGHTS) {
        s->depth = round_up(c->out_channels, s->products->rows);
        s->columns = PHASES * s->in.width;
    }
}

/* Forward and for dx every thread has its own planes, and at least one chunk. */
static void lay_out(phases_state *s) {
    bool gradient = s->conv.pass == LM_DNNL_BACK_WEIGHTS;
    int threads = gradient ? 1 : s->threads;
    int64_t tile = LM_PHASE_PLANES * PHASES * s->in.width * (int64_t)sizeof(float);
    int64_t most = min64(MOST_TILES, CHUNK_BYTES / tile) / threads;
    if (most < LEAST_TILES) most = LEAST_TILES;
    int64_t chunks = (s->tiles + most - 1) / most;
    if (chunks < threads) chunks = threads;
    s->chunk = round_up((s->tiles + chunks - 1) / chunks, s->products->rows);
    int64_t window = s->in.edge * s->in.edge * s->in.width, panel = s->products->panel;
    int64_t products = LM_PHASE_PLANES * (BLOCK * panel + SKEW) + 16 * panel;
    int64_t planes = LM_PHASE_PLANES * input_plane(s), area = window;
    if (gradient && area < 16 * s->gradient.width) area = 16 * s->gradient.width;
    if (!gradient) area = planes + (window > products ? window : products);
    s->at.planes = LM_PHASE_PLANES * s->parts * s->depth * s->columns;
    s->at.gradients = s->at.planes + planes;
    s->at.areas =
        gradient ? s->at.gradients + LM_PHASE_PLANES * gradient_plane(s) : s->at.planes;
    s->at.areas = round_up(s->at.areas, SKEW);
    s->at.area = round_up(area, SKEW);
    s->at.total = s->at.areas + s->threads * s->at.area;
}

static lm_status lower(lm_backend *backend, const lm_step *step, const lm_dnnl_conv *conv,
                       lm_kernel *kernel) {
    bool gradient = conv->pass == LM_DNNL_BACK_WEIGHTS;
    phases_state *s = lm_cpu_kernel_init(kernel, step, "winograd phases",
                                         gradient ? run_gradient : run_phases, sizeof *s);
    if (!s) return LM_NOMEM;
    s->ops = LM_ISA_PICK(lm_phase_ops);
    s->products = LM_ISA_PICK(lm_wino_ops);
    s->conv = *conv;
    s->threads = lm_threads();
    describe_sources(s);
    describe_products(s);
    lay_out(s);
    kernel->workspace = (size_t)s->at.total * sizeof(float);
    kernel->flops = lm_conv_flops(conv);
    return LM_OK;
}

/* Smaller kernels waste taps; few channels waste lanes and leave the transforms more work
 * than the products. */
static bool leads(const lm_dnnl_conv *c) {
    return c->kernel[0] == 4 && c->kernel[1] == 4 && c->in_channels >= 32 &&
           c->out_channels >= 32;
}

const lm_conv_candidate lm_conv_phases = {
    .name = "phases", .winograd = true, .fits = fits, .leads = leads, .lower = lower};
