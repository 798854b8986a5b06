/* builtin:digits: labelled grey digits drawn with a pen, 28x28 as MNIST has them.
 *
 * A digit is a few strokes through control points. Random are the form of the digit,
 * jitter of the control points, slant, size, turn, shift, an elastic field and the pen's
 * width. */
#include "data/builtin.h"

#include <math.h>

#define SIDE       28  /* of the page on which it is laid out */
#define MAX_POINTS 12  /* control points of a stroke */
#define MAX_PATH   400 /* points of all flattened strokes */
#define PIECES     8   /* segments between two control points of a curve */

typedef struct pen_point {
    float x, y; /* unit square, y down */
} pen_point;

typedef struct pen_stroke {
    int count;
    bool curved; /* through the points (Catmull and Rom 1974), else straight lines */
    pen_point at[MAX_POINTS];
} pen_stroke;

typedef struct pen_form {
    int digit, n_strokes;
    pen_stroke strokes[2];
} pen_form;

/* The ways in which each digit is written; equally likely within a digit. */
static const pen_form forms[] = {
    {0,
     1,
     {{9,
       true,
       {{.5f, 0},
        {.2f, .15f},
        {.1f, .5f},
        {.2f, .87f},
        {.5f, 1},
        {.8f, .86f},
        {.9f, .5f},
        {.78f, .13f},
        {.48f, 0}}}}},
    {1, 1, {{2, false, {{.5f, 0}, {.5f, 1}}}}},
    {1, 1, {{3, false, {{.28f, .22f}, {.54f, 0}, {.54f, 1}}}}},
    {1,
     2,
     {{3, false, {{.26f, .2f}, {.52f, 0}, {.52f, 1}}},
      {2, false, {{.25f, 1}, {.8f, 1}}}}},
    {2,
     1,
     {{8,
       true,
       {{.12f, .25f},
        {.28f, .04f},
        {.66f, .02f},
        {.84f, .24f},
        {.64f, .58f},
        {.14f, .96f},
        {.45f, .95f},
        {.92f, .94f}}}}},
    {2,
     1,
     {{9,
       true,
       {{.15f, .2f},
        {.5f, 0},
        {.82f, .24f},
        {.55f, .66f},
        {.22f, .95f},
        {.1f, .82f},
        {.3f, .78f},
        {.6f, .97f},
        {.95f, .9f}}}}},
    {3,
     1,
     {{9,
       true,
       {{.12f, .1f},
        {.5f, 0},
        {.8f, .2f},
        {.62f, .42f},
        {.4f, .47f},
        {.72f, .54f},
        {.88f, .76f},
        {.55f, 1},
        {.1f, .88f}}}}},
    {3,
     2,
     {{3, false, {{.12f, .02f}, {.82f, .02f}, {.42f, .42f}}},
      {5, true, {{.42f, .42f}, {.75f, .5f}, {.86f, .76f}, {.5f, 1}, {.1f, .88f}}}}},
    {4,
     2,
     {{3, false, {{.6f, 0}, {.08f, .64f}, {.94f, .64f}}},
      {2, false, {{.66f, .3f}, {.66f, 1}}}}},
    {4,
     2,
     {{4, true, {{.16f, .02f}, {.12f, .4f}, {.3f, .54f}, {.84f, .46f}}},
      {2, false, {{.82f, 0}, {.74f, 1}}}}},
    {5,
     2,
     {{3, false, {{.84f, .02f}, {.26f, .02f}, {.2f, .44f}}},
      {6,
       true,
       {{.2f, .44f}, {.5f, .36f}, {.84f, .52f}, {.8f, .86f}, {.48f, 1}, {.1f, .88f}}}}},
    {6,
     1,
     {{9,
       true,
       {{.74f, 0},
        {.4f, .22f},
        {.16f, .6f},
        {.24f, .92f},
        {.54f, 1},
        {.84f, .82f},
        {.74f, .56f},
        {.45f, .54f},
        {.18f, .74f}}}}},
    {7, 1, {{3, false, {{.08f, .03f}, {.9f, .03f}, {.38f, 1}}}}},
    {7,
     2,
     {{3, false, {{.08f, .06f}, {.88f, .02f}, {.42f, 1}}},
      {2, false, {{.28f, .5f}, {.82f, .48f}}}}},
    {8,
     1,
     {{10,
       true,
       {{.54f, .46f},
        {.2f, .28f},
        {.34f, .03f},
        {.68f, .03f},
        {.78f, .26f},
        {.46f, .5f},
        {.14f, .76f},
        {.48f, 1},
        {.84f, .78f},
        {.52f, .45f}}}}},
    {9,
     1,
     {{10,
       true,
       {{.8f, .2f},
        {.5f, 0},
        {.18f, .2f},
        {.28f, .48f},
        {.6f, .48f},
        {.8f, .22f},
        {.82f, .4f},
        {.78f, .62f},
        {.7f, .84f},
        {.58f, 1}}}}},
    {9,
     2,
     {{8,
       true,
       {{.78f, .14f},
        {.5f, 0},
        {.2f, .16f},
        {.2f, .42f},
        {.48f, .52f},
        {.72f, .38f},
        {.79f, .2f},
        {.78f, .14f}}},
      {2, false, {{.8f, .1f}, {.72f, 1}}}}},
};

