/* Element conversion goes in blocks through one wide type of each sort, double or int64,
 * so that eight dtypes need eight loads and eight stores instead of 64 pairs. */
#include "tensor/tensor.h"

#include <math.h>
#include <string.h>

#define BLOCK 256

typedef union wide_block {
    double real[BLOCK];
    int64_t whole[BLOCK];
} wide_block;

static float float_from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t bits_from_float(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static double bf16_to_double(uint16_t bits) {
    return float_from_bits((uint32_t)bits << 16);
}

/* IEEE 754 binary16: 1 sign bit, 5 of exponent (bias 15), 10 of fraction. */
static double f16_to_double(uint16_t bits) {
    int exponent = bits >> 10 & 31, fraction = bits & 1023;
    double size = exponent == 31  ? (fraction ? (double)NAN : (double)INFINITY)
                  : exponent == 0 ? ldexp(fraction, -24)
                                  : ldexp(fraction + 1024, exponent - 25);
    return bits >> 15 ? -size : size;
}

/* The nearest float on the odd side when inexact. Rounding that once more to a format
 * with at least two bits less equals rounding the double directly (Boldo and Melquiond,
 * "Emulation of FMA and correctly rounded sums", IEEE TC 2008). */
static uint32_t float_bits_to_odd(double value) {
    float nearest = (float)value;
    uint32_t bits = bits_from_float(nearest);
    if ((double)nearest == value || isnan(value) || (bits & 1)) return bits;
    return fabs((double)nearest) > fabs(value) ? bits - 1 : bits + 1;
}

static uint16_t bf16_from_double(double value) {
    uint32_t bits = float_bits_to_odd(value);
    if (isnan(value)) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static uint16_t f16_from_double(double value) {
    uint32_t bits = float_bits_to_odd(value);
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    uint32_t size = bits & 0x7fffffff;
    if (isnan(value)) return sign | 0x7e00;
    if (size >= 0x47800000) return sign | 0x7c00; /* 65536 and above */
    if (size < 0x38800000) /* below 2^-14: adding 1/2 aligns to f16's last place */
        return sign | (uint16_t)bits_from_float(float_from_bits(size) + 0.5f);
    size -= (127 - 15) << 23;
    return sign | (uint16_t)((size + 0xfff + (size >> 13 & 1)) >> 13);
}

/* Sources may be unaligned: they can lie in a file's image. */
#define LOAD(type, member, expr)                                                         \
    for (int64_t i = 0; i < count; i++) {                                                \
        type x;                                                                          \
        memcpy(&x, (const char *)from + (size_t)i * sizeof x, sizeof x);                 \
        to->member[i] = expr;                                                            \
    }                                                                                    \
    break

static void load(wide_block *to, const void *from, lm_dtype dtype, int64_t count) {
    switch (dtype) {
    case LM_F32:
        LOAD(float, real, (double)x);
    case LM_F64:
        LOAD(double, real, x);
    case LM_BF16:
        LOAD(uint16_t, real, bf16_to_double(x));
    case LM_F16:
        LOAD(uint16_t, real, f16_to_double(x));
    case LM_I64:
        LOAD(int64_t, whole, x);
    case LM_I32:
        LOAD(int32_t, whole, x);
    case LM_U32:
        LOAD(uint32_t, whole, x);
    case LM_U8:
        LOAD(uint8_t, whole, x);
    case LM_DTYPE_COUNT:
        break;
    }
}

static int64_t clamp(int64_t x, int64_t low, int64_t high) {
    return x < low ? low : x > high ? high : x;
}

#define STORE(type, expr)                                                                \
    for (int64_t i = 0; i < count; i++) {                                                \
        type x = (type)(expr);                                                           \
        memcpy((char *)to + (size_t)i * sizeof x, &x, sizeof x);                         \
    }                                                                                    \
    break

static void store(void *to, lm_dtype dtype, const wide_block *from, int64_t count) {
    const double *real = from->real;
    const int64_t *whole = from->whole;
    switch (dtype) {
    case LM_F32:
        STORE(float, real[i]);
    case LM_F64:
        STORE(double, real[i]);
    case LM_BF16:
        STORE(uint16_t, bf16_from_double(real[i]));
    case LM_F16:
        STORE(uint16_t, f16_from_double(real[i]));
    case LM_I64:
        STORE(int64_t, whole[i]);
    case LM_I32:
        STORE(int32_t, clamp(whole[i], INT32_MIN, INT32_MAX));
    case LM_U32:
        STORE(uint32_t, clamp(whole[i], 0, UINT32_MAX));
    case LM_U8:
        STORE(uint8_t, clamp(whole[i], 0, UINT8_MAX));
    case LM_DTYPE_COUNT:
        break;
    }
}

static int64_t whole_from_real(double x) {
    if (isnan(x)) return 0;
    if (x >= 0x1p63) return INT64_MAX;
    return x < -0x1p63 ? INT64_MIN : (int64_t)x;
}

/* Beyond 53 bits, the bits that a double cannot hold are gathered into its last one, so
 * that the store's rounding to a narrower float is still the only one that counts. */
static double real_from_whole(int64_t x) {
    const int64_t low = (1 << 11) - 1;
    bool fits = x >= -((int64_t)1 << 53) && x <= (int64_t)1 << 53;
    return (double)(fits || !(x & low) ? x : ((x & ~low) | (low + 1)));
}

static void cross(wide_block *block, bool to_real, bool exact, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        if (!to_real)
            block->whole[i] = whole_from_real(block->real[i]);
        else if (exact)
            block->real[i] = (double)block->whole[i];
        else
            block->real[i] = real_from_whole(block->whole[i]);
    }
}

void lm_convert(void *to, lm_dtype to_dtype, const void *from, lm_dtype from_dtype,
                int64_t count) {
    size_t to_size = lm_dtype_size(to_dtype), from_size = lm_dtype_size(from_dtype);
    if (count <= 0) return;
    if (to_dtype == from_dtype) {
        memcpy(to, from, (size_t)count * to_size);
        return;
    }
    bool to_real = lm_dtype_is_float(to_dtype), from_real = lm_dtype_is_float(from_dtype);
    for (int64_t done = 0; done < count; done += BLOCK) {
        int64_t n = count - done < BLOCK ? count - done : BLOCK;
        wide_block wide;
        load(&wide, (const char *)from + (size_t)done * from_size, from_dtype, n);
        if (to_real != from_real) cross(&wide, to_real, to_dtype == LM_F64, n);
        store((char *)to + (size_t)done * to_size, to_dtype, &wide, n);
    }
}
