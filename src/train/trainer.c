/* The training loop. */
#include "train/training.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- one step ---------------------------------------------------------------- */

static lm_status read_batches(lm_training *t) {
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
static uint64_t stream_seed(const lm_training *t) {
    return t->run.seed + (uint64_t)t->state.rollbacks * 0x9E3779B97F4A7C15U;
}

static lm_status run_phases(lm_training *t) {
    const lm_step_input input = {.pixels = t->pixels,
                                 .labels = t->labels,
                                 .seed = stream_seed(t),
                                 .step = t->state.step,
                                 .share = lm_training_share(t),
                                 .halvings = t->state.rollbacks};
    lm_status status = lm_phases_run(&t->phases, &input);
    if (status != LM_NUMERIC) return status;
    return lm_fail(status, "step %" PRId64 ", %s; last good checkpoint: %s",
                   t->state.step + 1, lm_message(),
                   t->result->checkpoint[0] ? t->result->checkpoint : "none yet");
}

static lm_status train_step(lm_training *t) {
    double began = lm_now();
    LM_TRY(read_batches(t));
    LM_TRY(run_phases(t));
    lm_phases_text(&t->phases, t->losses);
    t->state.step++;
    if (t->result->new_steps++ == 0) t->result->first_step = lm_now() - t->request.began;
    t->state.images += lm_training_step_images(t);
    if (t->request.profile) {
        t->request.profile->steps++;
        t->request.profile->step_seconds += lm_now() - began;
    }
    return LM_OK;
}

/* A step and what comes of it; *went_back: it was undone. */
static lm_status train_watched(lm_training *t, bool *went_back) {
    int rollbacks = t->state.rollbacks;
    lm_status status = train_step(t);
    if (status == LM_NUMERIC && t->request.on_collapse == LM_COLLAPSE_ROLLBACK) {
        char why[LM_NOTICE_TEXT / 2];
        snprintf(why, sizeof why, "blow-up: %s", lm_message());
        status = lm_training_roll_back(t, why);
    } else if (status == LM_OK) {
        lm_notice alarm;
        status = lm_guard_look(&t->guard, &t->phases, &t->state, lm_training_seconds(t),
                               &alarm);
        if (status == LM_OK && alarm.begins) status = lm_training_react(t, &alarm);
    }
    *went_back = t->state.rollbacks != rollbacks;
    return status;
}

/* ---- the loop ---------------------------------------------------------------- */

static lm_status train_loop(lm_training *t) {
    t->began = t->rate_time = lm_now();
    t->startup = t->began - t->request.began;
    t->rate_images = t->state.images;
    lm_training_report(t, t->request.resume ? "resumed" : "started");
    lm_phases_profile(&t->phases, t->request.profile != NULL);
    bool stopped = false, went_back;
    if (t->state.step == 0) LM_TRY(lm_training_save_healthy(t));
    if (lm_training_evaluation_is_due(t))
        LM_TRY(lm_training_evaluate(t, &stopped)); /* was cut short */
    while (!stopped && !lm_training_is_finished(t)) {
        LM_TRY(train_watched(t, &went_back));
        if (went_back) continue;
        lm_training_measure_rate(t);
        bool last = lm_training_is_finished(t);
        stopped = lm_training_wants_stop(t);
        if (t->state.step % t->request.log_every == 0 || last || stopped)
            LM_TRY(lm_training_log(t));
        lm_training_report(t, NULL);
        if (t->state.step % t->request.save_every == 0 || last || stopped)
            LM_TRY(lm_training_save(t));
        if (t->state.step % t->request.snapshot_every == 0 || last)
            LM_TRY(lm_training_snapshot(t));
        if (!stopped && lm_training_evaluation_is_due(t))
            LM_TRY(lm_training_evaluate(t, &stopped));
    }
    LM_RETURN_IF(stopped, LM_INTERRUPTED, "interrupted at step %" PRId64 "; saved %s",
                 t->state.step, t->result->checkpoint);
    return LM_OK;
}

lm_status lm_train(const lm_train_request *request, lm_train_result *result) {
    *result = (lm_train_result){0};
    lm_training t = {
        .request = *request, .result = result, .saved_step = -1, .evaluated = -1};
    if (t.request.began <= 0) t.request.began = lm_now();
    lm_status status = lm_training_set_up(&t);
    if (status == LM_OK) status = train_loop(&t);
    if (status == LM_OK && t.request.profile)
        status = lm_phases_add_profile(&t.phases, t.request.profile);
    result->state = t.state;
    result->loss = lm_phases_first(&t.phases).loss;
    memcpy(result->losses, t.losses, sizeof result->losses);
    result->startup = t.startup;
    if (t.loader) result->data_wait = lm_loader_waited(t.loader);
    if (t.began > 0) result->seconds = lm_training_seconds(&t);
    lm_training_tear_down(&t);
    return status;
}
