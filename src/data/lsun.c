/* LSUN (Yu et al. 2015): an LMDB environment a category and split, in a folder
 * CATEGORY_SPLIT_lmdb, of encoded images under keys that are digests. A folder of several
 * categories is a set with a class each. Images are decoded when they are asked for; what
 * is held is 24 bytes an image. */
#include "data/data_internal.h"
#include "data/lmdb_read.h"

#include "base/file.h"
#include "base/mem.h"
#include "image/decode.h"
#include "image/frame.h"

#include <ctype.h>
#include <string.h>

/* How names say the split; a name without one is of train. */
static const struct {
    const char *end;
    lm_split split;
} name_ends[] = {{"_train_lmdb", LM_SPLIT_TRAIN},
                 {"_val_lmdb", LM_SPLIT_VALID},
                 {"_test_lmdb", LM_SPLIT_TEST},
                 {"_lmdb", LM_SPLIT_TRAIN}};
enum { N_ENDS = sizeof name_ends / sizeof *name_ends };

/* One environment. */
typedef struct part {
    lm_lmdb *lmdb; /* owned */
    int64_t first; /* index of its first image */
    int32_t label;
} part;

typedef struct lsun {
    part *parts; /* owned */
    int n_parts;
    char **names; /* owned, of categories; NULL: an environment alone */
    int n_names;
    uint8_t background[3];
} lsun;

/* ---- names ------------------------------------------------------------------- */

/* Cuts the end off a copy; *split is what it said. lm_free'd by the caller. */
static char *find_category(const char *name, lm_split *split) {
    char *category = lm_strdup(name);
    for (int i = 0; category && i < N_ENDS; i++) {
        if (!lm_path_ends(name, name_ends[i].end)) continue;
        category[strlen(name) - strlen(name_ends[i].end)] = '\0';
        *split = name_ends[i].split;
        break;
    }
    return category;
}

static bool is_environment(const char *path) {
    return lm_folder_has(path, "data.mdb");
}

static bool is_zip(const char *path) {
    return lm_path_ends(path, "_lmdb.zip");
}

static bool ends_in_lmdb(const char *name) {
    return lm_path_ends(name, "_lmdb");
}

/* The folder's environments, by name; freed with lm_names_free. */
static lm_status list_environments(const char *folder, char ***names, size_t *count) {
    size_t all, kept = 0;
    LM_TRY(lm_list_folder(folder, ends_in_lmdb, names, &all));
    lm_status status = LM_OK;
    for (size_t i = 0; i < all; i++) {
        char *name = (*names)[i], *path = lm_path_join(folder, name);
        if (!path) status = LM_NOMEM;
        if (path && is_environment(path))
            (*names)[kept++] = name;
        else
            lm_free(name);
        lm_free(path);
    }
    *count = kept;
    if (status == LM_OK && kept) return LM_OK;
    lm_names_free(*names, kept);
    *names = NULL, *count = 0;
    return status;
}

static bool recognise(const char *path) {
    if (is_zip(path) || is_environment(path)) return true;
    if (!lm_is_folder(path)) return false;
    char *zip = lm_folder_find(path, "*_lmdb.zip"), **names = NULL;
    size_t count = 0;
    bool found = zip || (list_environments(path, &names, &count) == LM_OK && count > 0);
    lm_free(zip);
    lm_names_free(names, count);
    return found;
}

/* ---- the dataset ------------------------------------------------------------- */

static const part *find_part(const lsun *s, int64_t index) {
    const part *found = s->parts;
    for (int i = 1; i < s->n_parts && s->parts[i].first <= index; i++)
        found = &s->parts[i];
    return found;
}

static const lm_lmdb_record *find_record(const lsun *s, int64_t index) {
    const part *p = find_part(s, index);
    return &lm_lmdb_records(p->lmdb)[index - p->first];
}

static lm_status get_label(const lm_dataset *set, int64_t index, int32_t *label) {
    const lsun *s = set->state;
    *label = set->classes ? find_part(s, index)->label : -1;
    return LM_OK;
}

static lm_status read_image(const lm_dataset *set, int64_t index, lm_image *image,
                            int32_t *label) {
    const lsun *s = set->state;
    const lm_lmdb_record *record = find_record(s, index);
    lm_status status =
        lm_image_decode(record->value, record->value_size, s->background, image);
    if (status == LM_OK) status = lm_image_set_channels(image, set->channels);
    if (status == LM_OK) return get_label(set, index, label);
    lm_image_release(image);
    return lm_dataset_fail(set, index, status);
}

/* The key, which nothing keeps from being any bytes. */
static void name_item(const lm_dataset *set, int64_t index, lm_str *name) {
    const lm_lmdb_record *record = find_record(set->state, index);
    lm_str_append(name, "key ");
    for (int i = 0; i < record->key_size; i++) {
        unsigned char c = (unsigned char)record->key[i];
        lm_str_printf(name, "%c", isprint(c) ? c : '?');
    }
}

