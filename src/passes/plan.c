/* Lives, blocks and offsets. */
#include "base/mem.h"
#include "passes/plan_internal.h"
#include <math.h>
#include <stdlib.h>

enum { ALIGN = 64 }; /* a cache line, and what oneDNN likes */

bool lm_planner_read(const lm_planner *planner, const lm_step *step, int i, int *root,
                     int64_t *offset, int64_t *bytes) {
    if (step->nodes[0]->kind == LM_KIND_ASSIGN && i == 0) return false;
    int64_t size = (int64_t)planner->options->element_size(step->in[i]->dtype);
    *root = (int)lm_view_root(step->in[i], offset)->id;
    *offset *= size;
    *bytes = lm_shape_count(step->in[i]->shape) * size;
    return true;
}

/* ---- life of the planner ----------------------------------------------------- */

static int *alloc_ids(lm_arena *arena, size_t count) {
    int *ids = lm_arena_alloc(arena, count * sizeof *ids);
    for (size_t i = 0; ids && i < count; i++) ids[i] = -1;
    return ids;
}

static lm_status planner_init(lm_planner *planner) {
    lm_plan *plan = planner->plan;
    const lm_schedule *schedule = planner->schedule;
    plan->n_nodes = lm_graph_size(schedule->graph);
    size_t n = (size_t)plan->n_nodes + 1, s = (size_t)schedule->n_steps + 1;

    lm_arena *arena = &plan->arena;
    plan->of = lm_arena_alloc(arena, n * sizeof *plan->of);
    plan->inputs = lm_arena_alloc(arena, n * sizeof *plan->inputs);
    plan->constants = lm_arena_alloc(arena, n * sizeof *plan->constants);
    plan->skip = lm_arena_alloc(arena, s * sizeof *plan->skip);
    plan->workspace = lm_arena_alloc(arena, s * sizeof *plan->workspace);
    plan->last_use = alloc_ids(arena, n);

    lm_arena *scratch = &planner->scratch;
    planner->birth = alloc_ids(scratch, n);
    planner->block = alloc_ids(scratch, n);
    planner->next = alloc_ids(scratch, n);
    planner->bytes = lm_arena_alloc(scratch, n * sizeof *planner->bytes);
    planner->within = lm_arena_alloc(scratch, n * sizeof *planner->within);
    planner->blocks = lm_arena_alloc(scratch, (n + s) * sizeof *planner->blocks);
    bool all = plan->of && plan->inputs && plan->constants && plan->skip &&
               plan->workspace && plan->last_use && planner->birth && planner->block &&
               planner->next && planner->bytes && planner->within && planner->blocks;
    return all ? LM_OK : LM_NOMEM;
}

/* ---- lives ------------------------------------------------------------------- */

static void find_lives(lm_planner *planner) {
    const lm_schedule *schedule = planner->schedule;
    for (int s = 0; s < schedule->n_steps; s++) {
        const lm_step *step = &schedule->steps[s];
        int root;
        int64_t offset, bytes;
        for (int i = 0; i < step->n_in; i++)
            if (lm_planner_read(planner, step, i, &root, &offset, &bytes))
                planner->plan->last_use[root] = s;
        if (step->nodes[0]->kind == LM_KIND_ASSIGN) continue;
        for (int o = 0; o < step->n_out; o++) {
            const lm_node *out = step->out[o];
            planner->birth[out->id] = s;
            planner->bytes[out->id] = lm_shape_count(out->shape) *
                                      (int64_t)planner->options->element_size(out->dtype);
        }
    }
    int count;
    const lm_named_node *roots = lm_graph_roots(schedule->graph, &count);
    for (int i = 0; i < count; i++)
        planner->plan->last_use[lm_view_root(roots[i].node, NULL)->id] =
            schedule->n_steps;
}

/* ---- places of leaves and blocks of values ----------------------------------- */

static lm_location locate_param(const lm_planner *planner, const lm_node *param) {
    int64_t size = (int64_t)planner->options->element_size(param->dtype);
    return (lm_location){LM_PLACE_VAR, param->attr.param.var,
                         param->attr.param.offset * size};
}

static void place_leaf(lm_planner *planner, lm_node *node) {
    lm_plan *plan = planner->plan;
    lm_location *at = &plan->of[node->id];
    if (node->kind == LM_KIND_PARAM) {
        *at = locate_param(planner, node);
    } else if (node->kind == LM_KIND_ASSIGN) {
        *at = locate_param(planner, node->src[0]);
    } else if (node->kind == LM_KIND_INPUT) {
        *at = (lm_location){LM_PLACE_INPUT, plan->n_inputs, 0};
        plan->inputs[plan->n_inputs++] = node;
    } else if (node->kind == LM_KIND_CONST && plan->last_use[node->id] >= 0) {
        *at = (lm_location){LM_PLACE_CONST, plan->n_constants, 0};
        plan->constants[plan->n_constants++] = node;
    }
}

