#include "data/npy.h"

#include "base/file.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- mapping ----------------------------------------------------------------- */

lm_status lm_npy_map_open(const char *path, lm_npy_map *map) {
    lm_npy_map opened = {0};
    LM_TRY(lm_file_map(path, &opened.bytes, &opened.size));
    lm_status status = lm_npy_look(opened.bytes, opened.size, path, &opened.view);
    if (status == LM_OK)
        *map = opened;
    else
        lm_npy_map_close(&opened);
    return status;
}

void lm_npy_map_close(lm_npy_map *map) {
    lm_file_unmap(map->bytes, map->size);
    *map = (lm_npy_map){0};
}

/* ---- growing ----------------------------------------------------------------- */

/* Room for any count of rows: a header of fixed size can be written again. */
enum { HEADER = 128 };

static lm_status fail_io(const char *path, const char *what) {
    return lm_fail(LM_IO, "%s: cannot %s: %s", path, what, strerror(errno));
}

/* The array's shape with `rows` rows; also checks that the header holds any count. */
static lm_status shape_of(const char *path, lm_dtype dtype, lm_shape row, int64_t rows,
                          lm_shape *shape, size_t *bytes) {
    char text[LM_SHAPE_TEXT], header[LM_NPY_HEADER];
    bool fits = row.rank < LM_MAX_RANK && lm_shape_bytes(row, dtype, bytes) && *bytes;
    if (fits) {
        shape->rank = row.rank + 1;
        memcpy(shape->dim + 1, row.dim, sizeof row.dim - sizeof *row.dim);
        shape->dim[0] = INT64_MAX;
        fits = lm_npy_header(dtype, *shape, HEADER, header) == HEADER;
        shape->dim[0] = rows;
    }
    LM_RETURN_IF(!fits, LM_ARG, "%s: rows of %s %s cannot be written", path,
                 lm_dtype_name(dtype), lm_shape_text(row, text));
    return LM_OK;
}

/* Reads the header of a file; LM_MISMATCH when it is not one for such rows. */
static lm_status check_header(int file, const char *path, lm_dtype dtype,
                              lm_shape wanted) {
    unsigned char bytes[HEADER];
    char text[2][LM_SHAPE_TEXT];
    lm_npy_view view = {0};
    ssize_t got = pread(file, bytes, sizeof bytes, 0);
    if (got < 0) return fail_io(path, "read");
    LM_TRY(lm_npy_peek(bytes, (size_t)got, path, &view));
    if (view.shape.rank) view.shape.dim[0] = wanted.dim[0];
    LM_RETURN_IF(view.dtype != dtype || !lm_shape_equal(view.shape, wanted) ||
                     (const unsigned char *)view.data != bytes + HEADER,
                 LM_MISMATCH, "%s: holds %s %s, expected %s %s", path,
                 lm_dtype_name(view.dtype), lm_shape_text(view.shape, text[0]),
                 lm_dtype_name(dtype), lm_shape_text(wanted, text[1]));
    return LM_OK;
}

/* Whole rows of an open file; one that was killed before its header was written has 0. */
static lm_status count_rows(int file, const char *path, lm_dtype dtype, lm_shape wanted,
                            size_t row, int64_t *rows) {
    struct stat info;
    if (fstat(file, &info) != 0) return fail_io(path, "read");
    *rows = info.st_size < HEADER ? 0 : (info.st_size - HEADER) / (int64_t)row;
    return info.st_size < HEADER ? LM_OK : check_header(file, path, dtype, wanted);
}

lm_status lm_npy_stream_rows(const char *path, lm_dtype dtype, lm_shape row,
                             int64_t *rows) {
    lm_shape shape;
    size_t bytes;
    *rows = 0;
    LM_TRY(shape_of(path, dtype, row, 0, &shape, &bytes));
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return errno == ENOENT ? LM_OK : fail_io(path, "open");
    lm_status status = count_rows(file, path, dtype, shape, bytes, rows);
    close(file);
    return status;
}

static lm_status write_header(lm_npy_stream *stream, int64_t rows) {
    char header[LM_NPY_HEADER];
    lm_shape shape = stream->shape;
    shape.dim[0] = rows;
    lm_npy_header(stream->dtype, shape, HEADER, header);
    if (fseeko(stream->file, 0, SEEK_SET) == 0 &&
        fwrite(header, 1, HEADER, stream->file) == HEADER && fflush(stream->file) == 0)
        return LM_OK;
    return fail_io(stream->path, "write");
}

static lm_status begin(lm_npy_stream *stream, int64_t keep) {
    const char *path = stream->path;
    int file = fileno(stream->file);
    int64_t have = 0;
    if (keep)
        LM_TRY(count_rows(file, path, stream->dtype, stream->shape, stream->row, &have));
    LM_RETURN_IF(keep < 0 || keep > have, LM_MISMATCH,
                 "%s: has %lld rows, cannot go on behind row %lld", path, (long long)have,
                 (long long)keep);
    int64_t end = HEADER + keep * (int64_t)stream->row;
    /* First the header: a file cut to `keep` rows must not look finished. */
    LM_TRY(write_header(stream, 0));
    if (ftruncate(file, end) != 0 || fseeko(stream->file, end, SEEK_SET) != 0)
        return fail_io(path, "write");
    return LM_OK;
}

lm_status lm_npy_stream_open(lm_npy_stream *stream, const char *path, lm_dtype dtype,
                             lm_shape row, int64_t keep) {
    lm_npy_stream s = {.dtype = dtype};
    LM_TRY(shape_of(path, dtype, row, keep, &s.shape, &s.row));
    s.path = lm_strdup(path);
    if (!s.path) return LM_NOMEM;
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    s.file = file < 0 ? NULL : fdopen(file, "r+b");
    lm_status status = s.file ? begin(&s, keep) : fail_io(path, "write");
    if (status == LM_OK) {
        *stream = s;
        return LM_OK;
    }
    if (!s.file && file >= 0) close(file);
    lm_npy_stream_leave(&s);
    return status;
}

lm_status lm_npy_stream_put(lm_npy_stream *stream, const void *rows, int64_t count) {
    size_t bytes = (size_t)count * stream->row;
    if (fwrite(rows, 1, bytes, stream->file) != bytes)
        return fail_io(stream->path, "write");
    stream->shape.dim[0] += count;
    return LM_OK;
}

lm_status lm_npy_stream_sync(lm_npy_stream *stream) {
    if (fflush(stream->file) == 0 && fsync(fileno(stream->file)) == 0) return LM_OK;
    return fail_io(stream->path, "write");
}

void lm_npy_stream_leave(lm_npy_stream *stream) {
    if (stream->file) fclose(stream->file);
    lm_free(stream->path);
    *stream = (lm_npy_stream){0};
}

lm_status lm_npy_stream_close(lm_npy_stream *stream) {
    if (!stream->file) return LM_OK;
    /* The rows first: the header must never promise what is not there. */
    lm_status status = lm_npy_stream_sync(stream);
    if (status == LM_OK) status = write_header(stream, stream->shape.dim[0]);
    if (status == LM_OK) status = lm_npy_stream_sync(stream);
    lm_npy_stream_leave(stream);
    return status;
}
