#include "eval/compare.h"

#include "base/json.h"
#include "eval/protocol.h"

#include <math.h>
#include <string.h>

static json_t *find_result(const json_t *report, const char *metric) {
    size_t i;
    json_t *result;
    json_array_foreach(json_object_get(report, "results"), i, result) {
        const char *name = json_string_value(json_object_get(result, "metric"));
        if (strcmp(name, metric) == 0) return result;
    }
    return NULL;
}

/* ---- one metric -------------------------------------------------------------- */

typedef struct row {
    json_t *json, *cells, *differences;
    const json_t *first; /* the result that sets the protocol */
    int filled;
} row;

static lm_status add_cell(row *r, int index, json_t *result) {
    if (!result) return lm_json_put(r->cells, NULL, json_null());
    if (!r->first) r->first = result;
    json_t *fields = lm_protocol_difference(json_object_get(r->first, "protocol"),
                                            json_object_get(result, "protocol"));
    if (!fields) return LM_NOMEM;
    if (json_array_size(fields) == 0) {
        json_decref(fields);
        r->filled++;
        return lm_json_put(r->cells, NULL, json_incref(result));
    }
    LM_TRY(lm_json_put(r->differences, NULL,
                       json_pack("{s:i, s:o}", "report", index, "fields", fields)));
    return lm_json_put(r->cells, NULL, json_null());
}

/* NAN: there is none. */
static double number(const json_t *cell, const char *name) {
    const json_t *value = json_object_get(cell, name);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static bool beats(const json_t *a, const json_t *b, bool low) {
    double gain = number(b, "value") - number(a, "value");
    double error = hypot(number(a, "error"), number(b, "error"));
    return (low ? gain : -gain) > 2 * error; /* never where an error is not known */
}

static json_t *find_best(const json_t *cells, const char *better) {
    size_t i, j;
    json_t *a, *b;
    if (strcmp(better, "neither") == 0) return json_null();
    json_array_foreach(cells, i, a) {
        bool best = !json_is_null(a);
        int others = 0;
        json_array_foreach(cells, j, b) {
            if (j == i || json_is_null(b)) continue;
            others++;
            best = best && beats(a, b, strcmp(better, "lower") == 0);
        }
        if (best && others) return json_integer((json_int_t)i);
    }
    return json_null();
}

static lm_status fill_row(json_t *const *reports, int count, const char *metric,
                          const char *better, row *r) {
    LM_TRY(lm_json_put(r->json, "metric", json_string(metric)));
    LM_TRY(lm_json_put(r->json, "better", json_string(better)));
    r->cells = json_array();
    LM_TRY(lm_json_put(r->json, "cells", r->cells));
    r->differences = json_array();
    LM_TRY(lm_json_put(r->json, "differences", r->differences));
    for (int i = 0; i < count; i++)
        LM_TRY(add_cell(r, i, find_result(reports[i], metric)));
    return lm_json_put(r->json, "best", find_best(r->cells, better));
}

/* ---- all --------------------------------------------------------------------- */

static bool is_new(json_t *const *reports, int before, const char *metric) {
    for (int i = 0; i < before; i++)
        if (find_result(reports[i], metric)) return false;
    return true;
}

static lm_status add_rows(json_t *const *reports, int count, json_t *rows,
                          int *comparable) {
    for (int i = 0; i < count; i++) {
        size_t k;
        json_t *result;
        json_array_foreach(json_object_get(reports[i], "results"), k, result) {
            const char *metric = json_string_value(json_object_get(result, "metric"));
            const char *better = json_string_value(json_object_get(result, "better"));
            if (!is_new(reports, i, metric)) continue;
            row r = {.json = json_object()};
            LM_TRY(lm_json_put(rows, NULL, r.json));
            LM_TRY(fill_row(reports, count, metric, better, &r));
            *comparable += r.filled >= 2;
        }
    }
    return LM_OK;
}

/* A field's value in a report, of the first result that has it. */
static json_t *find_field(const json_t *report, const char *field) {
    size_t i;
    json_t *result;
    json_array_foreach(json_object_get(report, "results"), i, result) {
        json_t *value = json_object_get(json_object_get(result, "protocol"), field);
        if (value) return json_incref(value);
    }
    return json_null();
}

static lm_status add_information(json_t *const *reports, int count, const char *field,
                                 json_t *list) {
    json_t *values = json_array();
    bool differs = false;
    lm_status status = values ? LM_OK : LM_NOMEM;
    for (int i = 0; i < count && status == LM_OK; i++)
        status = lm_json_put(values, NULL, find_field(reports[i], field));
    for (int i = 1; i < count && status == LM_OK; i++)
        differs = differs || !json_equal(json_array_get(values, 0),
                                         json_array_get(values, (size_t)i));
    if (status == LM_OK && differs)
        status = lm_json_put(list, NULL,
                             json_pack("{s:s, s:O}", "field", field, "values", values));
    json_decref(values);
    return status;
}

static lm_status fill(json_t *const *reports, int count, json_t *comparison) {
    json_t *rows = json_array(), *informs = json_array();
    int comparable = 0;
    LM_TRY(lm_json_put(comparison, "metrics", rows));
    LM_TRY(lm_json_put(comparison, "informs", informs));
    LM_TRY(add_rows(reports, count, rows, &comparable));
    for (const lm_protocol_field *f = lm_protocol_fields; f->name; f++)
        if (f->rule == LM_PROTOCOL_INFORMS)
            LM_TRY(add_information(reports, count, f->name, informs));
    return lm_json_put(comparison, "comparable", json_integer(comparable));
}

lm_status lm_compare(json_t *const *reports, int count, json_t **comparison) {
    json_t *made = json_object();
    lm_status status = made ? fill(reports, count, made) : LM_NOMEM;
    if (status == LM_OK)
        *comparison = made;
    else
        json_decref(made);
    return status;
}
