/* Constructors of random values. */
#include "graph/graph_internal.h"

lm_node *lm_philox(lm_graph *g, lm_node *key, uint32_t stream, lm_shape shape) {
    lm_attr attr = {.stream = stream};
    return lm_build(g, LM_KIND_PHILOX, &key, 1, &attr, LM_U32, shape);
}

/* 24 random bits are exact in f32, so that 1 is never reached by rounding. */
lm_node *lm_uniform(lm_graph *g, lm_node *key, uint32_t stream, lm_shape shape) {
    return lm_scale(g, lm_cast(g, lm_philox(g, key, stream, shape), LM_F32), 0x1p-24);
}

/* Box, Muller 1958: sqrt(-2 log u1) cos(2 pi u2), with u1 in (0, 1]. */
lm_node *lm_normal(lm_graph *g, lm_node *key, uint32_t stream, lm_shape shape) {
    static const double two_pi = 6.28318530717958647693;
    lm_node *u1 = lm_uniform(g, key, stream, shape);
    u1 = lm_sub(g, lm_const_like(g, 1, u1), u1);
    lm_node *u2 = lm_uniform(g, key, stream + 1, shape);
    lm_node *radius = lm_sqrt(g, lm_scale(g, lm_log(g, u1), -2));
    return lm_mul(g, radius, lm_ew1(g, LM_EW_COS, lm_scale(g, u2, two_pi)));
}
