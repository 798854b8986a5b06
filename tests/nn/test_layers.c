/* What golden values cannot show: names, sharing, dropout, failures. */
#include "testing.h"

#include "exec/exec.h"
#include "graph/grad.h"
#include "nn/spectral.h"
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
static lm_node *flat_map(lm_nn *nn, lm_node *x) {
    lm_conv_spec spec = {.kernel = 4, .stride = 2};
    x = lm_reshape(nn->graph, x, LM_SHAPE(10, 4, 6));
    return lm_nn_conv_transpose(nn, "up", x, 3, &spec);
}
static lm_node *odd_width(lm_nn *nn, lm_node *x) {
    return lm_nn_time_embedding(nn, lm_input(nn->graph, "t", LM_F32, LM_SHAPE(2)), 7,
                                1e4);
}

static lm_node *no_buffers(lm_nn *nn, lm_node *x) {
    nn->spectral = &lm_spectral_once;
    return lm_nn_dense(nn, "d", x, 3, true, LM_INIT(ZEROS, 0));
}
static lm_node *no_iterations(lm_nn *nn, lm_node *x) {
    nn->spectral = &(lm_spectral){0};
    return lm_nn_dense(nn, "d", x, 3, true, LM_INIT(ZEROS, 0));
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
                {flat_map, LM_SHAPE, "up: a convolution needs x[N,H,W,C]"},
                {odd_width, LM_ARG, "even width"},
                {no_buffers, LM_INTERNAL, "no buffers"},
                {no_iterations, LM_ARG, "0 iterations"}};
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

/* Against scipy.stats.truncnorm.ppf(norm.cdf(z), -t, t). */
static void test_truncation(void **state) {
    enum { COUNT = 5 };
    static const float z[COUNT] = {-3, -0.5f, 0, 1, 2.5f};
    static const struct {
        double bound, want[COUNT];
    } rows[] = {{0.5,
                 {-0.4985323174312611, -0.18482218859910068, 0, 0.3337328229307079,
                  0.4932573659803461}},
                {2,
                 {-1.9766852550819012, -0.47540509661380914, 0, 0.9377496925379273,
                  1.9005993423767096}}};
    for (int i = 0; i < 2; i++) {
        bench b;
        lm_engine *engine;
        lm_program *program;
        double got[COUNT];
        bench_init(&b);
        lm_node *x = lm_const_data(b.graph, LM_F32, LM_SHAPE(COUNT), z);
        lm_graph_output(b.graph, "y", lm_nn_truncate(b.graph, x, rows[i].bound));
        CHECK_OK(lm_engine_new("ref", &engine));
        CHECK_OK(lm_compile(engine, b.graph, NULL, &program));
        CHECK_OK(lm_program_run(program));
        CHECK_OK(lm_program_get(program, "y", LM_F64, got, COUNT));
        for (int k = 0; k < COUNT; k++)
            assert_true(fabs(got[k] - rows[i].want[k]) < 1e-6);
        lm_program_free(program);
        lm_engine_free(engine);
        bench_release(&b);
    }
}

/* ---- layers of generators ---------------------------------------------------- */

enum { MAX_VALUES = 4096 };

/* Small numbers without a pattern. */
static double value_at(int i) {
    return (double)((uint32_t)i * 2654435761u >> 16) / 32768 - 1;
}

/* y = layer(x) in f64, with x and every parameter from value_at. */
static void run_layer(bench *b, lm_node *x, lm_node *y, double *result) {
    static double values[MAX_VALUES];
    lm_engine *engine;
    lm_program *program;
    int64_t count = lm_shape_count(x->shape);
    for (int i = 0; i < MAX_VALUES; i++) values[i] = value_at(i);
    lm_graph_output(b->graph, "y", y);
    CHECK_OK(lm_graph_status(b->graph));
    assert_true(count <= MAX_VALUES && b->params->count <= MAX_VALUES);
    CHECK_OK(lm_engine_new("ref", &engine));
    CHECK_OK(lm_engine_add_var(engine, "model", b->params->count));
    CHECK_OK(lm_engine_write_var(engine, "model", 0, b->params->count, LM_F64, values));
    CHECK_OK(lm_compile(engine, b->graph, NULL, &program));
    CHECK_OK(lm_program_set(program, "x", LM_F64, values, count));
    CHECK_OK(lm_program_run(program));
    CHECK_OK(lm_program_get(program, "y", LM_F64, result, lm_shape_count(y->shape)));
    lm_program_free(program);
    lm_engine_free(engine);
}

