#include "train/phases.h"

#include "train/settings.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

lm_status lm_phases_init(const lm_model *model, const lm_settings *trainer, int batch,
                         lm_phases *phases) {
    *phases = (lm_phases){.model = model, .trainer = trainer, .batch = batch};
    return lm_turns_init(model, &phases->turns);
}

lm_status lm_phases_compile(lm_phases *phases, lm_engine *engine) {
    for (int i = 0; i < phases->turns.count; i++)
        if (phases->turns.rules[i].every)
            LM_TRY(lm_phase_compile(phases->model, phases->trainer, engine, i,
                                    phases->batch, &phases->programs[i]));
    return LM_OK;
}

void lm_phases_release(lm_phases *phases) {
    for (int i = 0; i < LM_MAX_PHASES; i++) {
        lm_program_free(phases->programs[i]);
        lm_str_release(&phases->members[i]);
    }
    *phases = (lm_phases){0};
}

/* ---- a step ------------------------------------------------------------------ */

static lm_status check_finite(const lm_phases *phases, int index) {
    const lm_phase_result *result = &phases->results[index];
    if (isfinite(result->loss) && isfinite(result->grad_norm)) return LM_OK;
    lm_str bad = LM_STR_INIT;
    bool found = false;
    lm_status status = lm_program_find_nonfinite(phases->programs[index], &found, &bad);
    if (status == LM_OK)
        status = lm_fail(LM_NUMERIC,
                         "phase %s: loss %g, gradient norm %g; first bad tensor: %s",
                         phases->model->family->phases[index].name, result->loss,
                         result->grad_norm, found ? lm_str_text(&bad) : "none found");
    lm_str_release(&bad);
    return status;
}

static lm_status run_once(lm_phases *phases, int index, int run,
                          const lm_step_input *input) {
    const lm_image_info *info = &phases->model->info;
    int64_t size = (int64_t)info->height * info->width * info->channels;
    int64_t first = (int64_t)run * phases->batch;
    const lm_phase_input own = {
        .pixels = input->pixels + first * size,
        .labels = input->labels + first,
        .batch = phases->batch,
        .seed = input->seed,
        .step = input->step,
        .first = first,
        .rate = ldexp(phases->turns.rules[index].rate, -input->halvings),
        .share = input->share,
        .turn = lm_turns_at(&phases->turns, index, input->step, run)};
    LM_TRY(lm_phase_run(phases->model, phases->trainer, index, phases->programs[index],
                        &own, &phases->results[index]));
    phases->ran[index] = true;
    return check_finite(phases, index);
}

static lm_status run_phase(lm_phases *phases, int index, const lm_step_input *input) {
    int runs = lm_turns_runs(&phases->turns, index, input->step);
    if (!runs) return LM_OK;
    for (int run = 0; run < runs; run++) LM_TRY(run_once(phases, index, run, input));
    lm_str_clear(&phases->members[index]);
    return lm_phase_describe(phases->model, index, phases->programs[index],
                             &phases->members[index]);
}

lm_status lm_phases_run(lm_phases *phases, const lm_step_input *input) {
    for (int i = 0; i < phases->turns.count; i++) LM_TRY(run_phase(phases, i, input));
    return LM_OK;
}

void lm_phases_forget(lm_phases *phases) {
    memset(phases->ran, 0, sizeof phases->ran);
}

void lm_phases_profile(lm_phases *phases, bool on) {
    for (int i = 0; i < phases->turns.count; i++)
        if (phases->programs[i]) lm_program_profile(phases->programs[i], on);
}

lm_status lm_phases_add_profile(const lm_phases *phases, lm_profile *profile) {
    for (int i = 0; i < phases->turns.count; i++)
        if (phases->programs[i]) LM_TRY(lm_profile_add(profile, phases->programs[i]));
    return LM_OK;
}

/* ---- what came of it --------------------------------------------------------- */

static int count_programs(const lm_phases *phases) {
    int count = 0;
    for (int i = 0; i < phases->turns.count; i++) count += phases->programs[i] != NULL;
    return count;
}

lm_phase_result lm_phases_first(const lm_phases *phases) {
    for (int i = 0; i < phases->turns.count; i++)
        if (phases->ran[i]) return phases->results[i];
    return (lm_phase_result){0};
}

void lm_phases_text(const lm_phases *phases, char text[LM_LOSSES_TEXT]) {
    text[0] = '\0';
    bool alone = count_programs(phases) == 1;
    for (int i = 0; i < phases->turns.count; i++) {
        size_t length = strlen(text);
        if (phases->ran[i])
            snprintf(text + length, LM_LOSSES_TEXT - length, "%s%s %.4f",
                     length ? ", " : "",
                     alone ? "loss" : phases->model->family->phases[i].name,
                     phases->results[i].loss);
    }
}

/* Of what it described, since the programs' outputs share their memory. */
static lm_status visit_members(const char *members, lm_phases_see *see, void *user) {
    lm_str text = LM_STR_INIT;
    lm_str_printf(&text, "{%s}", members[0] ? members + strlen(", ") : "");
    json_t *row = text.failed ? NULL : json_loads(text.text, 0, NULL), *value;
    lm_str_release(&text);
    if (!row) return LM_NOMEM;
    const char *name;
    json_object_foreach(row, name, value) {
        if (json_is_number(value)) see(user, name, json_number_value(value));
        if (json_is_null(value)) see(user, name, NAN);
    }
    json_decref(row);
    return LM_OK;
}

static lm_status visit_phase(const lm_phases *phases, int index, bool alone,
                             lm_phases_see *see, void *user) {
    const char *phase = phases->model->family->phases[index].name;
    char loss[LM_GROUP_NAME] = "loss", norm[LM_GROUP_NAME] = "grad_norm";
    if (!alone) {
        snprintf(loss, sizeof loss, "%s_loss", phase);
        snprintf(norm, sizeof norm, "%s_grad_norm", phase);
    }
    see(user, loss, phases->results[index].loss);
    see(user, norm, phases->results[index].grad_norm);
    return visit_members(lm_str_text(&phases->members[index]), see, user);
}

lm_status lm_phases_visit(const lm_phases *phases, int64_t step, lm_phases_see *see,
                          void *user) {
    bool alone = count_programs(phases) == 1;
    for (int i = 0; i < phases->turns.count; i++)
        if (lm_turns_runs(&phases->turns, i, step))
            LM_TRY(visit_phase(phases, i, alone, see, user));
    return LM_OK;
}

lm_status lm_phases_describe(const lm_phases *phases, lm_str *members) {
    bool alone = count_programs(phases) == 1;
    for (int i = 0; i < phases->turns.count; i++) {
        const char *name = phases->model->family->phases[i].name;
        if (!phases->ran[i]) continue;
        if (!alone)
            lm_str_printf(members, ", \"%s_loss\": %.9g, \"%s_grad_norm\": %.9g", name,
                          phases->results[i].loss, name, phases->results[i].grad_norm);
        lm_str_append(members, lm_str_text(&phases->members[i]));
    }
    return members->failed ? LM_NOMEM : LM_OK;
}
