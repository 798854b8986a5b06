/* An entry is a safetensors file named by the SHA-256 of its key. It has the key among
 * its metadata, so that a person can read what it is of, and a JSON value there, too.
 * Files come by rename and go by unlink, so processes need no lock: a reader has a whole
 * file, also when it is removed meanwhile. When an entry was last used is its file's
 * time. */
#include "eval/cache.h"

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "data/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ENDING ".safetensors"
#define KEY    "key"
#define VALUE  "value"

/* Of a process that was killed while writing; younger ones may still be written. */
#define ABANDONED_AFTER (24.0 * 3600)

static bool is_set(const char *text) {
    return text && text[0];
}

lm_status lm_cache_init(lm_cache *cache, const char *folder, int64_t limit) {
    const char *own = getenv("LIMN_CACHE"), *xdg = getenv("XDG_CACHE_HOME"),
               *home = getenv("HOME");
    *cache = (lm_cache){.limit = limit ? limit : LM_CACHE_LIMIT};
    lm_str path = LM_STR_INIT;
    if (folder || is_set(own))
        lm_str_append(&path, folder ? folder : own);
    else if (is_set(xdg))
        lm_str_printf(&path, "%s/limn/eval", xdg);
    else if (is_set(home))
        lm_str_printf(&path, "%s/.cache/limn/eval", home);
    else
        return LM_OK;
    if (path.failed) {
        lm_str_release(&path);
        return LM_NOMEM;
    }
    cache->folder = path.text; /* the string's own block, handed over */
    return LM_OK;
}

void lm_cache_release(lm_cache *cache) {
    lm_free(cache->folder);
    *cache = (lm_cache){0};
}

void lm_cache_key_add(lm_str *key, const char *name, const char *format, ...) {
    char value[512];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(value, sizeof value, format, args);
    va_end(args);
    /* A value that was cut could be that of two things. */
    if (length < 0 || (size_t)length >= sizeof value)
        key->failed = true;
    else
        lm_str_printf(key, "%s=%s\n", name, value);
}

/* FOLDER/SHA256.safetensors; lm_free'd by the caller. */
static char *path_of(const lm_cache *cache, const char *key) {
    char head[48], hex[LM_SHA256_HEX];
    int length = snprintf(head, sizeof head, "limn cache %d\n", LM_CACHE_FORMAT);
    lm_digest digest;
    lm_digest_init(&digest, LM_SHA256);
    lm_digest_add(&digest, head, (size_t)length);
    lm_digest_add(&digest, key, strlen(key));
    lm_digest_hex(&digest, hex);
    lm_str path = LM_STR_INIT;
    lm_str_printf(&path, "%s/%s%s", cache->folder, hex, ENDING);
    if (path.failed) lm_str_release(&path);
    return path.text;
}

static void warn(const char *what) {
    lm_log_line(LM_LOG_WARNING, "cache: %s: %s", what, lm_message());
}

/* ---- finding ----------------------------------------------------------------- */

static lm_status open_entry(const char *path, const char *key, lm_safetensors *file) {
    LM_TRY(lm_safetensors_open(file, path));
    const char *of = lm_safetensors_meta(file, KEY);
    if (of && strcmp(of, key) == 0) return LM_OK;
    lm_safetensors_release(file);
    return lm_fail(LM_MISMATCH, "%s: of another key", path);
}

bool lm_cache_find(const lm_cache *cache, const char *key, lm_safetensors *file) {
    char *path = cache->folder && key ? path_of(cache, key) : NULL;
    if (!path || !lm_file_exists(path)) {
        lm_free(path);
        return false;
    }
    lm_status status = open_entry(path, key, file);
    if (status == LM_OK)
        (void)utimensat(AT_FDCWD, path, NULL, 0); /* used now */
    else
        warn("not used");
    if (status == LM_FORMAT || status == LM_MISMATCH) unlink(path);
    lm_free(path);
    return status == LM_OK;
}

json_t *lm_cache_find_json(const lm_cache *cache, const char *key) {
    lm_safetensors file;
    if (!lm_cache_find(cache, key, &file)) return NULL;
    const char *text = lm_safetensors_meta(&file, VALUE);
    json_t *value = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
    lm_safetensors_release(&file);
    return value;
}

/* ---- making room ------------------------------------------------------------- */

