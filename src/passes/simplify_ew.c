/* Rules of elementwise nodes. Constants are folded in double; they become f32 when a
 * kernel reads them. */
#include "passes/rewrite.h"
#include "passes/simplify.h"
#include "tensor/tensor.h"
#include <float.h>
#include <math.h>

/* ---- folding ----------------------------------------------------------------- */

static double sign(double a) {
    return (a > 0) - (a < 0);
}
static double rsqrt(double a) {
    return 1 / sqrt(a);
}
static double sigmoid(double a) {
    return 1 / (1 + exp(-a));
}
static double softplus(double a) {
    return fmax(a, 0) + log1p(exp(-fabs(a)));
}
static double negate(double a) {
    return -a;
}
static double inverse(double a) {
    return a == 0;
}
static double add(double a, double b) {
    return a + b;
}
static double sub(double a, double b) {
    return a - b;
}
static double mul(double a, double b) {
    return a * b;
}
static double divide(double a, double b) {
    return a / b;
}
static double lt(double a, double b) {
    return a < b;
}
static double le(double a, double b) {
    return a <= b;
}
static double eq(double a, double b) {
    return a == b;
}
static double both(double a, double b) {
    return a != 0 && b != 0;
}
static double either(double a, double b) {
    return a != 0 || b != 0;
}
static double leaky(double a, double slope) {
    return a > 0 ? a : slope * a;
}
static double same(double a) {
    return a;
}

/* Those with attr.ew.value take it as the second operand. */
static const struct {
    double (*one)(double);
    double (*two)(double, double);
} folds[LM_EW_COUNT] = {
    [LM_EW_NEG] = {.one = negate},      [LM_EW_ABS] = {.one = fabs},
    [LM_EW_SIGN] = {.one = sign},       [LM_EW_FLOOR] = {.one = floor},
    [LM_EW_ROUND] = {.one = rint},      [LM_EW_NOT] = {.one = inverse},
    [LM_EW_EXP] = {.one = exp},         [LM_EW_EXPM1] = {.one = expm1},
    [LM_EW_LOG] = {.one = log},         [LM_EW_LOG1P] = {.one = log1p},
    [LM_EW_SQRT] = {.one = sqrt},       [LM_EW_RSQRT] = {.one = rsqrt},
    [LM_EW_SIN] = {.one = sin},         [LM_EW_COS] = {.one = cos},
    [LM_EW_ATAN] = {.one = atan},       [LM_EW_TANH] = {.one = tanh},
    [LM_EW_SIGMOID] = {.one = sigmoid}, [LM_EW_SOFTPLUS] = {.one = softplus},
    [LM_EW_ERF] = {.one = erf},         [LM_EW_CAST] = {.one = same},
    [LM_EW_ADD] = {.two = add},         [LM_EW_SUB] = {.two = sub},
    [LM_EW_MUL] = {.two = mul},         [LM_EW_DIV] = {.two = divide},
    [LM_EW_LT] = {.two = lt},           [LM_EW_LE] = {.two = le},
    [LM_EW_EQ] = {.two = eq},           [LM_EW_AND] = {.two = both},
    [LM_EW_OR] = {.two = either},       [LM_EW_MAX] = {.two = fmax},
    [LM_EW_MIN] = {.two = fmin},        [LM_EW_POWC] = {.two = pow},
    [LM_EW_LEAKY] = {.two = leaky},
};

/* Integers wrap, saturate and truncate in their own ways: only casts know them. */
static lm_node *fold(lm_graph *g, lm_node *node) {
    lm_ew code = (lm_ew)node->attr.ew.code;
    double operand[2] = {0, node->attr.ew.value};
    if (node->n_src > 2) return NULL;
    for (int s = 0; s < node->n_src; s++) {
        if (!lm_is_uniform(node->src[s])) return NULL;
        operand[s] = node->src[s]->attr.constant.value;
    }
    bool cast = code == LM_EW_CAST, mask = lm_ew_get(code)->mask;
    if (!cast && !mask && !lm_dtype_is_float(node->dtype)) return NULL;

    double value;
    if (folds[code].one)
        value = folds[code].one(operand[0]);
    else if (folds[code].two)
        value = folds[code].two(operand[0], operand[1]);
    else
        return NULL;
    if (cast && !lm_dtype_is_float(node->dtype)) {
        uint64_t bits = 0;
        lm_convert(&bits, node->dtype, &value, LM_F64, 1);
        lm_convert(&value, LM_F64, &bits, node->dtype, 1);
    }
    return isfinite((float)value) ? lm_const_full(g, node->dtype, node->shape, value)
                                  : NULL;
}

