/* Drawing with signed distances: forms cut out by their outlines, painted one over the
 * other, with soft edges. The same bytes on every machine (exact.h).
 *
 * The canvas is the square from (-1, -1), top left, to (1, 1); y points down. A signed
 * distance is negative inside. That of some forms is the first-order estimate f / |grad
 * f| (Taubin 1994), which is right where it matters: at the outline. */
#ifndef LIMN_DATA_DRAW_H
#define LIMN_DATA_DRAW_H

#include "data/colour.h"

#include <stdbool.h>
#include <stdint.h>

enum { LM_CANVAS_SIDE = 256 }; /* pixels at most */

typedef struct lm_point {
    float x, y;
} lm_point;

typedef struct lm_form lm_form;
struct lm_form {
    /* Of n points in the form's own coordinates. */
    void (*distances)(const lm_form *form, int n, const float *x, const float *y,
                      float *distance);
    float x, y, cos, sin; /* where its origin lies, and its turn */
    float measures[4];    /* what they are, the distance knows */
    const lm_point *points;
    int n_points;
    float half_width, half_height; /* of a box around it, not turned */
    float shell;                   /* above 0: only a line of twice this width */
};

lm_form lm_form_ellipse(float x, float y, float half_width, float half_height);
/* An ellipse whose half width at height y is (1 - taper y / half_height) of itself. */
lm_form lm_form_egg(float x, float y, float half_width, float half_height, float taper);
lm_form lm_form_box(float x, float y, float half_width, float half_height, float corner);
/* A pen's line along the parabola through (-half, 0), (0, bend) and (half, 0); its radius
 * falls by the share `taper` towards the ends. */
lm_form lm_form_stroke(float x, float y, float half, float bend, float radius,
                       float taper);
/* Between two parabolas that meet at (-half, 0) and (half, 0). */
lm_form lm_form_lens(float x, float y, float half, float top, float bottom);
/* The points, borrowed, times `size`, with corners rounded by `corner`. */
lm_form lm_form_polygon(float x, float y, float size, const lm_point *points,
                        int n_points, float corner);
lm_form lm_form_heart(float x, float y, float size);

lm_form lm_form_line(lm_form form, float half_width); /* its outline only */
/* Turned by an angle of this cosine and sine, clockwise, around a point. */
lm_form lm_form_turn(lm_form form, lm_point pivot, float cos, float sin);

/* A colour that goes over into another along the way between two points. */
typedef struct lm_paint {
    lm_colour from, to;
    float ax, ay, at; /* the share of `to` at (x, y) is ax x + ay y + at, clipped */
} lm_paint;

lm_paint lm_paint_plain(lm_colour colour);
lm_paint lm_paint_between(lm_colour from, lm_point start, lm_colour to, lm_point end);

/* `form` less `without`, with a blurred edge, as far as it lies `within`, whose edge is
 * sharp. Both may be NULL. */
typedef struct lm_layer {
    lm_form form; /* distances NULL: everywhere */
    const lm_form *within, *without;
    lm_paint paint;
    float blur; /* width over which the edge goes over; a pixel at least */
    float opacity;
} lm_layer;

/* The square of the canvas that is seen. */
typedef struct lm_window {
    float x, y, reach; /* its centre and half its side; all of the canvas: 0, 0, 1 */
} lm_window;

/* Paints the layers in order over black into side x side x 3 bytes. */
void lm_draw_layers(const lm_layer *layers, int n, lm_window window, int side,
                    uint8_t *pixels);

#endif
