/* The training loop. */
#include "train/trainer.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "train/draw.h"
#include "train/prepare.h"
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

/* Everything that lives while a run trains. */
typedef struct trainer {
    lm_train_request request; /* with its defaults filled in */
    lm_run run;
    lm_dataset *set;
    lm_loader *loader;
    lm_model *model;
    lm_engine *engine;
    lm_program *phases[LM_MAX_PHASES];
    lm_drawer *drawer;
    lm_train_state state;
    int batch;
    uint8_t *pixels;
    int32_t *labels;
    int64_t last_step;   /* INT64_MAX: no limit by steps */
    double before;       /* seconds of earlier sessions */
    double began;        /* clock at this session's first step */
    double rate_time;    /* clock and images at the last progress report, */
    int64_t rate_images; /* for the current speed */
    double rate;
    double loss, grad_norm, lr;
    int64_t saved_step; /* of the newest checkpoint, -1 none */
    lm_train_result *result;
} trainer;

static double seconds_trained(const trainer *t) {
    return t->before + lm_now() - t->began;
}

/* Share of the run that is done: the limit that is nearest. */
static double share_done(const trainer *t) {
    double share = 0;
    if (t->last_step != INT64_MAX) share = (double)t->state.step / (double)t->last_step;
    if (t->request.minutes > 0)
        share = fmax(share, seconds_trained(t) / (60 * t->request.minutes));
    return fmin(share, 1);
}

static void report(trainer *t, const char *event) {
    if (!t->request.hooks.progress) return;
    double share = share_done(t), here = lm_now() - t->began;
    lm_progress progress = {
        .run = &t->run,
        .step = t->state.step,
        .images = t->state.images,
        .parameters = lm_model_parameters(t->model),
        .loss = t->loss,
        .images_per_second = t->rate,
        .seconds = seconds_trained(t),
        .share = share,
        .eta = share > 0.005 && here > 2 ? seconds_trained(t) / share * (1 - share) : -1,
        .event = event};
    t->request.hooks.progress(t->request.hooks.user, &progress);
}

/* ---- setting up ----------------------------------------------------------------------
 */

static lm_status compile_phase(trainer *t, int index) {
    const lm_phase *phase = &t->model->family->phases[index];
    lm_params *group = t->model->groups[phase->group];
    const lm_image_info *info = &t->run.info;
    lm_graph *g;
    LM_TRY(lm_graph_new(&g));
    lm_nn nn = {.graph = g,
                .params = group,
                .var = group->name,
                .train = true,
                .key = lm_input(g, "key", LM_U32, LM_SHAPE(4)),
                .next_stream = 1000};
    lm_node *images =
        lm_input(g, "images", LM_U8,
                 LM_SHAPE(t->batch, info->height, info->width, info->channels));
    lm_node *labels = lm_input(g, "labels", LM_I32, LM_SHAPE(t->batch));
    lm_node *loss = phase->loss(t->model, &nn, images, labels);
    lm_graph_output(g, "loss", loss);
    lm_optim_spec spec = lm_trainer_optim(&t->run.trainer);
    lm_status status = lm_graph_status(g);
    if (status == LM_OK) status = lm_optim_adamw(&nn, loss, &spec);
    if (status == LM_OK) status = lm_compile(t->engine, g, NULL, &t->phases[index]);
    lm_graph_free(g);
    return status;
}

static lm_status init_weights(trainer *t) {
    for (int i = 0; i < t->model->n_groups; i++) {
        const lm_params *group = t->model->groups[i];
        char ema[128];
        snprintf(ema, sizeof ema, "%s.ema", group->name);
        float *values = lm_alloc(sizeof *values * group->count);
        if (!values) return LM_NOMEM;
        lm_status status = lm_params_init(group, t->run.seed, values);
        if (status == LM_OK)
            status = lm_engine_write_var(t->engine, group->name, 0, group->count, LM_F32,
                                         values);
        if (status == LM_OK)
            status = lm_engine_write_var(t->engine, ema, 0, group->count, LM_F32, values);
        lm_free(values);
        LM_TRY(status);
    }
    return LM_OK;
}

static lm_status load_weights(trainer *t) {
    char *path;
    LM_TRY(lm_checkpoint_latest(&t->run, &path));
    lm_status status = lm_checkpoint_load(path, t->model, t->engine, &t->state);
    if (status == LM_OK) {
        t->saved_step = t->state.step;
        snprintf(t->result->checkpoint, sizeof t->result->checkpoint, "%s", path);
        status = lm_run_rewind_log(&t->run, t->state.step, &t->before);
    }
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
    if (!r->steps && !r->epochs && r->minutes <= 0) r->minutes = DEFAULT_MINUTES;
}

