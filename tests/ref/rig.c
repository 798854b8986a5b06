#include "rig.h"
#include "base/mem.h"
#include <math.h>
#include <stdio.h>

int rig_setup(void **state) {
    int64_t blocks = lm_mem_get_stats().blocks;
    rig *r = lm_calloc(1, sizeof *r);
    assert_non_null(r);
    r->blocks = blocks;
    r->random = 88172645463325252u;
    CHECK_OK(lm_graph_new(&r->graph));
    CHECK_OK(lm_backend_ref_new(&r->backend));
    *state = r;
    return 0;
}

int rig_teardown(void **state) {
    rig *r = *state;
    int64_t blocks = r->blocks;
    for (int i = 0; i < r->n_arrays; i++) lm_free_aligned(r->arrays[i]);
    lm_graph_free(r->graph);
    r->backend->release(r->backend);
    lm_free(r);
    assert_int_equal(lm_mem_get_stats().blocks, blocks);
    return 0;
}

double *rig_zeros(rig *r, int64_t count) {
    assert_true(r->n_arrays < (int)(sizeof r->arrays / sizeof *r->arrays));
    double *values = lm_alloc_aligned((size_t)count * sizeof *values);
    assert_non_null(values);
    return r->arrays[r->n_arrays++] = values;
}

double *rig_random(rig *r, int64_t count) {
    double *values = rig_zeros(r, count);
    for (int64_t i = 0; i < count; i++) {
        r->random ^= r->random << 13; /* Marsaglia's xorshift64 */
        r->random ^= r->random >> 7;
        r->random ^= r->random << 17;
        values[i] = (double)(r->random >> 11) * 0x1p-52 - 1;
    }
    return values;
}

lm_node *rig_input_of(rig *r, lm_dtype dtype, lm_shape shape) {
    char name[32];
    snprintf(name, sizeof name, "input%d", lm_graph_size(r->graph));
    return lm_input(r->graph, name, dtype, shape);
}

lm_node *rig_input(rig *r, lm_shape shape) {
    return rig_input_of(r, LM_F32, shape);
}

lm_status rig_try(rig *r, lm_node *node, const double *const *in, double **out) {
    CHECK_OK(lm_graph_status(r->graph));
    lm_step step = {.nodes = &node,
                    .n_nodes = 1,
                    .in = node->src,
                    .n_in = node->n_src,
                    .out = &node,
                    .n_out = 1};
    lm_kernel kernel;
    CHECK_OK(r->backend->lower(r->backend, &step, &kernel));
    const void *inputs[16];
    uint64_t versions[16] = {0};
    assert_true(node->n_src <= 16);
    for (int i = 0; i < node->n_src; i++) inputs[i] = in[i];
    *out = rig_zeros(r, lm_shape_count(node->shape));
    for (int64_t i = 0; i < lm_shape_count(node->shape); i++) (*out)[i] = NAN;
    void *workspace = kernel.workspace ? lm_alloc_aligned(kernel.workspace) : NULL;
    void *outputs[] = {*out};
    lm_kernel_args args = {inputs, versions, outputs, workspace};
    lm_status status = kernel.run(&kernel, &args);
    if (kernel.release) kernel.release(&kernel);
    lm_free_aligned(workspace);
    return status;
}

double *rig_run(rig *r, lm_node *node, const double *const *in) {
    double *out;
    CHECK_OK(rig_try(r, node, in, &out));
    return out;
}

void rig_compare(const double *got, const double *want, int64_t count, double tolerance) {
    double scale = 1;
    for (int64_t i = 0; i < count; i++)
        if (isfinite(want[i])) scale = fmax(scale, fabs(want[i]));
    for (int64_t i = 0; i < count; i++) {
        bool same = isnan(want[i]) ? isnan(got[i]) : got[i] == want[i];
        if (!same && !(fabs(got[i] - want[i]) <= tolerance * scale))
            fail_msg("element %lld: got %.17g, wanted %.17g", (long long)i, got[i],
                     want[i]);
    }
}
