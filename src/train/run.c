/* Run directories. */
#include "train/run.h"

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/version.h"
#include "train/settings.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_JSON ((size_t)16 << 20)
#define MAX_LOG  ((size_t)1 << 30)

void lm_run_release(lm_run *run) {
    lm_lock_release(run->lock);
    lm_free(run->folder);
    lm_free(run->preset);
    lm_free(run->data);
    lm_free(run->source);
    lm_settings_release(&run->model);
    lm_settings_release(&run->trainer);
    *run = (lm_run){0};
}

lm_status lm_run_free_folder(const char *stem, char **path) {
    enum { MOST = 10000 };
    lm_str name = LM_STR_INIT;
    for (int i = 1; i < MOST; i++) {
        lm_str_clear(&name);
        lm_str_append(&name, stem);
        if (i > 1) lm_str_printf(&name, "-%d", i);
        if (name.failed) return LM_NOMEM;
        if (!lm_file_exists(name.text) && !lm_is_folder(name.text)) break;
    }
    *path = name.text; /* handed over */
    return LM_OK;
}

lm_status lm_run_lock(lm_run *run) {
    char *path = lm_path_join(run->folder, "lock");
    if (!path) return LM_NOMEM;
    lm_status status = lm_lock_take(path, &run->lock);
    if (status == LM_ARG)
        lm_fail_context(status, "--out %s: a run is in progress there", run->folder);
    lm_free(path);
    return status;
}

/* ---- writing ----------------------------------------------------------------- */

/* A string where the digits of lm_json_write are too few: a resumed run must read what
 * the run was begun with, to the bit. */
static json_t *number_to_json(double number) {
    char text[32];
    double read;
    snprintf(text, sizeof text, "%.12g", number);
    if (lm_parse_double(text, &read) && read == number) return json_real(number);
    snprintf(text, sizeof text, "%.17g", number);
    return json_string(text);
}

static json_t *value_to_json(const lm_option *option, const lm_option_value *value) {
    switch (option->type) {
    case LM_OPT_FLAG:
        return json_boolean(value->flag);
    case LM_OPT_INT:
        return json_integer(value->integer);
    case LM_OPT_FLOAT:
        return number_to_json(value->number);
    case LM_OPT_TEXT:
    case LM_OPT_CHOICE:
        return json_string(value->text);
    case LM_OPT_INTS:
        break;
    }
    json_t *list = json_array();
    for (int i = 0; i < value->n_ints; i++)
        json_array_append_new(list, json_integer(value->ints[i]));
    return list;
}

static json_t *settings_to_json(const lm_settings *settings) {
    json_t *object = json_object();
    for (int i = 0; i < settings->count; i++)
        json_object_set_new(object, settings->table[i].name,
                            value_to_json(&settings->table[i], &settings->values[i]));
    return object;
}

static json_t *run_to_json(const lm_run *run) {
    char hash[20], seed[24];
    snprintf(hash, sizeof hash, "%016" PRIx64, run->data_hash);
    snprintf(seed, sizeof seed, "%" PRIu64, run->seed);
    return json_pack(
        "{s:i, s:s, s:s, s:s, s:{s:s, s:s, s:s, s:i, s:i, s:i, s:i}, s:s, "
        "s:{s:I, s:I, s:f}, s:o, s:o}",
        "format", LM_RUN_FORMAT, "limn", lm_version, "family", run->family->name,
        "preset", run->preset, "data", "spec", run->data, "source", run->source, "hash",
        hash, "height", run->info.height, "width", run->info.width, "channels",
        run->info.channels, "classes", run->info.classes, "seed", seed, "limits", "steps",
        (json_int_t)run->limits.steps, "epochs", (json_int_t)run->limits.epochs,
        "minutes", run->limits.minutes, "model", settings_to_json(&run->model), "trainer",
        settings_to_json(&run->trainer));
}

lm_status lm_run_write(const lm_run *run) {
    char *path = lm_path_join(run->folder, "run.json");
    if (!path) return LM_NOMEM;
    json_t *json = run_to_json(run);
    lm_status status = lm_json_write(path, json);
    json_decref(json);
    lm_free(path);
    return status;
}

/* ---- reading ----------------------------------------------------------------- */

