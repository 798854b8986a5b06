/* Dots where points are, in their classes' colours, and axes that hold them. */
#include "testing.h"

#include "image/scatter.h"

#include <math.h>
#include <string.h>

static const lm_scatter empty = {.title = "t", .x_name = "x", .y_name = "y"};

static int count_strong(const lm_image *image) {
    int count = 0;
    for (int i = 0; i < image->width * image->height; i++) {
        const uint8_t *p = image->pixels + 3 * i;
        int high = p[0] > p[1] ? p[0] : p[1], low = p[0] < p[1] ? p[0] : p[1];
        if (p[2] > high) high = p[2];
        if (p[2] < low) low = p[2];
        count += high - low > 80;
    }
    return count;
}

static void axes_hold_nearly_all(void **state) {
    enum { N = 5000 };
    static float points[2 * N];
    for (int i = 0; i < 2 * N; i++) points[i] = (float)(i % 7) / 7;
    lm_scatter s = empty;
    s.points = points;
    s.count = N;
    assert_true(lm_scatter_range(&s) == 1);
    points[9] = -4;
    points[100] = NAN;
    points[200] = INFINITY;
    assert_true(lm_scatter_range(&s) == 1); /* one in a thousand may lie beyond */
    for (int i = 0; i < 20; i++) points[2 * i] = 4;
    assert_true(fabs(lm_scatter_range(&s) - 4.2) < 1e-6);
    s.count = 0;
    assert_true(lm_scatter_range(&s) == 1);
}

static void dots_have_their_class(void **state) {
    static const float points[] = {-0.5F, 0.5F, 0.5F, -0.5F, NAN, 0};
    static const int32_t labels[] = {0, 1, 0};
    lm_scatter s = empty;
    lm_image plain, coloured;
    s.points = points;
    s.count = 3;
    CHECK_OK(lm_scatter_draw(&s, &plain));
    assert_int_equal(count_strong(&plain), 0); /* without labels all is grey */
    s.labels = labels;
    s.classes = 2;
    CHECK_OK(lm_scatter_draw(&s, &coloured));
    assert_int_equal(coloured.channels, 3);
    int strong = count_strong(&coloured);
    assert_true(strong > 2 * 10 + 2 * 100); /* two dots, and two of the legend */
    int middle = coloured.width / 2, left = 0, upper = 0;
    for (int y = 36; y < 36 + 640; y++)
        for (int x = 64; x < 64 + 640; x++) {
            const uint8_t *p = coloured.pixels + 3 * (y * coloured.width + x);
            bool red = p[0] > p[1] + 80;
            left += red && x < middle;
            upper += red && y < 36 + 320;
        }
    assert_true(left > 5 && left == upper); /* the red one: left, and up */
    lm_image_release(&plain);
    lm_image_release(&coloured);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(axes_hold_nearly_all),
        cmocka_unit_test(dots_have_their_class),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