typedef struct used_file {
    char *path; /* owned */
    int64_t bytes;
    struct timespec used;
} used_file;

static bool is_entry(const char *name) {
    size_t digits = LM_SHA256_HEX - 1;
    return strspn(name, "0123456789abcdef") == digits &&
           strcmp(name + digits, ENDING) == 0;
}

static bool is_temporary(const char *name) {
    size_t digits = LM_SHA256_HEX - 1;
    return strspn(name, "0123456789abcdef") == digits &&
           strncmp(name + digits, ENDING ".tmp-", strlen(ENDING ".tmp-")) == 0;
}

static int compare_use(const void *a, const void *b) {
    const struct timespec *x = &((const used_file *)a)->used;
    const struct timespec *y = &((const used_file *)b)->used;
    if (x->tv_sec != y->tv_sec) return (x->tv_sec > y->tv_sec) - (x->tv_sec < y->tv_sec);
    return (x->tv_nsec > y->tv_nsec) - (x->tv_nsec < y->tv_nsec);
}

/* What other processes remove meanwhile is left out. */
static lm_status list_files(const char *folder, bool (*accept)(const char *),
                            used_file **files, size_t *count) {
    char **names;
    size_t n;
    LM_TRY(lm_list_folder(folder, accept, &names, &n));
    *count = 0;
    *files = lm_calloc(n + 1, sizeof **files);
    lm_status status = *files ? LM_OK : LM_NOMEM;
    for (size_t i = 0; i < n && status == LM_OK; i++) {
        struct stat info;
        char *path = lm_path_join(folder, names[i]);
        if (!path)
            status = LM_NOMEM;
        else if (lstat(path, &info) == 0 && S_ISREG(info.st_mode))
            (*files)[(*count)++] = (used_file){path, info.st_size, info.st_mtim};
        else
            lm_free(path);
    }
    lm_names_free(names, n);
    return status;
}

static void free_files(used_file *files, size_t count) {
    for (size_t i = 0; files && i < count; i++) lm_free(files[i].path);
    lm_free(files);
}

static lm_status remove_abandoned(const char *folder) {
    used_file *files = NULL;
    size_t count = 0;
    lm_status status = list_files(folder, is_temporary, &files, &count);
    time_t now = time(NULL);
    for (size_t i = 0; i < count; i++)
        if (difftime(now, files[i].used.tv_sec) > ABANDONED_AFTER) unlink(files[i].path);
    free_files(files, count);
    return status;
}

static lm_status remove_oldest(const char *folder, int64_t limit) {
    used_file *files = NULL;
    size_t count = 0;
    lm_status status = list_files(folder, is_entry, &files, &count);
    int64_t held = 0;
    for (size_t i = 0; i < count; i++) held += files[i].bytes;
    if (status == LM_OK && held > limit) qsort(files, count, sizeof *files, compare_use);
    for (size_t i = 0; status == LM_OK && held > limit && i < count; i++) {
        held -= files[i].bytes;
        unlink(files[i].path);
    }
    free_files(files, count);
    return status;
}

/* ---- putting ----------------------------------------------------------------- */

static lm_status put(const lm_cache *cache, const char *key, const lm_st_entry *entries,
                     int count, const char *value) {
    const lm_st_meta meta[] = {{KEY, key}, {VALUE, value}};
    LM_TRY(lm_make_folders(cache->folder));
    LM_TRY(remove_abandoned(cache->folder));
    char *path = path_of(cache, key);
    if (!path) return LM_NOMEM;
    lm_status status = lm_safetensors_write(path, entries, count, meta, value ? 2 : 1);
    if (status == LM_OK) status = remove_oldest(cache->folder, cache->limit);
    lm_free(path);
    return status;
}

void lm_cache_put(const lm_cache *cache, const char *key, const lm_st_entry *entries,
                  int count) {
    if (!cache->folder || !key) return;
    if (put(cache, key, entries, count, NULL) != LM_OK) warn("not kept");
}

void lm_cache_put_json(const lm_cache *cache, const char *key, const json_t *value) {
    if (!cache->folder || !key) return;
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    lm_status status = text ? put(cache, key, NULL, 0, text) : lm_fail(LM_NOMEM, "JSON");
    if (status != LM_OK) warn("not kept");
    free(text); /* jansson's */
}
