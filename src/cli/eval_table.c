/* An evaluation as people read it. */
#include "cli/eval.h"

#include "eval/metric.h"
#include "eval/protocol.h"
#include "eval/report.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- numbers ----------------------------------------------------------------- */

enum { MOST_DIGITS = 6 };

void cli_number_text(double value, double error, int digits, char text[CLI_NUMBER]) {
    if (!isfinite(value)) {
        snprintf(text, CLI_NUMBER, "-");
        return;
    }
    bool known = isfinite(error) && error > 0;
    if (known) digits = 1 - (int)floor(log10(error));
    if (digits < 0) digits = 0;
    if (digits > MOST_DIGITS) digits = MOST_DIGITS;
    if (known)
        snprintf(text, CLI_NUMBER, "%.*f +- %.*f", digits, value, digits, error);
    else
        snprintf(text, CLI_NUMBER, "%.*f", digits, value);
}

/* ---- what was compared ------------------------------------------------------- */

/* Releases the line. */
static void print_titled(const char *title, lm_str *line) {
    lm_str wrapped = LM_STR_INIT;
    if (lm_str_text(line)) lm_append_wrapped(&wrapped, lm_str_text(line), 11, 11);
    printf("%-10s %s", title, lm_str_text(&wrapped) ? lm_str_text(&wrapped) : "\n");
    lm_str_release(&wrapped);
    lm_str_release(line);
}

static void print_side(const char *title, const lm_eval_side *side) {
    if (!side->source) return;
    printf("%-10s %s", title, side->spec);
    if (side->split) printf(", %s", side->split);
    printf(": %" PRId64, side->source->count);
    if (side->available > side->source->count) printf(" of %" PRId64, side->available);
    printf(" images");
    if (side->resize) printf(", resized: %s", side->resize);
    printf("\n");
    if (!side->weights) return;
    lm_str line = LM_STR_INIT;
    lm_str_printf(&line,
                  "%s weights of step %" PRId64 ", %s, %d network evaluations an image",
                  side->weights, side->step, side->sampler, side->nfe);
    print_titled("", &line);
}

/* The reference first. */
static void print_real(const cli_eval_sides *sides) {
    bool stats = sides->stats, test = sides->against_test && !stats;
    if (stats) printf("%-10s %s\n", "reference", sides->stats);
    if (test) print_side("reference", &sides->test);
    print_side(stats || test ? "training" : "reference", &sides->train);
    if (!test) print_side("held out", &sides->test);
}

/* The first value of a field among the results' protocols. */
static json_t *find_field(const lm_evaluation *evaluation, const char *name) {
    for (int i = 0; i < evaluation->count; i++) {
        json_t *value = json_object_get(evaluation->results[i].protocol, name);
        if (value) return value;
    }
    return NULL;
}

static void print_extractor(const lm_evaluation *evaluation) {
    enum { SHOWN = 12 }; /* digits of a hash, enough to tell two apart */
    const char *id = json_string_value(find_field(evaluation, "extractor"));
    const char *weights = json_string_value(find_field(evaluation, "extractor_weights"));
    const char *input = json_string_value(find_field(evaluation, "input"));
    if (!id) return;
    lm_str line = LM_STR_INIT;
    lm_str_printf(&line, "%s, sees %s%s%.*s", id, input ? input : "images",
                  weights ? "; weights " : "", SHOWN, weights ? weights : "");
    print_titled("extractor", &line);
}

static void print_protocol(const lm_evaluation *evaluation) {
    static const char *const shown[] = {"k",       "tie",     "kernel",      "estimator",
                                        "splits",  "subsets", "subset_size", "classes_by",
                                        "network", "seed",    NULL};
    lm_str line = LM_STR_INIT;
    for (int i = 0; shown[i]; i++) {
        const json_t *value = find_field(evaluation, shown[i]);
        if (!value) continue;
        lm_str_printf(&line, "%s%s ", line.length ? ", " : "", shown[i]);
        lm_protocol_text(value, &line);
    }
    print_titled("protocol", &line);
}

/* ---- the table --------------------------------------------------------------- */

enum { NAME = 22, BETTER = 7, VALUE = 22 };

static void print_row(const lm_eval_result *r) {
    char value[CLI_NUMBER], floor[CLI_NUMBER];
    const lm_eval_metric *metric = r->metric;
    bool neither = metric->better == LM_BETTER_NEITHER;
    cli_number_text(r->value, r->error, metric->digits, value);
    cli_number_text(r->floor, r->floor_error, metric->digits, floor);
    printf("%-*s %-*s %*s %*s", NAME, metric->name, BETTER,
           neither ? "" : lm_eval_better_name(metric), VALUE, value, VALUE,
           metric->has_floor ? floor : "");
    printf("%s%s\n", r->note[0] ? "  " : "", r->note);
}

static void print_table(const lm_evaluation *evaluation) {
    printf("\n%-*s %-*s %*s %*s\n", NAME, "metric", BETTER, "better", VALUE, "value",
           VALUE, "real images");
    for (int i = 0; i < evaluation->count; i++) print_row(&evaluation->results[i]);
}

