#include "data/entries.h"
#include "data/entries_internal.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_ENTRIES    (1 << 24)
#define MOST_FILE_BYTES ((uint64_t)1 << 30)

/* ---- kinds ------------------------------------------------------------------- */

static const struct {
    const char *magic; /* at the start of the file */
    const lm_entries_back *back;
} kinds[] = {
    {"PK\3\4", &lm_entries_zip},
    {"PK\5\6", &lm_entries_zip}, /* an empty one */
    {"\x1f\x8b", &lm_entries_packed},
    {"BZh", &lm_entries_packed},
    {"\xfd"
     "7zXZ",
     &lm_entries_packed},
    {"\x28\xb5\x2f\xfd", &lm_entries_packed},
};

static const lm_entries_back *find_kind(int fd) {
    uint8_t block[512] = {0};
    ssize_t got = pread(fd, block, sizeof block, 0);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (got > 0 && memcmp(block, kinds[i].magic, strlen(kinds[i].magic)) == 0)
            return kinds[i].back;
    return got == sizeof block && lm_is_tar_header(block) ? &lm_entries_tar : NULL;
}

/* Other files are compressed, too. */
static bool is_named_tar(const char *path) {
    static const char *const ends[] = {".tgz", ".tbz", ".tbz2", ".txz", ".tzst"};
    const char *name = lm_path_base(path), *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof ends / sizeof *ends; i++)
        if (strcasecmp(dot, ends[i]) == 0) return true;
    return strcasestr(name, ".tar.") != NULL;
}

bool lm_is_archive(const char *path) {
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return false;
    bool regular = fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
    const lm_entries_back *back = regular ? find_kind(fd) : NULL;
    close(fd);
    return back && (back != &lm_entries_packed || is_named_tar(path));
}

/* ---- helpers of the back ends ------------------------------------------------ */

lm_status lm_entry_fail(const lm_entries *entries, const lm_entry *entry,
                        lm_status status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    lm_vfail(status, format, args);
    va_end(args);
    return lm_fail_context(status, "%s: %s", entries->path, entry->name);
}

lm_status lm_read_at(int fd, uint64_t offset, void *to, size_t size) {
    for (size_t done = 0; done < size;) {
        ssize_t got = pread(fd, (char *)to + done, size - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR) continue;
        LM_RETURN_IF(got < 0, LM_IO, "cannot read: %s", strerror(errno));
        LM_RETURN_IF(got == 0, LM_FORMAT, "ends early");
        done += (size_t)got;
    }
    return LM_OK;
}

/* Leaves out empty parts, "." and ".."; NULL when a part is one to pass over. */
static const char *clean_name(const char *name, lm_str *clean) {
    lm_str_clear(clean);
    while (*name) {
        size_t length = strcspn(name, "/");
        bool dots = length <= 2 && strncmp(name, "..", length) == 0;
        if (!dots && (*name == '.' || strncmp(name, "__MACOSX/", 9) == 0)) return NULL;
        if (!dots)
            lm_str_printf(clean, "%s%.*s", clean->length ? "/" : "", (int)length, name);
        name += length + (name[length] == '/');
    }
    return lm_str_text(clean);
}

static lm_status append(lm_entries *e, const char *name, const lm_entry *entry) {
    LM_RETURN_IF(e->count == MOST_ENTRIES, LM_FORMAT, "%s: more than %d files", e->path,
                 MOST_ENTRIES);
    if (e->count == e->capacity) {
        int64_t capacity = e->capacity ? 2 * e->capacity : 64;
        lm_entry *grown = lm_realloc(e->entry, (size_t)capacity * sizeof *grown);
        if (!grown) return LM_NOMEM;
        e->entry = grown;
        e->capacity = capacity;
    }
    lm_entry *added = &e->entry[e->count];
    *added = *entry;
    added->order = (uint32_t)e->count;
    added->name = lm_arena_strdup(&e->names, name);
    if (!added->name) return LM_NOMEM;
    e->count++;
    return LM_OK;
}

lm_status lm_entries_add(lm_entries *entries, const char *name, lm_entry entry) {
    lm_str clean = LM_STR_INIT;
    const char *kept = clean_name(name, &clean);
    lm_status status = clean.failed ? LM_NOMEM : LM_OK;
    bool added = kept && *kept && entries->wants(kept);
    if (added) status = append(entries, kept, &entry);
    if (!added || status != LM_OK) lm_free(entry.bytes);
    lm_str_release(&clean);
    return status;
}

