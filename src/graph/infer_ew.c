/* Types of elementwise nodes. */
#include "graph/graph_internal.h"
#include <string.h>

/* Operands' element types where they are not f32 alone; letters as in lm_kind_rule. */
static const char *const operands[LM_EW_COUNT] = {
    [LM_EW_ADD] = "n",  [LM_EW_SUB] = "n",  [LM_EW_MUL] = "n", [LM_EW_MAX] = "n",
    [LM_EW_MIN] = "n",  [LM_EW_LT] = "*",   [LM_EW_LE] = "*",  [LM_EW_EQ] = "*",
    [LM_EW_AND] = "m",  [LM_EW_OR] = "m",   [LM_EW_NOT] = "m", [LM_EW_WHERE] = "m*",
    [LM_EW_CAST] = "*", [LM_EW_STOP] = "*",
};

lm_status lm_infer_ew(lm_typing *t) {
    LM_RETURN_IF((unsigned)t->attr->ew.code >= LM_EW_COUNT, LM_ARG, "no code %d",
                 (int)t->attr->ew.code);
    lm_ew code = (lm_ew)t->attr->ew.code;
    const lm_ew_info *info = lm_ew_get(code);
    LM_RETURN_IF(t->n_src != info->arity, LM_ARG, "%d operands, expected %d", t->n_src,
                 info->arity);
    LM_TRY(lm_check_types(t, "a b c", operands[code] ? operands[code] : "f"));
    const lm_node *last = t->src[t->n_src - 1];
    for (int i = code == LM_EW_WHERE; i < t->n_src; i++)
        LM_RETURN_IF(t->src[i]->dtype != last->dtype, LM_DTYPE,
                     "operands of different types");
    for (int i = 0; i < t->n_src; i++)
        LM_RETURN_IF(!lm_shape_equal(t->src[i]->shape, last->shape), LM_SHAPE,
                     "operands of different shapes");
    if (code != LM_EW_CAST) t->dtype = info->mask ? LM_U8 : last->dtype;
    t->shape = last->shape;
    return LM_OK;
}
