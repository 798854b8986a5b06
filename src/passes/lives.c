/* Lives and their gaps. Greedy: at the step where most is alive, the value whose gap
 * costs least memory traffic for what it saves; again and again until nothing helps
 * there.
 *
 * Chen et al., "Training deep nets with sublinear memory cost" (2016), drop whole
 * segments of a network. Here only what a pass over memory makes again is dropped. */
#include "passes/lives.h"
#include "passes/group.h"
#include "passes/rewrite.h"
#include <string.h>

enum {
    LEAST_SHARE = 2000, /* of the peak must be saved by a copy */
    MOST_TRAFFIC = 8,   /* bytes read and written for each byte saved */
    MOST_NODES = 16     /* made again for one value */
};

/* ---- set up ------------------------------------------------------------------ */

static lm_status add_use(lm_lives *lives, const lm_node *root, int step) {
    lm_life *life = &lives->of[root->id];
    lm_use *use = lm_arena_alloc(&lives->arena, sizeof *use);
    if (!use) return LM_NOMEM;
    *use = (lm_use){step, life->uses};
    life->uses = use;
    return LM_OK;
}

static bool is_assign(const lm_step *step) {
    return step->nodes[0]->kind == LM_KIND_ASSIGN;
}

static void add_outputs(lm_lives *lives, int s, const lm_plan *plan,
                        const lm_plan_options *options) {
    const lm_step *step = &lives->schedule->steps[s];
    for (int o = 0; o < step->n_out && !is_assign(step); o++) {
        const lm_node *out = step->out[o];
        if (plan->of[out->id].place != LM_PLACE_ARENA) continue;
        int last = plan->last_use[out->id];
        if (last < s) last = s;
        lives->of[out->id] =
            (lm_life){.bytes = lm_shape_count(out->shape) *
                               (int64_t)options->element_size(out->dtype),
                      .born = s,
                      .last = last,
                      .held = last,
                      .whole = last == lives->schedule->n_steps};
    }
}

/* What a step reads. A node that several steps compute reads its sources early and late,
 * so these have no gap; nor has what is assigned. */
static lm_status add_reads(lm_lives *lives, int s) {
    const lm_step *step = &lives->schedule->steps[s];
    for (int i = is_assign(step); i < step->n_in; i++) {
        const lm_node *root = lm_view_root(step->in[i], NULL);
        lives->of[root->id].whole |= is_assign(step);
        LM_TRY(add_use(lives, root, s));
    }
    for (int n = 0; n < step->n_nodes; n++) {
        const lm_node *node = step->nodes[n];
        if (lives->first[node->id] < 0) lives->first[node->id] = s;
        lives->last[node->id] = s;
        for (int i = 0; i < node->n_src && lives->first[node->id] < s; i++)
            lives->of[lm_view_root(node->src[i], NULL)->id].whole = true;
    }
    return LM_OK;
}

/* A value whose place is taken by a result of its last reader: the two are one then. */
static void find_taken_places(lm_lives *lives, int s, const lm_plan *plan) {
    const lm_step *step = &lives->schedule->steps[s];
    for (int i = is_assign(step); i < step->n_in; i++) {
        uint32_t id = lm_view_root(step->in[i], NULL)->id;
        lm_life *in = &lives->of[id];
        for (int o = 0; o < step->n_out && in->bytes && in->last == s; o++) {
            const lm_life *out = &lives->of[step->out[o]->id];
            int64_t from = plan->of[id].offset, to = plan->of[step->out[o]->id].offset;
            if (out->bytes && from < to + out->bytes && to < from + in->bytes)
                in->held = s - 1;
        }
    }
}

static void change_live(lm_lives *lives, int from, int to, int64_t bytes) {
    for (int s = from; s <= to && s < lives->schedule->n_steps; s++)
        lives->live[s] += bytes;
}

static lm_status fill(lm_lives *lives, const lm_plan *plan,
                      const lm_plan_options *options) {
    int n_steps = lives->schedule->n_steps;
    for (int v = 0; v < lives->n_nodes; v++) lives->first[v] = lives->last[v] = -1;
    for (int s = 0; s < n_steps; s++) {
        add_outputs(lives, s, plan, options);
        LM_TRY(add_reads(lives, s));
    }
    for (int s = 0; s < n_steps; s++) find_taken_places(lives, s, plan);
    for (int v = 0; v < lives->n_nodes; v++)
        if (lives->of[v].bytes)
            change_live(lives, lives->of[v].born, lives->of[v].held, lives->of[v].bytes);
    return LM_OK;
}

