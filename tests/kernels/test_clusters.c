/* Clusters against the reference: every way to read an operand, every form of closing
 * sum, several outputs, in-place outputs, all dtypes. */
#include "rig.h"

#include "base/mem.h"

#include <math.h>

static lm_shape spaces[][2] = {
    /* the space, and its trailing axes alone */
    {{1, {1}}, {1, {1}}},
    {{1, {63}}, {1, {63}}},
    {{1, {1024}}, {1, {1024}}},
    {{1, {3001}}, {1, {3001}}},
    {{2, {5, 7}}, {1, {7}}},
    {{2, {300, 10}}, {1, {10}}},
    {{2, {17, 1000}}, {1, {1000}}},
    {{2, {3, 5000}}, {1, {5000}}},
    {{3, {3, 49, 64}}, {1, {64}}},
    {{3, {2, 130, 33}}, {1, {33}}},
    {{4, {3, 28, 28, 65}}, {1, {65}}},
    {{4, {2, 3, 3, 8}}, {1, {8}}},
};
enum { SPACES = sizeof spaces / sizeof *spaces };

static lm_node *full(rig *r, lm_shape space) {
    return rig_input(r, LM_F32, space, 0);
}

/* Shape that keeps the axes of `mask` and has 1 elsewhere. */
static lm_shape keep_axes(lm_shape space, uint32_t mask) {
    for (int i = 0; i < space.rank; i++)
        if (!(mask >> i & 1)) space.dim[i] = 1;
    return space;
}

/* x * a + silu(b) with a and b broadcast from every subset of the axes. */
static void operands_broadcast(void **state) {
    for (int s = 0; s < SPACES; s++) {
        lm_shape space = spaces[s][0];
        uint32_t all = (1u << space.rank) - 1;
        for (uint32_t mask = 0; mask <= all; mask++) {
            rig r;
            rig_start(&r);
            r.space = space;
            lm_node *x = full(&r, space);
            lm_node *a = rig_input(&r, LM_F32, keep_axes(space, mask), 0);
            lm_node *b = rig_input(&r, LM_F32, keep_axes(space, all & ~mask), 0);
            lm_graph *g = r.graph;
            lm_node *fx = lm_mul(g, x, lm_broadcast(g, a, space));
            rig_output(&r, lm_add(g, fx, lm_silu(g, lm_broadcast(g, b, space))));
            rig_check(&r);
        }
    }
}

static void every_dtype_is_read_and_written(void **state) {
    for (int s = 0; s < SPACES; s++) {
        lm_shape space = spaces[s][0];
        rig r;
        rig_start(&r);
        r.space = space;
        lm_graph *g = r.graph;
        lm_node *u8 = rig_input(&r, LM_U8, space, 256);
        lm_node *i32 = rig_input(&r, LM_I32, spaces[s][1], 1000);
        lm_node *u32 = rig_input(&r, LM_U32, space, 1u << 12);
        /* Small enough for every product to be exact before it is truncated. */
        lm_node *wide = lm_broadcast(g, i32, space);
        lm_node *sum = lm_add(g, lm_cast(g, u8, LM_F32), lm_cast(g, wide, LM_F32));
        lm_node *real = lm_scale(g, lm_cast(g, u32, LM_F32), 0x1p-8);
        rig_output(&r, lm_cast(g, lm_mul(g, sum, real), LM_I32));
        rig_output(&r, lm_lt(g, sum, real));
        rig_output(&r, lm_cast(g, real, LM_U8));
        rig_output(&r, lm_cast(g, real, LM_U32));
        rig_output(&r, lm_where(g, u8, sum, lm_neg(g, real)));
        rig_check(&r);
    }
}

/* Sums over every run of adjacent axes, beside an output. */
static void sums_close_clusters(void **state) {
    static const lm_shape large[] = {{2, {40000, 64}},  {2, {70, 3000}},
                                     {2, {2, 300000}},  {3, {2, 1000, 300}},
                                     {3, {400, 9, 40}}, {2, {100000, 3}}};
    for (int s = 0; s < SPACES + 6; s++) {
        lm_shape space = s < SPACES ? spaces[s][0] : large[s - SPACES];
        for (int first = 0; first < space.rank; first++)
            for (int last = first; last < space.rank; last++) {
                rig r;
                rig_start(&r);
                r.space = space;
                lm_graph *g = r.graph;
                lm_node *x = full(&r, space), *y = full(&r, space);
                uint32_t axes = (2u << last) - (1u << first);
                lm_node *xy = lm_mul(g, x, y);
                rig_output(&r, lm_sum(g, xy, axes, true));
                rig_output(&r, lm_tanh(g, xy));
                rig_output(&r, lm_sum(g, y, axes, false));
                r.tolerance = 1e-6;
                r.scale = 1 + sqrt((double)lm_shape_count(space));
                rig_check(&r);
            }
    }
}

