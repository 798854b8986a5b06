/* From a SPEC to a dataset. */
#include "data/data.h"
#include "data/builtin.h"
#include "data/data_internal.h"
#include "data/known.h"
#include "data/transform.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In the order in which they are asked; the last takes nearly everything. */
/* clang-format off */
static const lm_data_format *const formats[] = {
    &lm_prepared_format,
    &lm_cifar_format,
    &lm_stl10_format,
    &lm_svhn_format,
    &lm_usps_format,
    &lm_mnist_m_format,
    &lm_lsun_format,
    &lm_emnist_format,
    &lm_mnist_format,
    &lm_arrays_format,
    &lm_celeba_format,
    &lm_image_folder_format, /* any folder or archive: the last */
};
/* clang-format on */

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const char *const split_names[LM_N_SPLITS] = {
    [LM_SPLIT_TRAIN] = "train",         [LM_SPLIT_TEST] = "test",
    [LM_SPLIT_VALID] = "valid",         [LM_SPLIT_EXTRA] = "extra",
    [LM_SPLIT_UNLABELED] = "unlabeled",
};

const char *lm_split_name(lm_split split) {
    return split_names[split];
}

lm_status lm_dataset_new(const char *name, const char *source, lm_dataset **set) {
    lm_dataset *made = lm_calloc(1, sizeof *made);
    if (!made) return LM_NOMEM;
    made->name = lm_strdup(name);
    made->source = lm_strdup(source);
    if (!made->name || !made->source) {
        lm_dataset_free(made);
        return LM_NOMEM;
    }
    *set = made;
    return LM_OK;
}

lm_status lm_dataset_add_file(lm_dataset *set, const char *path) {
    char **grown = lm_realloc(set->files, (set->n_files + 1) * sizeof *grown);
    if (!grown) return LM_NOMEM;
    set->files = grown;
    grown[set->n_files] = lm_strdup(path);
    if (!grown[set->n_files]) return LM_NOMEM;
    set->n_files++;
    return LM_OK;
}

void lm_dataset_take_files(lm_dataset *set, lm_dataset *inner) {
    set->split = inner->split;
    set->files = inner->files;
    set->n_files = inner->n_files;
    inner->files = NULL;
    inner->n_files = 0;
}

void lm_dataset_free(lm_dataset *set) {
    if (!set) return;
    if (set->release) set->release(set);
    lm_names_free(set->files, set->n_files);
    lm_free(set->name);
    lm_free(set->source);
    lm_free(set);
}

/* ---- images ------------------------------------------------------------------ */

lm_status lm_dataset_read(const lm_dataset *set, int64_t index, lm_image *image,
                          int32_t *label) {
    if (set->read) return set->read(set, index, image, label);
    LM_TRY(lm_image_init(image, set->width, set->height, set->channels));
    lm_status status = set->get(set, index, image->pixels, label);
    if (status != LM_OK) lm_image_release(image);
    return status;
}

lm_status lm_dataset_label(const lm_dataset *set, int64_t index, int32_t *label) {
    if (set->label) return set->label(set, index, label);
    lm_image image = {0};
    LM_TRY(lm_dataset_read(set, index, &image, label));
    lm_image_release(&image);
    return LM_OK;
}

void lm_dataset_item(const lm_dataset *set, int64_t index, lm_str *name) {
    lm_str_printf(name, "%s: ", set->name);
    if (set->item)
        set->item(set, index, name);
    else
        lm_str_printf(name, "image %lld", (long long)index);
}

lm_status lm_dataset_fail(const lm_dataset *set, int64_t index, lm_status status) {
    lm_str item = LM_STR_INIT;
    lm_dataset_item(set, index, &item);
    lm_fail_context(status, "%s", item.length && !item.failed ? item.text : set->name);
    lm_str_release(&item);
    return status;
}

/* ---- finding ----------------------------------------------------------------- */

lm_status lm_data_no_split(const lm_data_place *place, const char *what) {
    return lm_fail(LM_NOT_FOUND, "%s: no %s images of %s there", place->path,
                   split_names[place->split], what);
}

/* Takes ":train" or another split off the name's end; false: it names none. */
static bool split_spec(char *name, lm_split *split) {
    char *colon = strrchr(name, ':');
    for (int i = 0; colon && i < LM_N_SPLITS; i++)
        if (strcmp(colon + 1, split_names[i]) == 0) {
            *split = (lm_split)i;
            *colon = '\0';
            return true;
        }
    return false;
}

/* lm_free'd by the caller. */
static lm_status find_named(const lm_known_set *known, char **path) {
    char *folder;
    LM_TRY(lm_data_folder(&folder));
    *path = lm_path_join(folder, known->name);
    lm_free(folder);
    if (!*path) return LM_NOMEM;
    if (lm_is_folder(*path)) return LM_OK;
    lm_status status =
        lm_fail(LM_NOT_FOUND,
                "data set %s: no folder %s; 'limn data fetch %s' makes it, or put the "
                "original files there, or set LIMN_DATA to the folder that holds %s/",
                known->name, *path, known->name, known->name);
    lm_free(*path);
    *path = NULL;
    return status;
}

