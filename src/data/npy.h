/* npy files that stay on disk: arrays that are mapped, and arrays that grow row by row.
 */
#ifndef LIMN_DATA_NPY_H
#define LIMN_DATA_NPY_H

#include "tensor/npy.h"

#include <stdio.h>

/* A whole .npy file as memory, of which only what is touched is read. */
typedef struct lm_npy_map {
    lm_npy_view view;
    void *bytes;
    size_t size;
} lm_npy_map;

lm_status lm_npy_map_open(const char *path, lm_npy_map *map);
void lm_npy_map_close(lm_npy_map *map); /* no-op when it is not open */

/* Writes an array front to end. A row is all but the first dimension. The file lies at
 * its place from the start; until _close its header says "no rows", so that nobody takes
 * a part for the whole. A file that was left so can be continued. */
typedef struct lm_npy_stream {
    FILE *file; /* NULL: not open */
    char *path;
    lm_dtype dtype;
    lm_shape shape; /* dim[0]: the rows written so far */
    size_t row;     /* bytes */
} lm_npy_stream;

/* How many whole rows a file that was perhaps not finished holds; 0 when there is no such
 * file. LM_MISMATCH when its rows are of another kind. */
lm_status lm_npy_stream_rows(const char *path, lm_dtype dtype, lm_shape row,
                             int64_t *rows);
/* Keeps the first `keep` rows, which the file must have, and goes on behind them; with 0
 * the file is new. */
lm_status lm_npy_stream_open(lm_npy_stream *stream, const char *path, lm_dtype dtype,
                             lm_shape row, int64_t keep);
lm_status lm_npy_stream_put(lm_npy_stream *stream, const void *rows, int64_t count);
/* What was put is on the disk afterwards, whatever happens. */
lm_status lm_npy_stream_sync(lm_npy_stream *stream);
/* Writes the final header, syncs, and ends the stream, also on failure; no-op when it is
 * not open. */
lm_status lm_npy_stream_close(lm_npy_stream *stream);
/* Ends the stream and leaves the file as it is: to be continued. */
void lm_npy_stream_leave(lm_npy_stream *stream);

#endif
