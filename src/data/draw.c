#include "data/draw.h"

#include <math.h>

static float least(float a, float b) {
    return a < b ? a : b;
}

static float most(float a, float b) {
    return a > b ? a : b;
}

static float clip(float x, float low, float high) {
    return most(low, least(high, x));
}

/* ---- distances --------------------------------------------------------------- */

/* Each goes along a row of points, in loops that compilers turn into vectors. */

/* f = |p / r| - 1, whose gradient is known; exact for a circle. The small numbers are for
 * the centre. */
static float ellipse_distance(float x, float y, float rx, float ry) {
    float u = x / rx, v = y / ry, du = u / rx, dv = v / ry;
    float length = sqrtf(u * u + v * v), slope = sqrtf(du * du + dv * dv);
    return (length + 1e-6f) * (length - 1) / (slope + 1e-6f / least(rx, ry));
}

static void ellipse(const lm_form *form, int n, const float *x, const float *y,
                    float *d) {
    float rx = form->measures[0], ry = form->measures[1];
    for (int i = 0; i < n; i++) d[i] = ellipse_distance(x[i], y[i], rx, ry);
}

static void egg(const lm_form *form, int n, const float *x, const float *y, float *d) {
    float rx = form->measures[0], ry = form->measures[1], taper = form->measures[2];
    for (int i = 0; i < n; i++) {
        float wide = 1 - taper * clip(y[i] / ry, -1.2f, 1.2f);
        d[i] = ellipse_distance(x[i] / wide, y[i], rx, ry) * least(1, wide);
    }
}

static void box(const lm_form *form, int n, const float *x, const float *y, float *d) {
    float corner = form->measures[2];
    float rx = form->measures[0] - corner, ry = form->measures[1] - corner;
    for (int i = 0; i < n; i++) {
        float u = fabsf(x[i]) - rx, v = fabsf(y[i]) - ry;
        float du = most(u, 0), dv = most(v, 0);
        d[i] = sqrtf(du * du + dv * dv) + least(most(u, v), 0) - corner;
    }
}

static void stroke(const lm_form *form, int n, const float *x, const float *y, float *d) {
    float half = form->measures[0], bend = form->measures[1];
    float radius = form->measures[2], taper = form->measures[3];
    for (int i = 0; i < n; i++) {
        float t = clip(x[i] / half, -1, 1), slope = 2 * bend * t / half;
        float rise = y[i] - bend * (1 - t * t), past = most(fabsf(x[i]) - half, 0);
        float across = rise * rise / (past > 0 ? 1 : 1 + slope * slope);
        d[i] = sqrtf(past * past + across) - radius * (1 - taper * t * t);
    }
}

static void lens(const lm_form *form, int n, const float *x, const float *y, float *d) {
    float half = form->measures[0], top = form->measures[1], bottom = form->measures[2];
    for (int i = 0; i < n; i++) {
        float t = x[i] / half, full = 1 - t * t;
        float over =
            (top * full - y[i]) / sqrtf(1 + 4 * top * top * t * t / (half * half));
        float under = (y[i] - bottom * full) /
                      sqrtf(1 + 4 * bottom * bottom * t * t / (half * half));
        d[i] = most(most(over, under), fabsf(x[i]) - half);
    }
}

/* The nearest edge, negative after an odd number of edges crossed on the way out. */
static void polygon(const lm_form *form, int n, const float *x, const float *y,
                    float *d) {
    float size = form->measures[0], corner = form->measures[1], side[LM_CANVAS_SIDE];
    for (int i = 0; i < n; i++) d[i] = 1e6f, side[i] = 1;
    for (int k = 0; k < form->n_points; k++) {
        lm_point p = form->points[k], q = form->points[(k + 1) % form->n_points];
        float px = p.x * size, py = p.y * size;
        float ex = (q.x - p.x) * size, ey = (q.y - p.y) * size;
        float per_length = 1 / (ex * ex + ey * ey);
        for (int i = 0; i < n; i++) {
            float u = x[i] - px, v = y[i] - py;
            float t = clip((u * ex + v * ey) * per_length, 0, 1);
            float du = u - t * ex, dv = v - t * ey, turn = ex * v - ey * u;
            d[i] = least(d[i], du * du + dv * dv);
            bool begun = v >= 0, ended = !(v < ey), right = turn > 0;
            bool crossed = begun != ended && begun == right;
            side[i] = crossed ? -side[i] : side[i];
        }
    }
    for (int i = 0; i < n; i++) d[i] = side[i] * sqrtf(d[i]) - corner;
}

