/* Checks a plan by acting out the program: memory is a list of segments that say which
 * bytes of which value they hold; every step must find the values that it reads, and what
 * it writes replaces what was there. Shares no code with the planner but the questions
 * about views and aliases. */
#include "base/mem.h"
#include "passes/plan.h"
#include <string.h>

/* Bytes [lo, hi) of a memory hold bytes [at, ..) of a value: a node's id, or -1 - v for
 * what variable v held before the run. */
typedef struct segment {
    int64_t lo, hi, at;
    int value;
} segment;

typedef struct store {
    segment *segments;
    int count, capacity;
} store;

typedef struct plan_check {
    const lm_schedule *schedule;
    const lm_plan_options *options;
    const lm_plan *plan;
    store *memories; /* the arena, then each variable */
    int n_memories;
} plan_check;

static int64_t size_of(const plan_check *checker, const lm_node *node) {
    return lm_shape_count(node->shape) *
           (int64_t)checker->options->element_size(node->dtype);
}

static lm_status fail_at(const lm_node *node, int step, const char *what) {
    lm_str text = LM_STR_INIT;
    lm_node_text(node, &text);
    lm_fail(LM_INTERNAL, "plan, step %d: %s: %s", step,
            text.failed ? "node" : lm_str_text(&text), what);
    lm_str_release(&text);
    return LM_INTERNAL;
}

/* ---- memories ---------------------------------------------------------------- */

static lm_status append(store *memory, segment added) {
    if (added.lo >= added.hi) return LM_OK;
    if (memory->count == memory->capacity) {
        int capacity = memory->capacity ? 2 * memory->capacity : 64;
        void *grown =
            lm_realloc(memory->segments, (size_t)capacity * sizeof *memory->segments);
        if (!grown) return LM_NOMEM;
        memory->segments = grown;
        memory->capacity = capacity;
    }
    memory->segments[memory->count++] = added;
    return LM_OK;
}

/* What was in [lo, hi) is lost. */
static lm_status erase(store *memory, int64_t lo, int64_t hi) {
    int n = memory->count;
    for (int s = 0; s < n; s++) {
        segment *old = &memory->segments[s];
        if (old->hi <= lo || hi <= old->lo) continue;
        segment right = *old;
        right.at += hi - old->lo;
        right.lo = hi;
        old->hi = lo; /* the left rest, empty when lo <= old->lo */
        LM_TRY(append(memory, right));
    }
    int kept = 0;
    for (int s = 0; s < memory->count; s++)
        if (memory->segments[s].lo < memory->segments[s].hi)
            memory->segments[kept++] = memory->segments[s];
    memory->count = kept;
    return LM_OK;
}

/* Segments never overlap, so the bytes found can be counted. */
static bool holds(const store *memory, segment wanted) {
    int64_t found = 0;
    for (int s = 0; s < memory->count; s++) {
        const segment *have = &memory->segments[s];
        if (have->value != wanted.value || have->at - have->lo != wanted.at - wanted.lo)
            continue;
        int64_t lo = have->lo > wanted.lo ? have->lo : wanted.lo;
        int64_t hi = have->hi < wanted.hi ? have->hi : wanted.hi;
        if (lo < hi) found += hi - lo;
    }
    return found == wanted.hi - wanted.lo;
}

/* ---- values ------------------------------------------------------------------ */

static bool is_joined_end_to_end(const lm_node *node) {
    if (node->kind != LM_KIND_CONCAT) return false;
    for (int axis = 0; axis < node->attr.axis.axis; axis++)
        if (node->shape.dim[axis] != 1) return false;
    return true;
}

typedef lm_status (*piece_fn)(store *memory, segment piece);

/* Names bytes [from, to) of `node`, which are to be at `at` in memory, by the values that
 * they come from: a concat's bytes are those of its parts. */
static lm_status each_piece(const plan_check *checker, const lm_node *node, int64_t from,
                            int64_t to, store *memory, int64_t at, piece_fn visit) {
    int64_t start;
    const lm_node *root = lm_view_root(node, &start);
    int64_t size = (int64_t)checker->options->element_size(root->dtype);
    from += start * size;
    to += start * size;
    if (!is_joined_end_to_end(root)) {
        segment piece = {at, at + to - from, from, (int)root->id};
        if (root->kind == LM_KIND_PARAM) {
            piece.value = -1 - root->attr.param.var;
            piece.at += root->attr.param.offset * size;
        }
        return visit(memory, piece);
    }
    int64_t lo = 0;
    for (int p = 0; p < root->n_src; p++) {
        int64_t hi = lo + size_of(checker, root->src[p]);
        int64_t a = from > lo ? from : lo, b = to < hi ? to : hi;
        if (a < b)
            LM_TRY(each_piece(checker, root->src[p], a - lo, b - lo, memory,
                              at + a - from, visit));
        lo = hi;
    }
    return LM_OK;
}

