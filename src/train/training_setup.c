/* From a request to a run that can make its first step, new or resumed. */
#include "train/training.h"

#include "base/mem.h"
#include "base/threads.h"
#include "train/prepare.h"
#include "train/settings.h"

#include <stdio.h>

#define DEFAULT_SAVE_EVERY     500
#define DEFAULT_SNAPSHOT_EVERY 500
#define DEFAULT_LOG_EVERY      10
#define DEFAULT_KEEP           2
#define DEFAULT_SNAPSHOT_COUNT 64
#define DEFAULT_SNAPSHOT_STEPS 25
#define DEFAULT_EVAL_N         1000
#define DEFAULT_EVAL_METRICS   "fid"

/* One worker keeps the steps of a few cores in data. */
#define THREADS_A_WORKER 8

lm_status lm_training_load(lm_training *t, const char *path, lm_log_end *end) {
    LM_TRY(lm_checkpoint_load(path, t->model, t->engine, &t->state));
    LM_TRY(lm_run_rewind_log(&t->run, t->state.step, end));
    t->evaluated = end->evaluated;
    return lm_guard_load(&t->guard, path, t->state.step);
}

static lm_status load_weights(lm_training *t, const char *path) {
    lm_log_end end;
    LM_TRY(lm_training_load(t, path, &end));
    t->saved_step = t->state.step;
    snprintf(t->result->checkpoint, sizeof t->result->checkpoint, "%s", path);
    t->before = end.seconds;
    return LM_OK;
}

/* A run that ended before its first checkpoint has only its decisions and a log. */
static lm_status start_again(lm_training *t) {
    lm_log_end end;
    LM_TRY(lm_run_rewind_log(&t->run, 0, &end));
    return lm_init_weights(t->model, t->engine, t->run.seed);
}

static lm_status start_weights(lm_training *t) {
    if (!t->request.resume) return lm_init_weights(t->model, t->engine, t->run.seed);
    char *path;
    lm_status status = lm_checkpoint_latest(&t->run, &path);
    if (status == LM_NOT_FOUND) return start_again(t);
    if (status == LM_OK) status = load_weights(t, path);
    lm_free(path);
    return status;
}

static void fill_defaults(lm_training *t) {
    lm_train_request *r = &t->request;
    if (!r->save_every) r->save_every = DEFAULT_SAVE_EVERY;
    if (!r->snapshot_every) r->snapshot_every = DEFAULT_SNAPSHOT_EVERY;
    if (!r->log_every) r->log_every = DEFAULT_LOG_EVERY;
    if (!r->keep) r->keep = DEFAULT_KEEP;
    if (!r->snapshot_count) r->snapshot_count = DEFAULT_SNAPSHOT_COUNT;
    if (!r->snapshot_steps) r->snapshot_steps = DEFAULT_SNAPSHOT_STEPS;
    if (!r->eval_n) r->eval_n = DEFAULT_EVAL_N;
    if (!r->eval_metrics) r->eval_metrics = DEFAULT_EVAL_METRICS;
}

static int count_workers(const lm_train_request *request) {
    return request->workers_given ? request->workers
                                  : 1 + (lm_threads() - 1) / THREADS_A_WORKER;
}

static lm_status make_room(lm_training *t) {
    const lm_image_info *info = &t->run.info;
    int64_t size = (int64_t)info->height * info->width * info->channels;
    t->pixels = lm_alloc((size_t)(lm_training_step_images(t) * size));
    t->labels = lm_alloc((size_t)lm_training_step_images(t) * sizeof *t->labels);
    return t->pixels && t->labels ? LM_OK : LM_NOMEM;
}

/* The workers begin with the first batch while the programs are being compiled. */
static lm_status start_data(lm_training *t) {
    const lm_loader_spec spec = {.batch = t->phases.batch,
                                 .seed = t->run.seed,
                                 .workers = count_workers(&t->request),
                                 .flip = lm_setting_flag(&t->run.trainer, "flip")};
    LM_TRY(make_room(t));
    LM_TRY(lm_loader_new(t->set, &spec, &t->loader));
    lm_loader_seek(t->loader, t->state.images);
    const lm_limits *limits = &t->run.limits;
    t->last_step = limits->steps ? limits->steps : INT64_MAX;
    if (limits->epochs) {
        int64_t images = lm_training_step_images(t);
        int64_t steps = (limits->epochs * t->set->count + images - 1) / images;
        if (steps < t->last_step) t->last_step = steps;
    }
    return LM_OK;
}

static lm_status start_drawing(lm_training *t) {
    const lm_drawer_spec how = {.request = {.steps = t->request.snapshot_steps,
                                            .cut_steps = true,
                                            .eta = -1,
                                            .preview = true,
                                            .label = -1},
                                .batch = t->request.snapshot_count};
    const lm_drawn_spec sheet = {.count = t->request.snapshot_count, .seed = t->run.seed};
    LM_TRY(lm_drawer_new(t->engine, t->model, &how, &t->drawer));
    return lm_drawn_init(&t->sheet, t->drawer, t->run.folder, &sheet);
}

static lm_run_eval_spec eval_spec(const lm_training *t) {
    return (lm_run_eval_spec){.metrics = t->request.eval_metrics,
                              .best = t->request.keep_best,
                              .n = t->request.eval_n};
}

static lm_status start_evaluating(lm_training *t) {
    if (!t->request.eval_every) return LM_OK;
    LM_RETURN_IF(!t->drawer, LM_ARG, "--eval-every: family %s cannot sample",
                 t->run.family->name);
    const lm_run_eval_subject subject = {&t->run, t->set, t->engine, t->drawer};
    lm_run_eval_spec spec = eval_spec(t);
    return lm_run_eval_new(&spec, &subject, t->state.step, &t->eval);
}

lm_status lm_training_set_up(lm_training *t) {
    fill_defaults(t);
    lm_run_eval_spec eval = eval_spec(t);
    if (t->request.eval_every) LM_TRY(lm_run_eval_check(&eval)); /* before a folder is */
    LM_TRY(lm_prepare_run(&t->request, &t->run, &t->set));
    LM_TRY(lm_run_model(&t->run, &t->model));
    lm_backend_options kernels = lm_trainer_engine(&t->run.trainer);
    LM_TRY(lm_engine_new("cpu", &t->engine));
    LM_TRY(lm_engine_configure(t->engine, &kernels));
    LM_TRY(lm_checkpoint_add_vars(t->model, t->engine));
    LM_TRY(lm_guard_init(&t->run, t->model, &t->guard));
    LM_TRY(start_weights(t));
    LM_TRY(lm_notices_init(&t->run, t->model, &t->notices));
    LM_TRY(lm_phases_init(t->model, &t->run.trainer,
                          (int)lm_setting_int(&t->run.trainer, "batch"), &t->phases));
    LM_TRY(start_data(t));
    LM_TRY(lm_phases_compile(&t->phases, t->engine));
    if (t->model->family->sampler) LM_TRY(start_drawing(t));
    return start_evaluating(t);
}

void lm_training_tear_down(lm_training *t) {
    lm_guard_release(&t->guard);
    lm_notices_release(&t->notices);
    lm_run_eval_free(t->eval);
    lm_drawn_release(&t->sheet);
    lm_drawer_free(t->drawer);
    lm_phases_release(&t->phases);
    lm_engine_free(t->engine);
    lm_model_close(t->model);
    lm_loader_free(t->loader);
    lm_dataset_free(t->set);
    lm_run_release(&t->run);
    lm_free(t->pixels);
    lm_free(t->labels);
}
