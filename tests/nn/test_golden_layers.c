/* Every layer, forward and all gradients, against PyTorch. */
#include "golden/golden.h"

#include "exec/exec.h"
#include "graph/grad.h"
#include "nn/nn.h"

#define INIT LM_INIT(ZEROS, 0)
#define CONV(K, S, P, BIAS, EXTRA)                                                       \
    &(lm_conv_spec) {                                                                    \
        K, S, P, BIAS, INIT, EXTRA                                                       \
    }

typedef lm_node *builder(lm_nn *nn, lm_node *const *in);

/* X(case, layer) */
#define CASES(X)                                                                         \
    X(dense, lm_nn_dense(nn, "l", in[0], 7, true, INIT))                                 \
    X(dense_nobias, lm_nn_dense(nn, "l", in[0], 3, false, INIT))                         \
    X(conv3, lm_nn_conv(nn, "l", in[0], 5, CONV(3, 1, 1, true, 0)))                      \
    X(conv1, lm_nn_conv(nn, "l", in[0], 4, CONV(1, 1, 0, false, 0)))                     \
    X(conv5_stride2, lm_nn_conv(nn, "l", in[0], 3, CONV(5, 2, 2, true, 0)))              \
    X(conv3_same2, lm_nn_conv(nn, "l", in[0], 6, CONV(3, 2, 0, true, 1)))                \
    X(group_norm, lm_nn_group_norm(nn, "l", in[0], 3, 1e-6, false))                      \
    X(group_norm_silu, lm_nn_group_norm(nn, "l", in[0], 4, 1e-6, true))                  \
    X(layer_norm, lm_nn_layer_norm(nn, "l", in[0], 1e-5))                                \
    X(attention, lm_nn_attention(nn, "l", in[0], 1, 2))                                  \
    X(attention_heads, lm_nn_attention(nn, "l", in[0], 3, 1))                            \
    X(embedding, lm_nn_embedding(nn, "l", in[0], 6, 5, INIT))                            \
    X(time_embedding, lm_nn_time_embedding(nn, in[0], 10, 10000))                        \
    X(upsample, lm_nn_upsample_nearest(nn, in[0], 2))                                    \
    X(avg_pool, lm_nn_avg_pool(nn, in[0], 3))                                            \
    X(space_to_depth, lm_nn_space_to_depth(nn, in[0], 2))                                \
    X(depth_to_space, lm_nn_depth_to_space(nn, in[0], 2))                                \
    X(dropout_off, lm_nn_dropout(nn, in[0], 0.5))                                        \
    X(mse, lm_reshape(nn->graph, lm_nn_mse(nn, in[0], in[1]), LM_SHAPE(1)))

#define X(name, layer)                                                                   \
    static lm_node *build_##name(lm_nn *nn, lm_node *const *in) {                        \
        return layer;                                                                    \
    }
CASES(X)
#undef X

static const struct {
    const char *name;
    builder *build;
} cases[] = {
#define X(name, layer) {#name, build_##name},
    CASES(X)
#undef X
};
enum { N_CASES = sizeof cases / sizeof *cases, MAX_WRT = 16 };

typedef struct bench {
    const char *name;
    const golden_backend *backend;
    lm_safetensors *file;
    lm_params *params;
    lm_engine *engine;
    lm_program *program;
    const lm_st_entry *in[2];
    int n_in;
} bench;

static const lm_st_entry *find(const bench *b, const char *kind, const char *name) {
    char prefix[128];
    snprintf(prefix, sizeof prefix, "%s/%s", b->name, kind);
    return golden_find(b->file, prefix, name);
}

static const char *input_name(const lm_st_entry *entry) {
    return strrchr(entry->name, '/') + 1;
}

static void find_inputs(bench *b) {
    char prefix[128];
    size_t length = (size_t)snprintf(prefix, sizeof prefix, "%s/in/", b->name);
    for (int i = 0; i < b->file->n_entries; i++)
        if (strncmp(b->file->entries[i].name, prefix, length) == 0)
            b->in[b->n_in++] = &b->file->entries[i];
    assert_in_range(b->n_in, 1, 2);
}

