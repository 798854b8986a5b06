#include "nn/diffaugment.h"

#include <math.h>
#include <string.h>

/* Shares of the image's height and width, as in the paper. */
#define SHIFT_RATIO  0.125
#define CUTOUT_RATIO 0.5

static const struct {
    const char *name;
    unsigned part;
} policies[] = {{"color", LM_DIFFAUGMENT_COLOR},
                {"translation", LM_DIFFAUGMENT_TRANSLATION},
                {"cutout", LM_DIFFAUGMENT_CUTOUT}};
enum { N_POLICIES = sizeof policies / sizeof *policies };

static unsigned find_part(const char *name, size_t length) {
    for (int i = 0; i < N_POLICIES; i++)
        if (strlen(policies[i].name) == length &&
            strncmp(name, policies[i].name, length) == 0)
            return policies[i].part;
    return 0;
}

lm_status lm_diffaugment_parse(const char *policy, unsigned *parts) {
    *parts = 0;
    if (!*policy) return LM_OK;
    for (const char *word = policy;; word++) {
        size_t length = strcspn(word, ",");
        unsigned part = find_part(word, length);
        LM_RETURN_IF(!part || *parts & part, LM_ARG,
                     "augmentation '%s': expected color, translation and cutout, each "
                     "at most once, with commas between",
                     policy);
        *parts |= part;
        word += length;
        if (!*word) return LM_OK;
    }
}

/* ---- parts, on planes [N,C,H,W] ---------------------------------------------- */

/* Two or three colours side by side are slow to sum and to broadcast along. */
static const int to_planes[] = {0, 3, 1, 2}, from_planes[] = {0, 2, 3, 1};
static const int swap_sides[] = {0, 1, 3, 2};
enum { COLORS = 1, ROWS = 2, COLS = 3 };

/* One number an image, to be broadcast against its pixels. */
static lm_node *pick(lm_graph *g, lm_node *numbers, lm_diffaugment_number which) {
    lm_node *column = lm_slice_axis(g, numbers, 1, which, which + 1);
    if (!column) return NULL;
    return lm_reshape(g, column, LM_SHAPE(column->shape.dim[0], 1, 1, 1));
}

/* Brightness b, then saturation s about the pixel's mean over colours m, then contrast c
 * about the mean M of the image, as one sum: c s x + c (1 - s) m + (1 - c) M + b. */
static lm_node *change_color(lm_graph *g, lm_node *x, lm_node *numbers) {
    lm_node *b = lm_add_scalar(g, pick(g, numbers, LM_DIFFAUGMENT_BRIGHTNESS), -0.5);
    lm_node *s = lm_scale(g, pick(g, numbers, LM_DIFFAUGMENT_SATURATION), 2);
    lm_node *c = lm_add_scalar(g, pick(g, numbers, LM_DIFFAUGMENT_CONTRAST), 0.5);
    lm_node *one = lm_const(g, 1), *strength = lm_mul(g, c, s);
    lm_node *pixel = lm_mean(g, x, 1u << COLORS, true);
    lm_node *image = lm_mean(g, pixel, 1u << ROWS | 1u << COLS, true);
    lm_node *level = lm_add(g, lm_mul(g, image, lm_sub(g, one, c)), b);
    lm_node *base = lm_add(g, lm_mul(g, pixel, lm_sub(g, c, strength)), level);
    return lm_add(g, lm_mul(g, x, strength), base);
}

/* 0 .. count-1. The numbers have 24 bits, so that even f32 never rounds up to `count`. */
static lm_node *choose(lm_graph *g, lm_node *numbers, lm_diffaugment_number which,
                       int64_t count) {
    lm_node *scaled = lm_scale(g, pick(g, numbers, which), (double)count);
    return lm_ew1(g, LM_EW_FLOOR, scaled);
}

static int64_t share_of(int64_t size, double ratio) {
    return (int64_t)floor((double)size * ratio + 0.5);
}

static lm_node *is_within(lm_graph *g, lm_node *value, lm_node *low, int64_t length) {
    lm_node *end = lm_add_scalar(g, low, (double)length);
    return lm_ew2(g, LM_EW_AND, lm_le(g, low, value), lm_lt(g, value, end));
}

/* Row y of each plane becomes its row y + shift, or 0. Whole rows are copied; indices are
 * exact in f32 as long as a batch has fewer than 2^24 rows. */
static lm_node *shift_rows(lm_graph *g, lm_node *x, lm_node *numbers,
                           lm_diffaugment_number which) {
    if (!x) return NULL;
    const int64_t *d = x->shape.dim;
    int64_t rows = d[ROWS], planes = d[0] * d[COLORS], most = share_of(rows, SHIFT_RATIO);
    lm_shape shape = LM_SHAPE(d[0], d[COLORS], rows, 1);
    lm_node *shift = lm_add_scalar(g, choose(g, numbers, which, 2 * most + 1), -most);
    lm_node *row = lm_add(g, lm_iota(g, LM_F32, LM_SHAPE(1, 1, rows, 1), ROWS), shift);
    lm_node *inside = is_within(g, row, lm_const(g, 0), rows);
    lm_node *kept =
        lm_reshape(g, lm_broadcast(g, lm_clamp(g, row, 0, (double)(rows - 1)), shape),
                   LM_SHAPE(planes, rows));
    lm_node *plane = lm_iota(g, LM_F32, LM_SHAPE(planes, rows), 0);
    lm_node *index = lm_add(g, lm_scale(g, plane, (double)rows), kept);
    index = lm_reshape(g, lm_cast(g, index, LM_I32), LM_SHAPE(planes * rows));
    lm_node *flat = lm_reshape(g, x, LM_SHAPE(planes * rows, d[COLS]));
    lm_node *moved = lm_reshape(g, lm_gather(g, flat, index), x->shape);
    return lm_where(g, inside, moved, lm_const(g, 0));
}

