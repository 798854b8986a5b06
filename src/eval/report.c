#include "eval/report.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/version.h"
#include "eval/metric.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 64 << 20 };

/* ---- writing ----------------------------------------------------------------- */

const char *lm_eval_better_name(const lm_eval_metric *metric) {
    static const char *const names[] = {"lower", "higher", "neither"};
    return names[metric->better];
}

static json_t *result_json(const lm_eval_result *r) {
    return json_pack("{s:s, s:s, s:o, s:o, s:s, s:o, s:o, s:I, s:I, s:o, s:O, s:O*}",
                     "metric", r->metric->name, "better", lm_eval_better_name(r->metric),
                     "value", lm_json_number(r->value), "error", lm_json_number(r->error),
                     "error_from", r->error_from, "floor", lm_json_number(r->floor),
                     "floor_error", lm_json_number(r->floor_error), "floor_n",
                     (json_int_t)r->floor_n, "n", (json_int_t)r->n, "note",
                     lm_json_text(r->note), "protocol", r->protocol, "detail", r->detail);
}

static lm_status fill(const lm_evaluation *evaluation, json_t *report) {
    json_t *results = json_array(), *warnings = json_array();
    LM_TRY(lm_json_put(report, "results", results));
    LM_TRY(lm_json_put(report, "warnings", warnings));
    LM_TRY(lm_json_put(report, "skipped", json_incref(evaluation->skipped)));
    for (int i = 0; i < evaluation->count; i++)
        LM_TRY(lm_json_put(results, NULL, result_json(&evaluation->results[i])));
    for (int i = 0; i < evaluation->n_warnings; i++)
        LM_TRY(lm_json_put(warnings, NULL, lm_json_text(evaluation->warnings[i])));
    return LM_OK;
}

lm_status lm_report_make(const lm_evaluation *evaluation, json_t **report) {
    char date[32];
    lm_utc_text(date, sizeof date);
    json_t *made =
        json_pack("{s:i, s:s, s:s, s:f}", "format", LM_REPORT_FORMAT, "program",
                  lm_version, "date", date, "seconds", evaluation->seconds);
    LM_RETURN_IF(!made, LM_NOMEM, "out of memory");
    lm_status status = fill(evaluation, made);
    if (status == LM_OK)
        *report = made;
    else
        json_decref(made);
    return status;
}

static uint64_t hash_protocols(const json_t *report) {
    uint64_t hash = LM_HASH_SEED;
    size_t i;
    json_t *result;
    json_array_foreach(json_object_get(report, "results"), i, result) {
        char *text = json_dumps(json_object_get(result, "protocol"), JSON_SORT_KEYS);
        if (text) hash = lm_hash_bytes(hash, text, strlen(text));
        free(text); /* jansson's */
    }
    return hash;
}

char *lm_report_path(const char *folder, int64_t step, const json_t *report) {
    lm_str path = LM_STR_INIT;
    lm_str_printf(&path, "%s/eval/step-%08" PRId64 "-%06" PRIx64 ".json", folder, step,
                  hash_protocols(report) & 0xffffff);
    if (path.failed) lm_str_release(&path);
    return path.text;
}

/* ---- reading ----------------------------------------------------------------- */

static bool is_number_or_null(const json_t *value) {
    return json_is_number(value) || json_is_null(value);
}

static bool is_result(const json_t *result) {
    return json_is_string(json_object_get(result, "metric")) &&
           json_is_string(json_object_get(result, "better")) &&
           is_number_or_null(json_object_get(result, "value")) &&
           is_number_or_null(json_object_get(result, "error")) &&
           is_number_or_null(json_object_get(result, "floor")) &&
           json_is_object(json_object_get(result, "protocol"));
}

static lm_status check(const char *path, const json_t *report) {
    json_t *format = json_object_get(report, "format"), *result;
    json_t *results = json_object_get(report, "results");
    size_t i;
    LM_RETURN_IF(!json_is_integer(format) || !json_is_array(results) ||
                     !json_is_string(json_object_get(report, "date")),
                 LM_FORMAT, "%s: not an evaluation", path);
    LM_RETURN_IF(json_integer_value(format) != LM_REPORT_FORMAT, LM_UNSUPPORTED,
                 "%s: format %" PRId64 "; this program reads %d", path,
                 (int64_t)json_integer_value(format), LM_REPORT_FORMAT);
    json_array_foreach(results, i, result) {
        LM_RETURN_IF(!is_result(result), LM_FORMAT, "%s: result %zu is incomplete", path,
                     i);
    }
    return LM_OK;
}

lm_status lm_report_read(const char *path, json_t **report) {
    json_t *read;
    LM_TRY(lm_json_read(path, MOST_BYTES, &read));
    lm_status status = check(path, read);
    if (status == LM_OK)
        *report = read;
    else
        json_decref(read);
    return status;
}

static bool is_report_name(const char *name) {
    return lm_path_ends(name, ".json");
}

static const char *date_of(const json_t *report) {
    return json_string_value(json_object_get(report, "date"));
}

/* Dates in UTC have the order of their texts; of one second, the later name wins. */
static lm_status keep_later(const char *folder, const char *name, json_t **latest) {
    char *path = lm_path_join(folder, name);
    json_t *report;
    lm_status status = path ? lm_report_read(path, &report) : LM_NOMEM;
    lm_free(path);
    LM_TRY(status);
    bool later = !*latest || strcmp(date_of(report), date_of(*latest)) >= 0;
    json_decref(later ? *latest : report);
    if (later) *latest = report;
    return LM_OK;
}

lm_status lm_report_read_latest(const char *folder, json_t **report) {
    char *where = lm_path_join(folder, "eval"), **names = NULL;
    size_t count = 0;
    json_t *latest = NULL;
    if (!where) return LM_NOMEM;
    lm_status status = LM_OK;
    if (lm_is_folder(where))
        status = lm_list_folder(where, is_report_name, &names, &count);
    for (size_t i = 0; i < count && status == LM_OK; i++)
        status = keep_later(where, names[i], &latest);
    if (status == LM_OK && !latest)
        status = lm_fail(LM_NOT_FOUND, "%s: not evaluated yet; see 'limn eval'", folder);
    lm_names_free(names, count);
    lm_free(where);
    if (status == LM_OK)
        *report = latest;
    else
        json_decref(latest);
    return status;
}
