/* The training loop. */
#include "train/trainer.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/threads.h"
#include "train/drawn.h"
#include "train/guard.h"
#include "train/notices.h"
#include "train/phases.h"
#include "train/prepare.h"
#include "train/run_eval.h"
#include "train/settings.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define DEFAULT_MINUTES        10
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

/* Everything that lives while a run trains. */
typedef struct trainer {
    lm_train_request request; /* with its defaults filled in */
    lm_run run;
    lm_dataset *set;
    lm_loader *loader;
    lm_model *model;
    lm_engine *engine;
    lm_phases phases;
    lm_drawer *drawer;
    lm_drawn_source sheet; /* the same noises each time */
    lm_run_eval *eval;     /* NULL: there are no evaluations */
    int64_t evaluated;     /* step of the latest, -1 none */
    const char *doing;     /* of an evaluation under way, else NULL */
    double doing_share;
    double stopped_at; /* clock while training stands still, 0: it does not */
    lm_train_state state;
    uint8_t *pixels; /* what a step reads: its batches, one after the other */
    int32_t *labels;
    int64_t last_step;   /* INT64_MAX: no limit by steps */
    double before;       /* seconds of earlier sessions */
    double began;        /* clock at this session's first step */
    double rate_time;    /* clock and images at the last progress report, */
    int64_t rate_images; /* for the current speed */
    double rate;
    double startup;     /* seconds from the program's start to the first step's */
    double logged_wait; /* seconds of waiting for data in the log's rows so far */
    bool logged;        /* this session has a row in the log */
    char losses[LM_LOSSES_TEXT]; /* of the latest step */
    int64_t saved_step;          /* of the newest checkpoint, -1 none */
    lm_notices notices;
    lm_guard guard;
    lm_train_result *result;
} trainer;

static double seconds_trained(const trainer *t) {
    return t->before + (t->stopped_at > 0 ? t->stopped_at : lm_now()) - t->began;
}

/* Share of the run that is done: the limit that is nearest. */
static double share_done(const trainer *t) {
    double share = 0;
    if (t->last_step != INT64_MAX) share = (double)t->state.step / (double)t->last_step;
    if (t->run.limits.minutes > 0)
        share = fmax(share, seconds_trained(t) / (60 * t->run.limits.minutes));
    return fmin(share, 1);
}

static void report(trainer *t, const char *event) {
    if (!t->request.hooks.progress) return;
    double share = share_done(t), here = seconds_trained(t) - t->before;
    lm_progress progress = {
        .run = &t->run,
        .step = t->state.step,
        .images = t->state.images,
        .parameters = lm_model_parameters(t->model),
        .loss = lm_phases_first(&t->phases).loss,
        .losses = t->losses,
        .images_per_second = t->rate,
        .seconds = seconds_trained(t),
        .share = share,
        .startup = t->startup,
        .eta = share > 0.005 && here > 2 ? seconds_trained(t) / share * (1 - share) : -1,
        .event = event,
        .eval = t->result->eval[0] ? t->result->eval : NULL,
        .doing = t->doing,
        .doing_share = t->doing_share};
    t->request.hooks.progress(t->request.hooks.user, &progress);
}

/* ---- setting up -------------------------------------------------------------- */

/* Weights, position and log as they were when this checkpoint was written. */
static lm_status load_state(trainer *t, const char *path, lm_log_end *end) {
    LM_TRY(lm_checkpoint_load(path, t->model, t->engine, &t->state));
    LM_TRY(lm_run_rewind_log(&t->run, t->state.step, end));
    t->evaluated = end->evaluated;
    return lm_guard_load(&t->guard, path, t->state.step);
}

static lm_status load_weights(trainer *t, const char *path) {
    lm_log_end end;
    LM_TRY(load_state(t, path, &end));
    t->saved_step = t->state.step;
    snprintf(t->result->checkpoint, sizeof t->result->checkpoint, "%s", path);
    t->before = end.seconds;
    return LM_OK;
}