lm_status lm_lives_init(lm_lives *lives, const lm_schedule *schedule, const lm_plan *plan,
                        const lm_repeat_options *options) {
    *lives = (lm_lives){.schedule = schedule,
                        .n_nodes = lm_graph_size(schedule->graph),
                        .least = options->least,
                        .arena = LM_ARENA_INIT};
    size_t n = (size_t)lives->n_nodes + 1, s = (size_t)schedule->n_steps + 1;
    lives->of = lm_arena_alloc(&lives->arena, n * sizeof *lives->of);
    lives->first = lm_arena_alloc(&lives->arena, n * sizeof *lives->first);
    lives->last = lm_arena_alloc(&lives->arena, n * sizeof *lives->last);
    lives->live = lm_arena_alloc(&lives->arena, s * sizeof *lives->live);
    lm_status status = LM_NOMEM;
    if (lives->of && lives->first && lives->last && lives->live)
        status = fill(lives, plan, &options->plan);
    if (status != LM_OK) lm_lives_release(lives);
    return status;
}

void lm_lives_release(lm_lives *lives) {
    lm_arena_release(&lives->arena);
    *lives = (lm_lives){.arena = LM_ARENA_INIT};
}

/* ---- what a copy takes ------------------------------------------------------- */

bool lm_is_cheap(const lm_node *node) {
    static const bool kinds[LM_KIND_COUNT] = {
        [LM_KIND_EW] = true,        [LM_KIND_PHILOX] = true, [LM_KIND_IOTA] = true,
        [LM_KIND_BROADCAST] = true, [LM_KIND_CONCAT] = true, [LM_KIND_RESHAPE] = true,
    };
    return kinds[node->kind] ||
           (node->kind == LM_KIND_CALL && node->attr.call.composite == LM_COMP_NORM_ACT);
}

bool lm_lives_has(const lm_lives *lives, const lm_node *value, int step, bool *late) {
    const lm_life *life = &lives->of[value->id];
    *late = life->copy && step >= life->late_start;
    if (!lm_makes_step(value)) return true;
    if (life->bytes == 0 || step > life->last) return false;
    return *late || !life->copy || step <= life->early_end;
}

/* Making a value again at a step. */
typedef struct recipe {
    const lm_node *value;
    int early_end, at;
    const lm_node *reads[MOST_NODES]; /* values in memory; some kept longer for it */
    int n_reads, n_nodes;
    int64_t saved;   /* at the peak */
    int64_t traffic; /* bytes read and written */
} recipe;

static int64_t bytes_of(const lm_lives *lives, const lm_node *node) {
    int64_t bytes = lives->of[node->id].bytes;
    return bytes ? bytes
                 : lm_shape_count(node->shape) * (int64_t)lm_dtype_size(node->dtype);
}

static bool add_read(const lm_lives *lives, recipe *r, const lm_node *root) {
    if (lm_is_uniform(root)) return true;
    for (int i = 0; i < r->n_reads; i++)
        if (r->reads[i] == root) return true;
    if (r->n_reads == MOST_NODES) return false;
    r->reads[r->n_reads++] = root;
    r->traffic += bytes_of(lives, root);
    return true;
}

/* A value that is gone by then, and kept instead. */
static bool keep_longer(const lm_lives *lives, recipe *r, const lm_node *root, int peak) {
    const lm_life *life = &lives->of[root->id];
    if (!life->bytes || life->copy) return false;
    if (life->held < peak) r->saved -= life->bytes;
    return add_read(lives, r, root);
}

