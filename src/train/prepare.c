/* Starting or continuing a run. */
#include "train/prepare.h"

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "train/settings.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A name that does not exist was given by the caller: wrong usage. */
static lm_status as_usage(lm_status status) {
    return status == LM_NOT_FOUND ? LM_ARG : status;
}

#define DEFAULT_MINUTES 10

static bool has_limit(const lm_limits *limits) {
    return limits->steps || limits->epochs || limits->minutes > 0;
}

static lm_status apply_settings(const lm_train_request *request, lm_run *run) {
    const lm_preset *preset;
    LM_TRY(as_usage(lm_preset_find(run->family, run->preset, &preset)));
    if (!has_limit(&run->limits)) run->limits.steps = preset->steps;
    if (!has_limit(&run->limits)) run->limits.minutes = DEFAULT_MINUTES;
    LM_TRY(lm_settings_init(&run->model, run->family->options));
    LM_TRY(lm_settings_init(&run->trainer, lm_trainer_options));
    LM_TRY(lm_apply_preset(preset, &run->model, &run->trainer));
    for (int i = 0; i < request->n_assignments; i++)
        LM_TRY(lm_assign_setting(&run->model, &run->trainer, "--set ",
                                 request->assignments[i]));
    return LM_OK;
}

/* runs/ddpm-mnist, where that is free. */
static lm_status choose_folder(lm_run *run) {
    lm_str stem = LM_STR_INIT;
    char data[64];
    snprintf(data, sizeof data, "%s",
             strrchr(run->data, '/') ? strrchr(run->data, '/') + 1 : run->data);
    for (char *c = data; *c; c++)
        if (*c == ':' || *c == '.') *c = '-';
    lm_str_printf(&stem, "runs/%s-%s", run->family->name, data);
    lm_status status =
        stem.failed ? LM_NOMEM : lm_run_free_folder(stem.text, &run->folder);
    lm_str_release(&stem);
    return status;
}

static lm_status make_folders(const lm_run *run) {
    static const char *const parts[] = {"checkpoints", "samples"};
    for (int i = 0; i < 2; i++) {
        char *path = lm_path_join(run->folder, parts[i]);
        if (!path) return LM_NOMEM;
        lm_status status = lm_make_folders(path);
        lm_free(path);
        LM_TRY(status);
    }
    return LM_OK;
}

static lm_status check_size(const lm_train_request *request, const lm_dataset *set) {
    LM_RETURN_IF(
        request->size && (request->size != set->height || request->size != set->width),
        LM_ARG, "--size %d: the run has images of %d x %d pixels; leave --size out",
        request->size, set->height, set->width);
    return LM_OK;
}

/* The SPEC with --size as one of its options; lm_free'd by the caller. */
static char *join_size(const lm_train_request *request) {
    lm_str spec = LM_STR_INIT;
    lm_str_append(&spec, request->data);
    if (request->size) lm_spec_add(&spec, "size=%d", request->size);
    char *text = spec.failed ? NULL : lm_strdup(spec.text);
    lm_str_release(&spec);
    return text;
}

static lm_status describe_data(lm_run *run, const lm_dataset *set) {
    run->info = (lm_image_info){set->height, set->width, set->channels, set->classes};
    run->data_hash = set->hash;
    run->source = lm_strdup(set->source);
    return run->source ? LM_OK : LM_NOMEM;
}

static lm_status refuse_existing(const lm_run *run) {
    char *path = lm_path_join(run->folder, "run.json");
    if (!path) return LM_NOMEM;
    bool exists = lm_file_exists(path);
    lm_free(path);
    LM_RETURN_IF(exists, LM_ARG,
                 "--out %s: holds a run already; --resume continues it, another --out "
                 "starts a new one",
                 run->folder);
    return LM_OK;
}

static lm_status check_limits(const lm_run *run, const lm_dataset *set) {
    LM_RETURN_IF(run->limits.epochs && set->endless, LM_ARG,
                 "--epochs: %s is endless; give --steps or --minutes", set->name);
    return LM_OK;
}

/* Much larger images train well, but take longer than a preset's help says. */
static void compare_size(const lm_run *run, const lm_dataset *set) {
    const lm_preset *preset;
    if (lm_preset_find(run->family, run->preset, &preset) != LM_OK) return;
    const lm_image_info *made = &preset->info;
    if (2 * set->height * set->width > 3 * made->height * made->width)
        lm_log_line(LM_LOG_WARNING,
                    "preset %s is made for %d x %d pixels, images of %s have %d x %d; "
                    "--size %d crops and resizes them",
                    run->preset, made->height, made->width, set->name, set->height,
                    set->width, made->height);
}

/* run.json is of UTF-8 alone. */
static lm_status check_text(const char *option, const char *text) {
    json_t *json = json_string(text);
    json_decref(json);
    LM_RETURN_IF(!json, LM_ARG, "%s %s: not in UTF-8", option, text);
    return LM_OK;
}

