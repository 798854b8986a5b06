/* MNIST and the sets that are distributed like it: four IDX files with fixed names. */
#include "data/idx.h"

#include "base/file.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

/* Known by the name of their folder, as the files are called alike. */
static const struct {
    const char *folder;
    const char *const names[10];
} named_classes[] = {
    {"fashion-mnist",
     {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker",
      "Bag", "Ankle boot"}},
    {"kmnist", {"o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"}},
};

/* The spellings in use: "train-images-idx3-ubyte", with a dot, each also with ".gz". */
static lm_status find_file(const char *folder, lm_split split, bool images, char **path) {
    static const char *const forms[] = {"%s-%s-idx%d-ubyte.gz", "%s-%s-idx%d-ubyte",
                                        "%s-%s.idx%d-ubyte.gz", "%s-%s.idx%d-ubyte"};
    const char *start = split == LM_SPLIT_TRAIN ? "train" : "t10k";
    char name[64];
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, forms[i], start, images ? "images" : "labels",
                 images ? 3 : 1);
        if (!lm_folder_has(folder, name)) continue;
        *path = lm_path_join(folder, name);
        return *path ? LM_OK : LM_NOMEM;
    }
    snprintf(name, sizeof name, forms[0], start, images ? "images" : "labels",
             images ? 3 : 1);
    return lm_fail(LM_NOT_FOUND, "%s: no %s (or the same without .gz) in it", folder,
                   name);
}

/* The label file's name from the image file's: "images" -> "labels", "idx3" -> "idx1".
 * *path is NULL when the name has no such parts or the file does not exist. */
static lm_status find_labels(const char *images, char **path) {
    *path = lm_strdup(images);
    if (!*path) return LM_NOMEM;
    char *base = *path + (lm_path_base(images) - images);
    char *word = strstr(base, "images"), *digit = strstr(base, "idx3");
    if (word) memcpy(word, "labels", 6);
    if (digit) digit[3] = '1';
    if (word && lm_file_exists(*path)) return LM_OK;
    lm_free(*path);
    *path = NULL;
    return LM_OK;
}

static bool recognise(const char *path) {
    if (lm_is_folder(path)) {
        char *file = NULL;
        bool found = find_file(path, LM_SPLIT_TRAIN, true, &file) == LM_OK;
        if (!found) found = find_file(path, LM_SPLIT_TEST, true, &file) == LM_OK;
        lm_free(file);
        return found;
    }
    /* By content: a file that starts as an IDX file, or one that is named like one. */
    const char *name = lm_path_base(path);
    return strstr(name, "idx") || strstr(name, "ubyte") || lm_idx_begins(path);
}

/* Both paths are lm_free'd by the caller; *labels stays NULL where there is none. */
static lm_status find_pair(const lm_data_place *place, char **images, char **labels) {
    if (!lm_is_folder(place->path)) {
        *images = lm_strdup(place->path);
        if (!*images) return LM_NOMEM;
        return find_labels(place->path, labels);
    }
    if (place->split > LM_SPLIT_TEST) return lm_data_no_split(place, "IDX");
    LM_TRY(find_file(place->path, place->split, true, images));
    lm_status status = find_file(place->path, place->split, false, labels);
    return status == LM_NOT_FOUND && !place->known ? LM_OK : status;
}

static bool lies_in(const char *path, const char *folder) {
    size_t length = strlen(folder), at = (size_t)(lm_path_base(path) - path);
    if (at < length + 1) return false;
    const char *start = path + at - 1 - length;
    return memcmp(start, folder, length) == 0 && (start == path || start[-1] == '/');
}

static const char *const *find_classes(const char *images, int classes) {
    for (size_t i = 0; i < sizeof named_classes / sizeof *named_classes; i++)
        if (classes == 10 && lies_in(images, named_classes[i].folder))
            return named_classes[i].names;
    return NULL;
}

static lm_status load(const lm_data_place *place, const char *images, const char *labels,
                      lm_dataset **set) {
    lm_idx image_array = {0}, label_array = {0};
    lm_packed p = {.files = {images, labels}};
    uint64_t hash = 0;
    lm_status status = lm_idx_read(images, 3, &image_array);
    if (status == LM_OK && labels) status = lm_idx_read(labels, 1, &label_array);
    if (status == LM_OK) {
        hash = lm_idx_hash(&image_array, &label_array);
        status = lm_idx_pack(&image_array, &label_array, labels, 0, &p);
    }
    p.class_names = find_classes(images, p.classes);
    if (status == LM_OK) status = lm_packed_open(place, images, hash, &p, set);
    lm_packed_release(&p);
    lm_idx_release(&image_array);
    lm_idx_release(&label_array);
    return status;
}

static lm_status open_mnist(const lm_data_place *place, lm_dataset **set) {
    char *images = NULL, *labels = NULL;
    lm_status status = find_pair(place, &images, &labels);
    if (status == LM_OK) status = load(place, images, labels, set);
    lm_free(images);
    lm_free(labels);
    return status;
}

const lm_data_format lm_mnist_format = {"IDX images", recognise, open_mnist};
