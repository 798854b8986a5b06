/* Entries that are the files of a folder and of all folders in it. */
#include "data/entries_internal.h"

#include "base/mem.h"
#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEEPEST = 16 };

typedef struct walk {
    lm_entries *entries;
    struct {
        dev_t device;
        ino_t number;
    } above[DEEPEST]; /* the folders that we are in */
    int depth;
    lm_str path; /* of the folder that is read, ending in a slash unless empty */
} walk;

static lm_status walk_folder(walk *w, int parent, const char *name);

static bool is_above(const walk *w, const struct stat *info) {
    for (int i = 0; i < w->depth; i++)
        if (w->above[i].device == info->st_dev && w->above[i].number == info->st_ino)
            return true;
    return false;
}

/* A link that leads nowhere stays in the list: that it cannot be read is then said. */
static lm_status take_name(walk *w, int folder, const char *name) {
    struct stat info;
    size_t length = w->path.length;
    bool there = fstatat(folder, name, &info, 0) == 0;
    lm_status status = LM_OK;
    lm_str_append(&w->path, name);
    if (w->path.failed)
        status = LM_NOMEM;
    else if (there && S_ISDIR(info.st_mode))
        status = is_above(w, &info) ? LM_OK : walk_folder(w, folder, name);
    else if (!there || S_ISREG(info.st_mode))
        status = lm_entries_add(w->entries, w->path.text,
                                (lm_entry){.size = there ? (uint64_t)info.st_size : 0});
    if (w->path.text) w->path.text[w->path.length = length] = '\0';
    return status;
}

static lm_status read_names(walk *w, DIR *folder) {
    lm_status status = LM_OK;
    while (status == LM_OK) {
        errno = 0;
        const struct dirent *found = readdir(folder);
        LM_RETURN_IF(!found && errno, LM_IO, "%s: cannot list: %s", w->entries->path,
                     strerror(errno));
        if (!found) break;
        if (found->d_name[0] != '.') status = take_name(w, dirfd(folder), found->d_name);
    }
    return status;
}

static lm_status walk_folder(walk *w, int parent, const char *name) {
    struct stat info;
    const char *path = w->entries->path;
    LM_RETURN_IF(w->depth == DEEPEST, LM_FORMAT, "%s: %s: more than %d folders deep",
                 path, w->path.text, DEEPEST);
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    if (!folder || fstat(fd, &info) != 0) {
        lm_status status = lm_fail(LM_IO, "%s: %s: cannot list: %s", path,
                                   w->path.length ? w->path.text : name, strerror(errno));
        if (folder)
            closedir(folder);
        else if (fd >= 0)
            close(fd);
        return status;
    }
    w->above[w->depth].device = info.st_dev;
    w->above[w->depth++].number = info.st_ino;
    if (w->path.length) lm_str_append(&w->path, "/");
    lm_status status = w->path.failed ? LM_NOMEM : read_names(w, folder);
    w->depth--;
    closedir(folder);
    return status;
}

static lm_status list_folder(lm_entries *entries) {
    walk w = {.entries = entries, .path = LM_STR_INIT};
    lm_status status = walk_folder(&w, entries->fd, ".");
    lm_str_release(&w.path);
    return status;
}

static lm_status read_file(const lm_entries *entries, const lm_entry *entry, void *to,
                           size_t size) {
    int fd = openat(entries->fd, entry->name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return lm_entry_fail(entries, entry, errno == ENOENT ? LM_NOT_FOUND : LM_IO,
                             "cannot open: %s", strerror(errno));
    lm_status status = lm_read_at(fd, 0, to, size);
    close(fd);
    if (status != LM_OK) lm_fail_context(status, "%s: %s", entries->path, entry->name);
    return status;
}

const lm_entries_back lm_entries_folder = {list_folder, read_file};
