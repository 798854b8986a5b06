/* One vector register of floats, for files of isa_files whose loops a compiler would not
 * vectorise by itself, or not as well. */
#ifndef LIMN_BACKEND_CPU_SIMD_H
#define LIMN_BACKEND_CPU_SIMD_H

#include "backend/cpu/vm_math.h"

#if defined(__AVX512F__)
#include <immintrin.h>
enum { LM_LANES = 16 };
#elif defined(__AVX2__)
enum { LM_LANES = 8 };
#else
enum { LM_LANES = 4 };
#endif

typedef float lm_vec __attribute__((vector_size(LM_LANES * 4)));
typedef float lm_loose_vec
    __attribute__((vector_size(LM_LANES * 4), aligned(4), may_alias));

LM_VM_MATH lm_vec lm_vec_load(const float *from) {
    return *(const lm_loose_vec *)from;
}

LM_VM_MATH void lm_vec_store(float *to, lm_vec x) {
    *(lm_loose_vec *)to = x;
}

/* 1 / (1 + e^-x), within 2e-7 of it for |x| < 4 and 1e-6 for |x| < 16 (relative; beyond,
 * the error grows with x, where the result is next to 0 or 1). NaN stays. */
#if defined(__AVX512F__)
/* 2^t for t = n + f: a Taylor polynomial of 2^f on +-1/2, scaled by an instruction; the
 * quotient from a 14-bit estimate by one step of Newton's. The cap keeps 1 + 2^t finite.
 */
LM_VM_MATH lm_vec lm_vec_sigmoid(lm_vec x) {
    __m512 t = (__m512)(x * -1.44269504f);
    t = _mm512_min_ps(_mm512_set1_ps(126), t); /* NaN, the second source, wins */
    __m512 n = _mm512_roundscale_ps(t, 0);
    lm_vec f = (lm_vec)t - (lm_vec)n;
    lm_vec p = 1.3333558146e-3f * f + 9.618129107e-3f;
    p = p * f + 5.550410866e-2f;
    p = p * f + 2.402265069e-1f;
    p = p * f + 6.931471806e-1f;
    p = p * f + 1;
    lm_vec d = (lm_vec)_mm512_scalef_ps((__m512)p, n) + 1;
    lm_vec r = (lm_vec)_mm512_rcp14_ps((__m512)d);
    return r + r * (1 - d * r);
}
#else
LM_VM_MATH lm_vec lm_vec_sigmoid(lm_vec x) {
    LM_VM_LANES for (int i = 0; i < LM_LANES; i++) x[i] = lm_vm_sigmoid(x[i]);
    return x;
}
#endif

#endif