static void release_state(lm_dataset *set) {
    lsun *s = set->state;
    if (!s) return;
    for (int i = 0; i < s->n_parts; i++) lm_lmdb_close(s->parts[i].lmdb);
    lm_free(s->parts);
    lm_names_free(s->names, (size_t)s->n_names);
    lm_free(s);
}

/* ---- opening ----------------------------------------------------------------- */

/* Keys are digests of values, so that they and the sizes tell what is in the file. */
static void hash_part(lm_dataset *set, const lm_lmdb *lmdb) {
    const lm_lmdb_record *records = lm_lmdb_records(lmdb);
    for (int64_t i = 0; i < lm_lmdb_count(lmdb); i++) {
        set->hash = lm_hash_bytes(set->hash, records[i].key, records[i].key_size);
        set->hash = lm_hash_word(set->hash, records[i].value_size);
    }
}

/* The lock file beside it changes whenever somebody looks. */
static lm_status add_data_file(lm_dataset *set, const char *folder) {
    char *path = lm_path_join(folder, "data.mdb");
    lm_status status = path ? lm_dataset_add_file(set, path) : LM_NOMEM;
    lm_free(path);
    return status;
}

static lm_status add_part(lm_dataset *set, const char *path, int32_t label) {
    lsun *s = set->state;
    part *grown = lm_realloc(s->parts, (size_t)(s->n_parts + 1) * sizeof *grown);
    if (!grown) return LM_NOMEM;
    s->parts = grown;
    part *added = &s->parts[s->n_parts];
    *added = (part){.first = set->count, .label = label};
    LM_TRY(lm_lmdb_open(path, &added->lmdb));
    s->n_parts++;
    LM_TRY(add_data_file(set, path));
    LM_RETURN_IF(lm_lmdb_count(added->lmdb) == 0, LM_FORMAT, "%s: no images in it", path);
    set->count += lm_lmdb_count(added->lmdb);
    hash_part(set, added->lmdb);
    return LM_OK;
}

/* Takes over a category's name and numbers it by its first appearance, in whichever split
 * that is, so that all splits have the same numbers. */
static int32_t number_category(lsun *s, char *category) {
    for (int i = 0; i < s->n_names; i++)
        if (strcmp(s->names[i], category) == 0) {
            lm_free(category);
            return i;
        }
    s->names[s->n_names] = category;
    return s->n_names++;
}

static lm_status add_folder(lm_dataset *set, const lm_data_place *place, char **names,
                            size_t count) {
    lsun *s = set->state;
    s->names = lm_calloc(count, sizeof *s->names);
    if (!s->names) return LM_NOMEM;
    for (size_t i = 0; i < count; i++) {
        lm_split split = LM_SPLIT_TRAIN;
        char *category = find_category(names[i], &split);
        if (!category) return LM_NOMEM;
        int32_t label = number_category(s, category);
        if (split != place->split) continue;
        char *path = lm_path_join(place->path, names[i]);
        lm_status status = path ? add_part(set, path, label) : LM_NOMEM;
        lm_free(path);
        LM_TRY(status);
    }
    if (s->n_parts == 0) return lm_data_no_split(place, "LSUN");
    set->classes = s->n_names > 1 ? s->n_names : 0;
    set->class_names = set->classes ? (const char *const *)s->names : NULL;
    return LM_OK;
}

static lm_status load(lm_dataset *set, const lm_data_place *place) {
    lsun *s = set->state = lm_calloc(1, sizeof *s);
    set->release = release_state;
    if (!s) return LM_NOMEM;
    memcpy(s->background, place->background, sizeof s->background);
    set->channels = 3;
    set->hash = LM_HASH_SEED;
    set->read = read_image;
    set->label = get_label;
    set->item = name_item;
    if (is_environment(place->path)) return add_part(set, place->path, -1);
    char **names;
    size_t count;
    LM_TRY(list_environments(place->path, &names, &count));
    LM_RETURN_IF(count == 0, LM_UNSUPPORTED,
                 "%s: LMDB is not read inside a zip: unpack it there", place->path);
    lm_status status = add_folder(set, place, names, count);
    lm_names_free(names, count);
    return status;
}

static lm_status open_lsun(const lm_data_place *place, lm_dataset **set) {
    LM_RETURN_IF(is_zip(place->path), LM_UNSUPPORTED,
                 "%s: LMDB is not read inside a zip: unpack it", place->path);
    lm_dataset *made;
    LM_TRY(lm_dataset_new(place->name, place->path, &made));
    lm_status status = load(made, place);
    if (status == LM_OK)
        *set = made;
    else
        lm_dataset_free(made);
    return status;
}

const lm_data_format lm_lsun_format = {"LSUN's LMDB folders", recognise, open_lsun};