/* The text that lm_settings_set understands. */
static lm_status json_to_text(const json_t *json, lm_str *text) {
    lm_str_clear(text);
    if (json_is_boolean(json))
        lm_str_append(text, json_is_true(json) ? "true" : "false");
    else if (json_is_integer(json))
        lm_str_printf(text, "%" JSON_INTEGER_FORMAT, json_integer_value(json));
    else if (json_is_real(json))
        lm_str_printf(text, "%.15g", json_real_value(json));
    else if (json_is_string(json))
        lm_str_append(text, json_string_value(json));
    else if (json_is_array(json))
        for (size_t i = 0; i < json_array_size(json); i++)
            lm_str_printf(text, "%s%" JSON_INTEGER_FORMAT, i ? "," : "",
                          json_integer_value(json_array_get(json, i)));
    else
        return lm_fail(LM_FORMAT, "expected a value");
    return text->failed ? LM_NOMEM : LM_OK;
}

static lm_status json_to_settings(const json_t *object, lm_settings *settings) {
    lm_str text = LM_STR_INIT;
    lm_status status = LM_OK;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value) {
        status = json_to_text(value, &text);
        /* Empty means "not given" for texts and lists. */
        if (status == LM_OK && lm_str_text(&text)[0])
            status = lm_settings_set(settings, "", key, lm_str_text(&text));
        if (status != LM_OK) break;
    }
    lm_str_release(&text);
    return status;
}

static lm_status json_to_run(json_t *json, lm_run *run) {
    const char *family, *preset, *data, *source, *hash, *seed;
    json_t *model, *trainer;
    json_int_t steps = 0, epochs = 0;
    json_error_t error;
    lm_image_info *info = &run->info;
    if (json_unpack_ex(json, &error, 0,
                       "{s:i, s:s, s:s, s:{s:s, s:s, s:s, s:i, s:i, s:i, s:i}, s:s, "
                       "s?:{s:I, s:I, s:F}, s:o, s:o}",
                       "format", &run->format, "family", &family, "preset", &preset,
                       "data", "spec", &data, "source", &source, "hash", &hash, "height",
                       &info->height, "width", &info->width, "channels", &info->channels,
                       "classes", &info->classes, "seed", &seed, "limits", "steps",
                       &steps, "epochs", &epochs, "minutes", &run->limits.minutes,
                       "model", &model, "trainer", &trainer))
        return lm_fail(LM_FORMAT, "%s", error.text);
    LM_RETURN_IF(run->format < 1 || run->format > LM_RUN_FORMAT, LM_FORMAT,
                 "format %d: this version reads 1 to %d", run->format, LM_RUN_FORMAT);
    LM_TRY(lm_family_find(family, &run->family));
    run->data_hash = strtoull(hash, NULL, 16);
    run->seed = strtoull(seed, NULL, 10);
    run->limits.steps = steps;
    run->limits.epochs = epochs;
    run->preset = lm_strdup(preset);
    run->data = lm_strdup(data);
    run->source = lm_strdup(source);
    if (!run->preset || !run->data || !run->source) return LM_NOMEM;
    LM_TRY(lm_settings_init(&run->model, run->family->options));
    LM_TRY(lm_settings_init(&run->trainer, lm_trainer_options));
    LM_TRY(json_to_settings(model, &run->model));
    return json_to_settings(trainer, &run->trainer);
}

lm_status lm_run_read(const char *folder, lm_run *run) {
    *run = (lm_run){0};
    LM_RETURN_IF(!lm_is_folder(folder), LM_NOT_FOUND, "%s: no such run directory",
                 folder);
    char *path = lm_path_join(folder, "run.json");
    if (!path) return LM_NOMEM;
    json_t *json = NULL;
    lm_status status = lm_json_read(path, MAX_JSON, &json);
    if (status == LM_OK) {
        status = json_to_run(json, run);
        if (status != LM_OK) status = lm_fail_context(status, "%s", path);
    }
    if (status == LM_OK) {
        run->folder = lm_strdup(folder);
        if (!run->folder) status = LM_NOMEM;
    }
    if (status != LM_OK) lm_run_release(run);
    json_decref(json);
    lm_free(path);
    return status;
}

lm_status lm_run_model(const lm_run *run, lm_model **model) {
    lm_settings settings;
    LM_TRY(lm_settings_copy(&settings, &run->model));
    return lm_model_open(run->family, &settings, &run->info, model);
}

