/* Saving and loading training state. */
#include "train/checkpoint.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/version.h"

#include <assert.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *lm_group_var(const lm_params *group, lm_group_part part,
                         char name[LM_GROUP_NAME]) {
    static const char *const endings[LM_GROUP_PARTS] = {"", ".m", ".v", ".ema"};
    snprintf(name, LM_GROUP_NAME, "%s%s", group->name, endings[part]);
    return name;
}

/* A variable of a model: a part of a group, or the buffers, which have but one. */
typedef struct model_var {
    const lm_params *params;
    lm_group_part part;
} model_var;
enum { MOST_VARS = LM_MAX_GROUPS * LM_GROUP_PARTS + 1 };

static bool has_part(const lm_params *group, lm_group_part part) {
    return part != LM_GROUP_EMA || !group->no_average;
}

static int list_vars(const lm_model *model, model_var vars[MOST_VARS]) {
    int count = 0;
    for (int g = 0; g < model->n_groups; g++)
        for (lm_group_part p = 0; p < LM_GROUP_PARTS; p++)
            if (has_part(model->groups[g], p))
                vars[count++] = (model_var){model->groups[g], p};
    if (model->buffers) vars[count++] = (model_var){model->buffers, LM_GROUP_WEIGHTS};
    return count;
}

lm_status lm_checkpoint_add_vars(const lm_model *model, lm_engine *engine) {
    char name[LM_GROUP_NAME];
    model_var vars[MOST_VARS];
    int count = list_vars(model, vars);
    for (int i = 0; i < count; i++)
        LM_TRY(lm_engine_add_var(engine, lm_group_var(vars[i].params, vars[i].part, name),
                                 vars[i].params->count));
    return LM_OK;
}

lm_status lm_checkpoint_add_part(const lm_model *model, lm_group_part part,
                                 lm_engine *engine) {
    char name[LM_GROUP_NAME];
    for (int g = 0; g < model->n_groups; g++)
        if (has_part(model->groups[g], part))
            LM_TRY(lm_engine_add_var(engine, lm_group_var(model->groups[g], part, name),
                                     model->groups[g]->count));
    if (!model->buffers) return LM_OK;
    return lm_engine_add_var(engine, model->buffers->name, model->buffers->count);
}

/* ---- saving ------------------------------------------------------------------ */

/* Names in the file: of a number in the metadata, and of a tensor. */
#define ROLLBACKS "rollbacks"
#define WATCH     "watch"

/* Host copies of all variables, and an entry for each slice of each. */
typedef struct snapshot {
    lm_arena arena;
    lm_st_entry *entries;
    int count;
} snapshot;

static lm_status add_part(snapshot *snap, const lm_params *group, lm_group_part part,
                          lm_engine *engine) {
    char name[LM_GROUP_NAME];
    lm_group_var(group, part, name);
    float *values = lm_arena_alloc(&snap->arena, group->count * sizeof(float));
    if (!values) return LM_NOMEM;
    LM_TRY(lm_engine_read_var(engine, name, 0, group->count, LM_F32, values));
    for (int s = 0; s < group->n_slices; s++) {
        const lm_param_slice *slice = &group->slices[s];
        lm_st_entry *entry = &snap->entries[snap->count++];
        entry->name = lm_arena_printf(&snap->arena, "%s/%s", name, slice->name);
        if (!entry->name) return LM_NOMEM;
        entry->dtype = LM_F32;
        entry->shape = slice->shape;
        entry->data = values + slice->offset;
    }
    return LM_OK;
}

static lm_status take_snapshot(snapshot *snap, const lm_model *model, lm_engine *engine) {
    model_var vars[MOST_VARS];
    int count = list_vars(model, vars), slices = 1; /* and the watch's numbers */
    for (int i = 0; i < count; i++) slices += vars[i].params->n_slices;
    snap->entries = lm_arena_alloc(&snap->arena, sizeof *snap->entries * slices);
    if (!snap->entries) return LM_NOMEM;
    for (int i = 0; i < count; i++)
        LM_TRY(add_part(snap, vars[i].params, vars[i].part, engine));
    return LM_OK;
}

