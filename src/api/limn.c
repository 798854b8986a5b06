/* The public API over the rooms. */
#include "limn/limn.h"

#include "base/mem.h"
#include "base/threads.h"
#include "base/version.h"
#include "train/sample.h"
#include "train/trainer.h"

static limn_status public_status(lm_status status) {
    static const limn_status of[LM_STATUS_COUNT] = {
        [LM_OK] = LIMN_OK,
        [LM_NOMEM] = LIMN_NOMEM,
        [LM_ARG] = LIMN_USAGE,
        [LM_SHAPE] = LIMN_FAILED,
        [LM_DTYPE] = LIMN_FAILED,
        [LM_IO] = LIMN_IO,
        [LM_FORMAT] = LIMN_FORMAT,
        [LM_NOT_FOUND] = LIMN_NOT_FOUND,
        [LM_MISMATCH] = LIMN_MISMATCH,
        [LM_UNSUPPORTED] = LIMN_FAILED,
        [LM_NUMERIC] = LIMN_NUMERIC,
        [LM_INTERRUPTED] = LIMN_INTERRUPTED,
        [LM_UNHEALTHY] = LIMN_FAILED,
        [LM_BACKEND] = LIMN_FAILED,
        [LM_INTERNAL] = LIMN_FAILED,
    };
    return of[status];
}

const char *limn_version(void) {
    return lm_version;
}

const char *limn_message(void) {
    return lm_message();
}

void limn_set_allocator(limn_resize_fn resize, void *user) {
    lm_allocator allocator = {resize, user};
    lm_mem_set_allocator(resize ? &allocator : NULL);
}

void limn_set_threads(int count) {
    lm_threads_set(count);
}

/* ---- training ---------------------------------------------------------------- */

static bool forward_stop(void *user) {
    const limn_train_settings *settings = user;
    return settings->stop && settings->stop(settings->user) != 0;
}

static void forward_progress(void *user, const lm_progress *p) {
    const limn_train_settings *settings = user;
    if (!settings->progress || p->event) return;
    limn_progress progress = {p->step,    p->images, p->loss, p->images_per_second,
                              p->seconds, p->share};
    settings->progress(settings->user, &progress);
}

limn_status limn_train(const limn_train_settings *settings) {
    lm_train_request request = {
        .family = settings->family,
        .data = settings->data,
        .preset = settings->preset,
        .out = settings->out,
        .assignments = settings->assignments,
        .n_assignments = settings->n_assignments,
        .limits = {.steps = settings->steps, .minutes = settings->minutes},
        .seed = settings->seed,
        .resume = settings->resume != 0,
        .hooks = {(void *)settings, forward_stop, forward_progress},
    };
    lm_train_result result;
    return public_status(lm_train(&request, &result));
}

/* ---- sampling ---------------------------------------------------------------- */

limn_status limn_sample(const limn_sample_settings *settings, limn_images *images) {
    *images = (limn_images){0};
    if (settings->count < 1)
        return public_status(
            lm_fail(LM_ARG, "count %d: expected at least 1 image", settings->count));
    const lm_run_source_spec spec = {
        .choice = {.run = settings->run, .checkpoint = settings->checkpoint},
        .draw = {.count = settings->count, .seed = settings->seed},
        .request = {.steps = settings->steps,
                    .eta = settings->eta,
                    .sampler = settings->sampler,
                    .label = -1},
    };
    lm_samples samples;
    lm_status status = lm_samples_draw(&spec, &samples);
    if (status != LM_OK) return public_status(status);
    const lm_image_source *s = &samples.from.drawn.source;
    *images =
        (limn_images){settings->count, s->height, s->width, s->channels, samples.pixels};
    samples.pixels = NULL; /* handed over */
    lm_samples_release(&samples);
    return LIMN_OK;
}

void limn_images_free(limn_images *images) {
    lm_free(images->pixels);
    *images = (limn_images){0};
}
