/* limn data show: a contact sheet of a set. */
#include "cli/data.h"

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "data/order.h"
#include "image/sheet.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { MOST_ROWS = 200 };

static const lm_option options[] = {
    {"out", LM_OPT_TEXT, "", 0, 0, NULL, "FILE", "the sheet to write, a PNG"},
    {"n", LM_OPT_INT, "64", 1, 10000, NULL, "N", "images to draw (also -n)"},
    {"by-class", LM_OPT_FLAG, "false", 0, 0, NULL, NULL, "a row for each class"},
    {"seed", LM_OPT_INT, "0", 0, 9e18, NULL, "N", "which images, drawn without repeats"},
    CLI_DATA_SPLIT,
    {0}};

/* The images that were chosen, row by row. */
typedef struct selection {
    int rows, columns;
    int64_t *index; /* [rows][columns]; -1: none */
    lm_image *images;
    char (*labels)[64];
} selection;

static void release(selection *s) {
    for (int i = 0; s->images && i < s->rows * s->columns; i++)
        lm_image_release(&s->images[i]);
    lm_free(s->images);
    lm_free(s->labels);
    lm_free(s->index);
}

static lm_status make(int rows, int columns, selection *s) {
    size_t count = (size_t)rows * (size_t)columns;
    *s = (selection){.rows = rows, .columns = columns};
    s->index = lm_alloc(count * sizeof *s->index);
    s->images = lm_calloc(count, sizeof *s->images);
    s->labels = lm_calloc(count, sizeof *s->labels);
    if (!s->index || !s->images || !s->labels) return LM_NOMEM;
    for (size_t i = 0; i < count; i++) s->index[i] = -1;
    return LM_OK;
}

/* ---- choosing ---------------------------------------------------------------- */

static lm_status choose_any(const lm_dataset *set, int64_t n, uint64_t seed,
                            selection *s) {
    int columns = 1;
    if (n > set->count) n = set->count;
    while ((int64_t)columns * columns < n) columns++;
    LM_TRY(make((int)((n + columns - 1) / columns), columns, s));
    for (int64_t i = 0; i < n; i++) s->index[i] = lm_order_at(seed, 0, set->count, i);
    return LM_OK;
}

/* Goes through the set in a random order until every row is full. */
static lm_status fill_rows(const lm_dataset *set, uint64_t seed, selection *s) {
    int *filled = lm_calloc((size_t)s->rows, sizeof *filled), missing = s->rows;
    lm_status status = filled ? LM_OK : LM_NOMEM;
    for (int64_t i = 0; i < set->count && missing && status == LM_OK; i++) {
        int64_t index = lm_order_at(seed, 0, set->count, i);
        int32_t label;
        if (cli_interrupted()) status = lm_fail(LM_INTERRUPTED, "interrupted");
        if (status != LM_OK || lm_dataset_label(set, index, &label) != LM_OK) continue;
        if (label < 0 || label >= s->rows || filled[label] == s->columns) continue;
        s->index[label * s->columns + filled[label]++] = index;
        missing -= filled[label] == s->columns;
    }
    lm_free(filled);
    return status;
}

static lm_status choose_by_class(const lm_dataset *set, int64_t n, uint64_t seed,
                                 selection *s) {
    LM_RETURN_IF(set->classes == 0, LM_ARG, "--by-class: %s has no labels", set->name);
    LM_RETURN_IF(set->classes > MOST_ROWS, LM_ARG,
                 "--by-class: %s has %d classes, a sheet at most %d rows; choose some as "
                 "in '?classes=0,1,2'",
                 set->name, set->classes, MOST_ROWS);
    int columns = (int)(n / set->classes);
    LM_TRY(make(set->classes, columns ? columns : 1, s));
    return fill_rows(set, seed, s);
}

/* ---- drawing ----------------------------------------------------------------- */

static void write_label(const lm_dataset *set, int64_t index, int32_t label, char *text,
                        size_t size) {
    char number[16];
    lm_str name = LM_STR_INIT;
    if (label >= 0 && label < set->classes)
        snprintf(text, size, "%s", cli_class_name(set, label, number));
    else if (set->item) {
        set->item(set, index, &name);
        snprintf(text, size, "%s", lm_path_base(lm_str_text(&name) ? name.text : ""));
    }
    lm_str_release(&name);
}

