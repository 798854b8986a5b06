#include "base/file.h"

#include "base/mem.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static lm_status fail_io(const char *path, const char *what, int error) {
    lm_status status = error == ENOENT ? LM_NOT_FOUND : LM_IO;
    return lm_fail(status, "%s: cannot %s: %s", path, what, strerror(error));
}

/* ---- reading ----------------------------------------------------------------- */

/* Reads to the end, growing *data, since a pipe or /proc does not know its size. */
static lm_status read_all(int fd, const char *path, size_t limit, size_t expected,
                          char **data, size_t *size) {
    size_t capacity = expected + 2; /* one to see the end, one for the NUL */
    for (;;) {
        char *grown = lm_realloc(*data, capacity);
        if (!grown) return lm_fail_context(LM_NOMEM, "%s", path);
        *data = grown;
        while (*size + 1 < capacity) {
            ssize_t got = read(fd, grown + *size, capacity - 1 - *size);
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) return fail_io(path, "read", errno);
            if (got == 0) return LM_OK;
            *size += (size_t)got;
            LM_RETURN_IF(*size > limit, LM_FORMAT, "%s: larger than %zu bytes", path,
                         limit);
        }
        capacity = capacity < 4096 ? 8192 : capacity * 2;
    }
}

lm_status lm_file_read(const char *path, size_t limit, void **data, size_t *size) {
    *data = NULL, *size = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return fail_io(path, "open", errno);
    struct stat info;
    lm_status status = LM_OK;
    char *bytes = NULL;
    if (fstat(fd, &info) != 0)
        status = fail_io(path, "read", errno);
    else if (S_ISREG(info.st_mode) && (uintmax_t)info.st_size > limit)
        status = lm_fail(LM_FORMAT, "%s: larger than %zu bytes", path, limit);
    else
        status = read_all(fd, path, limit,
                          S_ISREG(info.st_mode) ? (size_t)info.st_size : 0, &bytes, size);
    close(fd);
    if (status != LM_OK) {
        lm_free(bytes);
        *size = 0;
        return status;
    }
    bytes[*size] = '\0';
    *data = bytes;
    return LM_OK;
}

static lm_status map_regular(int fd, const char *path, void **data, size_t *size) {
    struct stat info;
    if (fstat(fd, &info) != 0) return fail_io(path, "read", errno);
    LM_RETURN_IF(!S_ISREG(info.st_mode), LM_IO, "%s: not a regular file", path);
    LM_RETURN_IF((uintmax_t)info.st_size > PTRDIFF_MAX, LM_IO, "%s: too large", path);
    if (info.st_size == 0) return LM_OK;
    void *map = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED) return fail_io(path, "map", errno);
    *data = map;
    *size = (size_t)info.st_size;
    return LM_OK;
}

lm_status lm_file_map(const char *path, void **data, size_t *size) {
    *data = NULL, *size = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return fail_io(path, "open", errno);
    lm_status status = map_regular(fd, path, data, size);
    close(fd);
    return status;
}

void lm_file_unmap(void *data, size_t size) {
    if (data) munmap(data, size);
}

/* ---- folders ----------------------------------------------------------------- */

bool lm_file_exists(const char *path) {
    return access(path, F_OK) == 0;
}

