/* Steps of single nodes, and the assembly of a schedule. */
#include "base/mem.h"
#include "passes/group.h"
#include <string.h>

bool lm_makes_step(const lm_node *node) {
    bool given =
        (lm_kind_get(node->kind)->flags & LM_K_LEAF) != 0 && node->kind != LM_KIND_IOTA;
    return !given && !lm_is_view(node);
}

lm_status lm_group_single(lm_node *const *nodes, int n_nodes, lm_arena *arena,
                          lm_step **steps, int *n_steps) {
    int count = 0;
    for (int i = 0; i < n_nodes; i++) count += lm_makes_step(nodes[i]);
    *steps = lm_arena_alloc(arena, ((size_t)count + 1) * sizeof **steps);
    lm_node **out = lm_arena_alloc(arena, ((size_t)count + 1) * sizeof *out);
    if (!*steps || !out) return LM_NOMEM;
    *n_steps = 0;
    for (int i = 0; i < n_nodes; i++) {
        if (!lm_makes_step(nodes[i])) continue;
        out[*n_steps] = nodes[i];
        (*steps)[*n_steps] = (lm_step){.nodes = out + *n_steps,
                                       .n_nodes = 1,
                                       .in = nodes[i]->src,
                                       .n_in = nodes[i]->n_src,
                                       .out = out + *n_steps,
                                       .n_out = 1};
        ++*n_steps;
    }
    return LM_OK;
}

lm_status lm_schedule_build(lm_graph *graph, const lm_schedule_options *options,
                            lm_schedule *schedule) {
    *schedule = (lm_schedule){.graph = graph, .arena = LM_ARENA_INIT};
    LM_TRY(lm_graph_status(graph));
    lm_node **nodes;
    int n_nodes;
    LM_TRY(lm_topological(graph, &nodes, &n_nodes));
    lm_status status = options->fuse
                           ? lm_group_clusters(graph, nodes, n_nodes, &schedule->arena,
                                               &schedule->steps, &schedule->n_steps)
                           : lm_group_single(nodes, n_nodes, &schedule->arena,
                                             &schedule->steps, &schedule->n_steps);
    lm_free(nodes);
    if (status == LM_OK)
        status =
            lm_order_steps(graph, schedule->steps, schedule->n_steps, options->reorder);
    if (status != LM_OK) lm_schedule_release(schedule);
    return status;
}

void lm_schedule_release(lm_schedule *schedule) {
    lm_arena_release(&schedule->arena);
    *schedule = (lm_schedule){.graph = NULL};
}
