/* Convolution by phases: the forward pass and the adjoint in x. With more tiles than
 * columns of weights, all threads transform the weights and each takes chunks of tiles;
 * else each takes panels of columns and all tiles, so that the weights, then the larger
 * part of the work's memory, never leave a core. */
#include "backend/cpu/conv_phases.h"
#include "backend/cpu/rows.h"
#include "backend/cpu/shares.h"

#include <string.h>

enum {
    CHUNK_BYTES = 1 << 20,  /* of transformed inputs, about: a core's second cache */
    ALONE_BYTES = 12 << 20, /* by columns, which need every chunk for each panel */
    BLOCK = 48 /* tiles of one product; a multiple of the register tile's rows */
};

/* ---- weights ----------------------------------------------------------------- */

/* One tap of a vector of columns and `count` rows of the product, whose rows are `pitch`
 * apart in `to`. Runs along whichever of them is contiguous in memory. */
static void gather_tap(const lm_phases *s, const float *from, int64_t row, int count,
                       int64_t col, float *to, int pitch) {
    bool back = s->back;
    int64_t filter = s->conv.kernel[0] * s->conv.kernel[1] * s->conv.in_channels;
    int64_t rows = back ? s->conv.out_channels : s->conv.in_channels;
    int64_t cols = back ? s->conv.in_channels : s->conv.out_channels;
    int high = (int)lm_least(count, rows - row);
    int wide = (int)lm_least(s->products->lanes, cols - col);
    if (wide <= 0 || high <= 0) return;
    if (!back)
        lm_cpu_rows()->transpose(to, pitch, from + col * filter + row, filter, high,
                                 wide);
    for (int r = 0; r < high && back; r++)
        memcpy(to + r * pitch, from + (row + r) * filter + col,
               (size_t)wide * sizeof *to);
}

static void transform_filter(const lm_phases *s, int phase, const float *taps, float *to,
                             int64_t plane) {
    int lanes = s->products->lanes;
    if (s->back)
        s->back->filter(to, plane, taps, lanes, s->offset[phase]);
    else
        s->ops->filter(to, plane, taps, lanes);
}

enum { GATHERED = 16 }; /* rows at once: a cache line of channels */

/* The rows of one phase of a panel; transformed it lies as [plane][row][column]. */
static void pack_phase(const lm_phases *s, const float *w, int phase, int64_t col,
                       float *panel) {
    int width = lm_phase_panel(s, col), lanes = s->products->lanes;
    float *to = panel + (s->parts > 1 ? 0 : phase) * s->in.width * width;
    int64_t offset;
    for (int64_t row = 0; row < s->in.width; row += GATHERED)
        for (int l = 0; l < width; l += lanes) {
            float taps[GATHERED * LM_PHASE_TAPS * LM_PHASE_MOST_LANES] = {0};
            int count = (int)lm_least(GATHERED, s->in.width - row);
            for (int tap = 0; tap < LM_PHASE_TAPS; tap++)
                if (lm_phase_find_tap(s, phase, tap, &offset))
                    gather_tap(s, w + offset, row, count, col + l, taps + tap * lanes,
                               LM_PHASE_TAPS * lanes);
            for (int r = 0; r < count; r++)
                transform_filter(s, phase, taps + r * LM_PHASE_TAPS * lanes,
                                 to + (row + r) * width + l, s->depth * width);
        }
}

/* Where a panel of a part lies among all of them. */
static float *find_panel(const lm_phases *s, float *packed, int64_t part, int64_t col) {
    return packed + LM_PHASE_PLANES * s->depth * (part * s->columns + col);
}

/* By all threads of the region. */
static void pack_all(const lm_phases *s, const float *w, float *packed) {
    int64_t panels = lm_phase_panels(s);
#pragma omp for schedule(dynamic)
    for (int64_t i = 0; i < LM_PHASES * panels; i++) {
        int phase = (int)(i / panels), part = s->parts > 1 ? phase : 0;
        int64_t col = lm_phase_nth_panel(s, i % panels);
        pack_phase(s, w, phase, col, find_panel(s, packed, part, col));
    }
}

/* ---- products ---------------------------------------------------------------- */

