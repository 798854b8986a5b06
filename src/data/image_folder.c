/* Any folder, zip or tar of pictures. Subfolders may say splits and classes
 * (image_tree.h), label files the labels (image_labels.h). */
#include "data/image_labels.h"
#include "data/images.h"
#include "data/label_file.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

#include <string.h>

static bool is_wanted(const char *name) {
    return lm_is_picture_name(name) || lm_is_label_file(name);
}

/* ---- finding ----------------------------------------------------------------- */

/* FFHQ as distributed has the same faces in several sizes. */
static const char *const larger_first[] = {"images1024x1024", "thumbnails128x128"};

/* The archive in a folder that holds nothing else of use; NULL: not exactly one. */
static char *find_only_archive(const char *folder) {
    char **names, *found = NULL;
    size_t count, n = 0;
    if (lm_list_folder(folder, NULL, &names, &count) != LM_OK) return NULL;
    for (size_t i = 0; i < count; i++) {
        char *path = lm_path_join(folder, names[i]);
        if (path && lm_is_archive(path) && n++ == 0)
            found = path;
        else
            lm_free(path);
    }
    lm_names_free(names, count);
    if (n == 1) return found;
    lm_free(found);
    return NULL;
}

static char *find_source(const char *path) {
    for (size_t i = 0; i < sizeof larger_first / sizeof *larger_first; i++)
        if (lm_folder_has(path, larger_first[i]))
            return lm_path_join(path, larger_first[i]);
    return lm_strdup(path);
}

static bool recognise(const char *path) {
    return lm_is_folder(path) || lm_is_archive(path);
}

/* ---- opening ----------------------------------------------------------------- */

static lm_status fail_split(const lm_data_place *place, const lm_image_tree *tree) {
    lm_str there = LM_STR_INIT;
    for (int i = 0; i < LM_N_SPLITS; i++)
        if (tree->has[i])
            lm_str_printf(&there, "%s%s", there.length ? ", " : "",
                          lm_split_name((lm_split)i));
    lm_status status = lm_fail(LM_NOT_FOUND, "%s: no %s images there; its folders are %s",
                               place->path, lm_split_name(place->split),
                               there.length ? there.text : "not those of splits");
    lm_str_release(&there);
    return status;
}

/* Labels of the chosen images; some without one beside others with one are an error. */
static lm_status take_labels(lm_dataset *set, const lm_image_tree *tree, lm_split split,
                             const lm_image_labels *labels) {
    lm_images *s = set->state;
    int64_t missing = 0, first = -1, kept = 0;
    if (labels->classes == 0) return LM_OK;
    s->label = lm_alloc((size_t)set->count * sizeof *s->label);
    if (!s->label) return LM_NOMEM;
    for (int64_t i = 0; i < tree->count; i++) {
        if (tree->image[i].split != split) continue;
        s->label[kept] = labels->label[i];
        if (s->label[kept] < 0 && missing++ == 0) first = kept;
        kept++;
    }
    if (missing == set->count) {
        lm_free(s->label);
        s->label = NULL;
        return LM_OK;
    }
    LM_RETURN_IF(missing > 0, LM_FORMAT,
                 "%s: %lld of %lld images have no label; the first is %s",
                 lm_entries_path(s->entries), (long long)missing, (long long)set->count,
                 lm_entries_name(s->entries, s->entry[first]));
    set->classes = labels->classes;
    return LM_OK;
}

static lm_status fill(const lm_data_place *place, const lm_image_tree *tree,
                      lm_dataset *set) {
    lm_images *s = set->state;
    lm_image_labels labels = {0};
    LM_TRY(lm_images_choose(set, tree, place->split));
    if (set->count == 0) return fail_split(place, tree);
    lm_status status = lm_image_labels_find(s->entries, tree, &s->arena, &labels);
    if (status == LM_OK) status = take_labels(set, tree, place->split, &labels);
    if (status == LM_OK && set->classes) {
        s->class_names = labels.class_names;
        labels.class_names = NULL;
    }
    lm_image_labels_release(&labels);
    return status == LM_OK ? lm_images_finish(set) : status;
}

/* *found tells whether there are pictures at all. */
static lm_status open_source(const lm_data_place *place, const char *path, bool *found,
                             lm_dataset **set) {
    lm_dataset *made;
    lm_image_tree tree;
    LM_TRY(lm_images_new(place, path, is_wanted, &made));
    lm_images *s = made->state;
    lm_status status = lm_image_tree_make(s->entries, &s->arena, &tree);
    *found = status == LM_OK && tree.count > 0;
    if (*found)
        status = fill(place, &tree, made);
    else if (status == LM_OK)
        status = lm_fail(LM_FORMAT,
                         "%s: no images there; limn reads PNG, JPEG, WebP, BMP and PNM, "
                         "and known sets by their files' original names",
                         path);
    lm_image_tree_release(&tree);
    if (status == LM_OK)
        *set = made;
    else
        lm_dataset_free(made);
    return status;
}

static lm_status open_folder(const lm_data_place *place, lm_dataset **set) {
    bool found = false;
    char *path = find_source(place->path);
    if (!path) return LM_NOMEM;
    lm_status status = open_source(place, path, &found, set);
    char *archive = status == LM_FORMAT && !found && lm_is_folder(path)
                        ? find_only_archive(path)
                        : NULL;
    if (archive) status = open_source(place, archive, &found, set);
    lm_free(archive);
    lm_free(path);
    return status;
}

const lm_data_format lm_image_folder_format = {"folders, zips and tars of images",
                                               recognise, open_folder};