lm_status lm_checkpoint_save(const char *path, const lm_run *run, const lm_model *model,
                             lm_engine *engine, const lm_train_state *state,
                             const lm_checkpoint_more *more) {
    static const lm_checkpoint_more nothing = {0};
    char step[24], images[24], seed[24], hash[20], image[64], rollbacks[16];
    if (!more) more = &nothing;
    snprintf(step, sizeof step, "%" PRId64, state->step);
    snprintf(images, sizeof images, "%" PRId64, state->images);
    snprintf(seed, sizeof seed, "%" PRIu64, run->seed);
    snprintf(hash, sizeof hash, "%016" PRIx64, run->data_hash);
    snprintf(image, sizeof image, "%dx%dx%d", run->info.height, run->info.width,
             run->info.channels);
    snprintf(rollbacks, sizeof rollbacks, "%d", state->rollbacks);
    lm_st_meta meta[10 + LM_CHECKPOINT_MORE] = {
        {"limn", lm_version},    {"family", run->family->name},
        {"preset", run->preset}, {"data", run->data},
        {"data_hash", hash},     {"image", image},
        {"seed", seed},          {"step", step},
        {"images", images},
    };
    int n_meta = 9;
    if (state->rollbacks) meta[n_meta++] = (lm_st_meta){ROLLBACKS, rollbacks};
    assert(more->n_meta <= LM_CHECKPOINT_MORE);
    for (int i = 0; i < more->n_meta; i++) meta[n_meta++] = more->meta[i];
    snapshot snap = {LM_ARENA_INIT, NULL, 0};
    lm_status status = take_snapshot(&snap, model, engine);
    if (status == LM_OK && more->n_watch)
        snap.entries[snap.count++] = (lm_st_entry){.name = WATCH,
                                                   .dtype = LM_F64,
                                                   .shape = LM_SHAPE(more->n_watch),
                                                   .data = more->watch};
    if (status == LM_OK)
        status = lm_safetensors_write(path, snap.entries, snap.count, meta, n_meta);
    lm_arena_release(&snap.arena);
    return status;
}

/* ---- loading ----------------------------------------------------------------- */

static lm_status load_part(const lm_safetensors *file, const lm_params *group,
                           const char *var, lm_engine *engine) {
    float *values = lm_alloc(group->count * sizeof(float));
    if (!values) return LM_NOMEM;
    lm_status status = LM_OK;
    char name[2 * LM_GROUP_NAME];
    for (int s = 0; s < group->n_slices && status == LM_OK; s++) {
        const lm_param_slice *slice = &group->slices[s];
        snprintf(name, sizeof name, "%s/%s", var, slice->name);
        if (!lm_safetensors_find(file, name))
            status =
                lm_fail(LM_MISMATCH, "a checkpoint of another model: no tensor %s", name);
        else
            status = lm_safetensors_read(file, name, LM_F32, slice->shape,
                                         values + slice->offset);
        if (status == LM_SHAPE) status = LM_MISMATCH;
    }
    if (status == LM_OK)
        status = lm_engine_write_var(engine, var, 0, group->count, LM_F32, values);
    lm_free(values);
    return status;
}

static lm_status load_parts(const lm_safetensors *file, const lm_model *model,
                            lm_engine *engine) {
    const char *family = lm_safetensors_meta(file, "family");
    LM_RETURN_IF(!family || strcmp(family, model->family->name) != 0, LM_MISMATCH,
                 "a checkpoint of family %s: expected %s", family ? family : "(none)",
                 model->family->name);
    char name[LM_GROUP_NAME];
    model_var vars[MOST_VARS];
    int count = list_vars(model, vars);
    for (int i = 0; i < count; i++) {
        lm_group_var(vars[i].params, vars[i].part, name);
        if (lm_engine_has_var(engine, name))
            LM_TRY(load_part(file, vars[i].params, name, engine));
    }
    return LM_OK;
}

static lm_status read_count(const lm_safetensors *file, const char *key, int64_t *value) {
    const char *text = lm_safetensors_meta(file, key);
    LM_RETURN_IF(!text || !lm_parse_int(text, value) || *value < 0, LM_FORMAT,
                 "metadata %s is %s: expected a count", key, text ? text : "missing");
    return LM_OK;
}

/* A run that never went back does not say so. */
static lm_status read_rollbacks(const lm_safetensors *file, int *rollbacks) {
    int64_t count = 0;
    if (lm_safetensors_meta(file, ROLLBACKS)) LM_TRY(read_count(file, ROLLBACKS, &count));
    LM_RETURN_IF(count > INT_MAX, LM_FORMAT, "metadata " ROLLBACKS " is %" PRId64, count);
    *rollbacks = (int)count;
    return LM_OK;
}

lm_status lm_checkpoint_load_watch(const char *path, int count, double *numbers,
                                   bool *found) {
    lm_safetensors file;
    LM_TRY(lm_safetensors_open(&file, path));
    const lm_st_entry *entry = lm_safetensors_find(&file, WATCH);
    *found = entry && entry->dtype == LM_F64 && lm_shape_count(entry->shape) == count;
    lm_status status =
        *found ? lm_safetensors_read(&file, WATCH, LM_F64, LM_SHAPE(count), numbers)
               : LM_OK;
    lm_safetensors_release(&file);
    return status;
}

