/* Forms against their areas from geometry, their turns, cuts and blurs; colours; noise.
 */
#include "testing.h"

#include "data/draw.h"
#include "data/exact.h"
#include "data/noise.h"

#include <math.h>

enum { SIDE = 256 };

static const lm_colour white = {1, 1, 1};
static const lm_window whole = {0, 0, 1};
static uint8_t pixels[3 * SIDE * SIDE];

/* The area that a white layer covers, in units of the canvas, whose side is 2. */
static double draw_area(const lm_layer *layer) {
    lm_draw_layers(layer, 1, whole, SIDE, pixels);
    double sum = 0;
    for (int i = 0; i < SIDE * SIDE; i++) sum += pixels[3 * i];
    return sum / 255 * 4 / (SIDE * SIDE);
}

static lm_layer make_layer(lm_form form) {
    return (lm_layer){.form = form, .paint = lm_paint_plain(white), .opacity = 1};
}

static double area_of(lm_form form) {
    lm_layer layer = make_layer(form);
    return draw_area(&layer);
}

static void check_near(double got, double want, double share) {
    if (fabs(got - want) > share * want) fail_msg("%g, expected %g", got, want);
}

static const lm_point triangle[] = {{0, -1}, {1, 1}, {-1, 1}};
static const lm_point notched[] = {{-1, -1}, {1, -1}, {1, 1}, {0, 0}, {-1, 1}};
static const lm_point backwards[] = {{-1, 1}, {0, 0}, {1, 1}, {1, -1}, {-1, -1}};

static void covers_the_right_area(void **state) {
    const double pi = 3.14159265358979;
    double r = 0.05, thick = 0.3 - 0.02, thin = 0.3 + 0.02;
    check_near(area_of(lm_form_ellipse(0.1f, -0.2f, 0.5f, 0.5f)), pi * 0.25, 1e-3);
    check_near(area_of(lm_form_ellipse(0, 0, 0.8f, 0.3f)), pi * 0.24, 2e-3);
    check_near(area_of(lm_form_egg(0, 0, 0.5f, 0.6f, 0)), pi * 0.3, 2e-3);
    /* The taper takes from one half what it gives to the other. */
    check_near(area_of(lm_form_egg(0, 0, 0.5f, 0.6f, 0.2f)), pi * 0.3, 4e-3);
    check_near(area_of(lm_form_box(0, 0, 0.5f, 0.3f, 0)), 0.6, 1e-3);
    check_near(area_of(lm_form_box(0, 0, 0.5f, 0.3f, 0.2f)), 0.6 - (4 - pi) * 0.04, 1e-3);
    check_near(area_of(lm_form_polygon(0, 0, 0.6f, triangle, 3, 0)), 0.72, 2e-3);
    check_near(area_of(lm_form_polygon(0, 0, 0.6f, notched, 5, 0)), 3 * 0.36, 2e-3);
    check_near(area_of(lm_form_polygon(0, 0, 0.6f, backwards, 5, 0)), 3 * 0.36, 2e-3);
    /* A rounded corner adds the outline's length times the radius, and a disc. */
    check_near(area_of(lm_form_polygon(0, 0, 0.5f, triangle, 3, 0.1f)),
               0.5 + 0.1 * (1 + sqrt(5)) + pi * 0.01, 3e-3);
    /* A square of diagonal 1 and two half discs on its upper sides. */
    check_near(area_of(lm_form_heart(0, 0, 0.8f)), 0.64 * (0.5 + pi / 8), 3e-3);
    check_near(area_of(lm_form_lens(0, 0, 0.6f, -0.3f, 0.2f)), 4 / 3.0 * 0.6 * 0.5, 3e-3);
    check_near(area_of(lm_form_stroke(0, 0, 0.6f, 0, (float)r, 0)),
               4 * 0.6 * r + pi * r * r, 4e-3);
    check_near(area_of(lm_form_line(lm_form_ellipse(0, 0, 0.3f, 0.3f), 0.02f)),
               pi * (thin * thin - thick * thick), 2e-3);
}

static void turns_and_looks_through_windows(void **state) {
    float angle = 0.7f, c = (float)lm_exact_cos(angle), s = (float)lm_exact_sin(angle);
    lm_form box = lm_form_box(0.3f, 0.1f, 0.3f, 0.1f, 0);
    lm_form turned = lm_form_turn(box, (lm_point){0, 0}, c, s);
    check_near(area_of(turned), 0.12, 4e-3);
    /* Its middle is where geometry says. */
    lm_form dot = lm_form_ellipse(c * 0.3f - s * 0.1f, s * 0.3f + c * 0.1f, 0.05f, 0.05f);
    lm_layer cut = make_layer(turned);
    cut.without = &dot;
    check_near(draw_area(&cut), 0.12 - 3.14159 * 0.0025, 4e-3);
    /* Half a window's reach shows four times the area. */
    lm_layer layer = make_layer(lm_form_ellipse(0.2f, 0.3f, 0.2f, 0.2f));
    double once = draw_area(&layer), sum = 0;
    lm_draw_layers(&layer, 1, (lm_window){0.2f, 0.3f, 0.5f}, SIDE, pixels);
    for (int i = 0; i < SIDE * SIDE; i++) sum += pixels[3 * i];
    check_near(sum / 255 * 4 / (SIDE * SIDE), 4 * once, 2e-3);
}

