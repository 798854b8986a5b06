/* Composites: calls of a kernel that a body in plain kinds defines. */
#include "graph/graph_internal.h"
#include <assert.h>
#include <string.h>

typedef struct composite_info {
    const char *text, *doc;
    int min_src, max_src;
} composite_info;

static const composite_info infos[LM_COMP_COUNT] = {
#define X(NAME, text, min, max, doc) {text, doc, min, max},
#include "graph/composites.def"
#undef X
};

static const lm_composite_rule *const rules[LM_COMP_COUNT] = {
    [LM_COMP_GROUP_STATS] = &lm_rule_group_stats,
    [LM_COMP_NORM_ACT] = &lm_rule_norm_act,
    [LM_COMP_NORM_SUMS] = &lm_rule_norm_sums,
    [LM_COMP_NORM_GRAD] = &lm_rule_norm_grad,
    [LM_COMP_NORM_DSTATS] = &lm_rule_norm_dstats,
    [LM_COMP_STATS_GRAD] = &lm_rule_stats_grad,
    [LM_COMP_CONV_BLOCK] = &lm_rule_conv_block,
    [LM_COMP_CONV_BLOCK_WGRAD] = &lm_rule_conv_block_wgrad,
    [LM_COMP_SOFTMAX] = &lm_rule_softmax,
    [LM_COMP_SOFTMAX_GRAD] = &lm_rule_softmax_grad,
    [LM_COMP_LOGSUMEXP] = &lm_rule_logsumexp,
    [LM_COMP_ATTENTION] = &lm_rule_attention,
    [LM_COMP_ATTENTION_GRAD] = &lm_rule_attention_grad,
    [LM_COMP_SOFTMAX_XENT] = &lm_rule_xent,
    [LM_COMP_SOFTMAX_XENT_GRAD] = &lm_rule_xent_grad,
};

const char *lm_composite_text(lm_composite composite) {
    assert((unsigned)composite < LM_COMP_COUNT);
    return infos[composite].text;
}

const char *lm_composite_sources(lm_composite composite) {
    return rules[composite]->names;
}

lm_status lm_infer_call(lm_typing *t) {
    int32_t which = t->attr->call.composite;
    LM_RETURN_IF(which < 0 || which >= LM_COMP_COUNT, LM_ARG, "no composite %d",
                 (int)which);
    LM_RETURN_IF(t->n_src < infos[which].min_src || t->n_src > infos[which].max_src,
                 LM_ARG, "%d sources, expected %d", t->n_src, infos[which].min_src);
    LM_TRY(lm_check_types(t, rules[which]->names, rules[which]->types));
    return rules[which]->infer(t);
}

lm_node *lm_call(lm_graph *g, lm_composite composite, lm_node *const *src, int n_src,
                 const lm_call_attr *attr) {
    lm_attr full;
    memset(&full, 0, sizeof full);
    full.call.composite = (int32_t)composite;
    if (attr) {
        memcpy(full.call.i, attr->i, sizeof attr->i);
        memcpy(full.call.f, attr->f, sizeof attr->f);
    }
    return lm_make(g, LM_KIND_CALL, src, n_src, &full);
}

lm_node *lm_call_body(lm_graph *g, const lm_node *call) {
    if (!call) return NULL;
    assert(call->kind == LM_KIND_CALL);
    lm_scope scope;
    lm_label_begin(g, &scope, call->label);
    lm_node *body = rules[call->attr.call.composite]->body(g, call);
    lm_label_end(g, &scope);
    return body;
}
