/* Winograd convolution: cutting into blocks, the strips, and the forward pass. */
#include "backend/cpu/rows.h"
#include "backend/cpu/shares.h"
#include "backend/cpu/winograd_internal.h"

#include <string.h>

enum {
    PLANES_BYTES =
        288 << 10,    /* of a block's transformed inputs: a third of a core's L2 */
    LEAST_TILES = 24, /* of a block: each use of the weights is a read of them */
    MOST_TILES = 64,
    GRADIENT_BYTES = 768 << 10, /* of a block's transformed inputs and gradients */
    LEAST_SUMMED = 24,          /* tiles: each block reads and writes the sums */
    MOST_SUMMED = 192,
    SUMMED_FLOATS = 5 << 18, /* of all slices */
    MOST_SLICES = 8
};

/* ---- cutting ----------------------------------------------------------------- */

static int64_t clamp(int64_t n, int64_t low, int64_t high) {
    return n < low ? low : lm_least(n, high);
}

/* Units of a block of at most `most` tiles: at least half as many as there could be, that
 * leave the least of the products' register tiles empty. */
static int64_t choose_units(const lm_wino_plan *plan, int64_t most) {
    const lm_wino_ops *ops = plan->ops;
    int64_t step = plan->y.channels < ops->panel ? ops->rows : ops->wide_rows;
    int64_t best = most / plan->piece, least = (best + 1) / 2;
    double fill = 0;
    for (int64_t units = best; units >= least; units--) {
        int64_t tiles = units * plan->piece;
        double filled = (double)tiles / (double)lm_round_up(tiles, step);
        if (filled > fill) best = units;
        fill = filled > fill ? filled : fill;
    }
    return lm_least(plan->units, best);
}

/* Units of at most `widest` tiles, blocks of at most `most`. */
static void cut(lm_wino_plan *plan, int64_t widest, int64_t most) {
    plan->rows = (plan->y.height + LM_WINO_OUT - 1) / LM_WINO_OUT;
    plan->cols = (plan->y.width + LM_WINO_OUT - 1) / LM_WINO_OUT;
    plan->pieces = (int)((plan->cols + widest - 1) / widest);
    plan->piece = (int)((plan->cols + plan->pieces - 1) / plan->pieces);
    plan->units = plan->batch * plan->pieces * plan->rows;
    plan->block = (int)choose_units(plan, most);
    plan->tiles = plan->block * plan->piece;
}

/* With less than this for each thread, threads share blocks. */
enum { BLOCKS_EACH = 4 };

void lm_wino_plan_forward(lm_wino_plan *plan, int64_t batch, const lm_wino_image *x,
                          const lm_wino_image *y, int threads) {
    *plan = (lm_wino_plan){LM_ISA_PICK(lm_wino_ops), batch, *x, *y, .threads = threads};
    int64_t tile = LM_WINO_PLANES * (int64_t)sizeof(float) *
                   lm_round_up(x->channels, plan->ops->lanes);
    int64_t most = clamp(PLANES_BYTES / tile, LEAST_TILES, MOST_TILES);
    cut(plan, most, most);
    int64_t each = plan->batch * plan->rows * plan->cols / threads;
    if (each < most) {
        most = clamp(each, plan->ops->rows, most);
        cut(plan, most, most);
    }
    plan->shared = lm_wino_blocks(plan) < BLOCKS_EACH * (int64_t)threads && threads > 1;
    plan->alone = plan->shared && y->channels / plan->ops->panel >= threads;
    int64_t floats = batch * y->height * y->width * y->channels;
    plan->stream = floats * (int64_t)sizeof(float) >= LM_STREAM_BYTES;
}

/* Largest power of two, so that two, four or eight threads have equal shares. */
static int count_slices(const lm_wino_plan *plan) {
    int64_t floats = LM_WINO_PLANES * plan->x.channels * plan->y.channels;
    int slices = 1;
    while (slices < MOST_SLICES && 2 * slices * floats <= SUMMED_FLOATS &&
           4 * slices * plan->block <= plan->units)
        slices *= 2;
    return slices;
}

