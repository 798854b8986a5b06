#include "train/guard.h"

#include "base/mem.h"
#include "train/notices.h"

lm_status lm_guard_init(const lm_run *run, const lm_model *model, lm_guard *guard) {
    const lm_symptom *symptoms = model->family->symptoms;
    *guard = (lm_guard){.run = run};
    LM_TRY(lm_watch_new(symptoms ? symptoms : lm_plain_symptoms, &guard->watch));
    guard->count = lm_watch_size(guard->watch);
    guard->numbers = lm_calloc((size_t)guard->count, sizeof *guard->numbers);
    return guard->numbers ? LM_OK : LM_NOMEM;
}

void lm_guard_release(lm_guard *guard) {
    lm_watch_free(guard->watch);
    lm_free(guard->numbers);
    *guard = (lm_guard){0};
}

/* ---- checkpoints ------------------------------------------------------------- */

lm_status lm_guard_load(lm_guard *guard, const char *path, int64_t step) {
    bool found;
    LM_TRY(lm_checkpoint_load_watch(path, guard->count, guard->numbers, &found));
    if (!found)
        for (int i = 0; i < guard->count; i++) guard->numbers[i] = 0;
    lm_status status = lm_watch_load(guard->watch, guard->numbers);
    if (status != LM_OK) return lm_fail_context(status, "%s", path);
    return lm_guard_look_at_eval(guard, step);
}

lm_checkpoint_more lm_guard_save(lm_guard *guard) {
    lm_watch_save(guard->watch, guard->numbers);
    return (lm_checkpoint_more){.watch = guard->numbers, .n_watch = guard->count};
}

/* ---- looking ----------------------------------------------------------------- */

typedef struct eval_search {
    lm_watch *watch;
    int64_t step;
} eval_search;

static lm_status see_eval(void *user, const json_t *row) {
    const eval_search *search = user;
    const char *metric;
    json_t *result;
    if (json_integer_value(json_object_get(row, "step")) != search->step) return LM_OK;
    json_object_foreach(json_object_get(row, "eval"), metric, result) lm_watch_see(
        search->watch, metric, json_number_value(json_object_get(result, "value")));
    return LM_OK;
}

lm_status lm_guard_look_at_eval(lm_guard *guard, int64_t step) {
    eval_search search = {guard->watch, step};
    return lm_run_visit_log(guard->run, see_eval, &search);
}

static void see(void *user, const char *name, double value) {
    lm_watch_see(user, name, value);
}

lm_status lm_guard_look(lm_guard *guard, const lm_phases *phases,
                        const lm_train_state *state, double seconds, lm_notice *alarm) {
    lm_watch_event events[LM_MAX_SYMPTOMS];
    *alarm = (lm_notice){0};
    LM_TRY(lm_phases_visit(phases, state->step - 1, see, guard->watch));
    int count = lm_watch_step(guard->watch, state->step, events);
    for (int i = 0; i < count; i++) {
        const lm_notice *notice = &events[i].notice;
        if (notice->begins && !alarm->begins) *alarm = *notice;
        LM_TRY(lm_notice_tell(guard->run, state, seconds, notice));
    }
    return LM_OK;
}
