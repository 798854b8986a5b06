/* Folders that lm_prepare made, as sets: images.npy is mapped, and an image is a copy. A
 * folder may also hold such folders by split, as train/ and test/. */
#include "data/data_internal.h"

#include "base/file.h"
#include "base/mem.h"
#include "data/manifest.h"
#include "data/npy.h"

#include <string.h>

typedef struct prepared_state {
    json_t *json; /* of the manifest; holds the names */
    lm_npy_map images, labels, attributes;
    const char **class_names, **attribute_names, **level_names; /* arrays are owned */
    lm_attribute_kind *kinds;
} prepared_state;

/* ---- images ------------------------------------------------------------------ */

static lm_status check_index(const lm_dataset *set, int64_t index) {
    LM_RETURN_IF(index < 0 || index >= set->count, LM_ARG, "%s: no image %lld of %lld",
                 set->name, (long long)index, (long long)set->count);
    return LM_OK;
}

/* Data in a file is where its header ends: perhaps not aligned. */
static int32_t label_of(const prepared_state *state, int64_t index) {
    int32_t label = -1;
    if (state->labels.bytes)
        memcpy(&label,
               (const char *)state->labels.view.data + index * (int64_t)sizeof label,
               sizeof label);
    return label;
}

static lm_status get_image(const lm_dataset *set, int64_t index, uint8_t *pixels,
                           int32_t *label) {
    const prepared_state *state = set->state;
    size_t size = (size_t)set->height * set->width * set->channels;
    LM_TRY(check_index(set, index));
    memcpy(pixels, (const uint8_t *)state->images.view.data + (size_t)index * size, size);
    *label = label_of(state, index);
    return LM_OK;
}

static lm_status get_label(const lm_dataset *set, int64_t index, int32_t *label) {
    LM_TRY(check_index(set, index));
    *label = label_of(set->state, index);
    return LM_OK;
}

static lm_status get_attributes(const lm_dataset *set, int64_t index, float *values) {
    const prepared_state *state = set->state;
    size_t size = (size_t)set->n_attributes * sizeof *values;
    LM_TRY(check_index(set, index));
    memcpy(values, (const char *)state->attributes.view.data + (size_t)index * size,
           size);
    return LM_OK;
}

static void release_state(lm_dataset *set) {
    prepared_state *state = set->state;
    if (!state) return;
    lm_npy_map_close(&state->images);
    lm_npy_map_close(&state->labels);
    lm_npy_map_close(&state->attributes);
    lm_free(state->class_names);
    lm_free(state->attribute_names);
    lm_free(state->level_names);
    lm_free(state->kinds);
    json_decref(state->json);
    lm_free(state);
}

/* ---- opening ----------------------------------------------------------------- */

static lm_status map_array(const char *folder, const char *name, lm_dtype dtype,
                           lm_shape shape, lm_npy_map *map) {
    char text[2][LM_SHAPE_TEXT];
    char *path = lm_path_join(folder, name);
    if (!path) return LM_NOMEM;
    lm_status status = lm_npy_map_open(path, map);
    if (status == LM_OK &&
        (map->view.dtype != dtype || !lm_shape_equal(map->view.shape, shape)))
        status = lm_fail(LM_FORMAT, "%s: holds %s %s, the manifest says %s %s", path,
                         lm_dtype_name(map->view.dtype),
                         lm_shape_text(map->view.shape, text[0]), lm_dtype_name(dtype),
                         lm_shape_text(shape, text[1]));
    lm_free(path);
    return status;
}

static lm_status check_labels(const lm_dataset *set, const char *folder) {
    for (int64_t i = 0; i < set->count; i++) {
        int32_t label = label_of(set->state, i);
        LM_RETURN_IF(label < -1 || label >= set->classes, LM_FORMAT,
                     "%s/%s: label %d of image %lld: expected -1 to %d", folder,
                     LM_PREPARED_LABELS, label, (long long)i, set->classes - 1);
    }
    return LM_OK;
}

static void copy_names(const json_t *list, const char **names) {
    for (size_t i = 0; i < json_array_size(list); i++)
        names[i] = json_string_value(json_array_get(list, i));
}

static lm_status name_classes(lm_dataset *set, const json_t *list) {
    prepared_state *state = set->state;
    if (!list) return LM_OK;
    state->class_names =
        lm_alloc((json_array_size(list) + 1) * sizeof *state->class_names);
    if (!state->class_names) return LM_NOMEM;
    copy_names(list, state->class_names);
    set->class_names = state->class_names;
    return LM_OK;
}

