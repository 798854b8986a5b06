/* One vector register of floats, for files of isa_files whose loops a compiler would not
 * vectorise by itself, or not as well. */
#ifndef LIMN_BACKEND_CPU_SIMD_H
#define LIMN_BACKEND_CPU_SIMD_H

#include "backend/cpu/vm_math.h"

#if defined(__SSE__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
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

/* To an address of whole registers, past the cache: what is written is not read first.
 * For results that the cache could not keep; lm_stream_end (cpu_internal.h) comes before
 * other threads may look. */
LM_VM_MATH void lm_vec_stream(float *to, lm_vec x) {
#if defined(__AVX512F__)
    _mm512_stream_ps(to, (__m512)x);
#elif defined(__AVX2__)
    _mm256_stream_ps(to, (__m256)x);
#elif defined(__SSE__)
    _mm_stream_ps(to, (__m128)x);
#else
    lm_vec_store(to, x);
#endif
}

/* The first n of a register's elements, 0 < n <= LM_LANES; loaded, the others are 0. */
#if defined(__AVX512F__)
LM_VM_MATH lm_vec lm_vec_load_some(const float *from, int n) {
    if (n == LM_LANES) return lm_vec_load(from);
    return (lm_vec)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), from);
}

LM_VM_MATH void lm_vec_store_some(float *to, lm_vec x, int n) {
    if (n == LM_LANES)
        lm_vec_store(to, x);
    else
        _mm512_mask_storeu_ps(to, (__mmask16)((1u << n) - 1), (__m512)x);
}
#else
LM_VM_MATH lm_vec lm_vec_load_some(const float *from, int n) {
    if (n == LM_LANES) return lm_vec_load(from);
    lm_vec x = {0};
    for (int i = 0; i < n; i++) x[i] = from[i];
    return x;
}

LM_VM_MATH void lm_vec_store_some(float *to, lm_vec x, int n) {
    if (n == LM_LANES)
        lm_vec_store(to, x);
    else
        for (int i = 0; i < n; i++) to[i] = x[i];
}
#endif

/* x where it is positive, else slope * x. */
LM_VM_MATH lm_vec lm_vec_leaky(lm_vec x, float slope) {
    typedef int32_t bits __attribute__((vector_size(LM_LANES * 4)));
    bits positive = x > 0;
    return (lm_vec)(((bits)x & positive) | ((bits)(x * slope) & ~positive));
}

/* 1 / (1 + e^-x), within 2e-7 of it for |x| < 4 and 1e-6 for |x| < 16 (relative; beyond,
 * the error grows with x, where the result is next to 0 or 1). NaN stays. */
#if defined(__AVX512F__)
/* 2^t for t = n + f: a minimax polynomial of 2^f on +-1/2, scaled by an instruction; the
 * quotient from a 14-bit estimate by one step of Newton's. The cap keeps 1 + 2^t finite.
 */
LM_VM_MATH lm_vec lm_vec_sigmoid(lm_vec x) {
    __m512 t = (__m512)(x * -1.44269504f);
    t = _mm512_min_ps(_mm512_set1_ps(126), t); /* NaN, the second source, wins */
    __m512 n = _mm512_roundscale_ps(t, 0);
    lm_vec f = (lm_vec)t - (lm_vec)n;
    lm_vec p = 1.327647198e-3f * f + 9.675541334e-3f;
    p = p * f + 5.550713274e-2f;
    p = p * f + 2.402211972e-1f;
    p = p * f + 6.931469671e-1f;
    p = p * f + 1.000000072f;
    lm_vec d = (lm_vec)_mm512_scalef_ps((__m512)p, n) + 1;
    lm_vec r = (lm_vec)_mm512_rcp14_ps((__m512)d);
    return r + r * (1 - d * r);
}
#else
LM_VM_MATH lm_vec lm_vec_sigmoid(lm_vec x) {
    float lane[LM_LANES];
    lm_vec_store(lane, x);
/* Unrolled before it is vectorised, this would stay scalar. */
#pragma GCC unroll 1
    for (int i = 0; i < LM_LANES; i++) lane[i] = lm_vm_sigmoid(lane[i]);
    return lm_vec_load(lane);
}
#endif

#endif