/* A cell of a table of classes, which metrics' details may lack. */
static void print_cell(const json_t *value, int width) {
    if (json_is_integer(value))
        printf(" %*" JSON_INTEGER_FORMAT, width, json_integer_value(value));
    else if (json_is_real(value))
        printf(" %*.4g", width, json_real_value(value));
    else
        printf(" %*s", width, "-");
}

static const char *class_of(const json_t *table, size_t row) {
    const json_t *name = json_object_get(json_array_get(table, row), "class");
    return json_is_string(name) ? json_string_value(name) : "?";
}

/* A judge's classes need not be those of the labels. */
static bool same_classes(const json_t *a, const json_t *b) {
    bool same = json_array_size(a) == json_array_size(b);
    for (size_t c = 0; same && c < json_array_size(a); c++)
        same = strcmp(class_of(a, c), class_of(b, c)) == 0;
    return same;
}

/* Of a row, or of its columns' names. */
static void print_members(const json_t *table, size_t row, bool names) {
    enum { WIDTH = 12 };
    const char *key;
    json_t *value;
    json_object_foreach(json_array_get(table, row), key, value) {
        if (strcmp(key, "class") == 0) continue;
        if (names)
            printf(" %*s", WIDTH, key);
        else
            print_cell(value, WIDTH);
    }
}

static void print_class_table(json_t *const *tables, int n) {
    printf("\n%-16s", "class");
    for (int t = 0; t < n; t++) print_members(tables[t], 0, true);
    printf("\n");
    for (size_t c = 0; c < json_array_size(tables[0]); c++) {
        printf("%-16.16s", class_of(tables[0], c));
        for (int t = 0; t < n; t++) print_members(tables[t], c, false);
        printf("\n");
    }
}

/* One row a class: of every metric that has a table of them, its columns, side by side
 * where the classes are the same. */
static void print_classes(const lm_evaluation *evaluation) {
    enum { MOST = 8 };
    json_t *tables[MOST], *group[MOST];
    int n = 0;
    for (int i = 0; i < evaluation->count && n < MOST; i++) {
        json_t *table = json_object_get(evaluation->results[i].detail, "by_class");
        if (json_array_size(table)) tables[n++] = table;
    }
    for (int t = 0; t < n; t++) {
        const json_t *first = tables[t];
        int size = 0;
        for (int u = t; first && u < n; u++) {
            if (!tables[u] || !same_classes(first, tables[u])) continue;
            group[size++] = tables[u];
            tables[u] = NULL;
        }
        if (size) print_class_table(group, size);
    }
}

/* ---- what else should be known ----------------------------------------------- */

static void print_wrapped(const char *title, const char *text) {
    lm_str out = LM_STR_INIT;
    lm_str_printf(&out, "%s", title);
    lm_append_wrapped(&out, text, (int)strlen(title), 4);
    if (lm_str_text(&out)) fputs(lm_str_text(&out), stdout);
    lm_str_release(&out);
}

/* The metrics that were left out for a reason, behind one another. */
static void print_reason(const json_t *skipped, size_t from, const char *why) {
    lm_str line = LM_STR_INIT;
    json_t *entry;
    for (size_t i = from; (entry = json_array_get(skipped, i)); i++)
        if (strcmp(json_string_value(json_object_get(entry, "why")), why) == 0)
            lm_str_printf(&line, "%s%s", line.length ? ", " : "",
                          json_string_value(json_object_get(entry, "metric")));
    lm_str_printf(&line, ": %s", why);
    if (lm_str_text(&line)) print_wrapped("not measured: ", line.text);
    lm_str_release(&line);
}

static void print_skipped(const lm_evaluation *evaluation) {
    size_t i;
    json_t *entry;
    json_array_foreach(evaluation->skipped, i, entry) {
        const char *why = json_string_value(json_object_get(entry, "why"));
        bool said = false;
        for (size_t k = 0; k < i && !said; k++)
            said = strcmp(json_string_value(json_object_get(
                              json_array_get(evaluation->skipped, k), "why")),
                          why) == 0;
        if (!said) print_reason(evaluation->skipped, i, why);
    }
}

static void print_legend(const cli_eval_sides *sides, const lm_evaluation *evaluation) {
    bool errors = false;
    int64_t floor_n = 0;
    for (int i = 0; i < evaluation->count; i++) {
        errors = errors || isfinite(evaluation->results[i].error);
        if (evaluation->results[i].floor_n) floor_n = evaluation->results[i].floor_n;
    }
    if (errors) printf("+- is one standard error.\n");
    if (floor_n)
        printf("real images: the same of %" PRId64
               " %s ones, which no model can be asked to beat.\n",
               floor_n, sides->against_test ? "training" : "held-out");
}

void cli_eval_print(const cli_eval_sides *sides, const lm_evaluation *evaluation) {
    print_side("images", &sides->subject.generated);
    print_real(sides);
    print_extractor(evaluation);
    print_protocol(evaluation);
    print_table(evaluation);
    print_classes(evaluation);
    printf("\n");
    print_legend(sides, evaluation);
    print_skipped(evaluation);
    for (int i = 0; i < evaluation->n_warnings; i++)
        print_wrapped("note: ", evaluation->warnings[i]);
}
