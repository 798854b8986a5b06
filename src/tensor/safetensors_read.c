#include "base/arena.h"
#include "base/bytes.h"
#include "base/file.h"
#include "base/mem.h"
#include "tensor/safetensors.h"
#include "tensor/safetensors_internal.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* What a file's entries are checked against. */
typedef struct data_span {
    const char *file; /* name, for messages */
    const char *data; /* after the header */
    json_int_t size;  /* bytes of data */
} data_span;

/* ---- one entry --------------------------------------------------------------- */

#define FAIL_TENSOR(span, name, format, ...)                                             \
    lm_fail(LM_FORMAT, "%s: tensor %s: " format, (span)->file, name, __VA_ARGS__)

static lm_status read_dtype(const data_span *span, const char *name, const json_t *item,
                            lm_dtype *dtype) {
    const char *text = json_string_value(json_object_get(item, "dtype"));
    if (!text) return FAIL_TENSOR(span, name, "%s", "dtype: expected a string");
    for (int i = 0; i < LM_DTYPE_COUNT; i++)
        if (strcmp(text, lm_safetensors_dtypes[i]) == 0) {
            *dtype = (lm_dtype)i;
            return LM_OK;
        }
    return FAIL_TENSOR(span, name, "dtype %s: not one that can be read here", text);
}

static lm_status read_shape(const data_span *span, const char *name, const json_t *item,
                            lm_shape *shape) {
    const json_t *dims = json_object_get(item, "shape");
    if (!json_is_array(dims))
        return FAIL_TENSOR(span, name, "%s", "shape: expected an array");
    size_t rank = json_array_size(dims);
    if (rank > LM_MAX_RANK)
        return FAIL_TENSOR(span, name, "%zu dimensions: at most %d can be read", rank,
                           LM_MAX_RANK);
    *shape = (lm_shape){(int)rank, {0}};
    for (size_t i = 0; i < rank; i++) {
        const json_t *dim = json_array_get(dims, i);
        if (!json_is_integer(dim) || json_integer_value(dim) < 0)
            return FAIL_TENSOR(span, name, "dimension %zu: expected a whole number", i);
        shape->dim[i] = json_integer_value(dim);
    }
    return LM_OK;
}

static lm_status read_data(const data_span *span, const char *name, const json_t *item,
                           lm_st_entry *entry) {
    const json_t *offsets = json_object_get(item, "data_offsets");
    const json_t *first = json_array_get(offsets, 0), *last = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(first) ||
        !json_is_integer(last))
        return FAIL_TENSOR(span, name, "%s", "data_offsets: expected two whole numbers");
    json_int_t begin = json_integer_value(first), end = json_integer_value(last);
    if (begin < 0 || begin > end || end > span->size)
        return FAIL_TENSOR(span, name,
                           "data_offsets %" JSON_INTEGER_FORMAT
                           " to %" JSON_INTEGER_FORMAT
                           " do not lie in the %" JSON_INTEGER_FORMAT " bytes of data",
                           begin, end, span->size);
    size_t bytes;
    char shape[LM_SHAPE_TEXT];
    lm_shape_text(entry->shape, shape);
    if (!lm_shape_bytes(entry->shape, entry->dtype, &bytes))
        return FAIL_TENSOR(span, name, "shape %s: too large", shape);
    if (bytes != (size_t)(end - begin))
        return FAIL_TENSOR(
            span, name,
            "%s %s takes %zu bytes, but data_offsets span %" JSON_INTEGER_FORMAT,
            lm_dtype_name(entry->dtype), shape, bytes, end - begin);
    entry->data = span->data + begin;
    return LM_OK;
}

static lm_status read_entry(const data_span *span, const char *name, const json_t *item,
                            lm_arena *arena, lm_st_entry *entry) {
    if (!json_is_object(item)) return FAIL_TENSOR(span, name, "%s", "expected an object");
    LM_TRY(read_dtype(span, name, item, &entry->dtype));
    LM_TRY(read_shape(span, name, item, &entry->shape));
    LM_TRY(read_data(span, name, item, entry));
    entry->name = lm_arena_strdup(arena, name);
    return entry->name ? LM_OK : LM_NOMEM;
}

static lm_status read_meta(const data_span *span, json_t *object, lm_safetensors *file) {
    LM_RETURN_IF(!json_is_object(object), LM_FORMAT,
                 "%s: __metadata__: expected an object of strings", span->file);
    file->meta =
        lm_arena_alloc(file->arena, json_object_size(object) * sizeof *file->meta);
    if (!file->meta) return LM_NOMEM;
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value) {
        LM_RETURN_IF(!json_is_string(value), LM_FORMAT,
                     "%s: __metadata__ %s: expected a string", span->file, key);
        lm_st_meta *meta = &file->meta[file->n_meta];
        meta->key = lm_arena_strdup(file->arena, key);
        meta->value = lm_arena_strdup(file->arena, json_string_value(value));
        if (!meta->key || !meta->value) return LM_NOMEM;
        file->n_meta++;
    }
    return LM_OK;
}

/* ---- the whole --------------------------------------------------------------- */

static size_t entry_bytes(const lm_st_entry *entry) {
    return (size_t)lm_shape_count(entry->shape) * lm_dtype_size(entry->dtype);
}

/* By place, empty tensors first, so that neighbours can be checked; then by name, so that
 * the order does not hang on how the JSON library keeps objects. */