void lm_wino_plan_gradient(lm_wino_plan *plan, int64_t batch, const lm_wino_image *x,
                           const lm_wino_image *y, int threads) {
    *plan = (lm_wino_plan){LM_ISA_PICK(lm_wino_ops), batch, *x, *y, .threads = threads};
    int64_t lanes = plan->ops->lanes, vectors = (x->channels + lanes - 1) / lanes;
    cut(plan, LEAST_SUMMED, MOST_TILES);
    plan->slices = count_slices(plan);
    int64_t shares = clamp((threads + plan->slices - 1) / plan->slices, 1, vectors);
    plan->share = (vectors + shares - 1) / shares * lanes;
    int64_t tile = LM_WINO_PLANES * (int64_t)sizeof(float) *
                   (lm_round_up(y->channels, lanes) + plan->share);
    /* Units give the order of the sums, so they must not depend on the threads' share. */
    cut(plan, LEAST_SUMMED, clamp(GRADIENT_BYTES / tile, LEAST_SUMMED, MOST_SUMMED));
}

lm_wino_place lm_wino_find(const lm_wino_plan *plan, int64_t unit) {
    int64_t column = unit / plan->rows, piece = column % plan->pieces;
    lm_wino_place place = {.sample = column / plan->pieces,
                           .row = unit % plan->rows,
                           .col = piece * plan->piece};
    place.cols = (int)lm_least(plan->piece, plan->cols - place.col);
    place.tile =
        (place.sample * plan->cols + place.col) * plan->rows + place.row * place.cols;
    return place;
}

int64_t lm_wino_blocks(const lm_wino_plan *plan) {
    return (plan->units + plan->block - 1) / plan->block;
}

int64_t lm_wino_block_units(const lm_wino_plan *plan, int64_t first) {
    return lm_least(plan->block, plan->units - first);
}

int64_t lm_wino_block_tiles(const lm_wino_plan *plan, int64_t first) {
    lm_wino_place last = lm_wino_find(plan, first + lm_wino_block_units(plan, first) - 1);
    return last.tile + last.cols - lm_wino_find(plan, first).tile;
}

/* ---- strips ------------------------------------------------------------------ */

/* A few rows of tiles, so that the two rows of pixels that neighbours share are not
 * loaded over and over, while the strip stays in the cache. */
enum { STRIP_TILES = 48 };

int64_t lm_wino_chunk(const lm_wino_plan *plan) {
    return clamp(STRIP_TILES / plan->piece, 1, plan->block);
}

size_t lm_wino_strip_floats(const lm_wino_plan *plan) {
    int64_t rows = lm_wino_chunk(plan) * LM_WINO_OUT + LM_WINO_IN - LM_WINO_OUT;
    int64_t cols = plan->piece * LM_WINO_OUT + LM_WINO_IN - LM_WINO_OUT;
    return (size_t)(rows * cols * plan->ops->panel);
}

/* Channels from..from+width of some rows of tiles, with padding. */
static void fill_strip(const lm_wino_plan *plan, const lm_wino_source *source,
                       const lm_wino_place *place, int rows, int from, int width,
                       float *strip) {
    const lm_wino_image *image = source->image;
    int channels = (int)lm_least(width, source->channels - from);
    int height = (rows - 1) * LM_WINO_OUT + source->edge;
    int across = (place->cols - 1) * LM_WINO_OUT + source->edge;
    int64_t top = place->row * LM_WINO_OUT - image->pad[0];
    int64_t start = place->col * LM_WINO_OUT - image->pad[1];
    from += (int)source->first;
    int64_t left = clamp(-start, 0, across);
    int64_t right = clamp(image->width - start, left, across);
    lm_wino_prologue prologue = {.act = source->act};
    if (source->norm) {
        int64_t row = lm_round_up(image->channels, plan->ops->lanes);
        prologue.mean = source->norm + place->sample * 3 * row + from;
        prologue.scale = prologue.mean + row;
        prologue.beta = prologue.scale + row;
    }
    for (int i = 0; i < height; i++, strip += across * width) {
        int64_t y = top + i;
        bool inside = y >= 0 && y < image->height;
        int64_t lo = inside ? left : across, hi = inside ? right : across;
        memset(strip, 0, (size_t)(lo * width) * sizeof *strip);
        if (!inside) continue;
        int64_t at = (place->sample * image->height + y) * image->width + start + lo;
        plan->ops->load(strip + lo * width, width,
                        source->data + at * image->channels + from, image->channels,
                        (int)(hi - lo), channels, &prologue);
        memset(strip + hi * width, 0, (size_t)((across - hi) * width) * sizeof *strip);
    }
}

