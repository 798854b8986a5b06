#include "data/idx.h"

#include "base/bytes.h"
#include "base/file.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>

#define MAX_BYTES ((int64_t)8 << 30)
#define MAX_SIDE  4096

/* ---- bytes, perhaps compressed ----------------------------------------------- */

typedef struct source {
    const char *name;
    const uint8_t *at; /* what is left of the file */
    size_t left;
    bool gzip;
    z_stream stream;
    int code; /* of the last inflate */
} source;

static lm_status open_source(source *s, const void *bytes, size_t size,
                             const char *name) {
    *s = (source){.name = name, .at = bytes, .left = size};
    s->gzip = size >= 2 && s->at[0] == 0x1f && s->at[1] == 0x8b;
    enum { GZIP_WINDOW = 15 + 16 };
    if (s->gzip && inflateInit2(&s->stream, GZIP_WINDOW) != Z_OK)
        return lm_fail(LM_NOMEM, "%s: out of memory", name);
    return LM_OK;
}

static void close_source(source *s) {
    if (s->gzip) inflateEnd(&s->stream);
}

/* Up to `size` bytes; *got is less at the end only. A file may be cut anywhere. */
static lm_status inflate_some(source *s, uint8_t *to, size_t size, size_t *got) {
    const size_t most = 1 << 30; /* zlib counts in 32 bits */
    for (*got = 0; *got < size && s->code != Z_STREAM_END;) {
        z_stream *z = &s->stream;
        size_t want = size - *got < most ? size - *got : most;
        size_t give = s->left < most ? s->left : most;
        z->next_in = (Bytef *)(uintptr_t)s->at;
        z->avail_in = (uInt)give;
        z->next_out = to + *got;
        z->avail_out = (uInt)want;
        s->code = inflate(z, Z_NO_FLUSH);
        s->at += give - z->avail_in;
        s->left -= give - z->avail_in;
        *got += want - z->avail_out;
        if (s->code == Z_BUF_ERROR) break; /* the input is over */
        LM_RETURN_IF(s->code != Z_OK && s->code != Z_STREAM_END, LM_FORMAT,
                     "%s: broken gzip data: %s", s->name, z->msg ? z->msg : "no reason");
    }
    return LM_OK;
}

static lm_status read_some(source *s, uint8_t *to, size_t size, size_t *got) {
    if (s->gzip) return inflate_some(s, to, size, got);
    *got = size < s->left ? size : s->left;
    if (!*got) return LM_OK; /* an empty file is nowhere in memory */
    memcpy(to, s->at, *got);
    s->at += *got;
    s->left -= *got;
    return LM_OK;
}

static lm_status read_exactly(source *s, const char *what, void *to, int64_t size) {
    size_t got;
    LM_TRY(read_some(s, to, (size_t)size, &got));
    LM_RETURN_IF((int64_t)got < size, LM_FORMAT,
                 "%s: truncated: %s needs %lld bytes, the file has %zu", s->name, what,
                 (long long)size, got);
    return LM_OK;
}

/* ---- arrays ------------------------------------------------------------------ */

static lm_status read_header(source *s, int rank, lm_idx *array) {
    uint8_t header[4 + 4 * 3];
    LM_TRY(read_exactly(s, "the magic number", header, 4));
    LM_RETURN_IF(header[0] || header[1] || header[2] != 8 || header[3] != rank, LM_FORMAT,
                 "%s: wrong magic number %02x %02x %02x %02x: expected 00 00 08 %02x, an "
                 "IDX file of %s",
                 s->name, header[0], header[1], header[2], header[3], rank,
                 rank == 3 ? "images" : "labels");
    LM_TRY(read_exactly(s, "the header", header + 4, 4 * rank));
    array->rank = rank;
    array->bytes = 1;
    for (int i = 0; i < rank; i++) {
        array->dim[i] = (int64_t)lm_read_be(header + 4 + 4 * i, 4);
        LM_RETURN_IF(array->dim[i] == 0 || (i > 0 && array->dim[i] > MAX_SIDE), LM_FORMAT,
                     "%s: dimension %d is %lld: expected 1 to %d", s->name, i,
                     (long long)array->dim[i], i ? MAX_SIDE : INT32_MAX);
        array->bytes *= array->dim[i];
    }
    LM_RETURN_IF(array->bytes > MAX_BYTES, LM_FORMAT, "%s: %lld bytes is over the limit",
                 s->name, (long long)array->bytes);
    return LM_OK;
}

/* The header may lie: memory grows with what the file really holds. */
static lm_status read_body(source *s, lm_idx *array) {
    const int64_t first = 64 << 20;
    int64_t have = 0;
    for (int64_t target = first; have < array->bytes; target *= 4) {
        if (target > array->bytes) target = array->bytes;
        uint8_t *grown = lm_realloc(array->data, (size_t)target);
        if (!grown) return LM_NOMEM;
        array->data = grown;
        LM_TRY(read_exactly(s, "its data", grown + have, target - have));
        have = target;
    }
    uint8_t extra;
    size_t more; /* asking for it has the checksum of a gzip file compared */
    LM_TRY(read_some(s, &extra, 1, &more));
    LM_RETURN_IF(more, LM_FORMAT, "%s: more data than its header says (%lld bytes)",
                 s->name, (long long)array->bytes);
    LM_RETURN_IF(s->gzip && s->code != Z_STREAM_END, LM_FORMAT,
                 "%s: truncated: no checksum at its end", s->name);
    return LM_OK;
}

lm_status lm_idx_parse(const void *bytes, size_t size, const char *name, int rank,
                       lm_idx *array) {
    source s;
    LM_TRY(open_source(&s, bytes, size, name));
    lm_idx read = {0};
    lm_status status = read_header(&s, rank, &read);
    if (status == LM_OK) status = read_body(&s, &read);
    close_source(&s);
    if (status == LM_OK)
        *array = read;
    else
        lm_idx_release(&read);
    return status;
}

lm_status lm_idx_read(const char *path, int rank, lm_idx *array) {
    void *bytes;
    size_t size;
    LM_TRY(lm_file_map(path, &bytes, &size));
    lm_status status = lm_idx_parse(bytes, size, path, rank, array);
    lm_file_unmap(bytes, size);
    return status;
}

void lm_idx_release(lm_idx *array) {
    lm_free(array->data);
    *array = (lm_idx){0};
}

bool lm_idx_begins(const char *path) {
    gzFile file = gzopen(path, "rb");
    uint8_t magic[4] = {1, 1, 1, 1};
    bool found = file && gzread(file, magic, 4) == 4 && !magic[0] && !magic[1] &&
                 magic[2] == 8 && magic[3] == 3;
    if (file) gzclose(file);
    return found;
}

/* ---- sets -------------------------------------------------------------------- */

uint64_t lm_idx_hash(const lm_idx *images, const lm_idx *labels) {
    uint64_t hash = lm_hash_bytes(LM_HASH_SEED, images->data, (size_t)images->bytes);
    return labels->data ? lm_hash_bytes(hash, labels->data, (size_t)labels->bytes) : hash;
}

lm_status lm_idx_pack(lm_idx *images, const lm_idx *labels, const char *label_name,
                      int first, lm_packed *packed) {
    packed->count = images->dim[0];
    packed->height = (int)images->dim[1];
    packed->width = (int)images->dim[2];
    packed->channels = 1;
    packed->block = images->data;
    packed->pixels = images->data;
    *images = (lm_idx){0};
    lm_packed_interleaved(packed);
    if (!labels->data) return LM_OK;
    return lm_packed_set_labels(packed, label_name, LM_U8, labels->data, labels->dim[0],
                                first);
}
