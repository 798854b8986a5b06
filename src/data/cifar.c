/* CIFAR-10 and CIFAR-100 (Krizhevsky 2009) in their binary version: records of one label
 * (CIFAR-100: coarse, fine) and 3 x 32 x 32 bytes, colour planes one after the other. */
#include "data/data_internal.h"
#include "data/unpack.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

#include <stdio.h>
#include <string.h>

enum { EDGE = 32, PLANE = EDGE * EDGE, PIXELS = 3 * PLANE, MOST_FILES = 6 };
#define MOST_BYTES ((size_t)1 << 28)

typedef struct layout {
    const char *files[MOST_FILES]; /* of a split, in order; ended by NULL */
    int labels, classes;           /* bytes before the pixels; the last is the class */
} layout;

static const layout layouts[][2] = {
    [0] = {[LM_SPLIT_TRAIN] = {{"data_batch_1.bin", "data_batch_2.bin",
                                "data_batch_3.bin", "data_batch_4.bin",
                                "data_batch_5.bin"},
                               1,
                               10},
           [LM_SPLIT_TEST] = {{"test_batch.bin"}, 1, 10}},
    [1] = {[LM_SPLIT_TRAIN] = {{"train.bin"}, 2, 100},
           [LM_SPLIT_TEST] = {{"test.bin"}, 2, 100}}};

static const char *const folders[] = {"cifar-10-batches-bin", "cifar-100-binary", ""};
static const char *const archives[] = {"cifar-10*.tar.gz", "cifar-100*.tar.gz",
                                       "cifar-10*.tar", "cifar-100*.tar"};

/* The files of one split as they were read. */
typedef struct cifar_state {
    const layout *layout;
    uint8_t *bytes[MOST_FILES]; /* owned; NULL: not there */
    int64_t count[MOST_FILES];  /* records */
} cifar_state;

/* ---- finding ----------------------------------------------------------------- */

static const layout *find_layout(const char *folder, lm_split split) {
    for (int i = 0; i < 2; i++)
        for (int f = 0; layouts[i][split].files[f]; f++)
            if (lm_folder_has(folder, layouts[i][split].files[f]))
                return &layouts[i][split];
    return NULL;
}

/* The folder itself, or the one in it that unpacking makes; lm_free'd by the caller. */
static char *find_folder(const char *path) {
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        char *folder = *folders[i] ? lm_path_join(path, folders[i]) : lm_strdup(path);
        if (folder &&
            (find_layout(folder, LM_SPLIT_TRAIN) || find_layout(folder, LM_SPLIT_TEST)))
            return folder;
        lm_free(folder);
    }
    return NULL;
}

static char *find_archive(const char *path) {
    char *found = NULL;
    for (size_t i = 0; i < sizeof archives / sizeof *archives && !found; i++)
        found = lm_folder_find(path, archives[i]);
    return found;
}

static bool recognise(const char *path) {
    if (!lm_is_folder(path))
        return lm_file_exists(path) && strncmp(lm_path_base(path), "cifar-10", 8) == 0 &&
               strstr(lm_path_base(path), ".tar");
    char *found = find_folder(path);
    if (!found) found = find_archive(path);
    lm_free(found);
    return found != NULL;
}

/* ---- reading ----------------------------------------------------------------- */

static lm_status take_file(cifar_state *s, int file, const char *place, uint8_t **bytes,
                           size_t size) {
    size_t record = (size_t)s->layout->labels + PIXELS;
    LM_RETURN_IF(size == 0 || size % record, LM_FORMAT,
                 "%s: %s has %zu bytes, expected a multiple of %zu", place,
                 s->layout->files[file], size, record);
    for (size_t i = 0; i < size / record; i++) {
        int label = (*bytes)[i * record + (size_t)s->layout->labels - 1];
        LM_RETURN_IF(label >= s->layout->classes, LM_FORMAT,
                     "%s: %s: image %zu has label %d, expected 0 to %d", place,
                     s->layout->files[file], i, label, s->layout->classes - 1);
    }
    lm_free(s->bytes[file]); /* an archive may hold a name twice */
    s->bytes[file] = *bytes;
    s->count[file] = (int64_t)(size / record);
    *bytes = NULL;
    return LM_OK;
}

static lm_status read_folder(cifar_state *s, const char *folder, lm_split split) {
    s->layout = find_layout(folder, split);
    LM_RETURN_IF(!s->layout, LM_NOT_FOUND, "%s: no %s images of CIFAR there", folder,
                 split == LM_SPLIT_TRAIN ? "training" : "test");
    lm_status status = LM_OK;
    for (int f = 0; s->layout->files[f] && status == LM_OK; f++) {
        void *bytes = NULL;
        size_t size;
        char *path = lm_path_join(folder, s->layout->files[f]);
        if (!path) return LM_NOMEM;
        if (lm_file_exists(path)) {
            status = lm_file_read(path, MOST_BYTES, &bytes, &size);
            if (status == LM_OK)
                status = take_file(s, f, folder, (uint8_t **)&bytes, size);
        }
        lm_free(bytes);
        lm_free(path);
    }
    return status;
}

