/* The order of steps: Kahn's algorithm, where among the steps that could run next a
 * priority chooses; then steps whose results are not wanted yet sink toward their
 * readers. */
#include "base/mem.h"
#include "passes/group.h"
#include <string.h>

typedef struct step_edge {
    int step;
    struct step_edge *next;
} step_edge;

/* The graph of steps, and what each order's cost is reckoned from. Values are named by
 * the id of their root node. */
typedef struct step_graph {
    const lm_step *steps;
    int n_steps, n_values;
    step_edge **after;   /* by step: those that must come later */
    int *blockers;       /* by step: how many must come before */
    int *producer;       /* by value: its step, -1: none, it is a leaf */
    int *readers;        /* by value: steps that read it, and roots */
    step_edge **read_by; /* by value: those steps */
    int64_t *bytes; /* by value that is made by a step, and not in a variable's place */

    int *waiting, *unread; /* blockers and readers left, while an order is made */
    int *ready, n_ready;
    lm_arena arena; /* owns all of it */
} step_graph;

static lm_status add_to_list(step_graph *order, step_edge **list, int step) {
    step_edge *edge = lm_arena_alloc(&order->arena, sizeof *edge);
    if (!edge) return LM_NOMEM;
    *edge = (step_edge){step, *list};
    *list = edge;
    return LM_OK;
}

static lm_status add_edge(step_graph *order, int before, int after) {
    order->blockers[after]++;
    return add_to_list(order, &order->after[before], after);
}

static lm_status order_init(step_graph *order, lm_graph *graph, const lm_step *steps,
                            int n_steps) {
    size_t n = (size_t)n_steps + 1, v = (size_t)lm_graph_size(graph) + 1;
    lm_arena *arena = &order->arena;
    *order = (step_graph){.steps = steps,
                          .n_steps = n_steps,
                          .n_values = lm_graph_size(graph),
                          .arena = LM_ARENA_INIT};
    order->after = lm_arena_alloc(arena, n * sizeof *order->after);
    order->blockers = lm_arena_alloc(arena, n * sizeof *order->blockers);
    order->producer = lm_arena_alloc(arena, v * sizeof *order->producer);
    order->readers = lm_arena_alloc(arena, v * sizeof *order->readers);
    order->read_by = lm_arena_alloc(arena, v * sizeof *order->read_by);
    order->bytes = lm_arena_alloc(arena, v * sizeof *order->bytes);
    order->waiting = lm_arena_alloc(arena, n * sizeof *order->waiting);
    order->unread = lm_arena_alloc(arena, v * sizeof *order->unread);
    order->ready = lm_arena_alloc(arena, n * sizeof *order->ready);
    bool all = order->after && order->blockers && order->producer && order->readers &&
               order->read_by && order->bytes && order->waiting && order->unread &&
               order->ready;
    return all ? LM_OK : LM_NOMEM;
}

static bool is_assign(const lm_step *step) {
    return step->nodes[0]->kind == LM_KIND_ASSIGN;
}

/* The value behind in[i], or -1 where none is read or an earlier input is the same one
 * (each value counts once). */
static int value_read(const lm_step *step, int i) {
    if (is_assign(step) && i == 0) return -1;
    const lm_node *root = lm_view_root(step->in[i], NULL);
    for (int j = is_assign(step); j < i; j++)
        if (lm_view_root(step->in[j], NULL) == root) return -1;
    return (int)root->id;
}

/* ---- edges ------------------------------------------------------------------- */

static int64_t bytes_of(const lm_node *node) {
    return lm_shape_count(node->shape) * (int64_t)lm_dtype_size(node->dtype);
}

/* What will be assigned is nearly always made right in the variable, so it counts
 * nothing. */
