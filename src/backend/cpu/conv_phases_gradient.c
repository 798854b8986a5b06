/* Convolution by phases: the adjoint in the weights. A column of the sums is a phase's
 * channel. An item of work is a panel of columns and a share of the filters; a thread has
 * some items, transforms what they need chunk by chunk, and shares nothing. */
#include "backend/cpu/conv_phases.h"

#include <omp.h>
#include <string.h>

enum { CHUNK_BYTES = 4 << 20 }; /* of transformed inputs and gradients, about */

typedef struct run {
    const lm_phases *s;
    const float *x, *dy;
    float *sums, *dw;                   /* sums: [panel][plane][filter][column] */
    float *planes, *gradients, *window; /* of this thread */
    lm_phase_chunk chunk;
} run;

typedef struct item {
    int64_t col, filter; /* the first of each */
    int width, filters;
} item;

static item find_item(const lm_phases *s, int64_t number) {
    int64_t panels = lm_phase_panels(s), filter = number / panels * s->share;
    int64_t col = lm_phase_nth_panel(s, number % panels);
    return (item){col, filter, lm_phase_panel(s, col),
                  (int)lm_least(s->share, s->conv.out_channels - filter)};
}

static int64_t count_items(const lm_phases *s) {
    return lm_phase_panels(s) * ((s->conv.out_channels + s->share - 1) / s->share);
}

static int64_t gradient_width(const lm_phases *s) {
    return lm_round_up(s->share, s->products->lanes);
}

static float *find_sums(const run *r, const item *at) {
    return r->sums + LM_PHASE_PLANES * r->s->depth * at->col + at->filter * at->width;
}

/* A panel may span phases that have fewer channels than it has columns. */
static void transform_panel(const run *r, const item *at) {
    const lm_phases *s = r->s;
    int64_t plane = lm_phase_plane(s, s->chunk, s->products->panel);
    for (int64_t col = at->col, end = col + at->width, count; col < end; col += count) {
        int64_t channel = col % s->in.width;
        count = lm_least(end - col, s->in.width - channel);
        lm_phase_cut cut = {(int)(col / s->in.width), 1, channel, count};
        for (int64_t t = 0; t < r->chunk.start[4]; t++)
            lm_phase_transform(s, r->x, r->chunk.tile[t], &cut,
                               r->planes + t * at->width + col - at->col, plane,
                               r->window);
    }
}

static void transform_gradients(const run *r, const item *at) {
    const lm_phases *s = r->s;
    int64_t width = gradient_width(s), plane = lm_phase_plane(s, s->chunk, width);
    for (int64_t t = 0; t < r->chunk.start[4]; t++)
        lm_phase_transform_gradient(s, r->dy, r->chunk.tile[t], at->filter,
                                    lm_round_up(at->filters, s->products->lanes),
                                    r->gradients + t * width, plane, r->window);
}

/* Adds to the sums, or begins them. */
static void sum_item(const run *r, const item *at, bool add) {
    const lm_phases *s = r->s;
    int64_t width = gradient_width(s);
    int64_t plane = lm_phase_plane(s, s->chunk, s->products->panel);
    int64_t gradient_plane = lm_phase_plane(s, s->chunk, width);
    for (int p = 0; p < LM_PHASE_PLANES; p++) {
        lm_phase_range need = lm_phase_need(s, &r->chunk, 0, p);
        s->products->accumulate(find_sums(r, at) + p * s->depth * at->width, at->width,
                                r->gradients + p * gradient_plane + need.begin * width,
                                width, r->planes + p * plane + need.begin * at->width,
                                at->width, at->filters, (int)(need.end - need.begin), add,
                                NULL);
    }
}