/* The output takes the place of an input that is read early, late, or summed. */
static void outputs_replace_inputs(void **state) {
    for (int s = 0; s < SPACES; s++)
        for (int which = 0; which < 2; which++) {
            lm_shape space = spaces[s][0];
            rig r;
            rig_start(&r);
            r.space = space;
            lm_graph *g = r.graph;
            lm_node *m = full(&r, space), *grad = full(&r, space);
            lm_node *next = lm_add(g, lm_scale(g, m, 0.9), lm_scale(g, grad, 0.1));
            rig_output(&r, next);
            rig_output(&r, lm_mul(g, lm_sub(g, m, next), grad));
            rig_output(&r, lm_sum_all(g, m));
            r.alias_out = which;
            r.alias_in = which;
            r.scale = 1 + sqrt((double)lm_shape_count(space));
            rig_check(&r);
        }
}

static void generators_count_and_draw(void **state) {
    const uint32_t key[4] = {0x12345678, 0x9abcdef0, 5, 40};
    for (int s = 0; s < SPACES; s++) {
        lm_shape space = spaces[s][0];
        rig r;
        rig_start(&r);
        r.space = space;
        lm_graph *g = r.graph;
        lm_node *k = rig_given(&r, LM_U32, LM_SHAPE(4), key);
        lm_node *u = lm_philox(g, k, 9, space);
        rig_output(&r, u);
        rig_output(&r, lm_normal(g, k, 3, space));
        for (int axis = 0; axis < space.rank; axis++)
            rig_output(&r, lm_iota(g, LM_F32, space, axis));
        r.tolerance = 4e-6;
        rig_check(&r);
    }
}

/* Reshapes inside: the space is the refinement of both shapes. */
static void reshapes_keep_the_order(void **state) {
    rig r;
    rig_start(&r);
    lm_graph *g = r.graph;
    lm_shape flat = LM_SHAPE(6, 49 * 10), image = LM_SHAPE(2, 3, 7, 7, 10);
    r.space = image;
    lm_node *x = full(&r, LM_SHAPE(6, 490));
    lm_node *rows = rig_input(&r, LM_F32, LM_SHAPE(6, 1), 0);
    lm_node *channels = rig_input(&r, LM_F32, LM_SHAPE(10), 0);
    lm_node *y = lm_mul(g, x, lm_broadcast(g, rows, flat));
    lm_node *z = lm_add(g, lm_reshape(g, y, image), lm_broadcast(g, channels, image));
    rig_output(&r, z);
    rig_output(&r, lm_reshape(g, lm_exp(g, z), LM_SHAPE(2940)));
    rig_output(&r, lm_reshape(g, lm_sum(g, z, 4 | 8, true), LM_SHAPE(60)));
    rig_check(&r);
}

/* Constants fold, fill operands that have no immediate form, and are outputs. */
static void constants_are_operands(void **state) {
    rig r;
    rig_start(&r);
    lm_graph *g = r.graph;
    lm_shape space = LM_SHAPE(37, 41);
    r.space = space;
    lm_node *x = full(&r, space);
    lm_node *two = lm_const_full(g, LM_F32, space, 2);
    lm_node *half = lm_broadcast(g, lm_const(g, 0.5), space);
    lm_node *mask = lm_lt(g, x, half);
    rig_output(&r, lm_where(g, mask, two, half));
    rig_output(&r, lm_where(g, lm_lt(g, half, two), x, lm_log(g, two)));
    rig_output(&r, lm_ew3(g, LM_EW_FMA, two, x, lm_exp(g, half)));
    rig_output(&r, lm_ew3(g, LM_EW_FMA, two, half, x));
    rig_output(&r, lm_div(g, two, x));
    rig_output(&r, lm_mul(g, two, half));
    rig_output(&r, lm_clamp(g, x, -0.25, 0.75));
    rig_output(&r, lm_leaky_relu(g, x, 0.2));
    for (int i = -2; i <= 4; i++) rig_output(&r, lm_ew_value(g, LM_EW_POWC, x, i / 2.0));
    r.tolerance = 1e-6;
    rig_check(&r);
}

