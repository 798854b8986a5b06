/* Whole programs on the CPU engine against the reference engine: a small network with its
 * gradients and updates, under every combination of options that matters to kernels. */
#include "exec/exec.h"
#include "graph/grad.h"
#include "rig.h"

#include <string.h>

enum { BATCH = 3, SIZE = 9, N_WEIGHTS = 2048, N_STEPS = 3 };

/* Slices of the variable "weights", one after another. */
typedef struct weights {
    lm_graph *graph;
    int64_t next;
    lm_node *param[8];
    int n_params;
} weights;

static lm_node *weight(weights *w, lm_shape shape) {
    lm_node *node = lm_param(w->graph, "weights", w->next, shape);
    w->next += lm_shape_count(shape);
    assert_true(w->next <= N_WEIGHTS);
    return w->param[w->n_params++] = node;
}

/* conv, silu, max pooling, strided conv, transposed conv, product, cross entropy. */
static lm_node *build_loss(weights *w) {
    lm_graph *g = w->graph;
    lm_conv_attr same = {.pad_lo = {1, 1}, .pad_hi = {1, 1}};
    lm_conv_attr down = {.stride = {2, 2}, .pad_lo = {1, 1}, .pad_hi = {1, 1}};
    lm_conv_attr up = down;
    up.size[0] = up.size[1] = 5;
    lm_pool_attr pool = {
        .window = {3, 3}, .stride = {2, 2}, .pad_lo = {1, 1}, .pad_hi = {1, 1}};
    lm_node *x = lm_input(g, "x", LM_F32, LM_SHAPE(BATCH, SIZE, SIZE, 3));
    lm_node *labels = lm_input(g, "labels", LM_I32, LM_SHAPE(BATCH));
    lm_node *h =
        lm_conv(g, x, weight(w, LM_SHAPE(8, 3, 3, 3)), weight(w, LM_SHAPE(8)), &same);
    h = lm_maxpool(g, lm_silu(g, h), &pool); /* 5x5 */
    lm_node *low = lm_conv(g, h, weight(w, LM_SHAPE(8, 3, 3, 8)), NULL, &down);
    lm_node *high =
        lm_conv_dgrad(g, lm_silu(g, low), weight(w, LM_SHAPE(8, 3, 3, 6)), &up);
    h = lm_concat(g, (lm_node *[]){h, high}, 2, 3);
    h = lm_mean(g, lm_reshape(g, h, LM_SHAPE(BATCH, 25, 14)), 2, false);
    h = lm_matmul_bias(g, h, weight(w, LM_SHAPE(5, 14)), weight(w, LM_SHAPE(5)), false,
                       true);
    return lm_mean_all(g, lm_softmax_xent(g, h, labels));
}

/* Plain gradient descent on every slice. */
static void build_step(lm_graph *g) {
    weights w = {.graph = g};
    lm_node *loss = build_loss(&w), *gradient[8];
    lm_graph_output(g, "loss", loss);
    CHECK_OK(lm_graph_status(g));
    CHECK_OK(lm_grad(g, loss, NULL, w.n_params, w.param, gradient));
    for (int i = 0; i < w.n_params; i++)
        lm_assign(g, w.param[i], lm_sub(g, w.param[i], lm_scale(g, gradient[i], 0.25)));
    CHECK_OK(lm_graph_status(g));
}

typedef struct outcome {
    double loss[N_STEPS], weights[N_WEIGHTS];
} outcome;

static void set_inputs(lm_program *program) {
    double x[BATCH * SIZE * SIZE * 3];
    const double labels[BATCH] = {4, 0, 2};
    for (int i = 0; i < BATCH * SIZE * SIZE * 3; i++)
        x[i] = (float)((i * 7919 % 1009) / 504.5 - 1);
    CHECK_OK(lm_program_set(program, "x", LM_F64, x, BATCH * SIZE * SIZE * 3));
    CHECK_OK(lm_program_set(program, "labels", LM_F64, labels, BATCH));
}

