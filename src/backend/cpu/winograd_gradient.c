/* Winograd convolution: the weights' gradient.
 *
 * Nothing that is transformed goes from one core to another: on machines whose cores do
 * not share a cache this would cost more than the products. So a unit of work is a slice
 * of the tiles with sums of its own and a share of the inputs' channels, and makes
 * everything that it needs itself; the gradients, which are cheaper to transform, are so
 * once for each share. Slices depend on the shape alone and are added up in their order,
 * shares change no result. */
#include "backend/cpu/shares.h"
#include "backend/cpu/winograd_internal.h"

/* Offsets in floats. A thread's area holds planes of inputs and gradients, and a strip.
 * The sums of a slice lie as [share][panel of inputs][plane][filter][width], filters
 * filled up to whole groups of rows. */
typedef struct layout {
    int64_t columns, filters; /* one share's inputs and filters, filled up */
    int64_t shares, sums;     /* sums: of one slice and share */
    int64_t input_plane, input_panel, gradient_plane, gradient_tile;
    int64_t gradients, strip, area;
} layout;

static layout find_layout(const lm_wino_plan *plan) {
    const lm_wino_ops *ops = plan->ops;
    layout l = {.columns = plan->share,
                .filters = lm_round_up(plan->y.channels, ops->rows)};
    int64_t panels = (l.columns + ops->panel - 1) / ops->panel;
    l.shares = (plan->x.channels + plan->share - 1) / plan->share;
    l.sums = LM_WINO_PLANES * l.filters * l.columns;
    /* Skewed by a vector: planes a power of two apart would share few cache sets. */
    l.input_panel = (int64_t)plan->tiles * ops->panel;
    l.input_plane = panels * l.input_panel + 16;
    l.gradient_tile = lm_round_up(plan->y.channels, ops->lanes);
    l.gradient_plane = plan->tiles * l.gradient_tile + 16;
    l.gradients = LM_WINO_PLANES * l.input_plane;
    l.strip = l.gradients + LM_WINO_PLANES * l.gradient_plane;
    l.area = l.strip + lm_round_up((int64_t)lm_wino_strip_floats(plan), 16);
    return l;
}

size_t lm_wino_gradient_bytes(const lm_wino_plan *plan) {
    layout l = find_layout(plan);
    return sizeof(float) *
           (size_t)(plan->slices * l.shares * l.sums + plan->threads * l.area);
}

typedef struct gradient {
    const lm_wino_plan *plan;
    layout at;
    lm_wino_source x, dy;
    float *sums, *areas;
} gradient;

/* A share's channels, whole vectors; the last may have fewer. */
static int64_t count_columns(const gradient *g, int64_t share) {
    int64_t left = g->plan->x.channels - share * g->plan->share;
    return lm_least(g->at.columns, lm_round_up(left, g->plan->ops->lanes));
}

/* sums = or += gradients' inputs of a block, for each plane and panel. */
static void sum_block(const gradient *g, const float *area, int tiles, int64_t columns,
                      bool add, float *sums, lm_wino_ahead *ahead) {
    const lm_wino_ops *ops = g->plan->ops;
    for (int64_t col = 0, width; col < columns; col += width) {
        width = lm_wino_panel(g->plan, columns, col);
        const float *v = area + col / ops->panel * g->at.input_panel + col % ops->panel;
        const float *d = area + g->at.gradients;
        float *to = sums + g->at.filters * LM_WINO_PLANES * col;
        for (int p = 0; p < LM_WINO_PLANES; p++)
            ops->accumulate(to + p * g->at.filters * width, (int)width,
                            d + p * g->at.gradient_plane, g->at.gradient_tile,
                            v + p * g->at.input_plane, ops->panel,
                            (int)g->plan->y.channels, tiles, add, ahead);
    }
}

/* What the next block of a slice that ends at `end` reads. */
static lm_wino_ahead look_ahead(const gradient *g, const lm_wino_source *x,
                                int64_t columns, int64_t first, int64_t end) {
    const lm_wino_plan *plan = g->plan;
    lm_wino_ahead ahead = {0};
    int64_t width = lm_wino_panel(plan, columns, 0);
    int64_t rows = width == plan->ops->panel ? plan->ops->wide_rows : plan->ops->rows;
    int64_t tiles = LM_WINO_PLANES * (columns / width) * (plan->y.channels / rows + 1);
    int64_t count = lm_least(plan->block, end - first);
    lm_wino_slice of_x = {first, count, x->first, x->channels};
    lm_wino_slice of_y = {first, count, 0, plan->y.channels};
    lm_wino_look_ahead(plan, &plan->x, x->data, &of_x, tiles, &ahead, 0);
    lm_wino_look_ahead(plan, &plan->y, g->dy.data, &of_y, tiles, &ahead, 1);
    return ahead;
}

