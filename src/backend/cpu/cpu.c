/* The CPU backend: which file lowers which kind, and the memory it works in. */
#include "backend/cpu/conv.h"
#include "base/mem.h"
#include "base/str.h"
#include "tensor/tensor.h"

#include <stdlib.h>
#include <string.h>

typedef struct cpu_backend {
    lm_backend base; /* first: a pointer to it is a pointer to this */
    lm_dnnl dnnl;
    lm_conv_choice conv;
    lm_matmul_choice matmul;
} cpu_backend;

/* Leaves and views have no row: they are never steps. */
static lm_cpu_lower_fn *const lowering[LM_KIND_COUNT] = {
    [LM_KIND_IOTA] = lm_cpu_lower_single,
    [LM_KIND_EW] = lm_cpu_lower_single,
    [LM_KIND_BROADCAST] = lm_cpu_lower_single,
    [LM_KIND_PHILOX] = lm_cpu_lower_single,
    [LM_KIND_REDUCE_SUM] = lm_cpu_lower_reduce_sum,
    [LM_KIND_REDUCE_MAX] = lm_cpu_lower_reduce_max,
    [LM_KIND_ARGMAX] = lm_cpu_lower_argmax,
    [LM_KIND_PERMUTE] = lm_cpu_lower_permute,
    [LM_KIND_SLICE] = lm_cpu_lower_slice,
    [LM_KIND_PAD] = lm_cpu_lower_pad,
    [LM_KIND_CONCAT] = lm_cpu_lower_concat,
    [LM_KIND_REVERSE] = lm_cpu_lower_reverse,
    [LM_KIND_GATHER] = lm_cpu_lower_gather,
    [LM_KIND_SCATTER_ADD] = lm_cpu_lower_scatter_add,
    [LM_KIND_MATMUL] = lm_cpu_lower_matmul,
    [LM_KIND_CONV] = lm_cpu_lower_conv,
    [LM_KIND_CONV_DGRAD] = lm_cpu_lower_conv,
    [LM_KIND_CONV_WGRAD] = lm_cpu_lower_conv,
    [LM_KIND_AXISMAP] = lm_cpu_lower_axismap,
    [LM_KIND_POOL_ARGMAX] = lm_cpu_lower_pool_argmax,
    [LM_KIND_POOL_GATHER] = lm_cpu_lower_pool_gather,
    [LM_KIND_POOL_SCATTER] = lm_cpu_lower_pool_scatter,
    [LM_KIND_CUMSUM] = lm_cpu_lower_cumsum,
    [LM_KIND_TOPK] = lm_cpu_lower_topk,
    [LM_KIND_INV] = lm_cpu_lower_inv,
    [LM_KIND_LOGABSDET] = lm_cpu_lower_logabsdet,
    [LM_KIND_ASSIGN] = lm_cpu_lower_assign,
    [LM_KIND_CALL] = lm_cpu_lower_composite,
};

static lm_status lower(lm_backend *backend, const lm_step *step, lm_kernel *kernel) {
    const lm_node *node = step->nodes[step->cluster ? step->n_nodes - 1 : 0];
    lm_cpu_lower_fn *make = step->cluster       ? lm_cpu_lower_cluster
                            : step->n_nodes > 1 ? lm_cpu_lower_chain
                                                : lowering[node->kind];
    *kernel = (lm_kernel){0};
    lm_status status = make ? make(backend, step, kernel)
                            : lm_fail(LM_UNSUPPORTED, "no kernel for this kind");
    if (status == LM_OK) return LM_OK;
    lm_str text = LM_STR_INIT;
    lm_node_text(node, &text);
    const char *what = lm_str_text(&text);
    lm_fail_context(status, "cpu: %s%s", step->cluster ? "cluster that ends in " : "",
                    what ? what : lm_kind_get(node->kind)->text);
    lm_str_release(&text);
    return status;
}

/* ---- kernels ----------------------------------------------------------------- */

static double step_bytes(const lm_step *step) {
    double bytes = 0;
    for (int i = 0; i < step->n_in; i++)
        bytes += (double)lm_shape_count(step->in[i]->shape) *
                 (double)lm_dtype_size(step->in[i]->dtype);
    for (int i = 0; i < step->n_out; i++)
        bytes += (double)lm_shape_count(step->out[i]->shape) *
                 (double)lm_dtype_size(step->out[i]->dtype);
    return bytes;
}

