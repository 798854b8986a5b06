/* What a run leaves behind between steps: rows of its log, checkpoints, snapshots,
 * evaluations. */
#include "train/training.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>

static lm_status write_checkpoint(lm_training *t, const char *path) {
    if (!path) return LM_NOMEM;
    lm_checkpoint_more more = lm_guard_save(&t->guard);
    return lm_checkpoint_save(path, &t->run, t->model, t->engine, &t->state, &more);
}

lm_status lm_training_save_healthy(lm_training *t) {
    if (t->request.on_collapse != LM_COLLAPSE_ROLLBACK) return LM_OK;
    if (!lm_watch_is_calm(t->guard.watch)) return LM_OK;
    char *path = lm_checkpoint_healthy(&t->run);
    lm_status status = write_checkpoint(t, path);
    lm_free(path);
    return status;
}

lm_status lm_training_save(lm_training *t) {
    if (t->saved_step == t->state.step) return LM_OK;
    char *path = lm_run_path(&t->run, "checkpoints", t->state.step, "safetensors");
    lm_status status = write_checkpoint(t, path);
    if (status == LM_OK) status = lm_training_save_healthy(t);
    if (status == LM_OK) {
        t->saved_step = t->state.step;
        snprintf(t->result->checkpoint, sizeof t->result->checkpoint, "%s", path);
        status = lm_checkpoint_prune(&t->run, t->request.keep);
        char event[1100];
        snprintf(event, sizeof event, "saved %s", path);
        lm_training_report(t, event);
    }
    lm_free(path);
    return status;
}

lm_status lm_training_snapshot(lm_training *t) {
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

lm_status lm_training_log(lm_training *t) {
    double waited = lm_loader_waited(t->loader);
    lm_phase_result first = lm_phases_first(&t->phases);
    lm_str members = LM_STR_INIT;
    lm_status status = lm_phases_describe(&t->phases, &members);
    const lm_log_row row = {.step = t->state.step,
                            .images = t->state.images,
                            .seconds = lm_training_seconds(t),
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

static bool on_evaluation(void *user, const char *what, double share) {
    lm_training *t = user;
    t->doing = what;
    t->doing_share = share;
    lm_training_report(t, NULL);
    return !lm_training_wants_stop(t);
}

static lm_status judge(lm_training *t) {
    lm_run_eval_result result;
    const lm_eval_hook hook = {on_evaluation, t};
    LM_TRY(lm_run_eval_at(t->eval, &t->state, lm_training_seconds(t), &hook, &result));
    t->evaluated = t->state.step;
    LM_TRY(lm_guard_look_at_eval(&t->guard, t->state.step));
    snprintf(t->result->eval, sizeof t->result->eval, "%s", result.text);
    if (result.is_best)
        snprintf(t->result->best, sizeof t->result->best, "%s/checkpoints/best%s",
                 t->run.folder, ".safetensors");
    return LM_OK;
}

lm_status lm_training_evaluate(lm_training *t, bool *stopped) {
    LM_TRY(lm_training_save(t));
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

bool lm_training_evaluation_is_due(const lm_training *t) {
    if (!t->eval || t->state.step == 0 || t->evaluated == t->state.step) return false;
    return t->state.step % t->request.eval_every == 0 || lm_training_is_finished(t);
}
