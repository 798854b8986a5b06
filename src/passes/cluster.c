/* What a set of nodes would be as one cluster, and its step. */
#include "passes/cluster.h"
#include "passes/rewrite.h"
#include <stdlib.h>
#include <string.h>

bool lm_may_be_member(const lm_node *node) {
    return node->kind == LM_KIND_EW || node->kind == LM_KIND_PHILOX ||
           (node->kind == LM_KIND_REDUCE_SUM && lm_dtype_is_float(node->dtype));
}

bool lm_is_inline(const lm_node *node) {
    return lm_is_uniform(node) || node->kind == LM_KIND_IOTA ||
           node->kind == LM_KIND_BROADCAST;
}

const lm_node *lm_skip_reshapes(const lm_node *node) {
    while (node->kind == LM_KIND_RESHAPE) node = node->src[0];
    return node;
}

static int compare_ids(const void *a, const void *b) {
    uint32_t left = (*(lm_node *const *)a)->id, right = (*(lm_node *const *)b)->id;
    return left < right ? -1 : left > right;
}

bool lm_cluster_has(const lm_cluster *cluster, const lm_node *node) {
    int lo = 0, hi = cluster->n_members;
    while (lo < hi) {
        int middle = (lo + hi) / 2;
        if (cluster->members[middle]->id < node->id)
            lo = middle + 1;
        else
            hi = middle;
    }
    return lo < cluster->n_members && cluster->members[lo] == node;
}

/* ---- the space --------------------------------------------------------------- */

/* The ends of axes, as numbers of elements from an axis on to the last. Two shapes have a
 * common refinement when, taken together in order, each end divides the next. */
typedef struct refinement {
    int64_t ends[4 * LM_MAX_RANK];
    int n_ends; /* ascending, without 1 */
} refinement;

static bool refine(refinement *r, lm_shape shape) {
    int64_t end = 1;
    for (int axis = shape.rank - 1; axis >= 0; axis--) {
        end *= shape.dim[axis];
        int i = 0;
        while (i < r->n_ends && r->ends[i] < end) i++;
        if (end == 1 || (i < r->n_ends && r->ends[i] == end)) continue;
        if ((i > 0 && end % r->ends[i - 1]) || (i < r->n_ends && r->ends[i] % end))
            return false;
        if (r->n_ends == LM_MAX_RANK) return false;
        memmove(&r->ends[i + 1], &r->ends[i], (size_t)(r->n_ends - i) * sizeof end);
        r->ends[i] = end;
        r->n_ends++;
    }
    return true;
}

static lm_shape refined_space(const refinement *r) {
    lm_shape space = {.rank = r->n_ends};
    int64_t inside = 1;
    for (int i = 0; i < r->n_ends; i++) {
        space.dim[r->n_ends - 1 - i] = r->ends[i] / inside;
        inside = r->ends[i];
    }
    return space;
}

/* The shape of a member's operands. */
static lm_shape member_space(const lm_node *member) {
    return member->kind == LM_KIND_REDUCE_SUM ? member->src[0]->shape : member->shape;
}

/* Refines by a source and what it is a reshape of. */
static bool refine_chain(refinement *r, const lm_node *src) {
    bool fits = refine(r, src->shape);
    for (; fits && src->kind == LM_KIND_RESHAPE; src = src->src[0])
        fits = refine(r, src->src[0]->shape);
    return fits;
}

/* Depends on the member alone, so that a BROADCAST is in memory for all or for none: in
 * order, each source that still fits in with those before it. */
bool lm_takes_along(const lm_node *member, int s) {
    refinement r = {.n_ends = 0};
    bool taken = false;
    if (member->kind == LM_KIND_PHILOX || !refine(&r, member_space(member))) return false;
    for (int i = 0; i <= s; i++) {
        const lm_node *src = member->src[i];
        refinement with = r;
        taken = lm_is_inline(src) ||
                (lm_is_inline(lm_skip_reshapes(src)) &&
                 !lm_is_uniform(lm_skip_reshapes(src)) && refine_chain(&with, src));
        if (taken) r = with;
    }
    return taken;
}

/* A source that is computed inside. */
static bool is_inside(const lm_cluster *cluster, const lm_node *member, int s) {
    if (member->kind == LM_KIND_PHILOX) return false;
    const lm_node *root = lm_skip_reshapes(member->src[s]);
    if (root->kind != LM_KIND_REDUCE_SUM && lm_cluster_has(cluster, root)) return true;
    return lm_takes_along(member, s);
}

static bool find_space(lm_cluster *cluster) {
    refinement r = {.n_ends = 0};
    lm_shape first = member_space(cluster->members[0]);
    bool same = true;
    for (int m = 0; m < cluster->n_members; m++) {
        const lm_node *member = cluster->members[m];
        lm_shape shape = member_space(member);
        if (lm_shape_count(shape) != lm_shape_count(first) || !refine(&r, shape))
            return false;
        same = same && lm_shape_equal(shape, first);
        for (int s = 0; s < member->n_src; s++) {
            if (!is_inside(cluster, member, s)) continue;
            same = same && member->src[s]->kind != LM_KIND_RESHAPE;
            if (!refine_chain(&r, member->src[s])) return false;
        }
    }
    cluster->space = same ? first : refined_space(&r);
    return true;
}

/* ---- sums -------------------------------------------------------------------- */

static bool add_form(lm_cluster *cluster, const lm_node *sum) {
    int64_t form[3] = {1, 1, 1};
    int part = 0;
    for (int axis = 0; axis < sum->src[0]->shape.rank; axis++) {
        if (sum->attr.axes >> axis & 1)
            part = 1;
        else if (part == 1)
            part = 2;
        form[part] *= sum->src[0]->shape.dim[axis];
    }
    if (cluster->form[0] == 0) memcpy(cluster->form, form, sizeof form);
    return memcmp(cluster->form, form, sizeof form) == 0;
}