/* Upsampling and convolution in one, or one after the other: the result, or the gradient
 * of its squares' sum by the weights, or by x. */
static lm_node *build_doubling(bench *b, lm_node *x, bool apart, int what) {
    enum { OUT = 3 };
    lm_conv_spec spec = {.kernel = 3, .stride = 1, .pad = 1, .bias = true};
    lm_node *y =
        apart ? lm_nn_conv(&b->nn, "l", lm_nn_upsample_nearest(&b->nn, x, 2), OUT, &spec)
              : lm_nn_upsample_conv(&b->nn, "l", x, OUT, spec.init);
    lm_scope_push(b->graph, "l");
    lm_node *w = lm_nn_param(&b->nn, "weight", LM_SHAPE(OUT, 3, 3, 2), spec.init);
    lm_scope_pop(b->graph);
    lm_node *d[2] = {y, y};
    if (what)
        CHECK_OK(lm_grad(b->graph, lm_sum_all(b->graph, lm_square(b->graph, y)), NULL, 2,
                         (lm_node *[]){w, x}, d));
    return d[what == 2];
}

static void test_upsample_conv(void **state) {
    double result[2][2 * 6 * 10 * 3];
    for (int what = 0; what < 3; what++) {
        int64_t count = 0;
        for (int apart = 0; apart < 2; apart++) {
            bench b;
            bench_init(&b);
            lm_node *x = lm_input(b.graph, "x", LM_F32, LM_SHAPE(2, 3, 5, 2));
            lm_node *y = build_doubling(&b, x, apart, what);
            count = lm_shape_count(y->shape);
            run_layer(&b, x, y, result[apart]);
            bench_release(&b);
        }
        for (int64_t i = 0; i < count; i++)
            assert_true(fabs(result[0][i] - result[1][i]) < 1e-11);
    }
}

/* Each channel by mean and biased variance over samples and positions. */
static void test_batch_norm(void **state) {
    enum { ROWS = 3 * 5 * 2, CHANNELS = 7 };
    static double y[ROWS * CHANNELS];
    const double eps = 1e-3;
    bench b;
    bench_init(&b);
    lm_node *x = lm_input(b.graph, "x", LM_F32, LM_SHAPE(3, 5, 2, CHANNELS));
    run_layer(&b, x, lm_nn_batch_norm(&b.nn, "n", x, eps), y);
    assert_non_null(lm_params_find(b.params, "n.gamma"));
    for (int c = 0; c < CHANNELS; c++) {
        double mean = 0, variance = 0;
        for (int r = 0; r < ROWS; r++) mean += value_at(r * CHANNELS + c) / ROWS;
        for (int r = 0; r < ROWS; r++)
            variance += pow(value_at(r * CHANNELS + c) - mean, 2) / ROWS;
        double gamma = value_at(c), beta = value_at(CHANNELS + c);
        for (int r = 0; r < ROWS; r++) {
            double xhat = (value_at(r * CHANNELS + c) - mean) / sqrt(variance + eps);
            assert_true(fabs(y[r * CHANNELS + c] - (gamma * xhat + beta)) < 1e-6);
        }
    }
    bench_release(&b);
}

/* Every input pixel adds its kernel to the output, stride apart. */
static void test_conv_transpose(void **state) {
    enum { N = 2, H = 3, W = 5, C = 3, OUT = 2, K = 4, OH = 2 * H, OW = 2 * W };
    static double y[N * OH * OW * OUT], want[N * OH * OW * OUT];
    const lm_conv_spec spec = {.kernel = K, .stride = 2, .pad = 1, .bias = true};
    bench b;
    bench_init(&b);
    lm_node *x = lm_input(b.graph, "x", LM_F32, LM_SHAPE(N, H, W, C));
    lm_node *up = lm_nn_conv_transpose(&b.nn, "up", x, OUT, &spec);
    assert_true(lm_shape_equal(up->shape, LM_SHAPE(N, OH, OW, OUT)));
    run_layer(&b, x, up, y);
    const lm_param_slice *weight = lm_params_find(b.params, "up.weight");
    assert_true(lm_shape_equal(weight->shape, LM_SHAPE(C, K, K, OUT)));
    int bias = (int)lm_params_find(b.params, "up.bias")->offset;
    for (int i = 0; i < N * OH * OW * OUT; i++) want[i] = value_at(bias + i % OUT);
    for (int i = 0; i < N * H * W * C * K * K * OUT; i++) {
        int o = i % OUT, kx = i / OUT % K, ky = i / OUT / K % K, c = i / OUT / K / K % C;
        int pixel = i / OUT / K / K / C, n = pixel / W / H;
        int oy = 2 * (pixel / W % H) + ky - 1, ox = 2 * (pixel % W) + kx - 1;
        if (oy < 0 || oy >= OH || ox < 0 || ox >= OW) continue;
        double w = value_at((int)weight->offset + ((c * K + ky) * K + kx) * OUT + o);
        want[((n * OH + oy) * OW + ox) * OUT + o] += value_at(pixel * C + c) * w;
    }
    for (int i = 0; i < N * OH * OW * OUT; i++) assert_true(fabs(y[i] - want[i]) < 1e-12);
    bench_release(&b);
}