const lm_data_format *lm_data_find_format(const char *path) {
    for (size_t i = 0; i < COUNT(formats); i++)
        if (formats[i]->recognise(path)) return formats[i];
    return NULL;
}

static lm_status open_place(const lm_data_place *place, lm_dataset **set) {
    const lm_data_format *format = lm_data_find_format(place->path);
    if (format) return format->open(place, set);
    lm_str known = LM_STR_INIT;
    for (size_t i = 0; i < COUNT(formats); i++)
        lm_str_printf(&known, "%s%s", i ? ", " : "", formats[i]->what);
    lm_status status = lm_fail(LM_FORMAT, "data %s: none of what limn reads: %s",
                               place->path, lm_str_text(&known) ? known.text : "");
    lm_str_release(&known);
    return status;
}

static lm_status open_named(const lm_known_set *known, lm_data_place place,
                            lm_dataset **set) {
    char *path;
    LM_TRY(find_named(known, &path));
    place.path = path;
    place.known = true;
    lm_status status = open_place(&place, set);
    lm_free(path);
    return status;
}

static lm_status unknown_spec(const char *name) {
    enum { MOST = 64 };
    const char *names[MOST + 1] = {0};
    int count = 0;
    lm_str list = LM_STR_INIT;
    for (int i = 0; lm_builtin_sets[i] && count < MOST; i++)
        names[count++] = lm_builtin_sets[i]->name;
    for (const lm_known_set *known = lm_known_sets; known->name && count < MOST; known++)
        names[count++] = known->name;
    for (int i = 0; names[i]; i++) lm_str_printf(&list, "%s, ", names[i]);
    const char *nearest = lm_nearest(name, names);
    lm_status status =
        nearest
            ? lm_fail(LM_NOT_FOUND, "data %s: no such set or path; did you mean %s?",
                      name, nearest)
            : lm_fail(LM_NOT_FOUND,
                      "data %s: no such set or path; expected %sor the path of a file or "
                      "folder",
                      name, lm_str_text(&list) ? list.text : "");
    lm_str_release(&list);
    return status;
}

/* The edge at which a built-in set had best be drawn, 0: its own. */
static int wanted_side(const lm_transform *transform) {
    return transform->crop_height ? 0 : transform->size;
}

/* A SPEC without split and options, which are asked for what is needed to open. */
static lm_status open_plain(const char *name, lm_split split,
                            const lm_transform *transform, lm_dataset **set) {
    const lm_builtin *builtin = lm_builtin_find(name);
    if (builtin) return lm_builtin_open(builtin, split, wanted_side(transform), set);
    lm_data_place place = {
        .name = name, .path = name, .split = split, .background = transform->background};
    const lm_known_set *known = lm_known_find_part(name, &place.part);
    if (known) return open_named(known, place, set);
    if (lm_file_exists(name)) return open_place(&place, set);
    return unknown_spec(name);
}

void lm_spec_add(lm_str *spec, const char *format, ...) {
    char option[128];
    const char *text = lm_str_text(spec);
    va_list args;
    va_start(args, format);
    vsnprintf(option, sizeof option, format, args);
    va_end(args);
    lm_str_printf(spec, "%c%s", text && strchr(text, '?') ? '&' : '?', option);
}

lm_status lm_dataset_open_any(const char *spec, lm_split split, lm_dataset **set) {
    *set = NULL;
    lm_transform transform = lm_transform_default();
    const char *options = lm_file_exists(spec) ? NULL : strrchr(spec, '?');
    if (options) LM_TRY(lm_transform_parse(options + 1, &transform));
    char *plain = lm_strdup(spec);
    if (!plain) return LM_NOMEM;
    if (options) plain[options - spec] = '\0';
    bool named = split_spec(plain, &split);
    if (!named && split != LM_SPLIT_TRAIN) transform.augment = (lm_augment){0};
    lm_status status = open_plain(plain, split, &transform, set);
    lm_free(plain);
    if (status == LM_OK) (*set)->split = split;
    if (status != LM_OK || !options) return status;
    return lm_dataset_transform(&transform, options + 1, set);
}

lm_status lm_dataset_open(const char *spec, lm_split split, lm_dataset **set) {
    LM_TRY(lm_dataset_open_any(spec, split, set));
    if ((*set)->get) return LM_OK;
    lm_dataset_free(*set);
    *set = NULL;
    return lm_fail(LM_FORMAT,
                   "data %s: images differ in size; say one, as in '%s%csize=64'", spec,
                   spec, strchr(spec, '?') ? '&' : '?');
}