/* ---- one operand is a number ------------------------------------------------- */

static bool commutes(const lm_node *node) {
    return lm_is_ew(node, LM_EW_ADD) || lm_is_ew(node, LM_EW_MUL);
}

static lm_node *constant_to_the_right(lm_graph *g, lm_node *node) {
    if (!commutes(node) || !lm_is_uniform(node->src[0]) || lm_is_uniform(node->src[1]))
        return NULL;
    return lm_ew2(g, (lm_ew)node->attr.ew.code, node->src[1], node->src[0]);
}

/* Operand `which` is `value`: the result is the other one, or its negative. */
static const struct {
    lm_ew code;
    int which;
    double value;
    bool negative;
} identities[] = {
    {LM_EW_ADD, 1, 0, false}, {LM_EW_SUB, 1, 0, false}, {LM_EW_SUB, 0, 0, true},
    {LM_EW_MUL, 1, 1, false}, {LM_EW_MUL, 1, -1, true}, {LM_EW_DIV, 1, 1, false},
    {LM_EW_DIV, 1, -1, true},
};

static lm_node *identity(lm_graph *g, lm_node *node) {
    for (size_t i = 0; i < sizeof identities / sizeof *identities; i++) {
        int which = identities[i].which;
        if (!lm_is_ew(node, identities[i].code) ||
            !lm_is_uniform_of(node->src[which], identities[i].value))
            continue;
        lm_node *other = node->src[1 - which];
        return identities[i].negative ? lm_simple_ew(g, LM_EW_NEG, other, NULL) : other;
    }
    return NULL;
}

/* f32 keeps the product as well as it keeps two factors in turn. */
static bool is_normal_factor(double value) {
    return fabs(value) >= FLT_MIN && fabs(value) <= FLT_MAX;
}

static lm_node *times(lm_graph *g, lm_node *a, double factor) {
    return lm_simple_ew(g, LM_EW_MUL, a, lm_const_like(g, factor, a));
}

/* (x * c) * d -> x * (c d), (-x) * c -> x * -c, -(x * c) -> x * -c. */
static lm_node *merge_factors(lm_graph *g, lm_node *node) {
    bool negation = lm_is_ew(node, LM_EW_NEG);
    if (node->dtype != LM_F32) return NULL;
    if (!negation && !(lm_is_ew(node, LM_EW_MUL) && lm_is_uniform(node->src[1])))
        return NULL;
    lm_node *inner = node->src[0];
    double factor = negation ? -1 : node->src[1]->attr.constant.value;
    if (lm_is_ew(inner, LM_EW_NEG)) return times(g, inner->src[0], -factor);
    if (!lm_is_ew(inner, LM_EW_MUL) || !lm_is_uniform(inner->src[1])) return NULL;
    factor *= inner->src[1]->attr.constant.value;
    return is_normal_factor(factor) ? times(g, inner->src[0], factor) : NULL;
}

/* Exact for powers of two only. */
static lm_node *divide_by_power_of_two(lm_graph *g, lm_node *node) {
    if (!lm_is_ew(node, LM_EW_DIV) || node->dtype != LM_F32) return NULL;
    if (!lm_is_uniform(node->src[1])) return NULL;
    int exponent;
    double divisor = node->src[1]->attr.constant.value;
    bool power = fabs(frexp(divisor, &exponent)) == 0.5;
    return power && is_normal_factor(1 / divisor) ? times(g, node->src[0], 1 / divisor)
                                                  : NULL;
}

