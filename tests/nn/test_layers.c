/* What golden values cannot show: names, sharing, dropout, failures. */
#include "testing.h"

#include "exec/exec.h"
#include "graph/grad.h"
#include "nn/nn.h"
#include <math.h>
#include <string.h>

typedef struct bench {
    lm_graph *graph;
    lm_params *params;
    lm_nn nn;
} bench;

static void bench_init(bench *b) {
    CHECK_OK(lm_graph_new(&b->graph));
    CHECK_OK(lm_params_new("model", &b->params));
    b->nn = (lm_nn){.graph = b->graph, .params = b->params, .var = "model"};
}

static void bench_release(bench *b) {
    lm_graph_free(b->graph);
    lm_params_free(b->params);
}

static void test_names(void **state) {
    bench b;
    bench_init(&b);
    lm_node *x = lm_input(b.graph, "x", LM_F32, LM_SHAPE(2, 4, 4, 6));
    lm_scope_push(b.graph, "net");
    lm_node *y = lm_nn_attention(&b.nn, "look", x, 2, 3);
    lm_node *again = lm_nn_attention(&b.nn, "look", x, 2, 3);
    lm_scope_pop(b.graph);
    CHECK_OK(lm_graph_status(b.graph));
    assert_ptr_equal(y, again); /* same weights, same sources: the same node */
    static const char *const names[] = {"net.look.norm.gamma", "net.look.norm.beta",
                                        "net.look.q.weight",   "net.look.q.bias",
                                        "net.look.k.weight",   "net.look.k.bias",
                                        "net.look.v.weight",   "net.look.v.bias",
                                        "net.look.out.weight", "net.look.out.bias"};
    assert_int_equal(b.params->n_slices, 10);
    for (int i = 0; i < 10; i++) assert_non_null(lm_params_find(b.params, names[i]));
    assert_int_equal(b.params->count, 12 + 4 * (36 + 6));
    bench_release(&b);
}

static void test_average_weights(void **state) {
    bench b;
    bench_init(&b);
    b.nn.var = "model.ema";
    lm_node *x = lm_input(b.graph, "x", LM_F32, LM_SHAPE(2, 3));
    lm_nn_dense(&b.nn, "l", x, 4, false, LM_INIT(ZEROS, 0));
    assert_int_equal(lm_graph_var_count(b.graph), 1);
    assert_string_equal(lm_graph_var_name(b.graph, 0), "model.ema");
    bench_release(&b);
}

typedef lm_node *wrong_layer(lm_nn *nn, lm_node *x);

static lm_node *wrong_groups(lm_nn *nn, lm_node *x) {
    return lm_nn_group_norm(nn, "n", x, 4, 1e-5, false);
}
static lm_node *wrong_heads(lm_nn *nn, lm_node *x) {
    return lm_nn_attention(nn, "a", x, 4, 2);
}
static lm_node *wrong_pool(lm_nn *nn, lm_node *x) {
    return lm_nn_avg_pool(nn, x, 2);
}
static lm_node *wrong_depth(lm_nn *nn, lm_node *x) {
    return lm_nn_depth_to_space(nn, x, 2);
}
static lm_node *wrong_shape(lm_nn *nn, lm_node *x) {
    lm_nn_dense(nn, "d", x, 3, true, LM_INIT(ZEROS, 0));
    return lm_nn_dense(nn, "d", x, 4, true, LM_INIT(ZEROS, 0));
}
static lm_node *no_key(lm_nn *nn, lm_node *x) {
    nn->train = true;
    return lm_nn_dropout(nn, x, 0.5);
}
static lm_node *odd_width(lm_nn *nn, lm_node *x) {
    return lm_nn_time_embedding(nn, lm_input(nn->graph, "t", LM_F32, LM_SHAPE(2)), 7,
                                1e4);
}

