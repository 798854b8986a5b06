#include "train/opened.h"

#include "base/mem.h"
#include "train/settings.h"

static lm_status make_engine(lm_opened_run *opened) {
    lm_backend_options kernels = lm_trainer_engine(&opened->run.trainer);
    LM_TRY(lm_run_model(&opened->run, &opened->model));
    LM_TRY(lm_engine_new("cpu", &opened->engine));
    LM_TRY(lm_engine_configure(opened->engine, &kernels));
    return lm_checkpoint_add_part(
        opened->model, opened->raw ? LM_GROUP_WEIGHTS : LM_GROUP_EMA, opened->engine);
}

static lm_status open_run(const lm_run_choice *choice, lm_opened_run *opened) {
    opened->raw = choice->raw;
    LM_TRY(lm_run_read(choice->run, &opened->run));
    for (int i = 0; i < choice->n_assignments; i++)
        LM_TRY(lm_assign_engine(&opened->run.trainer, "--set ", choice->assignments[i]));
    LM_TRY(make_engine(opened));
    char *path;
    LM_TRY(lm_checkpoint_find(&opened->run, choice->checkpoint, &path));
    lm_status status =
        lm_checkpoint_load(path, opened->model, opened->engine, &opened->state);
    lm_free(path);
    return status;
}

lm_status lm_run_open(const lm_run_choice *choice, lm_opened_run *opened) {
    *opened = (lm_opened_run){0};
    lm_status status = open_run(choice, opened);
    if (status != LM_OK) lm_run_close(opened);
    return status;
}

void lm_run_close(lm_opened_run *opened) {
    lm_engine_free(opened->engine);
    lm_model_close(opened->model);
    lm_run_release(&opened->run);
    *opened = (lm_opened_run){0};
}