/* Two half discs on the upper sides of a square that stands on its corner. */
static void heart(const lm_form *form, int n, const float *x, const float *y, float *d) {
    float size = form->measures[0];
    for (int i = 0; i < n; i++) {
        float u = fabsf(x[i]) / size, v = 0.55f - y[i] / size; /* the tip is at (0, 0) */
        float cu = u - 0.25f, cv = v - 0.75f, t = 0.5f * most(u + v, 0);
        float disc = sqrtf(cu * cu + cv * cv) - 0.35355339f;
        float notch = u * u + (v - 1) * (v - 1),
              edge = (u - t) * (u - t) + (v - t) * (v - t);
        float wedge = sqrtf(least(notch, edge));
        d[i] = size * (u + v > 1 ? disc : u > v ? wedge : -wedge);
    }
}

/* ---- forms ------------------------------------------------------------------- */

lm_form lm_form_ellipse(float x, float y, float half_width, float half_height) {
    return (lm_form){.distances = ellipse,
                     .x = x,
                     .y = y,
                     .cos = 1,
                     .measures = {half_width, half_height},
                     .half_width = half_width,
                     .half_height = half_height};
}

lm_form lm_form_egg(float x, float y, float half_width, float half_height, float taper) {
    lm_form form = lm_form_ellipse(x, y, half_width, half_height);
    form.distances = egg;
    form.measures[2] = taper;
    form.half_width *= 1 + fabsf(taper);
    return form;
}

lm_form lm_form_box(float x, float y, float half_width, float half_height, float corner) {
    lm_form form = lm_form_ellipse(x, y, half_width, half_height);
    form.distances = box;
    form.measures[2] = corner;
    return form;
}

lm_form lm_form_stroke(float x, float y, float half, float bend, float radius,
                       float taper) {
    return (lm_form){.distances = stroke,
                     .x = x,
                     .y = y,
                     .cos = 1,
                     .measures = {half, bend, radius, taper},
                     .half_width = half + radius,
                     .half_height = fabsf(bend) + radius};
}

lm_form lm_form_lens(float x, float y, float half, float top, float bottom) {
    return (lm_form){.distances = lens,
                     .x = x,
                     .y = y,
                     .cos = 1,
                     .measures = {half, top, bottom},
                     .half_width = half,
                     .half_height = most(fabsf(top), fabsf(bottom))};
}

lm_form lm_form_polygon(float x, float y, float size, const lm_point *points,
                        int n_points, float corner) {
    lm_form form = {.distances = polygon,
                    .x = x,
                    .y = y,
                    .cos = 1,
                    .measures = {size, corner},
                    .points = points,
                    .n_points = n_points};
    for (int i = 0; i < n_points; i++) {
        form.half_width = most(form.half_width, fabsf(points[i].x) * size + corner);
        form.half_height = most(form.half_height, fabsf(points[i].y) * size + corner);
    }
    return form;
}

lm_form lm_form_heart(float x, float y, float size) {
    return (lm_form){.distances = heart,
                     .x = x,
                     .y = y,
                     .cos = 1,
                     .measures = {size},
                     .half_width = 0.61f * size,
                     .half_height = 0.56f * size};
}

lm_form lm_form_line(lm_form form, float half_width) {
    form.shell = half_width;
    return form;
}

lm_form lm_form_turn(lm_form form, lm_point pivot, float cos, float sin) {
    float x = form.x - pivot.x, y = form.y - pivot.y, c = form.cos, s = form.sin;
    form.x = pivot.x + cos * x - sin * y;
    form.y = pivot.y + sin * x + cos * y;
    form.cos = cos * c - sin * s;
    form.sin = sin * c + cos * s;
    return form;
}

/* ---- paint ------------------------------------------------------------------- */

lm_paint lm_paint_plain(lm_colour colour) {
    return (lm_paint){.from = colour, .to = colour};
}

lm_paint lm_paint_between(lm_colour from, lm_point start, lm_colour to, lm_point end) {
    float x = end.x - start.x, y = end.y - start.y, square = x * x + y * y;
    lm_paint paint = {.from = from, .to = to, .ax = x / square, .ay = y / square};
    paint.at = -(start.x * paint.ax + start.y * paint.ay);
    return paint;
}

/* A row of pixels while layers are laid over it. */
typedef struct paint_row {
    int side;
    float pixel;                /* the side of one */
    float y, x[LM_CANVAS_SIDE]; /* of the pixels' centres */
    float red[LM_CANVAS_SIDE], green[LM_CANVAS_SIDE], blue[LM_CANVAS_SIDE];
    float form_x[LM_CANVAS_SIDE], form_y[LM_CANVAS_SIDE]; /* in a form's coordinates */
} paint_row;

/* Narrows [first, last] to the columns where the form's box, grown by the blur, crosses
 * the row; false where none does. */
