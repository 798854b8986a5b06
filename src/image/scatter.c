#include "image/scatter.h"

#include "base/mem.h"
#include "image/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PLOT = 640, /* edge of the square of points */
    LEFT = 64,
    TOP = 36,
    BOTTOM = 56,
    LEGEND = 190,
    LINE = 2 * LM_TEXT_HEIGHT + 4,
    MOST_NAMED = 28 /* classes that the legend has room for */
};
#define RADIUS  2.4
#define OPACITY 0.65

static const uint8_t ink[3] = {40, 40, 40}, faint[3] = {222, 222, 222};
static const uint8_t grey[3] = {150, 150, 150};

/* ---- colours ----------------------------------------------------------------- */

/* Hues all around the circle, every other one darker. */
static void colour_of(int label, int classes, uint8_t rgb[3]) {
    if (label < 0 || label >= classes) {
        memcpy(rgb, grey, 3);
        return;
    }
    double hue = 6.0 * label / classes, value = label % 2 ? 0.62 : 0.88;
    for (int i = 0; i < 3; i++) {
        double at = fmod(hue + 5 - 2 * i, 6); /* of "HSV to RGB", in closed form */
        double share = fmax(0, fmin(fmin(at, 4 - at), 1));
        rgb[i] = (uint8_t)lround(255 * value * (1 - 0.85 * share));
    }
}

static void blend(lm_image *image, int x, int y, const uint8_t rgb[3], double share) {
    if (x < 0 || y < 0 || x >= image->width || y >= image->height) return;
    uint8_t *to = image->pixels + ((size_t)y * image->width + x) * 3;
    for (int i = 0; i < 3; i++) to[i] = (uint8_t)lround(to[i] + share * (rgb[i] - to[i]));
}

/* A disc's share of a pixel, nearly: by how far its edge is from the pixel's middle. */
static void draw_dot(lm_image *image, double x, double y, double radius, double opacity,
                     const uint8_t rgb[3]) {
    for (int row = (int)floor(y - radius - 1); row <= (int)ceil(y + radius + 1); row++)
        for (int col = (int)floor(x - radius - 1); col <= (int)ceil(x + radius + 1);
             col++) {
            double inside = radius + 0.5 - hypot(col - x, row - y);
            if (inside > 0) blend(image, col, row, rgb, opacity * fmin(inside, 1));
        }
}

/* ---- axes -------------------------------------------------------------------- */

static int by_size(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

double lm_scatter_range(const lm_scatter *s) {
    size_t finite = 0;
    double range = 1;
    float *sizes = lm_alloc(sizeof *sizes * (size_t)(s->count + 1));
    if (!sizes) return range;
    for (int64_t i = 0; i < s->count; i++) {
        float size = fmaxf(fabsf(s->points[2 * i]), fabsf(s->points[2 * i + 1]));
        if (isfinite(s->points[2 * i]) && isfinite(s->points[2 * i + 1]))
            sizes[finite++] = size;
    }
    qsort(sizes, finite, sizeof *sizes, by_size);
    if (finite) range = fmax(range, 1.05 * (double)sizes[(finite - 1) * 999 / 1000]);
    lm_free(sizes);
    return range;
}

/* 1, 2 or 5 times a power of ten, for some eight ticks. */
static double choose_tick(double range) {
    double power = pow(10, floor(log10(range / 4)));
    double rest = range / 4 / power;
    return power * (rest < 1.5 ? 1 : rest < 3.5 ? 2 : rest < 7.5 ? 5 : 10);
}

static double place(double value, double range) {
    return (value / range + 1) / 2 * (PLOT - 1);
}

static void draw_line(lm_image *image, int at, bool vertical, const uint8_t rgb[3]) {
    for (int i = 0; i < PLOT; i++)
        blend(image, LEFT + (vertical ? at : i), TOP + (vertical ? i : PLOT - 1 - at),
              rgb, 1);
}

static void draw_axes(const lm_scatter *s, double range, lm_image *image) {
    double tick = choose_tick(range);
    int last = (int)floor(range / tick);
    for (int i = -last; i <= last; i++) {
        char text[32];
        int at = (int)lround(place(i * tick, range));
        snprintf(text, sizeof text, "%g", i * tick);
        int width = lm_text_width(text, 2);
        draw_line(image, at, true, i ? faint : grey);
        draw_line(image, at, false, i ? faint : grey);
        lm_text_draw(image, LEFT + at - width / 2, TOP + PLOT + 6, text, 2, ink);
        lm_text_draw(image, LEFT - 8 - width, TOP + PLOT - 1 - at - LM_TEXT_HEIGHT, text,
                     2, ink);
    }
    lm_text_draw(image, LEFT + (PLOT - lm_text_width(s->x_name, 2)) / 2,
                 TOP + PLOT + 6 + LINE, s->x_name, 2, ink);
    lm_text_draw(image, 8, 8, s->y_name, 2, ink);
    lm_text_draw(image, LEFT + (PLOT - lm_text_width(s->title, 2)) / 2, 8, s->title, 2,
                 ink);
}

/* ---- all --------------------------------------------------------------------- */

static void draw_points(const lm_scatter *s, double range, lm_image *image) {
    for (int64_t i = 0; i < s->count; i++) {
        double x = (double)s->points[2 * i], y = (double)s->points[2 * i + 1];
        uint8_t rgb[3];
        if (!(fabs(x) <= range && fabs(y) <= range)) continue;
        colour_of(s->labels ? s->labels[i] : -1, s->classes, rgb);
        draw_dot(image, LEFT + place(x, range), TOP + PLOT - 1 - place(y, range), RADIUS,
                 OPACITY, rgb);
    }
}

static void draw_legend(const lm_scatter *s, lm_image *image) {
    int x = LEFT + PLOT + 24;
    for (int i = 0; s->labels && i < s->classes && i < MOST_NAMED; i++) {
        int y = TOP + i * LINE;
        char text[64];
        uint8_t rgb[3];
        colour_of(i, s->classes, rgb);
        if (s->names && s->names[i])
            snprintf(text, sizeof text, "%s", s->names[i]);
        else
            snprintf(text, sizeof text, "%d", i);
        draw_dot(image, x, y + LM_TEXT_HEIGHT - 1, 6, 1, rgb);
        lm_text_draw(image, x + 16, y, text, 2, ink);
    }
}

lm_status lm_scatter_draw(const lm_scatter *s, lm_image *out) {
    LM_RETURN_IF(s->count < 0 || s->classes < 0, LM_ARG, "scatter: %lld points",
                 (long long)s->count);
    LM_TRY(lm_image_init(out, LEFT + PLOT + LEGEND, TOP + PLOT + BOTTOM, 3));
    memset(out->pixels, 255, (size_t)out->width * out->height * 3);
    double range = lm_scatter_range(s);
    draw_axes(s, range, out);
    draw_points(s, range, out);
    draw_legend(s, out);
    return LM_OK;
}
