/* Entries of a zip (PKWARE's APPNOTE 6.3): the central directory is read once, then any
 * thread reads any file by pread and zlib. libzip keeps a position in its handle, so it
 * would take a lock around every read, or a copy of the directory for every thread. */
#include "data/entries_internal.h"

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
    EXTRA_ZIP64 = 1
};

#define LOCAL_MAGIC   0x04034b50u
#define CENTRAL_MAGIC 0x02014b50u
#define END_MAGIC     0x06054b50u
#define END64_MAGIC   0x06064b50u
#define LOCATOR_MAGIC 0x07064b50u
#define IN_EXTRA      0xffffffffu /* the number stands in the zip64 extra field */

/* Deflate makes at most 1032 bytes of one, so a size beyond that is a lie. */
#define MOST_RATIO 1032

/* ---- little-endian numbers ------------------------------------------------------ */

static uint64_t get(const uint8_t *at, int bytes) {
    uint64_t value = 0;
    for (int i = bytes; i-- > 0;) value = value << 8 | at[i];
    return value;
}

static uint16_t get16(const uint8_t *at) {
    return (uint16_t)get(at, 2);
}

static uint32_t get32(const uint8_t *at) {
    return (uint32_t)get(at, 4);
}

/* ---- the central directory ------------------------------------------------------- */

typedef struct directory {
    uint64_t at, size; /* in the file */
    uint64_t
        before; /* bytes in front of the zip, as in programs that unpack themselves */
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
        found = i + END_BYTES <= size && get32(tail + i) == END_MAGIC &&
                i + END_BYTES + get16(tail + i + 20) <= size;
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
    if (get32(locator) != LOCATOR_MAGIC) return LM_OK;
    uint64_t at = end - LOCATOR_BYTES - END64_BYTES, stated = get(locator + 8, 8);
    LM_TRY(read_zip(e, at, record, sizeof record));
    if (get32(record) != END64_MAGIC) { /* it may hold more than we know of */
        at = stated;
        LM_TRY(read_zip(e, at, record, sizeof record));
    }
    if (get32(record) != END64_MAGIC || stated > at)
        return broken(e, "no zip64 record where its locator says");
    d->before = at - stated;
    d->size = get(record + 40, 8);
    d->at = get(record + 48, 8);
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
        d->size = get32(end + 12);
        d->at = get32(end + 16);
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
        size_t size = get16(extra + at + 2);
        if (size > length - at - 4) return false;
        if (get16(extra + at) == EXTRA_ZIP64) {
            const uint8_t *value = extra + at + 4, *end = value + size;
            for (int i = 0; i < 3; i++) {
                if (*wide[i] != IN_EXTRA) continue;
                if (end - value < 8) return false;
                *wide[i] = get(value, 8);
                value += 8;
            }
            return true;
        }
        at += 4 + size;
    }
    return true;
}

static lm_status add_file(lm_entries *e, const directory *d, const uint8_t *record) {
    size_t name_bytes = get16(record + 28), extra_bytes = get16(record + 30);
    char name[0x10000];
    lm_entry entry = {.method = get16(record + 10),
                      .encrypted = get16(record + 8) & 1,
                      .crc = get32(record + 16),
                      .packed = get32(record + 20),
                      .size = get32(record + 24),
                      .offset = get32(record + 42)};
    memcpy(name, record + CENTRAL_BYTES, name_bytes);
    name[name_bytes] = '\0';
    if (strlen(name) != name_bytes) return broken(e, "a name with a NUL in it");
    if (name_bytes > 0 && name[name_bytes - 1] == '/') return LM_OK; /* a folder */
    uint64_t *const wide[] = {&entry.size, &entry.packed, &entry.offset};
    if (!read_extra(record + CENTRAL_BYTES + name_bytes, extra_bytes, wide) ||
        entry.offset > e->file_size - d->before)
        return lm_fail(LM_FORMAT, "%s: broken zip: %s does not lie in it", e->path, name);
    LM_RETURN_IF(entry.method == DEFLATED && entry.size / MOST_RATIO > entry.packed,
                 LM_FORMAT, "%s: broken zip: %s: %llu bytes cannot be packed in %llu",
                 e->path, name, (unsigned long long)entry.size,
                 (unsigned long long)entry.packed);
    entry.offset += d->before;
    return lm_entries_add(e, name, entry);
}

static lm_status add_files(lm_entries *e, const directory *d, const uint8_t *bytes) {
    size_t left = (size_t)d->size;
    while (left >= CENTRAL_BYTES && get32(bytes) == CENTRAL_MAGIC) {
        size_t length = CENTRAL_BYTES + (size_t)get16(bytes + 28) + get16(bytes + 30) +
                        get16(bytes + 32);
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
    LM_RETURN_IF(get32(header) != LOCAL_MAGIC, LM_FORMAT, "not where the zip says it is");
    *at = entry->offset + LOCAL_BYTES + get16(header + 26) + get16(header + 28);
    LM_RETURN_IF(*at > e->file_size || entry->packed > e->file_size - *at, LM_FORMAT,
                 "ends early");
    return LM_OK;
}

static lm_status read_data(const lm_entries *e, const lm_entry *entry, void *to,
                           size_t size) {
    uint64_t at = 0;
    LM_RETURN_IF(entry->encrypted, LM_UNSUPPORTED, "encrypted");
    LM_RETURN_IF(entry->method != STORED && entry->method != DEFLATED, LM_UNSUPPORTED,
                 "packed by method %d of zip: only stored and deflated files can be read",
                 entry->method);
    LM_TRY(find_data(e, entry, &at));
    if (entry->method == STORED) {
        LM_RETURN_IF(entry->packed != entry->size, LM_FORMAT, "two sizes: %llu and %llu",
                     (unsigned long long)entry->packed, (unsigned long long)entry->size);
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
