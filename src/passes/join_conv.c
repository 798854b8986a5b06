/* Convolutions take in what surrounds them: normalisation and activation of their inputs,
 * additions to their results and the activation after that. Activations that only
 * convolutions read are then never stored: forward pass and weights' gradient make them
 * again from what was normalised. */
#include "base/mem.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

typedef struct joiner {
    lm_keep_call has;
    void *user;
    int *by_convs; /* by id: readers that could take this preparation in */
} joiner;

/* ---- what fits --------------------------------------------------------------- */

static bool is_call(const lm_node *node, lm_composite composite) {
    return node->kind == LM_KIND_CALL && node->attr.call.composite == (int32_t)composite;
}

/* What a convolution could do to its inputs by itself. */
static bool is_preparation(const lm_node *node) {
    return is_call(node, LM_COMP_NORM_ACT) || lm_is_ew(node, LM_EW_LEAKY);
}

static bool is_same_conv(const lm_node *node, const lm_node *w, const lm_node *x) {
    const lm_conv_attr *a = &node->attr.conv;
    bool same = a->groups == 1;
    for (int i = 0; i < 2; i++)
        same = same && a->stride[i] == 1 && a->dilation[i] == 1 && a->pad_lo[i] == 1 &&
               a->pad_hi[i] == 1 && w->shape.dim[1 + i] == 3;
    return same && x->shape.rank == 4;
}

/* Whether the backend has this block. It is asked with the node as it would be built, so
 * nothing is lost if not: unread nodes are dropped. */
static lm_node *accept(const joiner *j, lm_node *call) {
    return call && j->has(j->user, call) ? call : NULL;
}

/* ---- building ---------------------------------------------------------------- */

enum { MAX_SOURCES = 8 };

/* A block under construction. */
typedef struct block {
    lm_node *src[MAX_SOURCES];
    lm_node *part[4]; /* bias, first of norm's, shift, residual; NULL: none */
    lm_node *gamma, *beta;
    lm_call_attr how; /* i1, f0 and i2, f1: activations before and after */
} block;

enum { BIAS, NORM, SHIFT, RESIDUAL };

static lm_node *build_block(lm_graph *g, const block *b) {
    lm_node *src[MAX_SOURCES] = {b->src[0], b->src[1]};
    lm_call_attr how = b->how;
    int n = 2;
    for (int part = BIAS; part <= RESIDUAL; part++) {
        if (!b->part[part]) continue;
        how.i[0] |= 1 << part;
        src[n++] = b->part[part];
        if (part != NORM) continue;
        src[n++] = b->gamma;
        src[n++] = b->beta;
    }
    return lm_call(g, LM_COMP_CONV_BLOCK, src, n, &how);
}

/* Reads a convolution, or a block made before, as a block. */
static bool read_block(const lm_node *node, block *b) {
    *b = (block){0};
    if (node->kind == LM_KIND_CONV && is_same_conv(node, node->src[1], node->src[0])) {
        if (node->n_src == 3) b->part[BIAS] = node->src[2];
    } else if (is_call(node, LM_COMP_CONV_BLOCK)) {
        lm_conv_block_sources at = lm_conv_block_find(node);
        if (at.bias) b->part[BIAS] = node->src[at.bias];
        if (at.shift) b->part[SHIFT] = node->src[at.shift];
        if (at.residual) b->part[RESIDUAL] = node->src[at.residual];
        if (at.norm) {
            b->part[NORM] = node->src[at.norm];
            b->gamma = node->src[at.norm + 1];
            b->beta = node->src[at.norm + 2];
        }
        b->how = (lm_call_attr){{0, node->attr.call.i[1], node->attr.call.i[2]},
                                {node->attr.call.f[0], node->attr.call.f[1]}};
    } else {
        return false;
    }
    b->src[0] = node->src[0];
    b->src[1] = node->src[1];
    return true;
}

/* ---- rules ------------------------------------------------------------------- */

/* A preparation that no one but convolutions reads. */
static bool is_theirs(const lm_rewrite *rewrite, const lm_node *old) {
    const joiner *j = rewrite->user;
    return is_preparation(old) && j->by_convs[old->id] == rewrite->uses[old->id];
}

/* Starts a block over what `prepared` prepares. */
static block read_preparation(const lm_node *prepared) {
    block b = {.src = {prepared->src[0]}};
    if (prepared->kind == LM_KIND_EW) {
        b.how.i[1] = LM_ACT_LEAKY;
        b.how.f[0] = prepared->attr.ew.value;
        return b;
    }
    b.part[NORM] = prepared->src[1];
    b.gamma = prepared->src[2];
    b.beta = prepared->src[3];
    b.how.i[1] = prepared->attr.call.i[0];
    return b;
}

static lm_node *join_input(lm_rewrite *rewrite, const lm_node *old, lm_node *const *src) {
    if (!is_preparation(src[0])) return NULL; /* joined elsewhere */
    block b = read_preparation(src[0]);
    if (old->kind == LM_KIND_CONV) {
        b.src[1] = src[1];
        b.part[BIAS] = old->n_src == 3 ? src[2] : NULL;
        return build_block(rewrite->to, &b);
    }
    lm_call_attr how = {{b.how.i[1]}, {b.how.f[0]}};
    lm_node *of[] = {b.src[0], src[1], b.part[NORM], b.gamma, b.beta};
    return lm_call(rewrite->to, LM_COMP_CONV_BLOCK_WGRAD, of, b.part[NORM] ? 5 : 2, &how);
}

