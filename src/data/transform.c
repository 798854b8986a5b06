#include "data/transform.h"

#include "base/mem.h"
#include "base/str.h"
#include "data/data_internal.h"
#include "data/relabel.h"
#include "image/frame.h"
#include "tensor/philox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_SIDE = 4096 };

/* ---- the text ---------------------------------------------------------------- */

static lm_status parse_number(const char *name, const char *value, int64_t most,
                              int64_t *number) {
    if (value && lm_parse_int(value, number) && *number >= 1 && *number <= most)
        return LM_OK;
    return lm_fail(LM_ARG, "data option %s=%s: expected a number from 1 to %lld", name,
                   value ? value : "", (long long)most);
}

static lm_status parse_size(lm_transform *t, const char *value) {
    int64_t size;
    LM_TRY(parse_number("size", value, MOST_SIDE, &size));
    t->size = (int)size;
    return LM_OK;
}

static lm_status parse_filter(lm_transform *t, const char *value) {
    return lm_filter_find(value ? value : "", &t->filter);
}

static lm_status parse_fit(lm_transform *t, const char *value) {
    static const char *const names[] = {[LM_FIT_CROP] = "crop", [LM_FIT_PAD] = "pad"};
    for (int i = 0; value && i < 2; i++)
        if (strcmp(value, names[i]) == 0) {
            t->fit = (lm_fit)i;
            return LM_OK;
        }
    return lm_fail(LM_ARG, "data option fit=%s: expected crop or pad",
                   value ? value : "");
}

/* Six hexadecimal digits, upper or lower case. */
static bool parse_hex_color(const char *text, uint8_t *rgb) {
    if (strlen(text) != 6 || strspn(text, "0123456789abcdefABCDEF") != 6) return false;
    unsigned long bits = strtoul(text, NULL, 16);
    for (int i = 0; i < 3; i++) rgb[i] = (uint8_t)(bits >> (16 - 8 * i));
    return true;
}

static lm_status parse_background(lm_transform *t, const char *value) {
    const char *hex = value ? value : "";
    if (strcmp(hex, "white") == 0) hex = "ffffff";
    if (strcmp(hex, "black") == 0) hex = "000000";
    if (parse_hex_color(hex, t->background)) return LM_OK;
    return lm_fail(LM_ARG,
                   "data option background=%s: expected white, black or a colour as "
                   "8040ff",
                   value ? value : "");
}

static lm_status parse_crop(lm_transform *t, const char *value) {
    const char *cross = value ? strchr(value, 'x') : NULL;
    char rows[24];
    int64_t height = 0, width = 0;
    snprintf(rows, sizeof rows, "%.*s", cross ? (int)(cross - value) : 23,
             value ? value : "");
    bool good = lm_parse_int(rows, &height) &&
                lm_parse_int(cross ? cross + 1 : rows, &width) && height >= 1 &&
                height <= MOST_SIDE && width >= 1 && width <= MOST_SIDE;
    LM_RETURN_IF(!good, LM_ARG,
                 "data option crop=%s: expected rows x columns as 148 or 178x128, each 1 "
                 "to %d",
                 value ? value : "", MOST_SIDE);
    t->crop_height = (int)height;
    t->crop_width = (int)width;
    return LM_OK;
}

static lm_status parse_grey(lm_transform *t, const char *value) {
    LM_RETURN_IF(value || t->channels, LM_ARG, "data option grey: once, without a value");
    t->channels = 1;
    return LM_OK;
}

static lm_status parse_rgb(lm_transform *t, const char *value) {
    LM_RETURN_IF(value || t->channels, LM_ARG, "data option rgb: once, without a value");
    t->channels = 3;
    return LM_OK;
}

