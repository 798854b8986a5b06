/* Every operation on tiles, at every instruction set that the machine has, against plain
 * C and libm in double; and the errors of the elementary functions in units of the last
 * place. */
#include "testing.h"

#include "backend/cpu/vm_ops.h"
#include "tensor/philox.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    lm_isa needs;
    const lm_vm_ops *ops;
} levels[] = {
    {"base", LM_ISA_BASE, &lm_vm_ops_base},
#if defined(__x86_64__)
    {"avx2", LM_ISA_AVX2, &lm_vm_ops_avx2},
    {"avx512", LM_ISA_AVX512, &lm_vm_ops_avx512},
#endif
};
enum { LEVELS = sizeof levels / sizeof *levels };

#define EACH_LEVEL(l)                                                                    \
    for (int l = 0; l < LEVELS; l++)                                                     \
        if (levels[l].needs <= lm_cpu_isa())

/* ---- elementary functions ---------------------------------------------------- */

static double f_rsqrt(double x) {
    return 1 / sqrt(x);
}
static double f_sigmoid(double x) {
    return 1 / (1 + exp(-x));
}
static double f_softplus(double x) {
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}
static double f_sign(double x) {
    return isnan(x) ? x : (x > 0) - (x < 0);
}
static double f_neg(double x) {
    return -x;
}
static double f_not(double x) {
    return x == 0;
}
static double f_same(double x) {
    return x;
}
static double f_leaky(double x) {
    return x > 0 ? x : (double)0.2f * x;
}
static double f_pow_25(double x) {
    return pow(x, 2.5);
}
static double f_pow_3(double x) {
    return pow(x, 3);
}
static double f_pow_m2(double x) {
    return pow(x, -2);
}
static double f_pow_0(double x) {
    return pow(x, 0);
}

static double f_erfinv(double a) {
    double x = fabs(a);
    if (!(x < 1)) return x == 1 ? copysign(INFINITY, a) : NAN;
    if (x < 1e-10) return a * 0.8862269254527580; /* sqrt(pi) / 2 */
    double low = 0, high = 6; /* bisection on erfc, exact where 1 - x is */
    for (int i = 0; i < 80; i++) {
        double mid = (low + high) / 2;
        if (x < 0.5 ? erf(mid) < x : erfc(mid) > 1 - x)
            low = mid;
        else
            high = mid;
    }
    return copysign(high, a);
}

static const struct {
    lm_ew code;
    float k;
    double (*truth)(double);
    double low, high; /* where accuracy is measured */
    double ulp;       /* the largest error that is accepted there */
} unary[] = {
    {LM_EW_EXP, 0, exp, -87.3, 88.7, 2},
    {LM_EW_EXPM1, 0, expm1, -20, 88.7, 2.5},
    {LM_EW_LOG, 0, log, 1e-37, 1e38, 2},
    {LM_EW_LOG, 0, log, 0.5, 2, 2},
    {LM_EW_LOG1P, 0, log1p, -0.999, 10, 4},
    {LM_EW_LOG1P, 0, log1p, -1e-3, 1e-3, 2},
    {LM_EW_SQRT, 0, sqrt, 0, 1e30, 0.51},
    {LM_EW_RSQRT, 0, f_rsqrt, 1e-30, 1e30, 1.6},
    {LM_EW_POWC, 2.5f, f_pow_25, 1e-10, 1e10, 0.6},
    {LM_EW_POWC, 3, f_pow_3, -1e10, 1e10, 0.6},
    {LM_EW_POWC, -2, f_pow_m2, -1e10, 1e10, 0.6},
    {LM_EW_POWC, 0, f_pow_0, -1e10, 1e10, 0},
    {LM_EW_SIN, 0, sin, -10, 10, 2},
    {LM_EW_SIN, 0, sin, -1e6, 1e6, 2},
    {LM_EW_SIN, 0, sin, -1e12, 1e12, 2},
    {LM_EW_COS, 0, cos, -10, 10, 2},
    {LM_EW_COS, 0, cos, -1e6, 1e6, 2},
    {LM_EW_ATAN, 0, atan, -1.5, 1.5, 2.5},
    {LM_EW_ATAN, 0, atan, -1e6, 1e6, 2.5},
    {LM_EW_TANH, 0, tanh, -1, 1, 2.5},
    {LM_EW_TANH, 0, tanh, -20, 20, 2.5},
    {LM_EW_SIGMOID, 0, f_sigmoid, -80, 30, 3.5},
    {LM_EW_SOFTPLUS, 0, f_softplus, -80, 100, 4},
    {LM_EW_ERF, 0, erf, -1, 1, 2},
    {LM_EW_ERF, 0, erf, -5, 5, 2},
    {LM_EW_ERFINV, 0, f_erfinv, -0.99, 0.99, 6},
    {LM_EW_ERFINV, 0, f_erfinv, -0.9999999, 0.9999999, 6},
    {LM_EW_ABS, 0, fabs, -10, 10, 0},
    {LM_EW_NEG, 0, f_neg, -10, 10, 0},
    {LM_EW_SIGN, 0, f_sign, -10, 10, 0},
    {LM_EW_FLOOR, 0, floor, -10, 10, 0},
    {LM_EW_ROUND, 0, nearbyint, -10, 10, 0},
    {LM_EW_NOT, 0, f_not, -10, 10, 0},
    {LM_EW_LEAKY, 0.2f, f_leaky, -10, 10, 0.51},
    {LM_EW_CAST, 0, f_same, -10, 10, 0},
    {LM_EW_STOP, 0, f_same, -10, 10, 0},
};
enum { UNARY = sizeof unary / sizeof *unary };

