/* Entries of a zip (PKWARE's APPNOTE 6.3): the central directory is read once, then any
 * thread reads any file by pread and zlib. libzip keeps a position in its handle, so it
 * would take a lock around every read, or a copy of the directory for every thread. */
#include "data/entries_internal.h"

#include "base/bytes.h"
#include "base/mem.h"

#include <string.h>
#include <zlib.h>

enum {
    LOCAL_BYTES = 30,
    CENTRAL_BYTES = 46,
    END_BYTES = 22,
    END64_BYTES = 56,
    LOCATOR_BYTES = 20,
    LONGEST_COMMENT = 0xffff,
    STORED = 0,
    DEFLATED = 8,
    ENCRYPTED = 1, /* of the flags */
    EXTRA_ZIP64 = 1
};

#define LOCAL_MAGIC   0x04034b50u
#define CENTRAL_MAGIC 0x02014b50u
#define END_MAGIC     0x06054b50u
#define END64_MAGIC   0x06064b50u
#define LOCATOR_MAGIC 0x07064b50u
#define IN_EXTRA      0xffffffffu /* the number stands in the zip64 extra field */

/* Deflate makes at most 1032 bytes of one. */
#define MOST_RATIO 1032

/* ---- the central directory --------------------------------------------------- */

typedef struct directory {
    uint64_t at, size; /* in the file */
    uint64_t before;   /* bytes in front of the zip: it may unpack itself */
    uint64_t packed;   /* bytes of all files so far */
} directory;

static lm_status broken(const lm_entries *e, const char *what) {
    return lm_fail(LM_FORMAT, "%s: broken zip: %s", e->path, what);
}

static lm_status read_zip(const lm_entries *e, uint64_t at, void *to, size_t size) {
    if (at > e->file_size || size > e->file_size - at) return broken(e, "it ends early");
    lm_status status = lm_read_at(e->fd, at, to, size);
    return status == LM_OK ? LM_OK : lm_fail_context(status, "%s", e->path);
}

/* Where the record at the end is: the last one whose comment fills the rest. */
static lm_status find_end(const lm_entries *e, uint8_t end[END_BYTES], uint64_t *at) {
    uint64_t most = END_BYTES + LONGEST_COMMENT;
    size_t size = (size_t)(e->file_size < most ? e->file_size : most);
    uint8_t *tail = lm_alloc(size);
    if (!tail) return LM_NOMEM;
    lm_status status = read_zip(e, e->file_size - size, tail, size);
    bool found = false;
    for (size_t i = size; status == LM_OK && !found && i-- > 0;) {
        found = i + END_BYTES <= size && lm_read_le(tail + i, 4) == END_MAGIC &&
                i + END_BYTES + lm_read_le(tail + i + 20, 2) <= size;
        if (!found) continue;
        memcpy(end, tail + i, END_BYTES);
        *at = e->file_size - size + i;
    }
    lm_free(tail);
    if (status == LM_OK && !found) return broken(e, "no directory at its end");
    return status;
}

/* Zips of over 65,535 files or 4 GB have a second record, found by a locator in front of
 * the first. */
static lm_status read_end64(const lm_entries *e, uint64_t end, directory *d, bool *is64) {
    uint8_t locator[LOCATOR_BYTES], record[END64_BYTES];
    *is64 = false;
    if (end < LOCATOR_BYTES + END64_BYTES) return LM_OK;
    LM_TRY(read_zip(e, end - LOCATOR_BYTES, locator, sizeof locator));
    if (lm_read_le(locator, 4) != LOCATOR_MAGIC) return LM_OK;
    uint64_t at = end - LOCATOR_BYTES - END64_BYTES, stated = lm_read_le(locator + 8, 8);
    LM_TRY(read_zip(e, at, record, sizeof record));
    if (lm_read_le(record, 4) != END64_MAGIC) { /* it may hold more than we know of */
        at = stated;
        LM_TRY(read_zip(e, at, record, sizeof record));
    }
    if (lm_read_le(record, 4) != END64_MAGIC || stated > at)
        return broken(e, "no zip64 record where its locator says");
    d->before = at - stated;
    d->size = lm_read_le(record + 40, 8);
    d->at = lm_read_le(record + 48, 8);
    *is64 = true;
    return LM_OK;
}