void *lm_cpu_kernel_init(lm_kernel *kernel, const lm_step *step, const char *name,
                         lm_cpu_run run, size_t state_size) {
    *kernel = (lm_kernel){0};
    void *state = lm_calloc(1, state_size);
    if (!state) return NULL;
    *kernel = (lm_kernel){.run = run,
                          .release = lm_cpu_kernel_release,
                          .state = state,
                          .name = name,
                          .group = "own",
                          .bytes = step_bytes(step)};
    return state;
}

void lm_cpu_kernel_release(lm_kernel *kernel) {
    lm_free(kernel->state);
    *kernel = (lm_kernel){0};
}

struct lm_dnnl *lm_cpu_dnnl(lm_backend *backend) {
    return &((cpu_backend *)backend)->dnnl;
}

lm_conv_choice *lm_cpu_conv_choice(lm_backend *backend) {
    return &((cpu_backend *)backend)->conv;
}

lm_matmul_choice lm_cpu_matmul_choice(const lm_backend *backend) {
    return ((const cpu_backend *)backend)->matmul;
}

lm_span lm_span_make(lm_shape shape, int first, int last) {
    lm_span span = {1, 1, 1};
    for (int i = 0; i < shape.rank; i++)
        *(i < first ? &span.outer : i > last ? &span.inner : &span.size) *= shape.dim[i];
    return span;
}

/* ---- instruction sets -------------------------------------------------------- */

static lm_isa processor_isa(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return LM_ISA_AVX512;
    if (avx2) return LM_ISA_AVX2;
#endif
    return LM_ISA_BASE;
}

lm_isa lm_cpu_isa(void) {
    static const char *const names[] = {"base", "avx2", "avx512"};
    static int decided = -1; /* equal whoever writes it */
    int isa = __atomic_load_n(&decided, __ATOMIC_RELAXED);
    if (isa >= 0) return (lm_isa)isa;
    isa = processor_isa();
    const char *wanted = getenv("LIMN_ISA");
    for (int i = 0; wanted && i < isa; i++)
        if (strcmp(wanted, names[i]) == 0) isa = i;
    __atomic_store_n(&decided, isa, __ATOMIC_RELAXED);
    return (lm_isa)isa;
}

/* ---- the backend ------------------------------------------------------------- */

static bool has_composite(lm_backend *backend, const lm_node *call) {
    return lm_cpu_has_composite(backend, call);
}

static lm_status configure(lm_backend *backend, const lm_backend_options *options) {
    lm_matmul_choice matmul;
    LM_TRY(lm_matmul_choice_find(options->matmul, &matmul));
    LM_TRY(lm_conv_choice_init(lm_cpu_conv_choice(backend), options));
    ((cpu_backend *)backend)->matmul = matmul;
    return LM_OK;
}

static void *allocate(lm_backend *backend, size_t bytes) {
    return lm_alloc_aligned(bytes);
}

static void deallocate(lm_backend *backend, void *memory) {
    lm_free_aligned(memory);
}

static void upload(lm_backend *backend, void *device, lm_dtype dtype, const void *host,
                   lm_dtype host_dtype, int64_t count) {
    lm_convert(device, dtype, host, host_dtype, count);
}

static void download(lm_backend *backend, void *host, lm_dtype host_dtype,
                     const void *device, lm_dtype dtype, int64_t count) {
    lm_convert(host, host_dtype, device, dtype, count);
}

static void release(lm_backend *backend) {
    cpu_backend *cpu = (cpu_backend *)backend;
    lm_conv_choice_release(&cpu->conv);
    lm_dnnl_release(&cpu->dnnl);
    lm_free(cpu);
}

lm_status lm_backend_cpu_new(lm_backend **backend) {
    cpu_backend *cpu = lm_calloc(1, sizeof *cpu);
    if (!cpu) return LM_NOMEM;
    cpu->base = (lm_backend){.name = "cpu",
                             .element_size = lm_dtype_size,
                             .has_composite = has_composite,
                             .clusters = true,
                             .configure = configure,
                             .lower = lower,
                             .alloc = allocate,
                             .free = deallocate,
                             .upload = upload,
                             .download = download,
                             .release = release};
    lm_status status = lm_dnnl_init(&cpu->dnnl);
    if (status != LM_OK) {
        lm_free(cpu);
        return status;
    }
    *backend = &cpu->base;
    return LM_OK;
}
