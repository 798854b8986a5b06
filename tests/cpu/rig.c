#include "rig.h"
#include "base/mem.h"
#include "base/threads.h"
#include "tensor/tensor.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { GUARD = 256 }; /* bytes on each side of what a kernel may write */
#define GUARD_BYTE 0xa5
#define POISON     0xff /* four of them are a NaN */

/* ---- life -------------------------------------------------------------------- */

int rig_setup(void **state) {
    int64_t blocks = lm_mem_get_stats().blocks;
    rig *r = lm_calloc(1, sizeof *r);
    assert_non_null(r);
    r->blocks = blocks;
    r->random = 88172645463325252u;
    CHECK_OK(lm_graph_new(&r->graph));
    CHECK_OK(lm_backend_cpu_new(&r->cpu));
    CHECK_OK(lm_backend_ref_new(&r->ref));
    *state = r;
    return 0;
}

static void free_inputs(rig *r) {
    for (int i = 0; i < r->n_inputs; i++) lm_free(r->inputs[i].values);
    r->n_inputs = 0;
    lm_graph_free(r->graph);
}

void rig_clear(rig *r) {
    free_inputs(r);
    CHECK_OK(lm_graph_new(&r->graph));
}

int rig_teardown(void **state) {
    rig *r = *state;
    int64_t blocks = r->blocks;
    free_inputs(r);
    r->cpu->release(r->cpu);
    r->ref->release(r->ref);
    lm_free(r);
    lm_threads_set(0);
    assert_int_equal(lm_mem_get_stats().blocks, blocks);
    return 0;
}

/* ---- inputs ------------------------------------------------------------------ */

static double next_uniform(rig *r) {
    r->random ^= r->random << 13; /* Marsaglia's xorshift64 */
    r->random ^= r->random >> 7;
    r->random ^= r->random << 17;
    return (double)(r->random >> 40) * 0x1p-24;
}

static lm_node *add_input(rig *r, lm_dtype dtype, lm_shape shape) {
    char name[32];
    assert_true(r->n_inputs < RIG_MAX_INPUTS);
    snprintf(name, sizeof name, "input%d", r->n_inputs);
    lm_node *node = lm_input(r->graph, name, dtype, shape);
    double *values = lm_alloc((size_t)lm_shape_count(shape) * sizeof *values);
    assert_non_null(values);
    r->inputs[r->n_inputs].node = node;
    r->inputs[r->n_inputs++].values = values;
    return node;
}

lm_node *rig_input(rig *r, lm_shape shape) {
    lm_node *node = add_input(r, LM_F32, shape);
    double *values = rig_values(r, node);
    for (int64_t i = 0; i < lm_shape_count(shape); i++)
        values[i] = 2 * next_uniform(r) - 1;
    return node;
}

lm_node *rig_whole(rig *r, lm_dtype dtype, lm_shape shape, int64_t limit) {
    lm_node *node = add_input(r, dtype, shape);
    double *values = rig_values(r, node);
    for (int64_t i = 0; i < lm_shape_count(shape); i++)
        values[i] = floor(next_uniform(r) * (double)limit);
    return node;
}

double *rig_values(rig *r, const lm_node *input) {
    for (int i = 0; i < r->n_inputs; i++)
        if (r->inputs[i].node == input) return r->inputs[i].values;
    fail_msg("a source is not an input of the rig");
    return NULL;
}

/* ---- running ----------------------------------------------------------------- */

/* A block with guards around `bytes`, filled with poison. */
static char *guarded_new(size_t bytes) {
    char *block = lm_alloc_aligned(bytes + 2 * GUARD);
    assert_non_null(block);
    memset(block, GUARD_BYTE, bytes + 2 * GUARD);
    memset(block + GUARD, POISON, bytes);
    return block + GUARD;
}

static void guarded_free(char *inside, size_t bytes, const char *what) {
    for (int i = 0; i < GUARD; i++)
        if ((unsigned char)inside[-1 - i] != GUARD_BYTE ||
            (unsigned char)inside[bytes + (size_t)i] != GUARD_BYTE)
            fail_msg("%s was overrun, %d bytes away", what, i);
    lm_free_aligned(inside - GUARD);
}

/* One backend's memory of a node's sources and result. */
typedef struct run_memory {
    const void *in[RIG_MAX_INPUTS];
    uint64_t version[RIG_MAX_INPUTS];
    char *out, *workspace;
    size_t out_bytes;
} run_memory;

static void make_memory(rig *r, lm_backend *backend, const lm_node *node,
                        const lm_kernel *kernel, run_memory *m) {
    *m = (run_memory){0};
    for (int i = 0; i < node->n_src; i++) {
        const lm_node *src = node->src[i];
        int64_t count = lm_shape_count(src->shape);
        void *memory =
            backend->alloc(backend, (size_t)count * backend->element_size(src->dtype));
        assert_non_null(memory);
        backend->upload(backend, memory, src->dtype, rig_values(r, src), LM_F64, count);
        m->in[i] = memory;
    }
    m->out_bytes =
        (size_t)lm_shape_count(node->shape) * backend->element_size(node->dtype);
    m->out = guarded_new(m->out_bytes);
    m->workspace = guarded_new(kernel->workspace);
}

