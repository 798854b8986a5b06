#include "data/images.h"

#include "base/log.h"
#include "base/mem.h"
#include "data/image_probe.h"
#include "image/decode.h"
#include "image/frame.h"

#include <string.h>

/* Of the files wanted in a compressed tar, which are held in memory. */
#define MEMORY ((size_t)2 << 30)

/* ---- reading ----------------------------------------------------------------- */

static lm_status decode(const lm_dataset *set, int64_t index, lm_image *image) {
    const lm_images *s = set->state;
    int64_t entry = s->entry[index];
    lm_probed probed;
    void *bytes;
    size_t size;
    if (s->bad[index]) LM_TRY(lm_entry_probe(s->entries, entry, &probed));
    LM_TRY(lm_entries_read(s->entries, entry, &bytes, &size));
    lm_status status = lm_image_decode(bytes, size, s->background, image);
    if (status == LM_OK) {
        status = lm_image_set_channels(image, set->channels);
        if (status != LM_OK) lm_image_release(image);
    }
    lm_free(bytes);
    if (status == LM_OK) return LM_OK;
    return lm_fail_context(status, "%s: %s", lm_entries_path(s->entries),
                           lm_entries_name(s->entries, entry));
}

static lm_status get_label(const lm_dataset *set, int64_t index, int32_t *label) {
    const lm_images *s = set->state;
    *label = s->label ? s->label[index] : -1;
    return LM_OK;
}

static lm_status read_image(const lm_dataset *set, int64_t index, lm_image *image,
                            int32_t *label) {
    LM_RETURN_IF(index < 0 || index >= set->count, LM_ARG, "%s: no image %lld of %lld",
                 set->name, (long long)index, (long long)set->count);
    LM_TRY(get_label(set, index, label));
    return decode(set, index, image);
}

static lm_status get_image(const lm_dataset *set, int64_t index, uint8_t *pixels,
                           int32_t *label) {
    const lm_images *s = set->state;
    lm_image image = {0};
    LM_TRY(read_image(set, index, &image, label));
    lm_status status = LM_OK;
    if (image.width != set->width || image.height != set->height)
        status = lm_fail(LM_FORMAT, "%s: %s: is %dx%d now, and was %dx%d",
                         lm_entries_path(s->entries),
                         lm_entries_name(s->entries, s->entry[index]), image.width,
                         image.height, set->width, set->height);
    else
        memcpy(pixels, image.pixels, (size_t)image.width * image.height * image.channels);
    lm_image_release(&image);
    return status;
}

static lm_status get_attributes(const lm_dataset *set, int64_t index, float *values) {
    const lm_images *s = set->state;
    const uint8_t *row = s->attributes + index * set->n_attributes;
    for (int i = 0; i < set->n_attributes; i++) values[i] = row[i];
    return LM_OK;
}

static void name_item(const lm_dataset *set, int64_t index, lm_str *name) {
    const lm_images *s = set->state;
    lm_str_append(name, lm_entries_name(s->entries, s->entry[index]));
}

/* ---- making ------------------------------------------------------------------ */

static void release(lm_dataset *set) {
    lm_images *s = set->state;
    if (!s) return;
    lm_entries_free(s->entries);
    lm_arena_release(&s->arena);
    lm_free(s->entry);
    lm_free(s->label);
    lm_free(s->class_names);
    lm_free(s->attributes);
    lm_free(s->attribute_names);
    lm_free(s->bad);
    lm_free(s);
}

lm_status lm_images_new(const lm_data_place *place, const char *path,
                        lm_entries_wants wants, lm_dataset **set) {
    lm_dataset *made;
    *set = NULL;
    LM_TRY(lm_dataset_new(place->name, path, &made));
    lm_images *s = made->state = lm_calloc(1, sizeof *s);
    made->release = release;
    made->read = read_image;
    made->label = get_label;
    made->item = name_item;
    lm_status status = s ? lm_entries_open(path, wants, MEMORY, &s->entries) : LM_NOMEM;
    if (status != LM_OK) {
        lm_dataset_free(made);
        return status;
    }
    memcpy(s->background, place->background, sizeof s->background);
    *set = made;
    return LM_OK;
}

