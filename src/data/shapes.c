/* builtin:shapes: coloured scenes with one large shape, which is the class, on a gradient
 * with soft patches, among small shapes that do not count. */
#include "data/builtin.h"
#include "data/draw.h"

enum { CIRCLE, SQUARE, TRIANGLE, STAR, RING, CROSS, CRESCENT, HEART, ARROW, HEXAGON };
static const char *const class_names[] = {"circle", "square", "triangle", "star",
                                          "ring",   "cross",  "crescent", "heart",
                                          "arrow",  "hexagon"};
enum { N_SHAPES = sizeof class_names / sizeof *class_names };

/* The factors, all of the large shape; hue from pink to violet. */
enum { ACROSS, DOWN, SIZE, TURN, HUE };
static const lm_factor factors[] = {
    [ACROSS] = {.name = "x"},  [DOWN] = {.name = "y"},  [SIZE] = {.name = "size"},
    [TURN] = {.name = "turn"}, [HUE] = {.name = "hue"},
};

/* ---- outlines, of radius 1 or so --------------------------------------------- */

static const lm_point triangle[] = {{0, -1}, {0.87f, 0.5f}, {-0.87f, 0.5f}};
static const lm_point star[] = {{0, -1},           {0.247f, -0.34f}, {0.951f, -0.309f},
                                {0.4f, 0.13f},     {0.588f, 0.809f}, {0, 0.42f},
                                {-0.588f, 0.809f}, {-0.4f, 0.13f},   {-0.951f, -0.309f},
                                {-0.247f, -0.34f}};
static const lm_point cross[] = {{-0.3f, -0.92f}, {0.3f, -0.92f},  {0.3f, -0.3f},
                                 {0.92f, -0.3f},  {0.92f, 0.3f},   {0.3f, 0.3f},
                                 {0.3f, 0.92f},   {-0.3f, 0.92f},  {-0.3f, 0.3f},
                                 {-0.92f, 0.3f},  {-0.92f, -0.3f}, {-0.3f, -0.3f}};
static const lm_point arrow[] = {{0, -1},        {0.75f, -0.1f}, {0.27f, -0.1f},
                                 {0.27f, 0.9f},  {-0.27f, 0.9f}, {-0.27f, -0.1f},
                                 {-0.75f, -0.1f}};
static const lm_point hexagon[] = {{0, -0.95f}, {0.823f, -0.475f}, {0.823f, 0.475f},
                                   {0, 0.95f},  {-0.823f, 0.475f}, {-0.823f, -0.475f}};

/* A shape and what is cut out of it. */
typedef struct figure {
    lm_form form, hole;
    bool has_hole;
} figure;

static const struct {
    const lm_point *points;
    int n_points;
} outlines[N_SHAPES] = {
#define OUTLINE(points)                                                                  \
    { points, sizeof points / sizeof *points }
    [TRIANGLE] = OUTLINE(triangle), [STAR] = OUTLINE(star),
    [CROSS] = OUTLINE(cross),       [ARROW] = OUTLINE(arrow),
    [HEXAGON] = OUTLINE(hexagon),
#undef OUTLINE
};

static lm_form form_of(int shape, lm_point at, float size) {
    switch (shape) {
    case CIRCLE:
        return lm_form_ellipse(at.x, at.y, 0.88f * size, 0.88f * size);
    case CRESCENT:
        return lm_form_ellipse(at.x, at.y, 0.95f * size, 0.95f * size);
    case SQUARE:
        return lm_form_box(at.x, at.y, 0.78f * size, 0.78f * size, 0.06f * size);
    case HEART:
        return lm_form_heart(at.x, at.y, 1.65f * size);
    case RING:
        return lm_form_line(lm_form_ellipse(at.x, at.y, 0.72f * size, 0.72f * size),
                            0.2f * size);
    default:
        return lm_form_polygon(at.x, at.y, size, outlines[shape].points,
                               outlines[shape].n_points, 0.04f * size);
    }
}

/* `turn` in turns. */
static figure make_figure(int shape, lm_point at, float size, float turn) {
    float c = (float)lm_exact_cos(LM_TAU * turn), s = (float)lm_exact_sin(LM_TAU * turn);
    figure made = {.form = lm_form_turn(form_of(shape, at, size), at, c, s)};
    if (shape == CRESCENT) {
        made.has_hole = true;
        made.hole = lm_form_ellipse(at.x + 0.5f * size, at.y, 0.78f * size, 0.78f * size);
        made.hole = lm_form_turn(made.hole, at, c, s);
    }
    return made;
}

/* ---- the scene --------------------------------------------------------------- */

enum {
    MOST_SMALL = 5,
    MOST_PATCHES = 3,
    MOST_LAYERS = 1 + MOST_PATCHES + MOST_SMALL + 3
};

typedef struct scene {
    lm_layer layers[MOST_LAYERS];
    int n_layers;
    figure figures[MOST_SMALL + 2];
    int n_figures;
} scene;

static lm_layer *add_layer(scene *s, lm_form form, lm_paint paint) {
    lm_layer *layer = &s->layers[s->n_layers++];
    *layer = (lm_layer){.form = form, .paint = paint, .opacity = 1};
    return layer;
}