static void make_block(lm_planner *planner, int value) {
    int birth = planner->birth[value], last = planner->plan->last_use[value];
    planner->block[value] = planner->n_blocks;
    planner->blocks[planner->n_blocks++] = (lm_block){.bytes = planner->bytes[value],
                                                      .start = birth,
                                                      .end = last > birth ? last : birth,
                                                      .first = value};
}

static void make_workspaces(lm_planner *planner) {
    const size_t *workspace = planner->options->workspace;
    for (int s = 0; s < planner->schedule->n_steps; s++) {
        planner->plan->workspace[s] = -1;
        if (!workspace || workspace[s] == 0) continue;
        planner->plan->workspace[s] = planner->n_blocks; /* until it is placed */
        planner->blocks[planner->n_blocks++] =
            (lm_block){.bytes = (int64_t)workspace[s], .start = s, .end = s, .first = -1};
    }
}

/* ---- offsets ----------------------------------------------------------------- */

static int compare_blocks(const void *left, const void *right) {
    const lm_block *a = *(lm_block *const *)left, *b = *(lm_block *const *)right;
    if (a->weight != b->weight) return a->weight < b->weight ? 1 : -1;
    if (a->start != b->start) return a->start < b->start ? -1 : 1;
    return a < b ? -1 : a > b;
}

/* Bytes that are taken from one step to another, both included. A block may need some of
 * its range late: the flat gradient grows by its parts, and until a part is made, its
 * place is free. */
typedef struct area {
    int64_t from, to; /* in the block, or once it is placed, in the arena */
    int start, end;
} area;

static int list_areas(const lm_planner *planner, const lm_block *block, area *areas) {
    if (block->first < 0) {
        *areas = (area){0, block->bytes, block->start, block->end};
        return 1;
    }
    int count = 0;
    for (int m = block->first; m >= 0; m = planner->next[m]) {
        int birth = planner->birth[m], last = planner->plan->last_use[m];
        areas[count++] =
            (area){planner->within[m], planner->within[m] + planner->bytes[m], birth,
                   last > birth ? last : birth};
    }
    return count;
}

static int64_t align(int64_t offset) {
    return (offset + ALIGN - 1) / ALIGN * ALIGN;
}

/* The lowest offset from `at` on for a block, at which one of its areas meets none of
 * those placed, which are sorted by their beginning. */
static int64_t skip_taken(const area *placed, int n_placed, const area *one, int64_t at) {
    for (int p = 0; p < n_placed && placed[p].from < at + one->to; p++) {
        const area *other = &placed[p];
        if (other->end < one->start || one->end < other->start) continue;
        if (other->to > at + one->from) at = align(other->to - one->from);
    }
    return at;
}

static int64_t lowest_free(const area *placed, int n_placed, const area *areas,
                           int n_areas) {
    int64_t at = 0, before;
    do {
        before = at;
        for (int a = 0; a < n_areas; a++)
            at = skip_taken(placed, n_placed, &areas[a], at);
    } while (at != before);
    return at;
}

/* Keeps `placed` sorted. */
static void take(area *placed, int *n_placed, area one) {
    int p = (*n_placed)++;
    for (; p > 0 && placed[p - 1].from > one.from; p--) placed[p] = placed[p - 1];
    placed[p] = one;
}

static int list_blocks(lm_planner *planner, lm_block **list) {
    int count = 0;
    for (int b = 0; b < planner->n_blocks; b++) {
        lm_block *block = &planner->blocks[b];
        if (block->bytes == 0) continue;
        block->bytes = align(block->bytes);
        list[count++] = block;
    }
    return count;
}

/* The largest first, or large ones that live long before those that do not. */
static void sort_blocks(lm_block **list, int count, double exponent) {
    for (int b = 0; b < count; b++)
        list[b]->weight =
            (double)list[b]->bytes * pow(list[b]->end - list[b]->start + 1, exponent);
    qsort(list, (size_t)count, sizeof *list, compare_blocks);
}

/* Returns the bytes that the arena needs. `placed` and `areas` are room to work in. */
static int64_t try_places(const lm_planner *planner, lm_block **sorted, int count,
                          area *placed, area *areas) {
    int64_t end = 0;
    int n_placed = 0;
    for (int b = 0; b < count; b++) {
        lm_block *block = sorted[b];
        int n_areas = list_areas(planner, block, areas);
        block->tried =
            planner->options->reuse ? lowest_free(placed, n_placed, areas, n_areas) : end;
        if (block->tried + block->bytes > end) end = block->tried + block->bytes;
        for (int a = 0; a < n_areas; a++) {
            areas[a].from += block->tried;
            areas[a].to += block->tried;
            take(placed, &n_placed, areas[a]);
        }
    }
    return end;
}