static void train(const char *backend, const lm_compile_options *options, outcome *out) {
    lm_engine *engine;
    lm_graph *g;
    lm_program *program;
    CHECK_OK(lm_engine_new(backend, &engine));
    CHECK_OK(lm_engine_add_var(engine, "weights", N_WEIGHTS));
    for (int i = 0; i < N_WEIGHTS; i++)
        out->weights[i] = (float)((i * 104729 % 2003) / 2003.0 - 0.5);
    CHECK_OK(lm_engine_write_var(engine, "weights", 0, N_WEIGHTS, LM_F64, out->weights));
    CHECK_OK(lm_graph_new(&g));
    build_step(g);
    CHECK_OK(lm_compile(engine, g, options, &program));
    lm_graph_free(g);
    set_inputs(program);
    for (int i = 0; i < N_STEPS; i++) {
        CHECK_OK(lm_program_run(program));
        out->loss[i] = lm_program_scalar(program, "loss");
    }
    CHECK_OK(lm_engine_read_var(engine, "weights", 0, N_WEIGHTS, LM_F64, out->weights));
    lm_program_free(program);
    lm_engine_free(engine);
}

static void test_training_steps(void **state) {
    static outcome want, got;
    train("ref", NULL, &want);
    for (unsigned bits = 0; bits < 16; bits++) {
        lm_compile_options options = {
            .no_fuse = bits & 1,
            .no_in_place = bits & 2,
            .no_reuse = bits & 4,
            .inline_all = bits & 8,
            .no_simplify = bits % 5 == 4,
            .poison = true,
            .check = true,
        };
        train("cpu", &options, &got);
        double loss = rig_nmse(got.loss, want.loss, N_STEPS);
        double held = rig_nmse(got.weights, want.weights, N_WEIGHTS);
        if (!(loss <= 1e-12 && held <= 1e-11))
            fail_msg("options %u: nmse of the loss %.3g, of the weights %.3g", bits, loss,
                     held);
    }
}

/* Packed copies follow the variable, whoever writes it. */
static void test_weights_written_between_runs(void **state) {
    lm_engine *engine;
    lm_graph *g;
    lm_program *program;
    enum { COUNT = 16 * 3 * 3 * 16, PIXELS = 6 * 6 };
    static float w[COUNT], x[PIXELS * 16], y[PIXELS * 16];
    CHECK_OK(lm_engine_new("cpu", &engine));
    CHECK_OK(lm_engine_add_var(engine, "w", COUNT));
    CHECK_OK(lm_graph_new(&g));
    lm_conv_attr attr = {.pad_lo = {1, 1}, .pad_hi = {1, 1}};
    lm_node *in = lm_input(g, "x", LM_F32, LM_SHAPE(1, 6, 6, 16));
    lm_graph_output(
        g, "y", lm_conv(g, in, lm_param(g, "w", 0, LM_SHAPE(16, 3, 3, 16)), NULL, &attr));
    CHECK_OK(lm_compile(engine, g, NULL, &program));
    lm_graph_free(g);
    for (int i = 0; i < PIXELS * 16; i++) x[i] = 1;
    CHECK_OK(lm_program_set(program, "x", LM_F32, x, PIXELS * 16));
    for (int run = 1; run <= 3; run++) {
        for (int i = 0; i < COUNT; i++) w[i] = (float)run;
        CHECK_OK(lm_engine_write_var(engine, "w", 0, COUNT, LM_F32, w));
        for (int again = 0; again < 2; again++) {
            CHECK_OK(lm_program_run(program));
            CHECK_OK(lm_program_get(program, "y", LM_F32, y, PIXELS * 16));
            assert_true(y[(2 * 6 + 2) * 16] == (float)(run * 9 * 16));
        }
    }
    lm_program_free(program);
    lm_engine_free(engine);
}

/* ---- without fusion ---------------------------------------------------------- */

enum { N_VALUES = 5 * 7 };

/* Every way in which a single elementwise-like node gets its operands. */
static void build_singles(lm_graph *g) {
    lm_shape shape = LM_SHAPE(5, 7);
    lm_node *x = lm_input(g, "x", LM_F32, LM_SHAPE(7));
    lm_node *key = lm_input(g, "key", LM_U32, LM_SHAPE(4));
    lm_node *wide = lm_broadcast(g, x, shape);
    lm_graph_output(g, "broadcast", wide);
    lm_graph_output(g, "square", lm_mul(g, wide, wide)); /* one source twice */
    lm_graph_output(g, "scaled", lm_scale(g, wide, 0.3));
    lm_graph_output(g, "iota", lm_iota(g, LM_F32, shape, 1));
    lm_graph_output(g, "normal", lm_normal(g, key, 3, shape));
    lm_graph_output(g, "where",
                    lm_where(g, lm_lt(g, wide, lm_const(g, 0.1)), wide, lm_const(g, 2)));
    CHECK_OK(lm_graph_status(g));
}

