/* The format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html */
#include "tensor/npy.h"

#include "base/file.h"
#include <inttypes.h>
#include <string.h>

#define MAGIC       "\x93NUMPY"
#define MAGIC_BYTES 6
#define V1_PREFIX   10 /* magic, version, length */
#define V2_PREFIX   12 /* also of version 3 */
#define DATA_ALIGN  64
#define MAX_HEADER  65536 /* far above what a plain dtype needs */

/* The first row of a dtype is how it is written. */
static const struct {
    const char *text;
    lm_dtype dtype;
} descriptions[] = {
    {"<f4", LM_F32}, {"<f8", LM_F64}, {"<f2", LM_F16}, {"<i8", LM_I64}, {"<i4", LM_I32},
    {"<u4", LM_U32}, {"|u1", LM_U8},  {"<u1", LM_U8},  {"|b1", LM_U8},
};
#define N_DESCRIPTIONS (sizeof descriptions / sizeof *descriptions)

/* ---- the header's Python dictionary ------------------------------------------ */

typedef struct cursor {
    const char *at, *end;
    const char *file; /* name, for messages */
} cursor;

static void skip_space(cursor *c) {
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n')) c->at++;
}

static bool take(cursor *c, const char *word) {
    size_t length = strlen(word);
    skip_space(c);
    if ((size_t)(c->end - c->at) < length || memcmp(c->at, word, length) != 0)
        return false;
    c->at += length;
    return true;
}

static lm_status fail_header(const cursor *c, const char *expected) {
    return lm_fail(LM_FORMAT, "%s: npy header: expected %s", c->file, expected);
}

/* 'text' or "text"; no escapes, since no valid header needs them. */
static lm_status read_quoted(cursor *c, char *text, size_t size) {
    skip_space(c);
    char quote = c->at < c->end ? *c->at : '\0';
    if (quote != '\'' && quote != '"') return fail_header(c, "a string");
    const char *begin = ++c->at;
    const char *end = memchr(begin, quote, (size_t)(c->end - begin));
    if (!end || (size_t)(end - begin) >= size) return fail_header(c, "a short string");
    memcpy(text, begin, (size_t)(end - begin));
    text[end - begin] = '\0';
    c->at = end + 1;
    return LM_OK;
}

static lm_status read_dimension(cursor *c, int64_t *dim) {
    skip_space(c);
    *dim = 0;
    const char *begin = c->at;
    for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++)
        LM_RETURN_IF(__builtin_mul_overflow(*dim, 10, dim) ||
                         __builtin_add_overflow(*dim, *c->at - '0', dim),
                     LM_FORMAT, "%s: npy header: a dimension is too large", c->file);
    return c->at > begin ? LM_OK : fail_header(c, "a dimension");
}

/* "()", "(3,)", "(3, 4)". */
static lm_status read_shape(cursor *c, lm_shape *shape) {
    *shape = LM_SCALAR;
    if (!take(c, "(")) return fail_header(c, "a shape");
    while (!take(c, ")")) {
        LM_RETURN_IF(shape->rank == LM_MAX_RANK, LM_FORMAT, "%s: more than %d dimensions",
                     c->file, LM_MAX_RANK);
        LM_TRY(read_dimension(c, &shape->dim[shape->rank++]));
        take(c, "L"); /* Python 2's long integers */
        if (!take(c, ",")) {
            if (!take(c, ")")) return fail_header(c, "a comma or ) after a dimension");
            break;
        }
    }
    return LM_OK;
}

static lm_status read_dtype(cursor *c, lm_dtype *dtype) {
    char text[16];
    LM_TRY(read_quoted(c, text, sizeof text));
    for (size_t i = 0; i < N_DESCRIPTIONS; i++)
        if (strcmp(text, descriptions[i].text) == 0) {
            *dtype = descriptions[i].dtype;
            return LM_OK;
        }
    return lm_fail(LM_UNSUPPORTED, "%s: elements of type '%s' cannot be read", c->file,
                   text);
}