static void cuts_and_blurs(void **state) {
    const double pi = 3.14159265358979;
    lm_form disc = lm_form_ellipse(0, 0, 0.5f, 0.5f),
            half = lm_form_box(0.5f, 0, 0.5f, 1, 0);
    lm_layer layer = make_layer(disc);
    layer.within = &half;
    check_near(draw_area(&layer), pi * 0.125, 3e-3);
    layer.within = NULL;
    layer.without = &half;
    check_near(draw_area(&layer), pi * 0.125, 3e-3);
    layer.without = NULL;
    layer.opacity = 0.5f;
    check_near(draw_area(&layer), pi * 0.125, 5e-3); /* 127.5 becomes 128 */
    layer.opacity = 1;
    layer.blur = 0.2f; /* as much is lost inside as won outside, but for the curvature */
    check_near(draw_area(&layer), pi * 0.25, 0.02);
    int middle = pixels[3 * (SIDE / 2 * SIDE + SIDE / 4)]; /* on the outline */
    assert_in_range(middle, 115, 140);
}

static void mixes_paint(void **state) {
    lm_layer layers[2] = {{.opacity = 1}, {.opacity = 0.25f}};
    layers[0].paint = lm_paint_between((lm_colour){0, 0.2f, 1}, (lm_point){-1, 0},
                                       (lm_colour){1, 0.2f, 0}, (lm_point){1, 0});
    lm_draw_layers(layers, 1, whole, SIDE, pixels);
    for (int i = 0; i < SIDE * SIDE; i++) {
        double share = (i % SIDE + 0.5) / SIDE;
        assert_true(fabs(pixels[3 * i] - 255 * share) <= 0.51);
        assert_int_equal(pixels[3 * i + 1], 51);
        assert_true(fabs(pixels[3 * i + 2] - 255 * (1 - share)) <= 0.51);
    }
    layers[1].paint = lm_paint_plain(white);
    lm_draw_layers(layers, 2, whole, SIDE, pixels);
    assert_int_equal(pixels[1], 102); /* 51 and a quarter of the way to 255 */
}

static void check_colour(lm_colour got, float r, float g, float b) {
    assert_true(fabsf(got.r - r) < 0.01f && fabsf(got.g - g) < 0.01f &&
                fabsf(got.b - b) < 0.01f);
}

/* The corners of the RGB cube in OKLCH, as CSS Color 4 has them. */
static void knows_colours(void **state) {
    check_colour(lm_colour_of(1, 0, 0), 1, 1, 1);
    check_colour(lm_colour_of(0, 0, 0.3f), 0, 0, 0);
    check_colour(lm_colour_of(0.62796f, 0.25768f, 29.234f / 360), 1, 0, 0);
    check_colour(lm_colour_of(0.86644f, 0.29483f, 142.495f / 360), 0, 1, 0);
    check_colour(lm_colour_of(0.45201f, 0.31321f, 264.052f / 360), 0, 0, 1);
    static const lm_colour stops[] = {{0, 0, 0}, {1, 0, 0}, {1, 1, 0}};
    check_colour(lm_colour_ramp(stops, 3, 0), 0, 0, 0);
    check_colour(lm_colour_ramp(stops, 3, 0.25f), 0.5f, 0, 0);
    check_colour(lm_colour_ramp(stops, 3, 0.5f), 1, 0, 0);
    check_colour(lm_colour_ramp(stops, 3, 1), 1, 1, 0);
}

static void makes_noise(void **state) {
    enum { N = 4000 };
    static float x[N], y[N], noise[N];
    double sum = 0, squares = 0;
    for (int i = 0; i < N; i++) x[i] = (float)(i % 40 - 20), y[i] = (float)(i / 40 - 50);
    lm_noise_row(7, N, x, y, noise);
    for (int i = 0; i < N; i++) { /* on the lattice it is the lattice's */
        assert_true(noise[i] == lm_noise_at(7, (int)x[i], (int)y[i]));
        sum += noise[i];
        squares += noise[i] * noise[i];
    }
    assert_true(fabs(sum / N - 0.5) < 0.02);
    assert_true(fabs(squares / N - 1.0 / 3) < 0.02); /* evenly over [0, 1) */
    for (int i = 0; i < N; i++) x[i] = 0.003f * (float)i - 6, y[i] = 0.4f;
    lm_noise_row(7, N, x, y, noise);
    for (int i = 1; i < N; i++) {
        assert_true(noise[i] >= 0 && noise[i] <= 1);
        assert_true(fabsf(noise[i] - noise[i - 1]) < 0.006f); /* slope at most 1.5 */
    }
    assert_true(lm_noise_at(7, 1, 2) != lm_noise_at(8, 1, 2));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(covers_the_right_area),
        cmocka_unit_test(turns_and_looks_through_windows),
        cmocka_unit_test(cuts_and_blurs),
        cmocka_unit_test(mixes_paint),
        cmocka_unit_test(knows_colours),
        cmocka_unit_test(makes_noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
