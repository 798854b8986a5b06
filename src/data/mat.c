#include "data/mat.h"

#include "base/bytes.h"
#include "base/mem.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <zlib.h>

enum { HEADER_BYTES = 128, MOST_NAME = 63, PIECE = 1 << 14 };
enum { DEFLATE_MOST = 1032 }; /* bytes that one compressed byte can stand for */
enum { FLAG_COMPLEX = 0x800, CLASS_DOUBLE = 6, CLASS_UINT64 = 15 };

/* Types of elements. */
enum {
    MI_INT8 = 1,
    MI_UINT8 = 2,
    MI_INT16 = 3,
    MI_UINT16 = 4,
    MI_INT32 = 5,
    MI_UINT32 = 6,
    MI_SINGLE = 7,
    MI_DOUBLE = 9,
    MI_INT64 = 12,
    MI_UINT64 = 13,
    MI_MATRIX = 14,
    MI_COMPRESSED = 15,
    MI_TYPES
};

/* Bytes of a number; 0: not a type of numbers. */
static const uint8_t widths[MI_TYPES] = {
    [MI_INT8] = 1,   [MI_UINT8] = 1,  [MI_INT16] = 2,  [MI_UINT16] = 2, [MI_INT32] = 4,
    [MI_UINT32] = 4, [MI_SINGLE] = 4, [MI_DOUBLE] = 8, [MI_INT64] = 8,  [MI_UINT64] = 8};

/* What one variable's bytes come from. */
typedef struct source {
    FILE *file;
    const char *path;
    uint64_t size, left; /* bytes of the file: in all, and not yet read */
    uint8_t held[4];     /* a small element's, to be read before all others */
    size_t n_held;
    bool packed, ended;
    z_stream z;
    uint8_t piece[PIECE];
} source;

typedef struct tag {
    uint32_t type, size;
    bool small; /* up to 4 bytes stand in the tag itself */
} tag;

/* What stands before a variable's values. */
typedef struct variable {
    uint32_t flags;
    int rank;
    int32_t dim[LM_MAT_MOST_RANK];
    char name[MOST_NAME + 1];
} variable;

/* ---- bytes of a variable ----------------------------------------------------- */

static lm_status read_file(source *s, void *to, size_t size) {
    LM_RETURN_IF(size > s->left, LM_FORMAT,
                 "%s: damaged: an array ends before its values", s->path);
    LM_RETURN_IF(fread(to, 1, size, s->file) != size, LM_IO, "%s: cannot read: %s",
                 s->path, ferror(s->file) ? strerror(errno) : "it became shorter");
    s->left -= size;
    return LM_OK;
}

/* Goes on until `size` bytes are made, or compression ends. */
static lm_status inflate_some(source *s, void *to, size_t size, size_t *made) {
    *made = 0;
    while (*made < size && !s->ended) {
        if (s->z.avail_in == 0) {
            size_t part = s->left < PIECE ? (size_t)s->left : PIECE;
            LM_RETURN_IF(part == 0, LM_FORMAT, "%s: damaged: compressed data ends early",
                         s->path);
            LM_TRY(read_file(s, s->piece, part));
            s->z.next_in = s->piece;
            s->z.avail_in = (uInt)part;
        }
        size_t want = size - *made < 1u << 30 ? size - *made : 1u << 30;
        s->z.next_out = (uint8_t *)to + *made;
        s->z.avail_out = (uInt)want;
        int code = inflate(&s->z, Z_NO_FLUSH);
        *made += want - s->z.avail_out;
        s->ended = code == Z_STREAM_END;
        LM_RETURN_IF(code != Z_OK && code != Z_STREAM_END, LM_FORMAT,
                     "%s: damaged: broken zlib data: %s", s->path,
                     s->z.msg ? s->z.msg : zError(code));
    }
    return LM_OK;
}

static lm_status read_bytes(source *s, void *to, size_t size) {
    if (s->n_held >= size) {
        memcpy(to, s->held + sizeof s->held - s->n_held, size);
        s->n_held -= size;
        return LM_OK;
    }
    if (!s->packed) return read_file(s, to, size);
    size_t made;
    LM_TRY(inflate_some(s, to, size, &made));
    LM_RETURN_IF(made < size, LM_FORMAT, "%s: damaged: an array ends before its values",
                 s->path);
    return LM_OK;
}

/* Nothing but padding may follow; zlib compares its checksum when it comes to its end. */
static lm_status read_end(source *s) {
    uint8_t rest[8];
    size_t made = (size_t)(s->left < 8 ? s->left : 8);
    if (s->packed) LM_TRY(inflate_some(s, rest, sizeof rest, &made));
    LM_RETURN_IF(made == sizeof rest, LM_FORMAT,
                 "%s: damaged: an array has more bytes than values", s->path);
    return LM_OK;
}

/* ---- elements ---------------------------------------------------------------- */

