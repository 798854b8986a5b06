#include "rig.h"

#include "base/mem.h"
#include "base/threads.h"
#include "exec/exec.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* xorshift32: the values need no quality, but must be the same everywhere. */
static uint32_t next(uint32_t *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

uint32_t rig_below(uint32_t *seed, uint32_t limit) {
    return (next(seed) >> 4) % limit;
}

float rig_normal(uint32_t *seed) {
    double sum = -6;
    for (int i = 0; i < 12; i++) sum += (next(seed) >> 8) * 0x1p-24;
    return (float)sum;
}

void rig_start(rig *r) {
    *r = (rig){.seed = 12345, .alias_out = -1, .alias_in = -1, .tolerance = 2e-6};
    r->scale = 1;
    r->threads = 2;
    CHECK_OK(lm_graph_new(&r->graph));
}

lm_node *rig_given(rig *r, lm_dtype dtype, lm_shape shape, const void *data) {
    char name[16];
    snprintf(name, sizeof name, "in%d", r->n_in);
    lm_node *node = lm_input(r->graph, name, dtype, shape);
    size_t bytes = (size_t)lm_shape_count(shape) * lm_dtype_size(dtype);
    r->data[r->n_in] = malloc(bytes + 1);
    memcpy(r->data[r->n_in], data, bytes);
    r->in[r->n_in++] = node;
    return node;
}

lm_node *rig_input(rig *r, lm_dtype dtype, lm_shape shape, uint32_t limit) {
    int64_t count = lm_shape_count(shape);
    void *data = malloc((size_t)count * 4 + 1);
    for (int64_t i = 0; i < count; i++) {
        if (dtype == LM_F32)
            ((float *)data)[i] = rig_normal(&r->seed);
        else if (dtype == LM_U8)
            ((uint8_t *)data)[i] = (uint8_t)rig_below(&r->seed, limit);
        else
            ((uint32_t *)data)[i] = rig_below(&r->seed, limit);
    }
    lm_node *node = rig_given(r, dtype, shape, data);
    free(data);
    return node;
}

void rig_output(rig *r, lm_node *node) {
    char name[16];
    snprintf(name, sizeof name, "out%d", r->n_out);
    lm_graph_output(r->graph, name, node);
    r->out[r->n_out++] = node;
}

static void find_truth(rig *r, double **truth) {
    lm_engine *engine = NULL;
    lm_program *program = NULL;
    lm_compile_options options = {
        .inline_all = true, .no_fuse = true, .no_simplify = true};
    CHECK_OK(lm_engine_new("ref", &engine));
    CHECK_OK(lm_compile(engine, r->graph, &options, &program));
    char name[16];
    for (int i = 0; i < r->n_in; i++) {
        snprintf(name, sizeof name, "in%d", i);
        CHECK_OK(lm_program_set(program, name, r->in[i]->dtype, r->data[i],
                                lm_shape_count(r->in[i]->shape)));
    }
    CHECK_OK(lm_program_run(program));
    for (int i = 0; i < r->n_out; i++) {
        int64_t count = lm_shape_count(r->out[i]->shape);
        truth[i] = calloc((size_t)count + 1, sizeof(double));
        snprintf(name, sizeof name, "out%d", i);
        CHECK_OK(lm_program_get(program, name, LM_F64, truth[i], count));
    }
    lm_program_free(program);
    lm_engine_free(engine);
}

static size_t output_bytes(const rig *r, int o) {
    return (size_t)lm_shape_count(r->out[o]->shape) * lm_dtype_size(r->out[o]->dtype);
}

/* One byte past each output and the workspace is watched. Outputs begin as the arena's
 * values do. */
static void run_step(rig *r, const lm_step *step, int threads, void **out) {
    lm_backend *backend = NULL;
    lm_kernel kernel = {0};
    lm_threads_set(threads);
    CHECK_OK(lm_backend_cpu_new(&backend));
    CHECK_OK(backend->configure(backend, &r->options));
    CHECK_OK(backend->lower(backend, step, &kernel));
    const void *in[RIG_MAX];
    uint64_t version[RIG_MAX] = {0};
    size_t bytes[RIG_MAX];
    for (int i = 0; i < r->n_out; i++) {
        bytes[i] = output_bytes(r, i);
        assert_int_equal(posix_memalign(&out[i], 64, bytes[i] + 1), 0);
        memset(out[i], 0xa5, bytes[i] + 1);
    }
    for (int i = 0; i < step->n_in; i++)
        for (int k = 0; k < r->n_in; k++)
            if (r->in[k] == step->in[i]) in[i] = r->data[k];
    if (r->alias_out >= 0) {
        memcpy(out[r->alias_out], in[r->alias_in], bytes[r->alias_out]);
        in[r->alias_in] = out[r->alias_out];
    }
    uint8_t *workspace = lm_alloc_aligned(kernel.workspace + 1);
    memset(workspace, 0xff, kernel.workspace); /* NaN, if read before it is written */
    workspace[kernel.workspace] = 0xa5;
    const lm_kernel_args args = {in, version, out, workspace};
    CHECK_OK(kernel.run(&kernel, &args));
    for (int i = 0; i < r->n_out; i++)
        assert_int_equal(((uint8_t *)out[i])[bytes[i]], 0xa5);
    assert_int_equal(workspace[kernel.workspace], 0xa5);
    lm_free_aligned(workspace);
    if (kernel.release) kernel.release(&kernel);
    backend->release(backend);
}

static double value_at(lm_dtype dtype, const void *data, int64_t i) {
    return dtype == LM_F32   ? (double)((const float *)data)[i]
           : dtype == LM_U8  ? (double)((const uint8_t *)data)[i]
           : dtype == LM_I32 ? (double)((const int32_t *)data)[i]
                             : (double)((const uint32_t *)data)[i];
}

static void compare(rig *r, int o, const void *got, const double *truth) {
    int64_t count = lm_shape_count(r->out[o]->shape);
    double power = 0, squares = 0, most = 0;
    for (int64_t i = 0; i < count; i++) {
        double x = value_at(r->out[o]->dtype, got, i), y = truth[i];
        power += y * y;
        squares += (x - y) * (x - y);
        most = fmax(most, fabs(x - y));
        if ((isnan(x) && isnan(y)) || x == y) continue;
        double error = fabs(x - y) / (fabs(y) + r->scale);
        if (!(error <= r->tolerance))
            fail_msg("output %d element %lld of %lld: %.9g, truth %.9g, error %.3g", o,
                     (long long)i, (long long)count, x, y, error);
    }
    r->rms_error = fmax(r->rms_error, sqrt(squares / power));
    r->max_error = fmax(r->max_error, most / sqrt(power / (double)count));
}

/* Whether a kernel of its own computes this node, whatever is around it. */
static bool is_alone(const lm_node *node) {
    return node->kind == LM_KIND_CALL || node->kind == LM_KIND_MATMUL ||
           node->kind == LM_KIND_CONV || node->kind == LM_KIND_CONV_DGRAD ||
           node->kind == LM_KIND_CONV_WGRAD;
}

static void check_threads(rig *r, const lm_step *step, double *const *truth) {
    void *first[RIG_MAX], *other[RIG_MAX];
    run_step(r, step, 1, first);
    for (int o = 0; o < r->n_out; o++) compare(r, o, first[o], truth[o]);
    for (int threads = 2; threads <= r->threads; threads++) {
        run_step(r, step, threads, other);
        for (int o = 0; o < r->n_out; o++) {
            if (memcmp(first[o], other[o], output_bytes(r, o)) != 0)
                fail_msg("output %d differs with %d threads", o, threads);
            free(other[o]);
        }
    }
    for (int o = 0; o < r->n_out; o++) free(first[o]);
}

void rig_check(rig *r) {
    CHECK_OK(lm_graph_status(r->graph));
    double *truth[RIG_MAX];
    find_truth(r, truth);
    lm_node **nodes, *inside[256], *in[RIG_MAX];
    int count, n_inside = 0, n_in = 0;
    CHECK_OK(lm_topological(r->graph, &nodes, &count));
    for (int i = 0; i < count; i++) {
        if (nodes[i]->kind == LM_KIND_INPUT)
            in[n_in++] = nodes[i];
        else
            inside[n_inside++] = nodes[i];
    }
    bool alone = n_inside == 1 && is_alone(inside[0]);
    lm_step step = {
        inside, n_inside, alone ? inside[0]->src : in, alone ? inside[0]->n_src : n_in,
        r->out, r->n_out, !alone && !r->chain,         r->space};
    check_threads(r, &step, truth);
    for (int o = 0; o < r->n_out; o++) free(truth[o]);
    for (int i = 0; i < r->n_in; i++) free(r->data[i]);
    lm_free(nodes);
    lm_graph_free(r->graph);
}

/* The instruction set is decided once per process. */
static int run_child(const struct CMUnitTest *tests, size_t count, const char *name,
                     const char *isa) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        setenv("LIMN_ISA", isa, 1);
        dup2(STDERR_FILENO, STDOUT_FILENO); /* the parent speaks TAP */
        int failed = _cmocka_run_group_tests(name, tests, count, NULL, NULL);
        fflush(NULL);
        _exit(failed != 0);
    }
    int status = 1;
    waitpid(child, &status, 0);
    return status;
}

static const char *failed_isa;

static void every_isa_passes(void **state) {
    if (failed_isa) fail_msg("with LIMN_ISA=%s; see standard error", failed_isa);
}

int rig_main(const struct CMUnitTest *tests, size_t count, const char *name) {
    if (!getenv("LIMN_ISA")) {
        if (run_child(tests, count, name, "base"))
            failed_isa = "base";
        else if (run_child(tests, count, name, "avx2"))
            failed_isa = "avx2";
    }
    struct CMUnitTest all[64] = {cmocka_unit_test(every_isa_passes)};
    if (count >= 64) return 1;
    memcpy(all + 1, tests, count * sizeof *tests);
    return _cmocka_run_group_tests(name, all, count + 1, NULL, NULL);
}
