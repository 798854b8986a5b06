/* Rebuilding: the driver of every pass, and the pass that only drops dead code. */
#include "base/mem.h"
#include "passes/passes.h"
#include "passes/rewrite.h"
#include "passes/schedule.h"

bool lm_is_uniform(const lm_node *node) {
    return node->kind == LM_KIND_CONST && !node->attr.constant.data;
}

bool lm_is_uniform_of(const lm_node *node, double value) {
    return lm_is_uniform(node) && node->attr.constant.value == value;
}

bool lm_is_ew(const lm_node *node, lm_ew code) {
    return node->kind == LM_KIND_EW && node->attr.ew.code == (int32_t)code;
}

lm_node *lm_rewrite_same(lm_rewrite *rewrite, const lm_node *old, lm_node *const *src) {
    return lm_rebuild(rewrite->to, rewrite->from, old, src);
}

static lm_status rewrite_node(lm_rewrite *rewrite, lm_rewrite_rule rule,
                              const lm_node *old) {
    lm_node *few[8];
    lm_node **src = few;
    if (old->n_src > 8) {
        src = lm_alloc((size_t)old->n_src * sizeof *src);
        if (!src) return LM_NOMEM;
    }
    for (int i = 0; i < old->n_src; i++) src[i] = rewrite->map[old->src[i]->id];

    bool labelled = old->label && old->label[0];
    if (labelled) lm_scope_push(rewrite->to, "%s", old->label);
    lm_node *node = rule(rewrite, old, src);
    if (labelled) lm_scope_pop(rewrite->to);
    if (src != few) lm_free(src);

    LM_TRY(lm_graph_status(rewrite->to));
    if (!node || node->dtype != old->dtype || !lm_shape_equal(node->shape, old->shape)) {
        lm_str text = LM_STR_INIT;
        lm_node_text(old, &text);
        lm_fail(LM_INTERNAL, "%s: rewritten into something else",
                text.failed ? "node" : lm_str_text(&text));
        lm_str_release(&text);
        return LM_INTERNAL;
    }
    rewrite->map[old->id] = node;
    return LM_OK;
}

/* An output that is (a view of) a param which the program assigns shall show what was
 * there before, as any reader of it does: it becomes a copy. */
static lm_node *keep_old_value(lm_rewrite *rewrite, lm_node *node) {
    const lm_node *root = lm_view_root(node, NULL);
    int count;
    const lm_named_node *roots = lm_graph_roots(rewrite->from, &count);
    if (root->kind != LM_KIND_PARAM) return node;
    for (int i = 0; i < count; i++) {
        if (roots[i].node->kind != LM_KIND_ASSIGN) continue;
        const lm_node *assign = rewrite->map[roots[i].node->id];
        if (lm_params_overlap(root, assign->src[0]))
            return lm_ew1(rewrite->to, LM_EW_STOP, node);
    }
    return node;
}

static lm_status rewrite_roots(lm_rewrite *rewrite) {
    int count;
    const lm_named_node *roots = lm_graph_roots(rewrite->from, &count);
    lm_named_node *mapped = lm_calloc((size_t)count + 1, sizeof *mapped);
    if (!mapped) return LM_NOMEM;
    for (int i = 0; i < count; i++)
        mapped[i] = (lm_named_node){
            roots[i].name, keep_old_value(rewrite, rewrite->map[roots[i].node->id])};
    lm_status status = lm_graph_status(rewrite->to);
    if (status == LM_OK) status = lm_graph_set_roots(rewrite->to, mapped, count);
    lm_free(mapped);
    return status;
}

/* Counts the readers of every node that the roots need. */
static void count_uses(lm_graph *graph, lm_node *const *nodes, int n_nodes, int *uses) {
    for (int i = 0; i < n_nodes; i++)
        for (int s = 0; s < nodes[i]->n_src; s++) uses[nodes[i]->src[s]->id]++;
    int count;
    const lm_named_node *roots = lm_graph_roots(graph, &count);
    for (int i = 0; i < count; i++) uses[roots[i].node->id]++;
}

lm_status lm_rewrite_graph(lm_graph *from, lm_rewrite_rule rule, void *user,
                           lm_graph **to) {
    *to = NULL;
    LM_TRY(lm_graph_status(from));
    lm_rewrite rewrite = {.from = from, .user = user};
    lm_node **nodes = NULL;
    int *uses = NULL, n_nodes = 0;
    lm_status status;
    LM_TRY_GOTO(done, lm_graph_new(&rewrite.to));
    LM_TRY_GOTO(done, lm_topological(from, &nodes, &n_nodes));
    size_t size = (size_t)lm_graph_size(from) + 1;
    rewrite.map = lm_calloc(size, sizeof *rewrite.map);
    rewrite.uses = uses = lm_calloc(size, sizeof *uses);
    if (!rewrite.map || !uses) {
        status = LM_NOMEM;
        goto done;
    }
    count_uses(from, nodes, n_nodes, uses);
    for (int i = 0; i < n_nodes; i++)
        LM_TRY_GOTO(done, rewrite_node(&rewrite, rule, nodes[i]));
    LM_TRY_GOTO(done, rewrite_roots(&rewrite));
    LM_TRY_GOTO(done, lm_graph_status(rewrite.to));
    *to = rewrite.to;
    rewrite.to = NULL;
done:
    lm_free(nodes);
    lm_free(rewrite.map);
    lm_free(uses);
    lm_graph_free(rewrite.to);
    return status;
}

lm_status lm_pass_copy(lm_graph *from, lm_graph **to) {
    return lm_rewrite_graph(from, lm_rewrite_same, NULL, to);
}
