/* CIFAR-10 and CIFAR-100 (Krizhevsky 2009), in their binary and in their Python version:
 * folders or archives of a few files, each of many images. */
#include "data/cifar.h"
#include "data/data_internal.h"
#include "data/unpack.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

#include <stdio.h>
#include <string.h>

enum { MOST_FILES = 6 };
#define MOST_BYTES ((size_t)1 << 28)

typedef struct layout {
    const char *folder;               /* that unpacking makes */
    const char *files[2][MOST_FILES]; /* of train and test, in order */
    int labels;                       /* bytes before the pixels; 0: a pickle */
    const char *key;                  /* of the labels in a pickle */
    int classes;
    const char *const *class_names;
} layout;

static const layout layouts[] = {
    {.folder = "cifar-10-batches-bin",
     .files = {{"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                "data_batch_4.bin", "data_batch_5.bin"},
               {"test_batch.bin"}},
     .labels = 1,
     .classes = 10,
     .class_names = lm_cifar10_names},
    {.folder = "cifar-100-binary",
     .files = {{"train.bin"}, {"test.bin"}},
     .labels = 2,
     .classes = 100,
     .class_names = lm_cifar100_names},
    {.folder = "cifar-10-batches-py",
     .files = {{"data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4",
                "data_batch_5"},
               {"test_batch"}},
     .key = "labels",
     .classes = 10,
     .class_names = lm_cifar10_names},
    {.folder = "cifar-100-python",
     .files = {{"train"}, {"test"}},
     .key = "fine_labels",
     .classes = 100,
     .class_names = lm_cifar100_names},
};
enum { N_LAYOUTS = sizeof layouts / sizeof *layouts };

static const char *const archives[] = {"cifar-10*.tar.gz", "cifar-100*.tar.gz",
                                       "cifar-10*.tar", "cifar-100*.tar"};

/* The files of one split as they were read. */
typedef struct cifar_state {
    const layout *layout;
    lm_split split;
    lm_cifar_batch batches[MOST_FILES]; /* no bytes: not there */
} cifar_state;

/* ---- finding ----------------------------------------------------------------- */

/* "train" and "test" are folders nearly everywhere else, so pickles show how they begin.
 */
static bool holds(const char *folder, const layout *l, const char *name) {
    if (l->labels) return lm_folder_has(folder, name);
    char *path = lm_path_join(folder, name);
    FILE *file = path && !lm_is_folder(path) ? fopen(path, "rb") : NULL;
    bool pickled = file && fgetc(file) == 0x80;
    if (file) fclose(file);
    lm_free(path);
    return pickled;
}

static const layout *find_layout(const char *folder, lm_split split) {
    for (int i = 0; i < N_LAYOUTS; i++)
        for (int f = 0; layouts[i].files[split][f]; f++)
            if (holds(folder, &layouts[i], layouts[i].files[split][f]))
                return &layouts[i];
    return NULL;
}

static bool holds_any(const char *folder) {
    return find_layout(folder, LM_SPLIT_TRAIN) || find_layout(folder, LM_SPLIT_TEST);
}

/* The folder itself, or the one in it that unpacking makes; lm_free'd by the caller. */
static char *find_folder(const char *path) {
    for (int i = 0; i < N_LAYOUTS; i++) {
        char *folder = lm_path_join(path, layouts[i].folder);
        if (folder && holds_any(folder)) return folder;
        lm_free(folder);
    }
    return holds_any(path) ? lm_strdup(path) : NULL;
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

/* Takes over the bytes of a file. */
static lm_status take_file(cifar_state *s, int file, const char *place, void **bytes,
                           size_t size) {
    const layout *l = s->layout;
    lm_cifar_batch *batch = &s->batches[file];
    lm_str name = LM_STR_INIT;
    lm_cifar_release(batch); /* an archive may hold a name twice */
    batch->bytes = *bytes;
    batch->size = size;
    *bytes = NULL;
    lm_str_printf(&name, "%s: %s", place, l->files[s->split][file]);
    lm_status status = !lm_str_text(&name) ? LM_NOMEM
                       : l->labels
                           ? lm_cifar_read_binary(batch, name.text, l->labels, l->classes)
                           : lm_cifar_read_python(batch, name.text, l->key, l->classes);
    lm_str_release(&name);
    return status;
}

static lm_status read_file(cifar_state *s, int file, const char *folder,
                           lm_dataset *set) {
    void *bytes = NULL;
    size_t size;
    char *path = lm_path_join(folder, s->layout->files[s->split][file]);
    if (!path) return LM_NOMEM;
    lm_status status = LM_OK;
    if (lm_file_exists(path)) {
        status = lm_file_read(path, MOST_BYTES, &bytes, &size);
        if (status == LM_OK) status = lm_dataset_add_file(set, path);
        if (status == LM_OK) status = take_file(s, file, folder, &bytes, size);
    }
    lm_free(bytes);
    lm_free(path);
    return status;
}

static lm_status read_folder(cifar_state *s, const lm_data_place *place,
                             const char *folder, lm_dataset *set) {
    s->layout = find_layout(folder, s->split);
    if (!s->layout) return lm_data_no_split(place, "CIFAR");
    for (int f = 0; s->layout->files[s->split][f]; f++)
        LM_TRY(read_file(s, f, folder, set));
    return LM_OK;
}

typedef struct unpacking {
    cifar_state *state;
    const char *archive;
} unpacking;

/* Which file of which layout a name is; the layout that came first stays. */
static int find_file(const unpacking *u, const char *path, const layout **found) {
    const cifar_state *s = u->state;
    for (int i = 0; i < N_LAYOUTS; i++) {
        if (s->layout && s->layout != &layouts[i]) continue;
        for (int f = 0; layouts[i].files[s->split][f]; f++) {
            *found = &layouts[i];
            if (strcmp(lm_path_base(path), layouts[i].files[s->split][f]) == 0) return f;
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
    return take_file(u->state, file, u->archive, bytes, size);
}

static lm_status read_archive(cifar_state *s, const lm_data_place *place,
                              const char *path) {
    unpacking u = {s, path};
    LM_TRY(lm_archive_read(path, MOST_BYTES, wants_file, keep_file, &u));
    return s->layout ? LM_OK : lm_data_no_split(place, "CIFAR");
}

/* ---- the dataset ------------------------------------------------------------- */

static const lm_cifar_batch *find_batch(const cifar_state *s, int64_t *index) {
    int file = 0;
    for (; *index >= s->batches[file].count; file++) *index -= s->batches[file].count;
    return &s->batches[file];
}

static lm_status get_label(const lm_dataset *set, int64_t index, int32_t *label) {
    LM_RETURN_IF(index < 0 || index >= set->count, LM_ARG, "%s: no image %lld of %lld",
                 set->name, (long long)index, (long long)set->count);
    const lm_cifar_batch *batch = find_batch(set->state, &index);
    *label = batch->labels[index];
    return LM_OK;
}

static lm_status get_image(const lm_dataset *set, int64_t index, uint8_t *pixels,
                           int32_t *label) {
    LM_TRY(get_label(set, index, label));
    const lm_cifar_batch *batch = find_batch(set->state, &index);
    const uint8_t *from = batch->pixels + (size_t)index * batch->step;
    for (size_t i = 0; i < LM_CIFAR_PLANE; i++)
        for (size_t c = 0; c < 3; c++)
            *pixels++ = from[(c * LM_CIFAR_PLANE + i) * batch->next];
    return LM_OK;
}

static void release_state(lm_dataset *set) {
    cifar_state *s = set->state;
    for (int f = 0; s && f < MOST_FILES; f++) lm_cifar_release(&s->batches[f]);
    lm_free(s);
}

static void describe(lm_dataset *set) {
    const cifar_state *s = set->state;
    set->height = set->width = LM_CIFAR_EDGE;
    set->channels = 3;
    set->classes = s->layout->classes;
    set->class_names = s->layout->class_names;
    set->hash = LM_HASH_SEED;
    set->get = get_image;
    set->label = get_label;
    for (int f = 0; f < MOST_FILES; f++) {
        const lm_cifar_batch *batch = &s->batches[f];
        if (batch->bytes) set->hash = lm_hash_bytes(set->hash, batch->bytes, batch->size);
        set->count += batch->count;
    }
}

static lm_status open_from(const lm_data_place *place, const char *folder,
                           const char *archive, lm_dataset **set) {
    lm_dataset *made = NULL;
    LM_TRY(lm_dataset_new(place->name, folder ? folder : archive, &made));
    cifar_state *s = made->state = lm_calloc(1, sizeof *s);
    made->release = release_state;
    lm_status status = s ? LM_OK : LM_NOMEM;
    if (status == LM_OK) {
        s->split = place->split;
        status = folder ? read_folder(s, place, folder, made)
                        : read_archive(s, place, archive);
    }
    if (status != LM_OK) {
        lm_dataset_free(made);
        return status;
    }
    describe(made);
    *set = made;
    return LM_OK;
}

static lm_status open_cifar(const lm_data_place *place, lm_dataset **set) {
    const char *path = place->path;
    if (place->split > LM_SPLIT_TEST) return lm_data_no_split(place, "CIFAR");
    bool is_folder = lm_is_folder(path);
    char *folder = is_folder ? find_folder(path) : NULL;
    char *archive = folder ? NULL : is_folder ? find_archive(path) : lm_strdup(path);
    lm_status status =
        folder || archive ? open_from(place, folder, archive, set) : LM_NOMEM;
    lm_free(folder);
    lm_free(archive);
    return status;
}

const lm_data_format lm_cifar_format = {"CIFAR's archive, binary or Python files",
                                        recognise, open_cifar};