static lm_status read_tag(source *s, tag *t) {
    uint8_t bytes[8];
    LM_TRY(read_bytes(s, bytes, sizeof bytes));
    uint32_t first = (uint32_t)lm_read_le(bytes, 4);
    *t = (tag){.type = first, .size = (uint32_t)lm_read_le(bytes + 4, 4)};
    if (first >> 16 == 0) return LM_OK;
    *t = (tag){.type = first & 0xffff, .size = first >> 16, .small = true};
    memcpy(s->held, bytes + 4, sizeof s->held);
    s->n_held = sizeof s->held;
    LM_RETURN_IF(t->size > sizeof s->held, LM_FORMAT,
                 "%s: damaged: a small element of %u bytes", s->path, t->size);
    return LM_OK;
}

/* An element of at most `most` bytes, with its padding; *size of them count. */
static lm_status read_element(source *s, uint32_t type, void *to, size_t most,
                              size_t *size) {
    tag t;
    uint8_t padding[8];
    LM_TRY(read_tag(s, &t));
    LM_RETURN_IF(t.type != type || t.size > most, LM_FORMAT,
                 "%s: damaged: an array's header has type %u of %u bytes, expected %u "
                 "of at most %zu",
                 s->path, t.type, t.size, type, most);
    *size = t.size;
    LM_TRY(read_bytes(s, to, t.size));
    return read_bytes(s, padding, t.small ? 4 - t.size : (8 - t.size % 8) % 8);
}

static lm_status read_variable(source *s, variable *v) {
    uint8_t flags[8];
    size_t size;
    *v = (variable){0};
    LM_TRY(read_element(s, MI_UINT32, flags, sizeof flags, &size));
    LM_RETURN_IF(size != sizeof flags, LM_FORMAT, "%s: damaged: an array without flags",
                 s->path);
    v->flags = (uint32_t)lm_read_le(flags, 4);
    LM_TRY(read_element(s, MI_INT32, v->dim, sizeof v->dim, &size));
    v->rank = (int)(size / sizeof *v->dim);
    LM_TRY(read_element(s, MI_INT8, v->name, MOST_NAME, &size));
    return LM_OK;
}

/* Opens the element at the file's position, which `end` bytes into the file must hold.
 * Ends with close_source, also on failure. */
static lm_status open_source(source *s, uint64_t at, uint64_t end) {
    tag outer;
    s->left = end - at;
    LM_RETURN_IF(s->left < 8, LM_FORMAT, "%s: truncated", s->path);
    LM_TRY(read_tag(s, &outer));
    LM_RETURN_IF(outer.small || (outer.type != MI_MATRIX && outer.type != MI_COMPRESSED),
                 LM_FORMAT, "%s: damaged: an element of type %u, expected an array",
                 s->path, outer.type);
    LM_RETURN_IF(outer.size > s->left, LM_FORMAT,
                 "%s: truncated: an array has %u bytes, and the file %llu more", s->path,
                 outer.size, (unsigned long long)s->left);
    s->size = s->left = outer.size;
    if (outer.type == MI_MATRIX) return LM_OK;
    if (inflateInit(&s->z) != Z_OK) return lm_fail(LM_NOMEM, "%s: zlib", s->path);
    s->packed = true;
    LM_TRY(read_tag(s, &outer));
    LM_RETURN_IF(outer.small || outer.type != MI_MATRIX, LM_FORMAT,
                 "%s: damaged: compressed type %u, expected an array", s->path,
                 outer.type);
    return LM_OK;
}

static void close_source(source *s) {
    if (s->packed) inflateEnd(&s->z);
}

/* ---- values ------------------------------------------------------------------ */

#define READ_AS(type, from)                                                              \
    {                                                                                    \
        type value_;                                                                     \
        memcpy(&value_, from, sizeof value_);                                            \
        return (double)value_;                                                           \
    }

static double read_number(uint32_t type, const uint8_t *from) {
    switch (type) {
    case MI_INT8:
        READ_AS(int8_t, from)
    case MI_UINT8:
        READ_AS(uint8_t, from)
    case MI_INT16:
        READ_AS(int16_t, from)
    case MI_UINT16:
        READ_AS(uint16_t, from)
    case MI_INT32:
        READ_AS(int32_t, from)
    case MI_UINT32:
        READ_AS(uint32_t, from)
    case MI_SINGLE:
        READ_AS(float, from)
    case MI_DOUBLE:
        READ_AS(double, from)
    case MI_INT64:
        READ_AS(int64_t, from)
    default:
        READ_AS(uint64_t, from)
    }
}

static lm_status convert_values(source *s, uint32_t type, int64_t count, uint8_t *to) {
    uint8_t some[4096];
    int64_t most = (int64_t)sizeof some / widths[type];
    while (count > 0) {
        int64_t part = count < most ? count : most;
        LM_TRY(read_bytes(s, some, (size_t)part * widths[type]));
        for (int64_t i = 0; i < part; i++) {
            double value = read_number(type, some + i * widths[type]);
            bool good = value >= 0 && value <= 255;
            LM_RETURN_IF(!good || value != (uint8_t)value, LM_FORMAT,
                         "%s: the value %g, expected a whole number of 0 to 255", s->path,
                         value);
            *to++ = (uint8_t)value;
        }
        count -= part;
    }
    return LM_OK;
}