/* The tiles of consecutive units of one column of an image into the planes. */
static void transform_column(const lm_wino_plan *plan, const lm_wino_source *source,
                             const lm_wino_place *place, int rows, int64_t tile,
                             const lm_wino_planes *to, float *strip) {
    const lm_wino_ops *ops = plan->ops;
    void (*transform)(float *, ptrdiff_t, const float *, ptrdiff_t, ptrdiff_t, int) =
        source->edge == LM_WINO_IN ? ops->input : ops->gradient;
    int across = (place->cols - 1) * LM_WINO_OUT + source->edge;
    for (int from = 0; from < source->channels; from += ops->panel) {
        int rest = (int)lm_round_up(source->channels - from, ops->lanes);
        int width = rest < ops->panel ? rest : ops->panel;
        ptrdiff_t line = (ptrdiff_t)across * width;
        fill_strip(plan, source, place, rows, from, width, strip);
        float *v = to->data + from / ops->panel * to->panel + tile * to->tile;
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < place->cols; j++, v += to->tile)
                transform(v, to->plane,
                          strip + i * LM_WINO_OUT * line + j * LM_WINO_OUT * width, line,
                          width, width);
    }
}

void lm_wino_transform(const lm_wino_plan *plan, const lm_wino_source *source,
                       int64_t first, int64_t units, int64_t tile,
                       const lm_wino_planes *to, float *strip) {
    for (int64_t unit = first, end = first + units, rows; unit < end; unit += rows) {
        lm_wino_place place = lm_wino_find(plan, unit);
        rows = lm_least(end - unit, plan->rows - place.row);
        rows = lm_least(rows, lm_wino_chunk(plan));
        transform_column(plan, source, &place, (int)rows, tile, to, strip);
        tile += rows * place.cols;
    }
}

/* ---- memory ahead ------------------------------------------------------------ */

/* Where units are whole rows of tiles, what they need is one piece of memory; padding and
 * the rows that neighbours share make no difference here. */
void lm_wino_look_ahead(const lm_wino_plan *plan, const lm_wino_image *image,
                        const float *data, const lm_wino_slice *slice, int64_t tiles,
                        lm_wino_ahead *ahead, int i) {
    int64_t count = lm_least(slice->count, plan->units - slice->first);
    if (plan->pieces > 1 || count <= 0 || !data) return;
    int64_t pixel = image->channels * (int64_t)sizeof(float), pixels[2];
    for (int end = 0; end < 2; end++) {
        int64_t unit = end ? slice->first + count : slice->first;
        pixels[end] = unit / plan->rows * image->height +
                      lm_least(unit % plan->rows * LM_WINO_OUT, image->height);
        pixels[end] *= image->width;
    }
    int64_t all = pixels[1] - pixels[0];
    data += pixels[0] * image->channels + slice->from;
    lm_look_ahead(ahead, i, data, all * pixel, tiles);
    if (slice->width >= image->channels) return;
    ahead->range[i].piece = slice->width * (int64_t)sizeof(float);
    ahead->range[i].pitch = pixel;
    ahead->range[i].step = all / tiles + 1;
}

/* ---- weights ----------------------------------------------------------------- */

static int64_t packed_columns(const lm_wino_plan *plan) {
    return lm_round_up(plan->y.channels, plan->ops->lanes);
}

