#include "data/relabel.h"

#include "base/mem.h"
#include "data/data_internal.h"

#include <stdio.h>
#include <string.h>

enum { NAME_SIZE = 96 };

typedef struct relabelled {
    lm_dataset *inner;
    int attribute, parts;
    const char **names; /* [parts], into `texts` or the inner set's */
    char (*texts)[NAME_SIZE];
} relabelled;

int lm_attribute_part(float value, int parts) {
    float part = value * (float)parts;
    return part >= (float)parts ? parts - 1 : part > 0 ? (int)part : 0;
}

/* ---- images ------------------------------------------------------------------ */

static lm_status get_label(const lm_dataset *set, int64_t index, int32_t *label) {
    const relabelled *r = set->state;
    float few[64], *values = few;
    if (set->n_attributes > 64) values = lm_alloc(set->n_attributes * sizeof *values);
    if (!values) return LM_NOMEM;
    lm_status status = r->inner->attributes(r->inner, index, values);
    if (status == LM_OK) *label = lm_attribute_part(values[r->attribute], r->parts);
    if (values != few) lm_free(values);
    return status;
}

static lm_status get(const lm_dataset *set, int64_t index, uint8_t *pixels,
                     int32_t *label) {
    const relabelled *r = set->state;
    LM_TRY(get_label(set, index, label));
    int32_t replaced;
    return r->inner->get(r->inner, index, pixels, &replaced);
}

static lm_status read(const lm_dataset *set, int64_t index, lm_image *image,
                      int32_t *label) {
    const relabelled *r = set->state;
    LM_TRY(get_label(set, index, label));
    int32_t replaced;
    return r->inner->read(r->inner, index, image, &replaced);
}

static lm_status get_attributes(const lm_dataset *set, int64_t index, float *values) {
    const relabelled *r = set->state;
    return r->inner->attributes(r->inner, index, values);
}

static void name_item(const lm_dataset *set, int64_t index, lm_str *name) {
    const relabelled *r = set->state;
    r->inner->item(r->inner, index, name);
}

/* ---- making ------------------------------------------------------------------ */

static void release(lm_dataset *set) {
    relabelled *r = set->state;
    if (!r) return;
    lm_dataset_free(r->inner);
    lm_free(r->names);
    lm_free(r->texts);
    lm_free(r);
}

static lm_status unknown_attribute(const lm_dataset *inner, const char *name) {
    const char **names = lm_calloc((size_t)inner->n_attributes + 1, sizeof *names);
    if (!names) return LM_NOMEM;
    lm_str list = LM_STR_INIT;
    for (int i = 0; i < inner->n_attributes; i++) {
        names[i] = inner->attribute_names[i];
        lm_str_printf(&list, "%s%s", i ? ", " : "", names[i]);
    }
    const char *nearest = lm_nearest(name, names);
    lm_status status =
        nearest ? lm_fail(LM_ARG,
                          "data option label: %s has no attribute %s; did you "
                          "mean %s?",
                          inner->name, name, nearest)
                : lm_fail(LM_ARG,
                          "data option label: %s has no attribute %s; expected "
                          "one of %s",
                          inner->name, name, lm_str_text(&list) ? list.text : "");
    lm_str_release(&list);
    lm_free(names);
    return status;
}

static lm_status find_attribute(const lm_dataset *inner, const char *name, int *found) {
    LM_RETURN_IF(!inner->attributes, LM_ARG, "data option label: %s has no attributes",
                 inner->name);
    for (int i = 0; i < inner->n_attributes; i++)
        if (strcmp(inner->attribute_names[i], name) == 0) {
            *found = i;
            return LM_OK;
        }
    return unknown_attribute(inner, name);
}

/* "no NAME" and "NAME", "NAME LEVEL", or "NAME 0.25 to 0.5". */
static void name_part(const relabelled *r, int levels, int part) {
    const char *name = r->inner->attribute_names[r->attribute];
    char *text = r->texts[part];
    if (levels == 2 && r->parts == 2)
        snprintf(text, NAME_SIZE, "%s%s", part ? "" : "no ", name);
    else if (levels == r->parts)
        snprintf(text, NAME_SIZE, "%s %d", name, part);
    else
        snprintf(text, NAME_SIZE, "%s %.3g to %.3g", name, (double)part / r->parts,
                 (part + 1.0) / r->parts);
}

static lm_status choose_parts(relabelled *r, int parts) {
    const lm_attribute_kind *kinds = r->inner->attribute_kinds;
    lm_attribute_kind kind = kinds ? kinds[r->attribute] : (lm_attribute_kind){2, NULL};
    r->parts = parts ? parts : kind.levels ? kind.levels : 2;
    r->names = lm_alloc((size_t)r->parts * sizeof *r->names);
    r->texts = lm_alloc((size_t)r->parts * sizeof *r->texts);
    if (!r->names || !r->texts) return LM_NOMEM;
    for (int i = 0; i < r->parts; i++) {
        name_part(r, kind.levels, i);
        r->names[i] = kind.names && kind.levels == r->parts ? kind.names[i] : r->texts[i];
    }
    return LM_OK;
}

/* All but the labels is the inner set's. */
static void copy_description(lm_dataset *inner, lm_dataset *made) {
    lm_dataset_take_files(made, inner);
    made->height = inner->height;
    made->width = inner->width;
    made->channels = inner->channels;
    made->count = inner->count;
    made->endless = inner->endless;
    made->hash = inner->hash;
    made->n_attributes = inner->n_attributes;
    made->attribute_names = inner->attribute_names;
    made->attribute_kinds = inner->attribute_kinds;
    made->get = inner->get ? get : NULL;
    made->read = inner->read ? read : NULL;
    made->label = get_label;
    made->attributes = get_attributes;
    made->item = inner->item ? name_item : NULL;
}

lm_status lm_dataset_relabel(const char *attribute, int parts, lm_dataset **set) {
    lm_dataset *inner = *set, *made = NULL;
    *set = NULL;
    relabelled *r = lm_calloc(1, sizeof *r);
    lm_status status = r ? lm_dataset_new(inner->name, inner->source, &made) : LM_NOMEM;
    if (status != LM_OK) {
        lm_free(r);
        lm_dataset_free(inner);
        return status;
    }
    r->inner = inner;
    made->state = r;
    made->release = release;
    status = find_attribute(inner, attribute, &r->attribute);
    if (status == LM_OK) status = choose_parts(r, parts);
    if (status != LM_OK) {
        lm_dataset_free(made);
        return status;
    }
    copy_description(inner, made);
    made->classes = r->parts;
    made->class_names = r->names;
    made->hash = lm_hash_word(lm_hash_bytes(made->hash, attribute, strlen(attribute)),
                              (uint64_t)r->parts);
    *set = made;
    return LM_OK;
}