/* Random programs: any operation on any earlier values. */
static void random_programs_agree(void **state) {
    static const lm_ew safe[] = {LM_EW_NEG,      LM_EW_ADD,  LM_EW_SUB, LM_EW_MUL,
                                 LM_EW_ABS,      LM_EW_TANH, LM_EW_ERF, LM_EW_SIGMOID,
                                 LM_EW_SOFTPLUS, LM_EW_MAX,  LM_EW_MIN, LM_EW_FMA,
                                 LM_EW_ATAN,     LM_EW_SIN,  LM_EW_COS};
    uint32_t seed = 77;
    for (int program = 0; program < 60; program++) {
        rig r;
        rig_start(&r);
        lm_graph *g = r.graph;
        lm_shape space = spaces[rig_below(&seed, SPACES)][0];
        r.space = space;
        lm_node *values[64];
        int n = 0;
        for (; n < 3; n++) values[n] = full(&r, space);
        uint32_t mask = rig_below(&seed, 1u << space.rank);
        lm_node *small = rig_input(&r, LM_F32, keep_axes(space, mask), 0);
        values[n++] = lm_broadcast(g, small, space);
        int length = 4 + (int)rig_below(&seed, 40);
        for (int i = 0; i < length; i++) {
            lm_ew code = safe[rig_below(&seed, sizeof safe / sizeof *safe)];
            lm_node *a = values[rig_below(&seed, (uint32_t)n)];
            lm_node *b = values[rig_below(&seed, (uint32_t)n)];
            int arity = lm_ew_get(code)->arity;
            lm_node *y = arity == 1   ? lm_ew1(g, code, a)
                         : arity == 2 ? lm_ew2(g, code, a, b)
                                      : lm_ew3(g, code, a, b, values[0]);
            /* Bounded, so that errors do not grow without end. */
            values[n++] = lm_clamp(g, y, -2, 2);
        }
        for (int i = 0; i < 4; i++) rig_output(&r, values[n - 1 - i]);
        if (space.rank > 1) rig_output(&r, lm_sum(g, values[n - 1], 2, true));
        r.tolerance = 1e-4;
        r.scale = 1 + sqrt((double)lm_shape_count(space));
        rig_check(&r);
    }
}

/* Every allocation of a lowering fails in turn; nothing is left behind. */
static void lowering_survives_lack_of_memory(void **state) {
    lm_graph *g = NULL;
    lm_backend *backend = NULL;
    lm_kernel kernel = {0};
    CHECK_OK(lm_graph_new(&g));
    CHECK_OK(lm_backend_cpu_new(&backend));
    lm_shape space = LM_SHAPE(7, 100);
    lm_node *x = lm_input(g, "x", LM_F32, space), *y = lm_exp(g, x);
    lm_node *nodes[] = {y, lm_sum(g, y, 1, true)};
    lm_step step = {nodes, 2, &x, 1, nodes, 2, true, space};
    int64_t held = lm_mem_get_stats().blocks;
    lm_status status = LM_NOMEM;
    for (int64_t n = 1; status != LM_OK; n++) {
        lm_mem_fail_at(n, 0);
        status = backend->lower(backend, &step, &kernel);
        lm_mem_fail_at(0, 0);
        if (status == LM_OK) break;
        assert_int_equal(status, LM_NOMEM);
        assert_int_equal(lm_mem_get_stats().blocks, held);
        assert_true(n < 100);
    }
    kernel.release(&kernel);
    assert_int_equal(lm_mem_get_stats().blocks, held);
    backend->release(backend);
    lm_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operands_broadcast),
        cmocka_unit_test(every_dtype_is_read_and_written),
        cmocka_unit_test(sums_close_clusters),
        cmocka_unit_test(outputs_replace_inputs),
        cmocka_unit_test(generators_count_and_draw),
        cmocka_unit_test(reshapes_keep_the_order),
        cmocka_unit_test(constants_are_operands),
        cmocka_unit_test(random_programs_agree),
        cmocka_unit_test(lowering_survives_lack_of_memory),
    };
    return rig_main(tests, sizeof tests / sizeof *tests, "clusters");
}