/* NAME or NAME:K. */
static lm_status parse_label(lm_transform *t, const char *value) {
    const char *colon = value ? strrchr(value, ':') : NULL;
    size_t length = colon ? (size_t)(colon - value) : value ? strlen(value) : 0;
    int64_t parts = 0;
    LM_RETURN_IF(length == 0 || length >= LM_MAX_LABEL, LM_ARG,
                 "data option label=%s: expected an attribute's name",
                 value ? value : "");
    LM_RETURN_IF(
        colon && (!lm_parse_int(colon + 1, &parts) || parts < 2 || parts > LM_MAX_PARTS),
        LM_ARG, "data option label=%s: expected 2 to %d parts after the colon", value,
        LM_MAX_PARTS);
    snprintf(t->label, sizeof t->label, "%.*s", (int)length, value);
    t->parts = (int)parts;
    return LM_OK;
}

static bool is_chosen(const lm_transform *t, int64_t label) {
    for (int i = 0; i < t->n_chosen; i++)
        if (t->chosen[i] == label) return true;
    return false;
}

static lm_status parse_classes(lm_transform *t, const char *value) {
    char word[24];
    for (const char *at = value ? value : ""; *at; at += *at == ',') {
        size_t length = strcspn(at, ",");
        int64_t label = -1;
        snprintf(word, sizeof word, "%.*s", (int)(length < 23 ? length : 23), at);
        LM_RETURN_IF(
            !lm_parse_int(word, &label) || label < 0 || label > INT32_MAX ||
                is_chosen(t, label) || t->n_chosen == LM_MAX_CHOSEN,
            LM_ARG, "data option classes=%s: expected different labels as in 3,5", value);
        t->chosen[t->n_chosen++] = (int)label;
        at += length;
    }
    LM_RETURN_IF(t->n_chosen == 0, LM_ARG, "data option classes: expected labels as 3,5");
    return LM_OK;
}

static lm_status parse_limit(lm_transform *t, const char *value) {
    return parse_number("limit", value, INT32_MAX, &t->limit);
}

static lm_status parse_binarise(lm_transform *t, const char *value) {
    static const char *const names[] = {
        [LM_BINARISE_THRESHOLD] = "threshold", [LM_BINARISE_DRAW] = "draw"};
    for (int i = LM_BINARISE_THRESHOLD; value && i <= LM_BINARISE_DRAW; i++)
        if (strcmp(value, names[i]) == 0) {
            t->binarise = (lm_binarise)i;
            return LM_OK;
        }
    return lm_fail(LM_ARG, "data option binarise=%s: expected threshold or draw",
                   value ? value : "");
}

static lm_status parse_flip(lm_transform *t, const char *value) {
    LM_RETURN_IF(value, LM_ARG, "data option flip: takes no value");
    t->augment.flip = true;
    return LM_OK;
}

static lm_status parse_pad_crop(lm_transform *t, const char *value) {
    int64_t pad;
    LM_TRY(parse_number("pad-crop", value, LM_MAX_PAD, &pad));
    t->augment.pad = (int)pad;
    return LM_OK;
}

static const struct {
    const char *name;
    lm_status (*parse)(lm_transform *t, const char *value);
} options[] = {{"crop", parse_crop},         {"size", parse_size},
               {"fit", parse_fit},           {"background", parse_background},
               {"filter", parse_filter},     {"grey", parse_grey},
               {"rgb", parse_rgb},           {"label", parse_label},
               {"classes", parse_classes},   {"limit", parse_limit},
               {"binarise", parse_binarise}, {"flip", parse_flip},
               {"pad-crop", parse_pad_crop}};
enum { N_OPTIONS = sizeof options / sizeof *options };

static lm_status unknown_option(const char *word) {
    const char *names[N_OPTIONS + 1] = {0};
    lm_str list = LM_STR_INIT;
    for (int i = 0; i < N_OPTIONS; i++) {
        names[i] = options[i].name;
        lm_str_printf(&list, "%s%s",
                      i == 0              ? ""
                      : i < N_OPTIONS - 1 ? ", "
                                          : " or ",
                      names[i]);
    }
    const char *nearest = lm_nearest(word, names);
    lm_status status =
        lm_fail(LM_ARG, "data option '%s': expected %s%s%s%s", word,
                lm_str_text(&list) ? list.text : "", nearest ? "; did you mean " : "",
                nearest ? nearest : "", nearest ? "?" : "");
    lm_str_release(&list);
    return status;
}