static lm_status want(store *memory, segment piece) {
    return holds(memory, piece) ? LM_OK : LM_INTERNAL;
}

static lm_status put(store *memory, segment piece) {
    LM_TRY(erase(memory, piece.lo, piece.hi));
    return append(memory, piece);
}

/* Where a node's bytes are: false for inputs and constants, which nobody overwrites. */
static bool find(const plan_check *checker, const lm_node *node, store **memory,
                 int64_t *lo, int64_t *hi) {
    lm_location at = checker->plan->of[node->id];
    if (at.place != LM_PLACE_ARENA && at.place != LM_PLACE_VAR) return false;
    *memory = &checker->memories[at.place == LM_PLACE_ARENA ? 0 : 1 + at.index];
    *lo = at.offset;
    *hi = at.offset + size_of(checker, node);
    return true;
}

static lm_status expect(const plan_check *checker, const lm_node *node, int step) {
    store *memory;
    int64_t lo, hi;
    if (checker->plan->of[node->id].place == LM_PLACE_NONE)
        return fail_at(node, step, "is read but has no place");
    if (!find(checker, node, &memory, &lo, &hi)) return LM_OK;
    if (each_piece(checker, node, 0, hi - lo, memory, lo, want) != LM_OK)
        return fail_at(node, step, "is read but its memory holds something else");
    return LM_OK;
}

/* ---- steps ------------------------------------------------------------------- */

/* A part that is already in its place inside the concat. */
static bool is_placed_part(const plan_check *checker, const lm_step *step, int i) {
    const lm_node *node = step->nodes[0];
    if (!is_joined_end_to_end(node)) return false;
    int64_t offset = 0;
    for (int p = 0; p < i; p++) offset += size_of(checker, step->in[p]);
    return checker->plan->of[step->in[i]->id].offset ==
           checker->plan->of[node->id].offset + offset;
}

/* An assign names its param, but reads only the value. */
static int reads_from(const lm_step *step) {
    return step->nodes[0]->kind == LM_KIND_ASSIGN;
}

static lm_status check_overlap(const plan_check *checker, int s, int o, store *memory,
                               int64_t lo, int64_t hi) {
    const lm_step *step = &checker->schedule->steps[s];
    store *other;
    int64_t other_lo, other_hi;
    for (int i = reads_from(step); i < step->n_in; i++) {
        if (!find(checker, step->in[i], &other, &other_lo, &other_hi)) continue;
        if (other != memory || other_hi <= lo || hi <= other_lo) continue;
        bool same = other_lo == lo && other_hi == hi;
        if (!(same && lm_step_may_alias(step, o, i)) && !is_placed_part(checker, step, i))
            return fail_at(step->out[o], s, "is written over an input");
    }
    for (int p = 0; p < o; p++)
        if (find(checker, step->out[p], &other, &other_lo, &other_hi) &&
            other == memory && other_lo < hi && lo < other_hi)
            return fail_at(step->out[o], s, "shares memory with another result");
    return LM_OK;
}

static lm_status check_workspace(const plan_check *checker, int s) {
    const lm_step *step = &checker->schedule->steps[s];
    const size_t *workspace = checker->options->workspace;
    int64_t lo = checker->plan->workspace[s];
    if (!workspace || workspace[s] == 0)
        return lo < 0 ? LM_OK : fail_at(step->nodes[0], s, "has a needless workspace");
    int64_t hi = lo + (int64_t)workspace[s], in_lo, in_hi;
    if (lo < 0 || hi > checker->plan->arena_bytes || lo % 64)
        return fail_at(step->nodes[0], s, "has a workspace outside of the arena");
    store *memory;
    for (int v = 0; v < step->n_in + step->n_out; v++) {
        const lm_node *node = v < step->n_in ? step->in[v] : step->out[v - step->n_in];
        if (find(checker, node, &memory, &in_lo, &in_hi) &&
            memory == &checker->memories[0] && in_lo < hi && lo < in_hi)
            return fail_at(node, s, "shares memory with the workspace");
    }
    return erase(&checker->memories[0], lo, hi);
}