static lm_status find_directory(const lm_entries *e, directory *d) {
    uint8_t end[END_BYTES];
    uint64_t at = 0;
    bool is64;
    LM_TRY(find_end(e, end, &at));
    LM_TRY(read_end64(e, at, d, &is64));
    if (!is64) {
        d->size = lm_read_le(end + 12, 4);
        d->at = lm_read_le(end + 16, 4);
        if (d->size > at || d->at > at - d->size)
            return broken(e, "its directory does not lie in it");
        d->before = at - d->size - d->at;
    }
    if (d->at > e->file_size - d->before)
        return broken(e, "its directory does not lie in it");
    d->at += d->before;
    if (d->size > e->file_size - d->at)
        return broken(e, "its directory does not lie in it");
    return LM_OK;
}

/* Numbers of 32 bits that are all ones stand in the extra field, in this order. */
static bool read_extra(const uint8_t *extra, size_t length, uint64_t *const wide[3]) {
    for (size_t at = 0; at + 4 <= length;) {
        size_t size = lm_read_le(extra + at + 2, 2);
        if (size > length - at - 4) return false;
        if (lm_read_le(extra + at, 2) == EXTRA_ZIP64) {
            const uint8_t *value = extra + at + 4, *end = value + size;
            for (int i = 0; i < 3; i++) {
                if (*wide[i] != IN_EXTRA) continue;
                if (end - value < 8) return false;
                *wide[i] = lm_read_le(value, 8);
                value += 8;
            }
            return true;
        }
        at += 4 + size;
    }
    return true;
}

/* What no true zip has: files outside it or in each other's bytes, which is how a few MB
 * become petabytes, and files that deflate could not pack so well. */
static lm_status check_file(const lm_entries *e, directory *d, const char *name,
                            const lm_entry *entry) {
    LM_RETURN_IF(entry->offset > e->file_size - d->before ||
                     entry->packed > e->file_size - d->packed,
                 LM_FORMAT, "%s: broken zip: %s does not lie in it, or not alone",
                 e->path, name);
    d->packed += entry->packed;
    uint64_t most = entry->method == STORED ? entry->packed : entry->packed * MOST_RATIO;
    LM_RETURN_IF(entry->size > most, LM_FORMAT,
                 "%s: broken zip: %s: %llu bytes cannot be packed in %llu", e->path, name,
                 (unsigned long long)entry->size, (unsigned long long)entry->packed);
    return LM_OK;
}

static lm_status add_file(lm_entries *e, directory *d, const uint8_t *record) {
    size_t name_bytes = lm_read_le(record + 28, 2);
    size_t extra_bytes = lm_read_le(record + 30, 2);
    char name[0x10000];
    lm_entry entry = {.method = lm_read_le(record + 10, 2),
                      .crc = lm_read_le(record + 16, 4),
                      .packed = lm_read_le(record + 20, 4),
                      .size = lm_read_le(record + 24, 4),
                      .offset = lm_read_le(record + 42, 4)};
    memcpy(name, record + CENTRAL_BYTES, name_bytes);
    name[name_bytes] = '\0';
    if (strlen(name) != name_bytes) return broken(e, "a name with a NUL in it");
    if (name_bytes > 0 && name[name_bytes - 1] == '/') return LM_OK; /* a folder */
    uint64_t *const wide[] = {&entry.size, &entry.packed, &entry.offset};
    if (!read_extra(record + CENTRAL_BYTES + name_bytes, extra_bytes, wide))
        return broken(e, "a size that is not there");
    entry.readable = !(lm_read_le(record + 8, 2) & ENCRYPTED) &&
                     (entry.method == STORED || entry.method == DEFLATED);
    if (!entry.readable) entry.size = 0; /* no memory is taken for what cannot be had */
    LM_TRY(check_file(e, d, name, &entry));
    entry.offset += d->before;
    return lm_entries_add(e, name, entry);
}

