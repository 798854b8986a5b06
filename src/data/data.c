/* From a SPEC to a dataset. */
#include "data/data.h"
#include "data/data_internal.h"
#include "data/transform.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>

/* Sets that are found by name under the data folders: in IDX files, or CIFAR's. */
static const char *const named_sets[] = {"mnist",   "fashion-mnist", "kmnist",
                                         "cifar10", "cifar100",      NULL};
static const char *const all_names[] = {
    "builtin:digits", "mnist", "fashion-mnist", "kmnist", "cifar10", "cifar100", NULL};

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

void lm_dataset_free(lm_dataset *set) {
    if (!set) return;
    if (set->release) set->release(set);
    lm_free(set->name);
    lm_free(set->source);
    lm_free(set);
}

/* Splits a trailing ":train" or ":test" off; the name is lm_free'd by the caller. */
static lm_status split_spec(const char *spec, lm_split *split, char **name) {
    *name = lm_strdup(spec);
    if (!*name) return LM_NOMEM;
    char *colon = strrchr(*name, ':');
    if (colon && strcmp(colon, ":train") == 0)
        *split = LM_SPLIT_TRAIN;
    else if (colon && strcmp(colon, ":test") == 0)
        *split = LM_SPLIT_TEST;
    else
        colon = NULL;
    if (colon) *colon = '\0';
    return LM_OK;
}

/* Looks for folder/name in $LIMN_DATA, else in the XDG data folder's limn/. */
static lm_status find_named(const char *name, char **path) {
    const char *data = getenv("LIMN_DATA"), *xdg = getenv("XDG_DATA_HOME");
    const char *home = getenv("HOME");
    lm_str folder = LM_STR_INIT;
    if (data && *data)
        lm_str_append(&folder, data);
    else if (xdg && *xdg)
        lm_str_printf(&folder, "%s/limn", xdg);
    else
        lm_str_printf(&folder, "%s/.local/share/limn", home ? home : "");
    if (folder.failed) return LM_NOMEM;
    *path = lm_path_join(folder.text, name);
    lm_str_release(&folder);
    if (!*path) return LM_NOMEM;
    if (lm_is_folder(*path)) return LM_OK;
    lm_status status =
        lm_fail(LM_NOT_FOUND,
                "data set %s: no folder %s; put its original files there, or set "
                "LIMN_DATA to the folder that holds %s/",
                name, *path, name);
    lm_free(*path);
    *path = NULL;
    return status;
}

static bool is_named(const char *name) {
    for (int i = 0; named_sets[i]; i++)
        if (strcmp(name, named_sets[i]) == 0) return true;
    return false;
}

static lm_status open_named(const char *name, lm_split split, lm_dataset **set) {
    char *path;
    LM_TRY(find_named(name, &path));
    lm_status status = lm_cifar_recognise(path)
                           ? lm_cifar_open(name, path, split, set)
                           : lm_idx_open(name, path, split, true, set);
    lm_free(path);
    return status;
}

static lm_status unknown_spec(const char *name) {
    const char *nearest = lm_nearest(name, all_names);
    if (lm_file_exists(name))
        return lm_fail(LM_FORMAT,
                       "data %s: neither IDX images nor CIFAR's, nor a folder of either",
                       name);
    if (nearest)
        return lm_fail(LM_NOT_FOUND, "data %s: no such set or path; did you mean %s?",
                       name, nearest);
    return lm_fail(
        LM_NOT_FOUND,
        "data %s: no such set or path; expected builtin:digits, mnist, "
        "fashion-mnist, kmnist, cifar10, cifar100, an IDX file, a folder of IDX "
        "files, or CIFAR's archive or folder",
        name);
}

static lm_status open_plain(const char *spec, lm_split split, lm_dataset **set) {
    char *name;
    LM_TRY(split_spec(spec, &split, &name));
    lm_status status;
    if (strcmp(name, "builtin:digits") == 0)
        status = lm_digits_open(split, set);
    else if (is_named(name))
        status = open_named(name, split, set);
    else if (lm_idx_recognise(name))
        status = lm_idx_open(name, name, split, false, set);
    else if (lm_cifar_recognise(name))
        status = lm_cifar_open(name, name, split, set);
    else
        status = unknown_spec(name);
    lm_free(name);
    return status;
}

lm_status lm_dataset_open(const char *spec, lm_split split, lm_dataset **set) {
    *set = NULL;
    const char *options = lm_file_exists(spec) ? NULL : strrchr(spec, '?');
    if (!options) return open_plain(spec, split, set);
    lm_transform transform;
    LM_TRY(lm_transform_parse(options + 1, &transform));
    char *plain = lm_strdup(spec);
    if (!plain) return LM_NOMEM;
    plain[options - spec] = '\0';
    lm_status status = open_plain(plain, split, set);
    lm_free(plain);
    if (status != LM_OK) return status;
    return lm_dataset_transform(&transform, options + 1, set);
}