static lm_status check_writes(const plan_check *checker, int s) {
    const lm_step *step = &checker->schedule->steps[s];
    for (int o = 0; o < step->n_out; o++) {
        store *memory;
        int64_t lo, hi;
        if (!find(checker, step->out[o], &memory, &lo, &hi))
            return fail_at(step->out[o], s, "is written but has no place");
        if (lo < 0 || (memory == checker->memories && hi > checker->plan->arena_bytes))
            return fail_at(step->out[o], s, "lies outside of the arena");
        LM_TRY(check_overlap(checker, s, o, memory, lo, hi));
    }
    for (int o = 0; o < step->n_out; o++) {
        store *memory = NULL;
        int64_t lo = 0, hi = 0;
        if (!find(checker, step->out[o], &memory, &lo, &hi)) continue;
        const lm_node *node =
            step->out[o]->kind == LM_KIND_ASSIGN ? step->in[1] : step->out[o];
        LM_TRY(each_piece(checker, node, 0, hi - lo, memory, lo, put));
    }
    return LM_OK;
}

static lm_status check_step(const plan_check *checker, int s) {
    const lm_step *step = &checker->schedule->steps[s];
    for (int i = reads_from(step); i < step->n_in; i++)
        LM_TRY(expect(checker, step->in[i], s));
    LM_TRY(check_workspace(checker, s));
    if (!checker->plan->skip[s]) return check_writes(checker, s);
    /* Nothing runs, so what it makes must be there. */
    store *memory;
    int64_t lo, hi;
    const lm_node *value =
        step->out[0]->kind == LM_KIND_ASSIGN ? step->in[1] : step->out[0];
    if (!find(checker, step->out[0], &memory, &lo, &hi) ||
        each_piece(checker, value, 0, hi - lo, memory, lo, want) != LM_OK)
        return fail_at(step->out[0], s, "is skipped but is not in place");
    return LM_OK;
}

/* ---- the whole --------------------------------------------------------------- */

static lm_status fill_variables(const plan_check *checker, lm_node *const *nodes,
                                int n_nodes) {
    for (int n = 0; n < n_nodes; n++) {
        store *memory = NULL;
        int64_t lo = 0, hi = 0;
        if (nodes[n]->kind != LM_KIND_PARAM) continue;
        if (!find(checker, nodes[n], &memory, &lo, &hi))
            return fail_at(nodes[n], -1, "is not in its variable");
        LM_TRY(each_piece(checker, nodes[n], 0, hi - lo, memory, lo, put));
    }
    return LM_OK;
}

/* Outputs are there at the end (those that are params: whatever their variable holds),
 * and so is what was assigned. */
static lm_status check_roots(const plan_check *checker) {
    int count;
    const lm_named_node *roots = lm_graph_roots(checker->schedule->graph, &count);
    for (int r = 0; r < count; r++) {
        const lm_node *node = roots[r].node;
        store *memory;
        int64_t lo, hi;
        if (node->kind == LM_KIND_ASSIGN) {
            if (!find(checker, node, &memory, &lo, &hi) ||
                each_piece(checker, node->src[1], 0, hi - lo, memory, lo, want) != LM_OK)
                return fail_at(node, checker->schedule->n_steps, "did not happen");
        } else if (lm_view_root(node, NULL)->kind != LM_KIND_PARAM) {
            LM_TRY(expect(checker, node, checker->schedule->n_steps));
        }
    }
    return LM_OK;
}

static lm_status act_out(const plan_check *checker) {
    lm_node **nodes;
    int n_nodes;
    LM_TRY(lm_topological(checker->schedule->graph, &nodes, &n_nodes));
    lm_status status = fill_variables(checker, nodes, n_nodes);
    lm_free(nodes);
    for (int s = 0; s < checker->schedule->n_steps && status == LM_OK; s++)
        status = check_step(checker, s);
    return status == LM_OK ? check_roots(checker) : status;
}

lm_status lm_plan_check(const lm_schedule *schedule, const lm_plan_options *options,
                        const lm_plan *plan) {
    plan_check checker = {schedule, options, plan, NULL,
                          1 + lm_graph_var_count(schedule->graph)};
    checker.memories = lm_calloc((size_t)checker.n_memories, sizeof *checker.memories);
    if (!checker.memories) return LM_NOMEM;
    lm_status status = act_out(&checker);
    for (int m = 0; m < checker.n_memories; m++) lm_free(checker.memories[m].segments);
    lm_free(checker.memories);
    return status;
}