/* Which order packs best depends on the lives, and a try takes a millisecond. */
static lm_status place_blocks(lm_planner *planner) {
    static const double exponents[] = {0, 0.25, 0.5};
    size_t n = (size_t)planner->plan->n_nodes + (size_t)planner->n_blocks + 1;
    lm_block **blocks = lm_arena_alloc(&planner->scratch, n * sizeof *blocks);
    area *placed = lm_arena_alloc(&planner->scratch, n * sizeof *placed);
    area *areas = lm_arena_alloc(&planner->scratch, n * sizeof *areas);
    if (!blocks || !placed || !areas) return LM_NOMEM;
    int count = list_blocks(planner, blocks);
    planner->plan->arena_bytes = INT64_MAX;
    for (size_t e = 0; e < sizeof exponents / sizeof *exponents; e++) {
        sort_blocks(blocks, count, exponents[e]);
        int64_t bytes = try_places(planner, blocks, count, placed, areas);
        if (bytes >= planner->plan->arena_bytes) continue;
        planner->plan->arena_bytes = bytes;
        for (int b = 0; b < count; b++) blocks[b]->offset = blocks[b]->tried;
    }
    return LM_OK;
}

/* ---- results ----------------------------------------------------------------- */

static void write_places(lm_planner *planner, lm_node *const *nodes, int n_nodes) {
    lm_plan *plan = planner->plan;
    for (int v = 0; v < plan->n_nodes; v++)
        if (planner->block[v] >= 0)
            plan->of[v] = (lm_location){LM_PLACE_ARENA, 0,
                                        planner->blocks[planner->block[v]].offset +
                                            planner->within[v]};
    for (int n = 0; n < n_nodes; n++) {
        if (!lm_is_view(nodes[n])) continue;
        int64_t offset;
        const lm_node *root = lm_view_root(nodes[n], &offset);
        lm_location *at = &plan->of[nodes[n]->id];
        *at = plan->of[root->id];
        if (at->place == LM_PLACE_NONE) continue;
        at->offset += offset * (int64_t)planner->options->element_size(root->dtype);
        plan->last_use[nodes[n]->id] = plan->last_use[root->id];
    }
    for (int s = 0; s < planner->schedule->n_steps; s++)
        if (plan->workspace[s] >= 0)
            plan->workspace[s] = planner->blocks[plan->workspace[s]].offset;
}

static bool same_place(lm_location a, lm_location b) {
    return a.place == b.place && a.index == b.index && a.offset == b.offset;
}

static bool is_in_place(const lm_planner *planner, const lm_step *step) {
    const lm_location *of = planner->plan->of;
    const lm_node *node = step->nodes[0];
    if (node->kind == LM_KIND_ASSIGN)
        return same_place(of[node->id], of[node->src[1]->id]);
    if (node->kind != LM_KIND_CONCAT) return false;
    for (int axis = 0; axis < node->attr.axis.axis; axis++)
        if (node->shape.dim[axis] != 1) return false;
    lm_location at = of[node->id];
    for (int i = 0; i < step->n_in; i++) {
        if (!same_place(at, of[step->in[i]->id])) return false;
        at.offset += lm_shape_count(step->in[i]->shape) *
                     (int64_t)planner->options->element_size(node->dtype);
    }
    return true;
}

static lm_status make_plan(lm_planner *planner, lm_node *const *nodes, int n_nodes) {
    lm_plan *plan = planner->plan;
    LM_TRY(planner_init(planner));
    find_lives(planner);
    for (int n = 0; n < n_nodes; n++) place_leaf(planner, nodes[n]);
    for (int v = 0; v < plan->n_nodes; v++)
        if (planner->birth[v] >= 0) make_block(planner, v);
    if (planner->options->in_place) {
        lm_plan_assigns_in_place(planner);
        lm_plan_concats_in_place(planner);
        lm_plan_dying_inputs(planner);
    }
    make_workspaces(planner);
    LM_TRY(place_blocks(planner));
    write_places(planner, nodes, n_nodes);
    for (int s = 0; s < planner->schedule->n_steps; s++)
        plan->skip[s] = is_in_place(planner, &planner->schedule->steps[s]);
    return LM_OK;
}

lm_status lm_plan_build(const lm_schedule *schedule, const lm_plan_options *options,
                        lm_plan *plan) {
    *plan = (lm_plan){.arena = LM_ARENA_INIT};
    lm_planner planner = {
        .schedule = schedule, .options = options, .plan = plan, .scratch = LM_ARENA_INIT};
    lm_node **nodes;
    int n_nodes;
    LM_TRY(lm_topological(schedule->graph, &nodes, &n_nodes));
    lm_status status = make_plan(&planner, nodes, n_nodes);
    lm_free(nodes);
    lm_arena_release(&planner.scratch);
    if (status != LM_OK) lm_plan_release(plan);
    return status;
}

void lm_plan_release(lm_plan *plan) {
    lm_arena_release(&plan->arena);
    *plan = (lm_plan){.arena = LM_ARENA_INIT};
}
