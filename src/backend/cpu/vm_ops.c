/* Operations on tiles; a file of isa_files. The loops are plain C that the compiler
 * vectorises. */
#include "backend/cpu/vm_ops.h"

#include "backend/cpu/simd.h"
#if defined(__SSE2__)
#include <immintrin.h>
#endif

#define EACH_LANE                                                                        \
    for (int g = 0; g < n; g += LM_VM_GROUP)                                             \
    LM_VM_LANES for (int i = g; i < g + LM_VM_GROUP; i++)

#define DEFINE(function, X, Y, Z, expr)                                                  \
    static void function(float *d, const float *const src[3], const float imm[3],        \
                         int n) {                                                        \
        const float *s0 = src[0], *s1 = src[1], *s2 = src[2];                            \
        const float k0 = imm[0], k = imm[1], k2 = imm[2];                                \
        const lm_vm_power power = lm_vm_power_make(k);                                   \
        (void)s0, (void)s1, (void)s2, (void)k, (void)k0, (void)k2, (void)power;          \
        EACH_LANE {                                                                      \
            const float x = X, y = Y, z = Z;                                             \
            (void)x, (void)y, (void)z;                                                   \
            d[i] = expr;                                                                 \
        }                                                                                \
    }

#define U(NAME, expr) DEFINE(lanes_##NAME, s0[i], 0, 0, expr)
#define B(NAME, expr)                                                                    \
    DEFINE(lanes_##NAME, s0[i], s1[i], 0, expr)                                          \
    DEFINE(scalar0_##NAME, k0, s1[i], 0, expr)                                           \
    DEFINE(scalar1_##NAME, s0[i], k, 0, expr)
#define T(NAME, expr)                                                                    \
    DEFINE(lanes_##NAME, s0[i], s1[i], s2[i], expr)                                      \
    DEFINE(scalar1_##NAME, s0[i], k, s2[i], expr)                                        \
    DEFINE(scalar2_##NAME, s0[i], s1[i], k2, expr)                                       \
    DEFINE(scalar12_##NAME, s0[i], k, k2, expr)
#define C(NAME, expr) DEFINE(cast_##NAME, s0[i], 0, 0, expr)
#include "backend/cpu/vm_ops.def"
#undef U
#undef B
#undef T
#undef C

/* Arguments too large for the vector reduction, which are rare, go to libm. */
#define TRIG(NAME, function)                                                             \
    static void exact_##NAME(float *d, const float *const src[3], const float imm[3],    \
                             int n) {                                                    \
        float kept[LM_VM_TILE];                                                          \
        const float *s = src[0];                                                         \
        float largest = 0;                                                               \
        for (int i = 0; i < n; i++)                                                      \
            largest = fabsf(s[i]) > largest ? fabsf(s[i]) : largest;                     \
        bool all_small = largest <= LM_VM_TRIG_MAX;                                      \
        if (!all_small) memcpy(kept, s, (size_t)n * sizeof *s);                          \
        lanes_##NAME(d, src, imm, n);                                                    \
        for (int i = 0; !all_small && i < n; i++)                                        \
            if (fabsf(kept[i]) > LM_VM_TRIG_MAX) d[i] = function(kept[i]);               \
    }
TRIG(SIN, sinf)
TRIG(COS, cosf)

/* ---- loads and stores -------------------------------------------------------- */

static void load_f32(float *d, const void *from, int n) {
    memcpy(d, from, (size_t)n * sizeof *d);
}

static void store_f32(void *to, const float *s, int n) {
    memcpy(to, s, (size_t)n * sizeof *s);
}

#define LOAD(name, type)                                                                 \
    static void load_##name(float *d, const void *from, int n) {                         \
        const type *s = from;                                                            \
        for (int i = 0; i < n; i++) d[i] = (float)s[i];                                  \
    }
LOAD(i32, int32_t)
LOAD(u32, uint32_t)
LOAD(u8, uint8_t)

/* The largest float below 2^31 or 2^32 converts; the bound itself is put in after. */
#define STORE(name, type, low, below, bound, highest)                                    \
    static void store_##name(void *to, const float *s, int n) {                          \
        type *d = to;                                                                    \
        for (int i = 0; i < n; i++) {                                                    \
            float x = lm_vm_truncate(s[i], low, bound);                                  \
            type y = (type)(x > below ? below : x);                                      \
            d[i] = x > below ? highest : y;                                              \
        }                                                                                \
    }
STORE(i32, int32_t, -0x1p31f, 2147483520.0f, 0x1p31f, INT32_MAX)
STORE(u32, uint32_t, 0.0f, 4294967040.0f, 0x1p32f, UINT32_MAX)
STORE(u8, uint8_t, 0.0f, 255.0f, 255.0f, 255)

/* ---- random words (see tensor/philox.h) -------------------------------------- */

/* A word has a 64-bit lane, of which the lower half counts: that is what the instruction
 * for whole products reads, and compilers do not find it. The first half of the counters
 * has the even lanes, so that interleaving leaves them in order. */
enum { PHILOX_ROUNDS = 10, PHILOX_LANES = LM_LANES / 2 };
typedef uint64_t philox_words __attribute__((vector_size(LM_LANES * 4)));
typedef int32_t philox_ints __attribute__((vector_size(LM_LANES * 4)));

#if defined(__AVX512F__)
#define PHILOX_OP(name, x, y) (philox_words) _mm512_##name((__m512i)(x), (__m512i)(y))
#elif defined(__AVX2__)
#define PHILOX_OP(name, x, y) (philox_words) _mm256_##name((__m256i)(x), (__m256i)(y))
#elif defined(__SSE2__)
#define PHILOX_OP(name, x, y) (philox_words) _mm_##name((__m128i)(x), (__m128i)(y))
#endif

#if defined(PHILOX_OP)
#define MULTIPLY_LOW(x, y)    PHILOX_OP(mul_epu32, x, y)
#define INTERLEAVE_EVEN(x, y) PHILOX_OP(unpacklo_epi64, x, y)
#define INTERLEAVE_ODD(x, y)  PHILOX_OP(unpackhi_epi64, x, y)
#else /* two lanes */
#define MULTIPLY_LOW(x, y)    ((x & 0xffffffff) * y)
#define INTERLEAVE_EVEN(x, y) ((philox_words){x[0], y[0]})
#define INTERLEAVE_ODD(x, y)  ((philox_words){x[1], y[1]})
#endif

LM_VM_MATH philox_words lower_product(philox_words x, uint32_t factor) {
    const philox_words factors = (philox_words){0} + factor;
    return MULTIPLY_LOW(x, factors);
}

LM_VM_MATH void store_upper_24(float *d, philox_words pairs) {
    philox_ints bits = (philox_ints)pairs >> 8 & 0xffffff;
    lm_vec_store(d, __builtin_convertvector(bits, lm_vec));
}

/* What all counters of a draw have in common. */
typedef struct philox_draw {
    philox_words places, counter[3], key[PHILOX_ROUNDS][2];
} philox_draw;

/* The golden ratio and the root of three, as Weyl steps. */
static philox_draw prepare_draw(const uint32_t c[3], const uint32_t key[2]) {
    const philox_words zero = {0};
    philox_draw p = {.counter = {zero + c[0], zero + c[1], zero + c[2]}};
    for (int i = 0; i < PHILOX_LANES; i++)
        p.places[i] = (uint64_t)(i / 2 + i % 2 * PHILOX_LANES / 2);
    for (uint32_t round = 0; round < PHILOX_ROUNDS; round++) {
        p.key[round][0] = zero + (key[0] + round * 0x9E3779B9u);
        p.key[round][1] = zero + (key[1] + round * 0xBB67AE85u);
    }
    return p;
}

/* The counters first .. first + PHILOX_LANES - 1. */
static inline void draw_vector(float *d, uint32_t first, const philox_draw *p) {
    philox_words c0 = p->places + first, c1 = p->counter[0], c2 = p->counter[1],
                 c3 = p->counter[2];
    for (int round = 0; round < PHILOX_ROUNDS; round++) {
        philox_words a = lower_product(c0, 0xD2511F53u);
        philox_words b = lower_product(c2, 0xCD9E8D57u);
        c0 = b >> 32 ^ c1 ^ p->key[round][0];
        c2 = a >> 32 ^ c3 ^ p->key[round][1];
        c1 = b;
        c3 = a;
    }
    philox_words even = (c0 & 0xffffffff) | c1 << 32;
    philox_words odd = (c2 & 0xffffffff) | c3 << 32;
    store_upper_24(d, INTERLEAVE_EVEN(even, odd));
    store_upper_24(d + LM_LANES, INTERLEAVE_ODD(even, odd));
}

static void draw(float *d, uint32_t first, int count, const uint32_t c[3],
                 const uint32_t key[2]) {
    const philox_draw p = prepare_draw(c, key);
    int i = 0;
    for (; i + PHILOX_LANES <= count; i += PHILOX_LANES)
        draw_vector(d + 4 * i, first + (uint32_t)i, &p);
    if (i == count) return;
    float last[4 * PHILOX_LANES];
    draw_vector(last, first + (uint32_t)i, &p);
    memcpy(d + 4 * i, last, (size_t)(count - i) * 4 * sizeof *d);
}

/* ---- sums -------------------------------------------------------------------- */

static double sum(const float *s, int n) {
    double total = 0;
    if (n < LM_VM_GROUP) {
        for (int i = 0; i < n; i++) total += (double)s[i];
        return total;
    }
    float lane[LM_VM_GROUP] = {0};
    int i = 0;
    for (; i + LM_VM_GROUP <= n; i += LM_VM_GROUP)
        for (int j = 0; j < LM_VM_GROUP; j++) lane[j] += s[i + j];
    for (int j = 0; i < n; i++, j++) lane[j] += s[i];
    for (int j = 0; j < LM_VM_GROUP; j++) total += (double)lane[j];
    return total;
}

static void add_rows(double *acc, const float *s, int rows, int stride, int width) {
    enum { BLOCK = 32 };
    int j = 0;
    for (; j + BLOCK <= width; j += BLOCK) {
        float column[BLOCK] = {0};
        for (int r = 0; r < rows; r++)
            for (int i = 0; i < BLOCK; i++) column[i] += s[r * stride + j + i];
        for (int i = 0; i < BLOCK; i++) acc[j + i] += (double)column[i];
    }
    for (; j < width; j++) {
        float column = 0;
        for (int r = 0; r < rows; r++) column += s[r * stride + j];
        acc[j] += (double)column;
    }
}

/* ---- the table --------------------------------------------------------------- */

#define U(NAME, expr) [LM_EW_##NAME] = {[0] = lanes_##NAME},
#define B(NAME, expr)                                                                    \
    [LM_EW_##NAME] = {[0] = lanes_##NAME, [1] = scalar0_##NAME, [2] = scalar1_##NAME},
#define T(NAME, expr)                                                                    \
    [LM_EW_##NAME] = {[0] = lanes_##NAME,                                                \
                      [2] = scalar1_##NAME,                                              \
                      [4] = scalar2_##NAME,                                              \
                      [6] = scalar12_##NAME},
#define C(NAME, expr)
#define lanes_SIN exact_SIN
#define lanes_COS exact_COS
const lm_vm_ops LM_ISA_NAME(lm_vm_ops) = {
    .ew =
        {
#include "backend/cpu/vm_ops.def"
        },
#undef U
#undef B
#undef T
#undef C
#define U(NAME, expr)
#define B(NAME, expr)
#define T(NAME, expr)
#define C(NAME, expr) [LM_##NAME] = cast_##NAME,
    .cast =
        {
#include "backend/cpu/vm_ops.def"
        },
    .load = {[LM_F32] = load_f32,
             [LM_I32] = load_i32,
             [LM_U32] = load_u32,
             [LM_U8] = load_u8},
    .store = {[LM_F32] = store_f32,
              [LM_I32] = store_i32,
              [LM_U32] = store_u32,
              [LM_U8] = store_u8},
    .philox = draw,
    .sum = sum,
    .add_rows = add_rows,
};
