/* Matrix products: through oneDNN's matmul, transposes as strides, or by an own kernel.
 * On this project's shapes oneDNN's sgemm was no faster than its matmul (on batches of
 * attention slower by 10 to 80 %). */
#include "backend/cpu/gemm.h"

#include <stdio.h>
#include <string.h>

typedef struct matmul_state {
    lm_dnnl *dnnl;
    lm_dnnl_op op;
    char name[64];
} matmul_state;

static lm_status run_matmul(lm_kernel *kernel, const lm_kernel_args *args) {
    matmul_state *state = kernel->state;
    void *data[] = {(void *)args->in[0], (void *)args->in[1], args->out[0],
                    state->op.n_args == 4 ? (void *)args->in[2] : NULL};
    return lm_dnnl_op_run(state->dnnl, &state->op, data, args->workspace);
}

static void release_matmul(lm_kernel *kernel) {
    matmul_state *state = kernel->state;
    lm_dnnl_op_release(&state->op);
    lm_cpu_kernel_release(kernel);
}

static lm_status lower_onednn(lm_backend *backend, const lm_step *step,
                              const lm_dnnl_matmul *mm, lm_kernel *kernel) {
    matmul_state *state =
        lm_cpu_kernel_init(kernel, step, "onednn", run_matmul, sizeof *state);
    if (!state) return LM_NOMEM;
    kernel->release = release_matmul;
    state->dnnl = lm_cpu_dnnl(backend);
    lm_status status = lm_dnnl_matmul_init(state->dnnl, mm, &state->op);
    if (status != LM_OK) {
        release_matmul(kernel);
        return status;
    }
    snprintf(state->name, sizeof state->name, "onednn %s", state->op.impl);
    kernel->name = state->name;
    kernel->group = "onednn";
    kernel->workspace = state->op.scratch;
    return LM_OK;
}

/* ---- the choice -------------------------------------------------------------- */

lm_status lm_matmul_choice_find(const char *name, lm_matmul_choice *choice) {
    static const char *const names[] = {[LM_MATMUL_AUTO] = "auto",
                                        [LM_MATMUL_OWN] = "own",
                                        [LM_MATMUL_ONEDNN] = "onednn"};
    *choice = LM_MATMUL_AUTO;
    for (int i = 0; name && i < (int)(sizeof names / sizeof *names); i++)
        if (strcmp(names[i], name) == 0) {
            *choice = (lm_matmul_choice)i;
            return LM_OK;
        }
    return name ? lm_fail(LM_NOT_FOUND, "no matrix product kernel '%s'", name) : LM_OK;
}

static lm_dnnl_matmul describe(const lm_node *node) {
    int rank = node->shape.rank;
    const int64_t *a = node->src[0]->shape.dim, *y = node->shape.dim;
    bool ta = node->attr.matmul.ta, tb = node->attr.matmul.tb;
    lm_dnnl_matmul mm = {.batch = 1, .ta = ta, .tb = tb, .bias = node->n_src == 3};
    for (int i = 0; i < rank - 2; i++) mm.batch *= y[i];
    mm.m = y[rank - 2];
    mm.n = y[rank - 1];
    mm.k = a[ta ? rank - 2 : rank - 1];
    return mm;
}

lm_status lm_cpu_lower_matmul(lm_backend *backend, const lm_step *step,
                              lm_kernel *kernel) {
    lm_dnnl_matmul mm = describe(step->nodes[0]);
    lm_matmul_choice choice = lm_cpu_matmul_choice(backend);
    bool own = choice != LM_MATMUL_ONEDNN && lm_gemm_fits(&mm) &&
               (choice == LM_MATMUL_OWN || lm_gemm_leads(&mm));
    LM_TRY(own ? lm_gemm_lower(step, &mm, kernel)
               : lower_onednn(backend, step, &mm, kernel));
    kernel->flops = 2.0 * (double)(mm.batch * mm.m) * (double)(mm.n * mm.k);
    return LM_OK;
}
