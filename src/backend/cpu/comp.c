/* Which composites have a fused kernel. */
#include "backend/cpu/comp.h"

static lm_cpu_lower_fn *const lowering[LM_COMP_COUNT] = {
    [LM_COMP_GROUP_STATS] = lm_comp_lower_group_stats,
    [LM_COMP_NORM_ACT] = lm_comp_lower_norm_act,
    [LM_COMP_NORM_SUMS] = lm_comp_lower_norm_sums,
    [LM_COMP_NORM_GRAD] = lm_comp_lower_norm_grad,
    [LM_COMP_NORM_DSTATS] = lm_comp_lower_norm_dstats,
    [LM_COMP_CONV_BLOCK] = lm_comp_lower_conv_block,
    [LM_COMP_CONV_BLOCK_WGRAD] = lm_comp_lower_conv_block_wgrad,
    [LM_COMP_SOFTMAX] = lm_comp_lower_softmax,
    [LM_COMP_SOFTMAX_GRAD] = lm_comp_lower_softmax_grad,
    [LM_COMP_LOGSUMEXP] = lm_comp_lower_logsumexp,
    [LM_COMP_ATTENTION] = lm_comp_lower_attention,
    [LM_COMP_ATTENTION_GRAD] = lm_comp_lower_attention_grad,
    [LM_COMP_SOFTMAX_XENT] = lm_comp_lower_xent,
    [LM_COMP_SOFTMAX_XENT_GRAD] = lm_comp_lower_xent_grad,
};

bool lm_cpu_has_composite(lm_backend *backend, const lm_node *call) {
    lm_composite composite = (lm_composite)call->attr.call.composite;
    if (composite == LM_COMP_CONV_BLOCK || composite == LM_COMP_CONV_BLOCK_WGRAD)
        return lm_comp_fits_conv_block(backend, call);
    return lowering[composite] != NULL;
}

lm_status lm_cpu_lower_chain(lm_backend *backend, const lm_step *step,
                             lm_kernel *kernel) {
    return step->nodes[0]->kind == LM_KIND_CONCAT
               ? lm_comp_lower_joined_stats(backend, step, kernel)
               : lm_comp_lower_norm_chain(backend, step, kernel);
}

lm_status lm_cpu_lower_composite(lm_backend *backend, const lm_step *step,
                                 lm_kernel *kernel) {
    lm_composite composite = (lm_composite)step->nodes[0]->attr.call.composite;
    LM_RETURN_IF(!lowering[composite], LM_UNSUPPORTED, "no fused kernel for %s",
                 lm_composite_text(composite));
    return lowering[composite](backend, step, kernel);
}
