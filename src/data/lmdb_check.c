/* The layout is that of liblmdb's mdb.c on machines of 64 bits, little endian: structs
 * MDB_page, MDB_meta, MDB_db and MDB_node. */
#include "data/lmdb_read.h"

#include "base/bytes.h"
#include "base/file.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE_HEADER = 16, META_BYTES = 136, NODE_HEADER = 8, MOST_KEY = 511 };
enum { MOST_DEPTH = 32, MOST_PAGE = 1 << 16, LEAST_PAGE = 256 };
enum { P_BRANCH = 0x01, P_LEAF = 0x02, P_OVERFLOW = 0x04, P_META = 0x08, P_OTHER = 0x60 };
enum { P_KINDS = P_BRANCH | P_LEAF | P_OVERFLOW | P_META | P_OTHER, F_BIGDATA = 1 };
#define META_MAGIC 0xBEEFC0DEu
#define NO_ROOT    UINT64_MAX

typedef struct meta {
    uint64_t page; /* bytes of a page */
    uint64_t last, transaction;
    unsigned flags; /* of the unnamed database, as its depth and root */
    int depth;
    uint64_t root;
} meta;

typedef struct check {
    const char *path;
    const uint8_t *bytes;
    uint64_t size;
    meta meta;
    uint64_t visited; /* pages */
    int64_t records;
} check;

static lm_status fail_page(const check *c, uint64_t page, const char *what) {
    return lm_fail(LM_FORMAT, "%s: damaged: page %llu %s", c->path,
                   (unsigned long long)page, what);
}

/* ---- meta pages -------------------------------------------------------------- */

static lm_status read_meta(const check *c, uint64_t offset, meta *m) {
    LM_RETURN_IF(c->size < offset + PAGE_HEADER + META_BYTES, LM_FORMAT,
                 "%s: too short for an LMDB file", c->path);
    const uint8_t *page = c->bytes + offset, *b = page + PAGE_HEADER;
    LM_RETURN_IF(!(lm_read_le(page + 10, 2) & P_META) || lm_read_le(b, 4) != META_MAGIC,
                 LM_FORMAT, "%s: not an LMDB file", c->path);
    LM_RETURN_IF(lm_read_le(b + 4, 4) != 1, LM_UNSUPPORTED,
                 "%s: LMDB's data format %u, expected 1", c->path,
                 (unsigned)lm_read_le(b + 4, 4));
    const uint8_t *db = b + 72;
    *m = (meta){.page = lm_read_le(b + 24, 4),
                .last = lm_read_le(b + 120, 8),
                .transaction = lm_read_le(b + 128, 8),
                .flags = (unsigned)lm_read_le(db + 4, 2),
                .depth = (int)lm_read_le(db + 6, 2),
                .root = lm_read_le(db + 40, 8)};
    bool power =
        m->page >= LEAST_PAGE && m->page <= MOST_PAGE && (m->page & (m->page - 1)) == 0;
    bool tree = m->root == NO_ROOT || (m->depth >= 1 && m->depth <= MOST_DEPTH);
    LM_RETURN_IF(!power || !tree || m->last >= UINT64_MAX / MOST_PAGE, LM_FORMAT,
                 "%s: damaged: a meta page with impossible numbers", c->path);
    return LM_OK;
}

/* There are two, of which the later transaction's counts. */
static lm_status choose_meta(check *c) {
    meta second;
    LM_TRY(read_meta(c, 0, &c->meta));
    LM_TRY(read_meta(c, c->meta.page, &second));
    LM_RETURN_IF(second.page != c->meta.page, LM_FORMAT,
                 "%s: damaged: meta pages of two page sizes", c->path);
    if (second.transaction > c->meta.transaction) c->meta = second;
    LM_RETURN_IF(c->meta.flags & 0x7fff, LM_FORMAT,
                 "%s: a database with duplicate or integer keys, expected a plain one",
                 c->path);
    return LM_OK;
}

/* ---- pages ------------------------------------------------------------------- */