static lm_status add_files(lm_entries *e, directory *d, const uint8_t *bytes) {
    size_t left = (size_t)d->size;
    while (left >= CENTRAL_BYTES && lm_read_le(bytes, 4) == CENTRAL_MAGIC) {
        size_t length = CENTRAL_BYTES + (size_t)lm_read_le(bytes + 28, 2) +
                        lm_read_le(bytes + 30, 2) + lm_read_le(bytes + 32, 2);
        if (length > left) return broken(e, "its directory ends early");
        LM_TRY(add_file(e, d, bytes));
        bytes += length;
        left -= length;
    }
    return left ? broken(e, "its directory ends early") : LM_OK;
}

static lm_status list_zip(lm_entries *entries) {
    directory d = {0};
    LM_TRY(find_directory(entries, &d));
    uint8_t *bytes = lm_alloc((size_t)d.size);
    if (!bytes) return LM_NOMEM;
    lm_status status = read_zip(entries, d.at, bytes, (size_t)d.size);
    if (status == LM_OK) status = add_files(entries, &d, bytes);
    lm_free(bytes);
    return status;
}

/* ---- files ------------------------------------------------------------------- */

/* Inflates the first `size` bytes. */
static lm_status inflate_from(const lm_entries *e, const lm_entry *entry, uint64_t at,
                              void *to, size_t size) {
    enum { PIECE = 1 << 15 };
    uint8_t piece[PIECE];
    uint64_t left = entry->packed;
    z_stream z = {.next_out = to, .avail_out = (uInt)size};
    if (inflateInit2(&z, -MAX_WBITS) != Z_OK) return lm_fail(LM_NOMEM, "out of memory");
    lm_status status = LM_OK;
    int code = Z_OK;
    while (z.avail_out > 0 && code == Z_OK && status == LM_OK) {
        size_t part = left < PIECE ? (size_t)left : PIECE;
        if (part == 0) break;
        status = lm_read_at(e->fd, at, piece, part);
        if (status != LM_OK) break;
        z.next_in = piece;
        z.avail_in = (uInt)part;
        code = inflate(&z, Z_NO_FLUSH);
        at += part;
        left -= part;
    }
    if (status == LM_OK && z.avail_out > 0) status = lm_fail(LM_FORMAT, "broken data");
    inflateEnd(&z);
    return status;
}

/* The local header repeats what the directory says, but its extra field has a length of
 * its own. */
static lm_status find_data(const lm_entries *e, const lm_entry *entry, uint64_t *at) {
    uint8_t header[LOCAL_BYTES];
    LM_TRY(lm_read_at(e->fd, entry->offset, header, sizeof header));
    LM_RETURN_IF(lm_read_le(header, 4) != LOCAL_MAGIC, LM_FORMAT,
                 "not where the zip says it is");
    *at = entry->offset + LOCAL_BYTES + lm_read_le(header + 26, 2) +
          lm_read_le(header + 28, 2);
    LM_RETURN_IF(*at > e->file_size || entry->packed > e->file_size - *at, LM_FORMAT,
                 "ends early");
    return LM_OK;
}

static lm_status read_data(const lm_entries *e, const lm_entry *entry, void *to,
                           size_t size) {
    uint64_t at = 0;
    LM_RETURN_IF(!entry->readable, LM_UNSUPPORTED,
                 "encrypted, or packed by another method than zip's usual one (%d)",
                 entry->method);
    LM_TRY(find_data(e, entry, &at));
    if (entry->method == STORED) {
        LM_TRY(lm_read_at(e->fd, at, to, size));
    } else {
        LM_TRY(inflate_from(e, entry, at, to, size));
    }
    LM_RETURN_IF(size == entry->size && crc32_z(0, to, size) != entry->crc, LM_FORMAT,
                 "broken data: its checksum is not what the zip says");
    return LM_OK;
}

static lm_status read_file(const lm_entries *entries, const lm_entry *entry, void *to,
                           size_t size) {
    lm_status status = read_data(entries, entry, to, size);
    if (status != LM_OK) lm_fail_context(status, "%s: %s", entries->path, entry->name);
    return status;
}

const lm_entries_back lm_entries_zip = {list_zip, read_file};
