#include "image/sheet.h"

#include "image/frame.h"
#include "image/resize.h"
#include "image/text.h"

#include <string.h>

enum {
    EDGE = 128, /* a picture's longer side on the sheet, at most */
    MOST_SIDE = 32768,
    GAP = 8, /* around cells and words */
    TITLE_SCALE = 2,
    MOST_LABEL = 64
};

static const uint8_t paper[3] = {240, 240, 240}, ink[3] = {32, 32, 32};

typedef struct layout {
    int width, height; /* of the largest picture as drawn */
    int scale;         /* of labels */
    int left, top;     /* of the first cell */
    int across, down;  /* from one cell to the next */
} layout;

/* ---- measuring --------------------------------------------------------------- */

/* The size in which a picture is drawn. */
static void drawn_size(const lm_image *image, int *width, int *height) {
    int longer = image->width > image->height ? image->width : image->height;
    if (longer <= EDGE) {
        *width = image->width * (EDGE / longer);
        *height = image->height * (EDGE / longer);
        return;
    }
    *width = (image->width * EDGE + longer / 2) / longer;
    *height = (image->height * EDGE + longer / 2) / longer;
    if (*width < 1) *width = 1;
    if (*height < 1) *height = 1;
}

static void measure_pictures(const lm_sheet *sheet, layout *l) {
    for (int i = 0; i < sheet->rows * sheet->columns; i++) {
        int width, height;
        if (!sheet->cells[i].image) continue;
        drawn_size(sheet->cells[i].image, &width, &height);
        if (width > l->width) l->width = width;
        if (height > l->height) l->height = height;
    }
}

/* The longest label, at scale 1; 0: there are none. */
static int longest_label(const lm_sheet *sheet) {
    int longest = 0;
    for (int i = 0; i < sheet->rows * sheet->columns; i++) {
        const char *label = sheet->cells[i].label;
        int width = label ? lm_text_width(label, 1) : 0;
        if (width > longest) longest = width;
    }
    return longest;
}

static int row_label_width(const lm_sheet *sheet) {
    int longest = 0;
    for (int i = 0; sheet->row_labels && i < sheet->rows; i++) {
        int width = lm_text_width(sheet->row_labels[i], TITLE_SCALE);
        if (width > longest) longest = width;
    }
    return longest ? longest + GAP : 0;
}

static layout measure(const lm_sheet *sheet) {
    layout l = {.width = 1, .height = 1};
    measure_pictures(sheet, &l);
    int label = longest_label(sheet);
    l.scale = 2 * label <= l.width ? 2 : 1;
    l.left = GAP + row_label_width(sheet);
    l.top = GAP + (sheet->title ? TITLE_SCALE * LM_TEXT_HEIGHT + GAP : 0);
    l.across = l.width + GAP;
    l.down = l.height + GAP + (label ? l.scale * LM_TEXT_HEIGHT + GAP / 2 : 0);
    return l;
}

/* ---- drawing ----------------------------------------------------------------- */

/* Copies a picture, each of its pixels `times` x `times` large. */
static void place(const lm_image *image, int times, int left, int top, lm_image *out) {
    for (int y = 0; y < image->height * times; y++) {
        uint8_t *to = out->pixels + ((size_t)(top + y) * out->width + left) * 3;
        const uint8_t *row =
            image->pixels + (size_t)(y / times) * image->width * image->channels;
        for (int x = 0; x < image->width * times; x++)
            for (int c = 0; c < 3; c++)
                *to++ = image->channels == 3 ? row[x / times * 3 + c] : row[x / times];
    }
}

static lm_status draw_picture(const lm_image *image, const layout *l, int left, int top,
                              lm_image *out) {
    int width, height;
    drawn_size(image, &width, &height);
    left += (l->width - width) / 2;
    top += (l->height - height) / 2;
    if (width >= image->width) {
        place(image, width / image->width, left, top, out);
        return LM_OK;
    }
    lm_image small;
    LM_TRY(lm_image_resize(image, height, width, LM_FILTER_LANCZOS, &small));
    place(&small, 1, left, top, out);
    lm_image_release(&small);
    return LM_OK;
}

/* In the middle below the picture; a label that is too long ends in "..". */
static void draw_label(const char *label, const layout *l, int left, int top,
                       lm_image *out) {
    char text[MOST_LABEL];
    int most = l->width / (LM_TEXT_WIDTH * l->scale);
    int width = lm_text_width(label, l->scale);
    if (width > l->width && most > 2 && most < MOST_LABEL) {
        memcpy(text, label, (size_t)most - 2);
        strcpy(text + most - 2, "..");
        label = text;
        width = lm_text_width(label, l->scale);
    }
    /* The last character's space is not seen. */
    lm_text_draw(out, left + (l->width - width + l->scale) / 2, top + l->height + GAP / 2,
                 label, l->scale, ink);
}

static lm_status draw_cells(const lm_sheet *sheet, const layout *l, lm_image *out) {
    for (int i = 0; i < sheet->rows * sheet->columns; i++) {
        const lm_sheet_cell *cell = &sheet->cells[i];
        int left = l->left + i % sheet->columns * l->across;
        int top = l->top + i / sheet->columns * l->down;
        if (cell->image) LM_TRY(draw_picture(cell->image, l, left, top, out));
        if (cell->label) draw_label(cell->label, l, left, top, out);
    }
    return LM_OK;
}

static void draw_words(const lm_sheet *sheet, const layout *l, lm_image *out) {
    if (sheet->title) lm_text_draw(out, GAP, GAP, sheet->title, TITLE_SCALE, ink);
    for (int i = 0; sheet->row_labels && i < sheet->rows; i++)
        lm_text_draw(out, GAP,
                     l->top + i * l->down +
                         (l->height - TITLE_SCALE * LM_TEXT_HEIGHT) / 2,
                     sheet->row_labels[i], TITLE_SCALE, ink);
}

lm_status lm_sheet_draw(const lm_sheet *sheet, lm_image *out) {
    *out = (lm_image){0};
    layout l = measure(sheet);
    int64_t width = l.left + (int64_t)sheet->columns * l.across;
    int64_t height = l.top + (int64_t)sheet->rows * l.down;
    int title = sheet->title ? lm_text_width(sheet->title, TITLE_SCALE) + 2 * GAP : 0;
    if (width < title) width = title;
    LM_RETURN_IF(width > MOST_SIDE || height > MOST_SIDE, LM_ARG,
                 "a sheet of %d x %d pictures is too large", sheet->columns, sheet->rows);
    lm_image made;
    LM_TRY(lm_image_init(&made, (int)width, (int)height, 3));
    for (int64_t i = 0; i < width * height; i++) memcpy(made.pixels + 3 * i, paper, 3);
    lm_status status = draw_cells(sheet, &l, &made);
    if (status != LM_OK) {
        lm_image_release(&made);
        return status;
    }
    draw_words(sheet, &l, &made);
    *out = made;
    return LM_OK;
}