static const pen_form *choose_form(int digit, lm_rng *rng) {
    const pen_form *found[4];
    uint32_t count = 0;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (forms[i].digit == digit) found[count++] = &forms[i];
    return found[lm_rng_below(rng, count)];
}

/* ---- from strokes to a path -------------------------------------------------- */

/* Points of all strokes; starts[i] marks the first point of a stroke. */
typedef struct pen_path {
    int count;
    pen_point at[MAX_PATH];
    bool starts[MAX_PATH];
} pen_path;

static void add_point(pen_path *path, pen_point p, bool starts) {
    if (path->count == MAX_PATH) return;
    path->at[path->count] = p;
    path->starts[path->count++] = starts;
}

static float spline(float a, float b, float c, float d, float t) {
    return b + 0.5f * t *
                   (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)));
}

static void flatten_stroke(const pen_stroke *stroke, pen_path *path) {
    const pen_point *p = stroke->at;
    int last = stroke->count - 1, pieces = PIECES;
    add_point(path, p[0], true);
    for (int i = 0; i < last; i++) {
        pen_point before = i ? p[i - 1] : p[i],
                  after = i + 2 <= last ? p[i + 2] : p[i + 1];
        for (int k = 1; k <= pieces; k++) {
            float t = (float)k / pieces;
            pen_point q = {p[i].x + t * (p[i + 1].x - p[i].x),
                           p[i].y + t * (p[i + 1].y - p[i].y)};
            if (stroke->curved)
                q = (pen_point){spline(before.x, p[i].x, p[i + 1].x, after.x, t),
                                spline(before.y, p[i].y, p[i + 1].y, after.y, t)};
            add_point(path, q, false);
        }
    }
}

static void write_form(const pen_form *form, lm_rng *rng, pen_path *path) {
    for (int s = 0; s < form->n_strokes; s++) {
        pen_stroke stroke = form->strokes[s];
        for (int i = 0; i < stroke.count; i++) {
            stroke.at[i].x += 0.035f * lm_exact_normal(rng);
            stroke.at[i].y += 0.035f * lm_exact_normal(rng);
        }
        flatten_stroke(&stroke, path);
    }
}

/* ---- the hand ---------------------------------------------------------------- */

/* Elastic noise: a few long waves that bend the plane (the idea of Simard, Steinkraus,
 * Platt 2003, with sines in place of a smoothed random field). */
static void bend(pen_path *path, lm_rng *rng) {
    enum { WAVES = 3 };
    float ax[WAVES], ay[WAVES], fx[WAVES], fy[WAVES], phase[WAVES];
    for (int w = 0; w < WAVES; w++) {
        ax[w] = lm_exact_uniform(rng, -0.03f, 0.03f);
        ay[w] = lm_exact_uniform(rng, -0.03f, 0.03f);
        fx[w] = lm_exact_uniform(rng, -7, 7);
        fy[w] = lm_exact_uniform(rng, -7, 7);
        phase[w] = lm_exact_uniform(rng, 0, 6.2831853f);
    }
    for (int i = 0; i < path->count; i++) {
        pen_point *p = &path->at[i];
        float dx = 0, dy = 0;
        for (int w = 0; w < WAVES; w++) {
            float wave = (float)lm_exact_sin(fx[w] * p->x + fy[w] * p->y + phase[w]);
            dx += ax[w] * wave;
            dy += ay[w] * wave;
        }
        p->x += dx;
        p->y += dy;
    }
}