/* ---- buffers ----------------------------------------------------------------- */

static int count_assigns(const lm_graph *g) {
    int count = 0, assigns = 0;
    const lm_named_node *roots = lm_graph_roots(g, &count);
    for (int i = 0; i < count; i++) assigns += roots[i].node->kind == LM_KIND_ASSIGN;
    return assigns;
}

/* A layer used twice leaves one value for each buffer; frozen, or outside of training, it
 * leaves none. */
static void test_buffers_updated(void **state) {
    const struct {
        bool train, frozen;
        int assigns; /* of batch norm's two and spectral norm's two buffers */
    } rows[] = {{true, false, 4}, {true, true, 0}, {false, false, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bench b;
        bench_init(&b);
        CHECK_OK(lm_params_new("buffers", &b.nn.buffers));
        b.nn.train = rows[i].train;
        b.nn.frozen = rows[i].frozen;
        b.nn.spectral = &lm_spectral_once;
        lm_node *x = lm_input(b.graph, "x", LM_F32, LM_SHAPE(3, 2));
        lm_node *x2 = lm_input(b.graph, "x2", LM_F32, LM_SHAPE(3, 2));
        for (int use = 0; use < 2; use++) {
            lm_node *h =
                lm_nn_dense(&b.nn, "d", use ? x2 : x, 4, true, LM_INIT(ZEROS, 0));
            assert_non_null(lm_nn_batch_norm(&b.nn, "n", h, 1e-5));
        }
        lm_graph_output(b.graph, "y", x);
        CHECK_OK(lm_verify(b.graph));
        assert_int_equal(b.nn.buffers->n_slices, 4);
        assert_int_equal(count_assigns(b.graph), rows[i].assigns);
        lm_params_free(b.nn.buffers);
        bench_release(&b);
    }
}

/* Where the power method begins must not be zero: of a random direction, length 1. */
static void test_spectral_start(void **state) {
    float values[4 + 18];
    bench b;
    bench_init(&b);
    CHECK_OK(lm_params_new("buffers", &b.nn.buffers));
    b.nn.spectral = &lm_spectral_once;
    lm_node *x = lm_input(b.graph, "x", LM_F32, LM_SHAPE(1, 3, 3, 2));
    lm_nn_conv(&b.nn, "c", x, 4, &(lm_conv_spec){.kernel = 3, .stride = 1});
    CHECK_OK(lm_graph_status(b.graph));
    const lm_param_slice *u = lm_params_find(b.nn.buffers, "c.u");
    const lm_param_slice *v = lm_params_find(b.nn.buffers, "c.v");
    assert_true(u && u->count == 4 && v && v->count == 18);
    CHECK_OK(lm_params_init(b.nn.buffers, 3, values));
    for (int i = 0; i < 2; i++) {
        const lm_param_slice *slice = i ? v : u;
        double square = 0;
        for (int64_t k = 0; k < slice->count; k++)
            square += pow(values[slice->offset + k], 2);
        assert_true(fabs(square - 1) < 1e-6);
        assert_true(fabs(values[slice->offset]) < 1);
    }
    lm_params_free(b.nn.buffers);
    bench_release(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),           cmocka_unit_test(test_average_weights),
        cmocka_unit_test(test_failures),        cmocka_unit_test(test_dropout),
        cmocka_unit_test(test_upsample_conv),   cmocka_unit_test(test_streams),
        cmocka_unit_test(test_batch_norm),      cmocka_unit_test(test_conv_transpose),
        cmocka_unit_test(test_buffers_updated), cmocka_unit_test(test_spectral_start),
        cmocka_unit_test(test_truncation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
