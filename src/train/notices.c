#include "train/notices.h"

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

#include <inttypes.h>

lm_status lm_notice_tell(const lm_run *run, const lm_train_state *state, double seconds,
                         const lm_notice *notice) {
    json_t *row =
        json_pack("{s:I, s:I, s:f, s:s, s:b, s:s}", "step", (json_int_t)state->step,
                  "images", (json_int_t)state->images, "seconds", seconds, "notice",
                  notice->name, "begins", notice->begins, "text", notice->text);
    if (!row) return LM_NOMEM;
    lm_status status = lm_run_log_json(run, row);
    json_decref(row);
    lm_log_line(notice->begins ? LM_LOG_WARNING : LM_LOG_INFO, "step %" PRId64 ": %s",
                state->step, notice->text);
    return status;
}

static bool look(const lm_notices *n, const json_t *row, lm_notice *notice) {
    return n->model->family->watch->look(n->model, n->memory, row, notice);
}

static lm_status look_back(void *user, const json_t *row) {
    lm_notice known;
    look(user, row, &known);
    return LM_OK;
}

lm_status lm_notices_init(const lm_run *run, const lm_model *model, lm_notices *notices) {
    const lm_family_watch *watch = model->family->watch;
    *notices = (lm_notices){.run = run, .model = model};
    if (!watch) return LM_OK;
    notices->memory = lm_calloc(1, watch->size);
    if (!notices->memory) return LM_NOMEM;
    return lm_run_visit_log(run, look_back, notices);
}

void lm_notices_release(lm_notices *notices) {
    lm_free(notices->memory);
    *notices = (lm_notices){0};
}

lm_status lm_notices_look(lm_notices *notices, const lm_train_state *state,
                          double seconds, const char *members) {
    if (!notices->memory) return LM_OK;
    lm_str line = LM_STR_INIT;
    lm_str_printf(&line, "{\"step\": %" PRId64 "%s}", state->step,
                  members ? members : "");
    json_t *row = line.failed ? NULL : json_loads(line.text, 0, NULL);
    lm_str_release(&line);
    if (!row) return LM_NOMEM;
    lm_notice notice;
    lm_status status = LM_OK;
    if (look(notices, row, &notice))
        status = lm_notice_tell(notices->run, state, seconds, &notice);
    json_decref(row);
    return status;
}