/* Slant, size, turn and shift into pixels; the digit fills about 20 of 28 pixels. */
static void place(pen_path *path, lm_rng *rng) {
    float slant = lm_exact_uniform(rng, -0.25f, 0.4f),
          turn = 0.09f * lm_exact_normal(rng);
    float height = lm_exact_uniform(rng, 17.5f, 21),
          width = height * lm_exact_uniform(rng, 0.55f, 0.85f);
    float left = SIDE / 2.0f + lm_exact_uniform(rng, -1, 1),
          top = SIDE / 2.0f + lm_exact_uniform(rng, -1, 1);
    float c = (float)lm_exact_cos(turn), s = (float)lm_exact_sin(turn);
    for (int i = 0; i < path->count; i++) {
        pen_point *p = &path->at[i];
        float y = (p->y - 0.5f) * height, x = (p->x - 0.5f) * width - slant * y;
        *p = (pen_point){left + c * x - s * y, top + s * x + c * y};
    }
}

static float segment_distance(pen_point p, pen_point a, pen_point b) {
    float dx = b.x - a.x, dy = b.y - a.y, length = dx * dx + dy * dy;
    float t = length > 0 ? ((p.x - a.x) * dx + (p.y - a.y) * dy) / length : 0;
    t = t < 0 ? 0 : t > 1 ? 1 : t;
    dx = a.x + t * dx - p.x;
    dy = a.y + t * dy - p.y;
    return dx * dx + dy * dy;
}

/* ---- ink --------------------------------------------------------------------- */

/* Squared distances of the pixels' centres to the path, where they are below `far`. */
typedef struct pen_page {
    int side;
    float reach;
    float nearest[LM_MAX_DIGIT * LM_MAX_DIGIT];
} pen_page;

/* The pixels of one axis whose centres are within `reach` of [a, b]. */
static void pixels_near(const pen_page *page, float a, float b, int *first, int *last) {
    *first = (int)fmaxf(0, ceilf(fminf(a, b) - page->reach - 0.5f));
    *last = (int)fminf((float)page->side - 1, floorf(fmaxf(a, b) + page->reach - 0.5f));
}

/* Lowers the distances where this segment is near. */
static void approach(pen_page *page, pen_point a, pen_point b) {
    int top, bottom, left, right;
    pixels_near(page, a.y, b.y, &top, &bottom);
    pixels_near(page, a.x, b.x, &left, &right);
    for (int y = top; y <= bottom; y++)
        for (int x = left; x <= right; x++) {
            float d = segment_distance((pen_point){x + 0.5f, y + 0.5f}, a, b);
            float *nearest = &page->nearest[y * page->side + x];
            if (d < *nearest) *nearest = d;
        }
}

/* Ink falls off linearly over 1.2 pixels around the pen's edge. */
static void ink(const pen_path *path, float radius, int side, uint8_t *pixels) {
    pen_page page;
    int count = side * side;
    page.side = side;
    page.reach = radius + 0.6f;
    for (int i = 0; i < count; i++) page.nearest[i] = page.reach * page.reach;
    for (int i = 1; i < path->count; i++)
        if (!path->starts[i]) approach(&page, path->at[i - 1], path->at[i]);
    for (int i = 0; i < count; i++) {
        float cover = (page.reach - sqrtf(page.nearest[i])) / 1.2f;
        pixels[i] = cover <= 0 ? 0 : cover >= 1 ? 255 : (uint8_t)lrintf(255 * cover);
    }
}

void lm_draw_digit(lm_rng *rng, int32_t digit, int side, uint8_t *pixels) {
    pen_path path = {0};
    write_form(choose_form(digit, rng), rng, &path);
    bend(&path, rng);
    place(&path, rng);
    float radius = lm_exact_uniform(rng, 0.75f, 1.7f), scale = (float)side / SIDE;
    for (int i = 0; i < path.count; i++) {
        path.at[i].x *= scale;
        path.at[i].y *= scale;
    }
    ink(&path, radius * scale, side, pixels);
}

/* ---- the set ----------------------------------------------------------------- */

static void draw(lm_sketch *sketch, uint8_t *pixels) {
    lm_draw_digit(&sketch->rng, sketch->label, sketch->side, pixels);
}

const char *const lm_digit_names[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};

const lm_builtin lm_digits = {.name = "builtin:digits",
                              .what = "digits drawn with a pen",
                              .recipe = 2,
                              .smallest = SIDE,
                              .usual = SIDE,
                              .largest = LM_MAX_DIGIT,
                              .channels = 1,
                              .classes = 10,
                              .class_names = lm_digit_names,
                              .draw = draw};