/* ---- no numbers -------------------------------------------------------------- */

static lm_node *transparent(lm_graph *g, lm_node *node) {
    lm_node *a = node->src[0];
    if (lm_is_ew(node, LM_EW_STOP)) return a;
    if (lm_is_ew(node, LM_EW_CAST) && a->dtype == node->dtype) return a;
    if (lm_is_ew(node, LM_EW_POWC) && node->attr.ew.value == 1) return a;
    if (lm_is_ew(node, LM_EW_ABS) && lm_is_ew(a, LM_EW_ABS)) return a;
    return NULL;
}

static lm_node *negations(lm_graph *g, lm_node *node) {
    lm_node *a = node->src[0], *b = node->n_src > 1 ? node->src[1] : NULL;
    if (!lm_dtype_is_float(node->dtype)) return NULL;
    bool minus_a = lm_is_ew(a, LM_EW_NEG), minus_b = b && lm_is_ew(b, LM_EW_NEG);
    switch ((lm_ew)node->attr.ew.code) {
    case LM_EW_NEG:
        if (minus_a) return a->src[0];
        if (lm_is_ew(a, LM_EW_SUB))
            return lm_simple_ew(g, LM_EW_SUB, a->src[1], a->src[0]);
        return NULL;
    case LM_EW_ABS:
        return minus_a ? lm_simple_ew(g, LM_EW_ABS, a->src[0], NULL) : NULL;
    case LM_EW_ADD:
        if (minus_b) return lm_simple_ew(g, LM_EW_SUB, a, b->src[0]);
        return minus_a ? lm_simple_ew(g, LM_EW_SUB, b, a->src[0]) : NULL;
    case LM_EW_SUB:
        return minus_b ? lm_simple_ew(g, LM_EW_ADD, a, b->src[0]) : NULL;
    case LM_EW_MUL:
    case LM_EW_DIV:
        if (!minus_a || !minus_b) return NULL;
        return lm_simple_ew(g, (lm_ew)node->attr.ew.code, a->src[0], b->src[0]);
    default:
        return NULL;
    }
}

static lm_node *choice(lm_graph *g, lm_node *node) {
    if (!lm_is_ew(node, LM_EW_WHERE)) return NULL;
    lm_node *mask = node->src[0];
    if (lm_is_uniform(mask)) return node->src[mask->attr.constant.value != 0 ? 1 : 2];
    return node->src[1] == node->src[2] ? node->src[1] : NULL;
}

/* Operands that all repeat sources of one shape: compute once, repeat the result. */
static lm_node *hoist_broadcast(lm_graph *g, lm_node *node) {
    lm_node *small = NULL, *src[3];
    for (int s = 0; s < node->n_src; s++) {
        lm_node *a = node->src[s];
        if (lm_is_uniform(a)) continue;
        if (a->kind != LM_KIND_BROADCAST) return NULL;
        if (!small) small = a->src[0];
        if (!lm_shape_equal(small->shape, a->src[0]->shape)) return NULL;
    }
    if (!small) return NULL;
    for (int s = 0; s < node->n_src; s++) {
        lm_node *a = node->src[s];
        src[s] = lm_is_uniform(a)
                     ? lm_const_full(g, a->dtype, small->shape, a->attr.constant.value)
                     : a->src[0];
    }
    lm_node *made = lm_simplify(g, lm_build(g, LM_KIND_EW, src, node->n_src, &node->attr,
                                            node->dtype, small->shape));
    return lm_simple_build(g, LM_KIND_BROADCAST, &made, 1, NULL, node);
}

const lm_rule lm_ew_rules[] = {
    {LM_KIND_EW, transparent},
    {LM_KIND_EW, fold},
    {LM_KIND_EW, constant_to_the_right},
    {LM_KIND_EW, identity},
    {LM_KIND_EW, merge_factors},
    {LM_KIND_EW, divide_by_power_of_two},
    {LM_KIND_EW, negations},
    {LM_KIND_EW, choice},
    {LM_KIND_EW, hoist_broadcast},
    {LM_KIND_EW, NULL},
};