/* Dimensions and product; what is refused here has taken no memory yet. */
static lm_status check_shape(const source *s, const variable *v, lm_mat_array *array) {
    uint32_t class = v->flags & 0xff;
    LM_RETURN_IF(class < CLASS_DOUBLE || class > CLASS_UINT64 || v->flags & FLAG_COMPLEX,
                 LM_FORMAT, "%s: %s is not an array of real numbers", s->path, v->name);
    LM_RETURN_IF(v->rank < 2, LM_FORMAT, "%s: damaged: %s has %d dimensions", s->path,
                 v->name, v->rank);
    array->rank = v->rank;
    array->count = 1;
    for (int i = 0; i < v->rank; i++) {
        LM_RETURN_IF(v->dim[i] < 1 || array->count > UINT32_MAX, LM_FORMAT,
                     "%s: %s is empty or too large", s->path, v->name);
        array->dim[i] = v->dim[i];
        array->count *= v->dim[i];
    }
    return LM_OK;
}

static lm_status read_values(source *s, const variable *v, lm_mat_array *array) {
    tag t;
    LM_TRY(check_shape(s, v, array));
    LM_TRY(read_tag(s, &t));
    int width = t.type < MI_TYPES ? widths[t.type] : 0;
    LM_RETURN_IF(!width || array->count != t.size / width || t.size % width, LM_FORMAT,
                 "%s: damaged: %s of %lld values has %u bytes of type %u", s->path,
                 v->name, (long long)array->count, t.size, t.type);
    LM_RETURN_IF(t.size > s->size * (s->packed ? DEFLATE_MOST : 1), LM_FORMAT,
                 "%s: damaged: %s of %u bytes in %llu bytes of file", s->path, v->name,
                 t.size, (unsigned long long)s->size);
    array->values = lm_alloc((size_t)array->count);
    if (!array->values) return LM_NOMEM;
    if (t.type == MI_UINT8)
        LM_TRY(read_bytes(s, array->values, t.size));
    else
        LM_TRY(convert_values(s, t.type, array->count, array->values));
    return read_end(s);
}

/* ---- files ------------------------------------------------------------------- */

static lm_status check_header(FILE *file, const char *path, uint64_t *size) {
    uint8_t header[HEADER_BYTES];
    off_t end = -1;
    if (fseeko(file, 0, SEEK_END) == 0) end = ftello(file);
    LM_RETURN_IF(end < 0 || fseeko(file, 0, SEEK_SET) != 0, LM_IO, "%s: cannot seek: %s",
                 path, strerror(errno));
    bool whole = fread(header, 1, HEADER_BYTES, file) == HEADER_BYTES;
    LM_RETURN_IF(whole && memcmp(header, "MATLAB 7.3", 10) == 0, LM_UNSUPPORTED,
                 "%s: a file of MATLAB 7.3; save it with -v7", path);
    LM_RETURN_IF(whole && memcmp(header + 126, "MI", 2) == 0, LM_UNSUPPORTED,
                 "%s: written by a big-endian machine", path);
    LM_RETURN_IF(!whole || memcmp(header + 124, "\0\1IM", 4) != 0, LM_FORMAT,
                 "%s: not a MAT-file of level 5", path);
    *size = (uint64_t)end;
    return LM_OK;
}

/* The variable at an offset, if it has the name; *next is where the next one is. */
static lm_status try_variable(source *s, uint64_t at, uint64_t end, const char *name,
                              lm_mat_array *array, uint64_t *next) {
    variable v;
    LM_RETURN_IF(fseeko(s->file, (off_t)at, SEEK_SET) != 0, LM_IO, "%s: cannot seek: %s",
                 s->path, strerror(errno));
    LM_TRY(open_source(s, at, end));
    *next = at + 8 + s->size;
    LM_TRY(read_variable(s, &v));
    return strcmp(v.name, name) == 0 ? read_values(s, &v, array) : LM_OK;
}

lm_status lm_mat_read_u8(FILE *file, const char *path, const char *name,
                         lm_mat_array *array) {
    uint64_t size = 0;
    *array = (lm_mat_array){0};
    LM_TRY(check_header(file, path, &size));
    source *s = lm_alloc(sizeof *s);
    lm_status status = s ? LM_OK : LM_NOMEM;
    for (uint64_t at = HEADER_BYTES; at < size && status == LM_OK && !array->values;) {
        *s = (source){.file = file, .path = path};
        status = try_variable(s, at, size, name, array, &at);
        close_source(s);
    }
    lm_free(s);
    if (status == LM_OK && !array->values)
        status = lm_fail(LM_NOT_FOUND, "%s: no array %s in it", path, name);
    if (status != LM_OK) lm_mat_release(array);
    return status;
}

void lm_mat_release(lm_mat_array *array) {
    lm_free(array->values);
    *array = (lm_mat_array){0};
}
