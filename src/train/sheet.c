#include "train/sheet.h"

#include "base/mem.h"
#include "image/image.h"

#include <string.h>

enum { GAP = 2, BACKGROUND = 64 };

/* Images in the order of the sheet: cell r * columns + i is image i of the r-th class
 * that occurs, or background. */
typedef struct arrangement {
    uint8_t *pixels; /* owned; NULL: as they were given */
    int columns;     /* 0: a near square */
    int64_t count;
} arrangement;

static lm_status write_grid(const lm_image_source *source, const uint8_t *pixels,
                            const arrangement *cells, const char *path,
                            const char *text) {
    const lm_grid_spec spec = {
        .columns = cells->columns, .gap = GAP, .background = BACKGROUND};
    lm_image sheet;
    LM_TRY(lm_image_grid(pixels, (int)cells->count, source->height, source->width,
                         source->channels, &spec, &sheet));
    lm_status status = lm_png_write(path, &sheet, text);
    lm_image_release(&sheet);
    return status;
}

/* How many images each class has; false when there are no rows to be made. */
static bool count_classes(int classes, const int32_t *labels, int64_t count,
                          int64_t *counts) {
    int rows = 0;
    for (int64_t i = 0; i < count; i++)
        if (labels[i] < 0 || labels[i] >= classes)
            return false;
        else
            rows += counts[labels[i]]++ == 0;
    return rows > 1;
}

/* counts[c] becomes the next cell of class c. */
static void start_rows(int classes, int64_t *counts, arrangement *cells) {
    int64_t most = 0, row = 0;
    for (int c = 0; c < classes; c++)
        if (counts[c] > most) most = counts[c];
    for (int c = 0; c < classes; c++)
        if (counts[c] > 0) counts[c] = most * row++;
    cells->columns = (int)most;
    cells->count = most * row;
}

static lm_status arrange(const lm_image_source *source, const uint8_t *pixels,
                         const int32_t *labels, int64_t count, arrangement *cells) {
    size_t size = (size_t)source->height * source->width * source->channels;
    *cells = (arrangement){.count = count};
    if (source->classes < 2) return LM_OK;
    int64_t *next = lm_calloc((size_t)source->classes, sizeof *next);
    if (!next) return LM_NOMEM;
    if (count_classes(source->classes, labels, count, next)) {
        start_rows(source->classes, next, cells);
        cells->pixels = lm_alloc((size_t)cells->count * size);
        if (cells->pixels) memset(cells->pixels, BACKGROUND, (size_t)cells->count * size);
        for (int64_t i = 0; cells->pixels && i < count; i++)
            memcpy(cells->pixels + (size_t)next[labels[i]]++ * size,
                   pixels + (size_t)i * size, size);
    }
    bool whole = cells->columns == 0 || cells->pixels;
    lm_free(next);
    return whole ? LM_OK : LM_NOMEM;
}

lm_status lm_sheet_write(const lm_image_source *source, const uint8_t *pixels,
                         const int32_t *labels, int64_t count, const char *path,
                         const char *text) {
    arrangement cells;
    LM_TRY(arrange(source, pixels, labels, count, &cells));
    lm_status status =
        write_grid(source, cells.pixels ? cells.pixels : pixels, &cells, path, text);
    lm_free(cells.pixels);
    return status;
}
