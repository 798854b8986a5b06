/* Calls that no kernel takes become their bodies. */
#include "passes/passes.h"
#include "passes/rewrite.h"

/* Bodies may hold calls, whose bodies may hold calls; none is its own body. */
enum { MAX_ROUNDS = 8 };

typedef struct inline_state {
    lm_keep_call keep;
    void *user;
    int replaced;
} inline_state;

static lm_node *inline_call(lm_rewrite *rewrite, const lm_node *old,
                            lm_node *const *src) {
    inline_state *inliner = rewrite->user;
    lm_node *node = lm_rewrite_same(rewrite, old, src);
    if (!node || old->kind != LM_KIND_CALL || inliner->keep(inliner->user, old))
        return node;
    inliner->replaced++;
    return lm_call_body(rewrite->to, node);
}

/* The body of a call is built after it was decided on, so calls inside wait for the next
 * round. The last round finds nothing to replace. */
lm_status lm_pass_inline(lm_graph *from, lm_keep_call keep, void *user, lm_graph **to) {
    inline_state inliner = {keep, user, 0};
    LM_TRY(lm_rewrite_graph(from, inline_call, &inliner, to));
    for (int round = 0; inliner.replaced > 0; round++) {
        lm_graph *last = *to;
        inliner.replaced = 0;
        lm_status status = round < MAX_ROUNDS
                               ? lm_rewrite_graph(last, inline_call, &inliner, to)
                               : lm_fail(LM_INTERNAL, "bodies of calls never end");
        lm_graph_free(last);
        if (status != LM_OK) {
            *to = NULL;
            return status;
        }
    }
    return LM_OK;
}