static lm_status start_run(const lm_train_request *request, lm_run *run,
                           lm_dataset **set) {
    LM_RETURN_IF(!request->family, LM_ARG,
                 "train: which family? expected a name as ddpm");
    LM_RETURN_IF(!request->data, LM_ARG,
                 "--data: not given; expected a SPEC as builtin:digits or mnist");
    LM_TRY(as_usage(lm_family_find(request->family, &run->family)));
    const char *preset = request->preset ? request->preset : run->family->presets[0].name;
    run->preset = lm_strdup(preset);
    run->data = join_size(request);
    if (!run->preset || !run->data) return LM_NOMEM;
    LM_TRY(check_text("--data", run->data));
    run->format = LM_RUN_FORMAT;
    run->seed = request->seed;
    run->limits = request->limits;
    LM_TRY(apply_settings(request, run));
    LM_TRY(lm_dataset_open(run->data, LM_SPLIT_TRAIN, set));
    LM_TRY(check_size(request, *set));
    LM_TRY(check_limits(run, *set));
    LM_TRY(describe_data(run, *set));
    lm_model *model; /* settings that do not fit are refused before a folder is made */
    LM_TRY(lm_run_model(run, &model));
    lm_model_close(model);
    if (request->preset) compare_size(run, *set);
    if (request->out) {
        run->folder = lm_strdup(request->out);
        if (!run->folder) return LM_NOMEM;
    } else
        LM_TRY(choose_folder(run));
    LM_TRY(make_folders(run));
    LM_TRY(lm_run_lock(run));
    LM_TRY(refuse_existing(run));
    return lm_run_write(run);
}

/* ---- continuing -------------------------------------------------------------- */

static lm_status must_agree(const char *option, const char *given, const char *recorded,
                            const lm_run *run) {
    LM_RETURN_IF(given && strcmp(given, recorded) != 0, LM_MISMATCH,
                 "%s %s: the run in %s was started with %s", option, given, run->folder,
                 recorded);
    return LM_OK;
}

/* With --size as it was given, or with the option that it became. */
static lm_status data_agrees(const lm_train_request *request, const lm_run *run) {
    if (!request->data || strcmp(request->data, run->data) == 0) return LM_OK;
    char *sized = join_size(request);
    lm_status status = sized ? must_agree("--data", sized, run->data, run) : LM_NOMEM;
    lm_free(sized);
    return status;
}

static lm_status settings_agree(const lm_settings *given, const lm_settings *recorded,
                                const lm_run *run) {
    for (int i = 0; i < given->count; i++) {
        const lm_option_value *a = &given->values[i], *b = &recorded->values[i];
        bool equal = a->flag == b->flag && a->integer == b->integer &&
                     a->number == b->number && a->n_ints == b->n_ints &&
                     memcmp(a->ints, b->ints, sizeof *a->ints * a->n_ints) == 0;
        lm_option_type type = given->table[i].type;
        if (type == LM_OPT_TEXT || type == LM_OPT_CHOICE)
            equal = strcmp(a->text, b->text) == 0;
        LM_RETURN_IF(a->is_set && !equal, LM_MISMATCH,
                     "--set %s=%s: the run in %s was started with %s",
                     given->table[i].name, a->text, run->folder, b->text);
    }
    return LM_OK;
}

/* Only what was given by --set is compared; everything else is the run's. */
static lm_status assignments_agree(const lm_train_request *request, const lm_run *run) {
    lm_settings model, trainer;
    LM_TRY(lm_settings_init(&model, run->family->options));
    lm_status status = lm_settings_init(&trainer, lm_trainer_options);
    for (int i = 0; i < request->n_assignments && status == LM_OK; i++)
        status = lm_assign_setting(&model, &trainer, "--set ", request->assignments[i]);
    if (status == LM_OK) status = settings_agree(&model, &run->model, run);
    if (status == LM_OK) status = settings_agree(&trainer, &run->trainer, run);
    lm_settings_release(&trainer);
    lm_settings_release(&model);
    return status;
}

static lm_status continue_run(const lm_train_request *request, lm_run *run,
                              lm_dataset **set) {
    LM_RETURN_IF(!request->out, LM_ARG,
                 "--resume: which run? give its folder with --out");
    LM_TRY(lm_run_read(request->out, run));
    LM_TRY(must_agree("family", request->family, run->family->name, run));
    LM_TRY(data_agrees(request, run));
    LM_TRY(must_agree("--preset", request->preset, run->preset, run));
    LM_RETURN_IF(request->seed_given && request->seed != run->seed, LM_MISMATCH,
                 "--seed %" PRIu64 ": the run in %s was started with %" PRIu64,
                 request->seed, run->folder, run->seed);
    LM_TRY(assignments_agree(request, run));
    LM_TRY(make_folders(run));
    LM_TRY(lm_run_lock(run));
    LM_TRY(lm_dataset_open(run->data, LM_SPLIT_TRAIN, set));
    LM_RETURN_IF((*set)->hash != run->data_hash, LM_MISMATCH,
                 "--data %s: not the data that %s was started with (hash %016" PRIx64
                 ", expected %016" PRIx64 ")",
                 run->data, run->folder, (*set)->hash, run->data_hash);
    LM_RETURN_IF(
        run->format < LM_RUN_FORMAT && !(*set)->endless, LM_MISMATCH,
        "%s: a run of an earlier version, which saw the images in another order; "
        "it can be drawn from, but not continued",
        run->folder);
    LM_TRY(check_size(request, *set));
    if (!has_limit(&request->limits)) return LM_OK;
    run->limits = request->limits;
    LM_TRY(check_limits(run, *set));
    return lm_run_write(run);
}

lm_status lm_prepare_run(const lm_train_request *request, lm_run *run, lm_dataset **set) {
    *run = (lm_run){0};
    *set = NULL;
    lm_status status =
        request->resume ? continue_run(request, run, set) : start_run(request, run, set);
    if (status != LM_OK) {
        lm_dataset_free(*set);
        *set = NULL;
        lm_run_release(run);
    }
    return status;
}