static lm_node *translate(lm_graph *g, lm_node *x, lm_node *numbers) {
    x = shift_rows(g, x, numbers, LM_DIFFAUGMENT_SHIFT_ROWS);
    x = lm_permute(g, x, swap_sides);
    x = shift_rows(g, x, numbers, LM_DIFFAUGMENT_SHIFT_COLS);
    return lm_permute(g, x, swap_sides);
}

/* Where along an axis the rectangle is. An even one has its middle between two pixels, or
 * at either end. */
static lm_node *is_cut(lm_graph *g, lm_node *x, int axis, lm_node *numbers,
                       lm_diffaugment_number which) {
    if (!x) return NULL;
    int64_t size = x->shape.dim[axis], length = share_of(size, CUTOUT_RATIO);
    lm_shape shape = LM_SHAPE(1, 1, 1, 1);
    shape.dim[axis] = size;
    lm_node *middle = choose(g, numbers, which, size + 1 - length % 2);
    lm_node *first = lm_add_scalar(g, middle, -(double)(length / 2));
    return is_within(g, lm_iota(g, LM_F32, shape, axis), first, length);
}

static lm_node *cut_out(lm_graph *g, lm_node *x, lm_node *numbers) {
    lm_node *rows = is_cut(g, x, ROWS, numbers, LM_DIFFAUGMENT_CUTOUT_ROWS);
    lm_node *cols = is_cut(g, x, COLS, numbers, LM_DIFFAUGMENT_CUTOUT_COLS);
    lm_node *zero = lm_const(g, 0);
    return lm_where(g, rows, lm_where(g, cols, zero, x), x);
}

/* ---- all together ------------------------------------------------------------ */

static bool check_images(lm_graph *g, const char *what, const lm_node *x) {
    if (!x) return false;
    if (x->shape.rank == 4 && lm_shape_count(x->shape) > 0) return true;
    char text[LM_SHAPE_TEXT];
    lm_graph_fail(g, LM_SHAPE, "%s: needs x[N,H,W,C], got %s", what,
                  lm_shape_text(x->shape, text));
    return false;
}

lm_node *lm_diffaugment(lm_graph *g, lm_node *x, unsigned parts, lm_node *numbers) {
    if (!check_images(g, "augmentation", x) || !numbers) return NULL;
    lm_shape want = LM_SHAPE(x->shape.dim[0], LM_DIFFAUGMENT_NUMBERS);
    if (!lm_shape_equal(numbers->shape, want))
        return lm_graph_fail(g, LM_SHAPE, "augmentation: needs %d numbers an image",
                             LM_DIFFAUGMENT_NUMBERS);
    if (!parts) return x;
    lm_scope_push(g, "augment");
    x = lm_permute(g, x, to_planes);
    if (parts & LM_DIFFAUGMENT_COLOR) x = change_color(g, x, numbers);
    if (parts & LM_DIFFAUGMENT_TRANSLATION) x = translate(g, x, numbers);
    if (parts & LM_DIFFAUGMENT_CUTOUT) x = cut_out(g, x, numbers);
    x = lm_permute(g, x, from_planes);
    lm_scope_pop(g);
    return x;
}

lm_node *lm_nn_diffaugment(lm_nn *nn, lm_node *x, unsigned parts) {
    if (!check_images(nn->graph, "augmentation", x)) return NULL;
    lm_shape shape = LM_SHAPE(x->shape.dim[0], LM_DIFFAUGMENT_NUMBERS);
    lm_node *numbers = lm_uniform(nn->graph, nn->key, lm_nn_stream(nn), shape);
    return lm_diffaugment(nn->graph, x, parts, numbers);
}

lm_node *lm_flip(lm_graph *g, lm_node *x, lm_node *numbers) {
    if (!check_images(g, "flip", x) || !numbers) return NULL;
    if (!lm_shape_equal(numbers->shape, LM_SHAPE(x->shape.dim[0])))
        return lm_graph_fail(g, LM_SHAPE, "flip: needs a number an image");
    lm_node *column = lm_reshape(g, numbers, LM_SHAPE(x->shape.dim[0], 1, 1, 1));
    lm_node *flips = lm_lt(g, column, lm_const(g, 0.5));
    return lm_where(g, flips, lm_reverse(g, x, 1u << 2), x);
}

lm_node *lm_nn_flip(lm_nn *nn, lm_node *x) {
    if (!check_images(nn->graph, "flip", x)) return NULL;
    lm_shape shape = LM_SHAPE(x->shape.dim[0]);
    return lm_flip(nn->graph, x, lm_uniform(nn->graph, nn->key, lm_nn_stream(nn), shape));
}