/* A run that ended before its first checkpoint has only its decisions and a log. */
static lm_status start_again(trainer *t) {
    lm_log_end end;
    LM_TRY(lm_run_rewind_log(&t->run, 0, &end));
    return lm_init_weights(t->model, t->engine, t->run.seed);
}

static lm_status start_weights(trainer *t) {
    if (!t->request.resume) return lm_init_weights(t->model, t->engine, t->run.seed);
    char *path;
    lm_status status = lm_checkpoint_latest(&t->run, &path);
    if (status == LM_NOT_FOUND) return start_again(t);
    if (status == LM_OK) status = load_weights(t, path);
    lm_free(path);
    return status;
}

static void fill_defaults(trainer *t) {
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

/* Images that a step reads. */
static int64_t step_images(const trainer *t) {
    return (int64_t)t->phases.batch * t->phases.turns.reads;
}

static lm_status make_room(trainer *t) {
    const lm_image_info *info = &t->run.info;
    int64_t size = (int64_t)info->height * info->width * info->channels;
    t->pixels = lm_alloc((size_t)(step_images(t) * size));
    t->labels = lm_alloc((size_t)step_images(t) * sizeof *t->labels);
    return t->pixels && t->labels ? LM_OK : LM_NOMEM;
}

/* The workers begin with the first batch while the programs are being compiled. */
static lm_status start_data(trainer *t) {
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
        int64_t images = step_images(t);
        int64_t steps = (limits->epochs * t->set->count + images - 1) / images;
        if (steps < t->last_step) t->last_step = steps;
    }
    return LM_OK;
}

static lm_status start_drawing(trainer *t) {
    const lm_drawer_spec how = {.request = {.steps = t->request.snapshot_steps,
                                            .eta = -1,
                                            .preview = true,
                                            .label = -1},
                                .batch = t->request.snapshot_count};
    const lm_drawn_spec sheet = {.count = t->request.snapshot_count, .seed = t->run.seed};
    LM_TRY(lm_drawer_new(t->engine, t->model, &how, &t->drawer));
    return lm_drawn_init(&t->sheet, t->drawer, t->run.folder, &sheet);
}

static lm_run_eval_spec eval_spec(const trainer *t) {
    return (lm_run_eval_spec){.metrics = t->request.eval_metrics,
                              .best = t->request.keep_best,
                              .n = t->request.eval_n};
}

static lm_status start_evaluating(trainer *t) {
    if (!t->request.eval_every) return LM_OK;
    LM_RETURN_IF(!t->drawer, LM_ARG, "--eval-every: family %s cannot sample",
                 t->run.family->name);
    const lm_run_eval_subject subject = {&t->run, t->set, t->engine, t->drawer};
    lm_run_eval_spec spec = eval_spec(t);
    return lm_run_eval_new(&spec, &subject, t->state.step, &t->eval);
}

