#include "image/resize.h"

#include "base/mem.h"
#include "image/taps_internal.h"

#include <string.h>

/* ---- passes ------------------------------------------------------------------ */

/* The first pass takes this many rows at a time, one a lane: every lane is summed in the
 * order of the taps, so results are the same whatever registers the machine has. */
enum { LANES = 8 };
/* In a register on every machine; wider ones GCC would pass through memory. */
typedef float quad __attribute__((vector_size(16), may_alias));
typedef struct lanes {
    quad low, high;
} lanes;

typedef struct passes {
    const lm_image *from;
    const lm_taps *across, *down;
    size_t line, row; /* samples in a row of the source and of the result */
    size_t pitch;     /* `row` up to twice LANES */
    uint8_t *mixed;   /* [line][LANES] */
    lanes *source;    /* [line] */
    float *ring; /* [ring_rows][pitch]: row y of the first pass is in y mod ring_rows */
    int ring_rows;
    const float **rows; /* [down->most], of the result's row in work */
} passes;

static float clip(float x) {
    return x < 0 ? 0 : x > 255 ? 255 : x;
}

/* Samples i of rows y to y + LANES - 1, side by side; rows after the last repeat it. */
static void load_rows(const passes *p, int y) {
    const uint8_t *rows[LANES];
    uint8_t *mixed = p->mixed;
    float *source = (float *)p->source;
    int last = p->from->height - 1;
    for (int r = 0; r < LANES; r++)
        rows[r] = p->from->pixels + (size_t)(y + r < last ? y + r : last) * p->line;
    for (size_t i = 0; i < p->line; i++)
        for (int r = 0; r < LANES; r++) mixed[i * LANES + r] = rows[r][i];
    for (size_t i = 0; i < p->line * LANES; i++) source[i] = mixed[i];
}

static void store_lanes(const passes *p, int y, size_t at, lanes sums) {
    for (int r = 0; r < LANES; r++)
        p->ring[(size_t)((y + r) % p->ring_rows) * p->pitch + at] =
            r < 4 ? sums.low[r & 3] : sums.high[r & 3];
}

static inline void add(lanes *sum, float weight, const lanes *from) {
    sum->low += weight * from->low;
    sum->high += weight * from->high;
}

static void sum_grey(const passes *p, int x, int y) {
    const lm_taps *t = p->across;
    const float *weight = t->weight + (size_t)x * t->most;
    const lanes *from = p->source + t->first[x];
    lanes sum = {{0}, {0}};
    for (int k = 0; k < t->count[x]; k++) add(&sum, weight[k], from + k);
    store_lanes(p, y, (size_t)x, sum);
}

static void sum_colour(const passes *p, int x, int y) {
    const lm_taps *t = p->across;
    const float *weight = t->weight + (size_t)x * t->most;
    const lanes *from = p->source + (size_t)t->first[x] * 3;
    lanes red = {{0}, {0}}, green = red, blue = red;
    for (int k = 0; k < t->count[x]; k++, from += 3) {
        add(&red, weight[k], from);
        add(&green, weight[k], from + 1);
        add(&blue, weight[k], from + 2);
    }
    store_lanes(p, y, (size_t)x * 3, red);
    store_lanes(p, y, (size_t)x * 3 + 1, green);
    store_lanes(p, y, (size_t)x * 3 + 2, blue);
}

/* Rows y to y + LANES - 1 of the first pass. */
static void resize_rows(const passes *p, int y) {
    int width = (int)p->row / p->from->channels;
    load_rows(p, y);
    for (int x = 0; x < width; x++)
        if (p->from->channels == 3)
            sum_colour(p, x, y);
        else
            sum_grey(p, x, y);
    for (int r = 0; r < LANES; r++) {
        float *row = p->ring + (size_t)((y + r) % p->ring_rows) * p->pitch;
        for (size_t i = 0; i < p->row; i++) row[i] = clip(row[i]);
    }
}

/* One row of results from those of the first pass, two lots of lanes at a time, so that
 * one is added while the other is fetched. */
static void resize_column(const passes *p, int y, uint8_t *to) {
    const lm_taps *t = p->down;
    const float *weight = t->weight + (size_t)y * t->most;
    for (int k = 0; k < t->count[y]; k++)
        p->rows[k] = p->ring + (size_t)((t->first[y] + k) % p->ring_rows) * p->pitch;
    for (size_t i = 0; i < p->row; i += 2 * LANES) {
        lanes sum[2] = {{{0}, {0}}, {{0}, {0}}};
        float sums[2 * LANES];
        for (int k = 0; k < t->count[y]; k++) {
            const lanes *from = (const lanes *)(p->rows[k] + i);
            add(&sum[0], weight[k], from);
            add(&sum[1], weight[k], from + 1);
        }
        memcpy(sums, sum, sizeof sums);
        size_t rest = p->row - i < 2 * LANES ? p->row - i : 2 * LANES;
        for (size_t r = 0; r < rest; r++) to[i + r] = (uint8_t)(clip(sums[r]) + 0.5f);
    }
}

/* Rows of the first pass are made when the second first needs them, and kept as long as
 * it may. */
static lm_status run_passes(const lm_image *from, const lm_taps *across,
                            const lm_taps *down, lm_image *to) {
    passes p = {.from = from,
                .across = across,
                .down = down,
                .line = (size_t)from->width * from->channels,
                .row = (size_t)to->width * to->channels,
                .ring_rows = down->most + LANES};
    p.pitch = (p.row + 2 * LANES - 1) / (2 * LANES) * (2 * LANES);
    p.mixed = lm_alloc(p.line * LANES);
    p.source = lm_alloc_aligned(p.line * sizeof *p.source);
    p.ring = lm_alloc_aligned((size_t)p.ring_rows * p.pitch * sizeof *p.ring);
    p.rows = lm_alloc((size_t)down->most * sizeof *p.rows);
    bool enough = p.mixed && p.source && p.ring && p.rows;
    for (int y = 0, made = 0; y < to->height && enough; y++) {
        for (; made < down->first[y] + down->count[y]; made += LANES)
            resize_rows(&p, made);
        resize_column(&p, y, to->pixels + (size_t)y * p.row);
    }
    lm_free(p.mixed);
    lm_free_aligned(p.source);
    lm_free_aligned(p.ring);
    lm_free(p.rows);
    return enough ? LM_OK : LM_NOMEM;
}

lm_status lm_image_resize(const lm_image *from, int height, int width, lm_filter filter,
                          lm_image *to) {
    LM_TRY(lm_check_new_sides(height, width));
    lm_taps across = {0}, down = {0};
    lm_image made = {0};
    lm_status status;
    LM_TRY_GOTO(done, lm_image_init(&made, width, height, from->channels));
    LM_TRY_GOTO(done, lm_taps_filter(&across, from->width, width, filter));
    bool alike = from->width == from->height && width == height;
    if (!alike) LM_TRY_GOTO(done, lm_taps_filter(&down, from->height, height, filter));
    LM_TRY_GOTO(done, run_passes(from, &across, alike ? &across : &down, &made));
    *to = made;
    made = (lm_image){0};
done:
    lm_taps_release(&across);
    lm_taps_release(&down);
    lm_image_release(&made);
    return status;
}