lm_status lm_images_choose(lm_dataset *set, const lm_image_tree *tree, lm_split split) {
    lm_images *s = set->state;
    s->root = tree->root;
    s->entry = lm_alloc((size_t)tree->count * sizeof *s->entry);
    if (!s->entry) return LM_NOMEM;
    for (int64_t i = 0; i < tree->count; i++)
        if (tree->image[i].split == split) s->entry[set->count++] = tree->image[i].entry;
    return LM_OK;
}

/* Sets size and channels as the good images have them. */
static void find_shape(lm_dataset *set, const lm_probed *probed) {
    bool any = false, alike = true;
    for (int64_t i = 0; i < set->count; i++) {
        const lm_probed *p = &probed[i];
        if (!p->good) continue;
        if (!any) set->width = p->width, set->height = p->height;
        any = true;
        alike = alike && p->width == set->width && p->height == set->height;
        if (p->channels > set->channels) set->channels = p->channels;
    }
    if (!alike) set->width = set->height = 0;
    set->get = alike ? get_image : NULL;
}

static uint64_t hash_names(uint64_t hash, const char *const *names, int count) {
    for (int i = 0; names && i < count; i++)
        hash = lm_hash_bytes(hash, names[i], strlen(names[i]));
    return hash;
}

static uint64_t hash_content(const lm_dataset *set, const lm_probed *probed) {
    const lm_images *s = set->state;
    uint64_t hash = LM_HASH_SEED;
    for (int64_t i = 0; i < set->count; i++) {
        const char *name = lm_entries_name(s->entries, s->entry[i]) + s->root;
        hash = lm_hash_bytes(hash, name, strlen(name));
        hash = lm_hash_word(hash, probed[i].hash);
        if (s->label) hash = lm_hash_word(hash, (uint64_t)s->label[i]);
    }
    hash = hash_names(hash, s->class_names, set->classes);
    hash = hash_names(hash, s->attribute_names, set->n_attributes);
    size_t attributes = (size_t)set->count * (size_t)set->n_attributes;
    return s->attributes ? lm_hash_bytes(hash, s->attributes, attributes) : hash;
}

/* Probes the first of the bad ones again, for its message. */
static lm_status report_bad(const lm_dataset *set) {
    const lm_images *s = set->state;
    int64_t bad = 0, first = -1;
    lm_probed probed;
    for (int64_t i = 0; i < set->count; i++) {
        if (s->bad[i] && bad++ == 0) first = i;
    }
    if (bad == 0) return LM_OK;
    lm_status status = lm_entry_probe(s->entries, s->entry[first], &probed);
    if (status != LM_OK && bad == set->count)
        return bad == 1 ? status
                        : lm_fail_context(status, "none of %lld images can be read",
                                          (long long)bad);
    lm_log_line(LM_LOG_WARNING, "%lld of %lld images cannot be read; the first: %s",
                (long long)bad, (long long)set->count, lm_message());
    return LM_OK;
}

lm_status lm_images_finish(lm_dataset *set) {
    lm_images *s = set->state;
    lm_probed *probed = lm_calloc((size_t)set->count, sizeof *probed);
    s->bad = lm_calloc((size_t)set->count, sizeof *s->bad);
    lm_status status = probed && s->bad
                           ? lm_entries_probe(s->entries, s->entry, set->count, probed)
                           : LM_NOMEM;
    if (status == LM_OK) {
        for (int64_t i = 0; i < set->count; i++) s->bad[i] = !probed[i].good;
        set->class_names = s->class_names;
        set->attribute_names = s->attribute_names;
        set->attributes = s->attributes ? get_attributes : NULL;
        set->hash = hash_content(set, probed);
        find_shape(set, probed);
        status = report_bad(set);
    }
    lm_free(probed);
    return status;
}
