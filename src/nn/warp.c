#include "nn/warp.h"

#include <math.h>

/* Indices are computed in f32, which counts without gaps up to here. */
#define MOST_PIXELS ((int64_t)1 << 24)

enum { MAP = 6 };

/* Column `which` of [N,k], to be broadcast against [N,H,W]. */
static lm_node *pick(lm_graph *g, lm_node *numbers, int which) {
    lm_node *column = lm_slice_axis(g, numbers, 1, which, which + 1);
    if (!column) return NULL;
    return lm_reshape(g, column, LM_SHAPE(column->shape.dim[0], 1, 1));
}

/* Where along an axis each pixel of the result comes from: a pixel, and how far towards
 * the next one. */
typedef struct place {
    lm_node *near, *next; /* whole numbers */
    lm_node *share;       /* of `next`, 0 to 1 */
} place;

/* By the numbers `first` to first + 2 of the maps; `size` is the axis' length. */
static place find_place(lm_graph *g, lm_node *rows, lm_node *cols, lm_node *maps,
                        int first, int64_t size) {
    double last = (double)(size - 1);
    lm_node *at = lm_add(g, lm_mul(g, pick(g, maps, first), rows),
                         lm_mul(g, pick(g, maps, first + 1), cols));
    at = lm_add(g, at, lm_add_scalar(g, pick(g, maps, first + 2), 0.5 * last));
    at = lm_clamp(g, at, 0, last);
    lm_node *near = lm_ew1(g, LM_EW_FLOOR, at);
    lm_node *next = lm_min2(g, lm_add_scalar(g, near, 1), lm_const(g, last));
    return (place){near, next, lm_sub(g, at, near)};
}

/* 0 .. size-1 along an axis of [1,H,W], from the middle. */
static lm_node *centred(lm_graph *g, int64_t size, int axis) {
    lm_shape shape = LM_SHAPE(1, 1, 1);
    shape.dim[axis] = size;
    return lm_add_scalar(g, lm_iota(g, LM_F32, shape, axis), -0.5 * (double)(size - 1));
}

/* Pixels at whole rows and columns of the batch's images: [N H W, C]. `start` is each
 * image's first pixel. */
static lm_node *fetch(lm_graph *g, lm_node *pixels, lm_node *start, lm_node *row,
                      lm_node *col, int64_t width) {
    lm_node *index = lm_add(g, start, lm_add(g, lm_scale(g, row, (double)width), col));
    if (!index) return NULL;
    lm_shape flat = LM_SHAPE(lm_shape_count(index->shape));
    return lm_gather(g, pixels, lm_reshape(g, lm_cast(g, index, LM_I32), flat));
}

static lm_node *mix(lm_graph *g, lm_node *a, lm_node *b, lm_node *share) {
    return lm_add(g, a, lm_mul(g, share, lm_sub(g, b, a)));
}

static bool check(lm_graph *g, const lm_node *x, const lm_node *maps) {
    if (!x || !maps) return false;
    if (x->shape.rank == 4 && maps->shape.rank == 2 && maps->shape.dim[1] == MAP &&
        maps->shape.dim[0] == x->shape.dim[0] && lm_shape_count(x->shape) > 0 &&
        lm_shape_count(x->shape) / x->shape.dim[3] <= MOST_PIXELS)
        return true;
    char of[LM_SHAPE_TEXT], by[LM_SHAPE_TEXT];
    lm_graph_fail(g, LM_SHAPE, "warp: %s by %s: expected x[N,H,W,C] by maps[N,%d]",
                  lm_shape_text(x->shape, of), lm_shape_text(maps->shape, by), MAP);
    return false;
}

lm_node *lm_warp(lm_graph *g, lm_node *x, lm_node *maps) {
    if (!check(g, x, maps)) return NULL;
    lm_scope_push(g, "warp");
    const int64_t *d = x->shape.dim;
    int64_t height = d[1], width = d[2], count = d[0] * height * width;
    lm_node *rows = centred(g, height, 1), *cols = centred(g, width, 2);
    place y = find_place(g, rows, cols, maps, 0, height);
    place z = find_place(g, rows, cols, maps, 3, width);
    lm_node *start = lm_scale(g, lm_iota(g, LM_F32, LM_SHAPE(d[0], 1, 1), 0),
                              (double)(height * width));
    lm_node *pixels = lm_reshape(g, x, LM_SHAPE(count, d[3]));
    lm_node *right = lm_reshape(g, z.share, LM_SHAPE(count, 1));
    lm_node *down = lm_reshape(g, y.share, LM_SHAPE(count, 1));
    lm_node *above = mix(g, fetch(g, pixels, start, y.near, z.near, width),
                         fetch(g, pixels, start, y.near, z.next, width), right);
    lm_node *below = mix(g, fetch(g, pixels, start, y.next, z.near, width),
                         fetch(g, pixels, start, y.next, z.next, width), right);
    lm_node *seen = lm_reshape(g, mix(g, above, below, down), x->shape);
    lm_scope_pop(g);
    return seen;
}

/* ---- random maps ------------------------------------------------------------- */

bool lm_warp_changes(const lm_warp_spec *spec) {
    return spec->shift > 0 || spec->rotate > 0 || spec->scale > 0 || spec->slant > 0;
}

/* Random numbers of an image. */
enum { SHIFT_ROWS, SHIFT_COLS, ROTATE, SCALE, SLANT, NUMBERS };

/* Uniform between -range and range: [N,1]. */
static lm_node *vary(lm_graph *g, lm_node *numbers, int which, double range) {
    lm_node *column = lm_slice_axis(g, numbers, 1, which, which + 1);
    return lm_scale(g, lm_add_scalar(g, column, -0.5), 2 * range);
}

/* Slanted, then turned by a, scaled by k: rows and columns are
 *   k (cos a y - sin a (x + slant y)) and k (sin a y + cos a (x + slant y)). */
static lm_node *draw_maps(lm_graph *g, lm_node *numbers, const lm_warp_spec *spec) {
    lm_node *turn = vary(g, numbers, ROTATE, spec->rotate * M_PI / 180);
    lm_node *k = lm_exp(g, vary(g, numbers, SCALE, spec->scale));
    lm_node *slant = vary(g, numbers, SLANT, spec->slant);
    lm_node *cosine = lm_mul(g, k, lm_ew1(g, LM_EW_COS, turn));
    lm_node *sine = lm_mul(g, k, lm_ew1(g, LM_EW_SIN, turn));
    lm_node *parts[MAP] = {lm_sub(g, cosine, lm_mul(g, sine, slant)),
                           lm_neg(g, sine),
                           vary(g, numbers, SHIFT_ROWS, spec->shift),
                           lm_add(g, sine, lm_mul(g, cosine, slant)),
                           cosine,
                           vary(g, numbers, SHIFT_COLS, spec->shift)};
    return lm_concat(g, parts, MAP, 1);
}

lm_node *lm_nn_warp(lm_nn *nn, lm_node *x, const lm_warp_spec *spec) {
    if (!x || !lm_warp_changes(spec)) return x;
    lm_graph *g = nn->graph;
    lm_shape shape = LM_SHAPE(x->shape.dim[0], NUMBERS);
    lm_node *numbers = lm_uniform(g, nn->key, lm_nn_stream(nn), shape);
    return lm_warp(g, x, draw_maps(g, numbers, spec));
}