static void run_slice(const gradient *g, int64_t slice, int64_t share, float *area) {
    const lm_wino_plan *plan = g->plan;
    int64_t begin = plan->units * slice / plan->slices;
    int64_t end = plan->units * (slice + 1) / plan->slices;
    lm_wino_planes x = {area, g->at.input_plane, g->at.input_panel, plan->ops->panel};
    lm_wino_planes dy = {area + g->at.gradients, g->at.gradient_plane, plan->ops->panel,
                         g->at.gradient_tile};
    lm_wino_source source = g->x;
    source.first = share * plan->share;
    source.channels = lm_least(plan->share, plan->x.channels - source.first);
    int64_t columns = count_columns(g, share);
    float *sums = g->sums + (slice * g->at.shares + share) * g->at.sums;
    for (int64_t unit = begin; unit < end; unit += plan->block) {
        int64_t units = lm_least(plan->block, end - unit);
        lm_wino_place last = lm_wino_find(plan, unit + units - 1);
        int64_t tiles = last.tile + last.cols - lm_wino_find(plan, unit).tile;
        lm_wino_transform(plan, &source, unit, units, 0, &x, area + g->at.strip);
        lm_wino_transform(plan, &g->dy, unit, units, 0, &dy, area + g->at.strip);
        lm_wino_ahead ahead = look_ahead(g, &source, columns, unit + units, end);
        sum_block(g, area, (int)tiles, columns, unit > begin, sums, &ahead);
    }
}

/* Adds what the other slices have of a run of sums to the first's. */
static void add_slices(const gradient *g, float *sums, int64_t count) {
    for (int64_t slice = 1; slice < g->plan->slices; slice++) {
        const float *other = sums + slice * g->at.shares * g->at.sums;
        for (int64_t i = 0; i < count; i++) sums[i] += other[i];
    }
}

/* A share's channels of one filter's gradient from their sums. */
static void put_filter(const gradient *g, int64_t k, int64_t share, float *dw) {
    const lm_wino_ops *ops = g->plan->ops;
    int64_t channels = g->plan->x.channels, first = share * g->plan->share;
    int64_t columns = count_columns(g, share);
    float *of_share = g->sums + share * g->at.sums;
    dw += k * 9 * channels + first;
    for (int64_t col = 0, width; col < columns; col += width) {
        width = lm_wino_panel(g->plan, columns, col);
        int64_t plane = g->at.filters * width;
        float *sums = of_share + g->at.filters * LM_WINO_PLANES * col + k * width;
        for (int p = 0; p < LM_WINO_PLANES; p++) add_slices(g, sums + p * plane, width);
        for (int64_t c = col; c < col + width && first + c < channels; c += ops->lanes)
            ops->filter_gradient(dw + c, channels, sums + c - col, plane,
                                 (int)(channels - first - c));
    }
}

void lm_wino_gradient(const lm_wino_plan *plan, const float *x, const float *dy,
                      const lm_wino_around *around, float *dw, void *workspace) {
    lm_wino_image y = plan->y;
    gradient g = {
        .plan = plan,
        .at = find_layout(plan),
        .x = {x, &plan->x, LM_WINO_IN, 0, plan->x.channels, around->norm, around->before},
        .dy = {dy, &y, LM_WINO_OUT, 0, y.channels, NULL, {LM_ACT_NONE, 0}},
        .sums = workspace};
    g.areas = g.sums + plan->slices * g.at.shares * g.at.sums;
    lm_shares shares;
    lm_shares_init(&shares, plan->slices * g.at.shares, plan->threads);
#pragma omp parallel num_threads(plan->threads)
    {
        float *area = g.areas + omp_get_thread_num() * g.at.area;
        LM_SHARES_EACH (&shares, i) run_slice(&g, i / g.at.shares, i % g.at.shares, area);
#pragma omp barrier
#pragma omp for schedule(static)
        for (int64_t k = 0; k < plan->y.channels; k++)
            for (int64_t share = 0; share < g.at.shares; share++)
                put_filter(&g, k, share, dw);
    }
}
