/* Every elementwise code against the C library or its definition. */
#include "rig.h"
#include "tensor/philox.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Each code again, from other formulas than the backend's where there is a choice. */
static double of_mask(bool mask) {
    return mask ? 1 : 0;
}

#define CODES(X)                                                                         \
    X(NEG, 0 - v[0])                                                                     \
    X(ADD, v[1] + v[0])                                                                  \
    X(SUB, v[0] + -v[1])                                                                 \
    X(MUL, v[1] * v[0])                                                                  \
    X(DIV, v[0] * (1 / v[1]))                                                            \
    X(FMA, fma(v[0], v[1], v[2]))                                                        \
    X(ABS, v[0] < 0 ? -v[0] : v[0])                                                      \
    X(SIGN, v[0]<0 ? -1 : v[0]> 0 ? 1 : 0)                                               \
    X(FLOOR, trunc(v[0]) - (trunc(v[0]) > v[0]))                                         \
    X(ROUND, v[0] - remainder(v[0], 1))                                                  \
    X(LT, of_mask(v[1] > v[0]))                                                          \
    X(LE, of_mask(v[1] >= v[0]))                                                         \
    X(EQ, of_mask(!(v[0] < v[1]) && !(v[0] > v[1])))                                     \
    X(AND, of_mask(v[0] && v[1]))                                                        \
    X(OR, of_mask(v[0] || v[1]))                                                         \
    X(NOT, of_mask(!v[0]))                                                               \
    X(EXP, (double)expl(v[0]))                                                           \
    X(EXPM1, (double)expm1l(v[0]))                                                       \
    X(LOG, (double)logl(v[0]))                                                           \
    X(LOG1P, (double)log1pl(v[0]))                                                       \
    X(SQRT, (double)sqrtl(v[0]))                                                         \
    X(RSQRT, (double)(1 / sqrtl(v[0])))                                                  \
    X(POWC, v[0] * v[0] * v[0])                                                          \
    X(SIN, (double)sinl(v[0]))                                                           \
    X(COS, (double)cosl(v[0]))                                                           \
    X(ATAN, (double)atanl(v[0]))                                                         \
    X(TANH, (double)tanhl(v[0]))                                                         \
    X(SIGMOID, (double)(0.5L + 0.5L * tanhl(0.5L * v[0])))                               \
    X(SOFTPLUS, (double)log1pl(expl(v[0])))                                              \
    X(ERF, (double)(1 - erfcl(v[0])))                                                    \
    X(MAX, v[0] < v[1] ? v[1] : v[0])                                                    \
    X(MIN, v[0] < v[1] ? v[0] : v[1])                                                    \
    X(WHERE, v[0] ? v[1] : v[2])                                                         \
    X(LEAKY, v[0] > 0 ? v[0] : 3 * v[0])                                                 \
    X(CAST, v[0])                                                                        \
    X(STOP, v[0])

#define X(CODE, formula)                                                                 \
    static double want_##CODE(const double *v) {                                         \
        return formula;                                                                  \
    }
CODES(X)
#undef X

typedef double (*formula)(const double *v);
static const formula formulas[LM_EW_COUNT] = {
#define X(CODE, unused) [LM_EW_##CODE] = want_##CODE,
    CODES(X)
#undef X
};

enum { COUNT = 211 };

static bool takes_masks(lm_ew code, int operand) {
    return code == LM_EW_AND || code == LM_EW_OR || code == LM_EW_NOT ||
           (code == LM_EW_WHERE && operand == 0);
}

static bool wants_positive(lm_ew code) {
    return code == LM_EW_LOG || code == LM_EW_LOG1P || code == LM_EW_SQRT ||
           code == LM_EW_RSQRT;
}

/* Random operands; some equal, some zero, so that comparisons meet every case. */
static double *operand(rig *r, lm_ew code, int index, const double *first) {
    double *v = rig_random(r, COUNT);
    for (int i = 0; i < COUNT; i++) {
        v[i] *= 4;
        if (i % 7 == 0 && code != LM_EW_DIV) v[i] = index ? first[i] : 0;
        if (i % 5 == 0 && code != LM_EW_DIV) v[i] = nearbyint(2 * v[i]) / 2;
        if (takes_masks(code, index)) v[i] = v[i] > 0 ? 1 + i % 2 : 0;
        if (wants_positive(code)) v[i] = fabs(v[i]) + 0.01;
    }
    return v;
}

