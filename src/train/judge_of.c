#include "train/judge_of.h"

#include "base/mem.h"
#include "base/version.h"
#include "train/opened.h"

static lm_status fill_card(const lm_opened_run *opened, const lm_dataset *set,
                           lm_judge_card *card) {
    const lm_run *run = &opened->run;
    *card = (lm_judge_card){.set = lm_strdup(set->name),
                            .preset = lm_strdup(run->preset),
                            .version = lm_strdup(lm_version),
                            .data_hash = run->data_hash,
                            .seed = run->seed,
                            .steps = opened->state.step,
                            .images = opened->state.images};
    if (!card->set || !card->preset || !card->version) return LM_NOMEM;
    return lm_judge_card_name(card, set);
}

static lm_status read_averages(const lm_opened_run *opened, float *weights) {
    const lm_params *group = opened->model->groups[0];
    char name[LM_GROUP_NAME];
    return lm_engine_read_var(opened->engine, lm_group_var(group, LM_GROUP_EMA, name), 0,
                              group->count, LM_F32, weights);
}

static lm_status make_judge(lm_opened_run *opened, const lm_dataset *set,
                            lm_judge **judge) {
    LM_RETURN_IF(!opened->run.family->classify, LM_UNSUPPORTED,
                 "%s: family %s cannot judge", opened->run.folder,
                 opened->run.family->name);
    lm_judge_card card = {0};
    size_t count = (size_t)opened->model->groups[0]->count;
    float *weights = lm_alloc(count * sizeof *weights);
    lm_status status = weights ? read_averages(opened, weights) : LM_NOMEM;
    if (status == LM_OK) status = fill_card(opened, set, &card);
    if (status == LM_OK) {
        status = lm_judge_new(opened->model, weights, &card, judge);
        opened->model = NULL; /* taken over */
    }
    lm_judge_card_release(&card);
    lm_free(weights);
    return status;
}

lm_status lm_judge_of_run(const char *folder, const lm_dataset *set, lm_judge **judge) {
    const lm_run_choice choice = {.run = folder};
    lm_opened_run opened;
    *judge = NULL;
    LM_TRY(lm_run_open(&choice, &opened));
    lm_status status = make_judge(&opened, set, judge);
    lm_run_close(&opened);
    return status;
}
