#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "tensor/safetensors.h"
#include "tensor/safetensors_internal.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define DATA_ALIGN                                                                       \
    64 /* of the data's start in the file, so that maps can be used as is */

/* ---- checks ------------------------------------------------------------------ */

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* `names` are sorted in place. */
static lm_status check_unique(const char *path, const char *what, const char **names,
                              int count) {
    qsort(names, (size_t)count, sizeof *names, compare_names);
    for (int i = 1; i < count; i++)
        LM_RETURN_IF(strcmp(names[i - 1], names[i]) == 0, LM_ARG,
                     "%s: two %s are called %s", path, what, names[i]);
    return LM_OK;
}

static lm_status check_entry(const char *path, const lm_st_entry *entry) {
    size_t bytes;
    char shape[LM_SHAPE_TEXT];
    LM_RETURN_IF(strcmp(entry->name, "__metadata__") == 0, LM_ARG,
                 "%s: a tensor cannot be called __metadata__", path);
    LM_RETURN_IF((unsigned)entry->dtype >= LM_DTYPE_COUNT, LM_ARG,
                 "%s: tensor %s: dtype %d does not exist", path, entry->name,
                 (int)entry->dtype);
    LM_RETURN_IF(!lm_shape_bytes(entry->shape, entry->dtype, &bytes), LM_ARG,
                 "%s: tensor %s: shape %s cannot be written", path, entry->name,
                 lm_shape_text(entry->shape, shape));
    LM_RETURN_IF(bytes && !entry->data, LM_ARG, "%s: tensor %s: no data", path,
                 entry->name);
    return LM_OK;
}

static lm_status check_all(const char *path, const lm_st_entry *entries, int n_entries,
                           const lm_st_meta *meta, int n_meta) {
    for (int i = 0; i < n_entries; i++) LM_TRY(check_entry(path, &entries[i]));
    int most = n_entries > n_meta ? n_entries : n_meta;
    const char **names = lm_calloc((size_t)most, sizeof *names);
    if (!names) return LM_NOMEM;
    for (int i = 0; i < n_entries; i++) names[i] = entries[i].name;
    lm_status status = check_unique(path, "tensors", names, n_entries);
    for (int i = 0; i < n_meta; i++) names[i] = meta[i].key;
    if (status == LM_OK) status = check_unique(path, "metadata keys", names, n_meta);
    lm_free(names);
    return status;
}

/* ---- the header -------------------------------------------------------------- */

/* A JSON string; fails on what is not UTF-8, since no reader would take it back. */
static lm_status append_quoted(lm_str *out, const char *path, const char *text) {
    json_t *string = json_string(text);
    char *quoted = string ? json_dumps(string, JSON_ENCODE_ANY) : NULL;
    if (quoted) lm_str_append(out, quoted);
    free(quoted);
    json_decref(string);
    return quoted ? LM_OK : lm_fail(LM_ARG, "%s: %s: not UTF-8", path, text);
}

static lm_status append_meta(lm_str *out, const char *path, const lm_st_meta *meta,
                             int n_meta) {
    lm_str_append(out, "\"__metadata__\":{");
    for (int i = 0; i < n_meta; i++) {
        if (i) lm_str_append(out, ",");
        LM_TRY(append_quoted(out, path, meta[i].key));
        lm_str_append(out, ":");
        LM_TRY(append_quoted(out, path, meta[i].value));
    }
    lm_str_append(out, "}");
    return LM_OK;
}

static lm_status append_entry(lm_str *out, const char *path, const lm_st_entry *entry,
                              size_t begin, size_t end) {
    LM_TRY(append_quoted(out, path, entry->name));
    lm_str_printf(out, ":{\"dtype\":\"%s\",\"shape\":[",
                  lm_safetensors_dtypes[entry->dtype]);
    for (int i = 0; i < entry->shape.rank; i++)
        lm_str_printf(out, "%s%" PRId64, i ? "," : "", entry->shape.dim[i]);
    lm_str_printf(out, "],\"data_offsets\":[%zu,%zu]}", begin, end);
    return LM_OK;
}

static void pad_header(lm_str *out) {
    size_t over = (LM_ST_PREFIX + out->length) % DATA_ALIGN;
    if (over) lm_str_printf(out, "%*s", (int)(DATA_ALIGN - over), "");
}

/* Larger element types come first, so that every tensor is aligned to its type. */
static const size_t element_sizes[] = {8, 4, 2, 1};
#define N_ELEMENT_SIZES (sizeof element_sizes / sizeof *element_sizes)

static size_t size_of(const lm_st_entry *entry) {
    return (size_t)lm_shape_count(entry->shape) * lm_dtype_size(entry->dtype);
}

static lm_status build_header(lm_str *out, const char *path, const lm_st_entry *entries,
                              int n_entries, const lm_st_meta *meta, int n_meta) {
    size_t end = 0;
    const char *comma = n_meta ? "," : "";
    lm_str_append(out, "{");
    if (n_meta) LM_TRY(append_meta(out, path, meta, n_meta));
    for (size_t s = 0; s < N_ELEMENT_SIZES; s++) {
        for (int i = 0; i < n_entries; i++) {
            if (lm_dtype_size(entries[i].dtype) != element_sizes[s]) continue;
            size_t begin = end;
            LM_RETURN_IF(__builtin_add_overflow(begin, size_of(&entries[i]), &end) ||
                             end > PTRDIFF_MAX,
                         LM_ARG, "%s: tensor %s: the file would be too large", path,
                         entries[i].name);
            lm_str_append(out, comma);
            LM_TRY(append_entry(out, path, &entries[i], begin, end));
            comma = ",";
        }
    }
    lm_str_append(out, "}");
    pad_header(out);
    if (out->failed) return LM_NOMEM;
    LM_RETURN_IF(out->length > LM_SAFETENSORS_MAX_HEADER, LM_ARG,
                 "%s: header of %zu bytes: at most %u are allowed", path, out->length,
                 LM_SAFETENSORS_MAX_HEADER);
    return LM_OK;
}

/* ---- the file ---------------------------------------------------------------- */

static lm_status write_all(const char *path, const lm_str *header,
                           const lm_st_entry *entries, int n_entries) {
    lm_writer writer;
    LM_TRY(lm_writer_open(&writer, path));
    unsigned char prefix[LM_ST_PREFIX];
    for (int i = 0; i < LM_ST_PREFIX; i++)
        prefix[i] = (unsigned char)(header->length >> 8 * i);
    lm_writer_put(&writer, prefix, sizeof prefix);
    lm_writer_put(&writer, header->text, header->length);
    for (size_t s = 0; s < N_ELEMENT_SIZES; s++)
        for (int i = 0; i < n_entries; i++)
            if (lm_dtype_size(entries[i].dtype) == element_sizes[s])
                lm_writer_put(&writer, entries[i].data, size_of(&entries[i]));
    return lm_writer_commit(&writer);
}

lm_status lm_safetensors_write(const char *path, const lm_st_entry *entries,
                               int n_entries, const lm_st_meta *meta, int n_meta) {
    LM_TRY(check_all(path, entries, n_entries, meta, n_meta));
    lm_str header = LM_STR_INIT;
    lm_status status = build_header(&header, path, entries, n_entries, meta, n_meta);
    if (status == LM_OK) status = write_all(path, &header, entries, n_entries);
    lm_str_release(&header);
    return status;
}
