/* limn compare: evaluations side by side, where their protocols agree. */
#include "cli/eval.h"

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "eval/compare.h"
#include "eval/protocol.h"
#include "eval/report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST_REPORTS = 26 };

static const lm_option options[] = {
    {"csv", LM_OPT_FLAG, "false", 0, 0, NULL, NULL,
     "metric,report,value,error,floor on stdout"},
    {"markdown", LM_OPT_FLAG, "false", 0, 0, NULL, NULL,
     "a table with a row for each report, as documents want it, on stdout"},
    {"reach", LM_OPT_TEXT, "", 0, 0, NULL, "METRIC=VALUE",
     "of runs: when their evaluations in training were first as good as that; minutes "
     "are "
     "of training alone"},
    {0}};

/* ---- reading ----------------------------------------------------------------- */

static void free_reports(json_t **reports, int count) {
    for (int i = 0; i < count; i++) json_decref(reports[i]);
}

static lm_status read_reports(const cli_context *cli, json_t **reports) {
    for (int i = 0; i < cli->n_args; i++) {
        const char *path = cli->args[i];
        lm_status status = lm_is_folder(path) ? lm_report_read_latest(path, &reports[i])
                                              : lm_report_read(path, &reports[i]);
        if (status != LM_OK) {
            free_reports(reports, i);
            return status;
        }
    }
    return LM_OK;
}

/* ---- text -------------------------------------------------------------------- */

enum { NAME = 22, CELL = 22 };

