/* The null backend: accepts every step and runs nothing, so that graphs, schedules and
 * plans of any size can be tried without their memory. Device memory is a token that is
 * never touched; what is read back is zero. */
#include "backend/backend.h"
#include "base/mem.h"
#include <string.h>

static bool has_composite(lm_backend *backend, const lm_node *call) {
    return true;
}

static lm_status run(lm_kernel *kernel, const lm_kernel_args *args) {
    return LM_OK;
}

static double bytes_of(lm_node *const *values, int count) {
    double bytes = 0;
    for (int i = 0; i < count; i++)
        bytes += (double)lm_shape_count(values[i]->shape) *
                 (double)lm_dtype_size(values[i]->dtype);
    return bytes;
}

static lm_status lower(lm_backend *backend, const lm_step *step, lm_kernel *kernel) {
    *kernel = (lm_kernel){
        .run = run,
        .name = step->cluster ? "cluster" : lm_kind_get(step->nodes[0]->kind)->text,
        .group = "null",
        .bytes = bytes_of(step->in, step->n_in) + bytes_of(step->out, step->n_out),
    };
    return LM_OK;
}

static void *allocate(lm_backend *backend, size_t bytes) {
    return lm_alloc_aligned(64);
}

static void deallocate(lm_backend *backend, void *memory) {
    lm_free_aligned(memory);
}

static void upload(lm_backend *backend, void *device, lm_dtype dtype, const void *host,
                   lm_dtype host_dtype, int64_t count) {}

static void download(lm_backend *backend, void *host, lm_dtype host_dtype,
                     const void *device, lm_dtype dtype, int64_t count) {
    memset(host, 0, (size_t)count * lm_dtype_size(host_dtype));
}

static void release(lm_backend *backend) {
    lm_free(backend);
}

lm_status lm_backend_null_new(lm_backend **backend) {
    lm_backend *made = lm_alloc(sizeof *made);
    if (!made) return LM_NOMEM;
    *made = (lm_backend){
        .name = "null",
        .element_size = lm_dtype_size,
        .has_composite = has_composite,
        .clusters = true,
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