static lm_status describe_attributes(lm_dataset *set, const json_t *list) {
    prepared_state *state = set->state;
    size_t count = json_array_size(list), levels = 0;
    for (size_t i = 0; i < count; i++)
        levels += json_array_size(json_object_get(json_array_get(list, i), "names"));
    if (count == 0) return LM_OK;
    state->attribute_names = lm_alloc(count * sizeof *state->attribute_names);
    state->kinds = lm_calloc(count, sizeof *state->kinds);
    const char **names = state->level_names =
        lm_alloc((levels + 1) * sizeof *state->level_names);
    if (!state->attribute_names || !state->kinds || !names) return LM_NOMEM;
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(list, i);
        const json_t *own = json_object_get(item, "names");
        state->attribute_names[i] = json_string_value(json_object_get(item, "name"));
        state->kinds[i].levels = (int)json_integer_value(json_object_get(item, "levels"));
        if (own) state->kinds[i].names = names;
        copy_names(own, names);
        names += json_array_size(own);
    }
    set->n_attributes = (int)count;
    set->attribute_names = state->attribute_names;
    set->attribute_kinds = state->kinds;
    set->attributes = get_attributes;
    return LM_OK;
}

static lm_status map_arrays(lm_dataset *set, const char *folder, const lm_manifest *m) {
    prepared_state *state = set->state;
    LM_TRY(map_array(folder, LM_PREPARED_IMAGES, LM_U8,
                     LM_SHAPE(m->count, m->height, m->width, m->channels),
                     &state->images));
    if (m->classes) {
        LM_TRY(map_array(folder, LM_PREPARED_LABELS, LM_I32, LM_SHAPE(m->count),
                         &state->labels));
        LM_TRY(check_labels(set, folder));
    }
    if (!set->n_attributes) return LM_OK;
    return map_array(folder, LM_PREPARED_ATTRIBUTES, LM_F32,
                     LM_SHAPE(m->count, set->n_attributes), &state->attributes);
}

static lm_status fill(lm_dataset *set, const char *folder, const lm_manifest *m) {
    set->height = m->height;
    set->width = m->width;
    set->channels = m->channels;
    set->classes = m->classes;
    set->count = m->count;
    set->hash = m->hash;
    set->get = get_image;
    set->label = get_label;
    LM_TRY(name_classes(set, m->class_names));
    LM_TRY(describe_attributes(set, m->attributes));
    return map_arrays(set, folder, m);
}

/* ---- which folder ------------------------------------------------------------ */

static bool is_prepared(const char *folder) {
    return (lm_folder_has(folder, LM_PREPARED_MANIFEST) ||
            lm_folder_has(folder, LM_PREPARED_JOURNAL)) &&
           lm_folder_has(folder, LM_PREPARED_IMAGES);
}

static bool recognise(const char *path) {
    bool found = lm_is_folder(path) && is_prepared(path);
    for (int i = 0; i < LM_N_SPLITS && !found; i++) {
        char *folder = lm_path_join(path, lm_split_name((lm_split)i));
        found = folder && is_prepared(folder);
        lm_free(folder);
    }
    return found;
}

static lm_status read_manifest(const char *folder, lm_manifest *m, json_t **json) {
    LM_RETURN_IF(!lm_folder_has(folder, LM_PREPARED_MANIFEST), LM_FORMAT,
                 "%s: its preparation was not finished; 'limn data prepare' with the "
                 "same options goes on",
                 folder);
    return lm_manifest_read(folder, m, json);
}

/* The set in the folder itself if it is of the split, else the one in FOLDER/SPLIT. */
static lm_status choose(const lm_data_place *place, char **folder, lm_manifest *m,
                        json_t **json) {
    const char *split = lm_split_name(place->split);
    bool here = is_prepared(place->path);
    if (here) {
        LM_TRY(read_manifest(place->path, m, json));
        if (m->split == place->split)
            return (*folder = lm_strdup(place->path)) ? LM_OK : LM_NOMEM;
        json_decref(*json);
        *json = NULL;
    }
    *folder = lm_path_join(place->path, split);
    if (!*folder) return LM_NOMEM;
    if (is_prepared(*folder)) return read_manifest(*folder, m, json);
    if (!here) return lm_data_no_split(place, "prepared");
    return lm_fail(LM_NOT_FOUND, "%s: holds the %s images, not %s; say '%s:%s'",
                   place->path, lm_split_name(m->split), split, place->path,
                   lm_split_name(m->split));
}

static lm_status open_prepared(const lm_data_place *place, lm_dataset **set) {
    char *folder = NULL;
    lm_manifest manifest;
    json_t *json = NULL;
    lm_dataset *made = NULL;
    prepared_state *state = NULL;
    lm_status status;
    LM_TRY_GOTO(end, choose(place, &folder, &manifest, &json));
    LM_TRY_GOTO(end, lm_dataset_new(place->name, folder, &made));
    state = lm_calloc(1, sizeof *state);
    if (!state) {
        status = LM_NOMEM;
        goto end;
    }
    *state = (prepared_state){.json = json_incref(json)};
    made->state = state;
    made->release = release_state;
    status = fill(made, folder, &manifest);
end:
    if (status == LM_OK)
        *set = made;
    else
        lm_dataset_free(made);
    json_decref(json);
    lm_free(folder);
    return status;
}

const lm_data_format lm_prepared_format = {"prepared folders", recognise, open_prepared};