static lm_status read_order(cursor *c, bool *is_fortran) {
    *is_fortran = take(c, "True");
    return *is_fortran || take(c, "False") ? LM_OK : fail_header(c, "True or False");
}

enum { SEEN_DESCR = 1, SEEN_ORDER = 2, SEEN_SHAPE = 4, SEEN_ALL = 7 };

static lm_status read_item(cursor *c, lm_npy_view *view, bool *is_fortran, int *seen) {
    char key[16];
    int before = *seen;
    LM_TRY(read_quoted(c, key, sizeof key));
    if (!take(c, ":")) return fail_header(c, "a colon after a key");
    if (strcmp(key, "descr") == 0) {
        *seen |= SEEN_DESCR;
        LM_TRY(read_dtype(c, &view->dtype));
    } else if (strcmp(key, "fortran_order") == 0) {
        *seen |= SEEN_ORDER;
        LM_TRY(read_order(c, is_fortran));
    } else if (strcmp(key, "shape") == 0) {
        *seen |= SEEN_SHAPE;
        LM_TRY(read_shape(c, &view->shape));
    }
    return *seen != before ? LM_OK : fail_header(c, "descr, fortran_order, shape once");
}

static lm_status read_dictionary(cursor *c, lm_npy_view *view) {
    bool is_fortran = false;
    int seen = 0;
    if (!take(c, "{")) return fail_header(c, "a dictionary");
    while (!take(c, "}")) {
        LM_TRY(read_item(c, view, &is_fortran, &seen));
        if (take(c, ",")) continue;
        if (!take(c, "}")) return fail_header(c, "a comma or } after a value");
        break;
    }
    skip_space(c);
    if (seen != SEEN_ALL || c->at != c->end)
        return fail_header(c, "descr, fortran_order and shape, then nothing");
    LM_RETURN_IF(is_fortran && view->shape.rank > 1, LM_UNSUPPORTED,
                 "%s: Fortran order cannot be read: save a C-order copy", c->file);
    return LM_OK;
}

/* ---- reading ----------------------------------------------------------------- */

/* Finds the dictionary and where the data starts. */
static lm_status find_header(const unsigned char *bytes, size_t size, cursor *c) {
    const char *file = c->file;
    LM_RETURN_IF(size < V1_PREFIX || memcmp(bytes, MAGIC, MAGIC_BYTES) != 0, LM_FORMAT,
                 "%s: not an npy file", file);
    int major = bytes[6], minor = bytes[7];
    LM_RETURN_IF(major < 1 || major > 3 || minor != 0, LM_UNSUPPORTED,
                 "%s: npy version %d.%d: expected 1.0, 2.0 or 3.0", file, major, minor);
    size_t start = major == 1 ? V1_PREFIX : V2_PREFIX,
           length = bytes[8] | (size_t)bytes[9] << 8;
    LM_RETURN_IF(size < start, LM_FORMAT, "%s: truncated npy header", file);
    if (major > 1) length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    LM_RETURN_IF(length > MAX_HEADER || length > size - start, LM_FORMAT,
                 "%s: npy header of %zu bytes in a file of %zu", file, length, size);
    c->at = (const char *)bytes + start;
    c->end = c->at + length;
    return LM_OK;
}

lm_status lm_npy_peek(const void *bytes, size_t size, const char *name,
                      lm_npy_view *view) {
    cursor c = {.file = name};
    lm_npy_view found = {0};
    LM_TRY(find_header(bytes, size, &c));
    LM_TRY(read_dictionary(&c, &found));
    found.data = c.end;
    *view = found;
    return LM_OK;
}