/* What cannot be read is said, and its cell stays empty. */
static lm_status read_images(const cli_context *cli, const lm_dataset *set, bool by_class,
                             selection *s, int *bad) {
    for (int i = 0; i < s->rows * s->columns; i++) {
        int32_t label = -1;
        if (s->index[i] < 0) continue;
        LM_RETURN_IF(cli_interrupted(), LM_INTERRUPTED, "interrupted");
        lm_status status = lm_dataset_read(set, s->index[i], &s->images[i], &label);
        if (status == LM_NOMEM) return status;
        if (status != LM_OK) {
            s->images[i] = (lm_image){0};
            cli_note(cli, "limn data show: %s", lm_message());
            ++*bad;
        }
        if (!by_class)
            write_label(set, s->index[i], label, s->labels[i], sizeof s->labels[i]);
    }
    return LM_OK;
}

static void write_title(const lm_dataset *set, char *title, size_t size) {
    char count[32] = "endless", pixels[48] = "";
    if (!set->endless) snprintf(count, sizeof count, "%" PRId64 " images", set->count);
    if (set->height)
        snprintf(pixels, sizeof pixels, ", %d x %d", set->width, set->height);
    snprintf(title, size, "%s, %s: %s%s", lm_path_base(set->name),
             lm_split_name(set->split), count, pixels);
}

static lm_status draw(const lm_dataset *set, bool by_class, const selection *s,
                      lm_image *out) {
    size_t count = (size_t)s->rows * (size_t)s->columns;
    char title[256], numbers[MOST_ROWS][16];
    const char *names[MOST_ROWS];
    lm_sheet_cell *cells = lm_calloc(count, sizeof *cells);
    if (!cells) return LM_NOMEM;
    for (size_t i = 0; i < count; i++)
        cells[i] = (lm_sheet_cell){s->images[i].pixels ? &s->images[i] : NULL,
                                   s->labels[i][0] ? s->labels[i] : NULL};
    for (int i = 0; by_class && i < s->rows; i++)
        names[i] = cli_class_name(set, i, numbers[i]);
    write_title(set, title, sizeof title);
    lm_status status = lm_sheet_draw(&(lm_sheet){.cells = cells,
                                                 .rows = s->rows,
                                                 .columns = s->columns,
                                                 .title = title,
                                                 .row_labels = by_class ? names : NULL},
                                     out);
    lm_free(cells);
    return status;
}

/* ---- the command ------------------------------------------------------------- */

static void print_result(const cli_context *cli, const char *out, const selection *s,
                         int bad) {
    int drawn = -bad;
    for (int i = 0; i < s->rows * s->columns; i++) drawn += s->index[i] >= 0;
    if (cli->json)
        cli_print_json(json_pack("{s:o, s:i, s:i, s:i}", "out", lm_json_text(out),
                                 "images", drawn, "unreadable", bad, "columns",
                                 s->columns));
    else
        printf("%d images%s\n%s\n", drawn, bad ? ", some could not be read" : "", out);
}

static lm_status show(const cli_context *cli, const lm_dataset *set, const char *out) {
    const lm_settings *o = &cli->options;
    bool by_class = lm_setting_flag(o, "by-class");
    uint64_t seed = (uint64_t)lm_setting_int(o, "seed");
    int64_t n = lm_setting_int(o, "n");
    selection s = {0};
    lm_image sheet = {0};
    int bad = 0;
    lm_status status =
        by_class ? choose_by_class(set, n, seed, &s) : choose_any(set, n, seed, &s);
    if (status == LM_OK) status = read_images(cli, set, by_class, &s, &bad);
    if (status == LM_OK) status = draw(set, by_class, &s, &sheet);
    if (status == LM_OK) status = lm_png_write(out, &sheet, NULL);
    if (status == LM_OK) print_result(cli, out, &s, bad);
    lm_image_release(&sheet);
    release(&s);
    return status;
}

static lm_status run(cli_context *cli) {
    const char *out = cli_text(cli, "out");
    lm_dataset *set;
    LM_RETURN_IF(!out || !lm_path_ends(out, ".png"), LM_ARG,
                 "--out: expected a file to write as sheet.png");
    LM_TRY(cli_data_open(cli, &set));
    cli_watch_signals();
    lm_status status = show(cli, set, out);
    lm_dataset_free(set);
    return status;
}

const cli_command data_show_command = {.name = "data show",
                                       .arguments = "SPEC --out FILE.png",
                                       .help = "a sheet of images with their classes",
                                       .options = options,
                                       .min_args = 1,
                                       .max_args = 1,
                                       .run = run};
