/* Values that are cheap to make are made again for late readers, so that they need not be
 * kept in between. lives.h tells which; this builds the graph. */
#include "passes/lives.h"
#include "passes/passes.h"
#include "passes/rewrite.h"
#include "passes/schedule.h"

typedef struct repeater {
    lm_lives lives;
    lm_node **late; /* by old id: the copy for late readers, once it is built */
} repeater;

static lm_node *late_copy(lm_rewrite *rewrite, const lm_node *value);

/* The same views over something else. */
static lm_node *view_over(lm_rewrite *rewrite, const lm_node *old, const lm_node *root,
                          lm_node *now) {
    if (old == root) return now;
    lm_node *src = view_over(rewrite, old->src[0], root, now);
    return src ? lm_rebuild(rewrite->to, rewrite->from, old, &src) : NULL;
}

/* Makes a value again out of what is in memory at a step. */
static lm_node *make_again(lm_rewrite *rewrite, const lm_node *old, int at,
                           uint32_t copy) {
    repeater *r = rewrite->user;
    lm_node **src =
        lm_arena_alloc(&r->lives.arena, ((size_t)old->n_src + 1) * sizeof *src);
    if (!src) return lm_graph_fail(rewrite->to, LM_NOMEM, "no memory");
    for (int i = 0; i < old->n_src; i++) {
        const lm_node *root = lm_view_root(old->src[i], NULL);
        bool late, there = lm_lives_has(&r->lives, root, at, &late);
        src[i] = rewrite->map[old->src[i]->id];
        if (there ? !late : !lm_is_cheap(root)) continue;
        lm_node *now =
            there ? late_copy(rewrite, root) : make_again(rewrite, root, at, copy);
        src[i] = view_over(rewrite, old->src[i], root, now);
    }
    return lm_again(rewrite->to, rewrite->from, old, src, copy);
}

static lm_node *late_copy(lm_rewrite *rewrite, const lm_node *value) {
    repeater *r = rewrite->user;
    const lm_life *life = &r->lives.of[value->id];
    if (!r->late[value->id])
        r->late[value->id] = make_again(rewrite, value, life->late_start, life->copy);
    return r->late[value->id];
}

static bool reads_late(const repeater *r, const lm_node *reader, int i) {
    int step = r->lives.first[reader->id];
    const lm_life *life = &r->lives.of[lm_view_root(reader->src[i], NULL)->id];
    return life->copy && step >= life->late_start;
}

/* A reshape may be read early and late; whoever reads it late gets one of its own. */
static lm_node *read_copies(lm_rewrite *rewrite, const lm_node *old,
                            lm_node *const *src) {
    repeater *r = rewrite->user;
    int n_late = 0;
    for (int i = 0; i < old->n_src; i++) n_late += reads_late(r, old, i);
    if (n_late == 0 || lm_is_view(old)) return lm_rewrite_same(rewrite, old, src);
    lm_node **now = lm_arena_copy(&r->lives.arena, src, (size_t)old->n_src * sizeof *now);
    if (!now) return lm_graph_fail(rewrite->to, LM_NOMEM, "no memory");
    for (int i = 0; i < old->n_src; i++) {
        if (!reads_late(r, old, i)) continue;
        const lm_node *root = lm_view_root(old->src[i], NULL);
        now[i] = view_over(rewrite, old->src[i], root, late_copy(rewrite, root));
    }
    return lm_rewrite_same(rewrite, old, now);
}

/* ---- the pass ---------------------------------------------------------------- */

static lm_status make_plan(lm_graph *graph, const lm_repeat_options *options,
                           lm_schedule *schedule, lm_plan *plan) {
    LM_TRY(lm_schedule_build(graph, &options->schedule, schedule));
    lm_status status = lm_plan_build(schedule, &options->plan, plan);
    if (status != LM_OK) lm_schedule_release(schedule);
    return status;
}

static lm_status repeat(lm_graph *from, const lm_repeat_options *options, lm_graph **to,
                        int64_t *before) {
    lm_schedule schedule;
    lm_plan plan;
    repeater r;
    LM_TRY(make_plan(from, options, &schedule, &plan));
    *before = plan.arena_bytes;
    lm_status status = lm_lives_init(&r.lives, &schedule, &plan, options);
    if (status == LM_OK) {
        status = lm_lives_shorten(&r.lives);
        r.late = lm_arena_alloc(&r.lives.arena,
                                ((size_t)lm_graph_size(from) + 1) * sizeof *r.late);
        if (!r.late) status = LM_NOMEM;
        if (status == LM_OK) status = lm_rewrite_graph(from, read_copies, &r, to);
        lm_lives_release(&r.lives);
    }
    lm_plan_release(&plan);
    lm_schedule_release(&schedule);
    return status;
}

/* Lives were reckoned with the old order, so the new plan decides. */
lm_status lm_pass_repeat(lm_graph *from, const lm_repeat_options *options,
                         lm_graph **to) {
    lm_schedule schedule;
    lm_plan plan;
    int64_t before, after;
    *to = NULL;
    LM_TRY(repeat(from, options, to, &before));
    lm_status status = make_plan(*to, options, &schedule, &plan);
    if (status == LM_OK) {
        after = plan.arena_bytes;
        lm_plan_release(&plan);
        lm_schedule_release(&schedule);
        if (after < before) return LM_OK;
    }
    lm_graph_free(*to);
    *to = NULL;
    return status == LM_OK ? lm_pass_copy(from, to) : status;
}