static lm_node *build_code(rig *r, lm_ew code) {
    lm_node *src[3];
    lm_attr attr = {.ew = {code, 0}};
    if (code == LM_EW_POWC || code == LM_EW_LEAKY) attr.ew.value = 3;
    int arity = lm_ew_get(code)->arity;
    for (int i = 0; i < arity; i++)
        src[i] = rig_input_of(r, takes_masks(code, i) ? LM_U8 : LM_F32, LM_SHAPE(COUNT));
    lm_node *node = lm_build(r->graph, LM_KIND_EW, src, arity, &attr, LM_F32, LM_SCALAR);
    CHECK_OK(lm_graph_status(r->graph));
    assert_int_equal(node->kind, LM_KIND_EW);
    assert_int_equal(node->attr.ew.code, code);
    return node;
}

static void test_codes(void **state) {
    for (int code = 0; code < LM_EW_COUNT; code++) {
        if (code == LM_EW_ERFINV) continue; /* test_erfinv */
        rig_teardown(state);
        rig_setup(state);
        rig *r = *state;
        if (!formulas[code]) fail_msg("%s: no formula here", lm_ew_get(code)->text);
        lm_node *node = build_code(r, code);
        const double *in[3] = {NULL, NULL, NULL};
        for (int i = 0; i < node->n_src; i++) in[i] = operand(r, code, i, in[0]);
        double *got = rig_run(r, node, in);
        for (int e = 0; e < COUNT; e++) {
            double v[3] = {0, 0, 0};
            for (int i = 0; i < node->n_src; i++) v[i] = in[i][e];
            double want = formulas[code](v);
            if (!(fabs(got[e] - want) <= 4e-16 * fmax(1, fabs(want))))
                fail_msg("%s(%g, %g, %g): got %.17g, wanted %.17g", lm_ew_get(code)->text,
                         v[0], v[1], v[2], got[e], want);
        }
    }
}

/* One code at chosen points. */
static double at(rig *r, lm_ew code, double a, double b) {
    lm_node *node = build_code(r, code);
    double *in[3] = {rig_zeros(r, COUNT), rig_zeros(r, COUNT), rig_zeros(r, COUNT)};
    in[0][0] = a;
    in[1][0] = b;
    return rig_run(r, node, (const double *const *)in)[0];
}

static void test_edges(void **state) {
    static const struct {
        lm_ew code;
        double a, b, want;
    } cases[] = {
        {LM_EW_ROUND, 0.5, 0, 0},        {LM_EW_ROUND, 1.5, 0, 2},
        {LM_EW_ROUND, -2.5, 0, -2},      {LM_EW_SIGN, NAN, 0, NAN},
        {LM_EW_SOFTPLUS, 1000, 0, 1000}, {LM_EW_SOFTPLUS, -50, 0, 1.9287498479639178e-22},
        {LM_EW_SOFTPLUS, NAN, 0, NAN},   {LM_EW_SIGMOID, 1000, 0, 1},
        {LM_EW_SIGMOID, -1000, 0, 0},    {LM_EW_SIGMOID, -50, 0, 1.9287498479639178e-22},
        {LM_EW_EXPM1, 1e-20, 0, 1e-20},  {LM_EW_LOG1P, 1e-20, 0, 1e-20},
        {LM_EW_MAX, NAN, 1, NAN},        {LM_EW_MAX, 1, NAN, NAN},
        {LM_EW_MIN, NAN, 1, NAN},        {LM_EW_MIN, 1, NAN, NAN},
        {LM_EW_LT, NAN, NAN, 0},         {LM_EW_EQ, NAN, NAN, 0},
        {LM_EW_RSQRT, 0, 0, INFINITY},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rig_teardown(state);
        rig_setup(state);
        double got = at(*state, cases[i].code, cases[i].a, cases[i].b);
        double want = cases[i].want;
        bool same = isnan(want)      ? isnan(got)
                    : isinf(want)    ? got == want
                    : fabs(want) > 0 ? fabs(got / want - 1) < 1e-14
                                     : got == 0;
        if (!same)
            fail_msg("%s(%g, %g): got %.17g, wanted %.17g",
                     lm_ew_get(cases[i].code)->text, cases[i].a, cases[i].b, got, want);
    }
}

