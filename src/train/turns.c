#include "train/turns.h"

static const lm_phase_rule always = {.every = 1, .runs = 1, .rate = 1};

static lm_status ask_rule(const lm_model *model, const lm_phase *phase,
                          lm_phase_rule *rule) {
    *rule = always;
    if (!phase->rule) return LM_OK;
    if (!phase->rule(model, rule)) {
        *rule = (lm_phase_rule){0};
        return LM_OK;
    }
    LM_RETURN_IF(rule->every < 1 || rule->runs < 1 || !(rule->rate >= 0), LM_ARG,
                 "phase %s: every %d steps, %d runs, rate %g: expected at least 1, 1, 0",
                 phase->name, rule->every, rule->runs, rule->rate);
    return LM_OK;
}

lm_status lm_turns_init(const lm_model *model, lm_turns *turns) {
    *turns = (lm_turns){0};
    bool found = false;
    for (const lm_phase *phase = model->family->phases;
         turns->count < LM_MAX_PHASES && phase->loss; phase++) {
        lm_phase_rule *rule = &turns->rules[turns->count];
        LM_TRY(ask_rule(model, phase, rule));
        turns->groups[turns->count++] = phase->group;
        if (rule->runs > turns->reads) turns->reads = rule->runs;
        if (rule->every == 1) found = true;
    }
    LM_RETURN_IF(!found, LM_ARG, "family %s: no phase runs in every step",
                 model->family->name);
    return LM_OK;
}

int lm_turns_runs(const lm_turns *turns, int phase, int64_t step) {
    const lm_phase_rule *rule = &turns->rules[phase];
    return rule->every && step % rule->every == 0 ? rule->runs : 0;
}

/* Runs of the phase in all steps before this one. */
static int64_t runs_before(const lm_turns *turns, int phase, int64_t step) {
    const lm_phase_rule *rule = &turns->rules[phase];
    return rule->every ? (step + rule->every - 1) / rule->every * rule->runs : 0;
}

/* As if a step read a batch only when it comes to a run that needs it. */
static int64_t count_seen(const lm_turns *turns, int phase, int64_t step, int run) {
    int most = run + 1;
    for (int p = 0; p < phase; p++) {
        int runs = lm_turns_runs(turns, p, step);
        if (runs > most) most = runs;
    }
    return step * turns->reads + most;
}

/* What the group had seen at its last update by the phases below `end` in a step; -1:
 * they make none. */
static int64_t last_seen(const lm_turns *turns, int group, int end, int64_t step) {
    for (int p = end - 1; p >= 0; p--) {
        int runs = turns->groups[p] == group ? lm_turns_runs(turns, p, step) : 0;
        if (runs) return count_seen(turns, p, step, runs - 1);
    }
    return -1;
}

/* The last step before this one in which the group is updated; -1: there is none. */
static int64_t step_before(const lm_turns *turns, int group, int64_t step) {
    int64_t last = -1;
    for (int p = 0; p < turns->count && step > 0; p++) {
        int every = turns->groups[p] == group ? turns->rules[p].every : 0;
        int64_t own = every ? (step - 1) / every * every : -1;
        if (own > last) last = own;
    }
    return last;
}

/* What the group had seen at its update before; 0: this is its first. */
static int64_t seen_before(const lm_turns *turns, int phase, int64_t step, int run) {
    int group = turns->groups[phase];
    if (run > 0) return count_seen(turns, phase, step, run - 1);
    int64_t seen = last_seen(turns, group, phase, step);
    if (seen >= 0) return seen;
    int64_t before = step_before(turns, group, step);
    return before < 0 ? 0 : last_seen(turns, group, turns->count, before);
}

lm_turn lm_turns_at(const lm_turns *turns, int phase, int64_t step, int run) {
    lm_turn turn = {.number = run + 1, .seen = count_seen(turns, phase, step, run)};
    turn.since = turn.seen - seen_before(turns, phase, step, run);
    for (int p = 0; p < turns->count; p++) {
        if (turns->groups[p] != turns->groups[phase]) continue;
        turn.number += runs_before(turns, p, step);
        if (p < phase) turn.number += lm_turns_runs(turns, p, step);
    }
    return turn;
}
