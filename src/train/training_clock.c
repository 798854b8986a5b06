/* How far a run is, how fast it goes, and telling who watches. */
#include "train/training.h"

#include "base/clock.h"

#include <math.h>

double lm_training_seconds(const lm_training *t) {
    return t->before + (t->stopped_at > 0 ? t->stopped_at : lm_now()) - t->began;
}

double lm_training_share(const lm_training *t) {
    double share = 0;
    if (t->last_step != INT64_MAX) share = (double)t->state.step / (double)t->last_step;
    if (t->run.limits.minutes > 0)
        share = fmax(share, lm_training_seconds(t) / (60 * t->run.limits.minutes));
    return fmin(share, 1);
}

bool lm_training_is_finished(const lm_training *t) {
    if (t->state.step >= t->last_step) return true;
    return t->run.limits.minutes > 0 &&
           lm_training_seconds(t) >= 60 * t->run.limits.minutes;
}

int64_t lm_training_step_images(const lm_training *t) {
    return (int64_t)t->phases.batch * t->phases.turns.reads;
}

void lm_training_measure_rate(lm_training *t) {
    double now = lm_now(), spent = now - t->rate_time;
    if (spent < 1 && t->rate > 0) return;
    t->rate = (double)(t->state.images - t->rate_images) / fmax(spent, 1e-9);
    t->rate_time = now;
    t->rate_images = t->state.images;
}

void lm_training_report(lm_training *t, const char *event) {
    if (!t->request.hooks.progress) return;
    double share = lm_training_share(t), here = lm_training_seconds(t) - t->before;
    lm_progress progress = {.run = &t->run,
                            .step = t->state.step,
                            .images = t->state.images,
                            .parameters = lm_model_parameters(t->model),
                            .loss = lm_phases_first(&t->phases).loss,
                            .losses = t->losses,
                            .images_per_second = t->rate,
                            .seconds = lm_training_seconds(t),
                            .share = share,
                            .startup = t->startup,
                            .eta = share > 0.005 && here > 2
                                       ? lm_training_seconds(t) / share * (1 - share)
                                       : -1,
                            .event = event,
                            .eval = t->result->eval[0] ? t->result->eval : NULL,
                            .doing = t->doing,
                            .doing_share = t->doing_share};
    t->request.hooks.progress(t->request.hooks.user, &progress);
}

bool lm_training_wants_stop(const lm_training *t) {
    return t->request.hooks.stop && t->request.hooks.stop(t->request.hooks.user);
}
