/* The driver of the rules, and the pass: identities first, then what needs to know how
 * often a value is used. */
#include "passes/simplify.h"
#include "base/mem.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

static const lm_rule *const tables[] = {lm_ew_rules, lm_shape_rules};

static lm_node *apply_once(lm_graph *g, lm_node *node) {
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
        for (const lm_rule *rule = tables[t]; rule->apply; rule++) {
            if (rule->kind != node->kind) continue;
            lm_node *made = rule->apply(g, node);
            if (made && made != node) return made;
        }
    return NULL;
}

lm_node *lm_simplify(lm_graph *g, lm_node *node) {
    lm_node *next = node;
    while (next) {
        node = next;
        next = apply_once(g, node);
    }
    return node;
}

lm_node *lm_simple_build(lm_graph *g, lm_kind kind, lm_node *const *src, int n_src,
                         const lm_attr *attr, const lm_node *like) {
    return lm_simplify(g, lm_build(g, kind, src, n_src, attr, like->dtype, like->shape));
}

lm_node *lm_simple_ew(lm_graph *g, lm_ew code, lm_node *a, lm_node *b) {
    return lm_simplify(g, b ? lm_ew2(g, code, a, b) : lm_ew1(g, code, a));
}

static lm_node *simplify_node(lm_rewrite *rewrite, const lm_node *old,
                              lm_node *const *src) {
    return lm_simplify(rewrite->to, lm_rewrite_same(rewrite, old, src));
}

/* ---- rules of single use ----------------------------------------------------- */

static bool used_once(const lm_rewrite *rewrite, const lm_node *old) {
    return rewrite->uses[old->id] == 1;
}

/* add(mul(a, b), c) -> fma(a, b, c). */
static lm_node *contract_fma(lm_rewrite *rewrite, const lm_node *old,
                             lm_node *const *src) {
    if (old->dtype != LM_F32) return NULL;
    for (int s = 0; s < 2; s++) {
        lm_node *mul = src[s];
        if (lm_is_ew(mul, LM_EW_MUL) && used_once(rewrite, old->src[s]))
            return lm_ew3(rewrite->to, LM_EW_FMA, mul->src[0], mul->src[1], src[1 - s]);
    }
    return NULL;
}

/* The axis along which b's data begins where a's ends, everything else being equal; -1:
 * there is none. */
static int adjacent_axis(const lm_node *a, const lm_node *b) {
    const lm_pad_attr *p = &a->attr.pad, *q = &b->attr.pad;
    int found = -1;
    for (int axis = 0; axis < a->shape.rank; axis++) {
        if (p->interior[axis] || q->interior[axis]) return -1;
        if (p->lo[axis] == q->lo[axis] && p->hi[axis] == q->hi[axis]) continue;
        if (found >= 0 || p->lo[axis] + a->src[0]->shape.dim[axis] != q->lo[axis])
            return -1;
        found = axis;
    }
    return found;
}

/* add of pads whose data lies side by side -> one pad of a concat. This undoes what the
 * gradient of slicing does, and takes one pass where sums of pads take one each. */
static lm_node *contract_pads(lm_rewrite *rewrite, const lm_node *old,
                              lm_node *const *src) {
    if (src[0]->kind != LM_KIND_PAD || src[1]->kind != LM_KIND_PAD) return NULL;
    if (!used_once(rewrite, old->src[0]) || !used_once(rewrite, old->src[1])) return NULL;
    lm_graph *g = rewrite->to;
    for (int first = 0; first < 2; first++) {
        lm_node *a = src[first], *b = src[1 - first];
        int axis = adjacent_axis(a, b);
        if (axis < 0) continue;
        lm_attr attr = {.axis = {.axis = axis}};
        lm_node *parts[2] = {a->src[0], b->src[0]};
        lm_node *joined = lm_simple_build(g, LM_KIND_CONCAT, parts, 2, &attr, a);
        attr = a->attr;
        attr.pad.hi[axis] = b->attr.pad.hi[axis];
        return lm_simple_build(g, LM_KIND_PAD, &joined, 1, &attr, a);
    }
    return NULL;
}

static lm_node *contract_node(lm_rewrite *rewrite, const lm_node *old,
                              lm_node *const *src) {
    lm_node *made = NULL;
    if (lm_is_ew(old, LM_EW_ADD)) {
        made = contract_pads(rewrite, old, src);
        if (!made) made = contract_fma(rewrite, old, src);
    }
    return made ? made : simplify_node(rewrite, old, src);
}

lm_status lm_pass_simplify(lm_graph *from, lm_graph **to) {
    lm_graph *simple;
    LM_TRY(lm_rewrite_graph(from, simplify_node, NULL, &simple));
    lm_status status = lm_rewrite_graph(simple, contract_node, NULL, to);
    lm_graph_free(simple);
    return status;
}
