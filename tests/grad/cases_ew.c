/* A case for every elementwise code. */
#include "gradcheck.h"

#define SHAPE LM_SHAPE(3, 1, 5)

static lm_node *build_unary(gc *t, const gc_case *c) {
    return lm_ew1(t->graph, c->op, gc_float(t, SHAPE, c->lo, c->hi));
}

/* Operands that stay clear of the kink at 0. */
static lm_node *build_kinked(gc *t, const gc_case *c) {
    return lm_ew_value(t->graph, c->op, gc_distinct(t, SHAPE, 0.1), c->value);
}

static lm_node *build_kinked_unary(gc *t, const gc_case *c) {
    return lm_ew1(t->graph, c->op, gc_distinct(t, SHAPE, 0.1));
}

static lm_node *build_value(gc *t, const gc_case *c) {
    return lm_ew_value(t->graph, c->op, gc_float(t, SHAPE, c->lo, c->hi), c->value);
}

static lm_node *build_binary(gc *t, const gc_case *c) {
    lm_node *a = gc_float(t, SHAPE, -2, 2), *b = gc_float(t, SHAPE, c->lo, c->hi);
    return lm_ew2(t->graph, c->op, a, b);
}

/* Two operands without ties. */
static lm_node *build_ordered(gc *t, const gc_case *c) {
    lm_node *both = gc_distinct(t, LM_SHAPE(2, 3, 5), 0.1);
    return lm_ew2(t->graph, c->op, lm_slice_axis(t->graph, both, 0, 0, 1),
                  lm_slice_axis(t->graph, both, 0, 1, 2));
}

static lm_node *build_squared(gc *t, const gc_case *c) {
    lm_node *x = gc_float(t, SHAPE, -2, 2);
    return lm_ew2(t->graph, c->op, x, x);
}

static lm_node *build_comparison(gc *t, const gc_case *c) {
    lm_node *mask =
        lm_ew2(t->graph, c->op, gc_float(t, SHAPE, -1, 1), gc_float(t, SHAPE, -1, 1));
    return lm_cast(t->graph, mask, LM_F32);
}

static lm_node *build_logic(gc *t, const gc_case *c) {
    lm_graph *g = t->graph;
    lm_node *zero = lm_const_full(g, LM_F32, SHAPE, 0);
    lm_node *a = lm_lt(g, gc_float(t, SHAPE, -1, 1), zero);
    lm_node *b = lm_lt(g, gc_float(t, SHAPE, -1, 1), zero);
    lm_node *mask = c->op == LM_EW_NOT ? lm_ew1(g, c->op, a) : lm_ew2(g, c->op, a, b);
    return lm_cast(g, mask, LM_F32);
}

static lm_node *build_fma(gc *t, const gc_case *c) {
    lm_node *a = gc_float(t, SHAPE, -2, 2), *b = gc_float(t, SHAPE, -2, 2);
    return lm_ew3(t->graph, LM_EW_FMA, a, b, gc_float(t, SHAPE, -2, 2));
}

static lm_node *build_where(gc *t, const gc_case *c) {
    lm_node *mask = gc_integers(t, LM_U8, SHAPE, 2);
    lm_node *a = gc_float(t, SHAPE, -2, 2), *b = gc_float(t, SHAPE, -2, 2);
    return lm_ew3(t->graph, LM_EW_WHERE, mask, a, b);
}

/* Into integers and back: no gradient. */
static lm_node *build_cast(gc *t, const gc_case *c) {
    lm_node *whole = lm_cast(t->graph, gc_float(t, SHAPE, -9, 9), LM_I32);
    return lm_cast(t->graph, whole, LM_F32);
}

#define EW(code) .table = GC_EW, .op = LM_EW_##code

const gc_case gc_cases_ew[] = {
    {EW(NEG), .build = build_unary, .lo = -2, .hi = 2},
    {EW(ADD), .build = build_binary, .lo = -2, .hi = 2},
    {EW(SUB), .build = build_binary, .lo = -2, .hi = 2},
    {EW(MUL), .build = build_binary, .lo = -2, .hi = 2},
    {EW(MUL), .name = "with itself", .build = build_squared},
    {EW(DIV), .build = build_binary, .lo = 0.5, .hi = 2},
    {EW(DIV), .name = "below zero", .build = build_binary, .lo = -2, .hi = -0.5},
    {EW(FMA), .build = build_fma},
    {EW(ABS), .build = build_kinked_unary},
    {EW(SIGN), .build = build_unary, .lo = -2, .hi = 2, .no_gradient = true},
    {EW(FLOOR), .build = build_unary, .lo = -9, .hi = 9, .no_gradient = true},
    {EW(ROUND), .build = build_unary, .lo = -9, .hi = 9, .no_gradient = true},
    {EW(LT), .build = build_comparison, .no_gradient = true},
    {EW(LE), .build = build_comparison, .no_gradient = true},
    {EW(EQ), .build = build_comparison, .no_gradient = true},
    {EW(AND), .build = build_logic, .no_gradient = true},
    {EW(OR), .build = build_logic, .no_gradient = true},
    {EW(NOT), .build = build_logic, .no_gradient = true},
    {EW(EXP), .build = build_unary, .lo = -2, .hi = 2},
    {EW(EXPM1), .build = build_unary, .lo = -2, .hi = 2},
    {EW(LOG), .build = build_unary, .lo = 0.5, .hi = 3},
    {EW(LOG1P), .build = build_unary, .lo = -0.5, .hi = 2},
    {EW(SQRT), .build = build_unary, .lo = 0.5, .hi = 3},
    {EW(RSQRT), .build = build_unary, .lo = 0.5, .hi = 3},
    {EW(POWC), .name = "-1.5", .build = build_value, .lo = 0.5, .hi = 2, .value = -1.5},
    {EW(POWC), .name = "2", .build = build_value, .lo = -2, .hi = 2, .value = 2},
    {EW(POWC), .name = "3", .build = build_value, .lo = -2, .hi = 2, .value = 3},
    {EW(SIN), .build = build_unary, .lo = -3, .hi = 3},
    {EW(COS), .build = build_unary, .lo = -3, .hi = 3},
    {EW(ATAN), .build = build_unary, .lo = -3, .hi = 3},
    {EW(TANH), .build = build_unary, .lo = -2, .hi = 2},
    {EW(SIGMOID), .build = build_unary, .lo = -4, .hi = 4},
    {EW(SOFTPLUS), .build = build_unary, .lo = -4, .hi = 4},
    {EW(ERF), .build = build_unary, .lo = -2, .hi = 2},
    {EW(ERFINV), .build = build_unary, .lo = -0.8, .hi = 0.8},
    {EW(MAX), .build = build_ordered},
    {EW(MIN), .build = build_ordered},
    {EW(WHERE), .build = build_where},
    {EW(LEAKY), .name = "0.2", .build = build_kinked, .value = 0.2},
    {EW(LEAKY), .name = "relu", .build = build_kinked, .value = 0},
    {EW(CAST), .build = build_cast, .no_gradient = true},
    {EW(STOP), .build = build_unary, .lo = -2, .hi = 2, .no_gradient = true},
    {.build = NULL},
};
