/* When training goes wrong: stopped, or taken back to the last healthy checkpoint. */
#include "train/training.h"

#include "base/file.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>

enum { MOST_ROLLBACKS = 3 };

/* What undone steps have left in memory. */
static lm_status forget_undone(lm_training *t) {
    lm_phases_forget(&t->phases);
    lm_phases_text(&t->phases, t->losses);
    t->result->eval[0] = t->result->best[0] = '\0';
    lm_notices_release(&t->notices);
    LM_TRY(lm_notices_init(&t->run, t->model, &t->notices));
    lm_loader_seek(t->loader, t->state.images);
    t->rate_images = t->state.images;
    t->saved_step = -1;
    return t->eval ? lm_run_eval_go_back(t->eval, t->state.step) : LM_OK;
}

/* Files first: a run that is killed in between does it again. */
static lm_status begin_again(lm_training *t, const char *healthy, const char *why) {
    lm_notice notice = {.name = "rollback", .begins = true};
    lm_log_end end;
    int64_t from = t->state.step;
    int rollbacks = t->state.rollbacks + 1;
    LM_TRY(lm_training_load(t, healthy, &end));
    t->state.rollbacks = rollbacks;
    LM_TRY(lm_checkpoint_drop_after(&t->run, t->state.step));
    snprintf(notice.text, sizeof notice.text,
             "rollback %d of %d, from step %" PRId64 " to %" PRId64
             ", other random numbers, learning rates halved; %s",
             rollbacks, MOST_ROLLBACKS, from, t->state.step, why);
    LM_TRY(lm_notice_tell(&t->run, &t->state, lm_training_seconds(t), &notice));
    LM_TRY(forget_undone(t));
    return lm_training_save(t);
}

lm_status lm_training_roll_back(lm_training *t, const char *why) {
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

lm_status lm_training_react(lm_training *t, const lm_notice *alarm) {
    switch (t->request.on_collapse) {
    case LM_COLLAPSE_WARN:
        break;
    case LM_COLLAPSE_STOP:
        LM_TRY(lm_training_log(t));
        LM_TRY(lm_training_save(t));
        return lm_fail(LM_UNHEALTHY, "stopped at step %" PRId64 ", saved %s: %s",
                       t->state.step, t->result->checkpoint, alarm->text);
    case LM_COLLAPSE_ROLLBACK:
        return lm_training_roll_back(t, alarm->text);
    }
    return LM_OK;
}