typedef struct run {
    const lm_phases *s;
    const float *from, *bias; /* bias or NULL */
    float *to;
    float *planes, *area; /* of this thread */
    bool stream;          /* results go past the cache */
    lm_shares *chunks;
    int64_t first; /* of the tiles that the planes hold; -1: none yet */
    lm_phase_chunk chunk;
} run;

/* Floats of a plane of products, which are written in whole groups of rows. */
static int64_t area_plane(const lm_phases *s, int64_t width) {
    return lm_phase_plane(s, BLOCK, width);
}

/* Where a 4x4 tile of results lies in the image: phase `part` of it for the adjoint. */
static lm_wino_target find_target(const run *r, const lm_phase_place *p, int part,
                                  int64_t col, int width) {
    const lm_phases *s = r->s;
    bool back = s->back;
    const int64_t *size = back ? s->conv.in : s->conv.out;
    int64_t channels = back ? s->conv.in_channels : s->conv.out_channels;
    int64_t step = back ? 2 : 1, at[2], left[2];
    for (int i = 0; i < 2; i++) {
        at[i] = p->at[i] * step + (i ? part % 2 : part / 2);
        left[i] =
            lm_least(LM_PHASE_OUT - p->narrow[i], (size[i] - at[i] + step - 1) / step);
    }
    return (lm_wino_target){
        .y = r->to + ((p->sample * size[0] + at[0]) * size[1] + at[1]) * channels + col,
        .add = r->bias ? r->bias + col : NULL,
        .row = step * size[1] * channels,
        .pixel = step * channels,
        .rows = (int)left[0],
        .cols = (int)left[1],
        .channels = (int)lm_least(width, channels - col),
        .stream = r->stream};
}

/* Products of a tile and a panel back to pixels. */
static void put_tile(const run *r, int64_t tile, int part, int64_t col,
                     const float *products) {
    const lm_phases *s = r->s;
    int width = lm_phase_panel(s, col);
    lm_phase_place p = lm_phase_find(s, tile);
    lm_wino_target target = find_target(r, &p, part, col, width);
    if (s->back)
        s->back->output(&target, products, area_plane(s, width), s->offset[part],
                        p.narrow);
    else
        s->ops->output(&target, products, area_plane(s, width));
}

/* Fills the planes with a chunk, unless they have it. */
static void transform_chunk(run *r, int64_t first) {
    const lm_phases *s = r->s;
    if (r->first == first) return;
    int64_t plane = lm_phase_plane(s, s->chunk, s->depth);
    lm_phase_cut cut = {0, LM_PHASES, 0, s->in.width};
    r->first = first;
    lm_phase_sort(s, first, lm_least(s->chunk, s->tiles - first), &r->chunk);
    for (int64_t t = 0; t < r->chunk.start[4]; t++)
        lm_phase_transform(s, r->from, r->chunk.tile[t], &cut, r->planes + t * s->depth,
                           plane, r->area);
}

/* Some tiles of the chunk times one panel of weights. */
static void multiply_block(const run *r, const float *packed, int part, int width,
                           lm_phase_range block) {
    const lm_phases *s = r->s;
    int64_t depth = s->depth, plane = lm_phase_plane(s, s->chunk, depth);
    for (int p = 0; p < LM_PHASE_PLANES; p++) {
        lm_phase_range need = lm_phase_need(s, &r->chunk, part, p);
        int64_t begin = need.begin < block.begin ? block.begin : need.begin;
        int64_t rows = lm_least(need.end, block.end) - begin;
        if (rows <= 0) continue;
        s->products->multiply(
            r->area + p * area_plane(s, width) + (begin - block.begin) * width, width,
            r->planes + lm_phase_factor(s, part, p) * plane + begin * depth, depth,
            packed + p * depth * width, (int)rows, (int)depth, NULL);
    }
}

/* The chunk times one panel of weights, and back to pixels. */
static void put_panel(const run *r, const float *packed, int part, int64_t col) {
    const lm_phases *s = r->s;
    int width = lm_phase_panel(s, col);
    int64_t tiles = r->chunk.start[4];
    for (int64_t first = 0; first < tiles; first += BLOCK) {
        lm_phase_range block = {first, lm_least(first + BLOCK, tiles)};
        multiply_block(r, packed, part, width, block);
        for (int64_t t = first; t < block.end; t++)
            put_tile(r, r->chunk.tile[t], part, col, r->area + (t - first) * width);
    }
}