/* Error of `got` in units of the last place of the f32 nearest to the truth. Subnormal
 * results may be flushed to zero. */
static double ulps(float got, double truth) {
    if (isnan(truth) || isnan(got)) return isnan(truth) && isnan(got) ? 0 : INFINITY;
    if ((double)got == truth || (float)truth == got) {
        if (isinf(got) || truth == 0) return 0;
    } else if (isinf(got) || isinf((float)truth)) {
        return INFINITY;
    }
    if (fabs(truth) < 0x1p-126 && fabsf(got) <= 0x1p-126f) return 0;
    return fabs((double)got - truth) / ldexp(1, ilogb(truth) - 23);
}

static float at_fraction(int i, double fraction) {
    double low = unary[i].low, high = unary[i].high;
    bool wide = high > 1e3 && (low >= 0 || low == -high);
    if (!wide) return (float)(low + (high - low) * fraction);
    /* Logarithmic, over all magnitudes. */
    double small = low > 0 ? low : 1e-6;
    double side = low < 0 && fraction < 0.5 ? -1 : 1;
    double f = low < 0 ? fabs(2 * fraction - 1) : fraction;
    return (float)(side * small * pow(high / small, f));
}

static void functions_are_accurate(void **state) {
    enum { TILES = 200 };
    float x[LM_VM_TILE], y[LM_VM_TILE];
    const float *src[3] = {x, x, x};
    for (int i = 0; i < UNARY; i++) {
        double worst[LEVELS] = {0}, at[LEVELS] = {0};
        EACH_LEVEL(l) {
            for (int tile = 0; tile < TILES; tile++) {
                for (int k = 0; k < LM_VM_TILE; k++)
                    x[k] = at_fraction(i, (tile * LM_VM_TILE + k + 0.5) /
                                              (TILES * LM_VM_TILE));
                const float imm[3] = {0, unary[i].k, 0};
                levels[l].ops->ew[unary[i].code][0](y, src, imm, LM_VM_TILE);
                for (int k = 0; k < LM_VM_TILE; k++) {
                    double error = ulps(y[k], unary[i].truth((double)x[k]));
                    if (error > worst[l]) worst[l] = error, at[l] = (double)x[k];
                }
            }
            if (!(worst[l] <= unary[i].ulp))
                fail_msg("%s %s: %.3f ulp at %.9g", levels[l].name,
                         lm_ew_get(unary[i].code)->text, worst[l], at[l]);
        }
        if (getenv("LIMN_VERBOSE"))
            fprintf(stderr, "%-9s [%g, %g]  %.2f %.2f %.2f ulp\n",
                    lm_ew_get(unary[i].code)->text, unary[i].low, unary[i].high, worst[0],
                    worst[LEVELS > 1], worst[LEVELS - 1]);
    }
}

static const float special[] = {
    0.0f,           -0.0f,    1.0f,      -1.0f,  0.5f,          -0.5f,
    2.0f,           INFINITY, -INFINITY, NAN,    3.4028235e38f, -3.4028235e38f,
    1.1754944e-38f, 88.0f,    89.0f,     -88.0f, -104.0f,       -200.0f,
    200.0f,         1e-20f,   -1e-20f,   1e30f,  -1e30f,        16777216.0f,
    1.5f,           -1.5f};
enum { SPECIAL = sizeof special / sizeof *special };