static lm_status open_data(trainer *t) {
    t->batch = (int)lm_setting_int(&t->run.trainer, "batch");
    LM_TRY(lm_loader_new(t->set, t->batch, t->run.seed, &t->loader));
    size_t size = (size_t)t->set->height * t->set->width * t->set->channels;
    t->pixels = lm_alloc(size * t->batch);
    t->labels = lm_alloc(sizeof *t->labels * t->batch);
    if (!t->pixels || !t->labels) return LM_NOMEM;
    t->last_step = t->request.steps ? t->request.steps : INT64_MAX;
    if (t->request.epochs) {
        LM_RETURN_IF(t->set->endless, LM_ARG,
                     "--epochs: %s is endless; give --steps or --minutes", t->set->name);
        int64_t steps = (t->request.epochs * t->set->count + t->batch - 1) / t->batch;
        if (steps < t->last_step) t->last_step = steps;
    }
    return LM_OK;
}

static lm_status set_up(trainer *t) {
    fill_defaults(t);
    LM_TRY(lm_prepare_run(&t->request, &t->run, &t->set));
    LM_TRY(open_data(t));
    LM_TRY(lm_run_model(&t->run, &t->model));
    LM_TRY(lm_engine_new(t->request.backend ? t->request.backend : "cpu", &t->engine));
    LM_TRY(lm_checkpoint_add_vars(t->model, t->engine));
    LM_TRY(t->request.resume ? load_weights(t) : init_weights(t));
    for (int i = 0; i < LM_MAX_PHASES && t->model->family->phases[i].loss; i++)
        LM_TRY(compile_phase(t, i));
    if (!t->model->family->sampler) return LM_OK;
    lm_sample_request draw = {
        .steps = t->request.snapshot_steps, .eta = -1, .sampler = "ddim", .label = -1};
    return lm_drawer_new(t->engine, t->model, &draw, t->request.snapshot_count,
                         &t->drawer);
}

static void tear_down(trainer *t) {
    lm_drawer_free(t->drawer);
    for (int i = 0; i < LM_MAX_PHASES; i++) lm_program_free(t->phases[i]);
    lm_engine_free(t->engine);
    lm_model_close(t->model);
    lm_loader_free(t->loader);
    lm_dataset_free(t->set);
    lm_run_release(&t->run);
    lm_free(t->pixels);
    lm_free(t->labels);
}

/* ---- one step
 * -------------------------------------------------------------------------- */

static lm_status not_finite(trainer *t, const lm_phase *phase, lm_program *program) {
    lm_str bad = LM_STR_INIT;
    bool found = false;
    lm_status status = lm_program_find_nonfinite(program, &found, &bad);
    if (status == LM_OK)
        status = lm_fail(LM_NUMERIC,
                         "step %" PRId64 ", phase %s: loss %g, gradient norm %g; first "
                         "bad tensor: %s; last good checkpoint: %s",
                         t->state.step + 1, phase->name, t->loss, t->grad_norm,
                         found ? lm_str_text(&bad) : "none found",
                         t->result->checkpoint[0] ? t->result->checkpoint : "none yet");
    lm_str_release(&bad);
    return status;
}

/* The EMA decay and the learning rate are functions of images and steps alone, so that a
 * resumed run sees the same numbers. A schedule over minutes is the one exception. */
static lm_status set_scalars(trainer *t, lm_program *program, const lm_params *group) {
    const lm_settings *s = &t->run.trainer;
    lm_optim_spec spec = lm_trainer_optim(s);
    t->lr = lm_lr_at(lm_trainer_lr_kind(s), lm_setting_float(s, "lr"),
                     lm_setting_int(s, "warmup"), t->state.step + 1, share_done(t));
    double decay =
        lm_ema_decay(lm_setting_float(s, "ema"), lm_setting_float(s, "ema-ramp"),
                     t->state.images + t->batch, t->batch);
    float scalars[LM_OPTIM_SCALARS];
    lm_optim_scalars(&spec, t->state.step + 1, t->lr, decay, scalars);
    char name[128];
    snprintf(name, sizeof name, "%s.step", group->name);
    return lm_program_set(program, name, LM_F32, scalars, LM_OPTIM_SCALARS);
}