static void find_producers(step_graph *order) {
    for (int v = 0; v < order->n_values; v++) order->producer[v] = -1;
    for (int s = 0; s < order->n_steps; s++) {
        if (is_assign(&order->steps[s])) continue;
        for (int o = 0; o < order->steps[s].n_out; o++) {
            const lm_node *out = order->steps[s].out[o];
            order->producer[out->id] = s;
            order->bytes[out->id] = bytes_of(out);
        }
    }
    for (int s = 0; s < order->n_steps; s++) {
        if (!is_assign(&order->steps[s])) continue;
        const lm_node *value = lm_view_root(order->steps[s].in[1], NULL);
        if (bytes_of(value) == bytes_of(order->steps[s].in[1]))
            order->bytes[value->id] = 0;
    }
}

static lm_status add_value_edges(step_graph *order, lm_graph *graph) {
    find_producers(order);
    for (int s = 0; s < order->n_steps; s++) {
        for (int i = 0; i < order->steps[s].n_in; i++) {
            int value = value_read(&order->steps[s], i);
            if (value < 0) continue;
            order->readers[value]++;
            LM_TRY(add_to_list(order, &order->read_by[value], s));
            if (order->producer[value] >= 0)
                LM_TRY(add_edge(order, order->producer[value], s));
        }
    }
    int count;
    const lm_named_node *roots = lm_graph_roots(graph, &count);
    for (int i = 0; i < count; i++)
        order->readers[lm_view_root(roots[i].node, NULL)->id]++;
    return LM_OK;
}

static bool reads_overlap(const lm_step *step, const lm_node *param) {
    for (int i = 0; i < step->n_in; i++) {
        const lm_node *read = lm_step_reads_param(step, i);
        if (read && lm_params_overlap(read, param)) return true;
    }
    return false;
}

static lm_status add_assign_edges(step_graph *order, int assign) {
    const lm_node *param = order->steps[assign].nodes[0]->src[0];
    for (int s = 0; s < order->n_steps; s++) {
        const lm_step *step = &order->steps[s];
        if (s == assign) continue;
        bool both = is_assign(step) && s < assign &&
                    lm_params_overlap(step->nodes[0]->src[0], param);
        if (both || reads_overlap(step, param)) LM_TRY(add_edge(order, s, assign));
    }
    return LM_OK;
}

/* Marks all steps that must come after `from`. */
static lm_status mark_reachable(const step_graph *order, int from, bool *reached) {
    int *stack = lm_alloc(((size_t)order->n_steps + 1) * sizeof *stack);
    if (!stack) return LM_NOMEM;
    int depth = 0;
    stack[depth++] = from;
    reached[from] = true;
    while (depth > 0) {
        for (const step_edge *e = order->after[stack[--depth]]; e; e = e->next) {
            if (reached[e->step]) continue;
            reached[e->step] = true;
            stack[depth++] = e->step;
        }
    }
    lm_free(stack);
    return LM_OK;
}

/* A value that is made after the last look at the slice it will be assigned to can be
 * made in place. So its step waits for the other readers, where they do not wait for it.
 */
static lm_status prefer_in_place(step_graph *order, int assign) {
    const lm_node *node = order->steps[assign].nodes[0];
    int producer = order->producer[lm_view_root(node->src[1], NULL)->id];
    if (producer < 0) return LM_OK;
    bool *reached = lm_calloc((size_t)order->n_steps + 1, sizeof *reached);
    if (!reached) return LM_NOMEM;
    lm_status status = mark_reachable(order, producer, reached);
    for (int s = 0; s < order->n_steps && status == LM_OK; s++)
        if (!reached[s] && reads_overlap(&order->steps[s], node->src[0]))
            status = add_edge(order, s, producer);
    lm_free(reached);
    return status;
}

static lm_status add_edges(step_graph *order, lm_graph *graph, bool reorder) {
    LM_TRY(add_value_edges(order, graph));
    for (int s = 0; s < order->n_steps; s++)
        if (is_assign(&order->steps[s])) LM_TRY(add_assign_edges(order, s));
    for (int s = 0; s < order->n_steps && reorder; s++)
        if (is_assign(&order->steps[s])) LM_TRY(prefer_in_place(order, s));
    return LM_OK;
}