static void special_values_are_right(void **state) {
    float x[LM_VM_GROUP], y[LM_VM_GROUP];
    const float *src[3] = {x, x, x};
    EACH_LEVEL(l) for (int i = 0; i < UNARY; i++) {
        for (int k = 0; k < LM_VM_GROUP; k++) x[k] = special[k % SPECIAL];
        const float imm[3] = {0, unary[i].k, 0};
        levels[l].ops->ew[unary[i].code][0](y, src, imm, LM_VM_GROUP);
        for (int k = 0; k < LM_VM_GROUP; k++) {
            double truth = unary[i].truth((double)x[k]);
            if (ulps(y[k], truth) > (unary[i].ulp > 2 ? unary[i].ulp : 2))
                fail_msg("%s %s(%g) = %g, truth %g", levels[l].name,
                         lm_ew_get(unary[i].code)->text, (double)x[k], (double)y[k],
                         truth);
        }
    }
}

/* ---- two and three operands -------------------------------------------------- */

static double nan_max(double x, double y) {
    return isnan(x) || x > y ? x : y;
}
static double nan_min(double x, double y) {
    return isnan(x) || x < y ? x : y;
}

static double exact(lm_ew code, double x, double y, double z) {
    switch (code) {
    case LM_EW_ADD:
        return x + y;
    case LM_EW_SUB:
        return x - y;
    case LM_EW_MUL:
        return x * y;
    case LM_EW_DIV:
        return x / y;
    case LM_EW_FMA:
        return x * y + z;
    case LM_EW_LT:
        return x < y;
    case LM_EW_LE:
        return x <= y;
    case LM_EW_EQ:
        return x == y;
    case LM_EW_AND:
        return x != 0 && y != 0;
    case LM_EW_OR:
        return x != 0 || y != 0;
    case LM_EW_MAX:
        return nan_max(x, y);
    case LM_EW_MIN:
        return nan_min(x, y);
    default:
        return x != 0 ? y : z; /* WHERE */
    }
}

/* Every form of every operation: lanes, and constants in each place. */
static void forms_agree(void **state) {
    float s[3][LM_VM_TILE], d[LM_VM_TILE], imm[3];
    uint32_t seed = 1;
    EACH_LEVEL(l) for (int code = 0; code < LM_EW_COUNT; code++) {
        int arity = lm_ew_get((lm_ew)code)->arity;
        assert_non_null(levels[l].ops->ew[code][0]);
        for (int form = 0; arity > 1 && form < 8; form++) {
            lm_vm_op op = levels[l].ops->ew[code][form];
            if (!op) continue;
            for (int i = 0; i < 3; i++)
                for (int k = 0; k < LM_VM_TILE; k++)
                    s[i][k] = special[(seed = seed * 1664525 + 1013904223) >> 16 & 15];
            for (int i = 0; i < 3; i++) imm[i] = special[(form * 5 + code + i) % 7];
            const float *src[3] = {s[0], s[1], s[2]};
            op(d, src, imm, LM_VM_TILE);
            for (int k = 0; k < LM_VM_TILE; k++) {
                double v[3];
                for (int i = 0; i < 3; i++)
                    v[i] = (double)(form >> i & 1 ? imm[i] : s[i][k]);
                double truth = exact((lm_ew)code, v[0], v[1], v[2]);
                if (ulps(d[k], truth) > 1 && !(code == LM_EW_FMA && fabs(truth) > 3e38))
                    fail_msg("%s %s form %d (%g, %g, %g) = %g, truth %g", levels[l].name,
                             lm_ew_get((lm_ew)code)->text, form, v[0], v[1], v[2],
                             (double)d[k], truth);
            }
        }
    }
}

/* ---- loads, stores, casts ---------------------------------------------------- */

static double saturate(lm_dtype dtype, double x) {
    if (isnan(x)) return 0;
    double low = dtype == LM_I32 ? -0x1p31 : 0;
    double high = dtype == LM_U8 ? 255 : dtype == LM_I32 ? 0x1p31 - 1 : 0x1p32 - 1;
    return fmin(fmax(trunc(x), low), high);
}

static double element(lm_dtype dtype, const void *data, int i) {
    return dtype == LM_F32   ? (double)((const float *)data)[i]
           : dtype == LM_I32 ? (double)((const int32_t *)data)[i]
           : dtype == LM_U32 ? (double)((const uint32_t *)data)[i]
                             : (double)((const uint8_t *)data)[i];
}

