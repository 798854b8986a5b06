#include "data/label_file.h"

#include "base/file.h"
#include "data/rows.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

bool lm_is_label_file(const char *name) {
    static const char *const names[] = {"labels.csv", "labels.json", "dataset.json"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(lm_path_base(name), names[i]) == 0) return true;
    return false;
}

bool lm_is_picture_name(const char *name) {
    static const char *const ends[] = {".png", ".jpg", ".jpeg", ".jpe", ".webp",
                                       ".bmp", ".pnm", ".ppm",  ".pgm", ".pbm"};
    const char *base = lm_path_base(name), *dot = strrchr(base, '.');
    for (size_t i = 0; dot && i < sizeof ends / sizeof *ends; i++)
        if (strcasecmp(dot, ends[i]) == 0) return true;
    return false;
}

/* ---- CSV --------------------------------------------------------------------- */

static lm_status parse_csv(char *text, lm_label_take take, void *user) {
    lm_rows rows = lm_rows_of(text, true);
    char *fields[2];
    int count;
    for (bool first = true;; first = false) {
        LM_TRY(lm_rows_next(&rows, fields, 2, &count));
        if (count == 0) return LM_OK;
        LM_RETURN_IF(count != 2, LM_FORMAT, "line %d: expected an image and a label",
                     rows.line);
        if (first && !lm_is_picture_name(fields[0])) continue;
        LM_TRY(take(user, rows.line, fields[0], fields[1]));
    }
}

/* ---- JSON -------------------------------------------------------------------- */

static lm_status take_value(const char *image, const json_t *value, lm_label_take take,
                            void *user) {
    char number[32];
    if (json_is_string(value)) return take(user, 0, image, json_string_value(value));
    LM_RETURN_IF(!json_is_integer(value), LM_FORMAT,
                 "%s: expected a whole number or a string as label", image);
    snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    return take(user, 0, image, number);
}

static lm_status parse_pairs(const json_t *pairs, lm_label_take take, void *user) {
    for (size_t i = 0; i < json_array_size(pairs); i++) {
        const json_t *pair = json_array_get(pairs, i);
        const char *image = json_string_value(json_array_get(pair, 0));
        LM_RETURN_IF(!image || json_array_size(pair) != 2, LM_FORMAT,
                     "labels: item %zu: expected [\"IMAGE\", LABEL]", i);
        LM_TRY(take_value(image, json_array_get(pair, 1), take, user));
    }
    return LM_OK;
}

static lm_status parse_object(json_t *root, lm_label_take take, void *user) {
    LM_RETURN_IF(!json_is_object(root), LM_FORMAT, "expected an object");
    const json_t *labels = json_object_get(root, "labels");
    if (json_is_null(labels)) return LM_OK;
    if (json_is_array(labels)) return parse_pairs(labels, take, user);
    const char *image;
    json_t *value;
    json_object_foreach(root, image, value) LM_TRY(take_value(image, value, take, user));
    return LM_OK;
}

static lm_status parse_json(const char *text, size_t size, lm_label_take take,
                            void *user) {
    json_error_t error;
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    LM_RETURN_IF(!root, LM_FORMAT, "line %d: %s", error.line, error.text);
    lm_status status = parse_object(root, take, user);
    json_decref(root);
    return status;
}

lm_status lm_label_file_parse(const char *name, char *bytes, size_t size,
                              lm_label_take take, void *user) {
    if (!lm_path_ends(name, ".csv")) return parse_json(bytes, size, take, user);
    LM_RETURN_IF(strlen(bytes) != size, LM_FORMAT, "a NUL in it: not a text");
    return parse_csv(bytes, take, user);
}