/* ---- inputs ------------------------------------------------------------------ */

/* Some other member takes along what this one would read from memory. */
static bool is_taken_along(const lm_cluster *cluster, const lm_node *node) {
    if (!lm_is_inline(lm_skip_reshapes(node))) return false;
    for (int m = 0; m < cluster->n_members; m++)
        for (int s = 0; s < cluster->members[m]->n_src; s++)
            if (cluster->members[m]->src[s] == node &&
                lm_takes_along(cluster->members[m], s))
                return true;
    return false;
}

static bool add_input(lm_cluster *cluster, lm_node *node) {
    if (lm_cluster_has(cluster, lm_skip_reshapes(node)) || is_taken_along(cluster, node))
        return false;
    for (int i = 0; i < cluster->n_in; i++)
        if (cluster->in[i] == node) return true;
    if (cluster->n_in == LM_CLUSTER_IN) return false;
    cluster->in[cluster->n_in++] = node;
    return true;
}

static bool add_source(lm_cluster *cluster, const lm_node *member, int s) {
    if (!is_inside(cluster, member, s)) return add_input(cluster, member->src[s]);
    const lm_node *root = lm_skip_reshapes(member->src[s]);
    if (root->kind != LM_KIND_BROADCAST || lm_is_uniform(root->src[0])) return true;
    return add_input(cluster, root->src[0]);
}

bool lm_cluster_describe(lm_cluster *cluster) {
    cluster->n_in = 0;
    memset(cluster->form, 0, sizeof cluster->form);
    if (cluster->n_members > LM_CLUSTER_MEMBERS || !find_space(cluster)) return false;
    for (int m = 0; m < cluster->n_members; m++) {
        lm_node *member = cluster->members[m];
        if (member->kind == LM_KIND_REDUCE_SUM && !add_form(cluster, member))
            return false;
        for (int s = 0; s < member->n_src; s++)
            if (!add_source(cluster, member, s)) return false;
    }
    return true;
}

/* ---- steps ------------------------------------------------------------------- */

/* All that is computed along the way from a source that is inside. */
static int add_along(lm_node *src, lm_node **nodes, int n) {
    for (; src->kind == LM_KIND_RESHAPE; src = src->src[0]) nodes[n++] = src;
    if (lm_is_inline(src)) nodes[n++] = src;
    if (src->kind == LM_KIND_BROADCAST && lm_is_uniform(src->src[0]))
        nodes[n++] = src->src[0];
    return n;
}

static int count_reshapes(const lm_node *node) {
    int count = 0;
    for (; node->kind == LM_KIND_RESHAPE; node = node->src[0]) count++;
    return count;
}

/* Members and what is taken along, each once, ids ascending. */
static lm_status list_nodes(const lm_cluster *cluster, lm_arena *arena, lm_step *step) {
    size_t most = (size_t)cluster->n_members;
    for (int m = 0; m < cluster->n_members; m++)
        for (int s = 0; s < cluster->members[m]->n_src; s++)
            most += 2 + (size_t)count_reshapes(cluster->members[m]->src[s]);
    lm_node **nodes = lm_arena_alloc(arena, most * sizeof *nodes);
    if (!nodes) return LM_NOMEM;
    int n = 0;
    for (int m = 0; m < cluster->n_members; m++) {
        lm_node *member = cluster->members[m];
        nodes[n++] = member;
        for (int s = 0; s < member->n_src; s++)
            if (is_inside(cluster, member, s)) n = add_along(member->src[s], nodes, n);
    }
    qsort(nodes, (size_t)n, sizeof *nodes, compare_ids);
    step->nodes = nodes;
    for (int i = 0; i < n; i++)
        if (i == 0 || nodes[i] != nodes[i - 1]) nodes[step->n_nodes++] = nodes[i];
    return LM_OK;
}

lm_status lm_cluster_step(const lm_cluster *cluster, lm_arena *arena,
                          bool (*wanted)(void *user, const lm_node *member), void *user,
                          lm_step *step) {
    *step = (lm_step){.cluster = true, .space = cluster->space, .n_in = cluster->n_in};
    LM_TRY(list_nodes(cluster, arena, step));
    step->in =
        lm_arena_copy(arena, cluster->in, (size_t)cluster->n_in * sizeof *cluster->in);
    lm_node **out = lm_arena_alloc(arena, (size_t)cluster->n_members * sizeof *out);
    if (!step->in || !out) return LM_NOMEM;
    step->out = out;
    for (int m = 0; m < cluster->n_members; m++)
        if (wanted(user, cluster->members[m])) out[step->n_out++] = cluster->members[m];
    return LM_OK;
}

lm_status lm_inline_step(lm_node *node, lm_arena *arena, lm_step *step) {
    bool reads = node->kind == LM_KIND_BROADCAST && !lm_is_uniform(node->src[0]);
    bool number = node->kind == LM_KIND_BROADCAST && !reads;
    lm_node *nodes[2] = {number ? node->src[0] : node, node};
    lm_node **kept = lm_arena_copy(arena, nodes, sizeof nodes);
    if (!kept) return LM_NOMEM;
    *step = (lm_step){.nodes = kept,
                      .n_nodes = number ? 2 : 1,
                      .in = node->src,
                      .n_in = reads,
                      .out = kept + 1,
                      .n_out = 1,
                      .cluster = true,
                      .space = node->shape};
    return LM_OK;
}