size_t lm_wino_packed_bytes(const lm_wino_plan *plan) {
    int64_t floats = LM_WINO_PLANES * plan->x.channels * packed_columns(plan);
    return (size_t)lm_round_up(floats * (int64_t)sizeof(float), 64);
}

int lm_wino_panel(const lm_wino_plan *plan, int64_t columns, int64_t start) {
    return lm_panel_width(plan->ops->panel, columns - start);
}

/* The first column of the panel that holds `col`. */
static int64_t panel_start(const lm_wino_plan *plan, int64_t columns, int64_t col) {
    int64_t start = col / plan->ops->panel * plan->ops->panel;
    for (int width; start + (width = lm_wino_panel(plan, columns, start)) <= col;)
        start += width;
    return start;
}

/* Nine taps of `lanes` filters side by side, for `count` channels in; zeros for filters
 * that do not exist. */
static void gather_taps(const lm_wino_weights *w, int64_t depth, int count, int64_t col,
                        int64_t columns, int lanes, float *taps) {
    int64_t filters = lm_least(lanes, columns - col);
    if (filters < lanes) memset(taps, 0, 9 * (size_t)(count * lanes) * sizeof *taps);
    for (int t = 0; t < 9; t++, taps += count * lanes) {
        const float *from = w->data + t * w->tap + depth * w->depth + col * w->width;
        if (w->depth == 1)
            lm_cpu_rows()->transpose(taps, lanes, from, w->width, count, filters);
        for (int d = 0; d < count && w->depth != 1; d++)
            memcpy(taps + d * lanes, from + d * w->depth, (size_t)filters * sizeof *taps);
    }
}

enum { GATHERED = 16, MOST_LANES = 16 };

/* Transformed weights of one vector of columns and up to GATHERED channels in, into the
 * panel that starts at column `start`. */
static void pack_vector(const lm_wino_plan *plan, const lm_wino_weights *w, int64_t depth,
                        int64_t col, int64_t start, float *panel) {
    const lm_wino_ops *ops = plan->ops;
    int64_t channels = plan->x.channels, columns = plan->y.channels;
    int count = (int)lm_least(GATHERED, channels - depth), lanes = ops->lanes;
    int width = lm_wino_panel(plan, packed_columns(plan), start);
    float *to = panel + depth * width + col - start;
    float taps[9 * GATHERED * MOST_LANES];
    bool direct = w->width == 1 && col + lanes <= columns;
    if (!direct) gather_taps(w, depth, count, col, columns, lanes, taps);
    for (int d = 0; d < count; d++, to += width) {
        const float *g =
            direct ? w->data + (depth + d) * w->depth + col : taps + d * lanes;
        ops->filter(to, channels * width, g, direct ? w->tap : (ptrdiff_t)count * lanes);
    }
}

void lm_wino_pack(const lm_wino_plan *plan, const lm_wino_weights *weights,
                  float *packed) {
    int64_t vectors = packed_columns(plan) / plan->ops->lanes;
    int64_t groups = (plan->x.channels + GATHERED - 1) / GATHERED;
#pragma omp parallel for schedule(static) num_threads(plan->threads)
    for (int64_t i = 0; i < vectors * groups; i++) {
        int64_t col = i / groups * plan->ops->lanes;
        int64_t start = panel_start(plan, packed_columns(plan), col);
        pack_vector(plan, weights, i % groups * GATHERED, col, start,
                    packed + LM_WINO_PLANES * plan->x.channels * start);
    }
}

static void pack_panel(const lm_wino_plan *plan, const lm_wino_weights *weights,
                       int64_t start, float *panel) {
    int width = lm_wino_panel(plan, packed_columns(plan), start);
    for (int64_t depth = 0; depth < plan->x.channels; depth += GATHERED)
        for (int64_t col = start; col < start + width; col += plan->ops->lanes)
            pack_vector(plan, weights, depth, col, start, panel);
}

/* ---- forward ----------------------------------------------------------------- */

