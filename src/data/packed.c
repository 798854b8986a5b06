#include "data/packed.h"

#include "base/file.h"
#include "base/mem.h"
#include "tensor/tensor.h"

#include <string.h>

void lm_packed_interleaved(lm_packed *packed) {
    packed->colour = 1;
    packed->right = (size_t)packed->channels;
    packed->down = packed->right * (size_t)packed->width;
    packed->step = packed->down * (size_t)packed->height;
}

void lm_packed_planes(lm_packed *packed) {
    packed->right = 1;
    packed->down = (size_t)packed->width;
    packed->colour = packed->down * (size_t)packed->height;
    packed->step = packed->colour * (size_t)packed->channels;
}

/* ---- labels ------------------------------------------------------------------ */

static lm_status check_label(const lm_packed *packed, const char *path, int64_t image,
                             int32_t label, int first) {
    int32_t least = packed->classes ? 0 : -1;
    int32_t most = packed->classes ? packed->classes - 1 : LM_MAX_LABEL;
    LM_RETURN_IF(label < least || label > most, LM_FORMAT,
                 "%s: image %lld has label %lld, expected %d to %d", path,
                 (long long)image, (long long)label + first, least + first, most + first);
    return LM_OK;
}

lm_status lm_packed_set_labels(lm_packed *packed, const char *path, lm_dtype dtype,
                               const void *labels, int64_t count, int first) {
    LM_RETURN_IF(lm_dtype_is_float(dtype), LM_FORMAT, "%s: labels are %s, not integers",
                 path, lm_dtype_name(dtype));
    LM_RETURN_IF(count != packed->count, LM_FORMAT,
                 "%s: %lld labels, but there are %lld images", path, (long long)count,
                 (long long)packed->count);
    int32_t *taken = lm_alloc((size_t)count * sizeof *taken);
    if (!taken) return LM_NOMEM;
    lm_convert(taken, LM_I32, labels, dtype, count);
    lm_status status = LM_OK;
    int32_t most = -1;
    for (int64_t i = 0; i < count && status == LM_OK; i++) {
        if (__builtin_sub_overflow(taken[i], first, &taken[i])) taken[i] = INT32_MIN;
        status = check_label(packed, path, i, taken[i], first);
        if (taken[i] > most) most = taken[i];
    }
    if (status != LM_OK) {
        lm_free(taken);
        return status;
    }
    lm_free(packed->labels);
    packed->labels = taken;
    if (!packed->classes) packed->classes = most + 1;
    return LM_OK;
}

/* ---- the dataset ------------------------------------------------------------- */

static uint64_t hash_sample(uint64_t hash, const uint8_t *bytes, size_t size) {
    enum { BLOCKS = 1024, BLOCK = 1 << 16 };
    if (size <= (size_t)BLOCKS * BLOCK) return lm_hash_bytes(hash, bytes, size);
    hash = lm_hash_word(hash, size);
    size_t stride = (size - BLOCK) / (BLOCKS - 1);
    for (size_t i = 0; i < BLOCKS; i++)
        hash = lm_hash_bytes(hash, bytes + i * stride, BLOCK);
    return hash;
}

uint64_t lm_packed_hash(const lm_packed *packed) {
    size_t count = (size_t)packed->count;
    uint64_t hash = hash_sample(LM_HASH_SEED, packed->pixels, count * packed->step);
    if (!packed->labels) return hash;
    return lm_hash_bytes(hash, packed->labels, count * sizeof *packed->labels);
}

static lm_status check_index(const lm_dataset *set, int64_t index) {
    LM_RETURN_IF(index < 0 || index >= set->count, LM_ARG, "%s: no image %lld of %lld",
                 set->name, (long long)index, (long long)set->count);
    return LM_OK;
}

static lm_status get_label(const lm_dataset *set, int64_t index, int32_t *label) {
    const lm_packed *p = set->state;
    LM_TRY(check_index(set, index));
    *label = p->labels ? p->labels[index] : -1;
    return LM_OK;
}

static lm_status get_image(const lm_dataset *set, int64_t index, uint8_t *pixels,
                           int32_t *label) {
    const lm_packed *p = set->state;
    LM_TRY(get_label(set, index, label));
    const uint8_t *from = p->pixels + (size_t)index * p->step;
    size_t row = (size_t)p->width * (size_t)p->channels;
    if (p->colour == 1 && p->right == (size_t)p->channels && p->down == row) {
        memcpy(pixels, from, row * (size_t)p->height);
        return LM_OK;
    }
    for (int y = 0; y < p->height; y++)
        for (int x = 0; x < p->width; x++) {
            const uint8_t *pixel = from + (size_t)y * p->down + (size_t)x * p->right;
            for (int c = 0; c < p->channels; c++)
                *pixels++ = pixel[(size_t)c * p->colour];
        }
    return LM_OK;
}

void lm_packed_release(lm_packed *packed) {
    lm_free(packed->labels);
    lm_free(packed->block);
    lm_file_unmap(packed->mapped, packed->mapped_size);
    *packed = (lm_packed){0};
}

static void release_state(lm_dataset *set) {
    if (set->state) lm_packed_release(set->state);
    lm_free(set->state);
}

static lm_status describe(lm_dataset *set, lm_packed *packed) {
    for (int i = 0; i < 2 && packed->files[i]; i++)
        LM_TRY(lm_dataset_add_file(set, packed->files[i]));
    lm_packed *state = set->state = lm_alloc(sizeof *state);
    if (!state) return LM_NOMEM;
    *state = *packed;
    *packed = (lm_packed){0};
    set->release = release_state;
    set->height = state->height;
    set->width = state->width;
    set->channels = state->channels;
    set->classes = state->classes;
    set->class_names = state->class_names;
    set->count = state->count;
    set->get = get_image;
    set->label = get_label;
    return LM_OK;
}

lm_status lm_packed_open(const lm_data_place *place, const char *source, uint64_t hash,
                         lm_packed *packed, lm_dataset **set) {
    lm_dataset *made = NULL;
    lm_status status = lm_dataset_new(place->name, source, &made);
    if (status == LM_OK) status = describe(made, packed);
    if (status == LM_OK) {
        made->hash = hash;
        *set = made;
        return LM_OK;
    }
    lm_dataset_free(made);
    lm_packed_release(packed);
    return status;
}