/* Outputs "y", and the gradients as "din/NAME" and "dw/NAME". */
static void build(bench *b, builder *layer, lm_graph *g) {
    lm_nn nn = {.graph = g, .params = b->params, .var = "model"};
    lm_node *in[2] = {NULL, NULL}, *wrt[MAX_WRT], *grad[MAX_WRT];
    char names[MAX_WRT][64];
    int count = 0;
    for (int i = 0; i < b->n_in; i++) {
        in[i] = lm_input(g, input_name(b->in[i]), b->in[i]->dtype, b->in[i]->shape);
        if (b->in[i]->dtype != LM_F32) continue;
        snprintf(names[count], sizeof *names, "din/%s", input_name(b->in[i]));
        wrt[count++] = in[i];
    }
    lm_node *y = layer(&nn, in);
    lm_graph_output(g, "y", y);
    CHECK_OK(lm_graph_status(g));
    for (int i = 0; i < b->params->n_slices; i++) {
        const lm_param_slice *slice = &b->params->slices[i];
        snprintf(names[count], sizeof *names, "dw/%s", slice->name);
        wrt[count++] = lm_param(g, "model", slice->offset, slice->shape);
    }
    lm_node *cotangent = lm_input(g, "cotangent", LM_F32, y->shape);
    CHECK_OK(lm_grad(g, y, cotangent, count, wrt, grad));
    for (int i = 0; i < count; i++) lm_graph_output(g, names[i], grad[i]);
    CHECK_OK(lm_graph_status(g));
}

static void set_input(bench *b, const char *name, const lm_st_entry *entry) {
    double *values = golden_values(entry);
    CHECK_OK(
        lm_program_set(b->program, name, LM_F64, values, lm_shape_count(entry->shape)));
    free(values);
}

static void set_weights(bench *b) {
    for (int i = 0; i < b->params->n_slices; i++) {
        const lm_param_slice *slice = &b->params->slices[i];
        const lm_st_entry *entry = find(b, "w/", slice->name);
        assert_true(lm_shape_equal(entry->shape, slice->shape));
        double *values = golden_values(entry);
        CHECK_OK(lm_engine_write_var(b->engine, "model", slice->offset, slice->count,
                                     LM_F64, values));
        free(values);
    }
}

static void check_output(bench *b, const char *output) {
    const lm_st_entry *entry = find(b, "", output);
    lm_shape shape;
    CHECK_OK(lm_program_output_shape(b->program, output, &shape));
    assert_true(lm_shape_equal(shape, entry->shape));
    int64_t count = lm_shape_count(shape);
    double *values = malloc((size_t)count * sizeof *values);
    assert_non_null(values);
    CHECK_OK(lm_program_get(b->program, output, LM_F64, values, count));
    golden_check(b->backend->name, values, entry, b->backend->tolerance);
    free(values);
}

static void check_all(bench *b) {
    char name[64];
    check_output(b, "y");
    for (int i = 0; i < b->n_in; i++) {
        if (b->in[i]->dtype != LM_F32) continue;
        snprintf(name, sizeof name, "din/%s", input_name(b->in[i]));
        check_output(b, name);
    }
    for (int i = 0; i < b->params->n_slices; i++) {
        snprintf(name, sizeof name, "dw/%s", b->params->slices[i].name);
        check_output(b, name);
    }
}

static void check_case(lm_safetensors *file, const golden_backend *backend, int which) {
    bench b = {.name = cases[which].name, .backend = backend, .file = file};
    lm_graph *g;
    find_inputs(&b);
    CHECK_OK(lm_graph_new(&g));
    CHECK_OK(lm_params_new("model", &b.params));
    build(&b, cases[which].build, g);
    CHECK_OK(lm_engine_new(backend->name, &b.engine));
    if (b.params->count > 0)
        CHECK_OK(lm_engine_add_var(b.engine, "model", b.params->count));
    CHECK_OK(lm_compile(b.engine, g, NULL, &b.program));
    lm_graph_free(g);

    set_weights(&b);
    for (int i = 0; i < b.n_in; i++) set_input(&b, input_name(b.in[i]), b.in[i]);
    set_input(&b, "cotangent", find(&b, "", "g"));
    CHECK_OK(lm_program_run(b.program));
    check_all(&b);

    lm_program_free(b.program);
    lm_engine_free(b.engine);
    lm_params_free(b.params);
}

typedef struct choice {
    const golden_backend *backend;
    int which;
} choice;

static void test_case(void **state) {
    const choice *chosen = *state;
    lm_safetensors file;
    golden_open(&file, "layers.safetensors");
    check_case(&file, chosen->backend, chosen->which);
    lm_safetensors_release(&file);
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