static lm_status run_phase(trainer *t, int index) {
    const lm_phase *phase = &t->model->family->phases[index];
    const lm_params *group = t->model->groups[phase->group];
    lm_program *program = t->phases[index];
    int64_t size = (int64_t)t->set->height * t->set->width * t->set->channels * t->batch;
    const uint32_t key[4] = {(uint32_t)t->run.seed, (uint32_t)(t->run.seed >> 32),
                             (uint32_t)t->state.step, 0};
    LM_TRY(lm_program_set(program, "images", LM_U8, t->pixels, size));
    if (lm_program_has_input(program, "labels"))
        LM_TRY(lm_program_set(program, "labels", LM_I32, t->labels, t->batch));
    if (lm_program_has_input(program, "key"))
        LM_TRY(lm_program_set(program, "key", LM_U32, key, 4));
    LM_TRY(set_scalars(t, program, group));
    LM_TRY(lm_program_run(program));
    char norm[128];
    snprintf(norm, sizeof norm, "%s.grad_norm", group->name);
    t->loss = lm_program_scalar(program, "loss");
    t->grad_norm = lm_program_scalar(program, norm);
    if (!isfinite(t->loss) || !isfinite(t->grad_norm))
        return not_finite(t, phase, program);
    return LM_OK;
}

static lm_status train_step(trainer *t) {
    LM_TRY(lm_loader_read(t->loader, t->state.images, t->pixels, t->labels));
    for (int i = 0; i < LM_MAX_PHASES && t->phases[i]; i++) LM_TRY(run_phase(t, i));
    t->state.step++;
    t->state.images += t->batch;
    return LM_OK;
}

/* ---- what happens between steps
 * ----------------------------------------------------------- */

static lm_status save(trainer *t) {
    if (t->saved_step == t->state.step) return LM_OK;
    char *path = lm_run_path(&t->run, "checkpoints", t->state.step, "safetensors");
    if (!path) return LM_NOMEM;
    lm_status status = lm_checkpoint_save(path, &t->run, t->model, t->engine, &t->state);
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
             lm_drawer_sampler(t->drawer)->protocol);
    lm_status status =
        lm_drawer_sheet(t->drawer, t->run.seed, t->request.snapshot_count, path, text);
    if (status == LM_OK) snprintf(t->result->sheet, sizeof t->result->sheet, "%s", path);
    lm_free(path);
    return status;
}

static lm_status log_step(trainer *t) {
    double now = lm_now();
    if (now > t->rate_time)
        t->rate = (double)(t->state.images - t->rate_images) / (now - t->rate_time);
    t->rate_time = now;
    t->rate_images = t->state.images;
    return lm_run_log(&t->run, &(lm_log_row){.step = t->state.step,
                                             .images = t->state.images,
                                             .seconds = seconds_trained(t),
                                             .loss = t->loss,
                                             .grad_norm = t->grad_norm,
                                             .lr = t->lr,
                                             .images_per_second = t->rate});
}

static bool is_finished(const trainer *t) {
    if (t->state.step >= t->last_step) return true;
    return t->request.minutes > 0 && seconds_trained(t) >= 60 * t->request.minutes;
}

static bool wants_stop(const trainer *t) {
    return t->request.hooks.stop && t->request.hooks.stop(t->request.hooks.user);
}

static lm_status train_loop(trainer *t) {
    t->began = t->rate_time = lm_now();
    t->rate_images = t->state.images;
    report(t, t->request.resume ? "resumed" : "started");
    bool stopped = false;
    while (!stopped && !is_finished(t)) {
        LM_TRY(train_step(t));
        bool last = is_finished(t);
        stopped = wants_stop(t);
        if (t->state.step % t->request.log_every == 0 || last || stopped)
            LM_TRY(log_step(t));
        report(t, NULL);
        if (t->state.step % t->request.save_every == 0 || last || stopped)
            LM_TRY(save(t));
        if (t->state.step % t->request.snapshot_every == 0 || last) LM_TRY(snapshot(t));
    }
    LM_RETURN_IF(stopped, LM_INTERRUPTED, "interrupted at step %" PRId64 "; saved %s",
                 t->state.step, t->result->checkpoint);
    return LM_OK;
}

lm_status lm_train(const lm_train_request *request, lm_train_result *result) {
    *result = (lm_train_result){0};
    trainer t = {.request = *request, .result = result, .saved_step = -1};
    lm_status status = set_up(&t);
    if (status == LM_OK) status = train_loop(&t);
    result->state = t.state;
    result->loss = t.loss;
    if (t.began > 0) result->seconds = seconds_trained(&t);
    tear_down(&t);
    return status;
}