static int compare_places(const void *a, const void *b) {
    const lm_st_entry *x = a, *y = b;
    if (x->data != y->data) return (const char *)x->data < (const char *)y->data ? -1 : 1;
    size_t x_bytes = entry_bytes(x), y_bytes = entry_bytes(y);
    if (x_bytes != y_bytes) return x_bytes < y_bytes ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* The data must be covered by the tensors exactly: no overlap, no hole, no tail. */
static lm_status check_cover(const data_span *span, const lm_safetensors *file) {
    const char *end = span->data;
    for (int i = 0; i < file->n_entries; i++) {
        const lm_st_entry *entry = &file->entries[i];
        const char *begin = entry->data;
        if (begin < end)
            return FAIL_TENSOR(span, entry->name, "overlaps tensor %s",
                               file->entries[i - 1].name);
        if (begin > end)
            return FAIL_TENSOR(span, entry->name, "%td unused bytes before it",
                               begin - end);
        end = begin + entry_bytes(entry);
    }
    ptrdiff_t rest = span->data + span->size - end;
    LM_RETURN_IF(rest, LM_FORMAT, "%s: %td bytes after the last tensor", span->file,
                 rest);
    return LM_OK;
}

static lm_status read_header(const data_span *span, json_t *root, lm_safetensors *file) {
    file->entries =
        lm_arena_alloc(file->arena, json_object_size(root) * sizeof *file->entries);
    if (!file->entries) return LM_NOMEM;
    const char *name;
    json_t *item;
    json_object_foreach(root, name, item) {
        if (strcmp(name, "__metadata__") == 0) {
            LM_TRY(read_meta(span, item, file));
            continue;
        }
        lm_st_entry *entry = &file->entries[file->n_entries];
        LM_TRY(read_entry(span, name, item, file->arena, entry));
        file->n_entries++;
    }
    qsort(file->entries, (size_t)file->n_entries, sizeof *file->entries, compare_places);
    return check_cover(span, file);
}

static lm_status parse_image(lm_safetensors *file, const void *data, size_t size) {
    const char *name = file->name, *bytes = data;
    LM_RETURN_IF(size < LM_ST_PREFIX, LM_FORMAT,
                 "%s: %zu bytes, too short for a safetensors file", name, size);
    uint64_t length = lm_read_le(data, 8);
    LM_RETURN_IF(length > LM_SAFETENSORS_MAX_HEADER, LM_FORMAT,
                 "%s: header of %llu bytes: at most %u are allowed", name,
                 (unsigned long long)length, LM_SAFETENSORS_MAX_HEADER);
    LM_RETURN_IF(length > size - LM_ST_PREFIX, LM_FORMAT,
                 "%s: header of %llu bytes in a file of %zu: truncated?", name,
                 (unsigned long long)length, size);
    LM_RETURN_IF(length == 0 || bytes[LM_ST_PREFIX] != '{', LM_FORMAT,
                 "%s: the header does not start with {: not a safetensors file?", name);
    json_error_t error;
    json_t *root =
        json_loadb(bytes + LM_ST_PREFIX, (size_t)length, JSON_REJECT_DUPLICATES, &error);
    if (!root && json_error_code(&error) == json_error_out_of_memory)
        return lm_fail(LM_NOMEM, "%s: out of memory for the header", name);
    LM_RETURN_IF(!root, LM_FORMAT, "%s: header: %s", name, error.text);
    data_span span = {name, bytes + LM_ST_PREFIX + length,
                      (json_int_t)(size - LM_ST_PREFIX - (size_t)length)};
    lm_status status = read_header(&span, root, file);
    json_decref(root);
    return status;
}

lm_status lm_safetensors_parse(lm_safetensors *file, const void *data, size_t size,
                               const char *name) {
    *file = (lm_safetensors){0};
    file->arena = lm_calloc(1, sizeof *file->arena);
    if (!file->arena) return LM_NOMEM;
    file->name = lm_arena_strdup(file->arena, name);
    lm_status status = file->name ? parse_image(file, data, size) : LM_NOMEM;
    if (status != LM_OK) lm_safetensors_release(file);
    return status;
}

lm_status lm_safetensors_open(lm_safetensors *file, const char *path) {
    *file = (lm_safetensors){0};
    void *image;
    size_t size;
    LM_TRY(lm_file_map(path, &image, &size));
    lm_status status = lm_safetensors_parse(file, image, size, path);
    if (status != LM_OK) {
        lm_file_unmap(image, size);
        return status;
    }
    file->image = image;
    file->image_size = size;
    return LM_OK;
}

void lm_safetensors_release(lm_safetensors *file) {
    lm_file_unmap(file->image, file->image_size);
    if (file->arena) lm_arena_release(file->arena);
    lm_free(file->arena);
    *file = (lm_safetensors){0};
}

/* ---- looking things up ------------------------------------------------------- */

const lm_st_entry *lm_safetensors_find(const lm_safetensors *file, const char *name) {
    for (int i = 0; i < file->n_entries; i++)
        if (strcmp(file->entries[i].name, name) == 0) return &file->entries[i];
    return NULL;
}

const char *lm_safetensors_meta(const lm_safetensors *file, const char *key) {
    for (int i = 0; i < file->n_meta; i++)
        if (strcmp(file->meta[i].key, key) == 0) return file->meta[i].value;
    return NULL;
}

lm_status lm_safetensors_read(const lm_safetensors *file, const char *name,
                              lm_dtype dtype, lm_shape shape, void *to) {
    const lm_st_entry *entry = lm_safetensors_find(file, name);
    LM_RETURN_IF(!entry, LM_NOT_FOUND, "%s: no tensor %s", file->name, name);
    char found[LM_SHAPE_TEXT], wanted[LM_SHAPE_TEXT];
    LM_RETURN_IF(!lm_shape_equal(entry->shape, shape), LM_SHAPE,
                 "%s: tensor %s: shape %s, expected %s", file->name, name,
                 lm_shape_text(entry->shape, found), lm_shape_text(shape, wanted));
    lm_convert(to, dtype, entry->data, entry->dtype, lm_shape_count(shape));
    return LM_OK;
}
