#include "data/extract.h"
#include "data/unpack_internal.h"

#include <string.h>

bool lm_archive_name_is_safe(const char *name) {
    if (name[0] == '\0' || name[0] == '/' || strlen(name) >= 1024) return false;
    for (const char *at = name; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f || *at == '\\') return false;
    for (const char *part = name; *part;) {
        size_t length = strcspn(part, "/");
        if (length == 2 && part[0] == '.' && part[1] == '.') return false;
        part += length;
        part += strspn(part, "/");
    }
    return true;
}

#ifdef LM_HAVE_ARCHIVE

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_FILES 4000000

typedef struct extraction {
    const char *path, *target; /* the archive, and the folder to unpack into */
    struct archive *archive;
    int64_t size, limit, written;
    int files;
    bool (*watch)(void *user, int64_t done, int64_t total);
    void *user;
} extraction;

static int remove_one(const char *path, const struct stat *info, int kind,
                      struct FTW *at) {
    return remove(path);
}

/* A folder and all in it; links are removed, not followed. */
static void remove_folder(const char *path) {
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- one entry --------------------------------------------------------------- */

static lm_status go_on(extraction *x) {
    if (!x->watch || x->watch(x->user, archive_filter_bytes(x->archive, -1), x->size))
        return LM_OK;
    return lm_fail(LM_INTERRUPTED, "%s: interrupted", x->path);
}

static lm_status put_block(extraction *x, int fd, const char *to, const char *bytes,
                           size_t size, int64_t offset) {
    while (size > 0) {
        ssize_t put = pwrite(fd, bytes, size, offset);
        if (put < 0 && errno == EINTR) continue;
        LM_RETURN_IF(put < 0, LM_IO, "%s: cannot write: %s", to, strerror(errno));
        bytes += put;
        size -= (size_t)put;
        offset += put;
    }
    return LM_OK;
}

/* What the archive says of sizes is not believed: the limit counts what comes. Holes
 * count, too: they are as large to who reads them. */
static lm_status put_data(extraction *x, int fd, const char *to) {
    int64_t end = 0;
    for (;;) {
        const void *bytes;
        size_t size;
        la_int64_t offset;
        int code = archive_read_data_block(x->archive, &bytes, &size, &offset);
        if (code == ARCHIVE_EOF) break;
        if (code != ARCHIVE_OK) return lm_archive_fail(x->path, x->archive);
        LM_RETURN_IF(offset < end || offset > x->limit ||
                         (int64_t)size > x->limit - x->written - (offset - end),
                     LM_FORMAT, "%s: unpacks to more than %lld bytes", x->path,
                     (long long)x->limit);
        x->written += offset - end + (int64_t)size;
        end = offset + (int64_t)size;
        LM_TRY(put_block(x, fd, to, bytes, size, offset));
        LM_TRY(go_on(x));
    }
    LM_RETURN_IF(ftruncate(fd, end) != 0, LM_IO, "%s: cannot write: %s", to,
                 strerror(errno));
    return LM_OK;
}

static lm_status put_file(extraction *x, const char *name, char *to) {
    char *slash = strrchr(to, '/');
    *slash = '\0';
    lm_status status = lm_make_folders(to);
    *slash = '/';
    LM_TRY(status);
    int fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    LM_RETURN_IF(fd < 0 && errno == EEXIST, LM_FORMAT, "%s: holds %s twice", x->path,
                 name);
    LM_RETURN_IF(fd < 0, LM_IO, "%s: cannot create: %s", to, strerror(errno));
    status = put_data(x, fd, to);
    if (close(fd) != 0 && status == LM_OK)
        status = lm_fail(LM_IO, "%s: cannot write: %s", to, strerror(errno));
    return status;
}

/* The target is new and ours, and gets folders and plain files only: so there is no link
 * in it that could lead out, and names that are safe are enough. */
static lm_status put_entry(extraction *x, struct archive_entry *entry) {
    const char *name = archive_entry_pathname(entry);
    mode_t kind = archive_entry_filetype(entry);
    LM_RETURN_IF(!name || !lm_archive_name_is_safe(name), LM_FORMAT,
                 "%s: holds a file named '%s', which could lie outside of the folder",
                 x->path, name ? name : "?");
    LM_RETURN_IF(archive_entry_hardlink(entry) || (kind != AE_IFREG && kind != AE_IFDIR),
                 LM_FORMAT, "%s: %s is a link or a device, which are not unpacked",
                 x->path, name);
    LM_RETURN_IF(++x->files > MOST_FILES, LM_FORMAT, "%s: holds more than %d files",
                 x->path, MOST_FILES);
    char *to = lm_path_join(x->target, name);
    if (!to) return LM_NOMEM;
    lm_status status = kind == AE_IFDIR ? lm_make_folders(to) : put_file(x, name, to);
    lm_free(to);
    return status;
}

/* ---- all of it --------------------------------------------------------------- */

static lm_status put_all(extraction *x) {
    LM_TRY(lm_archive_open(x->path, false, &x->archive));
    lm_status status = LM_OK;
    struct archive_entry *entry;
    int code = ARCHIVE_OK;
    while (status == LM_OK &&
           (code = archive_read_next_header(x->archive, &entry)) == ARCHIVE_OK)
        status = put_entry(x, entry);
    if (status == LM_OK && code != ARCHIVE_EOF)
        status = lm_archive_fail(x->path, x->archive);
    archive_read_free(x->archive);
    return status;
}

static lm_status publish(const extraction *x, const char *folder, const char *name) {
    char *made = lm_path_join(x->target, name), *final = lm_path_join(folder, name);
    lm_status status = made && final ? LM_OK : LM_NOMEM;
    if (status == LM_OK && !lm_is_folder(made))
        status = lm_fail(LM_FORMAT, "%s: holds no folder %s", x->path, name);
    if (status == LM_OK && rename(made, final) != 0)
        status = lm_fail(LM_IO, "%s: cannot create: %s", final, strerror(errno));
    lm_free(made);
    lm_free(final);
    return status;
}

lm_status lm_archive_extract(const char *path, const char *folder, const char *name,
                             int64_t limit,
                             bool (*watch)(void *user, int64_t done, int64_t total),
                             void *user) {
    struct stat info;
    LM_RETURN_IF(stat(path, &info) != 0, LM_NOT_FOUND, "%s: %s", path, strerror(errno));
    lm_str target = LM_STR_INIT;
    lm_str_printf(&target, "%s/.%s.unpacking", folder, name);
    if (!lm_str_text(&target)) return LM_NOMEM;
    extraction x = {.path = path,
                    .target = target.text,
                    .size = info.st_size,
                    .limit = limit,
                    .watch = watch,
                    .user = user};
    remove_folder(x.target); /* of a run that was killed */
    lm_status status = lm_make_folders(x.target);
    if (status == LM_OK) status = put_all(&x);
    if (status == LM_OK) status = publish(&x, folder, name);
    remove_folder(x.target);
    lm_str_release(&target);
    return status;
}

#else

lm_status lm_archive_extract(const char *path, const char *folder, const char *name,
                             int64_t limit,
                             bool (*watch)(void *user, int64_t done, int64_t total),
                             void *user) {
    return lm_archive_absent(path);
}

#endif
