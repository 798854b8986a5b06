#include "data/sources.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "data/digest.h"

#include <string.h>
#include <sys/stat.h>

enum { MOST_DEPTH = 64 };

typedef struct listing {
    lm_writer writer;
    lm_digest digest; /* of what was written */
    struct stat except;
    json_t *json; /* the first files */
    int64_t files, bytes;
    lm_sources_hook hook;
    void *user;
} listing;

static lm_status write_line(listing *list, const char *path, const char *hex) {
    lm_str line = LM_STR_INIT;
    lm_str_printf(&line, "%s  %s\n", hex, path);
    bool failed = line.failed;
    if (!failed) {
        lm_writer_put(&list->writer, line.text, line.length);
        lm_digest_add(&list->digest, line.text, line.length);
    }
    lm_str_release(&line);
    return failed ? LM_NOMEM : LM_OK;
}

static lm_status add_file(listing *list, const char *path, int64_t size) {
    char hex[LM_SHA256_HEX];
    LM_TRY(lm_sha256_file(path, hex));
    LM_TRY(write_line(list, path, hex));
    if (list->files++ < LM_SOURCES_LISTED)
        json_array_append_new(list->json,
                              json_pack("{s:o, s:I, s:s}", "file", lm_json_text(path),
                                        "bytes", (json_int_t)size, "sha256", hex));
    list->bytes += size;
    LM_RETURN_IF(list->hook && !list->hook(list->user, list->files, list->bytes),
                 LM_INTERRUPTED, "%s: interrupted", path);
    return LM_OK;
}

static bool is_visible(const char *name) {
    return name[0] != '.';
}

static bool is_same(const struct stat *a, const struct stat *b) {
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* What is neither file nor folder is left out. */
static lm_status add_path(listing *list, const char *path, int depth) {
    struct stat info;
    if (stat(path, &info) != 0) return LM_OK; /* a link to nothing */
    if (S_ISREG(info.st_mode)) return add_file(list, path, info.st_size);
    if (!S_ISDIR(info.st_mode) || is_same(&info, &list->except)) return LM_OK;
    LM_RETURN_IF(depth == MOST_DEPTH, LM_FORMAT, "%s: more than %d folders deep", path,
                 MOST_DEPTH);
    char **names;
    size_t count;
    LM_TRY(lm_list_folder(path, is_visible, &names, &count));
    lm_status status = LM_OK;
    for (size_t i = 0; i < count && status == LM_OK; i++) {
        char *inner = lm_path_join(path, names[i]);
        status = inner ? add_path(list, inner, depth + 1) : LM_NOMEM;
        lm_free(inner);
    }
    lm_names_free(names, count);
    return status;
}

static lm_status add_all(listing *list, const lm_dataset *set) {
    if (!set->n_files) return add_path(list, set->source, 0);
    for (size_t i = 0; i < set->n_files; i++) LM_TRY(add_path(list, set->files[i], 0));
    return LM_OK;
}

lm_status lm_sources_write(const lm_dataset *set, const char *except, const char *to,
                           lm_sources_hook hook, void *user, json_t **json) {
    listing list = {.json = json_array(), .hook = hook, .user = user};
    char hex[LM_SHA256_HEX];
    (void)stat(except, &list.except); /* zeros are no file */
    lm_digest_init(&list.digest, LM_SHA256);
    lm_status status = lm_writer_open(&list.writer, to);
    if (status == LM_OK) {
        status = add_all(&list, set);
        if (status == LM_OK)
            status = lm_writer_commit(&list.writer);
        else
            lm_writer_cancel(&list.writer);
    }
    lm_digest_hex(&list.digest, hex);
    if (status == LM_OK) {
        *json = json_pack("{s:o, s:I, s:I, s:s, s:O}", "path", lm_json_text(set->source),
                          "files", (json_int_t)list.files, "bytes",
                          (json_int_t)list.bytes, "sha256", hex, "list", list.json);
        if (!*json) status = lm_fail(LM_NOMEM, "%s: out of memory", to);
    }
    json_decref(list.json);
    return status;
}
