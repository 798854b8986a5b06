/* What the files of the CPU backend share. */
#ifndef LIMN_BACKEND_CPU_INTERNAL_H
#define LIMN_BACKEND_CPU_INTERNAL_H

#include "backend/backend.h"

/* ---- instruction sets ------------------------------------------------------------ */

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

/* ---- kernels --------------------------------------------------------------------- */

typedef lm_status (*lm_cpu_run)(lm_kernel *kernel, const lm_kernel_args *args);

/* Fills a kernel that is `run` and a zeroed state of state_size bytes, which release
 * frees; a state that owns more sets kernel->release to a function that ends with
 * lm_cpu_kernel_release. `group` is "own" and `bytes` the step's inputs and outputs
 * until the caller says otherwise. Returns the state, NULL when memory is out (then the
 * kernel holds nothing). */
void *lm_cpu_kernel_init(lm_kernel *kernel, const lm_step *step, const char *name,
                         lm_cpu_run run, size_t state_size);
void lm_cpu_kernel_release(lm_kernel *kernel);

/* ---- lowering, by file ------------------------------------------------------------- */

/* A refusal says what is wrong with lm_fail; cpu.c puts the node's text in front. */
typedef lm_status (*lm_cpu_lower)(lm_backend *backend, const lm_step *step,
                                  lm_kernel *kernel);

/* vm_*.c: a cluster of elementwise-like nodes. */
lm_status lm_cpu_lower_cluster(lm_backend *backend, const lm_step *step,
                               lm_kernel *kernel);

/* comp_*.c: fused kernels of composites. */
bool lm_cpu_has_composite(const lm_node *call);
lm_status lm_cpu_lower_composite(lm_backend *backend, const lm_step *step,
                                 lm_kernel *kernel);

#endif
