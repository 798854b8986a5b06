/* PNG round trips, sheets, and pixel conversion. */
#include "testing.h"

#include "base/file.h"
#include "base/mem.h"
#include "image/image.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void make_path(char *path, size_t size, const char *name) {
    snprintf(path, size, "/tmp/limn-test-%d-%s", (int)getpid(), name);
}

static void test_png_round_trip(void **state) {
    char path[128];
    make_path(path, sizeof path, "round.png");
    for (int channels = 1; channels <= 3; channels += 2) {
        lm_image image, again;
        CHECK_OK(lm_image_init(&image, 13, 7, channels));
        for (int i = 0; i < 13 * 7 * channels; i++) image.pixels[i] = (uint8_t)(i * 37);
        CHECK_OK(lm_png_write(path, &image, channels == 1 ? "limn sample x" : NULL));
        CHECK_OK(lm_png_read(path, &again));
        assert_int_equal(again.width, 13);
        assert_int_equal(again.height, 7);
        assert_int_equal(again.channels, channels);
        assert_memory_equal(again.pixels, image.pixels, 13 * 7 * channels);
        lm_image_release(&image);
        lm_image_release(&again);
    }
    unlink(path);
}

static void test_png_errors(void **state) {
    lm_image image;
    CHECK_FAILS(lm_png_read("/nonexistent/x.png", &image), LM_NOT_FOUND);
    CHECK_FAILS(lm_image_init(&image, 0, 5, 1), LM_ARG);
    CHECK_FAILS(lm_image_init(&image, 5, 5, 2), LM_ARG);
    CHECK_OK(lm_image_init(&image, 2, 2, 1));
    CHECK_FAILS(lm_png_write("/nonexistent/x.png", &image, NULL), LM_IO);
    assert_non_null(strstr(lm_message(), "/nonexistent/"));
    lm_image_release(&image);

    char path[128];
    make_path(path, sizeof path, "broken.png");
    FILE *file = fopen(path, "wb");
    fputs("\x89PNG\r\n\x1a\n and then nothing of use", file);
    fclose(file);
    CHECK_FAILS(lm_png_read(path, &image), LM_FORMAT);
    unlink(path);
}

static void test_grid_places_every_image(void **state) {
    /* Five 2x3 images with distinct values, two columns, scale 2, gap 1. */
    uint8_t images[5 * 6];
    for (int i = 0; i < 30; i++) images[i] = (uint8_t)(i + 1);
    lm_image sheet;
    lm_grid_spec spec = {.columns = 2, .scale = 2, .gap = 1, .background = 200};
    CHECK_OK(lm_image_grid(images, 5, 2, 3, 1, &spec, &sheet));
    assert_int_equal(sheet.width, 2 * 7 + 1);
    assert_int_equal(sheet.height, 3 * 5 + 1);
    for (int y = 0; y < sheet.height; y++)
        for (int x = 0; x < sheet.width; x++) {
            int expected = 200, cell_x = (x - 1) % 7, cell_y = (y - 1) % 5;
            int i = x && y ? (y - 1) / 5 * 2 + (x - 1) / 7 : 9;
            if (x && y && cell_x < 6 && cell_y < 4 && i < 5)
                expected = images[i * 6 + cell_y / 2 * 3 + cell_x / 2];
            assert_int_equal(sheet.pixels[y * sheet.width + x], expected);
        }
    lm_image_release(&sheet);
    CHECK_FAILS(lm_image_grid(images, 0, 2, 3, 1, &spec, &sheet), LM_ARG);
}

static void test_grid_chooses_its_own_layout(void **state) {
    uint8_t images[64 * 28 * 28] = {0};
    lm_image sheet;
    lm_grid_spec spec = {.gap = 2};
    CHECK_OK(lm_image_grid(images, 64, 28, 28, 1, &spec, &sheet));
    assert_int_equal(sheet.width, sheet.height); /* 8 x 8 */
    assert_in_range(sheet.width, 400, 660);
    lm_image_release(&sheet);
}

static void test_pixels_from_signed(void **state) {
    const float from[] = {-1, 1, 0, -2, 5, NAN, INFINITY, -INFINITY, -0.5f};
    const uint8_t expected[] = {0, 255, 128, 0, 255, 0, 255, 0, 64};
    uint8_t to[9];
    lm_image_from_signed(from, to, 9);
    assert_memory_equal(to, expected, 9);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_png_round_trip),
        cmocka_unit_test(test_png_errors),
        cmocka_unit_test(test_grid_places_every_image),
        cmocka_unit_test(test_grid_chooses_its_own_layout),
        cmocka_unit_test(test_pixels_from_signed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