/* ---- orders ------------------------------------------------------------------ */

static int64_t bytes_made(const step_graph *order, int s) {
    int64_t bytes = 0;
    const lm_step *step = &order->steps[s];
    for (int o = 0; o < step->n_out; o++) bytes += order->bytes[step->out[o]->id];
    return bytes;
}

static int64_t bytes_freed(const step_graph *order, int s) {
    int64_t bytes = 0;
    for (int i = 0; i < order->steps[s].n_in; i++) {
        int value = value_read(&order->steps[s], i);
        if (value >= 0 && order->unread[value] == 1) bytes += order->bytes[value];
    }
    return bytes;
}

static void count_as_read(step_graph *order, int s) {
    for (int i = 0; i < order->steps[s].n_in; i++) {
        int value = value_read(&order->steps[s], i);
        if (value >= 0) order->unread[value]--;
    }
}

/* Position in the ready list; ties go to the earlier step, so that the result depends on
 * the graph alone. */
static int choose(const step_graph *order, bool by_memory) {
    int best = 0;
    int64_t best_gain = INT64_MIN;
    for (int r = 0; r < order->n_ready; r++) {
        int s = order->ready[r];
        int64_t gain = by_memory ? bytes_freed(order, s) - bytes_made(order, s) : 0;
        if (gain > best_gain || (gain == best_gain && s < order->ready[best])) {
            best = r;
            best_gain = gain;
        }
    }
    return best;
}

/* Writes an order. Returns the number of steps that could be ordered: all, unless there
 * is a circle. */
static int make_order(step_graph *order, bool by_memory, int *sorted) {
    memcpy(order->waiting, order->blockers, (size_t)order->n_steps * sizeof(int));
    memcpy(order->unread, order->readers, (size_t)order->n_values * sizeof(int));
    order->n_ready = 0;
    for (int s = 0; s < order->n_steps; s++)
        if (order->waiting[s] == 0) order->ready[order->n_ready++] = s;

    int count = 0;
    while (order->n_ready > 0) {
        int r = choose(order, by_memory), s = order->ready[r];
        order->ready[r] = order->ready[--order->n_ready];
        sorted[count++] = s;
        count_as_read(order, s);
        for (const step_edge *e = order->after[s]; e; e = e->next)
            if (--order->waiting[e->step] == 0) order->ready[order->n_ready++] = e->step;
    }
    return count;
}

/* Bytes of the results of step s that take the place of what it is the last to read. */
static int64_t bytes_in_place(const step_graph *order, int s) {
    const lm_step *step = &order->steps[s];
    int64_t made = bytes_made(order, s);
    if (step->nodes[0]->kind == LM_KIND_CONCAT) {
        int64_t freed = bytes_freed(order, s);
        return freed < made ? freed : made;
    }
    for (int i = 0; i < step->n_in && made > 0; i++) {
        int value = value_read(step, i);
        if (value >= 0 && order->unread[value] == 1 && order->bytes[value] > 0 &&
            order->bytes[value] == bytes_of(step->out[0]) &&
            lm_step_may_alias(step, 0, i))
            return order->bytes[value];
    }
    return 0;
}

/* The most bytes that are alive at once. */
static int64_t find_peak(step_graph *order, const int *sorted) {
    memcpy(order->unread, order->readers, (size_t)order->n_values * sizeof(int));
    int64_t live = 0, peak = 0;
    for (int i = 0; i < order->n_steps; i++) {
        int s = sorted[i];
        int64_t during = live + bytes_made(order, s) - bytes_in_place(order, s);
        if (during > peak) peak = during;
        live += bytes_made(order, s) - bytes_freed(order, s);
        count_as_read(order, s);
    }
    return peak;
}

/* ---- sinking ----------------------------------------------------------------- */

/* Whether a value would live longer if step s read it at position `to`, the last before
 * what must come after s. */