static lm_status parse_option(lm_transform *t, char *word, unsigned *seen) {
    char *value = strchr(word, '=');
    if (value) *value++ = '\0';
    for (int i = 0; i < N_OPTIONS; i++) {
        if (strcmp(word, options[i].name) != 0) continue;
        LM_RETURN_IF(*seen >> i & 1, LM_ARG, "data option %s: given twice", word);
        *seen |= 1u << i;
        return options[i].parse(t, value);
    }
    return unknown_option(word);
}

lm_transform lm_transform_default(void) {
    return (lm_transform){.filter = LM_FILTER_LANCZOS, .background = {255, 255, 255}};
}

lm_status lm_transform_parse(const char *text, lm_transform *transform) {
    *transform = lm_transform_default();
    char *copy = lm_strdup(text), *next = copy;
    if (!copy) return LM_NOMEM;
    unsigned seen = 0;
    lm_status status = LM_OK;
    while (next && status == LM_OK) {
        char *word = next, *end = strchr(word, '&');
        next = end ? end + 1 : NULL;
        if (end) *end = '\0';
        status = parse_option(transform, word, &seen);
    }
    lm_free(copy);
    LM_RETURN_IF(status == LM_OK && transform->fit != LM_FIT_CROP && !transform->size,
                 LM_ARG, "data option fit: says how to reach a size; expected size, too");
    return status;
}

/* ---- the images -------------------------------------------------------------- */

typedef struct transformed {
    lm_dataset *inner;
    lm_transform how;
    int32_t *index;     /* chosen images of the inner set, NULL: all */
    const char **names; /* of the chosen classes, NULL: as they were */
} transformed;

/* The size that a picture has when it is as large as fits into a square of `edge`, the
 * shorter side rounded. */
static void shrink_sides(const lm_image *image, int edge, int *height, int *width) {
    int64_t h = image->height, w = image->width, longer = h > w ? h : w;
    *height = (int)((2 * h * edge + longer) / (2 * longer));
    *width = (int)((2 * w * edge + longer) / (2 * longer));
    if (*height == 0) *height = 1;
    if (*width == 0) *width = 1;
}

static lm_status fit_cropped(const lm_transform *how, const lm_image *from,
                             lm_image *to) {
    int edge = from->height < from->width ? from->height : from->width;
    lm_image square;
    if (from->height == from->width)
        return lm_image_resize(from, how->size, how->size, how->filter, to);
    LM_TRY(lm_image_crop(from, edge, edge, &square));
    lm_status status = lm_image_resize(&square, how->size, how->size, how->filter, to);
    lm_image_release(&square);
    return status;
}

static lm_status fit_padded(const lm_transform *how, const lm_image *from, lm_image *to) {
    int height, width;
    lm_image small = {0};
    shrink_sides(from, how->size, &height, &width);
    LM_TRY(lm_image_resize(from, height, width, how->filter, &small));
    lm_status status = lm_image_pad(&small, how->size, how->size, how->background, to);
    lm_image_release(&small);
    return status;
}

typedef lm_status (*fit_function)(const lm_transform *how, const lm_image *from,
                                  lm_image *to);
static const fit_function fit_functions[] = {
    [LM_FIT_CROP] = fit_cropped, [LM_FIT_PAD] = fit_padded};

/* Replaces the image by what a step makes of it. */
static void replace(lm_image *image, lm_image *made) {
    lm_image_release(image);
    *image = *made;
}

/* Drawn by the image's place in the set and the value's in the image, so that every epoch
 * and every run sees the same. Where all numbers decide alike, none is made. */
enum { BINARISE_STREAM = 1 };

static void make_binary(lm_binarise how, int64_t index, lm_image *image) {
    size_t count = (size_t)image->height * image->width * image->channels;
    lm_rng rng = {.stream = BINARISE_STREAM, .sample = (uint32_t)index};
    for (size_t i = 0; i < count; i++) {
        uint8_t value = image->pixels[i];
        if (value == 0 || value == 255) continue;
        rng.element = (uint32_t)i;
        double above = how == LM_BINARISE_DRAW ? 255 * lm_rng_uniform(&rng) : 127;
        image->pixels[i] = value > above ? 255 : 0;
    }
}

