/* Judges as files. */
#include "base/arena.h"
#include "base/mem.h"
#include "eval/judge_internal.h"
#include "tensor/safetensors.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Larger images are nothing that a judge is trained on; what compiling takes is bounded
 * by them. */
enum { MOST_SIDE = 1024, MOST_CLASSES = 100000, MOST_META = 16 };

/* ---- the card ---------------------------------------------------------------- */

void lm_judge_card_release(lm_judge_card *card) {
    lm_free(card->set);
    lm_free(card->preset);
    lm_free(card->version);
    for (int i = 0; i < card->n_names; i++) lm_free(card->class_names[i]);
    lm_free(card->class_names);
    *card = (lm_judge_card){0};
}

static lm_status add_name(lm_judge_card *card, const char *name) {
    card->class_names[card->n_names] = lm_strdup(name);
    return card->class_names[card->n_names++] ? LM_OK : LM_NOMEM;
}

lm_status lm_judge_card_name(lm_judge_card *card, const lm_dataset *set) {
    if (!set->class_names) return LM_OK;
    card->class_names = lm_calloc((size_t)set->classes, sizeof *card->class_names);
    if (!card->class_names) return LM_NOMEM;
    for (int i = 0; i < set->classes; i++) LM_TRY(add_name(card, set->class_names[i]));
    return LM_OK;
}

/* ---- writing ----------------------------------------------------------------- */

/* Metadata under way. */
typedef struct meta_list {
    lm_arena arena;
    lm_st_meta rows[MOST_META];
    int count;
    bool failed;
} meta_list;

/* `text` must live as long as the list; NULL: there was no memory for it. */
static void add_meta(meta_list *list, const char *key, const char *text) {
    if (text)
        list->rows[list->count++] = (lm_st_meta){key, text};
    else
        list->failed = true;
}

static void add_number(meta_list *list, const char *key, int64_t number) {
    add_meta(list, key, lm_arena_printf(&list->arena, "%" PRId64, number));
}

/* "key=value key=value", all that has a value. */
static void add_settings(meta_list *list, const lm_settings *settings) {
    lm_str text = LM_STR_INIT;
    for (int i = 0; i < settings->count; i++)
        if (settings->values[i].text && settings->values[i].text[0])
            lm_str_printf(&text, "%s%s=%s", text.length ? " " : "",
                          settings->table[i].name, settings->values[i].text);
    const char *whole = lm_str_text(&text);
    add_meta(list, "settings", whole ? lm_arena_strdup(&list->arena, whole) : NULL);
    lm_str_release(&text);
}

static void add_names(meta_list *list, const lm_judge_card *card) {
    if (!card->n_names) return;
    json_t *names = json_array();
    for (int i = 0; i < card->n_names; i++)
        json_array_append_new(names, json_string(card->class_names[i]));
    char *text = json_dumps(names, JSON_COMPACT);
    add_meta(list, "class_names", text ? lm_arena_strdup(&list->arena, text) : NULL);
    free(text);
    json_decref(names);
}

static void list_meta(const lm_judge *judge, meta_list *list) {
    const lm_judge_card *card = &judge->card;
    const lm_image_info *info = &judge->model->info;
    add_meta(list, "limn", card->version);
    add_meta(list, "kind", "judge");
    add_meta(list, "family", judge->model->family->name);
    add_settings(list, &judge->model->settings);
    add_meta(list, "image",
             lm_arena_printf(&list->arena, "%dx%dx%d", info->height, info->width,
                             info->channels));
    add_number(list, "classes", info->classes);
    add_names(list, card);
    add_meta(list, "set", card->set);
    add_meta(list, "data_hash",
             lm_arena_printf(&list->arena, "%016" PRIx64, card->data_hash));
    add_meta(list, "preset", card->preset);
    add_meta(list, "seed", lm_arena_printf(&list->arena, "%" PRIu64, card->seed));
    add_number(list, "steps", card->steps);
    add_number(list, "images", card->images);
    add_number(list, "tested", card->tested);
    add_number(list, "correct", card->correct);
}

