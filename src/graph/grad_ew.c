/* Gradient rules of the elementwise codes. Operands have the result's shape, so every
 * rule stays elementwise and fuses with its neighbours. */
#include "graph/grad_internal.h"

#include <math.h>

/* ---- unary codes: cotangent * slope, from the operand x and the result y ----- */

static lm_node *one_minus(lm_graph *g, lm_node *a) {
    return lm_add_scalar(g, lm_neg(g, a), 1);
}

static lm_node *slope_abs(lm_graph *g, lm_node *x, lm_node *y) {
    return lm_ew1(g, LM_EW_SIGN, x);
}

static lm_node *slope_exp(lm_graph *g, lm_node *x, lm_node *y) {
    return y;
}

static lm_node *slope_expm1(lm_graph *g, lm_node *x, lm_node *y) {
    return lm_add_scalar(g, y, 1);
}

static lm_node *slope_rsqrt(lm_graph *g, lm_node *x, lm_node *y) {
    return lm_scale(g, lm_mul(g, lm_square(g, y), y), -0.5);
}

static lm_node *slope_sin(lm_graph *g, lm_node *x, lm_node *y) {
    return lm_ew1(g, LM_EW_COS, x);
}

static lm_node *slope_cos(lm_graph *g, lm_node *x, lm_node *y) {
    return lm_neg(g, lm_ew1(g, LM_EW_SIN, x));
}

static lm_node *slope_tanh(lm_graph *g, lm_node *x, lm_node *y) {
    return one_minus(g, lm_square(g, y));
}

static lm_node *slope_sigmoid(lm_graph *g, lm_node *x, lm_node *y) {
    return lm_mul(g, y, one_minus(g, y));
}

static lm_node *slope_softplus(lm_graph *g, lm_node *x, lm_node *y) {
    return lm_sigmoid(g, x);
}

static lm_node *slope_erf(lm_graph *g, lm_node *x, lm_node *y) {
    return lm_scale(g, lm_exp(g, lm_neg(g, lm_square(g, x))), M_2_SQRTPI);
}

static lm_node *slope_erfinv(lm_graph *g, lm_node *x, lm_node *y) {
    return lm_scale(g, lm_exp(g, lm_square(g, y)), 1 / M_2_SQRTPI);
}

/* A choice between constants: its own gradient is none, so that piecewise linear networks
 * have no second derivative to compute. */
static lm_node *slope_leaky(lm_graph *g, lm_node *x, lm_node *y) {
    return lm_where(g, lm_lt(g, lm_const(g, 0), x), lm_const_like(g, 1, x),
                    lm_const_like(g, y->attr.ew.value, x));
}

typedef lm_node *(*slope_rule)(lm_graph *g, lm_node *x, lm_node *y);

static const slope_rule slopes[LM_EW_COUNT] = {
    [LM_EW_ABS] = slope_abs,           [LM_EW_EXP] = slope_exp,
    [LM_EW_EXPM1] = slope_expm1,       [LM_EW_RSQRT] = slope_rsqrt,
    [LM_EW_SIN] = slope_sin,           [LM_EW_COS] = slope_cos,
    [LM_EW_TANH] = slope_tanh,         [LM_EW_SIGMOID] = slope_sigmoid,
    [LM_EW_SOFTPLUS] = slope_softplus, [LM_EW_ERF] = slope_erf,
    [LM_EW_ERFINV] = slope_erfinv,     [LM_EW_LEAKY] = slope_leaky,
};

static void grad_slope(lm_graph *g, lm_node *y, lm_node *ct, lm_node **d) {
    d[0] = lm_mul(g, ct, slopes[y->attr.ew.code](g, y->src[0], y));
}

/* ---- the others -------------------------------------------------------------- */

static void grad_neg(lm_graph *g, lm_node *y, lm_node *ct, lm_node **d) {
    d[0] = lm_neg(g, ct);
}

static void grad_add(lm_graph *g, lm_node *y, lm_node *ct, lm_node **d) {
    d[0] = d[1] = ct;
}

static void grad_sub(lm_graph *g, lm_node *y, lm_node *ct, lm_node **d) {
    d[0] = ct;
    d[1] = lm_neg(g, ct);
}

static void grad_mul(lm_graph *g, lm_node *y, lm_node *ct, lm_node **d) {
    d[0] = lm_mul(g, ct, y->src[1]);
    d[1] = lm_mul(g, ct, y->src[0]);
}

static void grad_div(lm_graph *g, lm_node *y, lm_node *ct, lm_node **d) {
    d[0] = lm_div(g, ct, y->src[1]);
    d[1] = lm_neg(g, lm_mul(g, d[0], y));
}

static void grad_fma(lm_graph *g, lm_node *y, lm_node *ct, lm_node **d) {
    grad_mul(g, y, ct, d);
    d[2] = ct;
}