/* Skewed by a vector, since planes a power of two apart would share few cache sets. */
static int64_t plane_floats(int64_t tiles, int64_t width, const lm_wino_ops *ops) {
    return lm_round_up(tiles, ops->rows) * width + 16;
}

static int64_t result_plane(const lm_wino_plan *plan) {
    return plane_floats(plan->tiles, plan->ops->panel, plan->ops);
}

static int64_t input_width(const lm_wino_plan *plan) {
    return lm_round_up(plan->x.channels, plan->ops->lanes);
}

static int64_t input_plane(const lm_wino_plan *plan) {
    int64_t tiles = plan->tiles;
    if (plan->shared) /* the last block's products read whole groups of rows */
        tiles = plan->batch * plan->rows * plan->cols + plan->ops->rows;
    return plane_floats(tiles, input_width(plan), plan->ops);
}

static int64_t shared_floats(const lm_wino_plan *plan) {
    return plan->shared ? LM_WINO_PLANES * input_plane(plan) : 0;
}

/* Of one thread; the planes of inputs among them unless shared, or a panel of weights. */
static int64_t thread_floats(const lm_wino_plan *plan) {
    int64_t planes = result_plane(plan) + (plan->shared ? 0 : input_plane(plan));
    if (plan->alone) planes += plan->x.channels * plan->ops->panel;
    return lm_round_up(LM_WINO_PLANES * planes + (int64_t)lm_wino_strip_floats(plan), 16);
}

static int64_t added_floats(const lm_wino_plan *plan) {
    return plan->batch * packed_columns(plan);
}

size_t lm_wino_forward_bytes(const lm_wino_plan *plan) {
    return sizeof(float) *
           (size_t)(lm_round_up(added_floats(plan), 16) + shared_floats(plan) +
                    plan->threads * thread_floats(plan));
}

typedef struct forward {
    const lm_wino_plan *plan;
    const lm_wino_around *around;
    const float *packed; /* or NULL */
    const lm_wino_weights *weights;
    float *y;
    float *added;   /* [N][columns]: bias + shift */
    float *results; /* this thread's planes of products */
    lm_wino_planes inputs;
    bool stream; /* results go past the cache */
    lm_shares *blocks;
} forward;

static void fill_added(const forward *f) {
    int64_t columns = packed_columns(f->plan), filters = f->plan->y.channels;
    const float *bias = f->around->bias, *shift = f->around->shift;
#pragma omp for schedule(static)
    for (int64_t n = 0; n < f->plan->batch; n++)
        for (int64_t k = 0; k < columns; k++) {
            float sum = bias && k < filters ? bias[k] : 0;
            if (shift && k < filters) sum += shift[n * filters + k];
            f->added[n * columns + k] = sum;
        }
}

/* Transforms back the results of a panel for the tiles of one unit; returns how many. */
static int put_unit(const forward *f, int64_t unit, int64_t tile, int64_t col,
                    int width) {
    const lm_wino_plan *plan = f->plan;
    const lm_wino_image *y = &plan->y;
    lm_wino_place place = lm_wino_find(plan, unit);
    int64_t top = place.row * LM_WINO_OUT, left = place.col * LM_WINO_OUT;
    int64_t at = ((place.sample * y->height + top) * y->width + left) * y->channels + col;
    lm_wino_target target = {.add = f->added + place.sample * packed_columns(plan) + col,
                             .row = y->width * y->channels,
                             .pixel = y->channels,
                             .rows = (int)lm_least(LM_WINO_OUT, y->height - top),
                             .channels = (int)lm_least(width, y->channels - col),
                             .stream = f->stream,
                             .act = f->around->after};
    for (int j = 0; j < place.cols; j++, left += LM_WINO_OUT) {
        target.y = f->y + at;
        if (f->around->residual) target.residual = f->around->residual + at;
        target.cols = (int)lm_least(LM_WINO_OUT, y->width - left);
        plan->ops->output(&target, f->results + (tile + j) * width, result_plane(plan));
        at += LM_WINO_OUT * y->channels;
    }
    return place.cols;
}