static void test_failures(void **state) {
    const struct {
        wrong_layer *build;
        lm_status status;
        const char *says;
    } rows[] = {{wrong_groups, LM_ARG, "n: 4 groups do not divide 6 channels"},
                {wrong_heads, LM_ARG, "multiple of 4"},
                {wrong_pool, LM_SHAPE, "[2,5,4,6]"},
                {wrong_depth, LM_SHAPE, "6 channels"},
                {wrong_shape, LM_SHAPE, "d.weight"},
                {no_key, LM_ARG, "random key"},
                {odd_width, LM_ARG, "even width"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bench b;
        bench_init(&b);
        lm_node *x = lm_input(b.graph, "x", LM_F32, LM_SHAPE(2, 5, 4, 6));
        assert_null(rows[i].build(&b.nn, x));
        CHECK_FAILS(lm_graph_status(b.graph), rows[i].status);
        if (!strstr(lm_message(), rows[i].says))
            fail_msg("\"%s\" does not say \"%s\"", lm_message(), rows[i].says);
        bench_release(&b);
    }
}

enum { SAMPLES = 4, WIDTH = 2500 };

/* y = dropout(x) and dy/dx for a cotangent of ones, x all `value`. */
static void run_dropout(double p, uint32_t first, float value, float *y, float *dx) {
    bench b;
    lm_engine *engine;
    lm_program *program;
    uint32_t key[4] = {5, 0, 17, first};
    float x[SAMPLES * WIDTH];
    for (int i = 0; i < SAMPLES * WIDTH; i++) x[i] = value;
    bench_init(&b);
    lm_node *in = lm_input(b.graph, "x", LM_F32, LM_SHAPE(SAMPLES, WIDTH)), *grad;
    b.nn.train = true;
    b.nn.key = lm_input(b.graph, "key", LM_U32, LM_SHAPE(4));
    lm_node *out = lm_nn_dropout(&b.nn, in, p);
    CHECK_OK(lm_grad(b.graph, out, NULL, 1, &in, &grad));
    lm_graph_output(b.graph, "y", out);
    lm_graph_output(b.graph, "dx", grad);
    CHECK_OK(lm_engine_new("ref", &engine));
    CHECK_OK(lm_compile(engine, b.graph, NULL, &program));
    CHECK_OK(lm_program_set(program, "key", LM_U32, key, 4));
    CHECK_OK(lm_program_set(program, "x", LM_F32, x, SAMPLES * WIDTH));
    CHECK_OK(lm_program_run(program));
    CHECK_OK(lm_program_get(program, "y", LM_F32, y, SAMPLES * WIDTH));
    CHECK_OK(lm_program_get(program, "dx", LM_F32, dx, SAMPLES * WIDTH));
    lm_program_free(program);
    lm_engine_free(engine);
    bench_release(&b);
}

static void test_dropout(void **state) {
    static float y[SAMPLES * WIDTH], dx[SAMPLES * WIDTH], later[SAMPLES * WIDTH];
    const double p = 0.3;
    int kept = 0;
    run_dropout(p, 0, 2.0f, y, dx);
    for (int i = 0; i < SAMPLES * WIDTH; i++) {
        if (y[i] != 0) kept++;
        assert_true(y[i] == 0 || fabs(y[i] - 2 / (1 - p)) < 1e-5);
        assert_true(fabs(y[i] - 2 * dx[i]) < 1e-5);
    }
    double share = kept / (double)(SAMPLES * WIDTH);
    assert_true(fabs(share - (1 - p)) < 5 * sqrt(p * (1 - p) / (SAMPLES * WIDTH)));
    /* Masks go with the global sample index: splitting a batch changes nothing. */
    run_dropout(p, 2, 2.0f, later, dx);
    assert_memory_equal(later, y + 2 * WIDTH, 2 * WIDTH * sizeof *y);
    assert_memory_not_equal(later, y, 2 * WIDTH * sizeof *y);
}

static void test_streams(void **state) {
    bench b;
    bench_init(&b);
    assert_int_equal(lm_nn_stream(&b.nn), 1000);
    assert_int_equal(lm_nn_stream(&b.nn), 1001);
    bench_release(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),    cmocka_unit_test(test_average_weights),
        cmocka_unit_test(test_failures), cmocka_unit_test(test_dropout),
        cmocka_unit_test(test_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