static lm_status apply(const lm_transform *how, int channels, int64_t index,
                       lm_image *image) {
    lm_image made = {0};
    if (how->crop_height) {
        LM_TRY(lm_image_crop(image, how->crop_height, how->crop_width, &made));
        replace(image, &made);
    }
    if (how->size && (image->height != how->size || image->width != how->size)) {
        LM_TRY(fit_functions[how->fit](how, image, &made));
        replace(image, &made);
    }
    LM_TRY(lm_image_set_channels(image, channels));
    if (how->binarise) make_binary(how->binarise, index, image);
    return LM_OK;
}

static int32_t new_label(const lm_transform *how, int32_t label) {
    for (int i = 0; i < how->n_chosen; i++)
        if (how->chosen[i] == label) return i;
    return how->n_chosen ? -1 : label;
}

static int64_t inner_index(const transformed *t, int64_t index) {
    return t->index ? t->index[index] : index;
}

static lm_status read(const lm_dataset *set, int64_t index, lm_image *image,
                      int32_t *label) {
    const transformed *t = set->state;
    LM_TRY(lm_dataset_read(t->inner, inner_index(t, index), image, label));
    *label = new_label(&t->how, *label);
    lm_status status = apply(&t->how, set->channels, inner_index(t, index), image);
    if (status == LM_OK) return LM_OK;
    lm_image_release(image);
    return lm_dataset_fail(t->inner, inner_index(t, index), status);
}

static lm_status get(const lm_dataset *set, int64_t index, uint8_t *pixels,
                     int32_t *label) {
    const transformed *t = set->state;
    bool as_it_is = !t->how.size && !t->how.crop_height && !t->how.binarise;
    if (as_it_is && set->channels == t->inner->channels) {
        LM_TRY(t->inner->get(t->inner, inner_index(t, index), pixels, label));
        *label = new_label(&t->how, *label);
        return LM_OK;
    }
    lm_image image = {0};
    LM_TRY(read(set, index, &image, label));
    memcpy(pixels, image.pixels, (size_t)set->height * set->width * set->channels);
    lm_image_release(&image);
    return LM_OK;
}

static lm_status get_label(const lm_dataset *set, int64_t index, int32_t *label) {
    const transformed *t = set->state;
    LM_TRY(lm_dataset_label(t->inner, inner_index(t, index), label));
    *label = new_label(&t->how, *label);
    return LM_OK;
}

static lm_status get_attributes(const lm_dataset *set, int64_t index, float *values) {
    const transformed *t = set->state;
    return t->inner->attributes(t->inner, inner_index(t, index), values);
}

static void name_item(const lm_dataset *set, int64_t index, lm_str *name) {
    const transformed *t = set->state;
    t->inner->item(t->inner, inner_index(t, index), name);
}

/* ---- making ------------------------------------------------------------------ */

static void release(lm_dataset *set) {
    transformed *t = set->state;
    if (!t) return;
    lm_dataset_free(t->inner);
    lm_free(t->index);
    lm_free(t->names);
    lm_free(t);
}

/* Lists the images of the chosen classes. */
static lm_status list_chosen(transformed *t, int64_t *count) {
    const lm_dataset *inner = t->inner;
    LM_RETURN_IF(inner->endless || inner->classes == 0, LM_ARG,
                 "data option classes: %s %s", inner->name,
                 inner->endless ? "is endless" : "has no labels");
    for (int i = 0; i < t->how.n_chosen; i++)
        LM_RETURN_IF(t->how.chosen[i] >= inner->classes, LM_ARG,
                     "data option classes: %s has labels 0 to %d, not %d", inner->name,
                     inner->classes - 1, t->how.chosen[i]);
    t->index = lm_alloc((size_t)inner->count * sizeof *t->index);
    lm_status status = t->index ? LM_OK : LM_NOMEM;
    *count = 0;
    for (int64_t i = 0; i < inner->count && status == LM_OK; i++) {
        int32_t label;
        status = lm_dataset_label(inner, i, &label);
        if (status == LM_OK && is_chosen(&t->how, label))
            t->index[(*count)++] = (int32_t)i;
    }
    LM_RETURN_IF(status == LM_OK && *count == 0, LM_ARG,
                 "data option classes: %s has no such image", inner->name);
    return status;
}