static void stores_saturate_and_loads_convert(void **state) {
    static const lm_dtype types[] = {LM_F32, LM_I32, LM_U32, LM_U8};
    float from[3 * LM_VM_GROUP + 5], back[3 * LM_VM_GROUP + 5];
    _Alignas(64) uint8_t to[sizeof from + 8];
    EACH_LEVEL(l)
    for (int t = 0; t < 4; t++)
        for (int n = 0; n < 3 * LM_VM_GROUP; n += 7) {
            size_t size = lm_dtype_size(types[t]);
            uint8_t *start = to + size; /* not a vector's alignment */
            for (int i = 0; i < n; i++)
                from[i] = i % 3 ? special[i % SPECIAL] : 3.7f * (float)(i * i) - 40;
            memset(to, 0x5a, sizeof to);
            levels[l].ops->store[types[t]](start, from, n);
            assert_int_equal(start[(size_t)n * size], 0x5a);
            for (int i = 0; i < n && types[t] != LM_F32; i++)
                assert_true(element(types[t], start, i) ==
                            saturate(types[t], (double)from[i]));
            back[n] = 77;
            levels[l].ops->load[types[t]](back, start, n);
            assert_true(back[n] == 77);
            for (int i = 0; i < n; i++)
                assert_true(back[i] == (float)element(types[t], start, i) ||
                            isnan(back[i]));
        }
}

static void casts_truncate(void **state) {
    static const lm_dtype types[] = {LM_I32, LM_U32, LM_U8};
    float x[LM_VM_GROUP], y[LM_VM_GROUP];
    const float *src[3] = {x, x, x}, imm[3] = {0};
    for (int k = 0; k < LM_VM_GROUP; k++) x[k] = special[k % SPECIAL];
    EACH_LEVEL(l) for (int t = 0; t < 3; t++) {
        levels[l].ops->cast[types[t]](y, src, imm, LM_VM_GROUP);
        for (int k = 0; k < LM_VM_GROUP; k++)
            assert_true(y[k] == (float)saturate(types[t], (double)x[k]));
    }
}

/* ---- random words, sums ------------------------------------------------------ */

static void philox_has_the_same_bits(void **state) {
    float d[4 * 300 + 1];
    const uint32_t key[2] = {0x12345678, 0x9abcdef0}, counter[3] = {77, 5, 4000000000u};
    uint64_t seed = (uint64_t)key[1] << 32 | key[0];
    EACH_LEVEL(l) for (int count = 1; count < 300; count += 23) {
        d[4 * count] = 77;
        levels[l].ops->philox(d, 9, count, counter, key);
        assert_true(d[4 * count] == 77);
        for (int i = 0; i < 4 * count; i++)
            assert_int_equal((uint32_t)d[i], lm_philox_u24(seed, counter[2], counter[1],
                                                           counter[0], 36 + (uint32_t)i));
    }
}

static void sums_are_exact_enough(void **state) {
    float s[LM_VM_TILE];
    uint32_t seed = 5;
    for (int i = 0; i < LM_VM_TILE; i++)
        s[i] = (float)((seed = seed * 1664525 + 1013904223) >> 8) * 0x1p-23f - 1;
    EACH_LEVEL(l) for (int n = 0; n <= LM_VM_TILE; n += 31) {
        double truth = 0;
        for (int i = 0; i < n; i++) truth += (double)s[i];
        assert_true(fabs(levels[l].ops->sum(s, n) - truth) < 1e-6 * (sqrt(n) + 1));
    }
    EACH_LEVEL(l) for (int width = 1; width < 200; width += 13) {
        int rows = LM_VM_TILE / 200;
        double acc[201], truth[201];
        for (int i = 0; i < 201; i++) acc[i] = truth[i] = i;
        for (int r = 0; r < rows; r++)
            for (int i = 0; i < width; i++) truth[i] += (double)s[r * 200 + i];
        levels[l].ops->add_rows(acc, s, rows, 200, width);
        for (int i = 0; i < 201; i++) assert_true(fabs(acc[i] - truth[i]) < 1e-6);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_are_accurate),
        cmocka_unit_test(special_values_are_right),
        cmocka_unit_test(forms_agree),
        cmocka_unit_test(stores_saturate_and_loads_convert),
        cmocka_unit_test(casts_truncate),
        cmocka_unit_test(philox_has_the_same_bits),
        cmocka_unit_test(sums_are_exact_enough),
    };
    return cmocka_run_group_tests_name("vm_ops", tests, NULL, NULL);
}
