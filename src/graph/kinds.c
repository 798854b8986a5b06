/* Names and facts of kinds, elementwise codes and composites, from their tables. */
#include "graph/graph_internal.h"
#include <assert.h>

static const lm_kind_info kinds[LM_KIND_COUNT] = {
#define X(NAME, text, min, max, flags, doc) {text, doc, min, max, flags},
#include "graph/kinds.def"
#undef X
};

#define S false
#define M true
static const lm_ew_info ews[LM_EW_COUNT] = {
#define X(NAME, text, arity, result, doc) {text, doc, arity, result},
#include "graph/ew.def"
#undef X
};
#undef S
#undef M

const lm_kind_info *lm_kind_get(lm_kind kind) {
    assert(kind >= 0 && kind < LM_KIND_COUNT);
    return &kinds[kind];
}

const lm_ew_info *lm_ew_get(lm_ew code) {
    assert(code >= 0 && code < LM_EW_COUNT);
    return &ews[code];
}

bool lm_ew_takes_value(lm_ew code) {
    return code == LM_EW_LEAKY || code == LM_EW_POWC;
}

bool lm_dtype_in_graph(lm_dtype dtype) {
    static const bool in_graph[LM_DTYPE_COUNT] = {
#define X(name, bytes, st, is_float, graph) graph,
        LM_DTYPE_MAP(X)
#undef X
    };
    return (unsigned)dtype < LM_DTYPE_COUNT && in_graph[dtype];
}

const char *lm_node_op_text(const lm_node *node) {
    if (node->kind == LM_KIND_EW) return lm_ew_get((lm_ew)node->attr.ew.code)->text;
    if (node->kind == LM_KIND_CALL)
        return lm_composite_text((lm_composite)node->attr.call.composite);
    return lm_kind_get(node->kind)->text;
}