static bool lives_longer(const step_graph *order, int value, int s, int to,
                         const int *place) {
    int count = 0;
    for (const step_edge *e = order->read_by[value]; e; e = e->next, count++)
        if (e->step != s && place[e->step] > to) return false;
    return count == order->readers[value]; /* else it is a root's */
}

/* Results are kept shorter if s runs later, what it alone still reads is kept longer.
 * Where both are as large, s goes too: then what makes its input may. */
static bool gains_by_sinking(const step_graph *order, int s, int to, const int *place) {
    int64_t made = bytes_made(order, s), kept = 0;
    for (int i = 0; i < order->steps[s].n_in; i++) {
        int value = value_read(&order->steps[s], i);
        if (value >= 0 && lives_longer(order, value, s, to, place))
            kept += order->bytes[value];
    }
    return made > 0 && made >= kept;
}

/* Moves each step, the last first, to just before the first that must come after it. */
static void sink_steps(step_graph *order, int *sorted) {
    int *place = order->waiting, last = order->n_steps - 1;
    for (int i = 0; i <= last; i++) place[sorted[i]] = i;
    for (int i = last; i >= 0; i--) {
        int s = sorted[i], to = last;
        for (const step_edge *e = order->after[s]; e; e = e->next)
            if (place[e->step] - 1 < to) to = place[e->step] - 1;
        if (to == i || !gains_by_sinking(order, s, to, place)) continue;
        memmove(&sorted[i], &sorted[i + 1], (size_t)(to - i) * sizeof *sorted);
        sorted[to] = s;
        for (int k = i; k <= to; k++) place[sorted[k]] = k;
    }
}

/* Only assigns can close a circle: values flow from lower to higher ids. */
static lm_status fail_circle(const step_graph *order) {
    for (int s = 0; s < order->n_steps; s++)
        if (order->waiting[s] > 0 && is_assign(&order->steps[s])) {
            lm_str text = LM_STR_INIT;
            lm_node_text(order->steps[s].nodes[0], &text);
            lm_fail(LM_UNSUPPORTED, "%s: variables cannot exchange their values",
                    text.failed ? "assign" : lm_str_text(&text));
            lm_str_release(&text);
            return LM_UNSUPPORTED;
        }
    return lm_fail(LM_INTERNAL, "steps depend on each other in a circle");
}

/* No way to order wins everywhere: the greedy one looks one step ahead and can lose to
 * the order in which the graph was written, and sinking weighs each step alone. So the
 * best of all is taken. */
static lm_status best_order(step_graph *order, bool reorder, int *best, int *other) {
    size_t size = (size_t)order->n_steps * sizeof *best;
    if (make_order(order, false, best) != order->n_steps) return fail_circle(order);
    if (!reorder) return LM_OK;
    int64_t least = find_peak(order, best);
    for (int way = 1; way < 4; way++) {
        if (way == 1) memcpy(other, best, size);
        if (way == 2) make_order(order, true, other);
        if (way != 2) sink_steps(order, other);
        int64_t peak = find_peak(order, other);
        if (peak >= least) continue;
        least = peak;
        memcpy(best, other, size);
    }
    return LM_OK;
}

lm_status lm_order_steps(lm_graph *graph, lm_step *steps, int n_steps, bool reorder) {
    step_graph order;
    size_t n = (size_t)n_steps + 1;
    lm_status status;
    LM_TRY_GOTO(done, order_init(&order, graph, steps, n_steps));
    int *sorted = lm_arena_alloc(&order.arena, 2 * n * sizeof *sorted);
    lm_step *copy = lm_arena_copy(&order.arena, steps, (n - 1) * sizeof *copy);
    status = sorted && copy ? add_edges(&order, graph, reorder) : LM_NOMEM;
    if (status == LM_OK) status = best_order(&order, reorder, sorted, sorted + n);
    for (int s = 0; s < n_steps && status == LM_OK; s++) steps[s] = copy[sorted[s]];
done:
    lm_arena_release(&order.arena);
    return status;
}