lm_status lm_npy_look(const void *bytes, size_t size, const char *name,
                      lm_npy_view *view) {
    lm_npy_view found = {0};
    LM_TRY(lm_npy_peek(bytes, size, name, &found));
    char shape[LM_SHAPE_TEXT];
    size_t rest = size - (size_t)((const char *)found.data - (const char *)bytes), wanted;
    LM_RETURN_IF(!lm_shape_bytes(found.shape, found.dtype, &wanted), LM_FORMAT,
                 "%s: shape %s: too large", name, lm_shape_text(found.shape, shape));
    LM_RETURN_IF(wanted != rest, LM_FORMAT, "%s: %s %s takes %zu bytes, the file has %zu",
                 name, lm_dtype_name(found.dtype), lm_shape_text(found.shape, shape),
                 wanted, rest);
    *view = found;
    return LM_OK;
}

lm_status lm_npy_parse(const void *data, size_t size, const char *name,
                       lm_tensor *tensor) {
    *tensor = (lm_tensor)LM_TENSOR_INIT;
    lm_npy_view view = {0};
    LM_TRY(lm_npy_look(data, size, name, &view));
    lm_status status = lm_tensor_init(tensor, view.dtype, view.shape);
    if (status != LM_OK) return lm_fail_context(status, "%s", name);
    memcpy(tensor->data, view.data, lm_tensor_bytes(tensor));
    return LM_OK;
}

lm_status lm_npy_read(const char *path, lm_tensor *tensor) {
    *tensor = (lm_tensor)LM_TENSOR_INIT;
    void *image;
    size_t size;
    LM_TRY(lm_file_map(path, &image, &size));
    lm_status status = lm_npy_parse(image, size, path, tensor);
    lm_file_unmap(image, size);
    return status;
}

/* ---- writing ----------------------------------------------------------------- */

static const char *describe(lm_dtype dtype) {
    for (size_t i = 0; i < N_DESCRIPTIONS; i++)
        if (descriptions[i].dtype == dtype) return descriptions[i].text;
    return NULL;
}

/* NumPy's own text, a newline at its end, is padded so that the data is aligned. */
size_t lm_npy_header(lm_dtype dtype, lm_shape shape, size_t least,
                     char header[LM_NPY_HEADER]) {
    const char *description = describe(dtype);
    if (!description) return 0;
    char *at = header + V1_PREFIX, *end = header + LM_NPY_HEADER;
    at += snprintf(at, (size_t)(end - at),
                   "{'descr': '%s', 'fortran_order': False, 'shape': (", description);
    for (int i = 0; i < shape.rank; i++)
        at += snprintf(at, (size_t)(end - at), "%s%" PRId64, i ? ", " : "", shape.dim[i]);
    at += snprintf(at, (size_t)(end - at), shape.rank == 1 ? ",), }" : "), }");
    size_t used = (size_t)(at - header), size = least;
    while (size < used + 1) size += DATA_ALIGN;
    size = (size + DATA_ALIGN - 1) / DATA_ALIGN * DATA_ALIGN;
    memset(at, ' ', size - used - 1);
    header[size - 1] = '\n';
    memcpy(header, MAGIC "\x01", V1_PREFIX - 2); /* version 1.0, then the length */
    header[8] = (char)(size - V1_PREFIX);
    header[9] = (char)((size - V1_PREFIX) >> 8);
    return size;
}

lm_status lm_npy_write(const char *path, lm_dtype dtype, lm_shape shape,
                       const void *data) {
    char text[LM_SHAPE_TEXT], header[LM_NPY_HEADER];
    size_t bytes, start = lm_npy_header(dtype, shape, 0, header);
    LM_RETURN_IF(!start, LM_UNSUPPORTED, "%s: an npy file cannot hold %s", path,
                 lm_dtype_name(dtype));
    LM_RETURN_IF(!lm_shape_bytes(shape, dtype, &bytes), LM_ARG,
                 "%s: shape %s cannot be written", path, lm_shape_text(shape, text));
    lm_writer writer;
    LM_TRY(lm_writer_open(&writer, path));
    lm_writer_put(&writer, header, start);
    lm_writer_put(&writer, data, bytes);
    return lm_writer_commit(&writer);
}
