/* NumPy arrays: a .npy of images with its labels in another beside it, a folder of such
 * files, or an .npz, which is a zip of them. */
#include "data/npy.h"
#include "data/packed.h"
#include "data/unpack.h"

#include "base/file.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

enum { MOST_SIDE = 32768, KEY = 48 };
/* What an .npz holds is unpacked into memory; larger arrays are mapped from an .npy. */
#define MOST_PACKED ((size_t)4 << 30)

/* ---- names ------------------------------------------------------------------- */

/* Under which names arrays of a split occur: first those of Keras, then MedMNIST's. The
 * last serve any split. */
static const struct {
    const char *images, *labels;
} keys[] = {
    {"x_%s", "y_%s"},    {"%s_images", "%s_labels"},
    {"%s", "%s_labels"}, {"images", "labels"},
    {"x", "y"},          {"data", "labels"},
    {"arr_0", "arr_1"},
};
static const char *const words[LM_N_SPLITS][2] = {
    [LM_SPLIT_TRAIN] = {"train"},         [LM_SPLIT_TEST] = {"test"},
    [LM_SPLIT_VALID] = {"valid", "val"},  [LM_SPLIT_EXTRA] = {"extra"},
    [LM_SPLIT_UNLABELED] = {"unlabeled"},
};

typedef struct name_pair {
    char images[KEY], labels[KEY];
} name_pair;

typedef bool (*has_key)(const char *user, const char *key);

/* The first of the usual names that is there. */
static bool choose(has_key has, const char *user, lm_split split, name_pair *pair) {
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
        for (int w = 0; w < 2 && words[split][w]; w++) {
            snprintf(pair->images, KEY, keys[k].images, words[split][w]);
            snprintf(pair->labels, KEY, keys[k].labels, words[split][w]);
            if (has(user, pair->images)) return true;
        }
    return false;
}

static bool choose_any(has_key has, const char *user, name_pair *pair) {
    for (int split = 0; split < LM_N_SPLITS; split++)
        if (choose(has, user, (lm_split)split, pair)) return true;
    return false;
}

/* FOLDER/KEY.npy; lm_free'd by the caller. */
static char *path_of_key(const char *folder, const char *key) {
    lm_str name = LM_STR_INIT;
    lm_str_printf(&name, "%s.npy", key);
    char *path = lm_str_text(&name) ? lm_path_join(folder, name.text) : NULL;
    lm_str_release(&name);
    return path;
}

static bool folder_has(const char *folder, const char *key) {
    char *path = path_of_key(folder, key);
    bool there = path && lm_file_exists(path);
    lm_free(path);
    return there;
}

static bool is_key(const char *stem, const char *key) {
    return strcmp(stem, key) == 0;
}

static bool recognise(const char *path) {
    name_pair pair;
    if (!lm_is_folder(path))
        return lm_path_ends(path, ".npy") || lm_path_ends(path, ".npz");
    if (choose_any(folder_has, path, &pair)) return true;
    char *npz = lm_folder_find(path, "*.npz");
    lm_free(npz);
    return npz != NULL;
}

/* ---- from arrays to a set ---------------------------------------------------- */

/* An array in memory that is mapped, or owned (of an .npz). */
typedef struct array {
    char *name; /* owned; NULL: there is none */
    lm_npy_map file;
    bool owned;
} array;

static void release_array(array *a) {
    if (a->owned) {
        lm_free(a->file.bytes);
        a->file = (lm_npy_map){0};
    }
    lm_npy_map_close(&a->file);
    lm_free(a->name);
}

static lm_status map_array(char *path, array *a) {
    *a = (array){.name = path};
    if (!path) return LM_NOMEM;
    return lm_npy_map_open(path, &a->file);
}

static bool has_colour(int64_t channels) {
    return channels == 1 || channels == 3;
}