/* ---- running ----------------------------------------------------------------- */

/* By all threads of the region, as the next. */
static void run_by_tiles(run *r, const float *w, float *packed) {
    const lm_phases *s = r->s;
    pack_all(s, w, packed);
    LM_SHARES_EACH (r->chunks, i) {
        transform_chunk(r, i * s->chunk);
        for (int part = 0; part < (int)s->parts; part++)
            for (int64_t col = 0; col < s->columns; col += lm_phase_panel(s, col))
                put_panel(r, find_panel(s, packed, part, col), part, col);
    }
}

/* With one chunk, the planes stay for all panels. */
static void run_by_columns(run *r, const float *w, float *panel) {
    const lm_phases *s = r->s;
    int64_t panels = lm_phase_panels(s);
#pragma omp for schedule(static)
    for (int64_t i = 0; i < s->parts * panels; i++) {
        int part = (int)(i / panels);
        int64_t col = lm_phase_nth_panel(s, i % panels);
        if (s->parts > 1)
            pack_phase(s, w, part, col, panel);
        else
            for (int phase = 0; phase < LM_PHASES; phase++)
                pack_phase(s, w, phase, col, panel);
        for (int64_t first = 0; first < s->tiles; first += s->chunk) {
            transform_chunk(r, first);
            put_panel(r, panel, part, col);
        }
    }
}

lm_status lm_conv_phases_run(lm_kernel *kernel, const lm_kernel_args *args) {
    const lm_phases *s = kernel->state;
    float *memory = args->workspace;
    bool back = s->back;
    const int64_t *size = back ? s->conv.in : s->conv.out;
    int64_t channels = back ? s->conv.in_channels : s->conv.out_channels;
    int64_t floats = s->conv.batch * size[0] * size[1] * channels;
    bool stream = floats * (int64_t)sizeof(float) >= LM_STREAM_BYTES &&
                  lm_may_stream(args->out[0], channels);
    lm_shares chunks;
    lm_shares_init(&chunks, (s->tiles + s->chunk - 1) / s->chunk, s->threads);
#pragma omp parallel num_threads(s->threads)
    {
        float *own = memory + s->at.packed + omp_get_thread_num() * s->at.area;
        run r = {.s = s,
                 .from = args->in[0],
                 .bias = s->conv.bias ? args->in[2] : NULL,
                 .to = args->out[0],
                 .stream = stream,
                 .chunks = &chunks,
                 .first = -1,
                 .planes = own + s->at.planes,
                 .area = own + s->at.window};
        if (s->alone)
            run_by_columns(&r, args->in[1], own);
        else
            run_by_tiles(&r, args->in[1], memory);
        lm_stream_end();
    }
    return LM_OK;
}

void lm_phase_plan_forward(lm_phases *s) {
    s->alone = s->columns >= s->tiles && s->parts * lm_phase_panels(s) >= s->threads;
    int64_t threads = s->alone ? 1 : s->threads, panel = s->products->panel;
    int64_t planes = lm_phase_factors(s);
    int64_t tile = planes * s->depth * (int64_t)sizeof(float);
    int64_t most = (s->alone ? ALONE_BYTES : CHUNK_BYTES) / tile;
    if (most < LM_PHASE_LEAST_TILES) most = LM_PHASE_LEAST_TILES;
    most = lm_least(LM_PHASE_MOST_TILES, most);
    int64_t chunks = (s->tiles + most - 1) / most;
    if (chunks < threads) chunks = threads;
    s->chunk = lm_round_up((s->tiles + chunks - 1) / chunks, s->products->rows);
    int64_t weights = LM_PHASE_PLANES * s->depth;
    int64_t window = s->in.edge * s->in.edge * s->in.width;
    int64_t products = LM_PHASE_PLANES * area_plane(s, panel);
    s->at.packed = s->alone ? 0 : weights * s->parts * s->columns;
    s->at.planes = s->alone ? weights * panel : 0;
    s->at.window = s->at.planes + planes * lm_phase_plane(s, s->chunk, s->depth);
    s->at.area = lm_round_up(s->at.window + (window > products ? window : products),
                             LM_PHASE_SKEW);
}
