/* A single elementwise-like node (fusion is off): a cluster of one. A cluster reads every
 * value once and scalar constants never, so the arguments are renumbered. */
#include "backend/cpu/cpu_internal.h"
#include "base/mem.h"

enum { MAX_IN = 3 };

typedef struct single_state {
    lm_kernel cluster;
    int n_in, from[MAX_IN]; /* argument i of the cluster is this one of the step */
} single_state;

static lm_status run_single(lm_kernel *kernel, const lm_kernel_args *args) {
    single_state *state = kernel->state;
    const void *in[MAX_IN] = {0};
    uint64_t version[MAX_IN] = {0};
    for (int i = 0; i < state->n_in; i++) {
        in[i] = args->in[state->from[i]];
        version[i] = args->version[state->from[i]];
    }
    lm_kernel_args inner = {in, version, args->out, args->workspace};
    return state->cluster.run(&state->cluster, &inner);
}

static void release_single(lm_kernel *kernel) {
    single_state *state = kernel->state;
    if (state->cluster.release) state->cluster.release(&state->cluster);
    lm_cpu_kernel_release(kernel);
}

static bool is_computed_inside(const lm_node *node) {
    return node->kind == LM_KIND_CONST && !node->attr.constant.data;
}

lm_status lm_cpu_lower_single(lm_backend *backend, const lm_step *step,
                              lm_kernel *kernel) {
    single_state *state =
        lm_cpu_kernel_init(kernel, step, "cluster", run_single, sizeof *state);
    if (!state) return LM_NOMEM;
    lm_node *in[MAX_IN];
    for (int i = 0; i < step->n_in; i++) {
        bool seen = is_computed_inside(step->in[i]);
        for (int k = 0; k < state->n_in; k++) seen |= in[k] == step->in[i];
        if (seen) continue;
        state->from[state->n_in] = i;
        in[state->n_in++] = step->in[i];
    }
    lm_step one = *step;
    one.cluster = true;
    one.in = in;
    one.n_in = state->n_in;
    one.space = step->nodes[0]->shape;
    lm_status status = lm_cpu_lower_cluster(backend, &one, &state->cluster);
    if (status != LM_OK) {
        lm_cpu_kernel_release(kernel);
        return status;
    }
    kernel->release = release_single;
    kernel->workspace = state->cluster.workspace;
    kernel->name = state->cluster.name;
    kernel->group = state->cluster.group;
    kernel->flops = state->cluster.flops;
    return LM_OK;
}