static void grad_log(lm_graph *g, lm_node *y, lm_node *ct, lm_node **d) {
    d[0] = lm_div(g, ct, y->src[0]);
}

static void grad_log1p(lm_graph *g, lm_node *y, lm_node *ct, lm_node **d) {
    d[0] = lm_div(g, ct, lm_add_scalar(g, y->src[0], 1));
}

static void grad_atan(lm_graph *g, lm_node *y, lm_node *ct, lm_node **d) {
    d[0] = lm_div(g, ct, lm_add_scalar(g, lm_square(g, y->src[0]), 1));
}

static void grad_sqrt(lm_graph *g, lm_node *y, lm_node *ct, lm_node **d) {
    d[0] = lm_div(g, lm_scale(g, ct, 0.5), y);
}

/* Small whole exponents end in a symbolic zero instead of 0 * pow(0, -1). */
static void grad_powc(lm_graph *g, lm_node *y, lm_node *ct, lm_node **d) {
    lm_node *x = y->src[0];
    double c = y->attr.ew.value;
    if (c == 0) return;
    if (c == 1)
        d[0] = ct;
    else if (c == 2)
        d[0] = lm_mul(g, lm_scale(g, ct, 2), x);
    else
        d[0] = lm_mul(g, lm_scale(g, ct, c), lm_ew_value(g, LM_EW_POWC, x, c - 1));
}

/* The share of each operand in max and min: all, none, or half in a tie. */
static void share(lm_graph *g, lm_node *first_wins, lm_node *y, lm_node *ct,
                  lm_node **d) {
    lm_node *tie = lm_eq(g, y->src[0], y->src[1]);
    lm_node *rest = lm_where(g, tie, lm_const_like(g, 0.5, y), lm_const_like(g, 0, y));
    lm_node *first = lm_where(g, first_wins, lm_const_like(g, 1, y), rest);
    d[0] = lm_mul(g, ct, first);
    d[1] = lm_mul(g, ct, one_minus(g, first));
}

static void grad_max(lm_graph *g, lm_node *y, lm_node *ct, lm_node **d) {
    share(g, lm_lt(g, y->src[1], y->src[0]), y, ct, d);
}

static void grad_min(lm_graph *g, lm_node *y, lm_node *ct, lm_node **d) {
    share(g, lm_lt(g, y->src[0], y->src[1]), y, ct, d);
}

static void grad_where(lm_graph *g, lm_node *y, lm_node *ct, lm_node **d) {
    lm_node *zero = lm_const_like(g, 0, ct);
    d[1] = lm_where(g, y->src[0], ct, zero);
    d[2] = lm_where(g, y->src[0], zero, ct);
}

/* Among floats: the walk ends at integers. */
static void grad_cast(lm_graph *g, lm_node *y, lm_node *ct, lm_node **d) {
    d[0] = lm_cast(g, ct, y->src[0]->dtype);
}

static const lm_grad_rule rules[LM_EW_COUNT] = {
    [LM_EW_NEG] = grad_neg,        [LM_EW_ADD] = grad_add,
    [LM_EW_SUB] = grad_sub,        [LM_EW_MUL] = grad_mul,
    [LM_EW_DIV] = grad_div,        [LM_EW_FMA] = grad_fma,
    [LM_EW_ABS] = grad_slope,      [LM_EW_SIGN] = lm_grad_none,
    [LM_EW_FLOOR] = lm_grad_none,  [LM_EW_ROUND] = lm_grad_none,
    [LM_EW_LT] = lm_grad_none,     [LM_EW_LE] = lm_grad_none,
    [LM_EW_EQ] = lm_grad_none,     [LM_EW_AND] = lm_grad_none,
    [LM_EW_OR] = lm_grad_none,     [LM_EW_NOT] = lm_grad_none,
    [LM_EW_EXP] = grad_slope,      [LM_EW_EXPM1] = grad_slope,
    [LM_EW_LOG] = grad_log,        [LM_EW_LOG1P] = grad_log1p,
    [LM_EW_SQRT] = grad_sqrt,      [LM_EW_RSQRT] = grad_slope,
    [LM_EW_POWC] = grad_powc,      [LM_EW_SIN] = grad_slope,
    [LM_EW_COS] = grad_slope,      [LM_EW_ATAN] = grad_atan,
    [LM_EW_TANH] = grad_slope,     [LM_EW_SIGMOID] = grad_slope,
    [LM_EW_SOFTPLUS] = grad_slope, [LM_EW_ERF] = grad_slope,
    [LM_EW_ERFINV] = grad_slope,   [LM_EW_MAX] = grad_max,
    [LM_EW_MIN] = grad_min,        [LM_EW_WHERE] = grad_where,
    [LM_EW_LEAKY] = grad_slope,    [LM_EW_CAST] = grad_cast,
    [LM_EW_STOP] = lm_grad_none,
};

lm_grad_rule lm_grad_ew_rule(lm_ew code) {
    return rules[code];
}