bool lm_is_folder(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

lm_status lm_make_folders(const char *path) {
    char *partial = lm_strdup(path);
    if (!partial) return LM_NOMEM;
    lm_status status = LM_OK;
    for (char *at = partial; status == LM_OK && *at;) {
        at += strspn(at, "/");
        at += strcspn(at, "/");
        char after = *at;
        *at = '\0';
        if (mkdir(partial, 0777) != 0 && !lm_is_folder(partial))
            status =
                lm_fail(LM_IO, "%s: cannot create folder: %s", partial, strerror(errno));
        *at = after;
    }
    lm_free(partial);
    return status;
}

int64_t lm_file_size(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 ? (int64_t)info.st_size : -1;
}

char *lm_path_join(const char *folder, const char *name) {
    size_t length = strlen(folder), size = length + strlen(name) + 2;
    char *path = lm_alloc(size);
    const char *slash = length && folder[length - 1] != '/' ? "/" : "";
    if (path) snprintf(path, size, "%s%s%s", folder, slash, name);
    return path;
}

const char *lm_path_base(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

bool lm_path_ends(const char *path, const char *end) {
    size_t length = strlen(path), tail = strlen(end);
    return length > tail && strcmp(path + length - tail, end) == 0;
}

bool lm_folder_has(const char *folder, const char *name) {
    char *path = lm_path_join(folder, name);
    bool there = path && lm_file_exists(path);
    lm_free(path);
    return there;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static lm_status add_name(char ***names, size_t *count, const char *name) {
    if ((*count & (*count - 1)) == 0) { /* a power of two: full */
        size_t capacity = *count ? *count * 2 : 1;
        char **grown = lm_realloc(*names, capacity * sizeof **names);
        if (!grown) return LM_NOMEM;
        *names = grown;
    }
    char *copy = lm_strdup(name);
    if (!copy) return LM_NOMEM;
    (*names)[(*count)++] = copy;
    return LM_OK;
}

lm_status lm_list_folder(const char *path, bool (*accept)(const char *name),
                         char ***names, size_t *count) {
    *names = NULL, *count = 0;
    DIR *folder = opendir(path);
    if (!folder) return fail_io(path, "list", errno);
    lm_status status = LM_OK;
    while (status == LM_OK) {
        errno = 0;
        struct dirent *entry = readdir(folder);
        if (!entry && errno) status = fail_io(path, "list", errno);
        if (!entry) break;
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) continue;
        if (!accept || accept(name)) status = add_name(names, count, name);
    }
    closedir(folder);
    if (status != LM_OK) {
        lm_names_free(*names, *count);
        *names = NULL, *count = 0;
        return status;
    }
    if (*count) qsort(*names, *count, sizeof **names, compare_names);
    return LM_OK;
}

void lm_names_free(char **names, size_t count) {
    for (size_t i = 0; i < count; i++) lm_free(names[i]);
    lm_free(names);
}

char *lm_folder_find(const char *path, const char *pattern) {
    DIR *folder = opendir(path);
    char *first = NULL;
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        const char *name = entry->d_name;
        if (fnmatch(pattern, name, FNM_PERIOD) != 0) continue;
        if (first && strcmp(name, first) > 0) continue;
        lm_free(first);
        first = lm_strdup(name);
        if (!first) break;
    }
    if (folder) closedir(folder);
    char *found = first ? lm_path_join(path, first) : NULL;
    lm_free(first);
    return found;
}

/* ---- writing ----------------------------------------------------------------- */

static lm_status fail_write(const char *path, int error) {
    return lm_fail(LM_IO, "%s: cannot write: %s", path, strerror(error));
}

static void free_writer(lm_writer *writer) {
    lm_free(writer->path);
    lm_free(writer->temporary);
    *writer = (lm_writer){0};
}

lm_status lm_writer_open(lm_writer *writer, const char *path) {
    *writer = (lm_writer){0};
    size_t size = strlen(path) + 32;
    writer->path = lm_strdup(path);
    writer->temporary = lm_alloc(size);
    if (!writer->path || !writer->temporary) {
        free_writer(writer);
        return LM_NOMEM;
    }
    snprintf(writer->temporary, size, "%s.tmp-%ld", path, (long)getpid());
    int fd = lm_is_folder(path) ? (errno = EISDIR, -1)
                                : open(writer->temporary,
                                       O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    writer->file = fd < 0 ? NULL : fdopen(fd, "wb");
    if (writer->file) return LM_OK;
    lm_status status = fail_write(path, errno);
    if (fd >= 0) close(fd), unlink(writer->temporary);
    free_writer(writer);
    return status;
}

void lm_writer_put(lm_writer *writer, const void *data, size_t size) {
    if (writer->error || !size) return;
    if (fwrite(data, 1, size, writer->file) != size) writer->error = errno ? errno : EIO;
}

/* Makes the rename survive a power cut. Best effort: the file itself is in place by now,
 * and some file systems refuse to sync a folder. */
static void sync_folder_of(char *path) {
    char *slash = strrchr(path, '/');
    if (slash) slash[slash == path] = '\0';
    int fd = open(slash ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    (void)fsync(fd);
    close(fd);
}

lm_status lm_writer_commit(lm_writer *writer) {
    int error = writer->error;
    if (!error && (fflush(writer->file) != 0 || fsync(fileno(writer->file)) != 0))
        error = errno;
    if (fclose(writer->file) != 0 && !error) error = errno;
    if (!error && rename(writer->temporary, writer->path) != 0) error = errno;
    lm_status status = LM_OK;
    if (error) {
        unlink(writer->temporary);
        status = fail_write(writer->path, error);
    } else {
        sync_folder_of(writer->path);
    }
    free_writer(writer);
    return status;
}

void lm_writer_cancel(lm_writer *writer) {
    if (!writer->file) return;
    fclose(writer->file);
    unlink(writer->temporary);
    free_writer(writer);
}

/* One write() where the system allows, so that lines of several processes do not mix; a
 * line that did not fit is taken back, so that the file keeps whole lines only. */
lm_status lm_file_append_line(const char *path, const char *line) {
    size_t length = strlen(line), done = 0;
    char *text = lm_alloc(length + 1);
    if (!text) return LM_NOMEM;
    memcpy(text, line, length);
    text[length++] = '\n';
    int error = 0, fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    off_t start = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
    if (fd < 0) error = errno;
    while (!error && done < length) {
        ssize_t put = write(fd, text + done, length - done);
        if (put >= 0)
            done += (size_t)put;
        else if (errno != EINTR)
            error = errno;
    }
    if (error && done && start >= 0) (void)!ftruncate(fd, start);
    if (fd >= 0 && close(fd) != 0 && !error) error = errno;
    lm_free(text);
    return error ? fail_write(path, error) : LM_OK;
}