/* (N,H,W), (N,H,W,C) or (N,C,H,W). */
static lm_status take_images(const array *a, lm_packed *p) {
    const lm_npy_view *view = &a->file.view;
    const int64_t *dim = view->shape.dim;
    char text[LM_SHAPE_TEXT];
    int rank = view->shape.rank;
    bool last = rank == 3 || (rank == 4 && has_colour(dim[3]));
    bool first = rank == 4 && !last && has_colour(dim[1]);
    LM_RETURN_IF(view->dtype != LM_U8, LM_FORMAT,
                 "%s: images are %s, expected u8 from 0 to 255", a->name,
                 lm_dtype_name(view->dtype));
    LM_RETURN_IF(!last && !first, LM_FORMAT,
                 "%s: images have shape %s, expected [N,H,W], or [N,H,W,C] or [N,C,H,W] "
                 "with C 1 or 3",
                 a->name, lm_shape_text(view->shape, text));
    const int64_t *side = dim + (first ? 2 : 1);
    for (int i = 0; i < 2; i++)
        LM_RETURN_IF(side[i] < 1 || side[i] > MOST_SIDE, LM_FORMAT,
                     "%s: images of %lld x %lld, expected sides of 1 to %d", a->name,
                     (long long)side[0], (long long)side[1], MOST_SIDE);
    LM_RETURN_IF(dim[0] < 1, LM_FORMAT, "%s: no images in it", a->name);
    p->count = dim[0];
    p->height = (int)side[0];
    p->width = (int)side[1];
    p->channels = rank == 3 ? 1 : (int)dim[first ? 1 : 3];
    p->pixels = view->data;
    if (first)
        lm_packed_planes(p);
    else
        lm_packed_interleaved(p);
    return LM_OK;
}

/* (N) or (N,1). */
static lm_status take_labels(const array *a, lm_packed *p) {
    const lm_npy_view *view = &a->file.view;
    char text[LM_SHAPE_TEXT];
    const lm_shape *shape = &view->shape;
    LM_RETURN_IF(shape->rank < 1 || shape->rank > 2 ||
                     (shape->rank == 2 && shape->dim[1] != 1),
                 LM_FORMAT, "%s: labels have shape %s, expected [N] or [N,1]", a->name,
                 lm_shape_text(*shape, text));
    return lm_packed_set_labels(p, a->name, view->dtype, view->data, shape->dim[0], 0);
}

/* Both arrays are released. */
static lm_status open_arrays(const lm_data_place *place, const char *source,
                             array *images, array *labels, lm_dataset **set) {
    lm_packed p = {0};
    lm_status status = take_images(images, &p);
    if (status == LM_OK && labels->name)
        status = take_labels(labels, &p);
    else if (status == LM_OK && place->known)
        status = lm_fail(LM_NOT_FOUND, "%s: no labels beside it", images->name);
    if (status == LM_OK) {
        if (images->owned)
            p.block = images->file.bytes;
        else {
            p.mapped = images->file.bytes, p.mapped_size = images->file.size;
            p.files[0] = images->name, p.files[1] = labels->name;
        }
        images->file.bytes = NULL;
        status = lm_packed_open(place, source, lm_packed_hash(&p), &p, set);
    }
    lm_packed_release(&p);
    release_array(images);
    release_array(labels);
    return status;
}

/* ---- .npy -------------------------------------------------------------------- */

/* Takes over both paths; `labels` may be NULL. */
static lm_status open_files(const lm_data_place *place, char *images, char *labels,
                            lm_dataset **set) {
    array a, b = {0};
    lm_status status = map_array(images, &a);
    if (status == LM_OK && labels) {
        status = map_array(labels, &b);
        labels = NULL;
    }
    if (status == LM_OK) return open_arrays(place, images, &a, &b, set);
    lm_free(labels);
    release_array(&a);
    release_array(&b);
    return status;
}

static lm_status open_folder(const lm_data_place *place, lm_dataset **set) {
    name_pair pair;
    if (!choose(folder_has, place->path, place->split, &pair))
        return lm_data_no_split(place, "arrays");
    char *labels = NULL;
    if (folder_has(place->path, pair.labels)) {
        labels = path_of_key(place->path, pair.labels);
        if (!labels) return LM_NOMEM;
    }
    return open_files(place, path_of_key(place->path, pair.images), labels, set);
}

/* NAME_labels.npy, or as the usual names say, or labels.npy; NULL in *path: none. */
static lm_status find_labels(const char *folder, const char *stem, char **path) {
    lm_str own = LM_STR_INIT;
    lm_str_printf(&own, "%s_labels", stem);
    if (!lm_str_text(&own)) return LM_NOMEM;
    name_pair pair;
    bool usual = choose_any(is_key, stem, &pair);
    const char *candidates[] = {own.text, usual ? pair.labels : "labels", "labels"};
    lm_status status = LM_OK;
    for (size_t i = 0; i < 3 && !*path && status == LM_OK; i++)
        if (strcmp(candidates[i], stem) != 0 && folder_has(folder, candidates[i])) {
            *path = path_of_key(folder, candidates[i]);
            if (!*path) status = LM_NOMEM;
        }
    lm_str_release(&own);
    return status;
}