static double number(const json_t *cell, const char *name) {
    const json_t *value = json_object_get(cell, name);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

/* What sets a report apart without forbidding anything, behind one another. */
static void print_informs(const json_t *comparison, size_t report) {
    size_t i;
    json_t *field;
    lm_str line = LM_STR_INIT, wrapped = LM_STR_INIT;
    json_array_foreach(json_object_get(comparison, "informs"), i, field) {
        lm_str_printf(&line, "%s%s: ", line.length ? ", " : "",
                      json_string_value(json_object_get(field, "field")));
        lm_protocol_text(json_array_get(json_object_get(field, "values"), report), &line);
    }
    lm_str_append(&wrapped, "   ");
    if (lm_str_text(&line)) lm_append_wrapped(&wrapped, lm_str_text(&line), 3, 3);
    if (line.length && lm_str_text(&wrapped)) fputs(wrapped.text, stdout);
    lm_str_release(&line);
    lm_str_release(&wrapped);
}

static void print_head(const cli_context *cli, const json_t *comparison) {
    for (int i = 0; i < cli->n_args; i++) {
        printf("%c  %s\n", 'A' + i, cli->args[i]);
        print_informs(comparison, (size_t)i);
    }
    printf("\n%-*s", NAME, "metric");
    for (int i = 0; i < cli->n_args; i++) printf(" %*c ", CELL - 1, 'A' + i);
    printf("\n");
}

static bool differs(const json_t *row, size_t report) {
    size_t i;
    json_t *entry;
    json_array_foreach(json_object_get(row, "differences"), i, entry) {
        if ((size_t)json_integer_value(json_object_get(entry, "report")) == report)
            return true;
    }
    return false;
}

static void print_cells(const json_t *row) {
    size_t i;
    json_t *cell;
    const json_t *best = json_object_get(row, "best");
    printf("%-*s", NAME, json_string_value(json_object_get(row, "metric")));
    json_array_foreach(json_object_get(row, "cells"), i, cell) {
        char text[CLI_NUMBER];
        cli_number_text(number(cell, "value"), number(cell, "error"), 4, text);
        bool is_best = json_is_integer(best) && (size_t)json_integer_value(best) == i;
        printf(" %*s%s", CELL - 1, differs(row, i) ? "differs" : text,
               is_best ? "*" : " ");
    }
    printf("\n");
}

/* "B, n: 100, not 1000", of which many metrics may have the same. */
static char *difference_text(const json_t *entry, const json_t *field) {
    enum { SHOWN = 48 }; /* of a hash or a path, to tell it from another */
    const json_t *values = json_object_get(field, "values");
    lm_str a = LM_STR_INIT, b = LM_STR_INIT, text = LM_STR_INIT;
    lm_protocol_text(json_array_get(values, 0), &a);
    lm_protocol_text(json_array_get(values, 1), &b);
    lm_str_printf(&text, "%c, %s: %.*s, not %.*s",
                  'A' + (char)json_integer_value(json_object_get(entry, "report")),
                  json_string_value(json_object_get(field, "field")), SHOWN,
                  lm_str_text(&b) ? b.text : "?", SHOWN, lm_str_text(&a) ? a.text : "?");
    lm_str_release(&a);
    lm_str_release(&b);
    if (text.failed) lm_str_release(&text);
    return text.text; /* the string's own block, handed over */
}

/* Appends a metric's differences to those so far: {text: "fid, kid"}. */
static lm_status gather(const json_t *row, json_t *so_far) {
    const char *metric = json_string_value(json_object_get(row, "metric"));
    size_t i, k;
    json_t *entry, *field;
    json_array_foreach(json_object_get(row, "differences"), i, entry) {
        json_array_foreach(json_object_get(entry, "fields"), k, field) {
            char *text = difference_text(entry, field);
            if (!text) return LM_NOMEM;
            const char *others = json_string_value(json_object_get(so_far, text));
            lm_str metrics = LM_STR_INIT;
            lm_str_printf(&metrics, "%s%s%s", others ? others : "", others ? ", " : "",
                          metric);
            lm_status status = lm_json_put(
                so_far, text, lm_str_text(&metrics) ? json_string(metrics.text) : NULL);
            lm_str_release(&metrics);
            lm_free(text);
            LM_TRY(status);
        }
    }
    return LM_OK;
}

static lm_status print_differences(const json_t *rows) {
    json_t *all = json_object(), *row, *metrics;
    const char *text;
    size_t i;
    lm_status status = all ? LM_OK : LM_NOMEM;
    json_array_foreach(rows, i, row) {
        if (status == LM_OK) status = gather(row, all);
    }
    if (status == LM_OK && json_object_size(all)) printf("\nprotocols differ\n");
    json_object_foreach(all, text, metrics) {
        lm_str line = LM_STR_INIT;
        lm_str_printf(&line, "  %s\n    of ", text);
        lm_append_wrapped(&line, json_string_value(metrics), 7, 7);
        if (status == LM_OK && lm_str_text(&line)) fputs(line.text, stdout);
        lm_str_release(&line);
    }
    json_decref(all);
    return status;
}

static lm_status print_text(const cli_context *cli, const json_t *comparison) {
    const json_t *rows = json_object_get(comparison, "metrics");
    size_t i;
    json_t *row;
    bool starred = false;
    print_head(cli, comparison);
    json_array_foreach(rows, i, row) {
        print_cells(row);
        starred = starred || json_is_integer(json_object_get(row, "best"));
    }
    if (starred)
        printf("\n* better than every other by more than twice the standard errors\n");
    return print_differences(rows);
}

/* ---- CSV --------------------------------------------------------------------- */

static void print_csv_number(double value) {
    if (isfinite(value))
        printf(",%.9g", value);
    else
        printf(",");
}

static void print_csv_text(const char *text) {
    putchar('"');
    for (; *text; text++) {
        if (*text == '"') putchar('"');
        putchar(*text);
    }
    putchar('"');
}

static void print_csv(const cli_context *cli, const json_t *comparison) {
    size_t i, k;
    json_t *row, *cell;
    printf("metric,report,value,error,floor\n");
    json_array_foreach(json_object_get(comparison, "metrics"), i, row) {
        json_array_foreach(json_object_get(row, "cells"), k, cell) {
            if (json_is_null(cell)) continue;
            print_csv_text(json_string_value(json_object_get(row, "metric")));
            putchar(',');
            print_csv_text(cli->args[k]);
            print_csv_number(number(cell, "value"));
            print_csv_number(number(cell, "error"));
            print_csv_number(number(cell, "floor"));
            printf("\n");
        }
    }
}

/* ---- Markdown ---------------------------------------------------------------- */

void cli_print_label(const char *path) {
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') length--;
    const char *end = path + length, *start = end;
    while (start > path && start[-1] != '/') start--;
    if (end - start > 5 && strncmp(end - 5, ".json", 5) == 0) end -= 5;
    printf("| %.*s |", (int)(end - start), start);
}

static void print_markdown_cell(const json_t *row, size_t report) {
    const json_t *cell = json_array_get(json_object_get(row, "cells"), report);
    const json_t *best = json_object_get(row, "best");
    char text[CLI_NUMBER];
    cli_number_text(number(cell, "value"), number(cell, "error"), 4, text);
    bool is_best = json_is_integer(best) && (size_t)json_integer_value(best) == report;
    const char *mark = is_best ? "**" : "";
    printf(" %s%s%s |", mark, differs(row, report) ? "differs" : text, mark);
}

/* What real images get instead, where all that have the number agree on it. */
static double common_floor(const json_t *row) {
    size_t i;
    json_t *cell;
    double common = NAN;
    json_array_foreach(json_object_get(row, "cells"), i, cell) {
        double floor = number(cell, "floor");
        if (json_is_null(cell)) continue;
        if (!isfinite(floor) || (isfinite(common) && floor != common)) return NAN;
        common = floor;
    }
    return common;
}

static void print_floors(const json_t *rows) {
    size_t i;
    json_t *row;
    bool any = false;
    json_array_foreach(rows, i, row) any = any || isfinite(common_floor(row));
    if (!any) return;
    printf("| real images |");
    json_array_foreach(rows, i, row) {
        char text[CLI_NUMBER];
        double floor = common_floor(row);
        cli_number_text(floor, NAN, 4, text);
        printf(" %s |", isfinite(floor) ? text : "");
    }
    printf("\n");
}

static void print_markdown(const cli_context *cli, const json_t *comparison) {
    const json_t *rows = json_object_get(comparison, "metrics");
    size_t i;
    json_t *row;
    printf("| run |");
    json_array_foreach(rows, i, row)
        printf(" %s |", json_string_value(json_object_get(row, "metric")));
    printf("\n|---|");
    json_array_foreach(rows, i, row) printf("---|");
    printf("\n");
    for (int k = 0; k < cli->n_args; k++) {
        cli_print_label(cli->args[k]);
        json_array_foreach(rows, i, row) print_markdown_cell(row, (size_t)k);
        printf("\n");
    }
    print_floors(rows);
}

/* ---- the command ------------------------------------------------------------- */

static lm_status show(const cli_context *cli, json_t *comparison) {
    if (cli->json)
        cli_print_json(json_incref(comparison));
    else if (lm_setting_flag(&cli->options, "csv"))
        print_csv(cli, comparison);
    else if (lm_setting_flag(&cli->options, "markdown"))
        print_markdown(cli, comparison);
    else
        LM_TRY(print_text(cli, comparison));
    LM_RETURN_IF(json_integer_value(json_object_get(comparison, "comparable")) == 0,
                 LM_MISMATCH, "no number of two evaluations can be compared");
    return LM_OK;
}

static lm_status run(cli_context *cli) {
    json_t *reports[MOST_REPORTS], *comparison;
    const char *reach = cli_text(cli, "reach");
    if (reach) return cli_compare_reach(cli, reach);
    LM_TRY(read_reports(cli, reports));
    lm_status status = lm_compare(reports, cli->n_args, &comparison);
    free_reports(reports, cli->n_args);
    LM_TRY(status);
    status = show(cli, comparison);
    json_decref(comparison);
    return status;
}

const cli_command compare_command = {
    .name = "compare",
    .arguments = "FILE.json|RUN FILE.json|RUN [..]",
    .help = "evaluations side by side, where their protocols agree",
    .options = options,
    .min_args = 2,
    .max_args = MOST_REPORTS,
    .run = run};