static void set_functions(lm_dataset *made, const lm_dataset *inner) {
    made->get = made->height ? get : NULL;
    made->read = read;
    made->label = get_label;
    made->n_attributes = inner->n_attributes;
    made->attribute_names = inner->attribute_names;
    made->attribute_kinds = inner->attribute_kinds;
    made->attributes = inner->attributes ? get_attributes : NULL;
    made->item = inner->item ? name_item : NULL;
}

static lm_status name_classes(transformed *t, lm_dataset *made) {
    const char *const *names = t->inner->class_names;
    made->class_names = names;
    if (!names || !t->how.n_chosen) return LM_OK;
    t->names = lm_alloc((size_t)t->how.n_chosen * sizeof *t->names);
    if (!t->names) return LM_NOMEM;
    for (int i = 0; i < t->how.n_chosen; i++) t->names[i] = names[t->how.chosen[i]];
    made->class_names = t->names;
    return LM_OK;
}

/* The size of what is seen, where it is known before an image is. */
static lm_status find_size(const transformed *t, int *height, int *width) {
    const lm_dataset *inner = t->inner;
    const lm_transform *how = &t->how;
    LM_RETURN_IF(inner->height &&
                     (how->crop_height > inner->height || how->crop_width > inner->width),
                 LM_ARG, "data option crop: %s has images of %d rows of %d pixels",
                 inner->name, inner->height, inner->width);
    *height = how->size ? how->size : how->crop_height ? how->crop_height : inner->height;
    *width = how->size ? how->size : how->crop_width ? how->crop_width : inner->width;
    return LM_OK;
}

static lm_status check_pad(const lm_transform *how, const lm_dataset *set) {
    int edge = set->height < set->width ? set->height : set->width;
    LM_RETURN_IF(edge && how->augment.pad >= edge, LM_ARG,
                 "data option pad-crop=%d: %s has images of %d x %d pixels",
                 how->augment.pad, set->name, set->height, set->width);
    return LM_OK;
}

/* Fills in what is seen through the transformation. */
static lm_status describe(lm_dataset *made, const char *text) {
    transformed *t = made->state;
    lm_dataset *inner = t->inner;
    lm_dataset_take_files(made, inner);
    LM_TRY(find_size(t, &made->height, &made->width));
    made->channels = t->how.channels ? t->how.channels : inner->channels;
    made->classes = t->how.n_chosen ? t->how.n_chosen : inner->classes;
    made->count = inner->count;
    made->endless = inner->endless;
    if (t->how.n_chosen) LM_TRY(list_chosen(t, &made->count));
    if (t->how.limit && t->how.limit < made->count) {
        made->count = t->how.limit;
        made->endless = false;
    }
    LM_TRY(check_pad(&t->how, made));
    made->augment = t->how.augment;
    made->hash = lm_hash_bytes(inner->hash, text, strlen(text));
    set_functions(made, inner);
    return name_classes(t, made);
}

lm_status lm_dataset_transform(const lm_transform *transform, const char *text,
                               lm_dataset **set) {
    if (*transform->label)
        LM_TRY(lm_dataset_relabel(transform->label, transform->parts, set));
    lm_dataset *inner = *set, *made = NULL;
    lm_str name = LM_STR_INIT;
    *set = NULL;
    lm_str_printf(&name, "%s?%s", inner->name, text);
    transformed *t = lm_calloc(1, sizeof *t);
    lm_status status =
        t && !name.failed ? lm_dataset_new(name.text, inner->source, &made) : LM_NOMEM;
    lm_str_release(&name);
    if (status != LM_OK) {
        lm_free(t);
        lm_dataset_free(inner);
        return status;
    }
    *t = (transformed){.inner = inner, .how = *transform};
    made->state = t;
    made->release = release;
    status = describe(made, text);
    if (status == LM_OK)
        *set = made;
    else
        lm_dataset_free(made);
    return status;
}
