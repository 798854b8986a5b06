#include "base/json.h"

#include "base/file.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>

lm_status lm_json_read(const char *path, size_t limit, json_t **json) {
    void *text;
    size_t size;
    json_error_t error;
    LM_TRY(lm_file_read(path, limit, &text, &size));
    json_t *read = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    lm_free(text);
    LM_RETURN_IF(!read, LM_FORMAT, "%s: line %d: %s", path, error.line, error.text);
    *json = read;
    return LM_OK;
}

json_t *lm_json_text(const char *text) {
    json_t *json = json_string(text);
    char *copy = json ? NULL : lm_strdup(text);
    if (!copy) return json;
    for (char *c = copy; *c; c++)
        if ((unsigned char)*c >= 0x80) *c = '?';
    json = json_string(copy);
    lm_free(copy);
    return json;
}

json_t *lm_json_number(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

lm_status lm_json_put(json_t *to, const char *name, json_t *value) {
    int failed =
        name ? json_object_set_new(to, name, value) : json_array_append_new(to, value);
    return failed ? lm_fail(LM_NOMEM, "out of memory") : LM_OK;
}

lm_status lm_json_write(const char *path, const json_t *json) {
    char *text = json ? json_dumps(json, JSON_INDENT(2) | JSON_REAL_PRECISION(12)) : NULL;
    LM_RETURN_IF(!text, LM_NOMEM, "%s: out of memory", path);
    lm_writer writer;
    lm_status status = lm_writer_open(&writer, path);
    if (status == LM_OK) {
        lm_writer_put(&writer, text, strlen(text));
        lm_writer_put(&writer, "\n", 1);
        status = lm_writer_commit(&writer);
    }
    free(text); /* jansson's */
    return status;
}