static bool reach(const paint_row *row, const lm_form *form, float blur, int *first,
                  int *last) {
    if (!form->distances) return true;
    float margin = blur + form->shell, c = fabsf(form->cos), s = fabsf(form->sin);
    float width = c * form->half_width + s * form->half_height + margin;
    float height = s * form->half_width + c * form->half_height + margin;
    if (fabsf(row->y - form->y) > height) return false;
    float left = (form->x - width - row->x[0]) / row->pixel;
    float right = (form->x + width - row->x[0]) / row->pixel + 1;
    if (right < 0 || left > (float)row->side) return false;
    if (left > (float)*first) *first = (int)left;
    if (right < (float)*last) *last = (int)right;
    return *first <= *last;
}

static void measure(paint_row *row, const lm_form *form, int first, int n,
                    float *distance) {
    float c = form->cos, s = form->sin, v = row->y - form->y;
    for (int i = 0; i < n; i++) {
        float u = row->x[first + i] - form->x;
        row->form_x[i] = c * u + s * v;
        row->form_y[i] = c * v - s * u;
    }
    form->distances(form, n, row->form_x, row->form_y, distance);
    for (int i = 0; i < n && form->shell > 0; i++)
        distance[i] = fabsf(distance[i]) - form->shell;
}

/* How much of each pixel the layer covers. */
static void cover(paint_row *row, const lm_layer *layer, float blur, int first, int n,
                  float *covered) {
    float cut[LM_CANVAS_SIDE], *d = covered;
    if (layer->form.distances)
        measure(row, &layer->form, first, n, d);
    else
        for (int i = 0; i < n; i++) d[i] = -1e6f;
    if (layer->without) {
        measure(row, layer->without, first, n, cut);
        for (int i = 0; i < n; i++) d[i] = most(d[i], -cut[i]);
    }
    bool soft = blur > 1.5f * row->pixel;
    float per_blur = 1 / blur, per_pixel = 1 / row->pixel;
    for (int i = 0; i < n; i++) {
        float t = clip(0.5f - d[i] * per_blur, 0, 1);
        covered[i] = layer->opacity * (soft ? t * t * (3 - 2 * t) : t);
    }
    if (!layer->within) return;
    measure(row, layer->within, first, n, cut);
    for (int i = 0; i < n; i++) covered[i] *= clip(0.5f - cut[i] * per_pixel, 0, 1);
}

static void blend(float *channel, int n, const float *covered, const float *share,
                  float from, float to) {
    for (int i = 0; i < n; i++)
        channel[i] += covered[i] * (from + share[i] * (to - from) - channel[i]);
}

static void lay(paint_row *row, const lm_layer *layer) {
    float covered[LM_CANVAS_SIDE], share[LM_CANVAS_SIDE];
    float blur = most(layer->blur, row->pixel);
    int first = 0, last = row->side - 1;
    if (!reach(row, &layer->form, blur, &first, &last)) return;
    if (layer->within && !reach(row, layer->within, row->pixel, &first, &last)) return;
    int n = last - first + 1;
    cover(row, layer, blur, first, n, covered);
    const lm_paint *paint = &layer->paint;
    float start = paint->ay * row->y + paint->at;
    for (int i = 0; i < n; i++)
        share[i] = clip(paint->ax * row->x[first + i] + start, 0, 1);
    blend(row->red + first, n, covered, share, paint->from.r, paint->to.r);
    blend(row->green + first, n, covered, share, paint->from.g, paint->to.g);
    blend(row->blue + first, n, covered, share, paint->from.b, paint->to.b);
}

/* Colours lie in [0, 1], and so does what is between them, but for a rounding. */
static uint8_t to_byte(float colour) {
    return (uint8_t)(int)(255 * colour + 0.5f);
}

void lm_draw_layers(const lm_layer *layers, int n, lm_window window, int side,
                    uint8_t *pixels) {
    paint_row row = {.side = side, .pixel = 2 * window.reach / (float)side};
    for (int x = 0; x < side; x++)
        row.x[x] = window.x - window.reach + ((float)x + 0.5f) * row.pixel;
    for (int y = 0; y < side; y++) {
        row.y = window.y - window.reach + ((float)y + 0.5f) * row.pixel;
        for (int x = 0; x < side; x++) row.red[x] = row.green[x] = row.blue[x] = 0;
        for (int i = 0; i < n; i++) lay(&row, &layers[i]);
        for (int x = 0; x < side; x++) {
            *pixels++ = to_byte(row.red[x]);
            *pixels++ = to_byte(row.green[x]);
            *pixels++ = to_byte(row.blue[x]);
        }
    }
}
