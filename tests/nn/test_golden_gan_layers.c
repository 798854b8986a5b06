/* Layers with buffers against PyTorch's: up to three steps of training and what follows,
 * with results, gradients and the buffers after each. */
#include "golden/golden.h"

#include "exec/exec.h"
#include "graph/grad.h"
#include "nn/nn.h"
#include "nn/spectral.h"

#define INIT LM_INIT(ZEROS, 0)
#define SPEC_3                                                                           \
    &(lm_conv_spec) {                                                                    \
        .kernel = 3, .stride = 1, .pad = 1, .bias = true                                 \
    }
#define SPEC_4                                                                           \
    &(lm_conv_spec) {                                                                    \
        .kernel = 4, .stride = 2, .pad = 1                                               \
    }
#define SPEC_4_BIAS                                                                      \
    &(lm_conv_spec) {                                                                    \
        .kernel = 4, .stride = 2, .pad = 1, .bias = true                                 \
    }
#define EPS 1e-5

static const lm_spectral twice = {.iterations = 2, .eps = 1e-12};

static lm_node *pick_rows(lm_graph *g) {
    return lm_const_data(g, LM_I32, LM_SHAPE(3), (int32_t[]){2, 0, 2});
}

/* One layer, whose buffers follow first x and then x2. */
static lm_node *normalise_both(lm_nn *nn, lm_node *x, lm_node *x2) {
    lm_node *y = lm_nn_batch_norm(nn, "l", x, EPS);
    return lm_add(nn->graph, y, lm_nn_batch_norm(nn, "l", x2, EPS));
}

static lm_node *normalise_by_class(lm_nn *nn, lm_node *x) {
    static const float known[4][2] = {{1, -0.5f}, {0, 0}, {0.25f, 2}, {1, -0.5f}};
    lm_node *class = lm_const_data(nn->graph, LM_F32, LM_SHAPE(4, 2), known);
    return lm_nn_conditional_batch_norm(nn, "l", x, class, EPS);
}

/* The squared length of a small discriminator's gradient by what it sees; groups 0: batch
 * norm, negative: none. */
static lm_node *penalise(lm_nn *nn, lm_node *x, int groups) {
    lm_graph *g = nn->graph;
    lm_node *dx = NULL, *y = lm_nn_conv(nn, "a", x, 4, SPEC_3);
    if (groups > 0) y = lm_nn_group_norm(nn, "l", y, groups, EPS, false);
    if (groups == 0) y = lm_nn_batch_norm(nn, "l", y, EPS);
    y = lm_nn_conv(nn, "b", lm_leaky_relu(g, y, 0.2), 2, SPEC_3);
    y = lm_sum_all(g, lm_ew1(g, LM_EW_SOFTPLUS, y));
    if (!y || lm_grad(g, y, NULL, 1, &x, &dx) != LM_OK) return NULL;
    return lm_reshape(g, lm_sum_all(g, lm_square(g, dx)), LM_SHAPE(1));
}

/* The same of one layer's gradient. */
static lm_node *penalise_layer(lm_nn *nn, lm_node *x, lm_node *y) {
    lm_graph *g = nn->graph;
    lm_node *dx = NULL;
    y = lm_sum_all(g, lm_ew1(g, LM_EW_SOFTPLUS, lm_leaky_relu(g, y, 0.2)));
    if (!y || lm_grad(g, y, NULL, 1, &x, &dx) != LM_OK) return NULL;
    return lm_reshape(g, lm_sum_all(g, lm_square(g, dx)), LM_SHAPE(1));
}

