/* Elementary functions of one float without branches or calls, so that a loop over them
 * vectorises at any width and a tail gives the same bits as a full vector.
 *
 * Polynomials are minimax fits in relative error (Remez exchange, 40 digits); reductions
 * are Cody and Waite's. Constants are split so that the high part times a small whole
 * number is exact. Every function passes NaN on and is right at infinities and zeros;
 * test_vm_math measures the errors. */
#ifndef LIMN_BACKEND_CPU_VM_MATH_H
#define LIMN_BACKEND_CPU_VM_MATH_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define LM_VM_MATH static inline __attribute__((always_inline))

/* Before a loop over lanes that do not depend on each other, also where the result is
 * written over a source. */
#if defined(__clang__)
#define LM_VM_LANES _Pragma("clang loop vectorize(assume_safety)")
#else
#define LM_VM_LANES _Pragma("GCC ivdep")
#endif

LM_VM_MATH float lm_vm_float(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

LM_VM_MATH uint32_t lm_vm_bits(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

LM_VM_MATH double lm_vm_double(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

LM_VM_MATH uint64_t lm_vm_bits64(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* Adding 1.5 * 2^23 leaves the nearest whole number in the low bits: no conversion that
 * would be undefined for NaN. */
#define LM_VM_ROUNDER   12582912.0f
#define LM_VM_ROUNDER64 6755399441055744.0
#define LM_VM_LN2_HI    0.693359375f
#define LM_VM_LN2_LO    -2.12194440e-4f

/* e^x = 2^n * (1 + r + r^2 q), r = x - n ln 2 within +-0.35. */
LM_VM_MATH float lm_vm_exp_q(float r) {
    float q = 0.001381316355f;
    q = q * r + 0.008369418861f;
    q = q * r + 0.04166845647f;
    q = q * r + 0.1666651479f;
    return q * r + 0.4999999305f;
}

LM_VM_MATH float lm_vm_exp(float x) {
    x = x > 89.0f ? 89.0f : x;
    x = x < -104.0f ? -104.0f : x;
    float t = x * 1.44269504f + LM_VM_ROUNDER, n = t - LM_VM_ROUNDER;
    float r = x - n * LM_VM_LN2_HI - n * LM_VM_LN2_LO;
    float p = 1 + (r + r * r * lm_vm_exp_q(r));
    /* Two halves of the exponent: 2^128 and subnormal results stay in range. */
    int32_t k = (int32_t)(lm_vm_bits(t) - lm_vm_bits(LM_VM_ROUNDER)), half = k >> 1;
    float low = lm_vm_float((uint32_t)(half + 127) << 23);
    float high = lm_vm_float((uint32_t)(k - half + 127) << 23);
    return p * low * high;
}

/* For results that are added to something near 1: clamped to the normal numbers, so that
 * one factor 2^n will do. */
LM_VM_MATH float lm_vm_exp_normal(float x) {
    x = x > 88.0f ? 88.0f : x;
    x = x < -87.0f ? -87.0f : x;
    float t = x * 1.44269504f + LM_VM_ROUNDER, n = t - LM_VM_ROUNDER;
    float r = x - n * LM_VM_LN2_HI - n * LM_VM_LN2_LO;
    float p = 1 + (r + r * r * lm_vm_exp_q(r));
    return p * lm_vm_float((lm_vm_bits(t) << 23) + 0x3f800000);
}

LM_VM_MATH float lm_vm_expm1(float x) {
    x = x > 89.0f ? 89.0f : x;
    x = x < -60.0f ? -60.0f : x;
    float t = x * 1.44269504f + LM_VM_ROUNDER, n = t - LM_VM_ROUNDER;
    float r = x - n * LM_VM_LN2_HI - n * LM_VM_LN2_LO;
    float p = r + r * r * lm_vm_exp_q(r);
    uint32_t k = lm_vm_bits(t) - lm_vm_bits(LM_VM_ROUNDER);
    float half = lm_vm_float((k + 126) << 23); /* 2^(n-1), finite for n = 128 */
    return 2 * (half * p + (half - 0.5f));
}

/* log(1 + f) - f + f^2 / 2, over f^3, for 1 + f between sqrt(1/2) and sqrt(2). */
LM_VM_MATH float lm_vm_log_q(float f) {
    float q = 0.06747242238f;
    q = q * f + -0.1167591306f;
    q = q * f + 0.1188804003f;
    q = q * f + -0.1240553837f;
    q = q * f + 0.1421956144f;
    q = q * f + -0.1666799892f;
    q = q * f + 0.2000211837f;
    q = q * f + -0.2500000954f;
    return q * f + 0.3333331261f;
}

/* log x + extra, for normal positive x. */
LM_VM_MATH float lm_vm_log_plus(float x, float extra, float exponent) {
    const uint32_t root_half = 0x3f3504f3;
    uint32_t ix = lm_vm_bits(x) - root_half;
    float e = (float)((int32_t)ix >> 23) + exponent;
    float f = lm_vm_float((ix & 0x7fffff) + root_half) - 1;
    float y = f * f * f * lm_vm_log_q(f) + (extra + e * LM_VM_LN2_LO);
    y -= 0.5f * f * f;
    return (f + y) + e * LM_VM_LN2_HI;
}

LM_VM_MATH float lm_vm_log(float x) {
    int tiny = x < 0x1p-126f; /* subnormals, and what is not positive */
    float y = lm_vm_log_plus(tiny ? x * 0x1p23f : x, 0, tiny ? -23.0f : 0.0f);
    y = x < INFINITY ? y : x; /* inf and NaN */
    y = x == 0 ? -INFINITY : y;
    return x < 0 ? NAN : y;
}

/* log(u) with u = 1 + x rounded, plus what the rounding lost, over u. */
LM_VM_MATH float lm_vm_log1p(float x) {
    float u = 1 + x, lost = x < 0x1p24f ? (x - (u - 1)) / u : 0.0f;
    float y = lm_vm_log_plus(u, lost, 0);
    y = x < INFINITY ? y : x;
    y = x == 0 ? x : y; /* keeps -0 */
    y = u == 0 ? -INFINITY : y;
    return u < 0 ? NAN : y;
}

LM_VM_MATH float lm_vm_sigmoid(float x) {
    return 1 / (1 + lm_vm_exp_normal(-x));
}

LM_VM_MATH float lm_vm_tanh(float x) {
    float t = fabsf(x), z = x * x;
    float q = -0.00570502725f;
    q = q * z + 0.02063912405f;
    q = q * z + -0.05373972653f;
    q = q * z + 0.1333144234f;
    q = q * z + -0.3333328195f;
    float small = x + x * z * q;
    float large = copysignf(1 - 2 / (lm_vm_exp_normal(2 * t) + 1), x);
    return t < 0.625f ? small : large;
}

LM_VM_MATH float lm_vm_softplus(float x) {
    float y = lm_vm_log1p(lm_vm_exp(-fabsf(x)));
    return x > 0 ? x + y : y;
}

/* Near zero x + x q(x^2); beyond, 1 - exp(-t p(t)) with t p(t) = -log(erfc(t)). */
LM_VM_MATH float lm_vm_erf(float x) {
    float t = fabsf(x), z = x * x;
    float q = 8.31679301e-5f;
    q = q * z + -0.0008130015926f;
    q = q * z + 0.005199906822f;
    q = q * z + -0.02685894149f;
    q = q * z + 0.1128368719f;
    q = q * z + -0.3761263319f;
    q = q * z + 0.1283791666f;
    float small = x + x * q;
    float s = t > 4.0f ? 4.0f : t;
    float p = 4.806012182e-6f;
    p = p * s + -4.399464058e-5f;
    p = p * s + -5.753853221e-5f;
    p = p * s + 0.002951737524f;
    p = p * s + -0.02270839759f;
    p = p * s + 0.1052945321f;
    p = p * s + 0.6356092331f;
    p = p * s + 1.128555131f;
    float large = copysignf(1 - lm_vm_exp_normal(-s * p), x);
    return t < 0.93f ? small : large;
}

/* In w = -log(1 - x^2), after M. Giles, "Approximating the erfinv function" (2010). */
LM_VM_MATH float lm_vm_erfinv(float x) {
    float w = -lm_vm_log((1 - x) * (1 + x));
    float v = w - 2.5f;
    float p = -8.791011754e-9f;
    p = p * v + 2.32324539e-8f;
    p = p * v + 4.661700951e-7f;
    p = p * v + -3.462702415e-6f;
    p = p * v + -4.96334561e-6f;
    p = p * v + 0.0002183444307f;
    p = p * v + -0.001252741881f;
    p = p * v + -0.004177386771f;
    p = p * v + 0.2466402862f;
    p = p * v + 1.501409359f;
    float s = sqrtf(w < 5 ? 5.0f : w) - 3;
    float q = 0.000127536933f;
    q = q * s + -0.0003180414782f;
    q = q * s + -7.438187056e-5f;
    q = q * s + 0.001495078427f;
    q = q * s + -0.003588183723f;
    q = q * s + 0.005683431968f;
    q = q * s + -0.007639170019f;
    q = q * s + 0.009445659681f;
    q = q * s + 1.001675074f;
    q = q * s + 2.832976796f;
    float y = (w < 5 ? p : q) * x;
    y = fabsf(x) == 1 ? copysignf(INFINITY, x) : y;
    return fabsf(x) <= 1 ? y : NAN;
}

LM_VM_MATH float lm_vm_atan(float x) {
    float t = fabsf(x), u = t > 1 ? 1 / t : t, z = u * u;
    float q = -0.001793621315f;
    q = q * z + 0.01091459683f;
    q = q * z + -0.03117781456f;
    q = q * z + 0.05795754688f;
    q = q * z + -0.08403446795f;
    q = q * z + 0.1095218442f;
    q = q * z + -0.1426424147f;
    q = q * z + 0.1999854829f;
    q = q * z + -0.3333329909f;
    float p = u + u * z * q;
    float y = t > 1 ? 1.57079637f - (p + 4.37113883e-8f) : p; /* pi/2 in two parts */
    return copysignf(y, x);
}

/* sin(x + quarter * pi/2). The reduction is in double, and exact enough up to
 * LM_VM_TRIG_MAX; callers send larger arguments to libm. */
#define LM_VM_TRIG_MAX 1e6f
LM_VM_MATH float lm_vm_sin_quarter(float x, uint32_t quarter) {
    double t = (double)x * 0.6366197723675814 + LM_VM_ROUNDER64;
    double n = t - LM_VM_ROUNDER64;
    /* pi/2: the upper part has 33 bits, so that n times it is exact. */
    float r = (float)((double)x - n * 1.5707963267341256 - n * 6.077100506506192e-11);
    uint32_t k = (uint32_t)lm_vm_bits64(t) + quarter;
    float z = r * r;
    float s = -0.0001951462303f;
    s = s * z + 0.00833215597f;
    s = s * z + -0.1666665453f;
    s = r + r * z * s;
    float c = 2.443242368e-5f;
    c = c * z + -0.001388730998f;
    c = c * z + 0.04166664556f;
    c = (1 - 0.5f * z) + z * z * c;
    float y = k & 1 ? c : s;
    return k & 2 ? -y : y;
}

/* What x^c needs to know of its constant. Made out of line, or compilers put these
 * branches into the loop over x. */
typedef struct lm_vm_power {
    double exponent;
    float at_zero, at_inf, at_nan; /* results for 0, infinity and NaN */
    float below_zero, minus;       /* factors for x < 0, and for a set sign */
} lm_vm_power;

static __attribute__((noinline, const, unused)) lm_vm_power lm_vm_power_make(float c) {
    bool is_whole = floorf(c) == c, is_odd = is_whole && floorf(c / 2) != c / 2;
    return (lm_vm_power){.exponent = (double)c,
                         .at_zero = c > 0   ? 0
                                    : c < 0 ? INFINITY
                                            : 1,
                         .at_inf = c > 0   ? INFINITY
                                   : c < 0 ? 0
                                           : 1,
                         .at_nan = c == 0 ? 1 : NAN,
                         .below_zero = is_whole ? 1 : NAN,
                         .minus = is_odd ? -1 : 1};
}

/* Through logarithm and exponential in double. */
LM_VM_MATH float lm_vm_pow(float x, lm_vm_power c) {
    uint64_t bits = lm_vm_bits64(fabs((double)x));
    /* The biased exponent as a double, without a conversion that AVX2 lacks. */
    double e = lm_vm_double((bits >> 52) | 0x4330000000000000) - (0x1p52 + 1023);
    double m = lm_vm_double((bits & 0xfffffffffffff) | 0x3ff0000000000000);
    int high = m > 1.4142135623730951;
    m = high ? m * 0.5 : m;
    e = high ? e + 1 : e;
    double f = (m - 1) / (m + 1), z = f * f; /* log m = 2 atanh f */
    double q = 1.0 / 15;
    q = q * z + 1.0 / 13;
    q = q * z + 1.0 / 11;
    q = q * z + 1.0 / 9;
    q = q * z + 1.0 / 7;
    q = q * z + 1.0 / 5;
    q = q * z + 1.0 / 3;
    double log2x = e + 2 * (f + f * z * q) * 1.4426950408889634;
    double y = c.exponent * log2x;
    y = y > 200 ? 200 : y;
    y = y < -200 ? -200 : y;
    double t = y + LM_VM_ROUNDER64, n = t - LM_VM_ROUNDER64;
    double r = (y - n) * 0.6931471805599453;
    double p = 1.0 / 362880;
    p = p * r + 1.0 / 40320;
    p = p * r + 1.0 / 5040;
    p = p * r + 1.0 / 720;
    p = p * r + 1.0 / 120;
    p = p * r + 1.0 / 24;
    p = p * r + 1.0 / 6;
    p = p * r + 1.0 / 2;
    p = p * r + 1;
    p = p * r + 1;
    uint64_t k = lm_vm_bits64(t) - lm_vm_bits64(LM_VM_ROUNDER64);
    float result = (float)(p * lm_vm_double((k + 1023) << 52));
    result = x == 0 ? c.at_zero : result;
    result = x < 0 ? result * c.below_zero : result;
    result = fabsf(x) == INFINITY ? c.at_inf : result;
    result = copysignf(1, x) < 0 ? result * c.minus : result;
    return x != x ? c.at_nan : result;
}

/* The larger and the smaller; NaN if either is. */
LM_VM_MATH float lm_vm_max(float x, float y) {
    return ((x > y) | (x != x)) ? x : y;
}

LM_VM_MATH float lm_vm_min(float x, float y) {
    return ((x < y) | (x != x)) ? x : y;
}

LM_VM_MATH float lm_vm_sign(float x) {
    float y = (float)((x > 0) - (x < 0));
    return x != x ? x : y;
}

/* Truncates into [low, high]; NaN becomes 0. */
LM_VM_MATH float lm_vm_truncate(float x, float low, float high) {
    float y = __builtin_truncf(x);
    y = y < low ? low : y;
    y = y > high ? high : y;
    return y == y ? y : 0;
}

#endif
