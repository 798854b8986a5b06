/* The backend itself: the table of kernels, memory, conversions. */
#include "backend/ref/ref_internal.h"
#include "base/mem.h"
#include "tensor/tensor.h"
#include <math.h>

double lm_ref_fit(lm_dtype dtype, double value) {
    static const struct {
        double least, most;
    } range[LM_DTYPE_COUNT] = {
        [LM_I64] = {-0x1p63, 0x1p63},
        [LM_I32] = {-0x1p31, 0x1p31 - 1},
        [LM_U32] = {0, 0x1p32 - 1},
        [LM_U8] = {0, 255},
    };
    if (lm_dtype_is_float(dtype)) return value;
    if (isnan(value)) return 0;
    return fmin(fmax(trunc(value), range[dtype].least), range[dtype].most);
}

static const lm_ref_function functions[LM_KIND_COUNT] = {
#define X(KIND, function) [LM_KIND_##KIND] = lm_ref_##function,
    LM_REF_KERNELS(X)
#undef X
};

static size_t (*const workspaces[LM_KIND_COUNT])(const lm_node *node) = {
    [LM_KIND_INV] = lm_ref_lu_bytes,
    [LM_KIND_LOGABSDET] = lm_ref_lu_bytes,
};

static lm_status run(lm_kernel *kernel, const lm_kernel_args *args) {
    const lm_node *node = kernel->state;
    return functions[node->kind](node, args);
}

static size_t element_size(lm_dtype dtype) {
    return sizeof(double);
}

static bool has_composite(lm_backend *backend, const lm_node *call) {
    return false;
}

/* Both mean that the graph was not made for this backend. */
static lm_status refuse(const lm_node *node, const char *why) {
    lm_str text = LM_STR_INIT;
    lm_node_text(node, &text);
    lm_fail(LM_INTERNAL, "%s: ref: %s", text.failed ? "a node" : lm_str_text(&text), why);
    lm_str_release(&text);
    return LM_INTERNAL;
}

static lm_status lower(lm_backend *backend, const lm_step *step, lm_kernel *kernel) {
    lm_node *node = step->nodes[0];
    if (step->cluster) return refuse(node, "single nodes are computed here, no clusters");
    if (!functions[node->kind]) return refuse(node, "there is no kernel for this kind");
    int64_t elements = lm_shape_count(node->shape);
    for (int i = 0; i < step->n_in; i++) elements += lm_shape_count(step->in[i]->shape);
    *kernel = (lm_kernel){
        .run = run,
        .state = node,
        .workspace = workspaces[node->kind] ? workspaces[node->kind](node) : 0,
        .name = lm_kind_get(node->kind)->text,
        .group = "ref",
        .bytes = (double)elements * sizeof(double),
    };
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
    double *to = device;
    lm_convert(to, LM_F64, host, host_dtype, count);
    for (int64_t i = 0; i < count; i++) to[i] = lm_ref_fit(dtype, to[i]);
}

static void download(lm_backend *backend, void *host, lm_dtype host_dtype,
                     const void *device, lm_dtype dtype, int64_t count) {
    lm_convert(host, host_dtype, device, LM_F64, count);
}

static void release(lm_backend *backend) {
    lm_free(backend);
}

lm_status lm_backend_ref_new(lm_backend **backend) {
    lm_backend *made = lm_alloc(sizeof *made);
    if (!made) return LM_NOMEM;
    *made = (lm_backend){
        .name = "ref",
        .element_size = element_size,
        .has_composite = has_composite,
        .clusters = false,
        .lower = lower,
        .alloc = allocate,
        .free = deallocate,
        .upload = upload,
        .download = download,
        .release = release,
    };
    *backend = made;
    return LM_OK;
}