/* [N,O] behind a broadcast of [N,1,1,O] over positions; NULL if it is none. */
static lm_node *find_shift(lm_graph *g, lm_node *node) {
    if (node->kind != LM_KIND_BROADCAST) return NULL;
    lm_shape from = node->src[0]->shape, full = node->shape;
    if (!lm_shape_equal(from, LM_SHAPE(full.dim[0], 1, 1, full.dim[3]))) return NULL;
    return lm_reshape(g, node->src[0], LM_SHAPE(full.dim[0], full.dim[3]));
}

/* What a sum needs no memory for; a convolution would read it from there. */
static bool is_made_inside(const lm_node *node) {
    return node->kind == LM_KIND_BROADCAST || lm_is_uniform(node);
}

/* src[i] is a convolution that only this sum reads: it takes the other term in. */
static lm_node *join_sum(lm_rewrite *rewrite, const lm_node *old, lm_node *const *src,
                         int i) {
    block b;
    if (rewrite->uses[old->src[i]->id] != 1 || !read_block(src[i], &b) ||
        b.how.i[2] != LM_ACT_NONE)
        return NULL;
    lm_node *shift = find_shift(rewrite->to, src[1 - i]);
    int part = shift ? SHIFT : RESIDUAL;
    if (b.part[part] || (!shift && is_made_inside(src[1 - i]))) return NULL;
    b.part[part] = shift ? shift : src[1 - i];
    return accept(rewrite->user, build_block(rewrite->to, &b));
}

/* The convolution whose activation this node is: leaky(x), or x * sigmoid(x). *act says
 * which; the number of uses says that nothing else reads x. */
static const lm_node *find_activated(const lm_rewrite *rewrite, const lm_node *old,
                                     lm_activation *act) {
    const int *uses = rewrite->uses;
    if (lm_is_ew(old, LM_EW_LEAKY)) {
        *act = LM_ACT_LEAKY;
        return uses[old->src[0]->id] == 1 ? old->src[0] : NULL;
    }
    *act = LM_ACT_SILU;
    for (int i = 0; i < 2 && lm_is_ew(old, LM_EW_MUL); i++) {
        const lm_node *x = old->src[i], *sigmoid = old->src[1 - i];
        if (lm_is_ew(sigmoid, LM_EW_SIGMOID) && sigmoid->src[0] == x &&
            uses[x->id] == 2 && uses[sigmoid->id] == 1)
            return x;
    }
    return NULL;
}

static lm_node *join_activation(lm_rewrite *rewrite, const lm_node *old) {
    block b;
    lm_activation act;
    const lm_node *x = find_activated(rewrite, old, &act);
    if (!x || !read_block(rewrite->map[x->id], &b) || b.how.i[2] != LM_ACT_NONE)
        return NULL;
    b.how.i[2] = (int32_t)act;
    if (act == LM_ACT_LEAKY) b.how.f[1] = old->attr.ew.value;
    return accept(rewrite->user, build_block(rewrite->to, &b));
}

static lm_node *join(lm_rewrite *rewrite, const lm_node *old, lm_node *const *src) {
    lm_node *joined = NULL;
    if (lm_is_ew(old, LM_EW_ADD) && old->shape.rank == 4) {
        joined = join_sum(rewrite, old, src, 1);
        if (!joined) joined = join_sum(rewrite, old, src, 0);
    } else if (old->kind == LM_KIND_EW && old->shape.rank == 4) {
        joined = join_activation(rewrite, old);
    } else if ((old->kind == LM_KIND_CONV || old->kind == LM_KIND_CONV_WGRAD) &&
               is_theirs(rewrite, old->src[0])) {
        joined = join_input(rewrite, old, src);
    }
    return joined ? joined : lm_rewrite_same(rewrite, old, src);
}

/* ---- the pass ---------------------------------------------------------------- */

/* Counts the convolutions that read a preparation and that the backend has as blocks,
 * which are tried out in a graph that is thrown away. */
static lm_node *count_joinable(lm_rewrite *rewrite, const lm_node *old,
                               lm_node *const *src) {
    joiner *j = rewrite->user;
    bool gradient = old->kind == LM_KIND_CONV_WGRAD;
    if ((gradient || old->kind == LM_KIND_CONV) && is_preparation(old->src[0]) &&
        is_same_conv(old, gradient ? old : old->src[1], old->src[0]) &&
        accept(j, join_input(rewrite, old, src)))
        j->by_convs[old->src[0]->id]++;
    return lm_rewrite_same(rewrite, old, src);
}

lm_status lm_pass_join_conv(lm_graph *from, lm_keep_call has, void *user, lm_graph **to) {
    joiner j = {has, user, lm_calloc((size_t)lm_graph_size(from) + 1, sizeof(int))};
    if (!j.by_convs) return LM_NOMEM;
    lm_graph *tried = NULL;
    lm_status status = lm_rewrite_graph(from, count_joinable, &j, &tried);
    lm_graph_free(tried);
    if (status == LM_OK) status = lm_rewrite_graph(from, join, &j, to);
    lm_free(j.by_convs);
    return status;
}
