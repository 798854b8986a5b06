/* The order of steps: Kahn's algorithm, where among the steps that could run next a
 * priority chooses. */
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
    step_edge **after; /* by step: those that must come later */
    int *blockers;     /* by step: how many must come before */
    int *producer;     /* by value: its step, -1: none, it is a leaf */
    int *readers;      /* by value: steps that read it, and roots */
    int64_t *bytes;    /* by value that is made by a step */

    int *waiting, *unread; /* blockers and readers left, while an order is made */
    int *ready, n_ready;
    lm_arena arena; /* owns all of it */
} step_graph;

static lm_status add_edge(step_graph *order, int before, int after) {
    step_edge *edge = lm_arena_alloc(&order->arena, sizeof *edge);
    if (!edge) return LM_NOMEM;
    edge->step = after;
    edge->next = order->after[before];
    order->after[before] = edge;
    order->blockers[after]++;
    return LM_OK;
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
    order->bytes = lm_arena_alloc(arena, v * sizeof *order->bytes);
    order->waiting = lm_arena_alloc(arena, n * sizeof *order->waiting);
    order->unread = lm_arena_alloc(arena, v * sizeof *order->unread);
    order->ready = lm_arena_alloc(arena, n * sizeof *order->ready);
    bool all = order->after && order->blockers && order->producer && order->readers &&
               order->bytes && order->waiting && order->unread && order->ready;
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

static lm_status add_value_edges(step_graph *order, lm_graph *graph) {
    for (int v = 0; v < order->n_values; v++) order->producer[v] = -1;
    for (int s = 0; s < order->n_steps; s++) {
        if (is_assign(&order->steps[s])) continue;
        for (int o = 0; o < order->steps[s].n_out; o++) {
            const lm_node *out = order->steps[s].out[o];
            order->producer[out->id] = s;
            order->bytes[out->id] =
                lm_shape_count(out->shape) * (int64_t)lm_dtype_size(out->dtype);
        }
    }
    for (int s = 0; s < order->n_steps; s++) {
        for (int i = 0; i < order->steps[s].n_in; i++) {
            int value = value_read(&order->steps[s], i);
            if (value < 0) continue;
            order->readers[value]++;
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

/* Writes an order and the most bytes that are alive at once in it. Returns the number of
 * steps that could be ordered: all, unless there is a circle. */
static int make_order(step_graph *order, bool by_memory, int *sorted, int64_t *peak) {
    memcpy(order->waiting, order->blockers, (size_t)order->n_steps * sizeof(int));
    memcpy(order->unread, order->readers, (size_t)order->n_values * sizeof(int));
    order->n_ready = 0;
    for (int s = 0; s < order->n_steps; s++)
        if (order->waiting[s] == 0) order->ready[order->n_ready++] = s;

    int count = 0;
    int64_t live = 0;
    *peak = 0;
    while (order->n_ready > 0) {
        int r = choose(order, by_memory), s = order->ready[r];
        order->ready[r] = order->ready[--order->n_ready];
        sorted[count++] = s;
        live += bytes_made(order, s);
        if (live > *peak) *peak = live;
        live -= bytes_freed(order, s);
        for (int i = 0; i < order->steps[s].n_in; i++) {
            int value = value_read(&order->steps[s], i);
            if (value >= 0) order->unread[value]--;
        }
        for (const step_edge *e = order->after[s]; e; e = e->next)
            if (--order->waiting[e->step] == 0) order->ready[order->n_ready++] = e->step;
    }
    return count;
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

/* The greedy order looks one step ahead and can lose to the order in which the graph was
 * written, so the better of the two is taken. */
static lm_status best_order(step_graph *order, bool reorder, int *best, int *other) {
    int64_t peak, other_peak;
    if (make_order(order, false, best, &peak) != order->n_steps)
        return fail_circle(order);
    if (!reorder) return LM_OK;
    make_order(order, true, other, &other_peak);
    if (other_peak < peak) memcpy(best, other, (size_t)order->n_steps * sizeof *best);
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