char *lm_run_path(const lm_run *run, const char *part, int64_t step,
                  const char *extension) {
    lm_str path = LM_STR_INIT;
    lm_str_printf(&path, "%s/%s/step-%08" PRId64 ".%s", run->folder, part, step,
                  extension);
    if (path.failed) lm_str_release(&path);
    return path.text; /* the string's own block, handed over */
}

/* ---- the log ----------------------------------------------------------------- */

static lm_status append_line(const lm_run *run, const char *line) {
    char *path = lm_path_join(run->folder, "log.jsonl");
    lm_status status = path ? lm_file_append_line(path, line) : LM_NOMEM;
    lm_free(path);
    return status;
}

lm_status lm_run_log(const lm_run *run, const lm_log_row *row) {
    lm_str line = LM_STR_INIT;
    lm_str_printf(&line,
                  "{\"step\": %" PRId64 ", \"images\": %" PRId64
                  ", \"seconds\": %.3f, \"loss\": %.9g, \"grad_norm\": %.9g, "
                  "\"lr\": %.9g%s, \"images_per_second\": %.1f, \"data_wait\": %.4f",
                  row->step, row->images, row->seconds, row->loss, row->grad_norm,
                  row->lr, row->members ? row->members : "", row->images_per_second,
                  row->data_wait);
    if (row->first_step > 0)
        lm_str_printf(&line, ", \"startup_seconds\": %.3f, \"first_step_seconds\": %.3f",
                      row->startup, row->first_step);
    lm_str_append(&line, "}");
    lm_status status = line.failed ? LM_NOMEM : append_line(run, line.text);
    lm_str_release(&line);
    return status;
}

lm_status lm_run_log_json(const lm_run *run, const json_t *row) {
    char *line = json_dumps(row, JSON_REAL_PRECISION(9));
    lm_status status = line ? append_line(run, line) : LM_NOMEM;
    free(line); /* jansson's */
    return status;
}

/* Its text, empty where there is none; lm_free'd by the caller. */
static lm_status read_log(const char *path, void **text, size_t *size) {
    *text = NULL;
    *size = 0;
    return lm_file_exists(path) ? lm_file_read(path, MAX_LOG, text, size) : LM_OK;
}

/* The row at `at`, which moves behind it; NULL: the end, or a line cut short. */
static json_t *next_row(const char *text, size_t size, size_t *at) {
    const char *end = memchr(text + *at, '\n', size - *at);
    if (!end) return NULL;
    json_t *row = json_loadb(text + *at, (size_t)(end - (text + *at)), 0, NULL);
    if (row) *at = (size_t)(end + 1 - text);
    return row;
}

lm_status lm_run_visit_log(const lm_run *run, lm_log_visit *visit, void *user) {
    char *path = lm_path_join(run->folder, "log.jsonl");
    if (!path) return LM_NOMEM;
    void *text;
    size_t size, at = 0;
    json_t *row;
    lm_status status = read_log(path, &text, &size);
    while (status == LM_OK && at < size && (row = next_row(text, size, &at)) != NULL) {
        status = visit(user, row);
        json_decref(row);
    }
    lm_free(text);
    lm_free(path);
    return status;
}

/* The length of the log's part up to `step`. */
static size_t kept_length(const char *text, size_t size, int64_t step, lm_log_end *tail) {
    size_t kept = 0, at = 0;
    while (kept < size) {
        json_t *row = next_row(text, size, &at), *in = json_object_get(row, "step");
        bool keep = json_is_integer(in) && json_integer_value(in) <= step;
        if (keep) tail->seconds = json_number_value(json_object_get(row, "seconds"));
        if (keep && json_object_get(row, "eval"))
            tail->evaluated = json_integer_value(in);
        json_decref(row);
        if (!keep) break;
        kept = at;
    }
    return kept;
}

lm_status lm_run_rewind_log(const lm_run *run, int64_t step, lm_log_end *end) {
    *end = (lm_log_end){.evaluated = -1};
    char *path = lm_path_join(run->folder, "log.jsonl");
    if (!path) return LM_NOMEM;
    void *text;
    size_t size;
    lm_status status = read_log(path, &text, &size);
    size_t kept = text ? kept_length(text, size, step, end) : 0;
    if (status == LM_OK && kept < size) {
        lm_writer writer;
        status = lm_writer_open(&writer, path);
        if (status == LM_OK) {
            lm_writer_put(&writer, text, kept);
            status = lm_writer_commit(&writer);
        }
    }
    lm_free(text);
    lm_free(path);
    return status;
}
