/* Chains: what reads the same values one after the other. Made together, sample by
 * sample, it finds them in the cache the second time. These are the gradients of a
 * normalisation, where a gradient that is only cut into slices is written as these; and
 * statistics of channels that are concatenated for it. */
#include "passes/cluster.h"

#include <string.h>

enum { MOST_IN = 6 /* of a gradient; more than LM_CHAIN_PARTS */ };

static bool is_call(const lm_node *node, lm_composite composite) {
    return node->kind == LM_KIND_CALL && node->attr.call.composite == (int32_t)composite;
}

static int count_readers(const lm_readers *r, const lm_node *node) {
    return r->first[node->id + 1] - r->first[node->id];
}

/* norm_grad(x, stats, gamma, beta, g, norm_dstats(stats, gamma, sums), ..) where sums is
 * norm_sums of the same, and nothing else reads the statistics' part. */
static bool find_parts(const lm_readers *r, const lm_node *grad, lm_node **dstats,
                       lm_node **sums) {
    if (!is_call(grad, LM_COMP_NORM_GRAD) || grad->n_src < 6) return false;
    *dstats = grad->src[5];
    if (!is_call(*dstats, LM_COMP_NORM_DSTATS) || count_readers(r, *dstats) != 1 ||
        r->is_root[(*dstats)->id])
        return false;
    *sums = (*dstats)->src[2];
    if (!is_call(*sums, LM_COMP_NORM_SUMS)) return false;
    bool same = (*dstats)->src[0] == grad->src[1] && (*dstats)->src[1] == grad->src[2] &&
                (*sums)->attr.call.i[0] == grad->attr.call.i[0];
    for (int i = 0; i < 5; i++) same = same && (*sums)->src[i] == grad->src[i];
    return same;
}

/* Some of the channels of all positions. */
static bool is_channel_slice(const lm_node *node, const lm_node *of) {
    if (node->kind != LM_KIND_SLICE || lm_is_view(node)) return false;
    int last = of->shape.rank - 1;
    for (int i = 0; i < last; i++)
        if (node->shape.dim[i] != of->shape.dim[i]) return false;
    return node->attr.slice.step[last] == 1;
}

static bool share_channels(const lm_node *a, const lm_node *b) {
    int last = a->shape.rank - 1;
    int64_t a_lo = a->attr.slice.lo[last], b_lo = b->attr.slice.lo[last];
    return a_lo < b_lo + b->shape.dim[last] && b_lo < a_lo + a->shape.dim[last];
}

/* Nothing reads the gradient but slices, each of other channels. */
static bool is_only_sliced(const lm_readers *r, const lm_node *grad) {
    lm_node *const *slice = r->list + r->first[grad->id];
    int n = count_readers(r, grad);
    if (r->is_root[grad->id] || n == 0 || n > LM_CHAIN_PARTS) return false;
    for (int i = 0; i < n; i++) {
        if (!is_channel_slice(slice[i], grad)) return false;
        for (int j = 0; j < i; j++)
            if (share_channels(slice[i], slice[j])) return false;
    }
    return true;
}

static int insert(lm_node **members, int n, lm_node *node) {
    int at = n;
    for (; at > 0 && members[at - 1]->id > node->id; at--) members[at] = members[at - 1];
    members[at] = node;
    return n + 1;
}

static bool is_position_sum(const lm_node *node) {
    int rank = node->shape.rank;
    return node->kind == LM_KIND_REDUCE_SUM && rank > 2 && !lm_is_view(node) &&
           node->attr.axes == (((1u << (rank - 1)) - 1) & ~1u);
}

/* One sum of each part at most: two would be the same node. */
static int insert_sum(const lm_readers *r, lm_node **members, int n,
                      const lm_node *part) {
    for (int i = r->first[part->id]; i < r->first[part->id + 1]; i++)
        if (is_position_sum(r->list[i])) return insert(members, n, r->list[i]);
    return n;
}

static int list_gradient(const lm_readers *r, lm_node *grad, lm_node **members) {
    lm_node *dstats, *sums;
    if (!find_parts(r, grad, &dstats, &sums)) return 0;
    int n = insert(members, 0, sums);
    n = insert(members, n, dstats);
    n = insert(members, n, grad);
    if (!is_only_sliced(r, grad)) return insert_sum(r, members, n, grad);
    for (int i = r->first[grad->id]; i < r->first[grad->id + 1]; i++) {
        n = insert(members, n, r->list[i]);
        n = insert_sum(r, members, n, r->list[i]);
    }
    return n;
}

/* Channels of more than one row: one row's parts may be made in their places. */
static int list_statistics(lm_node *stats, lm_node **members) {
    if (!is_call(stats, LM_COMP_GROUP_STATS)) return 0;
    lm_node *x = stats->src[0];
    int last = x->shape.rank - 1;
    if (x->kind != LM_KIND_CONCAT || x->attr.axis.axis != last ||
        x->n_src > LM_CHAIN_PARTS || lm_shape_count(x->shape) <= x->shape.dim[last])
        return 0;
    members[0] = x;
    members[1] = stats;
    return 2;
}

int lm_chain_list(const lm_readers *r, lm_node *end, lm_node **members) {
    int n = list_gradient(r, end, members);
    return n ? n : list_statistics(end, members);
}

/* Something else than the part of the statistics reads the sums. */
static bool keeps_sums(const lm_readers *r, const lm_node *sums) {
    return r->is_root[sums->id] || count_readers(r, sums) > 1;
}

/* What others read of the chain of a gradient. */
static int list_results(const lm_readers *r, lm_node *const *members, int n_members,
                        lm_node **out) {
    bool sliced = false;
    int n = 0;
    for (int i = 3; i < n_members; i++) sliced |= members[i]->kind == LM_KIND_SLICE;
    if (keeps_sums(r, members[0])) out[n++] = members[0];
    for (int i = sliced ? 3 : 2; i < n_members; i++) out[n++] = members[i];
    return n;
}

lm_status lm_chain_step(const lm_readers *r, lm_node *const *members, int n_members,
                        lm_arena *arena, lm_step *step) {
    lm_node *out[LM_CHAIN_MEMBERS], *in[MOST_IN];
    bool gradient = members[0]->kind != LM_KIND_CONCAT;
    const lm_node *reader = members[gradient ? 2 : 0]; /* ids rise with who reads whom */
    int n_out = 2, n_in = 0;
    if (gradient)
        n_out = list_results(r, members, n_members, out);
    else
        memcpy(out, members, 2 * sizeof *out);
    for (int i = 0; i < reader->n_src; i++)
        if (!gradient || i != 5) in[n_in++] = reader->src[i];
    *step = (lm_step){
        .nodes = lm_arena_copy(arena, members, (size_t)n_members * sizeof *members),
        .n_nodes = n_members,
        .in = lm_arena_copy(arena, in, (size_t)n_in * sizeof *in),
        .n_in = n_in,
        .out = lm_arena_copy(arena, out, (size_t)n_out * sizeof *out),
        .n_out = n_out};
    return step->nodes && step->in && step->out ? LM_OK : LM_NOMEM;
}
