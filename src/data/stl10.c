/* STL-10 (Coates, Lee, Ng 2011) in its binary version: images of 3 x 96 x 96 bytes
 * without a header, each plane column by column, and files of one byte a label, from 1
 * on. */
#include "data/packed.h"
#include "data/unpack.h"

#include "base/file.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

enum { EDGE = 96, PLANE = EDGE * EDGE, CLASSES = 10 };
/* What is read out of the archive is held in memory: enough for the labelled images. */
#define MOST_PACKED ((size_t)1 << 29)

static const char *const class_names[CLASSES] = {
    "airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"};

static const struct {
    const char *images, *labels; /* labels NULL: none */
} files[LM_N_SPLITS] = {
    [LM_SPLIT_TRAIN] = {"train_X.bin", "train_y.bin"},
    [LM_SPLIT_TEST] = {"test_X.bin", "test_y.bin"},
    [LM_SPLIT_UNLABELED] = {"unlabeled_X.bin", NULL},
};

/* ---- finding ----------------------------------------------------------------- */

static bool holds_any(const char *folder) {
    for (int s = 0; s < LM_N_SPLITS; s++)
        if (files[s].images &&
            (lm_folder_has(folder, files[s].images) ||
             (files[s].labels && lm_folder_has(folder, files[s].labels))))
            return true;
    return false;
}

/* The folder itself, or the one that unpacking makes in it; lm_free'd by the caller. */
static char *find_folder(const char *path) {
    if (holds_any(path)) return lm_strdup(path);
    char *inner = lm_path_join(path, "stl10_binary");
    if (inner && holds_any(inner)) return inner;
    lm_free(inner);
    return NULL;
}

static bool recognise(const char *path) {
    const char *name = lm_path_base(path);
    if (!lm_is_folder(path))
        return strncmp(name, "stl10", 5) == 0 && strstr(name, ".tar");
    char *found = find_folder(path);
    if (!found) found = lm_folder_find(path, "stl10*.tar*");
    lm_free(found);
    return found != NULL;
}

/* ---- reading ----------------------------------------------------------------- */

/* The two files of a split, mapped or owned. */
typedef struct split_files {
    lm_split split;
    bool mapped;
    void *images, *labels; /* NULL: not there */
    size_t images_size, labels_size;
    char *paths[2]; /* owned; NULL: not there, or within an archive */
} split_files;

static void release_files(split_files *f) {
    lm_free(f->paths[0]);
    lm_free(f->paths[1]);
    if (f->mapped) {
        lm_file_unmap(f->images, f->images_size);
        lm_file_unmap(f->labels, f->labels_size);
    } else {
        lm_free(f->images);
        lm_free(f->labels);
    }
}

static lm_status map_one(const char *folder, const char *name, char **path, void **bytes,
                         size_t *size) {
    if (!name || !lm_folder_has(folder, name)) return LM_OK;
    *path = lm_path_join(folder, name);
    return *path ? lm_file_map(*path, bytes, size) : LM_NOMEM;
}

static lm_status map_files(const char *folder, split_files *f) {
    f->mapped = true;
    LM_TRY(map_one(folder, files[f->split].images, &f->paths[0], &f->images,
                   &f->images_size));
    return map_one(folder, files[f->split].labels, &f->paths[1], &f->labels,
                   &f->labels_size);
}

static bool is_wanted(const char *wanted, const char *path) {
    return wanted && strcmp(lm_path_base(path), wanted) == 0;
}

static bool wants_file(void *user, const char *path) {
    const split_files *f = user;
    return is_wanted(files[f->split].images, path) ||
           is_wanted(files[f->split].labels, path);
}

static lm_status keep_file(void *user, const char *path, void **bytes, size_t size) {
    split_files *f = user;
    bool images = is_wanted(files[f->split].images, path);
    void **kept = images ? &f->images : &f->labels;
    lm_free(*kept); /* an archive may hold a name twice */
    *kept = *bytes;
    *(images ? &f->images_size : &f->labels_size) = size;
    *bytes = NULL;
    return LM_OK;
}

/* ---- the dataset ------------------------------------------------------------- */

static lm_status check_images(const char *source, const split_files *f) {
    const char *name = files[f->split].images;
    size_t record = 3 * PLANE;
    LM_RETURN_IF(!f->images && f->labels, LM_NOT_FOUND,
                 "%s: %s is there, but not the images, %s", source,
                 files[f->split].labels, name);
    LM_RETURN_IF(!f->images, LM_NOT_FOUND, "%s: no %s there", source, name);
    LM_RETURN_IF(f->images_size == 0 || f->images_size % record, LM_FORMAT,
                 "%s: %s has %zu bytes, expected a multiple of %zu", source, name,
                 f->images_size, record);
    return LM_OK;
}

static lm_status take_labels(const lm_data_place *place, const char *source,
                             const split_files *f, lm_packed *p) {
    const char *name = files[f->split].labels;
    if (!name) return LM_OK;
    LM_RETURN_IF(!f->labels && place->known, LM_NOT_FOUND, "%s: no %s there", source,
                 name);
    if (!f->labels) return LM_OK;
    p->classes = CLASSES;
    p->class_names = class_names;
    lm_status status =
        lm_packed_set_labels(p, name, LM_U8, f->labels, (int64_t)f->labels_size, 1);
    return status == LM_OK ? LM_OK : lm_fail_context(status, "%s", source);
}

/* Takes over what the files hold. */
static lm_status make_set(const lm_data_place *place, const char *source, split_files *f,
                          lm_dataset **set) {
    LM_TRY(check_images(source, f));
    lm_packed p = {.pixels = f->images,
                   .count = (int64_t)(f->images_size / (3 * PLANE)),
                   .height = EDGE,
                   .width = EDGE,
                   .channels = 3,
                   .step = 3 * PLANE,
                   .down = 1,
                   .right = EDGE,
                   .colour = PLANE,
                   .files = {f->paths[0], f->paths[1]}};
    lm_status status = take_labels(place, source, f, &p);
    if (status != LM_OK) return status;
    if (f->mapped)
        p.mapped = f->images, p.mapped_size = f->images_size;
    else
        p.block = f->images;
    f->images = NULL;
    return lm_packed_open(place, source, lm_packed_hash(&p), &p, set);
}

static lm_status open_stl10(const lm_data_place *place, lm_dataset **set) {
    const char *path = place->path;
    if (!files[place->split].images) return lm_data_no_split(place, "STL-10");
    bool is_folder = lm_is_folder(path);
    char *folder = is_folder ? find_folder(path) : NULL;
    char *source = folder      ? folder
                   : is_folder ? lm_folder_find(path, "stl10*.tar*")
                               : lm_strdup(path);
    if (!source) return LM_NOMEM;
    split_files f = {.split = place->split};
    lm_status status =
        folder ? map_files(folder, &f)
               : lm_archive_read(source, MOST_PACKED, wants_file, keep_file, &f);
    if (status == LM_OK) status = make_set(place, source, &f, set);
    release_files(&f);
    lm_free(source);
    return status;
}

const lm_data_format lm_stl10_format = {"STL-10's archive or binary files", recognise,
                                        open_stl10};