lm_status lm_judge_write(const lm_judge *judge, const char *path) {
    const lm_params *params = judge->model->groups[0];
    lm_st_entry *entries = lm_calloc((size_t)params->n_slices, sizeof *entries);
    if (!entries) return LM_NOMEM;
    for (int i = 0; i < params->n_slices; i++)
        entries[i] =
            (lm_st_entry){params->slices[i].name, LM_F16, params->slices[i].shape,
                          judge->weights + params->slices[i].offset};
    meta_list list = {.arena = LM_ARENA_INIT};
    list_meta(judge, &list);
    lm_status status = list.failed ? LM_NOMEM
                                   : lm_safetensors_write(path, entries, params->n_slices,
                                                          list.rows, list.count);
    lm_arena_release(&list.arena);
    lm_free(entries);
    return status;
}

/* ---- reading ----------------------------------------------------------------- */

static lm_status read_text(const lm_safetensors *file, const char *key, char **text) {
    const char *found = lm_safetensors_meta(file, key);
    LM_RETURN_IF(!found, LM_FORMAT, "not a judge: no metadata %s", key);
    *text = lm_strdup(found);
    return *text ? LM_OK : LM_NOMEM;
}

static lm_status read_count(const lm_safetensors *file, const char *key, int64_t most,
                            int64_t *count) {
    const char *found = lm_safetensors_meta(file, key);
    LM_RETURN_IF(!found || !lm_parse_int(found, count) || *count < 0 || *count > most,
                 LM_FORMAT, "metadata %s is %.40s: expected a count", key,
                 found ? found : "missing");
    return LM_OK;
}

/* 64 bits to the given base. */
static lm_status read_word(const lm_safetensors *file, const char *key, int base,
                           uint64_t *word) {
    const char *found = lm_safetensors_meta(file, key);
    char *end = NULL;
    if (found) *word = strtoull(found, &end, base);
    LM_RETURN_IF(!found || !*found || *end, LM_FORMAT,
                 "metadata %s is %.40s: expected a number", key,
                 found ? found : "missing");
    return LM_OK;
}

static lm_status json_to_names(const json_t *json, int classes, lm_judge_card *card) {
    LM_RETURN_IF(!json_is_array(json) || json_array_size(json) != (size_t)classes,
                 LM_FORMAT, "metadata class_names: expected a list of %d texts", classes);
    card->class_names = lm_calloc((size_t)classes, sizeof *card->class_names);
    if (!card->class_names) return LM_NOMEM;
    for (int i = 0; i < classes; i++) {
        const char *name = json_string_value(json_array_get(json, (size_t)i));
        LM_RETURN_IF(!name, LM_FORMAT, "metadata class_names: expected texts");
        LM_TRY(add_name(card, name));
    }
    return LM_OK;
}

static lm_status read_names(const lm_safetensors *file, int classes,
                            lm_judge_card *card) {
    const char *found = lm_safetensors_meta(file, "class_names");
    if (!found) return LM_OK;
    json_t *json = json_loads(found, 0, NULL);
    lm_status status = json_to_names(json, classes, card);
    json_decref(json);
    return status;
}

static lm_status read_card(const lm_safetensors *file, int classes, lm_judge_card *card) {
    LM_TRY(read_text(file, "limn", &card->version));
    LM_TRY(read_text(file, "set", &card->set));
    LM_TRY(read_text(file, "preset", &card->preset));
    LM_TRY(read_word(file, "data_hash", 16, &card->data_hash));
    LM_TRY(read_word(file, "seed", 10, &card->seed));
    LM_TRY(read_count(file, "steps", INT64_MAX, &card->steps));
    LM_TRY(read_count(file, "images", INT64_MAX, &card->images));
    LM_TRY(read_count(file, "tested", INT64_MAX, &card->tested));
    LM_TRY(read_count(file, "correct", card->tested, &card->correct));
    return read_names(file, classes, card);
}

static lm_status read_info(const lm_safetensors *file, lm_image_info *info) {
    const char *image = lm_safetensors_meta(file, "image");
    int end = 0;
    LM_RETURN_IF(!image ||
                     sscanf(image, "%4dx%4dx%1d%n", &info->height, &info->width,
                            &info->channels, &end) != 3 ||
                     image[end],
                 LM_FORMAT, "metadata image is %.40s: expected a size as 28x28x1",
                 image ? image : "missing");
    LM_RETURN_IF(
        info->height < 1 || info->width < 1 || info->height > MOST_SIDE ||
            info->width > MOST_SIDE || (info->channels != 1 && info->channels != 3),
        LM_FORMAT, "metadata image is %s: expected 1 to %d pixels, 1 or 3 colours", image,
        MOST_SIDE);
    int64_t classes;
    LM_TRY(read_count(file, "classes", MOST_CLASSES, &classes));
    info->classes = (int)classes;
    return LM_OK;
}