static void run_singles(const char *backend, double values[6][N_VALUES]) {
    static const char *const names[] = {"broadcast", "square", "scaled",
                                        "iota",      "normal", "where"};
    lm_engine *engine;
    lm_graph *g;
    lm_program *program;
    CHECK_OK(lm_engine_new(backend, &engine));
    CHECK_OK(lm_graph_new(&g));
    build_singles(g);
    lm_compile_options options = {.no_fuse = true, .no_simplify = true, .poison = true};
    CHECK_OK(lm_compile(engine, g, &options, &program));
    lm_graph_free(g);
    const float x[] = {-1, 0.5f, 0, 0.05f, 3, -0.25f, 0.125f};
    const uint32_t key[] = {1, 2, 3, 4};
    CHECK_OK(lm_program_set(program, "x", LM_F32, x, 7));
    CHECK_OK(lm_program_set(program, "key", LM_U32, key, 4));
    CHECK_OK(lm_program_run(program));
    for (int i = 0; i < 6; i++)
        CHECK_OK(lm_program_get(program, names[i], LM_F64, values[i], N_VALUES));
    lm_program_free(program);
    lm_engine_free(engine);
}

static void test_single_nodes(void **state) {
    double want[6][N_VALUES], got[6][N_VALUES];
    run_singles("ref", want);
    run_singles("cpu", got);
    for (int i = 0; i < 6; i++) assert_true(rig_nmse(got[i], want[i], N_VALUES) <= 1e-12);
}

/* ---- chains ------------------------------------------------------------------ */

enum { JOINED_ROWS = 1020, PARTS = 2, JOINED_GROUPS = 3 };
static const int64_t widths[PARTS] = {20, 13};

/* Statistics of a concat in several pieces, in one step with it or in two. */
static void run_joined(bool apart, float *stats) {
    lm_engine *engine;
    lm_graph *g;
    lm_program *program;
    lm_node *part[PARTS];
    lm_compile_options options = {.no_fuse = apart};
    lm_call_attr how = {.i = {JOINED_GROUPS}, .f = {1e-6f}};
    static float x[BATCH * JOINED_ROWS * 20];
    for (size_t i = 0; i < sizeof x / sizeof *x; i++)
        x[i] = (float)(i * 7919 % 1009) / 504.5f + 3;
    CHECK_OK(lm_engine_new("cpu", &engine));
    CHECK_OK(lm_graph_new(&g));
    for (int i = 0; i < PARTS; i++)
        part[i] =
            lm_input(g, i ? "b" : "a", LM_F32, LM_SHAPE(BATCH, JOINED_ROWS, widths[i]));
    lm_node *joined = lm_concat(g, part, PARTS, 2);
    lm_graph_output(g, "stats", lm_call(g, LM_COMP_GROUP_STATS, &joined, 1, &how));
    CHECK_OK(lm_compile(engine, g, &options, &program));
    lm_graph_free(g);
    for (int i = 0; i < PARTS; i++)
        CHECK_OK(lm_program_set(program, i ? "b" : "a", LM_F32, x,
                                BATCH * JOINED_ROWS * widths[i]));
    CHECK_OK(lm_program_run(program));
    CHECK_OK(lm_program_get(program, "stats", LM_F32, stats, BATCH * JOINED_GROUPS * 2));
    assert_int_equal(lm_program_get_stats(program).n_steps, apart ? 2 : 1);
    lm_program_free(program);
    lm_engine_free(engine);
}

static void test_statistics_of_a_concat(void **state) {
    float apart[BATCH * JOINED_GROUPS * 2], together[BATCH * JOINED_GROUPS * 2];
    run_joined(true, apart);
    run_joined(false, together);
    assert_memory_equal(together, apart, sizeof apart);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_training_steps),
        cmocka_unit_test(test_single_nodes),
        cmocka_unit_test(test_statistics_of_a_concat),
        cmocka_unit_test(test_weights_written_between_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