/* The gradient of an item's filters from its sums. */
static void put_item(const run *r, const item *at) {
    const lm_phases *s = r->s;
    int lanes = s->products->lanes;
    int64_t channels = s->conv.in_channels, offset;
    int64_t filter = s->conv.kernel[0] * s->conv.kernel[1] * channels;
    float taps[LM_PHASE_TAPS * LM_PHASE_MOST_LANES];
    for (int f = 0; f < at->filters; f++)
        for (int l = 0; l < at->width; l += lanes) {
            int phase = (int)((at->col + l) / s->in.width);
            int64_t c = (at->col + l) % s->in.width;
            if (c >= channels) continue;
            s->ops->filter_gradient(taps, lanes, find_sums(r, at) + f * at->width + l,
                                    s->depth * at->width);
            for (int tap = 0; tap < LM_PHASE_TAPS; tap++)
                if (lm_phase_find_tap(s, phase, tap, &offset))
                    memcpy(r->dw + (at->filter + f) * filter + offset + c,
                           taps + tap * lanes,
                           (size_t)lm_least(lanes, channels - c) * sizeof *taps);
        }
}

/* Consecutive items have the same filters, so that few need other gradients. */
static void run_items(run *r, int64_t begin, int64_t end) {
    const lm_phases *s = r->s;
    for (int64_t first = 0; first < s->tiles; first += s->chunk) {
        int64_t filter = -1;
        lm_phase_sort(s, first, lm_least(s->chunk, s->tiles - first), &r->chunk);
        for (int64_t i = begin; i < end; i++) {
            item at = find_item(s, i);
            if (at.filter != filter) transform_gradients(r, &at);
            filter = at.filter;
            transform_panel(r, &at);
            sum_item(r, &at, first > 0);
        }
    }
    for (int64_t i = begin; i < end; i++) {
        item at = find_item(s, i);
        put_item(r, &at);
    }
}

lm_status lm_conv_phases_gradient(lm_kernel *kernel, const lm_kernel_args *args) {
    const lm_phases *s = kernel->state;
    float *memory = args->workspace;
    int64_t items = count_items(s);
#pragma omp parallel num_threads(s->threads)
    {
        int64_t thread = omp_get_thread_num(), threads = omp_get_num_threads();
        float *own = memory + s->at.packed + thread * s->at.area;
        run r = {.s = s,
                 .x = args->in[0],
                 .dy = args->in[1],
                 .sums = memory,
                 .dw = args->out[0],
                 .planes = own + s->at.planes,
                 .gradients = own + s->at.gradients,
                 .window = own + s->at.window};
        run_items(&r, items * thread / threads, items * (thread + 1) / threads);
    }
    return LM_OK;
}

/* Chunks give the order of the sums, so they must not depend on the threads. A share is
 * of whole groups of rows, since products write these. */
void lm_phase_plan_gradient(lm_phases *s) {
    int64_t panel = s->products->panel, rows = s->products->rows;
    int64_t tile = LM_PHASE_PLANES * (panel + s->gradient.width) * (int64_t)sizeof(float);
    int64_t most = lm_least(LM_PHASE_MOST_TILES, CHUNK_BYTES / tile);
    if (most < LM_PHASE_LEAST_TILES) most = LM_PHASE_LEAST_TILES;
    int64_t chunks = (s->tiles + most - 1) / most;
    s->chunk = (s->tiles + chunks - 1) / chunks;
    int64_t panels = lm_phase_panels(s), shares = (s->threads + panels - 1) / panels;
    s->share = lm_round_up((s->conv.out_channels + shares - 1) / shares, rows);
    int64_t window = s->in.edge * s->in.edge * panel;
    int64_t gradient = s->gradient.edge * s->gradient.edge * gradient_width(s);
    s->at.packed = LM_PHASE_PLANES * s->depth * s->columns;
    s->at.gradients = LM_PHASE_PLANES * lm_phase_plane(s, s->chunk, panel);
    s->at.window = s->at.gradients +
                   LM_PHASE_PLANES * lm_phase_plane(s, s->chunk, gradient_width(s));
    s->at.area = lm_round_up(s->at.window + (window > gradient ? window : gradient),
                             LM_PHASE_SKEW);
}
