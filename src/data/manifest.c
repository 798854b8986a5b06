#include "data/manifest.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/version.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define FORMAT  "limn-prepared"
#define VERSION 1
/* Of a million skipped images. */
#define MAX_MANIFEST ((size_t)256 << 20)
enum { MOST_SIDE = 32768, MOST_CLASSES = 1 << 24 };

static json_t *hash_json(uint64_t hash) {
    return json_sprintf("%016" PRIx64, hash);
}

/* ---- the request ------------------------------------------------------------- */

json_t *lm_request_json(const char *spec, const lm_dataset *set) {
    return json_pack("{s:s, s:o, s:s, s:o, s:I, s:i, s:i, s:i}", "limn", lm_version,
                     "spec", lm_json_text(spec), "split", lm_split_name(set->split),
                     "hash", hash_json(set->hash), "count", (json_int_t)set->count,
                     "height", set->height, "width", set->width, "channels",
                     set->channels);
}

lm_status lm_request_compare(const char *folder, const json_t *there,
                             const json_t *wanted) {
    /* Most telling first: another size changes the hash, too. */
    static const char *const keys[] = {"split", "height", "width", "channels",
                                       "count", "limn",   "hash"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const json_t *a = json_object_get(there, keys[i]);
        const json_t *b = json_object_get(wanted, keys[i]);
        if (json_equal(a, b)) continue;
        char *old = json_dumps(a, JSON_ENCODE_ANY), *new = json_dumps(b, JSON_ENCODE_ANY);
        const char *spec = json_string_value(json_object_get(there, "spec"));
        lm_status status = lm_fail(
            LM_ARG,
            "%s: was made from %s with %s %s, not %s; name another folder, or remove it",
            folder, spec ? spec : "something else", keys[i], old ? old : "?",
            new ? new : "?");
        free(old);
        free(new);
        return status;
    }
    return LM_OK;
}

/* ---- writing ----------------------------------------------------------------- */

lm_status lm_manifest_write(const char *folder, const lm_manifest *m) {
    char *path = lm_path_join(folder, LM_PREPARED_MANIFEST);
    if (!path) return LM_NOMEM;
    json_t *json = json_pack(
        "{s:s, s:i, s:O, s:O, s:O, s:I, s:i, s:i, s:i, s:o, s:i, s:O*, s:O*, s:O}",
        "format", FORMAT, "version", VERSION, "made_from", m->request, "transform",
        m->transform, "source", m->source, "count", (json_int_t)m->count, "height",
        m->height, "width", m->width, "channels", m->channels, "hash", hash_json(m->hash),
        "classes", m->classes, "class_names", m->class_names, "attributes", m->attributes,
        "skipped", m->skipped);
    lm_status status = lm_json_write(path, json);
    json_decref(json);
    lm_free(path);
    return status;
}

/* ---- reading ----------------------------------------------------------------- */

static bool is_names(const json_t *list, int count) {
    if (!json_is_array(list) || json_array_size(list) != (size_t)count) return false;
    for (int i = 0; i < count; i++)
        if (!json_is_string(json_array_get(list, (size_t)i))) return false;
    return true;
}

static bool is_attribute(const json_t *json) {
    const json_t *levels = json_object_get(json, "levels");
    const json_t *names = json_object_get(json, "names");
    json_int_t count = json_integer_value(levels);
    return json_is_string(json_object_get(json, "name")) && json_is_integer(levels) &&
           count >= 0 && count <= MOST_CLASSES && (!names || is_names(names, (int)count));
}

static bool find_split(const json_t *request, lm_split *split) {
    const char *name = json_string_value(json_object_get(request, "split"));
    for (int i = 0; name && i < LM_N_SPLITS; i++) {
        *split = (lm_split)i;
        if (strcmp(name, lm_split_name(*split)) == 0) return true;
    }
    return false;
}

static lm_status check(const lm_manifest *m) {
    LM_RETURN_IF(m->count < 1 || m->count > INT32_MAX, LM_FORMAT,
                 "count %lld: expected 1 to %d", (long long)m->count, INT32_MAX);
    LM_RETURN_IF(m->height < 1 || m->height > MOST_SIDE || m->width < 1 ||
                     m->width > MOST_SIDE || (m->channels != 1 && m->channels != 3),
                 LM_FORMAT, "%d x %d pixels with %d channels: not possible", m->width,
                 m->height, m->channels);
    LM_RETURN_IF(m->classes < 0 || m->classes > MOST_CLASSES, LM_FORMAT,
                 "classes %d: expected 0 to %d", m->classes, MOST_CLASSES);
    LM_RETURN_IF(m->class_names && !is_names(m->class_names, m->classes), LM_FORMAT,
                 "class_names: expected %d texts", m->classes);
    bool attributes = !m->attributes || json_array_size(m->attributes) > 0;
    for (size_t i = 0; i < json_array_size(m->attributes) && attributes; i++)
        attributes = is_attribute(json_array_get(m->attributes, i));
    LM_RETURN_IF(!attributes, LM_FORMAT, "attributes: expected names, levels and names");
    return LM_OK;
}

lm_status lm_manifest_parse(json_t *json, lm_manifest *m) {
    *m = (lm_manifest){0};
    const char *format, *hash;
    json_int_t count;
    int version;
    json_error_t error;
    LM_RETURN_IF(json_unpack_ex(json, &error, 0, "{s:s, s:i}", "format", &format,
                                "version", &version) ||
                     strcmp(format, FORMAT) != 0,
                 LM_FORMAT, "not the manifest of a prepared set");
    LM_RETURN_IF(version != VERSION, LM_UNSUPPORTED, "version %d: expected %d", version,
                 VERSION);
    LM_RETURN_IF(
        json_unpack_ex(json, &error, 0,
                       "{s:o, s:o, s:o, s:I, s:i, s:i, s:i, s:s, s:i, s?o, s?o, s:o}",
                       "made_from", &m->request, "transform", &m->transform, "source",
                       &m->source, "count", &count, "height", &m->height, "width",
                       &m->width, "channels", &m->channels, "hash", &hash, "classes",
                       &m->classes, "class_names", &m->class_names, "attributes",
                       &m->attributes, "skipped", &m->skipped),
        LM_FORMAT, "%s", error.text);
    m->count = count;
    m->hash = strtoull(hash, NULL, 16);
    LM_RETURN_IF(!find_split(m->request, &m->split), LM_FORMAT,
                 "made_from: no split that is known");
    return check(m);
}

lm_status lm_manifest_read(const char *folder, lm_manifest *manifest, json_t **json) {
    char *path = lm_path_join(folder, LM_PREPARED_MANIFEST);
    if (!path) return LM_NOMEM;
    *manifest = (lm_manifest){0};
    *json = NULL;
    lm_status status = lm_file_exists(path)
                           ? lm_json_read(path, MAX_MANIFEST, json)
                           : lm_fail(LM_NOT_FOUND, "%s: no such file", path);
    if (status == LM_OK) {
        status = lm_manifest_parse(*json, manifest);
        if (status != LM_OK) {
            status = lm_fail_context(status, "%s", path);
            json_decref(*json);
            *json = NULL;
        }
    }
    lm_free(path);
    return status;
}
