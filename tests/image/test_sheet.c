/* Words and contact sheets, dot by dot. */
#include "testing.h"

#include "base/mem.h"
#include "image/sheet.h"
#include "image/text.h"

#include <stdio.h>
#include <string.h>

static const uint8_t black[3] = {0, 0, 0};

static lm_image make(int width, int height, int channels, uint8_t value) {
    lm_image image;
    CHECK_OK(lm_image_init(&image, width, height, channels));
    memset(image.pixels, value, (size_t)width * height * channels);
    return image;
}

static void draws_letters(void **state) {
    static const char *const want[] = {
        "..............", "..#.....##....", ".......#..#...", ".##....#......",
        "..#...###.....", "..#....#......", "..#....#......", ".###...#......",
        "..............", ".............."};
    lm_image image = make(14, 10, 1, 255);
    lm_text_draw(&image, 0, 1, "if", 1, black);
    for (int y = 0; y < 10; y++)
        for (int x = 0; x < 14; x++) {
            bool dot = image.pixels[y * 14 + x] == 0;
            if (dot != (want[y][x] == '#')) fail_msg("row %d column %d", y, x);
        }
    /* Twice as large, every dot is four. */
    lm_image large = make(28, 20, 3, 255);
    lm_text_draw(&large, 0, 2, "if", 2, black);
    for (int y = 0; y < 20; y++)
        for (int x = 0; x < 28; x++)
            assert_int_equal(large.pixels[(y * 28 + x) * 3 + 1],
                             image.pixels[y / 2 * 14 + x / 2]);
    lm_image_release(&image);
    lm_image_release(&large);
}

static void every_letter_differs(void **state) {
    lm_image seen[95];
    for (int i = 0; i < 95; i++) {
        char text[2] = {(char)(' ' + i), 0};
        seen[i] = make(6, 9, 1, 255);
        lm_text_draw(&seen[i], 0, 0, text, 1, black);
        for (int y = 0; y < 9; y++) assert_int_equal(seen[i].pixels[y * 6 + 5], 255);
        for (int j = 0; j < i; j++)
            if (memcmp(seen[i].pixels, seen[j].pixels, 54) == 0)
                fail_msg("'%c' looks like '%c'", ' ' + i, ' ' + j);
    }
    for (int i = 0; i < 95; i++) lm_image_release(&seen[i]);
}

static void stays_inside(void **state) {
    lm_image image = make(3, 3, 3, 9);
    for (int y = -20; y < 8; y++)
        for (int x = -20; x < 8; x++) lm_text_draw(&image, x, y, "W\xc3\xa9~", 2, black);
    lm_image_release(&image); /* a sanitizer would have told */
    assert_int_equal(lm_text_width("a\xc3\xa9\xe2\x82\xac", 3), 3 * 18);
    assert_int_equal(lm_text_width("", 3), 0);
}

static bool is_paper(const lm_image *image, int x, int y) {
    return image->pixels[((size_t)y * image->width + x) * 3] == 240;
}

static void fits_any_size(void **state) {
    lm_image tiny = make(2, 3, 1, 10), wide = make(500, 20, 3, 20);
    lm_sheet_cell cells[] = {{&tiny, NULL}, {&wide, NULL}, {NULL, NULL}, {&tiny, NULL}};
    lm_image out;
    CHECK_OK(lm_sheet_draw(&(lm_sheet){.cells = cells, .rows = 2, .columns = 2}, &out));
    /* 2 x 3 becomes 84 x 126, 500 x 20 becomes 128 x 5; cells are 128 x 126. */
    assert_int_equal(out.width, 8 + 2 * (128 + 8));
    assert_int_equal(out.height, 8 + 2 * (126 + 8));
    int left = 8 + (128 - 84) / 2, top = 8 + 136 + (126 - 5) / 2;
    assert_true(is_paper(&out, left - 1, 8) && !is_paper(&out, left, 8));
    assert_true(!is_paper(&out, left + 83, 8 + 125) && is_paper(&out, left + 84, 8));
    assert_int_equal(out.pixels[((size_t)60 * out.width + left) * 3 + 2], 10);
    assert_int_equal(out.pixels[((size_t)(8 + 60) * out.width + 8 + 136) * 3], 20);
    assert_true(is_paper(&out, 8 + 136, 8 + 59) && is_paper(&out, 8 + 20, top + 10));
    lm_image_release(&out);
    lm_image_release(&tiny);
    lm_image_release(&wide);
}

static void makes_room_for_words(void **state) {
    lm_image dot = make(64, 64, 1, 10), plain, named, long_name;
    lm_sheet_cell cell = {&dot, NULL};
    lm_sheet sheet = {.cells = &cell, .rows = 1, .columns = 1};
    CHECK_OK(lm_sheet_draw(&sheet, &plain));
    int height = plain.height;
    lm_image_release(&plain);
    cell.label = "cat";
    CHECK_OK(lm_sheet_draw(&sheet, &named));
    assert_int_equal(named.height, height + 2 * 9 + 4);
    cell.label = "a name much longer than a picture of this size is wide";
    sheet.title = "a title that is wider than the only picture";
    const char *rows[] = {"row"};
    sheet.row_labels = rows;
    CHECK_OK(lm_sheet_draw(&sheet, &long_name));
    assert_int_equal(long_name.width, lm_text_width(sheet.title, 2) + 16);
    assert_int_equal(long_name.height, height + 9 + 4 + 18 + 8);
    /* The label ends within its cell. */
    int left = 8 + lm_text_width("row", 2) + 8, y = long_name.height - 10;
    for (int row = y; row < long_name.height; row++)
        for (int x = left + 128; x < long_name.width; x++)
            assert_true(is_paper(&long_name, x, row));
    sheet.rows = 400;
    lm_sheet_cell *many = calloc(400, sizeof *many);
    for (int i = 0; i < 400; i++) many[i].image = &dot;
    sheet.cells = many;
    sheet.row_labels = NULL;
    CHECK_FAILS(lm_sheet_draw(&sheet, &plain), LM_ARG);
    assert_null(plain.pixels);
    free(many);
    lm_image_release(&dot);
    lm_image_release(&named);
    lm_image_release(&long_name);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_letters),        cmocka_unit_test(every_letter_differs),
        cmocka_unit_test(stays_inside),         cmocka_unit_test(fits_any_size),
        cmocka_unit_test(makes_room_for_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
