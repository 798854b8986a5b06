/* From a run directory to images. */
#include "train/sample.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "image/image.h"
#include "tensor/npy.h"
#include "train/checkpoint.h"
#include "train/settings.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define BATCH 64

/* What drawing needs beside its result. */
typedef struct session {
    lm_model *model;
    lm_engine *engine;
    lm_drawer *drawer;
} session;

/* Only the averaged weights are needed. */
static lm_status load(const lm_sample_job *job, lm_samples *samples, session *s) {
    LM_TRY(lm_run_read(job->run, &samples->run));
    for (int i = 0; i < job->n_assignments; i++)
        LM_TRY(lm_assign_engine(&samples->run.trainer, "--set ", job->assignments[i]));
    lm_backend_options kernels = lm_trainer_engine(&samples->run.trainer);
    LM_TRY(lm_run_model(&samples->run, &s->model));
    LM_TRY(lm_engine_new("cpu", &s->engine));
    LM_TRY(lm_engine_configure(s->engine, &kernels));
    for (int i = 0; i < s->model->n_groups; i++) {
        const lm_params *group = s->model->groups[i];
        char name[LM_GROUP_NAME];
        LM_TRY(lm_engine_add_var(s->engine, lm_group_var(group, LM_GROUP_EMA, name),
                                 group->count));
    }
    char *newest = NULL;
    if (!job->checkpoint) LM_TRY(lm_checkpoint_latest(&samples->run, &newest));
    lm_train_state state;
    lm_status status = lm_checkpoint_load(job->checkpoint ? job->checkpoint : newest,
                                          s->model, s->engine, &state);
    lm_free(newest);
    samples->step = state.step;
    return status;
}

static lm_status draw(const lm_sample_job *job, lm_samples *samples, session *s) {
    const lm_image_info *info = &samples->run.info;
    int batch = job->count < BATCH ? job->count : BATCH;
    LM_TRY(lm_drawer_new(s->engine, s->model, &job->request, batch, &s->drawer));
    const lm_sampler *sampler = lm_drawer_sampler(s->drawer);
    int64_t total = (int64_t)job->count * info->height * info->width * info->channels;
    samples->count = job->count;
    samples->nfe = sampler->nfe;
    samples->protocol = lm_strdup(sampler->protocol);
    samples->pixels = lm_alloc(total);
    float *images = lm_alloc(sizeof *images * total);
    lm_status status = images && samples->pixels && samples->protocol ? LM_OK : LM_NOMEM;
    double began = lm_now();
    if (status == LM_OK)
        status = lm_drawer_draw(s->drawer, job->seed, 0, job->count, NULL, images,
                                job->hook, job->user);
    samples->seconds = lm_now() - began;
    if (status == LM_OK) lm_image_from_signed(images, samples->pixels, total);
    lm_free(images);
    return status;
}

lm_status lm_samples_draw(const lm_sample_job *job, lm_samples *samples) {
    *samples = (lm_samples){0};
    session s = {0};
    lm_status status = load(job, samples, &s);
    if (status == LM_OK) status = draw(job, samples, &s);
    lm_drawer_free(s.drawer);
    lm_engine_free(s.engine);
    lm_model_close(s.model);
    if (status != LM_OK) lm_samples_release(samples);
    return status;
}

void lm_samples_release(lm_samples *samples) {
    lm_free(samples->pixels);
    lm_free(samples->protocol);
    lm_run_release(&samples->run);
    *samples = (lm_samples){0};
}

/* ---- writing ----------------------------------------------------------------- */

static lm_status write_sheet(const lm_samples *samples, uint64_t seed, const char *path) {
    const lm_image_info *info = &samples->run.info;
    char text[320];
    snprintf(text, sizeof text,
             "limn %s on %s, step %" PRId64 ", EMA weights, %s, seed %" PRIu64,
             samples->run.family->name, samples->run.data, samples->step,
             samples->protocol, seed);
    lm_image sheet;
    LM_TRY(lm_image_grid(samples->pixels, samples->count, info->height, info->width,
                         info->channels, &(lm_grid_spec){.gap = 2, .background = 64},
                         &sheet));
    lm_status status = lm_png_write(path, &sheet, text);
    lm_image_release(&sheet);
    return status;
}

static lm_status write_folder(const lm_samples *samples, const char *folder) {
    const lm_image_info *info = &samples->run.info;
    size_t size = (size_t)info->height * info->width * info->channels;
    LM_TRY(lm_make_folders(folder));
    for (int i = 0; i < samples->count; i++) {
        char name[32];
        snprintf(name, sizeof name, "%06d.png", i);
        char *path = lm_path_join(folder, name);
        if (!path) return LM_NOMEM;
        lm_image image = {info->width, info->height, info->channels,
                          samples->pixels + i * size};
        lm_status status = lm_png_write(path, &image, NULL);
        lm_free(path);
        LM_TRY(status);
    }
    return LM_OK;
}

lm_status lm_samples_write(const lm_samples *samples, uint64_t seed, const char *path) {
    const lm_image_info *info = &samples->run.info;
    if (lm_path_ends(path, ".png")) return write_sheet(samples, seed, path);
    if (!lm_path_ends(path, ".npy")) return write_folder(samples, path);
    return lm_npy_write(
        path, LM_U8, LM_SHAPE(samples->count, info->height, info->width, info->channels),
        samples->pixels);
}