static lm_status read_model(const lm_safetensors *file, lm_model **model) {
    const char *kind = lm_safetensors_meta(file, "kind");
    const char *name = lm_safetensors_meta(file, "family");
    const char *text = lm_safetensors_meta(file, "settings");
    LM_RETURN_IF(!kind || strcmp(kind, "judge") != 0 || !name || !text, LM_FORMAT,
                 "not a judge: its metadata has no such kind, family and settings");
    const lm_family *family;
    lm_settings settings;
    lm_image_info info;
    LM_TRY(lm_family_find(name, &family));
    LM_RETURN_IF(!family->classify, LM_FORMAT, "family %s cannot judge", name);
    LM_TRY(read_info(file, &info));
    LM_TRY(lm_settings_init(&settings, family->options));
    lm_status status = lm_settings_apply(&settings, text);
    if (status == LM_OK) return lm_model_open(family, &settings, &info, model);
    lm_settings_release(&settings);
    return status;
}

/* The tensors must be those of the network: then there are as many bytes in the file as
 * are allocated. */
static lm_status check_tensors(const lm_safetensors *file, const lm_params *params) {
    LM_RETURN_IF(file->n_entries != params->n_slices, LM_MISMATCH,
                 "%d tensors, its settings mean %d", file->n_entries, params->n_slices);
    for (int i = 0; i < params->n_slices; i++) {
        const lm_param_slice *slice = &params->slices[i];
        const lm_st_entry *entry = lm_safetensors_find(file, slice->name);
        char wanted[LM_SHAPE_TEXT];
        LM_RETURN_IF(!entry || entry->dtype != LM_F16 ||
                         !lm_shape_equal(entry->shape, slice->shape),
                     LM_MISMATCH, "its settings mean a tensor %s f16%s", slice->name,
                     lm_shape_text(slice->shape, wanted));
    }
    return LM_OK;
}

static lm_status read_weights(const lm_safetensors *file, const lm_params *params,
                              uint16_t **weights) {
    LM_TRY(check_tensors(file, params));
    *weights = lm_alloc((size_t)params->count * sizeof **weights);
    if (!*weights) return LM_NOMEM;
    for (int i = 0; i < params->n_slices; i++) {
        const lm_param_slice *slice = &params->slices[i];
        LM_TRY(lm_safetensors_read(file, slice->name, LM_F16, slice->shape,
                                   *weights + slice->offset));
    }
    return LM_OK;
}

static lm_status read_judge(const lm_safetensors *file, lm_judge **judge) {
    lm_model *model = NULL;
    lm_judge_card card = {0};
    uint16_t *weights = NULL;
    lm_status status = read_model(file, &model);
    if (status == LM_OK) status = read_card(file, model->info.classes, &card);
    if (status == LM_OK) status = read_weights(file, model->groups[0], &weights);
    if (status == LM_OK) return lm_judge_make(model, weights, &card, judge);
    lm_free(weights);
    lm_judge_card_release(&card);
    lm_model_close(model);
    /* Settings that the family refuses are no usage of the caller's. */
    return status == LM_ARG || status == LM_NOT_FOUND ? LM_FORMAT : status;
}

/* Ends the file in every case. */
static lm_status finish_reading(lm_safetensors *file, const char *name,
                                lm_judge **judge) {
    lm_status status = read_judge(file, judge);
    lm_safetensors_release(file);
    return status == LM_OK || status == LM_NOMEM ? status
                                                 : lm_fail_context(status, "%s", name);
}

lm_status lm_judge_read(const char *path, lm_judge **judge) {
    lm_safetensors file;
    *judge = NULL;
    LM_TRY(lm_safetensors_open(&file, path));
    return finish_reading(&file, path, judge);
}

lm_status lm_judge_parse(const void *data, size_t size, const char *name,
                         lm_judge **judge) {
    lm_safetensors file;
    *judge = NULL;
    LM_TRY(lm_safetensors_parse(&file, data, size, name));
    return finish_reading(&file, name, judge);
}