static lm_status set_up(trainer *t) {
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

static void tear_down(trainer *t) {
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

/* ---- one step ---------------------------------------------------------------- */

static lm_status read_batches(trainer *t) {
    const lm_image_info *info = &t->run.info;
    size_t batch = (size_t)t->phases.batch;
    size_t size = (size_t)info->height * info->width * info->channels * batch;
    for (int i = 0; i < t->phases.turns.reads; i++) {
        lm_batch data;
        int64_t position = t->state.images + (int64_t)i * t->phases.batch;
        LM_TRY(lm_loader_read(t->loader, position, &data));
        memcpy(t->pixels + i * size, data.pixels, size);
        memcpy(t->labels + i * batch, data.labels, batch * sizeof *t->labels);
    }
    return LM_OK;
}

/* A run that went back must not draw again what led it astray. */
static uint64_t stream_seed(const trainer *t) {
    return t->run.seed + (uint64_t)t->state.rollbacks * 0x9E3779B97F4A7C15U;
}

static lm_status run_phases(trainer *t) {
    const lm_step_input input = {.pixels = t->pixels,
                                 .labels = t->labels,
                                 .seed = stream_seed(t),
                                 .step = t->state.step,
                                 .share = share_done(t),
                                 .halvings = t->state.rollbacks};
    lm_status status = lm_phases_run(&t->phases, &input);
    if (status != LM_NUMERIC) return status;
    return lm_fail(status, "step %" PRId64 ", %s; last good checkpoint: %s",
                   t->state.step + 1, lm_message(),
                   t->result->checkpoint[0] ? t->result->checkpoint : "none yet");
}

static lm_status train_step(trainer *t) {
    double began = lm_now();
    LM_TRY(read_batches(t));
    LM_TRY(run_phases(t));
    lm_phases_text(&t->phases, t->losses);
    t->state.step++;
    if (t->result->new_steps++ == 0) t->result->first_step = lm_now() - t->request.began;
    t->state.images += step_images(t);
    if (t->request.profile) {
        t->request.profile->steps++;
        t->request.profile->step_seconds += lm_now() - began;
    }
    return LM_OK;
}

/* ---- what happens between steps ---------------------------------------------- */

static lm_status write_checkpoint(trainer *t, const char *path) {
    if (!path) return LM_NOMEM;
    lm_checkpoint_more more = lm_guard_save(&t->guard);
    return lm_checkpoint_save(path, &t->run, t->model, t->engine, &t->state, &more);
}

/* What to go back to, unless something is suspected. */
static lm_status save_healthy(trainer *t) {
    if (t->request.on_collapse != LM_COLLAPSE_ROLLBACK) return LM_OK;
    if (!lm_watch_is_calm(t->guard.watch)) return LM_OK;
    char *path = lm_checkpoint_healthy(&t->run);
    lm_status status = write_checkpoint(t, path);
    lm_free(path);
    return status;
}

static lm_status save(trainer *t) {
    if (t->saved_step == t->state.step) return LM_OK;
    char *path = lm_run_path(&t->run, "checkpoints", t->state.step, "safetensors");
    lm_status status = write_checkpoint(t, path);
    if (status == LM_OK) status = save_healthy(t);
    if (status == LM_OK) {
        t->saved_step = t->state.step;
        snprintf(t->result->checkpoint, sizeof t->result->checkpoint, "%s", path);
        status = lm_checkpoint_prune(&t->run, t->request.keep);
        char event[1100];
        snprintf(event, sizeof event, "saved %s", path);
        report(t, event);
    }
    lm_free(path);
    return status;
}

static lm_status snapshot(trainer *t) {
    if (!t->drawer) return LM_OK;
    char *path = lm_run_path(&t->run, "samples", t->state.step, "png");
    if (!path) return LM_NOMEM;
    char text[256];
    snprintf(text, sizeof text, "limn %s on %s, step %" PRId64 ", seed %" PRIu64 ", %s",
             t->run.family->name, t->run.data, t->state.step, t->run.seed,
             t->sheet.protocol);
    lm_drawn_forget(&t->sheet);
    lm_status status = lm_drawn_sheet(&t->sheet, path, text);
    if (status == LM_OK) snprintf(t->result->sheet, sizeof t->result->sheet, "%s", path);
    lm_free(path);
    return status;
}

/* The current speed, over a second at least. */
static void measure_rate(trainer *t) {
    double now = lm_now(), spent = now - t->rate_time;
    if (spent < 1 && t->rate > 0) return;
    t->rate = (double)(t->state.images - t->rate_images) / fmax(spent, 1e-9);
    t->rate_time = now;
    t->rate_images = t->state.images;
}

static lm_status log_step(trainer *t) {
    double waited = lm_loader_waited(t->loader);
    lm_phase_result first = lm_phases_first(&t->phases);
    lm_str members = LM_STR_INIT;
    lm_status status = lm_phases_describe(&t->phases, &members);
    const lm_log_row row = {.step = t->state.step,
                            .images = t->state.images,
                            .seconds = seconds_trained(t),
                            .loss = first.loss,
                            .grad_norm = first.grad_norm,
                            .lr = first.lr,
                            .members = members.text,
                            .images_per_second = t->rate,
                            .data_wait = waited - t->logged_wait,
                            .startup = t->logged ? 0 : t->startup,
                            .first_step = t->logged ? 0 : t->result->first_step};
    t->logged_wait = waited;
    t->logged = true;
    if (status == LM_OK) status = lm_run_log(&t->run, &row);
    if (status == LM_OK)
        status = lm_notices_look(&t->notices, &t->state, row.seconds, row.members);
    lm_str_release(&members);
    return status;
}

static bool is_finished(const trainer *t) {
    if (t->state.step >= t->last_step) return true;
    return t->run.limits.minutes > 0 && seconds_trained(t) >= 60 * t->run.limits.minutes;
}

static bool wants_stop(const trainer *t) {
    return t->request.hooks.stop && t->request.hooks.stop(t->request.hooks.user);
}

static bool on_evaluation(void *user, const char *what, double share) {
    trainer *t = user;
    t->doing = what;
    t->doing_share = share;
    report(t, NULL);
    return !wants_stop(t);
}

static lm_status judge(trainer *t) {
    lm_run_eval_result result;
    const lm_eval_hook hook = {on_evaluation, t};
    LM_TRY(lm_run_eval_at(t->eval, &t->state, seconds_trained(t), &hook, &result));
    t->evaluated = t->state.step;
    LM_TRY(lm_guard_look_at_eval(&t->guard, t->state.step));
    snprintf(t->result->eval, sizeof t->result->eval, "%s", result.text);
    if (result.is_best)
        snprintf(t->result->best, sizeof t->result->best, "%s/checkpoints/best%s",
                 t->run.folder, ".safetensors");
    return LM_OK;
}

/* What it evaluates is saved first, so that no resume goes back behind it. The clock of
 * training stands still. A number that cannot be had is no reason to end a long run. */
static lm_status evaluate(trainer *t, bool *stopped) {
    LM_TRY(save(t));
    t->stopped_at = lm_now();
    lm_status status = judge(t);
    double spent = lm_now() - t->stopped_at;
    t->began += spent;
    t->rate_time += spent;
    t->stopped_at = 0;
    t->doing = NULL;
    *stopped = status == LM_INTERRUPTED;
    if (status == LM_OK || *stopped) return LM_OK;
    if (status == LM_NOMEM || status == LM_IO) return status;
    lm_log_line(LM_LOG_WARNING, "step %" PRId64 ": not evaluated: %s", t->state.step,
                lm_message());
    return LM_OK;
}

static bool evaluation_is_due(const trainer *t) {
    if (!t->eval || t->state.step == 0 || t->evaluated == t->state.step) return false;
    return t->state.step % t->request.eval_every == 0 || is_finished(t);
}

/* ---- when training goes wrong ------------------------------------------------ */

enum { MOST_ROLLBACKS = 3 };

/* Files first: a run that is killed in between does it again. */
static lm_status begin_again(trainer *t, const char *healthy, const char *why) {
    lm_notice notice = {.name = "rollback", .begins = true};
    lm_log_end end;
    int64_t from = t->state.step;
    int rollbacks = t->state.rollbacks + 1;
    LM_TRY(load_state(t, healthy, &end));
    t->state.rollbacks = rollbacks;
    LM_TRY(lm_checkpoint_drop_after(&t->run, t->state.step));
    snprintf(notice.text, sizeof notice.text,
             "rollback %d of %d, from step %" PRId64 " to %" PRId64
             ", other random numbers, learning rates halved; %s",
             rollbacks, MOST_ROLLBACKS, from, t->state.step, why);
    LM_TRY(lm_notice_tell(&t->run, &t->state, seconds_trained(t), &notice));
    lm_notices_release(&t->notices);
    LM_TRY(lm_notices_init(&t->run, t->model, &t->notices));
    lm_loader_seek(t->loader, t->state.images);
    t->rate_images = t->state.images;
    t->saved_step = -1;
    return save(t);
}

static lm_status roll_back(trainer *t, const char *why) {
    LM_RETURN_IF(t->state.rollbacks >= MOST_ROLLBACKS, LM_UNHEALTHY,
                 "step %" PRId64 ", after %d rollbacks: %s", t->state.step,
                 t->state.rollbacks, why);
    char *healthy = lm_checkpoint_healthy(&t->run);
    if (!healthy) return LM_NOMEM;
    lm_status status =
        lm_file_exists(healthy)
            ? begin_again(t, healthy, why)
            : lm_fail(LM_UNHEALTHY, "step %" PRId64 ", nothing healthy to go back to: %s",
                      t->state.step, why);
    lm_free(healthy);
    return status;
}

/* What has begun was told; this decides. */
static lm_status react(trainer *t, const lm_notice *alarm) {
    switch (t->request.on_collapse) {
    case LM_COLLAPSE_WARN:
        break;
    case LM_COLLAPSE_STOP:
        LM_TRY(log_step(t));
        LM_TRY(save(t));
        return lm_fail(LM_UNHEALTHY, "stopped at step %" PRId64 ", saved %s: %s",
                       t->state.step, t->result->checkpoint, alarm->text);
    case LM_COLLAPSE_ROLLBACK:
        return roll_back(t, alarm->text);
    }
    return LM_OK;
}

/* A step and what comes of it; *went_back: it was undone. */
static lm_status train_watched(trainer *t, bool *went_back) {
    int rollbacks = t->state.rollbacks;
    lm_status status = train_step(t);
    if (status == LM_NUMERIC && t->request.on_collapse == LM_COLLAPSE_ROLLBACK) {
        char why[LM_NOTICE_TEXT / 2];
        snprintf(why, sizeof why, "blow-up: %s", lm_message());
        status = roll_back(t, why);
    } else if (status == LM_OK) {
        lm_notice alarm;
        status =
            lm_guard_look(&t->guard, &t->phases, &t->state, seconds_trained(t), &alarm);
        if (status == LM_OK && alarm.begins) status = react(t, &alarm);
    }
    *went_back = t->state.rollbacks != rollbacks;
    return status;
}

static lm_status train_loop(trainer *t) {
    t->began = t->rate_time = lm_now();
    t->startup = t->began - t->request.began;
    t->rate_images = t->state.images;
    report(t, t->request.resume ? "resumed" : "started");
    lm_phases_profile(&t->phases, t->request.profile != NULL);
    bool stopped = false, went_back;
    if (t->state.step == 0) LM_TRY(save_healthy(t));
    if (evaluation_is_due(t)) LM_TRY(evaluate(t, &stopped)); /* was cut short */
    while (!stopped && !is_finished(t)) {
        LM_TRY(train_watched(t, &went_back));
        if (went_back) continue;
        measure_rate(t);
        bool last = is_finished(t);
        stopped = wants_stop(t);
        if (t->state.step % t->request.log_every == 0 || last || stopped)
            LM_TRY(log_step(t));
        report(t, NULL);
        if (t->state.step % t->request.save_every == 0 || last || stopped)
            LM_TRY(save(t));
        if (t->state.step % t->request.snapshot_every == 0 || last) LM_TRY(snapshot(t));
        if (!stopped && evaluation_is_due(t)) LM_TRY(evaluate(t, &stopped));
    }
    LM_RETURN_IF(stopped, LM_INTERRUPTED, "interrupted at step %" PRId64 "; saved %s",
                 t->state.step, t->result->checkpoint);
    return LM_OK;
}

lm_status lm_train(const lm_train_request *request, lm_train_result *result) {
    *result = (lm_train_result){0};
    trainer t = {
        .request = *request, .result = result, .saved_step = -1, .evaluated = -1};
    if (t.request.began <= 0) t.request.began = lm_now();
    lm_status status = set_up(&t);
    if (status == LM_OK) status = train_loop(&t);
    if (status == LM_OK && t.request.profile)
        status = lm_phases_add_profile(&t.phases, t.request.profile);
    result->state = t.state;
    result->loss = lm_phases_first(&t.phases).loss;
    memcpy(result->losses, t.losses, sizeof result->losses);
    result->startup = t.startup;
    if (t.loader) result->data_wait = lm_loader_waited(t.loader);
    if (t.began > 0) result->seconds = seconds_trained(&t);
    tear_down(&t);
    return status;
}
