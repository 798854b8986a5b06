/* What the files of the CPU backend share. */
#ifndef LIMN_BACKEND_CPU_INTERNAL_H
#define LIMN_BACKEND_CPU_INTERNAL_H

#include "backend/backend.h"

/* ---- instruction sets -------------------------------------------------------- */

typedef enum lm_isa { LM_ISA_BASE, LM_ISA_AVX2, LM_ISA_AVX512 } lm_isa;

/* The best that processor and build have, decided once. The environment variable
 * LIMN_ISA (base, avx2, avx512) lowers it, for tests. */
lm_isa lm_cpu_isa(void);

/* Files in `isa_files` of meson.build are compiled once per instruction set, with
 * LM_ISA_SUFFIX as _base, _avx2 or _avx512. They define their symbols with LM_ISA_NAME(),
 * a private header declares them with LM_ISA_DECLARE, and LM_ISA_PICK chooses. Outside
 * x86-64 only _base exists. */
#define LM_ISA_JOIN_(name, suffix) name##suffix
#define LM_ISA_JOIN(name, suffix)  LM_ISA_JOIN_(name, suffix)
#define LM_ISA_NAME(name)          LM_ISA_JOIN(name, LM_ISA_SUFFIX)
#if defined(__x86_64__)
#define LM_ISA_DECLARE(type, name)                                                       \
    extern const type name##_base, name##_avx2, name##_avx512
#define LM_ISA_PICK(name)                                                                \
    (lm_cpu_isa() == LM_ISA_AVX512 ? &name##_avx512                                      \
     : lm_cpu_isa() == LM_ISA_AVX2 ? &name##_avx2                                        \
                                   : &name##_base)
#else
#define LM_ISA_DECLARE(type, name) extern const type name##_base
#define LM_ISA_PICK(name)          (&name##_base)
#endif

/* ---- kernels ----------------------------------------------------------------- */

typedef lm_status (*lm_cpu_run)(lm_kernel *kernel, const lm_kernel_args *args);

/* Fills a kernel that is `run` and a zeroed state of state_size bytes, which release
 * frees; a state that owns more sets kernel->release to a function that ends with
 * lm_cpu_kernel_release. `group` is "own" and `bytes` the step's inputs and outputs
 * until the caller says otherwise. Returns the state, NULL when memory is out (then the
 * kernel holds nothing). */
void *lm_cpu_kernel_init(lm_kernel *kernel, const lm_step *step, const char *name,
                         lm_cpu_run run, size_t state_size);
void lm_cpu_kernel_release(lm_kernel *kernel);

/* ---- lowering, by file ------------------------------------------------------- */

/* Each makes the kernel of a step. A refusal says what is wrong with lm_fail; cpu.c puts
 * the node's text in front. */
typedef lm_status lm_cpu_lower_fn(lm_backend *backend, const lm_step *step,
                                  lm_kernel *kernel);

lm_cpu_lower_fn lm_cpu_lower_cluster;   /* vm_*.c: a cluster of elementwise-like nodes */
lm_cpu_lower_fn lm_cpu_lower_composite; /* comp_*.c: fused kernels */
lm_cpu_lower_fn lm_cpu_lower_chain;     /* comp_norm.c: chains of nodes */
bool lm_cpu_has_composite(lm_backend *backend, const lm_node *call);

lm_cpu_lower_fn lm_cpu_lower_single; /* single.c: one elementwise-like node */
/* conv.c, matmul.c */
lm_cpu_lower_fn lm_cpu_lower_conv; /* and both adjoints */
lm_cpu_lower_fn lm_cpu_lower_matmul;
/* move.c, index.c */
lm_cpu_lower_fn lm_cpu_lower_permute, lm_cpu_lower_slice, lm_cpu_lower_pad,
    lm_cpu_lower_concat, lm_cpu_lower_reverse, lm_cpu_lower_assign, lm_cpu_lower_gather,
    lm_cpu_lower_scatter_add;
/* reduce.c, order.c */
lm_cpu_lower_fn lm_cpu_lower_reduce_sum, lm_cpu_lower_reduce_max, lm_cpu_lower_argmax,
    lm_cpu_lower_topk, lm_cpu_lower_cumsum;
/* axismap.c, pool.c, lu.c */
lm_cpu_lower_fn lm_cpu_lower_axismap, lm_cpu_lower_pool_argmax, lm_cpu_lower_pool_gather,
    lm_cpu_lower_pool_scatter, lm_cpu_lower_inv, lm_cpu_lower_logabsdet;

/* Which kernel takes matrix products: by rule, or one wherever it fits. */
typedef enum lm_matmul_choice {
    LM_MATMUL_AUTO,
    LM_MATMUL_OWN,
    LM_MATMUL_ONEDNN
} lm_matmul_choice;
lm_status lm_matmul_choice_find(const char *name, lm_matmul_choice *choice);
/* This backend's. */
lm_matmul_choice lm_cpu_matmul_choice(const lm_backend *backend);

/* oneDNN's engine and stream of this backend. */
struct lm_dnnl *lm_cpu_dnnl(lm_backend *backend);

/* ---- results past the cache -------------------------------------------------- */

/* Results of at least this size will not be found in the cache by who reads them. */
enum { LM_STREAM_BYTES = 12 << 20 };

/* Whether rows of `row` floats from y on can be written past the cache, which saves
 * reading what was there: only vectors that start where one of the machine's can. */
static inline bool lm_may_stream(const float *y, int64_t row) {
    return (uintptr_t)y % 64 == 0 && row % 16 == 0;
}

/* Before other threads may read what was. */
static inline void lm_stream_end(void) {
#if defined(__SSE__)
    __builtin_ia32_sfence();
#endif
}

/* ---- geometry ---------------------------------------------------------------- */

/* A tensor seen as [outer, size, inner] around one run of axes. */
typedef struct lm_span {
    int64_t outer, size, inner;
} lm_span;
/* Axes first..last of the shape. */
lm_span lm_span_make(lm_shape shape, int first, int last);

/* Loops with less work than this (in elements) are not worth a parallel region. */
enum { LM_CPU_GRAIN = 1 << 14 };

static inline int64_t lm_least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* n or the next multiple of step. */
static inline int64_t lm_round_up(int64_t n, int64_t step) {
    return (n + step - 1) / step * step;
}

#endif