static lm_layer *add_figure(scene *s, figure made, lm_paint paint) {
    figure *kept = &s->figures[s->n_figures++];
    *kept = made;
    lm_layer *layer = add_layer(s, made.form, paint);
    layer->without = made.has_hole ? &kept->hole : NULL;
    return layer;
}

static lm_point any_point(lm_rng *rng, float reach) {
    float x = lm_exact_uniform(rng, -reach, reach);
    return (lm_point){x, lm_exact_uniform(rng, -reach, reach)};
}

/* A gradient in any direction, and a few patches without an edge. */
static void add_ground(scene *s, lm_rng *rng, float lightness) {
    float hue = lm_exact_uniform(rng, 0, 1), chroma = lm_exact_uniform(rng, 0, 0.1f);
    float other = hue + lm_exact_uniform(rng, -0.2f, 0.2f);
    float step = lm_exact_uniform(rng, -0.12f, 0.12f), turn = lm_exact_uniform(rng, 0, 1);
    lm_point end = {(float)lm_exact_cos(LM_TAU * turn),
                    (float)lm_exact_sin(LM_TAU * turn)};
    lm_paint paint = lm_paint_between(lm_colour_of(lightness - step, chroma, hue),
                                      (lm_point){-end.x, -end.y},
                                      lm_colour_of(lightness + step, chroma, other), end);
    add_layer(s, (lm_form){0}, paint);
    int patches = (int)lm_rng_below(rng, MOST_PATCHES + 1);
    for (int i = 0; i < patches; i++) {
        lm_point at = any_point(rng, 1);
        float rx = lm_exact_uniform(rng, 0.2f, 0.7f),
              ry = lm_exact_uniform(rng, 0.2f, 0.7f);
        float light = lightness + lm_exact_uniform(rng, -0.1f, 0.1f);
        lm_layer *patch =
            add_layer(s, lm_form_ellipse(at.x, at.y, rx, ry),
                      lm_paint_plain(lm_colour_of(
                          light, chroma, hue + lm_exact_uniform(rng, -0.15f, 0.15f))));
        patch->blur = 0.5f;
        patch->opacity = 0.7f;
    }
}

static void add_small(scene *s, lm_rng *rng, float lightness) {
    int count = 1 + (int)lm_rng_below(rng, MOST_SMALL);
    for (int i = 0; i < count; i++) {
        int shape = (int)lm_rng_below(rng, N_SHAPES);
        lm_point at = any_point(rng, 0.95f);
        float size = lm_exact_uniform(rng, 0.06f, 0.13f),
              turn = lm_exact_uniform(rng, 0, 1);
        float step = lm_exact_uniform(rng, 0.12f, 0.3f);
        float light = lightness + (lightness > 0.55f ? -step : step);
        float chroma = lm_exact_uniform(rng, 0.04f, 0.17f);
        lm_colour colour = lm_colour_of(light, chroma, lm_exact_uniform(rng, 0, 1));
        add_figure(s, make_figure(shape, at, size, turn), lm_paint_plain(colour));
    }
}

/* The shape that counts, over its shadow, lit from the upper left. */
static void add_main(scene *s, const lm_sketch *sketch, lm_rng *rng, float lightness) {
    const float *f = sketch->factors;
    float size = 0.3f + 0.28f * f[SIZE], room = 0.92f - size;
    lm_point at = {(2 * f[ACROSS] - 1) * room, (2 * f[DOWN] - 1) * room};
    lm_point below = {at.x + 0.14f * size, at.y + 0.2f * size};
    float chroma = lm_exact_uniform(rng, 0.1f, 0.2f), hue = 0.85f * f[HUE];
    float step = lm_exact_uniform(rng, 0.22f, 0.4f);
    float light = lightness > 0.58f ? lightness - step : lightness + step;
    lm_layer *shadow = add_figure(s, make_figure(sketch->label, below, size, f[TURN]),
                                  lm_paint_plain((lm_colour){0, 0, 0.04f}));
    shadow->blur = 0.16f;
    shadow->opacity = lm_exact_uniform(rng, 0.25f, 0.5f);
    figure made = make_figure(sketch->label, at, size, f[TURN]);
    lm_point lit = {at.x - 0.6f * size, at.y - 0.8f * size},
             dim = {at.x + 0.6f * size, at.y + 0.8f * size};
    add_figure(s, made,
               lm_paint_between(lm_colour_of(light + 0.07f, chroma, hue), lit,
                                lm_colour_of(light - 0.07f, chroma, hue), dim));
}

static void draw(lm_sketch *sketch, uint8_t *pixels) {
    scene made = {0};
    lm_rng *rng = &sketch->rng;
    float lightness = lm_exact_uniform(rng, 0.25f, 0.92f);
    add_ground(&made, rng, lightness);
    add_small(&made, rng, lightness);
    add_main(&made, sketch, rng, lightness);
    lm_draw_layers(made.layers, made.n_layers, (lm_window){0, 0, 1}, sketch->side,
                   pixels);
}

const lm_builtin lm_shapes = {.name = "builtin:shapes",
                              .what = "scenes with one large shape",
                              .recipe = 1,
                              .smallest = 32,
                              .usual = 64,
                              .largest = 128,
                              .channels = 3,
                              .classes = N_SHAPES,
                              .class_names = class_names,
                              .n_factors = sizeof factors / sizeof *factors,
                              .factors = factors,
                              .step = 2,
                              .draw = draw};