/* ---- the list ---------------------------------------------------------------- */

static int compare_entries(const void *a, const void *b) {
    const lm_entry *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : (x->order > y->order) - (x->order < y->order);
}

/* Sorts, and of equal names keeps the last. */
static void sort_entries(lm_entries *e) {
    if (e->count == 0) return;
    qsort(e->entry, (size_t)e->count, sizeof *e->entry, compare_entries);
    int64_t kept = 0;
    for (int64_t i = 0; i < e->count; i++) {
        if (i + 1 < e->count && strcmp(e->entry[i].name, e->entry[i + 1].name) == 0)
            lm_free(e->entry[i].bytes);
        else
            e->entry[kept++] = e->entry[i];
    }
    e->count = kept;
}

static lm_status begin(lm_entries *e, const char *path) {
    struct stat info;
    e->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    LM_RETURN_IF(e->fd < 0, errno == ENOENT ? LM_NOT_FOUND : LM_IO, "%s: cannot open: %s",
                 path, strerror(errno));
    LM_RETURN_IF(fstat(e->fd, &info) != 0, LM_IO, "%s: cannot read: %s", path,
                 strerror(errno));
    e->path = lm_strdup(path);
    if (!e->path) return LM_NOMEM;
    e->file_size = (uint64_t)info.st_size;
    e->back = S_ISDIR(info.st_mode)   ? &lm_entries_folder
              : S_ISREG(info.st_mode) ? find_kind(e->fd)
                                      : NULL;
    LM_RETURN_IF(!e->back, LM_FORMAT, "%s: expected a folder, a zip or a tar", path);
    return LM_OK;
}

lm_status lm_entries_open(const char *path, lm_entries_wants wants, size_t memory,
                          lm_entries **entries) {
    *entries = NULL;
    lm_entries *made = lm_calloc(1, sizeof *made);
    if (!made) return LM_NOMEM;
    made->wants = wants;
    made->memory = memory;
    lm_status status = begin(made, path);
    if (status == LM_OK) status = made->back->list(made);
    sort_entries(made);
    if (status == LM_OK)
        *entries = made;
    else
        lm_entries_free(made);
    return status;
}

void lm_entries_free(lm_entries *entries) {
    if (!entries) return;
    if (entries->fd >= 0) close(entries->fd);
    for (int64_t i = 0; i < entries->count; i++) lm_free(entries->entry[i].bytes);
    lm_free(entries->entry);
    lm_arena_release(&entries->names);
    lm_free(entries->path);
    lm_free(entries);
}

const char *lm_entries_path(const lm_entries *entries) {
    return entries->path;
}

int64_t lm_entries_count(const lm_entries *entries) {
    return entries->count;
}

const char *lm_entries_name(const lm_entries *entries, int64_t index) {
    return entries->entry[index].name;
}

uint64_t lm_entries_size(const lm_entries *entries, int64_t index) {
    return entries->entry[index].size;
}

static int compare_name(const void *name, const void *entry) {
    return strcmp(name, ((const lm_entry *)entry)->name);
}

int64_t lm_entries_find(const lm_entries *entries, const char *name) {
    if (entries->count == 0) return -1;
    const lm_entry *found = bsearch(name, entries->entry, (size_t)entries->count,
                                    sizeof *found, compare_name);
    return found ? found - entries->entry : -1;
}

/* ---- reading ----------------------------------------------------------------- */

lm_status lm_entries_peek(const lm_entries *entries, int64_t index, void *to,
                          size_t size) {
    return entries->back->read(entries, &entries->entry[index], to, size);
}

lm_status lm_entries_read(const lm_entries *entries, int64_t index, void **bytes,
                          size_t *size) {
    const lm_entry *entry = &entries->entry[index];
    *bytes = NULL;
    if (entry->size > MOST_FILE_BYTES)
        return lm_entry_fail(
            entries, entry, LM_FORMAT, "%llu bytes, expected at most %llu",
            (unsigned long long)entry->size, (unsigned long long)MOST_FILE_BYTES);
    char *read = lm_alloc((size_t)entry->size + 1);
    if (!read) return LM_NOMEM;
    read[entry->size] = '\0';
    lm_status status = entries->back->read(entries, entry, read, (size_t)entry->size);
    if (status != LM_OK) {
        lm_free(read);
        return status;
    }
    *bytes = read;
    *size = (size_t)entry->size;
    return LM_OK;
}
