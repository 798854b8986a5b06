#include "data/unpack.h"
#include "data/unpack_internal.h"

#ifdef LM_HAVE_ARCHIVE

#include "base/mem.h"

lm_status lm_archive_fail(const char *path, struct archive *archive) {
    const char *reason = archive_error_string(archive);
    return lm_fail(LM_FORMAT, "%s: broken archive: %s", path,
                   reason ? reason : "unknown");
}

lm_status lm_archive_open(const char *path, bool raw, struct archive **archive) {
    *archive = archive_read_new();
    if (!*archive) return LM_NOMEM;
    archive_read_support_filter_all(*archive);
    if (raw) archive_read_support_format_raw(*archive);
    if (!raw) archive_read_support_format_tar(*archive);
    if (!raw) archive_read_support_format_zip(*archive);
    if (archive_read_open_filename(*archive, path, 1 << 16) == ARCHIVE_OK) return LM_OK;
    lm_status status = lm_archive_fail(path, *archive);
    archive_read_free(*archive);
    *archive = NULL;
    return status;
}

/* The size that the archive states is a promise only: memory grows with what comes, and
 * what is missing is an error. */
static lm_status read_bytes(struct archive *archive, const char *path, const char *name,
                            size_t size, size_t limit, void **bytes) {
    LM_RETURN_IF(size > limit, LM_FORMAT,
                 "%s: %s has %zu bytes, more than the %zu that are read within an "
                 "archive: unpack it",
                 path, name, size, limit);
    size_t have = 0, room = size < (64 << 20) ? size : 64 << 20;
    for (;; room = room < size / 4 ? 4 * room : size) {
        char *grown = lm_realloc(*bytes, room + 1);
        if (!grown) return LM_NOMEM;
        *bytes = grown;
        la_ssize_t got = archive_read_data(archive, grown + have, room - have);
        if (got < 0) return lm_archive_fail(path, archive);
        have += (size_t)got;
        LM_RETURN_IF(have != room, LM_FORMAT, "%s: %s ends early", path, name);
        if (have == size) return LM_OK;
    }
}

/* A warning is about a name, and the entry is there. */
static bool is_entry(int code) {
    return code >= ARCHIVE_WARN && code != ARCHIVE_EOF;
}

/* What the locale cannot spell has a name in UTF-8; NULL: none at all. */
static const char *entry_name(struct archive_entry *entry) {
    const char *name = archive_entry_pathname(entry);
    return name ? name : archive_entry_pathname_utf8(entry);
}

static lm_status take_entry(struct archive *archive, struct archive_entry *entry,
                            const char *path, size_t limit, lm_archive_take take,
                            void *user) {
    const char *name = entry_name(entry);
    int64_t stated = archive_entry_size(entry);
    size_t size = stated > 0 ? (size_t)stated : 0;
    void *bytes = NULL;
    lm_status status = read_bytes(archive, path, name, size, limit, &bytes);
    if (status == LM_OK) status = take(user, name, &bytes, size);
    lm_free(bytes);
    return status;
}

lm_status lm_archive_read(const char *path, size_t limit, lm_archive_wants wants,
                          lm_archive_take take, void *user) {
    struct archive *archive;
    LM_TRY(lm_archive_open(path, false, &archive));
    struct archive_entry *entry;
    lm_status status = LM_OK;
    int code = ARCHIVE_OK;
    while (is_entry(code) && status == LM_OK) {
        code = archive_read_next_header(archive, &entry);
        const char *name = is_entry(code) ? entry_name(entry) : NULL;
        if (name && archive_entry_filetype(entry) == AE_IFREG && wants(user, name))
            status = take_entry(archive, entry, path, limit, take, user);
    }
    if (status == LM_OK && code != ARCHIVE_EOF) status = lm_archive_fail(path, archive);
    archive_read_free(archive);
    return status;
}

/* Its size is not known before the end, so memory grows with what comes. */
static lm_status expand_entry(struct archive *archive, const char *path, size_t limit,
                              void **bytes, size_t *size) {
    for (size_t capacity = 1 << 16;; capacity *= 2) {
        char *grown = lm_realloc(*bytes, capacity + 1);
        if (!grown) return LM_NOMEM;
        *bytes = grown;
        la_ssize_t got = archive_read_data(archive, grown + *size, capacity - *size);
        if (got < 0) return lm_archive_fail(path, archive);
        *size += (size_t)got;
        LM_RETURN_IF(*size > limit, LM_FORMAT, "%s: unpacks to more than %zu bytes", path,
                     limit);
        grown[*size] = '\0';
        if (*size < capacity) return LM_OK;
    }
}

lm_status lm_archive_expand(const char *path, size_t limit, void **bytes, size_t *size) {
    struct archive *archive;
    struct archive_entry *entry;
    *bytes = NULL, *size = 0;
    LM_TRY(lm_archive_open(path, true, &archive));
    lm_status status = archive_read_next_header(archive, &entry) == ARCHIVE_OK
                           ? expand_entry(archive, path, limit, bytes, size)
                           : lm_archive_fail(path, archive);
    archive_read_free(archive);
    if (status != LM_OK) {
        lm_free(*bytes);
        *bytes = NULL;
    }
    return status;
}

#else

lm_status lm_archive_absent(const char *path) {
    return lm_fail(LM_UNSUPPORTED,
                   "%s: this program was built without libarchive: unpack it, or install "
                   "libarchive-dev and build again",
                   path);
}

lm_status lm_archive_read(const char *path, size_t limit, lm_archive_wants wants,
                          lm_archive_take take, void *user) {
    return lm_archive_absent(path);
}

lm_status lm_archive_expand(const char *path, size_t limit, void **bytes, size_t *size) {
    return lm_archive_absent(path);
}

#endif