typedef struct unpacking {
    cifar_state *state;
    lm_split split;
    const char *archive;
} unpacking;

/* Which file of which layout a name is; the layout that came first stays. */
static int find_file(const unpacking *u, const char *path, const layout **found) {
    for (int i = 0; i < 2; i++) {
        const layout *l = &layouts[i][u->split];
        if (u->state->layout && u->state->layout != l) continue;
        for (int f = 0; l->files[f]; f++) {
            *found = l;
            if (strcmp(lm_path_base(path), l->files[f]) == 0) return f;
        }
    }
    return -1;
}

static bool wants_file(void *user, const char *path) {
    const layout *found;
    return find_file(user, path, &found) >= 0;
}

static lm_status keep_file(void *user, const char *path, void **bytes, size_t size) {
    unpacking *u = user;
    const layout *found = NULL;
    int file = find_file(u, path, &found);
    u->state->layout = found;
    return take_file(u->state, file, u->archive, (uint8_t **)bytes, size);
}

static lm_status read_archive(cifar_state *s, const char *path, lm_split split) {
    unpacking u = {s, split, path};
    LM_TRY(lm_archive_read(path, MOST_BYTES, wants_file, keep_file, &u));
    LM_RETURN_IF(!s->layout, LM_NOT_FOUND, "%s: no %s images of CIFAR in it", path,
                 split == LM_SPLIT_TRAIN ? "training" : "test");
    return LM_OK;
}

/* ---- the dataset ------------------------------------------------------------- */

static const uint8_t *find_record(const cifar_state *s, int64_t index) {
    int file = 0;
    for (; index >= s->count[file]; file++) index -= s->count[file];
    return s->bytes[file] + index * (s->layout->labels + PIXELS);
}

static lm_status get_label(const lm_dataset *set, int64_t index, int32_t *label) {
    const cifar_state *s = set->state;
    *label = find_record(s, index)[s->layout->labels - 1];
    return LM_OK;
}

static lm_status get_image(const lm_dataset *set, int64_t index, uint8_t *pixels,
                           int32_t *label) {
    const cifar_state *s = set->state;
    const uint8_t *record = find_record(s, index) + s->layout->labels;
    *label = record[-1];
    for (int i = 0; i < PLANE; i++)
        for (int c = 0; c < 3; c++) *pixels++ = record[c * PLANE + i];
    return LM_OK;
}

static void release_state(lm_dataset *set) {
    cifar_state *s = set->state;
    for (int f = 0; s && f < MOST_FILES; f++) lm_free(s->bytes[f]);
    lm_free(s);
}

static void describe(lm_dataset *set) {
    const cifar_state *s = set->state;
    set->height = set->width = EDGE;
    set->channels = 3;
    set->classes = s->layout->classes;
    set->hash = LM_HASH_SEED;
    set->get = get_image;
    set->label = get_label;
    for (int f = 0; f < MOST_FILES; f++) {
        size_t size = (size_t)s->count[f] * (size_t)(s->layout->labels + PIXELS);
        if (s->bytes[f]) set->hash = lm_hash_bytes(set->hash, s->bytes[f], size);
        set->count += s->count[f];
    }
}

static lm_status open_cifar(const lm_data_place *place, lm_dataset **set) {
    const char *path = place->path;
    if (place->split > LM_SPLIT_TEST) return lm_data_no_split(place, "CIFAR");
    char *folder = lm_is_folder(path) ? find_folder(path) : NULL;
    char *archive = folder               ? NULL
                    : lm_is_folder(path) ? find_archive(path)
                                         : lm_strdup(path);
    lm_dataset *made = NULL;
    lm_status status = LM_NOMEM;
    if (!folder && !archive) goto end;
    LM_TRY_GOTO(end, lm_dataset_new(place->name, folder ? folder : archive, &made));
    cifar_state *s = made->state = lm_calloc(1, sizeof *s);
    made->release = release_state;
    status = !s       ? LM_NOMEM
             : folder ? read_folder(s, folder, place->split)
                      : read_archive(s, archive, place->split);
    if (status == LM_OK) {
        describe(made);
        *set = made;
        made = NULL;
    }
    lm_dataset_free(made);
end:
    lm_free(folder);
    lm_free(archive);
    return status;
}

const lm_data_format lm_cifar_format = {"CIFAR's archive or binary files", recognise,
                                        open_cifar};