static bool add_sources(const lm_lives *lives, recipe *r, const lm_node *node, int peak) {
    if (++r->n_nodes > MOST_NODES) return false;
    for (int i = 0; i < node->n_src; i++) {
        const lm_node *root = lm_view_root(node->src[i], NULL);
        bool late;
        if (lm_lives_has(lives, root, r->at, &late)) {
            if (!add_read(lives, r, root)) return false;
            continue;
        }
        recipe before = *r;
        if (lm_is_cheap(root) && add_sources(lives, r, root, peak)) {
            if (lives->of[root->id].bytes) r->traffic += 2 * bytes_of(lives, root);
            continue;
        }
        *r = before;
        if (!keep_longer(lives, r, root, peak)) return false;
    }
    return true;
}

/* The gap of a value at the peak, if it has one. */
static bool find_gap(const lm_lives *lives, const lm_life *life, int peak, recipe *r) {
    if (life->copy || life->whole || life->bytes < lives->least || life->born >= peak ||
        life->held <= peak)
        return false;
    r->early_end = life->born;
    r->at = life->last;
    for (const lm_use *use = life->uses; use; use = use->next) {
        if (use->step <= peak && use->step > r->early_end) r->early_end = use->step;
        if (use->step >= peak && use->step < r->at) r->at = use->step;
    }
    return r->early_end < peak && peak < r->at;
}

/* Whether what is kept longer makes no other step as full as the peak. */
static bool stays_below(const lm_lives *lives, const recipe *r, int peak) {
    int64_t bytes = lives->of[r->value->id].bytes;
    for (int s = r->at; s > 0; s--) {
        int64_t kept = 0;
        for (int i = 0; i < r->n_reads; i++) {
            const lm_life *read = &lives->of[r->reads[i]->id];
            if (read->held < s) kept += read->bytes;
        }
        if (kept == 0) break;
        if (s < r->at && s > r->early_end) kept -= bytes;
        if (kept > 0 && lives->live[s] + kept >= lives->live[peak]) return false;
    }
    return true;
}

static bool is_worth_it(const lm_lives *lives, int64_t saved, int peak) {
    return saved >= lives->least && saved >= lives->live[peak] / LEAST_SHARE;
}

static bool find_recipe(const lm_lives *lives, const lm_node *value, int peak,
                        recipe *r) {
    const lm_life *life = &lives->of[value->id];
    *r = (recipe){.value = value, .saved = life->bytes, .traffic = life->bytes};
    return lm_is_cheap(value) && find_gap(lives, life, peak, r) &&
           add_sources(lives, r, value, peak) && is_worth_it(lives, r->saved, peak) &&
           r->traffic <= MOST_TRAFFIC * r->saved && stays_below(lives, r, peak);
}

/* ---- choosing ---------------------------------------------------------------- */

static int find_peak(const lm_lives *lives) {
    int peak = 0;
    for (int s = 1; s < lives->schedule->n_steps; s++)
        if (lives->live[s] > lives->live[peak]) peak = s;
    return peak;
}

/* More saved for each byte of traffic. */
static bool is_better(const recipe *a, const recipe *b) {
    return !b->value ||
           (double)a->saved * (double)b->traffic > (double)b->saved * (double)a->traffic;
}

static lm_status make_gap(lm_lives *lives, const recipe *r) {
    lm_life *life = &lives->of[r->value->id];
    life->copy = ++lives->copies;
    life->early_end = r->early_end;
    life->late_start = r->at;
    change_live(lives, r->early_end + 1, r->at - 1, -life->bytes);
    for (int i = 0; i < r->n_reads; i++) {
        lm_life *read = &lives->of[r->reads[i]->id];
        LM_TRY(add_use(lives, r->reads[i], r->at));
        if (!read->bytes || read->held >= r->at) continue;
        change_live(lives, read->held + 1, r->at, read->bytes);
        read->held = read->last = r->at;
    }
    return LM_OK;
}

/* ---- all of it --------------------------------------------------------------- */

lm_status lm_lives_shorten(lm_lives *lives) {
    for (;;) {
        int peak = lives->schedule->n_steps ? find_peak(lives) : 0;
        recipe best = {.value = NULL}, r;
        for (int v = 0; v < lives->n_nodes; v++)
            if (lives->of[v].bytes && lives->of[v].born < peak &&
                find_recipe(lives, lm_graph_node(lives->schedule->graph, v), peak, &r) &&
                is_better(&r, &best))
                best = r;
        if (!best.value) return LM_OK;
        LM_TRY(make_gap(lives, &best));
    }
}
