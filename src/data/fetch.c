#include "data/fetch.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "data/digest.h"
#include "data/extract.h"
#include "data/transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define LONGEST_PAUSE 60.0
/* An image set unpacks to little more than its archive; a bomb, to thousands of times. */
#define MOST_UNPACKED(archive) (20 * (archive) + ((int64_t)64 << 20))

/* One file under way. */
typedef struct job {
    const lm_fetch *fetch;
    const lm_known_file *file;
    const char *folder;
    char *path, *part; /* owned: FOLDER/NAME and FOLDER/NAME.part */
    int fd;            /* of `part`, locked; -1: none */
    lm_fetch_stage stage;
    lm_status why; /* what the latest URL that did not do failed with */
} job;

/* ---- telling ----------------------------------------------------------------- */

static bool stopped(const job *j) {
    return j->fetch->stop && j->fetch->stop(j->fetch->user);
}

static void note(const job *j, const char *format, ...) LM_PRINTF(2, 3);
static void note(const job *j, const char *format, ...) {
    if (!j->fetch->note) return;
    char line[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    j->fetch->note(j->fetch->user, line);
}

/* For transfers, digests and unpacking alike. */
static bool watch(void *user, int64_t done, int64_t total) {
    const job *j = user;
    if (j->fetch->show)
        j->fetch->show(j->fetch->user,
                       &(lm_fetch_progress){j->file->name, j->stage, done, total});
    return !stopped(j);
}

/* ---- checking ---------------------------------------------------------------- */

static int64_t size_of(int fd) {
    struct stat info;
    return fstat(fd, &info) == 0 ? info.st_size : 0;
}

static lm_status read_digest(job *j, int fd, const char *path, lm_digest *digest) {
    uint8_t buffer[1 << 16];
    int64_t done = 0, total = size_of(fd);
    j->stage = LM_FETCH_CHECK;
    for (;;) {
        ssize_t got = pread(fd, buffer, sizeof buffer, done);
        if (got < 0 && errno == EINTR) continue;
        LM_RETURN_IF(got < 0, LM_IO, "%s: cannot read: %s", path, strerror(errno));
        if (got == 0) return LM_OK;
        lm_digest_add(digest, buffer, (size_t)got);
        done += got;
        LM_RETURN_IF(!watch(j, done, total), LM_INTERRUPTED, "%s: interrupted", path);
    }
}

/* LM_FORMAT, unless the file has size and digest of the table. */
static lm_status check(job *j, int fd, const char *path) {
    const lm_known_file *file = j->file;
    LM_RETURN_IF(file->bytes && size_of(fd) != file->bytes, LM_FORMAT,
                 "%s: %lld bytes, expected %lld", path, (long long)size_of(fd),
                 (long long)file->bytes);
    const char *expected = file->sha256 ? file->sha256 : file->md5;
    if (!expected) {
        note(j, "%s: no digest was published: checked by %s", file->name,
             file->bytes ? "its size only" : "nothing");
        return LM_OK;
    }
    lm_digest digest;
    char hex[LM_SHA256_HEX];
    lm_digest_init(&digest, file->sha256 ? LM_SHA256 : LM_MD5);
    LM_TRY(read_digest(j, fd, path, &digest));
    lm_digest_hex(&digest, hex);
    LM_RETURN_IF(strcmp(hex, expected) != 0, LM_FORMAT, "%s: %s is %s, expected %s", path,
                 file->sha256 ? "SHA-256" : "MD5", hex, expected);
    return LM_OK;
}

/* A file that somebody put there is his: it is checked, and never replaced. */
static lm_status check_present(job *j) {
    int fd = open(j->path, O_RDONLY | O_CLOEXEC);
    LM_RETURN_IF(fd < 0, LM_IO, "%s: cannot open: %s", j->path, strerror(errno));
    lm_status status = check(j, fd, j->path);
    close(fd);
    if (status == LM_FORMAT)
        return lm_fail(status, "%s; it was there already: move it away to fetch it",
                       lm_message());
    if (status == LM_OK) note(j, "%s: there already", j->file->name);
    return status;
}

/* ---- transferring ------------------------------------------------------------ */

/* In slices, so that an interrupt ends it soon. */
static lm_status pause_for(const job *j, double seconds) {
    for (double end = lm_now() + seconds; lm_now() < end;) {
        LM_RETURN_IF(stopped(j), LM_INTERRUPTED, "%s: interrupted", j->part);
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    return LM_OK;
}

static lm_status empty_part(const job *j) {
    LM_RETURN_IF(ftruncate(j->fd, 0) != 0, LM_IO, "%s: cannot write: %s", j->part,
                 strerror(errno));
    return LM_OK;
}

/* Until the file is whole, or nothing more is to be hoped from this URL. */
static lm_status transfer(job *j, const char *url, lm_transfer_end *end) {
    lm_transfer what = {.url = url,
                        .file = j->fd,
                        .path = j->part,
                        .bytes = j->file->bytes,
                        .stall_seconds = j->fetch->stall_seconds,
                        .watch = watch,
                        .user = j};
    int64_t most = size_of(j->fd);
    double wait = j->fetch->pause;
    bool emptied = false;
    for (int failures = 0;;) {
        j->stage = LM_FETCH_TRANSFER;
        LM_TRY(lm_transfer_run(&what, end));
        int64_t have = size_of(j->fd);
        if (*end == LM_TRANSFER_STALE && !emptied) {
            LM_TRY(empty_part(j));
            emptied = true;
            continue;
        }
        if (*end != LM_TRANSFER_BROKEN) return LM_OK;
        if (have > most) failures = 0, wait = j->fetch->pause, most = have;
        if (++failures >= j->fetch->attempts) return LM_OK;
        note(j, "%s; again in %.0f s, from byte %lld", lm_message(), wait,
             (long long)have);
        LM_TRY(pause_for(j, wait));
        wait = 2 * wait < LONGEST_PAUSE ? 2 * wait : LONGEST_PAUSE;
    }
}

/* One URL. *arrived: the part is whole and right; else lm_message() says what it is. */
static lm_status try_url(job *j, const char *url, bool *arrived) {
    *arrived = false;
    for (;;) {
        int64_t before = size_of(j->fd);
        lm_transfer_end end = LM_TRANSFER_WHOLE;
        if (!j->file->bytes || before != j->file->bytes) LM_TRY(transfer(j, url, &end));
        j->why = LM_IO;
        if (end != LM_TRANSFER_WHOLE) return LM_OK;
        lm_status status = check(j, j->fd, j->part);
        j->why = status;
        if (status != LM_FORMAT) {
            *arrived = status == LM_OK;
            return status;
        }
        LM_TRY(empty_part(j));
        /* The beginning may have been another file's; then the whole may be right. */
        if (!before) return LM_OK;
        note(j, "%s; again from the beginning", lm_message());
    }
}

static lm_status check_room(const job *j) {
    struct statvfs disk;
    int64_t missing = j->file->bytes - size_of(j->fd);
    if (statvfs(j->folder, &disk) != 0 || missing <= 0) return LM_OK;
    int64_t room = (int64_t)disk.f_bavail * (int64_t)disk.f_frsize;
    LM_RETURN_IF(room < missing, LM_IO, "%s: %s needs %lld MB more, %lld MB are free",
                 j->folder, j->file->name, (long long)(missing / 1000000 + 1),
                 (long long)(room / 1000000));
    return LM_OK;
}

/* Tries BASE/NAME, or the table's URLs in order. */
static lm_status try_urls(job *j) {
    lm_str own = LM_STR_INIT;
    const char *const *urls = j->file->urls;
    const char *chosen[LM_KNOWN_URLS] = {NULL};
    if (j->fetch->base_url) {
        const char *base = j->fetch->base_url;
        bool slash = *base && base[strlen(base) - 1] == '/';
        lm_str_printf(&own, "%s%s%s", base, slash ? "" : "/", j->file->name);
        chosen[0] = lm_str_text(&own);
        urls = chosen;
        if (!chosen[0]) return LM_NOMEM;
    }
    bool arrived = false;
    lm_status status = LM_OK;
    for (int i = 0; status == LM_OK && !arrived && i < LM_KNOWN_URLS && urls[i]; i++) {
        if (i > 0) note(j, "%s; next %s", lm_message(), urls[i]);
        status = try_url(j, urls[i], &arrived);
    }
    lm_str_release(&own);
    if (status == LM_OK && !arrived)
        status = lm_fail_context(j->why, "%s", j->file->name);
    return status;
}

/* The lock ends with the descriptor: two calls do not write into one file. */
static lm_status open_part(job *j) {
    j->fd = open(j->part, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);
    LM_RETURN_IF(j->fd < 0, LM_IO, "%s: cannot write: %s", j->part, strerror(errno));
    if (flock(j->fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        close(j->fd);
        j->fd = -1;
        return lm_fail(LM_IO, "%s: another process is fetching it", j->part);
    }
    if (j->file->bytes && size_of(j->fd) > j->file->bytes) return empty_part(j);
    return LM_OK;
}

static lm_status get(job *j) {
    LM_TRY(check_room(j));
    LM_TRY(try_urls(j));
    LM_RETURN_IF(fsync(j->fd) != 0 || rename(j->part, j->path) != 0, LM_IO,
                 "%s: cannot write: %s", j->path, strerror(errno));
    return LM_OK;
}

/* ---- a file, a set ----------------------------------------------------------- */

static lm_status unpack(job *j) {
    struct stat info;
    LM_RETURN_IF(stat(j->path, &info) != 0, LM_IO, "%s: %s", j->path, strerror(errno));
    j->stage = LM_FETCH_UNPACK;
    LM_TRY(lm_archive_extract(j->path, j->folder, j->file->unpack,
                              MOST_UNPACKED((int64_t)info.st_size), watch, j));
    note(j, "%s: unpacked to %s/, no longer needed itself", j->file->name,
         j->file->unpack);
    return LM_OK;
}

/* To check needs no right to write; to make something, and the lock, does. */
static lm_status check_or_fetch(job *j) {
    if (!j->file->unpack && lm_file_exists(j->path)) return check_present(j);
    LM_TRY(open_part(j));
    LM_TRY(lm_file_exists(j->path) ? check_present(j) : get(j));
    return j->file->unpack ? unpack(j) : LM_OK;
}

lm_status lm_fetch_file(const lm_fetch *fetch, const lm_known_file *file,
                        const char *folder) {
    job j = {.fetch = fetch, .file = file, .folder = folder, .fd = -1};
    if (file->unpack && lm_folder_has(folder, file->unpack)) {
        note(&j, "%s: there already, unpacked", file->unpack);
        return LM_OK;
    }
    LM_RETURN_IF(!file->urls[0] && !fetch->base_url && !lm_folder_has(folder, file->name),
                 LM_NOT_FOUND, "%s: not in %s", file->name, folder);
    LM_TRY(lm_make_folders(folder));
    lm_str part = LM_STR_INIT;
    j.path = lm_path_join(folder, file->name);
    if (j.path) lm_str_printf(&part, "%s.part", j.path);
    j.part = part.text;
    lm_status status = j.path && lm_str_text(&part) ? check_or_fetch(&j) : LM_NOMEM;
    if (j.fd >= 0) {
        /* What is empty, or came to its end, helps nobody to go on. */
        if (status == LM_OK || size_of(j.fd) == 0) unlink(j.part);
        close(j.fd);
    }
    lm_str_release(&part);
    lm_free(j.path);
    return status;
}

lm_status lm_fetch_set(const lm_fetch *fetch, const lm_known_set *set,
                       const char *folder) {
    lm_status status = LM_OK;
    bool by_hand = set->how && !fetch->base_url;
    for (int i = 0; status == LM_OK && i < set->n_files; i++)
        status = lm_fetch_file(fetch, &set->files[i], folder);
    if (by_hand && (status == LM_NOT_FOUND || !set->n_files))
        return lm_fail(LM_NOT_FOUND, "%s: to be had by hand only: %s: %s", set->name,
                       set->home, set->how);
    return status;
}
