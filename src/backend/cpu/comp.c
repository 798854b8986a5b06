/* Which composites have a fused kernel. */
#include "backend/cpu/comp.h"

static lm_cpu_lower_fn *const lowering[LM_COMP_COUNT] = {NULL};

bool lm_cpu_has_composite(const lm_node *call) {
    return lowering[call->attr.call.composite] != NULL;
}

lm_status lm_cpu_lower_composite(lm_backend *backend, const lm_step *step,
                                 lm_kernel *kernel) {
    lm_composite composite = (lm_composite)step->nodes[0]->attr.call.composite;
    LM_RETURN_IF(!lowering[composite], LM_UNSUPPORTED, "no fused kernel for %s",
                 lm_composite_text(composite));
    return lowering[composite](backend, step, kernel);
}