lm_status lm_checkpoint_load(const char *path, const lm_model *model, lm_engine *engine,
                             lm_train_state *state) {
    lm_safetensors file;
    LM_TRY(lm_safetensors_open(&file, path));
    lm_status status = load_parts(&file, model, engine);
    if (status == LM_OK) status = read_count(&file, "step", &state->step);
    if (status == LM_OK) status = read_count(&file, "images", &state->images);
    if (status == LM_OK) status = read_rollbacks(&file, &state->rollbacks);
    if (status != LM_OK && status != LM_NOMEM)
        status = lm_fail_context(status, "%s", path);
    lm_safetensors_release(&file);
    return status;
}

/* ---- the folder -------------------------------------------------------------- */

static bool is_checkpoint(const char *name) {
    size_t length = strlen(name);
    return strncmp(name, "step-", 5) == 0 && length > 17 &&
           strcmp(name + length - 12, ".safetensors") == 0;
}

/* Names have eight digits at least, so text order is step order up to 10^8 steps; beyond,
 * longer names are later. */
static int compare_steps(const void *a, const void *b) {
    const char *x = *(char *const *)a, *y = *(char *const *)b;
    size_t m = strlen(x), n = strlen(y);
    return m != n ? (m > n) - (m < n) : strcmp(x, y);
}

static lm_status list_checkpoints(const lm_run *run, char **folder, char ***names,
                                  size_t *count) {
    *count = 0;
    *names = NULL;
    *folder = lm_path_join(run->folder, "checkpoints");
    if (!*folder) return LM_NOMEM;
    if (!lm_is_folder(*folder)) return LM_OK;
    LM_TRY(lm_list_folder(*folder, is_checkpoint, names, count));
    if (*count) qsort(*names, *count, sizeof **names, compare_steps);
    return LM_OK;
}

lm_status lm_checkpoint_latest(const lm_run *run, char **path) {
    *path = NULL;
    char *folder, **names;
    size_t count;
    lm_status status = list_checkpoints(run, &folder, &names, &count);
    if (status == LM_OK && count == 0)
        status = lm_fail(LM_NOT_FOUND, "%s: no checkpoint in it", run->folder);
    if (status == LM_OK) {
        *path = lm_path_join(folder, names[count - 1]);
        if (!*path) status = LM_NOMEM;
    }
    lm_names_free(names, count);
    lm_free(folder);
    return status;
}

char *lm_checkpoint_best(const lm_run *run) {
    return lm_path_join(run->folder, "checkpoints/best.safetensors");
}

char *lm_checkpoint_healthy(const lm_run *run) {
    return lm_path_join(run->folder, "checkpoints/healthy.safetensors");
}

lm_status lm_checkpoint_find(const lm_run *run, const char *name, char **path) {
    if (!name) return lm_checkpoint_latest(run, path);
    bool best = strcmp(name, "best") == 0;
    *path = best ? lm_checkpoint_best(run) : lm_strdup(name);
    if (!*path) return LM_NOMEM;
    if (!best || lm_file_exists(*path)) return LM_OK;
    lm_free(*path);
    *path = NULL;
    return lm_fail(LM_NOT_FOUND,
                   "%s: no best checkpoint in it; training with --eval-every keeps one",
                   run->folder);
}

/* What a process that was killed while saving has left. */
static bool is_abandoned(const char *name) {
    return strstr(name, ".safetensors.tmp-") != NULL;
}

static lm_status remove_names(const char *folder, char **names, size_t count) {
    for (size_t i = 0; i < count; i++) {
        char *path = lm_path_join(folder, names[i]);
        if (!path) return LM_NOMEM;
        unlink(path);
        lm_free(path);
    }
    return LM_OK;
}

lm_status lm_checkpoint_drop_after(const lm_run *run, int64_t step) {
    char *folder, **names;
    size_t count, kept = 0;
    lm_status status = list_checkpoints(run, &folder, &names, &count);
    while (kept < count && strtoll(names[kept] + strlen("step-"), NULL, 10) <= step)
        kept++;
    if (status == LM_OK) status = remove_names(folder, names + kept, count - kept);
    lm_names_free(names, count);
    lm_free(folder);
    return status;
}

lm_status lm_checkpoint_prune(const lm_run *run, int keep) {
    char *folder, **names;
    size_t count;
    lm_status status = list_checkpoints(run, &folder, &names, &count);
    size_t surplus = count > (size_t)keep ? count - (size_t)keep : 0;
    if (status == LM_OK) status = remove_names(folder, names, surplus);
    char **left = NULL;
    size_t n_left = 0;
    if (status == LM_OK && lm_is_folder(folder))
        status = lm_list_folder(folder, is_abandoned, &left, &n_left);
    if (status == LM_OK) status = remove_names(folder, left, n_left);
    lm_names_free(left, n_left);
    lm_names_free(names, count);
    lm_free(folder);
    return status;
}
