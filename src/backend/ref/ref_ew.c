/* Elementwise codes and the two generators of elements, iota and philox. */
#include "backend/ref/ref_internal.h"
#include "tensor/philox.h"
#include <math.h>

static double sign(double a) {
    return isnan(a) ? a : (a > 0) - (a < 0);
}

static double larger(double a, double b) {
    return lm_ref_beats(b, a) ? b : a;
}

static double smaller(double a, double b) {
    return -larger(-a, -b);
}

/* Both halves avoid exp of a large positive number. */
static double sigmoid(double a) {
    double e = exp(-fabs(a));
    return (a >= 0 ? 1 : e) / (1 + e);
}

static double softplus(double a) {
    return larger(a, 0) + log1p(exp(-fabs(a)));
}

/* Winitzki's closed approximation ("A handy approximation for the error function and its
 * inverse", 2008), then Halley steps. Above 1/2 the residual is taken from erfc, since
 * 1 - |a| is exact there and erf is not. */
static double erfinv(double a) {
    double x = fabs(a);
    if (!(x < 1)) return x == 1 ? copysign(INFINITY, a) : NAN;
    const double k = 0.147;
    double l = log1p(-x * x), m = 2 / (M_PI * k) + l / 2;
    double y = sqrt(sqrt(m * m - l / k) - m);
    for (int i = 0; i < 4; i++) {
        double residual = x < 0.5 ? erf(y) - x : (1 - x) - erfc(y);
        double newton = residual / (M_2_SQRTPI * exp(-y * y));
        y -= newton / (1 + y * newton);
    }
    return copysign(y, a);
}

/* X(CODE, formula) of the operands a, b, c and the attribute k. */
#define EW_FORMULAS(X)                                                                   \
    X(NEG, -a)                                                                           \
    X(ADD, a + b)                                                                        \
    X(SUB, a - b)                                                                        \
    X(MUL, (a * b))                                                                      \
    X(DIV, a / b)                                                                        \
    X(FMA, (a * b) + c)                                                                  \
    X(ABS, fabs(a))                                                                      \
    X(SIGN, sign(a))                                                                     \
    X(FLOOR, floor(a))                                                                   \
    X(ROUND, nearbyint(a))                                                               \
    X(LT, a < b)                                                                         \
    X(LE, a <= b)                                                                        \
    X(EQ, a == b)                                                                        \
    X(AND, a != 0 && b != 0)                                                             \
    X(OR, a != 0 || b != 0)                                                              \
    X(NOT, a == 0)                                                                       \
    X(EXP, exp(a))                                                                       \
    X(EXPM1, expm1(a))                                                                   \
    X(LOG, log(a))                                                                       \
    X(LOG1P, log1p(a))                                                                   \
    X(SQRT, sqrt(a))                                                                     \
    X(RSQRT, 1 / sqrt(a))                                                                \
    X(POWC, pow(a, k))                                                                   \
    X(SIN, sin(a))                                                                       \
    X(COS, cos(a))                                                                       \
    X(ATAN, atan(a))                                                                     \
    X(TANH, tanh(a))                                                                     \
    X(SIGMOID, sigmoid(a))                                                               \
    X(SOFTPLUS, softplus(a))                                                             \
    X(ERF, erf(a))                                                                       \
    X(ERFINV, erfinv(a))                                                                 \
    X(MAX, larger(a, b))                                                                 \
    X(MIN, smaller(a, b))                                                                \
    X(WHERE, a != 0 ? b : c)                                                             \
    X(LEAKY, a > 0 ? a : k * a)                                                          \
    X(CAST, a)                                                                           \
    X(STOP, a)

typedef double (*ew_function)(double a, double b, double c, double k);
#define X(CODE, formula)                                                                 \
    static double ew_##CODE(double a, double b, double c, double k) {                    \
        return formula;                                                                  \
    }
EW_FORMULAS(X)
#undef X

static const ew_function ew_functions[LM_EW_COUNT] = {
#define X(CODE, formula) [LM_EW_##CODE] = ew_##CODE,
    EW_FORMULAS(X)
#undef X
};

lm_status lm_ref_ew(const lm_node *node, const lm_kernel_args *args) {
    ew_function function = ew_functions[node->attr.ew.code];
    double k = (double)node->attr.ew.value;
    /* Absent operands repeat the first; their codes do not look at them. */
    const double *a = args->in[0];
    const double *b = node->n_src > 1 ? args->in[1] : a;
    const double *c = node->n_src > 2 ? args->in[2] : a;
    double *out = args->out[0];
    int64_t count = lm_shape_count(node->shape);
    for (int64_t i = 0; i < count; i++)
        out[i] = lm_ref_fit(node->dtype, function(a[i], b[i], c[i], k));
    return LM_OK;
}

lm_status lm_ref_iota(const lm_node *node, const lm_kernel_args *args) {
    int axis = node->attr.axis.axis;
    lm_ref_span span = lm_ref_span_of(node->shape, axis, axis);
    double *out = args->out[0];
    for (int64_t o = 0; o < span.outer; o++)
        for (int64_t i = 0; i < span.size; i++)
            for (int64_t e = 0; e < span.inner; e++) *out++ = (double)i;
    return LM_OK;
}

lm_status lm_ref_philox(const lm_node *node, const lm_kernel_args *args) {
    const double *key = args->in[0];
    uint64_t seed = (uint64_t)key[0] | (uint64_t)key[1] << 32;
    uint32_t step = (uint32_t)key[2], first = (uint32_t)key[3];
    int64_t samples = node->shape.dim[0];
    int64_t elements = lm_shape_count(node->shape) / samples;
    double *out = args->out[0];
    for (int64_t s = 0; s < samples; s++)
        for (int64_t e = 0; e < elements; e++)
            *out++ = lm_philox_u24(seed, node->attr.stream, step, first + (uint32_t)s,
                                   (uint32_t)e);
    return LM_OK;
}