static void free_memory(lm_backend *backend, const lm_node *node, const lm_kernel *kernel,
                        run_memory *m) {
    for (int i = 0; i < node->n_src; i++) backend->free(backend, (void *)m->in[i]);
    guarded_free(m->out, m->out_bytes, "the output");
    guarded_free(m->workspace, kernel->workspace, "the workspace");
}

static lm_status run_once(lm_kernel *kernel, run_memory *m) {
    memset(m->out, POISON, m->out_bytes);
    memset(m->workspace, POISON, kernel->workspace);
    void *out[] = {m->out};
    lm_kernel_args args = {m->in, m->version, out, m->workspace};
    return kernel->run(kernel, &args);
}

static lm_status lower_single(lm_backend *backend, lm_node *node, lm_kernel *kernel) {
    lm_step step = {.nodes = &node,
                    .n_nodes = 1,
                    .in = node->src,
                    .n_in = node->n_src,
                    .out = &node,
                    .n_out = 1};
    return backend->lower(backend, &step, kernel);
}

/* Runs twice; `result` receives the output in f64. The status is the second run's. */
static lm_status run_on(rig *r, lm_backend *backend, lm_node *node, double *result,
                        bool *own) {
    lm_kernel kernel;
    run_memory m;
    CHECK_OK(lower_single(backend, node, &kernel));
    assert_non_null(kernel.name);
    make_memory(r, backend, node, &kernel, &m);
    lm_status status = run_once(&kernel, &m);
    char *first = lm_alloc(m.out_bytes);
    assert_non_null(first);
    memcpy(first, m.out, m.out_bytes);
    if (status == LM_OK) status = run_once(&kernel, &m);
    *own = strcmp(kernel.group, "onednn") != 0;
    if (status == LM_OK && memcmp(first, m.out, m.out_bytes) != 0)
        fail_msg("%s: two runs differ", kernel.name);
    lm_free(first);
    backend->download(backend, result, LM_F64, m.out, node->dtype,
                      lm_shape_count(node->shape));
    free_memory(backend, node, &kernel, &m);
    if (kernel.release) kernel.release(&kernel);
    return status;
}

/* ---- checks ------------------------------------------------------------------ */

double rig_nmse(const double *got, const double *want, int64_t count) {
    double error = 0, power = 0;
    for (int64_t i = 0; i < count; i++) {
        if (!isfinite(want[i])) {
            bool same = isnan(want[i]) ? isnan(got[i]) : got[i] == want[i];
            if (!same) return INFINITY;
            continue;
        }
        error += (got[i] - want[i]) * (got[i] - want[i]);
        power += want[i] * want[i];
    }
    return error == 0 ? 0 : error / (power > 0 ? power : 1);
}

void rig_check(rig *r, lm_node *node, double tolerance) {
    CHECK_OK(lm_graph_status(r->graph));
    if (node->kind == LM_KIND_INPUT) return; /* nothing to compute, a source came back */
    int64_t count = lm_shape_count(node->shape);
    size_t bytes = (size_t)count * sizeof(double);
    double *want = lm_alloc(bytes), *got = lm_alloc(bytes), *single = lm_alloc(bytes);
    assert_true(want && got && single);
    bool own;
    CHECK_OK(run_on(r, r->ref, node, want, &own));
    for (int threads = 1; threads <= 2; threads++) {
        lm_threads_set(threads);
        CHECK_OK(run_on(r, r->cpu, node, got, &own));
        double error = rig_nmse(got, want, count);
        if (!(error <= tolerance)) {
            lm_str text = LM_STR_INIT;
            lm_node_text(node, &text);
            print_error("%s: nmse %.3g with %d threads\n", lm_str_text(&text), error,
                        threads);
            lm_str_release(&text);
            fail();
        }
        if (threads == 1) memcpy(single, got, bytes);
    }
    if (own && memcmp(single, got, bytes) != 0) fail_msg("threads change the result");
    lm_free(want);
    lm_free(got);
    lm_free(single);
}

void rig_check_fails(rig *r, lm_node *node, lm_status expected) {
    CHECK_OK(lm_graph_status(r->graph));
    double *got = lm_alloc((size_t)lm_shape_count(node->shape) * sizeof *got);
    assert_non_null(got);
    bool own;
    CHECK_FAILS(run_on(r, r->cpu, node, got, &own), expected);
    lm_free(got);
}

void rig_check_faults(rig *r, lm_node *node) {
    CHECK_OK(lm_graph_status(r->graph));
    lm_kernel kernel;
    lm_status status = LM_NOMEM;
    for (int n = 1; status != LM_OK; n++) {
        int64_t blocks = lm_mem_get_stats().blocks;
        lm_mem_fail_at(n, false);
        status = lower_single(r->cpu, node, &kernel);
        lm_mem_fail_at(0, false);
        if (status == LM_OK) break;
        assert_int_equal(status, LM_NOMEM);
        assert_int_equal(lm_mem_get_stats().blocks, blocks);
    }
    kernel.release(&kernel);
}