/* Whether `size` bytes from the beginning of a page lie within the file. */
static bool holds(const check *c, uint64_t page, uint64_t size) {
    return page >= 2 && page <= c->meta.last && page < c->size / c->meta.page &&
           size <= c->size - page * c->meta.page;
}

/* Of a leaf: the key, then the value or the number of its first page. */
static lm_status check_record(check *c, uint64_t page, const uint8_t *node, size_t room) {
    size_t key = (size_t)lm_read_le(node + 6, 2);
    uint64_t value = lm_read_le(node, 4), flags = lm_read_le(node + 4, 2);
    bool big = flags & F_BIGDATA;
    if (key < 1 || key > MOST_KEY) return fail_page(c, page, "has a key of no size");
    LM_RETURN_IF(flags & ~(uint64_t)F_BIGDATA, LM_FORMAT,
                 "%s: a database of named or duplicate records, expected a plain one",
                 c->path);
    if (NODE_HEADER + key + (big ? 8 : value) > room)
        return fail_page(c, page, "has a record that it cannot hold");
    c->records++;
    if (!big) return LM_OK;
    uint64_t first = lm_read_le(node + NODE_HEADER + key, 8);
    LM_RETURN_IF(!holds(c, first, PAGE_HEADER + value), LM_FORMAT,
                 "%s: truncated or damaged: a value of %llu bytes at page %llu, and %llu "
                 "bytes in the file",
                 c->path, (unsigned long long)value, (unsigned long long)first,
                 (unsigned long long)c->size);
    return LM_OK;
}

static lm_status check_page(check *c, uint64_t page, int depth);

static lm_status check_node(check *c, uint64_t page, const uint8_t *node, size_t room,
                            int depth) {
    if (depth == c->meta.depth) return check_record(c, page, node, room);
    if (NODE_HEADER + lm_read_le(node + 6, 2) > room)
        return fail_page(c, page, "has a key that it cannot hold");
    return check_page(c, lm_read_le(node, 6), depth + 1);
}

/* All leaves have the depth that the meta page says; a branch has two children at least.
 * More visits than there are pages: a page that is its own descendant, or of two. */
static lm_status check_page(check *c, uint64_t page, int depth) {
    LM_RETURN_IF(!holds(c, page, c->meta.page), LM_FORMAT,
                 "%s: truncated or damaged: no page %llu in %llu bytes", c->path,
                 (unsigned long long)page, (unsigned long long)c->size);
    if (++c->visited > c->size / c->meta.page)
        return fail_page(c, page, "is in the tree twice");
    const uint8_t *b = c->bytes + page * c->meta.page;
    size_t lower = (size_t)lm_read_le(b + 12, 2), upper = (size_t)lm_read_le(b + 14, 2);
    bool leaf = depth == c->meta.depth;
    if (lm_read_le(b, 8) != page ||
        (lm_read_le(b + 10, 2) & P_KINDS) != (leaf ? P_LEAF : P_BRANCH))
        return fail_page(c, page, "is of another kind");
    if (lower < (size_t)PAGE_HEADER + (leaf ? 2 : 4) || lower % 2 || lower > upper ||
        upper > c->meta.page)
        return fail_page(c, page, "has impossible bounds");
    for (size_t at = PAGE_HEADER; at < lower; at += 2) {
        size_t offset = (size_t)lm_read_le(b + at, 2);
        if (offset < upper || offset % 2 || offset + NODE_HEADER > c->meta.page)
            return fail_page(c, page, "has a record outside of it");
        LM_TRY(check_node(c, page, b + offset, c->meta.page - offset, depth));
    }
    return LM_OK;
}

lm_status lm_lmdb_check(const char *path, int64_t *records) {
    void *bytes;
    size_t size;
    LM_TRY(lm_file_map(path, &bytes, &size));
    /* Pages of the tree lie scattered among those of the values. */
    posix_madvise(bytes, size, POSIX_MADV_RANDOM);
    check c = {.path = path, .bytes = bytes, .size = size};
    lm_status status = choose_meta(&c);
    if (status == LM_OK && c.meta.root != NO_ROOT)
        status = check_page(&c, c.meta.root, 1);
    lm_file_unmap(bytes, size);
    *records = c.records;
    return status;
}
