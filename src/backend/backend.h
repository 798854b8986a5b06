/* The interface that every backend fills. A backend lowers steps to kernels and owns the
 * device's memory; it knows nothing of schedules, plans or programs. */
#ifndef LIMN_BACKEND_BACKEND_H
#define LIMN_BACKEND_BACKEND_H

#include "graph/step.h"

typedef struct lm_kernel lm_kernel;

/* What a kernel is given at each run. in[i] and out[i] belong to the step's in and out;
 * version[i] is 0 for values that change at every run, else a counter that changes when
 * the variable behind in[i] was written: packed copies of weights stay valid while it
 * stays equal. Outputs never overlap inputs unless the plan was allowed to
 * (lm_step_may_alias). The workspace is 64-byte aligned, its content undefined. */
typedef struct lm_kernel_args {
    const void *const *in;
    const uint64_t *version;
    void *const *out;
    void *workspace;
} lm_kernel_args;

struct lm_kernel {
    lm_status (*run)(lm_kernel *kernel, const lm_kernel_args *args);
    void (*release)(lm_kernel *kernel); /* frees state only; may be NULL */
    void *state;
    size_t workspace;
    const char *name;    /* static or owned by state: "onednn brgconv:avx512_core" */
    const char *group;   /* static, for profiles: "onednn", "fused", "own" */
    double flops, bytes; /* useful work and memory traffic of one run, estimated */
};

/* What a user may decide about kernels. Zeroed: the defaults, which depend on the problem
 * alone and so give the same results on every machine of one instruction set. */
typedef struct lm_backend_options {
    bool no_winograd; /* no convolution by Winograd's algorithms */
    const char
        *conv; /* this candidate for every convolution that it fits; NULL, "auto" */
    const char *matmul; /* the same for matrix products */
    bool tune; /* measure the candidates of each convolution, remember the winner */
    const char *tune_folder; /* where winners are kept; NULL: limn/ in the XDG caches */
} lm_backend_options;

typedef struct lm_backend lm_backend;
struct lm_backend {
    const char *name;
    /* Bytes of one element in this backend's memory (ref keeps every dtype as f64). */
    size_t (*element_size)(lm_dtype dtype);
    /* True when a fused kernel for this call exists; else its body is inlined. */
    bool (*has_composite)(lm_backend *backend, const lm_node *call);
    /* Whether elementwise nodes should be grouped into clusters. */
    bool clusters;
    /* For kernels that are lowered from now on. Nothing of `options` is kept. NULL: there
     * is nothing to decide. */
    lm_status (*configure)(lm_backend *backend, const lm_backend_options *options);
    /* Makes the kernel of a step (fills *kernel). On failure says which node and why each
     * candidate refused. */
    lm_status (*lower)(lm_backend *backend, const lm_step *step, lm_kernel *kernel);
    /* Device memory, zeroed, 64-byte aligned; NULL when out. */
    void *(*alloc)(lm_backend *backend, size_t bytes);
    void (*free)(lm_backend *backend, void *memory);
    /* Host to device and back with conversion: `host` has host_dtype elements, the device
     * holds `dtype`. */
    void (*upload)(lm_backend *backend, void *device, lm_dtype dtype, const void *host,
                   lm_dtype host_dtype, int64_t count);
    void (*download)(lm_backend *backend, void *host, lm_dtype host_dtype,
                     const void *device, lm_dtype dtype, int64_t count);
    void (*release)(lm_backend *backend); /* frees the backend itself */
};

/* One constructor a backend; each lives in its own room. */
lm_status lm_backend_ref_new(lm_backend **backend);  /* f64, slow, obvious: the oracle */
lm_status lm_backend_null_new(lm_backend **backend); /* lowers, runs nothing */
lm_status lm_backend_cpu_new(lm_backend **backend);

/* "own kernels for AVX-512, oneDNN 2.6.3", cut to the buffer. */
void lm_backend_cpu_describe(char *buffer, size_t size);

/* What all threads can do at best: f32 operations a second, a multiply-add counting two,
 * and bytes a second when copying, read and written. Measured anew, in a fifth of a
 * second. */
lm_status lm_backend_cpu_peak(double *flops, double *bytes);

#endif
