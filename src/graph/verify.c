/* The verifier: every node that the roots need agrees with the specification of its kind.
 * It guards passes, which build by rewriting. */
#include "base/mem.h"
#include "graph/graph_internal.h"
#include <string.h>

static lm_status check_links(const lm_graph *g, const lm_node *node) {
    LM_RETURN_IF((unsigned)node->kind >= LM_KIND_COUNT, LM_INTERNAL, "kind %d",
                 (int)node->kind);
    LM_RETURN_IF(node->id >= (uint32_t)g->n_nodes || g->nodes[node->id] != node,
                 LM_INTERNAL, "id %u is not its place", (unsigned)node->id);
    LM_RETURN_IF(!node->label, LM_INTERNAL, "the label is missing");
    for (int i = 0; i < node->n_src; i++) {
        const lm_node *src = node->src[i];
        LM_RETURN_IF(!src || src->id >= node->id || g->nodes[src->id] != src, LM_INTERNAL,
                     "source %d is not an earlier node of the graph", i);
    }
    return LM_OK;
}

static lm_status check_type(const lm_graph *g, const lm_node *node) {
    lm_attr clean = lm_attr_clean(node->kind, &node->attr);
    LM_RETURN_IF(memcmp(&clean, &node->attr, sizeof clean) != 0, LM_INTERNAL,
                 "attributes of other kinds are not zero");
    lm_typing t = {g,      node->kind,  node->src,  node->n_src,
                   &clean, node->dtype, node->shape};
    LM_TRY(lm_infer(&t));
    char have[LM_SHAPE_TEXT], want[LM_SHAPE_TEXT];
    LM_RETURN_IF(t.dtype != node->dtype || !lm_shape_equal(t.shape, node->shape),
                 LM_INTERNAL, "%s: is %s%s, its sources make it %s%s",
                 lm_kind_get(node->kind)->text, lm_dtype_name(node->dtype),
                 lm_shape_text(node->shape, have), lm_dtype_name(t.dtype),
                 lm_shape_text(t.shape, want));
    return LM_OK;
}

static int64_t param_end(const lm_node *param) {
    return param->attr.param.offset + lm_shape_count(param->shape);
}

static lm_status check_root(const lm_graph *g, int index) {
    const lm_named_node *root = &g->roots[index];
    LM_RETURN_IF(!root->node || !root->name, LM_INTERNAL, "root %d is missing", index);
    bool assign = root->node->kind == LM_KIND_ASSIGN;
    LM_RETURN_IF(assign != (index >= g->n_outputs), LM_INTERNAL,
                 "root %d: assigns must come after outputs", index);
    if (!assign) return LM_OK;
    const lm_node *a = root->node->src[0];
    for (int i = g->n_outputs; i < index; i++) {
        const lm_node *b = g->roots[i].node->src[0];
        LM_RETURN_IF(a->attr.param.var == b->attr.param.var &&
                         a->attr.param.offset < param_end(b) &&
                         b->attr.param.offset < param_end(a),
                     LM_ARG, "assign: two values for elements of '%s' at %lld",
                     g->vars[a->attr.param.var], (long long)a->attr.param.offset);
    }
    return LM_OK;
}

lm_status lm_verify(lm_graph *g) {
    LM_TRY(lm_graph_status(g));
    lm_node **nodes;
    int count;
    LM_TRY(lm_topological(g, &nodes, &count));
    lm_status status = LM_OK;
    for (int i = 0; i < count && status == LM_OK; i++) {
        status = check_links(g, nodes[i]);
        if (status == LM_OK) status = check_type(g, nodes[i]);
        if (status == LM_OK) continue;
        const char *label = nodes[i]->label ? nodes[i]->label : "";
        lm_fail_context(status, "%s%s%%%u", label, *label ? ": " : "", nodes[i]->id);
    }
    for (int i = 0; i < g->n_roots && status == LM_OK; i++) status = check_root(g, i);
    lm_free(nodes);
    return status;
}
