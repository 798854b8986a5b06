#include "eval/neighbours_sheet.h"

#include "base/mem.h"
#include "image/sheet.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { COLUMNS = LM_EVAL_NEIGHBOURS + 1, MOST_ROWS = 2 * LM_EVAL_ROWS, LABEL = 24 };

typedef struct drawing {
    lm_image images[MOST_ROWS * COLUMNS];
    char labels[MOST_ROWS * COLUMNS][LABEL];
    const char *row_labels[MOST_ROWS];
    int rows;
} drawing;

static lm_status read_image(const lm_eval_part *part, int64_t index, lm_image *image) {
    const lm_image_source *source = &part->source;
    LM_TRY(lm_image_init(image, source->width, source->height, source->channels));
    return lm_source_read(source, index, 1, image->pixels, NULL);
}

static lm_status add_row(const lm_eval_context *context, const json_t *row,
                         const char *label, drawing *d) {
    int cell = d->rows * COLUMNS;
    size_t i;
    json_t *neighbour;
    int64_t image = json_integer_value(json_object_get(row, "image"));
    int64_t place = json_integer_value(json_object_get(row, "place"));
    d->row_labels[d->rows++] = label;
    snprintf(d->labels[cell], LABEL, "image %" PRId64, image);
    LM_TRY(read_image(context->generated, place, &d->images[cell]));
    json_array_foreach(json_object_get(row, "neighbours"), i, neighbour) {
        place = json_integer_value(json_object_get(neighbour, "place"));
        snprintf(d->labels[++cell], LABEL, "%.3g",
                 json_real_value(json_object_get(neighbour, "distance")));
        LM_TRY(read_image(context->train, place, &d->images[cell]));
    }
    return LM_OK;
}

static lm_status add_rows(const lm_eval_context *context, const lm_evaluation *evaluation,
                          const char *metric, const char *const labels[2], drawing *d) {
    const lm_eval_result *result = lm_evaluation_find(evaluation, metric);
    size_t i;
    json_t *row;
    if (!result) return LM_OK;
    json_array_foreach(json_object_get(result->detail, "rows"), i, row) {
        LM_TRY(add_row(context, row, labels[i >= LM_EVAL_CLOSEST], d));
    }
    return LM_OK;
}

static lm_status write(const lm_eval_context *context, const drawing *d,
                       const char *path) {
    lm_sheet_cell cells[MOST_ROWS * COLUMNS] = {0};
    char title[160];
    for (int i = 0; i < d->rows * COLUMNS; i++)
        if (d->images[i].pixels) cells[i] = (lm_sheet_cell){&d->images[i], d->labels[i]};
    snprintf(title, sizeof title, "%s, then the nearest of %s with their distances",
             context->generated->side.spec, context->train->side.spec);
    lm_image sheet;
    LM_TRY(lm_sheet_draw(&(lm_sheet){.cells = cells,
                                     .rows = d->rows,
                                     .columns = COLUMNS,
                                     .title = title,
                                     .row_labels = d->row_labels},
                         &sheet));
    lm_status status = lm_png_write(path, &sheet, NULL);
    lm_image_release(&sheet);
    return status;
}

lm_status lm_neighbours_sheet_write(const lm_eval_context *context,
                                    const lm_evaluation *evaluation, const char *path) {
    static const char *const features[] = {"by features, closest", "by features"};
    static const char *const pixels[] = {"by pixels, closest", "by pixels"};
    drawing *d = lm_calloc(1, sizeof *d);
    if (!d) return LM_NOMEM;
    lm_status status = add_rows(context, evaluation, "neighbours", features, d);
    if (status == LM_OK)
        status = add_rows(context, evaluation, "pixel_neighbours", pixels, d);
    if (status == LM_OK && !d->rows)
        status = lm_fail(LM_ARG, "--neighbours: neither neighbours nor pixel_neighbours "
                                 "is measured");
    if (status == LM_OK) status = write(context, d, path);
    for (int i = 0; i < MOST_ROWS * COLUMNS; i++) lm_image_release(&d->images[i]);
    lm_free(d);
    return status;
}