/* X(case, spectral norm, layer) */
#define CASES(X)                                                                         \
    X(batch_norm, NULL, lm_nn_batch_norm(nn, "l", x, EPS))                               \
    X(batch_norm_rows, NULL, lm_nn_batch_norm(nn, "l", x, EPS))                          \
    X(batch_norm_twice, NULL, normalise_both(nn, x, x2))                                 \
    X(conditional_batch_norm, NULL, normalise_by_class(nn, x))                           \
    X(penalty_batch, NULL, penalise(nn, x, 0))                                           \
    X(penalty_layer, NULL, penalise(nn, x, 1))                                           \
    X(penalty_instance, NULL, penalise(nn, x, 4))                                        \
    X(penalty_spectral, &lm_spectral_once, penalise(nn, x, -1))                          \
    X(penalty_conv, NULL, penalise_layer(nn, x, lm_nn_conv(nn, "l", x, 3, SPEC_3)))      \
    X(penalty_conv4, NULL,                                                               \
      penalise_layer(nn, x, lm_nn_conv(nn, "l", x, 3, SPEC_4_BIAS)))                     \
    X(penalty_transpose, NULL,                                                           \
      penalise_layer(nn, x, lm_nn_conv_transpose(nn, "l", x, 3, SPEC_4_BIAS)))           \
    X(penalty_upsample, NULL,                                                            \
      penalise_layer(nn, x, lm_nn_upsample_conv(nn, "l", x, 3, INIT)))                   \
    X(penalty_dense, NULL,                                                               \
      penalise_layer(nn, x, lm_nn_dense(nn, "l", x, 4, true, INIT)))                     \
    X(penalty_attention, NULL, penalise_layer(nn, x, lm_nn_attention(nn, "l", x, 2, 2))) \
    X(spectral_dense, &lm_spectral_once, lm_nn_dense(nn, "l", x, 4, true, INIT))         \
    X(spectral_conv, &lm_spectral_once, lm_nn_conv(nn, "l", x, 4, SPEC_3))               \
    X(spectral_twice, &twice, lm_nn_conv(nn, "l", x, 2, SPEC_3))                         \
    X(spectral_conv_transpose, &lm_spectral_once,                                        \
      lm_nn_conv_transpose(nn, "l", x, 2, SPEC_4))                                       \
    X(spectral_upsample_conv, &lm_spectral_once,                                         \
      lm_nn_upsample_conv(nn, "l", x, 2, INIT))                                          \
    X(spectral_embedding, &lm_spectral_once,                                             \
      lm_nn_embedding(nn, "l", pick_rows(nn->graph), 4, 3, INIT))

#define X(name, spectral, layer)                                                         \
    static lm_node *build_##name(lm_nn *nn, lm_node *x, lm_node *x2) {                   \
        return layer;                                                                    \
    }
CASES(X)
#undef X

static const struct {
    const char *name;
    const lm_spectral *spectral;
    lm_node *(*build)(lm_nn *nn, lm_node *x, lm_node *x2);
} cases[] = {
#define X(name, spectral, layer) {#name, spectral, build_##name},
    CASES(X)
#undef X
};
enum { N_CASES = sizeof cases / sizeof *cases, N_IN = 2, MAX_WRT = 16 };

static const char *const in_names[N_IN] = {"x", "x2"};
static const char *const steps[] = {"0", "1", "2", "other"};
enum { N_STEPS = sizeof steps / sizeof *steps, OTHER = N_STEPS - 1 };

typedef struct bench {
    int which;
    const golden_backend *backend;
    lm_safetensors file;
    lm_params *params, *buffers;
    lm_engine *engine;
} bench;

/* CASE/STEP/KIND/NAME; NULL: the file has none. */
static const lm_st_entry *look_up(const bench *b, const char *step, const char *kind,
                                  const char *name) {
    char full[128];
    snprintf(full, sizeof full, "%s/%s/%s%s", cases[b->which].name, step, kind, name);
    return lm_safetensors_find(&b->file, full);
}

static void write_slices(bench *b, const lm_params *params, const char *step,
                         const char *kind) {
    for (int i = 0; i < params->n_slices; i++) {
        const lm_param_slice *slice = &params->slices[i];
        const lm_st_entry *entry = look_up(b, step, kind, slice->name);
        assert_non_null(entry);
        assert_true(lm_shape_equal(entry->shape, slice->shape));
        double *values = golden_values(entry);
        CHECK_OK(lm_engine_write_var(b->engine, params->name, slice->offset, slice->count,
                                     LM_F64, values));
        free(values);
    }
}

static void check_buffers(bench *b, const char *step) {
    for (int i = 0; i < b->buffers->n_slices; i++) {
        const lm_param_slice *slice = &b->buffers->slices[i];
        double values[64];
        assert_true(slice->count <= 64);
        CHECK_OK(lm_engine_read_var(b->engine, "buffers", slice->offset, slice->count,
                                    LM_F64, values));
        golden_check(b->backend->name, values, look_up(b, step, "buffer/", slice->name),
                     b->backend->tolerance);
    }
}

static void add_gradients(bench *b, lm_graph *g, lm_node *y, lm_node *const *in) {
    lm_node *wrt[MAX_WRT], *grad[MAX_WRT];
    char names[MAX_WRT][64];
    int count = 0;
    for (int i = 0; i < N_IN; i++) {
        if (!in[i]) continue;
        snprintf(names[count], sizeof *names, "din/%s", in_names[i]);
        wrt[count++] = in[i];
    }
    for (int i = 0; i < b->params->n_slices; i++) {
        const lm_param_slice *slice = &b->params->slices[i];
        snprintf(names[count], sizeof *names, "dw/%s", slice->name);
        wrt[count++] = lm_param(g, "model", slice->offset, slice->shape);
    }
    CHECK_OK(lm_grad(g, y, lm_input(g, "g", LM_F32, y->shape), count, wrt, grad));
    for (int i = 0; i < count; i++)
        if (grad[i]) lm_graph_output(g, names[i], grad[i]);
}