/* x = erf(y) must come back, where y near 0 and in the far tail are the hard cases. */
static void test_erfinv(void **state) {
    rig *r = *state;
    lm_node *node = build_code(r, LM_EW_ERFINV);
    double *x = rig_zeros(r, COUNT), *want = rig_zeros(r, COUNT);
    for (int i = 0; i < COUNT; i++) {
        want[i] = (i - COUNT / 2) * 0.05; /* to about 5.2 */
        x[i] = erf(want[i]);
    }
    double *got = RIG_RUN(r, node, x);
    for (int i = 0; i < COUNT; i++) {
        if (fabs(x[i]) == 1) {
            assert_true(got[i] == copysign(INFINITY, x[i]));
            continue;
        }
        /* One unit in the last place of x, brought through the slope of the inverse. */
        double slack = 0x1p-52 * fabs(x[i]) * exp(want[i] * want[i]) + 4e-16;
        if (!(fabs(got[i] - want[i]) <= slack))
            fail_msg("erfinv(%.17g): got %.17g, wanted %.17g", x[i], got[i], want[i]);
    }
    for (int i = 0; i < COUNT; i++) x[i] = 1.5;
    x[0] = 1e-300;
    x[1] = -0.5;
    got = RIG_RUN(r, node, x);
    assert_true(fabs(got[0] / (1e-300 * sqrt(M_PI) / 2) - 1) < 1e-15);
    assert_true(fabs(got[1] + 0.4769362762044699) < 1e-15); /* Abramowitz and Stegun */
    assert_true(isnan(got[2]));
}

static void test_cast(void **state) {
    static const double from[] = {1.9, -1.9, 255.5, 300, -7, 3e9, -3e9, 5e9, NAN, 0};
    static const struct {
        lm_dtype dtype;
        double want[10];
    } cases[] = {
        {LM_U8, {1, 0, 255, 255, 0, 255, 0, 255, 0, 0}},
        {LM_I32, {1, -1, 255, 300, -7, 2147483647, -2147483648.0, 2147483647, 0, 0}},
        {LM_U32, {1, 0, 255, 300, 0, 3e9, 0, 4294967295.0, 0, 0}},
        {LM_F32, {1.9, -1.9, 255.5, 300, -7, 3e9, -3e9, 5e9, NAN, 0}},
    };
    rig *r = *state;
    lm_node *a = rig_input(r, LM_SHAPE(2, 5));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lm_attr attr = {.ew = {LM_EW_CAST, 0}};
        lm_node *node =
            lm_build(r->graph, LM_KIND_EW, &a, 1, &attr, cases[i].dtype, LM_SCALAR);
        rig_compare(RIG_RUN(r, node, from), cases[i].want, 10, 0);
    }
}

static void test_iota(void **state) {
    rig *r = *state;
    lm_node *node = lm_iota(r->graph, LM_I32, LM_SHAPE(2, 3, 2), 1);
    const double want[] = {0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 2, 2};
    rig_compare(rig_run(r, node, NULL), want, 12, 0);
}

static void test_philox(void **state) {
    rig *r = *state;
    const double key[] = {0xdeadbeef, 0x12345678, 77, 5};
    lm_node *input = rig_input_of(r, LM_U32, LM_SHAPE(4));
    lm_node *node = lm_philox(r->graph, input, 9, LM_SHAPE(3, 2, 5));
    double *got = RIG_RUN(r, node, key);
    for (uint32_t s = 0; s < 3; s++)
        for (uint32_t e = 0; e < 10; e++)
            assert_true(got[s * 10 + e] ==
                        lm_philox_u24(0x12345678deadbeefu, 9, 77, 5 + s, e));
    /* A batch that starts two samples later continues the first. */
    const double later[] = {0xdeadbeef, 0x12345678, 77, 7};
    rig_compare(RIG_RUN(r, node, later), got + 20, 10, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        RIG_TEST(test_codes), RIG_TEST(test_edges), RIG_TEST(test_erfinv),
        RIG_TEST(test_cast),  RIG_TEST(test_iota),  RIG_TEST(test_philox),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
