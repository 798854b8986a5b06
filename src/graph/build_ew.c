/* Constructors of elementwise nodes. */
#include "graph/graph_internal.h"

lm_node *lm_ew1(lm_graph *g, lm_ew code, lm_node *a) {
    return lm_ew_value(g, code, a, 0);
}

lm_node *lm_ew2(lm_graph *g, lm_ew code, lm_node *a, lm_node *b) {
    lm_attr attr = {.ew = {code, 0}};
    return lm_make(g, LM_KIND_EW, (lm_node *[]){a, b}, 2, &attr);
}

lm_node *lm_ew3(lm_graph *g, lm_ew code, lm_node *a, lm_node *b, lm_node *c) {
    lm_attr attr = {.ew = {code, 0}};
    return lm_make(g, LM_KIND_EW, (lm_node *[]){a, b, c}, 3, &attr);
}

lm_node *lm_ew_value(lm_graph *g, lm_ew code, lm_node *a, double value) {
    lm_attr attr = {.ew = {code, (float)value}};
    return lm_make1(g, LM_KIND_EW, a, &attr);
}

lm_node *lm_cast(lm_graph *g, lm_node *a, lm_dtype dtype) {
    if (!a || a->dtype == dtype) return a;
    lm_attr attr = {.ew = {LM_EW_CAST, 0}};
    return lm_build(g, LM_KIND_EW, &a, 1, &attr, dtype, a->shape);
}

/* ---- with broadcasting ------------------------------------------------------- */

/* NumPy's rule: right aligned, sizes equal or one of them 1. Where they clash, a's size
 * stays and the broadcast that follows fails, naming both. */
static lm_shape common_shape(lm_shape a, lm_shape b) {
    lm_shape wide = a.rank >= b.rank ? a : b, narrow = a.rank >= b.rank ? b : a;
    int lead = wide.rank - narrow.rank;
    for (int i = 0; i < narrow.rank; i++)
        if (wide.dim[lead + i] == 1) wide.dim[lead + i] = narrow.dim[i];
    return wide;
}

static lm_node *broadcast2(lm_graph *g, lm_ew code, lm_node *a, lm_node *b) {
    if (!a || !b) return NULL;
    lm_shape shape = common_shape(a->shape, b->shape);
    return lm_ew2(g, code, lm_broadcast(g, a, shape), lm_broadcast(g, b, shape));
}

lm_node *lm_add(lm_graph *g, lm_node *a, lm_node *b) {
    return broadcast2(g, LM_EW_ADD, a, b);
}

lm_node *lm_sub(lm_graph *g, lm_node *a, lm_node *b) {
    return broadcast2(g, LM_EW_SUB, a, b);
}

lm_node *lm_mul(lm_graph *g, lm_node *a, lm_node *b) {
    return broadcast2(g, LM_EW_MUL, a, b);
}

lm_node *lm_div(lm_graph *g, lm_node *a, lm_node *b) {
    return broadcast2(g, LM_EW_DIV, a, b);
}

lm_node *lm_max2(lm_graph *g, lm_node *a, lm_node *b) {
    return broadcast2(g, LM_EW_MAX, a, b);
}

lm_node *lm_min2(lm_graph *g, lm_node *a, lm_node *b) {
    return broadcast2(g, LM_EW_MIN, a, b);
}

lm_node *lm_lt(lm_graph *g, lm_node *a, lm_node *b) {
    return broadcast2(g, LM_EW_LT, a, b);
}

lm_node *lm_le(lm_graph *g, lm_node *a, lm_node *b) {
    return broadcast2(g, LM_EW_LE, a, b);
}

lm_node *lm_eq(lm_graph *g, lm_node *a, lm_node *b) {
    return broadcast2(g, LM_EW_EQ, a, b);
}

lm_node *lm_where(lm_graph *g, lm_node *mask, lm_node *a, lm_node *b) {
    if (!mask || !a || !b) return NULL;
    lm_shape shape = common_shape(mask->shape, common_shape(a->shape, b->shape));
    return lm_ew3(g, LM_EW_WHERE, lm_broadcast(g, mask, shape), lm_broadcast(g, a, shape),
                  lm_broadcast(g, b, shape));
}

/* ---- formulas ---------------------------------------------------------------- */

lm_node *lm_add_scalar(lm_graph *g, lm_node *a, double value) {
    return lm_ew2(g, LM_EW_ADD, a, lm_const_like(g, value, a));
}

lm_node *lm_scale(lm_graph *g, lm_node *a, double factor) {
    return lm_ew2(g, LM_EW_MUL, a, lm_const_like(g, factor, a));
}

lm_node *lm_neg(lm_graph *g, lm_node *a) {
    return lm_ew1(g, LM_EW_NEG, a);
}
lm_node *lm_exp(lm_graph *g, lm_node *a) {
    return lm_ew1(g, LM_EW_EXP, a);
}
lm_node *lm_log(lm_graph *g, lm_node *a) {
    return lm_ew1(g, LM_EW_LOG, a);
}
lm_node *lm_sqrt(lm_graph *g, lm_node *a) {
    return lm_ew1(g, LM_EW_SQRT, a);
}
lm_node *lm_rsqrt(lm_graph *g, lm_node *a) {
    return lm_ew1(g, LM_EW_RSQRT, a);
}
lm_node *lm_square(lm_graph *g, lm_node *a) {
    return lm_ew2(g, LM_EW_MUL, a, a);
}
lm_node *lm_tanh(lm_graph *g, lm_node *a) {
    return lm_ew1(g, LM_EW_TANH, a);
}
lm_node *lm_sigmoid(lm_graph *g, lm_node *a) {
    return lm_ew1(g, LM_EW_SIGMOID, a);
}
lm_node *lm_relu(lm_graph *g, lm_node *a) {
    return lm_leaky_relu(g, a, 0);
}
lm_node *lm_stop_grad(lm_graph *g, lm_node *a) {
    return lm_ew1(g, LM_EW_STOP, a);
}

lm_node *lm_leaky_relu(lm_graph *g, lm_node *a, double slope) {
    return lm_ew_value(g, LM_EW_LEAKY, a, slope);
}

lm_node *lm_silu(lm_graph *g, lm_node *a) {
    return lm_ew2(g, LM_EW_MUL, a, lm_sigmoid(g, a));
}

/* Hendrycks, Gimpel: a * Phi(a), Phi the normal distribution function. */
lm_node *lm_gelu(lm_graph *g, lm_node *a) {
    static const double sqrt_half = 0.70710678118654752440;
    lm_node *erf = lm_ew1(g, LM_EW_ERF, lm_scale(g, a, sqrt_half));
    return lm_ew2(g, LM_EW_MUL, lm_scale(g, a, 0.5), lm_add_scalar(g, erf, 1));
}

lm_node *lm_clamp(lm_graph *g, lm_node *a, double lo, double hi) {
    lm_node *raised = lm_ew2(g, LM_EW_MAX, a, lm_const_like(g, lo, a));
    return lm_ew2(g, LM_EW_MIN, raised, lm_const_like(g, hi, a));
}