/* Register tiles of the product of a block with a panel, all planes. */
static int64_t count_tiles(const lm_wino_plan *plan, int tiles, int width) {
    int step = width == plan->ops->panel ? plan->ops->wide_rows : plan->ops->rows;
    return LM_WINO_PLANES * ((tiles + step - 1) / step);
}

/* One panel of results of a block, whose inputs start at `tile` of the planes. What the
 * panel's results are written over and added to comes while it is multiplied. */
static void put_panel(const forward *f, const float *panel, int64_t first, int64_t tile,
                      int64_t col, lm_wino_ahead *ahead) {
    const lm_wino_plan *plan = f->plan;
    int width = lm_wino_panel(plan, packed_columns(plan), col);
    int64_t depth = plan->x.channels, units = lm_wino_block_units(plan, first);
    const float *inputs = f->inputs.data + tile * f->inputs.tile;
    int tiles = (int)lm_wino_block_tiles(plan, first);
    lm_wino_slice slice = {first, units, col, width};
    int64_t steps = count_tiles(plan, tiles, width);
    if (!f->stream) lm_wino_look_ahead(plan, &plan->y, f->y, &slice, steps, ahead, 1);
    lm_wino_look_ahead(plan, &plan->y, f->around->residual, &slice, steps, ahead, 2);
    for (int p = 0; p < LM_WINO_PLANES; p++)
        plan->ops->multiply(f->results + p * result_plane(plan), width,
                            inputs + p * f->inputs.plane, f->inputs.tile,
                            panel + p * depth * width, tiles, (int)depth, ahead);
    for (int64_t unit = first, t = 0; unit < first + units; unit++)
        t += put_unit(f, unit, t, col, width);
}

static const float *find_panel(const forward *f, int64_t col) {
    return f->packed + LM_WINO_PLANES * f->plan->x.channels * col;
}

/* What the next block reads, during all panels of this one. */
static void look_ahead(const forward *f, const float *x, int64_t first,
                       lm_wino_ahead *ahead) {
    const lm_wino_plan *plan = f->plan;
    lm_wino_slice slice = {first, plan->block, 0, plan->x.channels};
    int64_t columns = packed_columns(plan), tiles = 0;
    for (int64_t col = 0, width; col < columns; col += width) {
        width = lm_wino_panel(plan, columns, col);
        tiles += count_tiles(plan, plan->tiles, (int)width);
    }
    lm_wino_look_ahead(plan, &plan->x, x, &slice, tiles, ahead, 0);
}

/* Each thread takes whole blocks. */
static void run_blocks(const forward *f, const lm_wino_source *source, float *strip) {
    const lm_wino_plan *plan = f->plan;
    int64_t columns = packed_columns(plan);
    LM_SHARES_EACH (f->blocks, b) {
        int64_t first = b * plan->block, units = lm_wino_block_units(plan, first);
        lm_wino_ahead ahead = {0};
        look_ahead(f, source->data, first + units, &ahead);
        lm_wino_transform(plan, source, first, units, 0, &f->inputs, strip);
        for (int64_t col = 0; col < columns; col += lm_wino_panel(plan, columns, col))
            put_panel(f, find_panel(f, col), first, 0, col, &ahead);
    }
}

/* By all threads of the region. */
static void transform_all(const forward *f, const lm_wino_source *source, float *strip) {
    const lm_wino_plan *plan = f->plan;
    LM_SHARES_EACH (f->blocks, b) {
        int64_t first = b * plan->block, units = lm_wino_block_units(plan, first);
        int64_t tile = lm_wino_find(plan, first).tile;
        lm_wino_transform(plan, source, first, units, tile, &f->inputs, strip);
    }
#pragma omp barrier
}

static void put_block(const forward *f, const float *panel, int64_t block, int64_t col) {
    int64_t first = block * f->plan->block;
    lm_wino_ahead ahead = {0};
    put_panel(f, panel, first, lm_wino_find(f->plan, first).tile, col, &ahead);
}

