/* Operations on tiles, compiled once per instruction set. */
#ifndef LIMN_BACKEND_CPU_VM_OPS_H
#define LIMN_BACKEND_CPU_VM_OPS_H

#include "backend/cpu/cpu_internal.h"

/* A tile is up to LM_VM_TILE elements. Operations on registers work on whole groups of
 * LM_VM_GROUP lanes, so that their inner loop has a constant length whatever the tile's;
 * lanes past the tile's end hold anything and are never stored. */
enum { LM_VM_TILE = 1024, LM_VM_GROUP = 64 };

/* d[i] = f(src[0][i], ...) for i < n, n a multiple of LM_VM_GROUP. A source whose bit is
 * set in the form is imm[] instead; imm[1] is also the constant of LEAKY and POWC. d may
 * equal a source. */
typedef void (*lm_vm_op)(float *d, const float *const src[3], const float imm[3], int n);

typedef struct lm_vm_ops {
    lm_vm_op ew[LM_EW_COUNT][8]; /* [code][form]; NULL where the form does not exist */
    lm_vm_op cast[LM_DTYPE_COUNT];
    /* Exactly n elements, any alignment. */
    void (*load[LM_DTYPE_COUNT])(float *d, const void *from, int n);
    void (*store[LM_DTYPE_COUNT])(void *to, const float *s, int n);
    /* d[4 i + w] = upper 24 bits of word w of counter {first + i, c[0..2]}, i < count. */
    void (*philox)(float *d, uint32_t first, int count, const uint32_t c[3],
                   const uint32_t key[2]);
    double (*sum)(const float *s, int n);
    /* acc[j] += sum over r of s[r * stride + j], j < width: in f32 over the rows. */
    void (*add_rows)(double *acc, const float *s, int rows, int stride, int width);
} lm_vm_ops;

LM_ISA_DECLARE(lm_vm_ops, lm_vm_ops);

#endif