static lm_graph *build(bench *b, bool train) {
    lm_graph *g;
    CHECK_OK(lm_graph_new(&g));
    lm_nn nn = {.graph = g,
                .params = b->params,
                .var = "model",
                .buffers = b->buffers,
                .train = train,
                .spectral = cases[b->which].spectral};
    lm_node *in[N_IN] = {NULL};
    for (int i = 0; i < N_IN; i++) {
        const lm_st_entry *entry = look_up(b, "0", "in/", in_names[i]);
        if (entry) in[i] = lm_input(g, in_names[i], LM_F32, entry->shape);
    }
    lm_node *y = cases[b->which].build(&nn, in[0], in[1]);
    lm_graph_output(g, "y", y);
    CHECK_OK(lm_graph_status(g));
    add_gradients(b, g, y, in);
    CHECK_OK(lm_graph_status(g));
    return g;
}

static void set_input(bench *b, lm_program *program, const char *name,
                      const lm_st_entry *entry) {
    if (!lm_program_has_input(program, name)) return;
    double *values = golden_values(entry);
    CHECK_OK(lm_program_set(program, name, LM_F64, values, lm_shape_count(entry->shape)));
    free(values);
}

static void run_step(bench *b, lm_program *program, const char *step) {
    const char *name;
    write_slices(b, b->params, step, "w/");
    for (int i = 0; i < N_IN; i++)
        set_input(b, program, in_names[i], look_up(b, step, "in/", in_names[i]));
    set_input(b, program, "g", look_up(b, step, "", "g"));
    CHECK_OK(lm_program_run(program));
    for (int i = 0; (name = lm_program_output_name(program, i)) != NULL; i++) {
        const lm_st_entry *entry = look_up(b, step, "", name);
        if (!entry) fail_msg("no golden value %s in step %s", name, step);
        int64_t count = lm_shape_count(entry->shape);
        double *values = malloc((size_t)count * sizeof *values);
        assert_non_null(values);
        CHECK_OK(lm_program_get(program, name, LM_F64, values, count));
        golden_check(b->backend->name, values, entry, b->backend->tolerance);
        free(values);
    }
    check_buffers(b, step);
}

static void check_case(const golden_backend *backend, int which) {
    bench b = {.which = which, .backend = backend};
    lm_program *train, *other;
    golden_open(&b.file, "gan_layers.safetensors");
    CHECK_OK(lm_params_new("model", &b.params));
    CHECK_OK(lm_params_new("buffers", &b.buffers));
    lm_graph *graphs[2] = {build(&b, true), build(&b, false)};
    CHECK_OK(lm_engine_new(backend->name, &b.engine));
    CHECK_OK(lm_engine_add_var(b.engine, "model", b.params->count));
    if (b.buffers->count > 0)
        CHECK_OK(lm_engine_add_var(b.engine, "buffers", b.buffers->count));
    CHECK_OK(lm_compile(b.engine, graphs[0], NULL, &train));
    CHECK_OK(lm_compile(b.engine, graphs[1], NULL, &other));
    write_slices(&b, b.buffers, "start", "");
    for (int i = 0; i < N_STEPS; i++)
        if (i == 0 || i == OTHER || look_up(&b, steps[i], "", "y"))
            run_step(&b, i == OTHER ? other : train, steps[i]);
    for (int i = 0; i < 2; i++) lm_graph_free(graphs[i]);
    lm_program_free(train);
    lm_program_free(other);
    lm_engine_free(b.engine);
    lm_params_free(b.params);
    lm_params_free(b.buffers);
    lm_safetensors_release(&b.file);
}

typedef struct choice {
    const golden_backend *backend;
    int which;
} choice;

static void test_case(void **state) {
    const choice *chosen = *state;
    check_case(chosen->backend, chosen->which);
}

int main(void) {
    static char names[GOLDEN_BACKENDS * N_CASES][64];
    static choice choices[GOLDEN_BACKENDS * N_CASES];
    static struct CMUnitTest tests[GOLDEN_BACKENDS * N_CASES];
    for (int i = 0; i < GOLDEN_BACKENDS * N_CASES; i++) {
        choices[i] = (choice){&golden_backends[i / N_CASES], i % N_CASES};
        snprintf(names[i], sizeof *names, "%s %s", choices[i].backend->name,
                 cases[i % N_CASES].name);
        tests[i] = (struct CMUnitTest){names[i], test_case, NULL, NULL, &choices[i]};
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