static lm_status open_npy(const lm_data_place *place, lm_dataset **set) {
    const char *name = lm_path_base(place->path);
    char *folder = lm_strdup(place->path), *stem = lm_strdup(name);
    char *images = lm_strdup(place->path), *labels = NULL;
    lm_status status = LM_NOMEM;
    if (folder && stem && images) {
        folder[name - place->path] = '\0';
        stem[strlen(stem) - strlen(".npy")] = '\0';
        status = find_labels(*folder ? folder : ".", stem, &labels);
    }
    lm_free(folder);
    lm_free(stem);
    if (status == LM_OK) return open_files(place, images, labels, set);
    lm_free(images);
    return status;
}

/* ---- .npz -------------------------------------------------------------------- */

/* Notes the keys of an .npz, one a line. */
static bool note_key(void *user, const char *path) {
    lm_str *list = user;
    if (lm_path_ends(path, ".npy"))
        lm_str_printf(list, "\n%.*s\n", (int)(strlen(path) - strlen(".npy")), path);
    return false;
}

static bool list_has(const char *list, const char *key) {
    char line[KEY + 2];
    snprintf(line, sizeof line, "\n%s\n", key);
    return strstr(list, line) != NULL;
}

typedef struct unpacking {
    const char *archive;
    const name_pair *pair;
    array images, labels;
} unpacking;

static array *find_array(unpacking *u, const char *path) {
    char name[KEY + 4];
    snprintf(name, sizeof name, "%s.npy", u->pair->images);
    if (strcmp(path, name) == 0) return &u->images;
    snprintf(name, sizeof name, "%s.npy", u->pair->labels);
    return strcmp(path, name) == 0 ? &u->labels : NULL;
}

static bool wants_array(void *user, const char *path) {
    return find_array(user, path) != NULL;
}

static lm_status keep_array(void *user, const char *path, void **bytes, size_t size) {
    unpacking *u = user;
    array *a = find_array(u, path);
    lm_str name = LM_STR_INIT;
    release_array(a); /* an archive may hold a name twice */
    *a = (array){.owned = true};
    lm_str_printf(&name, "%s: %s", u->archive, path);
    if (!lm_str_text(&name)) return LM_NOMEM;
    a->name = name.text;
    a->file.bytes = *bytes;
    *bytes = NULL;
    return lm_npy_look(a->file.bytes, size, a->name, &a->file.view);
}

static lm_status open_npz(const lm_data_place *place, const char *path,
                          lm_dataset **set) {
    lm_str list = LM_STR_INIT;
    name_pair pair;
    lm_status status = lm_archive_read(path, MOST_PACKED, note_key, NULL, &list);
    const char *names = lm_str_text(&list);
    if (status == LM_OK && !names) status = LM_NOMEM;
    if (status == LM_OK && !choose(list_has, names, place->split, &pair))
        status = lm_data_no_split(place, "arrays");
    lm_str_release(&list);
    unpacking u = {.archive = path, .pair = &pair};
    if (status == LM_OK)
        status = lm_archive_read(path, MOST_PACKED, wants_array, keep_array, &u);
    if (status == LM_OK && !u.images.name) status = lm_data_no_split(place, "arrays");
    if (status == LM_OK) return open_arrays(place, path, &u.images, &u.labels, set);
    release_array(&u.images);
    release_array(&u.labels);
    return status;
}

static lm_status open_place(const lm_data_place *place, lm_dataset **set) {
    if (lm_path_ends(place->path, ".npz")) return open_npz(place, place->path, set);
    if (!lm_is_folder(place->path)) return open_npy(place, set);
    name_pair pair;
    char *npz = choose_any(folder_has, place->path, &pair)
                    ? NULL
                    : lm_folder_find(place->path, "*.npz");
    lm_status status = npz ? open_npz(place, npz, set) : open_folder(place, set);
    lm_free(npz);
    return status;
}

const lm_data_format lm_arrays_format = {"npy or npz arrays", recognise, open_place};