/* All tiles first, then each thread takes panels of blocks. */
static void run_shared(const forward *f, const lm_wino_source *source, float *strip) {
    const lm_wino_plan *plan = f->plan;
    int64_t columns = packed_columns(plan), vectors = columns / plan->ops->lanes;
    transform_all(f, source, strip);
#pragma omp for schedule(dynamic) collapse(2)
    for (int64_t v = 0; v < vectors; v++)
        for (int64_t b = 0; b < lm_wino_blocks(plan); b++) {
            int64_t col = v * plan->ops->lanes;
            if (panel_start(plan, columns, col) == col)
                put_block(f, find_panel(f, col), b, col);
        }
}

/* All tiles first, then each thread takes panels, whose weights it makes in `panel`. */
static void run_alone(const forward *f, const lm_wino_source *source, float *strip,
                      float *panel) {
    const lm_wino_plan *plan = f->plan;
    int64_t columns = packed_columns(plan), vectors = columns / plan->ops->lanes;
    transform_all(f, source, strip);
#pragma omp for schedule(dynamic)
    for (int64_t v = 0; v < vectors; v++) {
        int64_t col = v * plan->ops->lanes;
        if (panel_start(plan, columns, col) != col) continue;
        pack_panel(plan, f->weights, col, panel);
        for (int64_t b = 0; b < lm_wino_blocks(plan); b++) put_block(f, panel, b, col);
    }
}

void lm_wino_forward(const lm_wino_plan *plan, const float *x, const float *packed,
                     const lm_wino_weights *weights, const lm_wino_around *around,
                     float *y, void *workspace) {
    float *added = workspace;
    float *planes = added + lm_round_up(added_floats(plan), 16);
    float *areas = planes + shared_floats(plan);
    lm_wino_source source = {
        x, &plan->x, LM_WINO_IN, 0, plan->x.channels, around->norm, around->before};
    bool stream = plan->stream && lm_may_stream(y, plan->y.channels);
    lm_shares blocks;
    lm_shares_init(&blocks, lm_wino_blocks(plan), plan->threads);
#pragma omp parallel num_threads(plan->threads)
    {
        float *area = areas + omp_get_thread_num() * thread_floats(plan);
        forward f = {plan, around, packed, weights, y, added, area, {0}, stream, &blocks};
        float *rest = area + LM_WINO_PLANES * result_plane(plan);
        f.inputs = (lm_wino_planes){plan->shared ? planes : rest, input_plane(plan),
                                    plan->ops->panel, input_width(plan)};
        if (!plan->shared) rest += LM_WINO_PLANES * input_plane(plan);
        float *panel = rest + lm_wino_strip_floats(plan);
        fill_added(&f);
        if (!packed)
            run_alone(&f, &source, rest, panel);
        else if (plan->shared)
            run_shared(&f, &source, rest);
        else
            run_blocks(&f, &source, rest);
        lm_stream_end();
    }
}

/* ---- normalisation ----------------------------------------------------------- */

size_t lm_wino_norm_bytes(const lm_wino_plan *plan) {
    return (size_t)lm_round_up(plan->batch * 3 * input_width(plan), 16) * sizeof(float);
}

void lm_wino_fill_norm(const lm_wino_plan *plan, const lm_wino_norm *norm, float *table) {
    int64_t channels = plan->x.channels, group = channels / norm->groups;
#pragma omp parallel for schedule(static) num_threads(plan->threads)
    for (int64_t n = 0; n < plan->batch; n++) {
        const float *gamma = norm->gamma + (norm->gamma_by_sample ? n * channels : 0);
        const float *beta = norm->beta + (norm->beta_by_sample ? n * channels : 0);
        float *mean = table + n * 3 * input_width(plan);
        float *scale = mean + input_width(plan), *shift = scale + input_width(plan);
        for (int64_t c = 0; c < channels; c++) {
            const float *stats = norm->stats + (n * norm->groups + c / group) * 2;
            mean[c] = stats[0];
            scale[c] = stats[1] * gamma[c];
            shift[c] = beta[c];
        }
    }
}
