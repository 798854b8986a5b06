/* MSE, PSNR and SSIM against scikit-image and against their definitions. */
#include "testing.h"

#include "base/mem.h"
#include "golden/comparisons.h"
#include "metrics/pixel_metrics.h"

#include <math.h>
#include <string.h>

/* The pictures of make_comparisons.py. */
static uint8_t *picture_new(int height, int width, int channels, int which) {
    int64_t count = (int64_t)height * width * channels;
    uint8_t *picture = malloc((size_t)count);
    assert_non_null(picture);
    for (int64_t i = 0; i < count; i++) {
        int64_t value = i * 255 / count;
        if (which == 0) value = (i * i / 7 + 31 * i) % 256;
        if (which == 2) value += i * 7919 % 41 - 20;
        picture[i] = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
    }
    return picture;
}

static void check(double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance * fabs(want)))
        fail_msg("%.17g, not %.17g", got, want);
}

static void values_are_those_of_scikit_image(void **state) {
    for (size_t i = 0; i < sizeof golden_pictures / sizeof *golden_pictures; i++) {
        int height = (int)golden_pictures[i].height,
            width = (int)golden_pictures[i].width;
        int channels = (int)golden_pictures[i].channels;
        uint8_t *a = picture_new(height, width, channels, (int)golden_pictures[i].a);
        uint8_t *b = picture_new(height, width, channels, (int)golden_pictures[i].b);
        lm_pixel_error error;
        CHECK_OK(lm_pixel_compare(a, b, 1, height, width, channels, &error));
        check(error.mse, golden_pictures[i].mse, 1e-13);
        check(error.psnr, golden_pictures[i].psnr, 1e-13);
        check(error.ssim, golden_pictures[i].ssim, 1e-10);
        free(a);
        free(b);
    }
}

/* One window of side n over the whole of an n x n image. */
static double one_window(const uint8_t *a, const uint8_t *b, int n) {
    double total = 0, x = 0, y = 0, xx = 0, yy = 0, xy = 0;
    for (int i = 0; i < n * n; i++) {
        double dx = i % n - n / 2, dy = i / n - n / 2;
        double w = exp(-(dx * dx + dy * dy) / (2 * 1.5 * 1.5));
        total += w;
        x += w * a[i];
        y += w * b[i];
        xx += w * a[i] * a[i];
        yy += w * b[i] * b[i];
        xy += w * a[i] * b[i];
    }
    x /= total, y /= total, xx /= total, yy /= total, xy /= total;
    return (2 * x * y + 6.5025) * (2 * (xy - x * y) + 58.5225) /
           ((x * x + y * y + 6.5025) * (xx - x * x + yy - y * y + 58.5225));
}

static void small_images_have_smaller_windows(void **state) {
    for (int n = 1; n <= 11; n += 2) {
        uint8_t *a = picture_new(n, n, 1, 0), *b = picture_new(n, n, 1, 2);
        lm_pixel_error error;
        CHECK_OK(lm_pixel_compare(a, b, 1, n, n, 1, &error));
        check(error.ssim, one_window(a, b, n), 1e-12);
        free(a);
        free(b);
    }
    /* 4 x 3: two windows of 3 x 3. */
    uint8_t *a = picture_new(4, 3, 1, 0), *b = picture_new(4, 3, 1, 2);
    lm_pixel_error error;
    CHECK_OK(lm_pixel_compare(a, b, 1, 4, 3, 1, &error));
    check(error.ssim, (one_window(a, b, 3) + one_window(a + 3, b + 3, 3)) / 2, 1e-12);
    free(a);
    free(b);
}

static void images_are_compared_one_by_one(void **state) {
    enum { SIDE = 16, VALUES = SIDE * SIDE * 3 };
    uint8_t a[3 * VALUES], b[3 * VALUES];
    uint8_t *some = picture_new(SIDE, SIDE, 3, 0), *other = picture_new(SIDE, SIDE, 3, 1);
    for (int i = 0; i < 3; i++) memcpy(a + i * VALUES, some, VALUES);
    memcpy(b, other, VALUES);
    memcpy(b + VALUES, some, VALUES);
    memset(b + 2 * VALUES, 0, VALUES);
    lm_pixel_error each[3], alone;
    CHECK_OK(lm_pixel_compare(a, b, 3, SIDE, SIDE, 3, each));
    CHECK_OK(lm_pixel_compare(some, other, 1, SIDE, SIDE, 3, &alone));
    assert_memory_equal(&each[0], &alone, sizeof alone);
    assert_true(each[1].mse == 0 && isinf(each[1].psnr) && each[1].psnr > 0);
    check(each[1].ssim, 1, 1e-12);
    lm_pixel_summary summary;
    CHECK_OK(lm_pixel_summarise(each, 3, &summary));
    assert_int_equal(summary.equal, 1);
    check(summary.mse.value, (each[0].mse + each[2].mse) / 3, 1e-13);
    check(summary.psnr.value, (each[0].psnr + each[2].psnr) / 2, 1e-13);
    assert_true(summary.ssim.error > 0);
    free(some);
    free(other);
}

static void wrong_sizes_are_refused(void **state) {
    uint8_t pixel = 0;
    lm_pixel_error error;
    lm_pixel_summary summary;
    CHECK_FAILS(lm_pixel_compare(&pixel, &pixel, 1, 0, 1, 1, &error), LM_ARG);
    CHECK_FAILS(lm_pixel_compare(&pixel, &pixel, 1, 1, 1, 0, &error), LM_ARG);
    CHECK_FAILS(lm_pixel_compare(&pixel, &pixel, -1, 1, 1, 1, &error), LM_ARG);
    CHECK_FAILS(lm_pixel_compare(&pixel, &pixel, 1, 1, 40000, 1, &error), LM_SHAPE);
    CHECK_FAILS(lm_pixel_summarise(&error, -1, &summary), LM_ARG);
    CHECK_OK(lm_pixel_compare(&pixel, &pixel, 0, 1, 1, 1, &error));
    CHECK_OK(lm_pixel_summarise(&error, 0, &summary));
    assert_true(isnan(summary.mse.value));
    lm_mem_fail_at(1, 0);
    CHECK_FAILS(lm_pixel_compare(&pixel, &pixel, 1, 1, 1, 1, &error), LM_NOMEM);
    lm_mem_fail_at(1, 0);
    CHECK_FAILS(lm_pixel_summarise(&error, 1, &summary), LM_NOMEM);
    lm_mem_fail_at(0, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_those_of_scikit_image),
        cmocka_unit_test(small_images_have_smaller_windows),
        cmocka_unit_test(images_are_compared_one_by_one),
        cmocka_unit_test(wrong_sizes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
