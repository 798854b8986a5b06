/* A small DDPM against PyTorch: prediction, loss, every gradient, and five AdamW steps
 * with clipping, weight decay and the running average. */
#include "golden/golden.h"

#include "exec/exec.h"
#include "families/ddpm.h"
#include "graph/grad.h"
#include "nn/optim.h"

#define SETTINGS                                                                         \
    "base=4 mult=1,2 blocks=1 attention=4 heads=2 groups=2 timesteps=50 schedule=cosine"

typedef struct bench {
    const golden_backend *backend;
    lm_safetensors file;
    lm_model *model;
    lm_params *params;
    lm_engine *engine;
    lm_graph *graph;
    lm_nn nn;
    lm_program *program;
} bench;

static void write_weights(bench *b, const char *var, const char *prefix) {
    for (int i = 0; i < b->params->n_slices; i++) {
        const lm_param_slice *slice = &b->params->slices[i];
        const lm_st_entry *entry = golden_find(&b->file, prefix, slice->name);
        assert_true(lm_shape_equal(entry->shape, slice->shape));
        double *values = golden_values(entry);
        CHECK_OK(lm_engine_write_var(b->engine, var, slice->offset, slice->count, LM_F64,
                                     values));
        free(values);
    }
}

static void check_weights(bench *b, const char *var, const char *prefix) {
    for (int i = 0; i < b->params->n_slices; i++) {
        const lm_param_slice *slice = &b->params->slices[i];
        double *values = malloc((size_t)slice->count * sizeof *values);
        assert_non_null(values);
        CHECK_OK(lm_engine_read_var(b->engine, var, slice->offset, slice->count, LM_F64,
                                    values));
        golden_check(b->backend->name, values, golden_find(&b->file, prefix, slice->name),
                     b->backend->tolerance);
        free(values);
    }
}

static void bench_init(bench *b, const golden_backend *backend) {
    static const char *const suffixes[] = {"", ".m", ".v", ".ema"};
    lm_settings settings;
    lm_image_info info = {8, 8, 3, 0};
    *b = (bench){.backend = backend};
    golden_open(&b->file, "unet.safetensors");
    CHECK_OK(lm_settings_init(&settings, lm_family_ddpm.options));
    CHECK_OK(lm_settings_apply(&settings, SETTINGS));
    CHECK_OK(lm_model_open(&lm_family_ddpm, &settings, &info, &b->model));
    b->params = b->model->groups[0];
    CHECK_OK(lm_engine_new(backend->name, &b->engine));
    for (int i = 0; i < 4; i++) {
        char name[32];
        snprintf(name, sizeof name, "model%s", suffixes[i]);
        CHECK_OK(lm_engine_add_var(b->engine, name, b->params->count));
    }
    write_weights(b, "model", "w/");
    write_weights(b, "model.ema", "w/");
    CHECK_OK(lm_graph_new(&b->graph));
    b->nn =
        (lm_nn){.graph = b->graph, .params = b->params, .var = "model", .train = true};
}

static void bench_release(bench *b) {
    lm_program_free(b->program);
    lm_graph_free(b->graph);
    lm_engine_free(b->engine);
    lm_model_close(b->model);
    lm_safetensors_release(&b->file);
}

static lm_node *input(bench *b, const char *name, lm_dtype dtype) {
    return lm_input(b->graph, name, dtype, golden_find(&b->file, "", name)->shape);
}

static void set_input(bench *b, const char *name) {
    const lm_st_entry *entry = golden_find(&b->file, "", name);
    double *values = golden_values(entry);
    CHECK_OK(
        lm_program_set(b->program, name, LM_F64, values, lm_shape_count(entry->shape)));
    free(values);
}

static void check_output(bench *b, const char *output, const lm_st_entry *entry) {
    int64_t count = lm_shape_count(entry->shape);
    double *values = malloc((size_t)count * sizeof *values);
    assert_non_null(values);
    CHECK_OK(lm_program_get(b->program, output, LM_F64, values, count));
    golden_check(b->backend->name, values, entry, b->backend->tolerance);
    free(values);
}

static lm_node *build_loss(bench *b) {
    lm_node *loss = lm_ddpm_loss_at(b->model, &b->nn, input(b, "x", LM_F32),
                                    input(b, "t", LM_I32), input(b, "noise", LM_F32));
    lm_graph_output(b->graph, "loss", loss);
    return loss;
}

static void compile_and_set(bench *b) {
    static const char *const names[] = {"x", "t", "noise", "noisy"};
    CHECK_OK(lm_graph_status(b->graph));
    CHECK_OK(lm_compile(b->engine, b->graph, NULL, &b->program));
    for (int i = 0; i < 4; i++)
        if (lm_program_has_input(b->program, names[i])) set_input(b, names[i]);
}

static void test_names(void **state) {
    bench b;
    bench_init(&b, &golden_backends[0]);
    int golden = 0;
    for (int i = 0; i < b.file.n_entries; i++)
        golden += strncmp(b.file.entries[i].name, "w/", 2) == 0;
    assert_int_equal(golden, b.params->n_slices);
    bench_release(&b);
}

static void test_prediction(void **state) {
    bench b;
    bench_init(&b, *state);
    lm_node *t = lm_cast(b.graph, input(&b, "t", LM_I32), LM_F32);
    lm_node *y = lm_ddpm_predict(b.model, &b.nn, input(&b, "noisy", LM_F32), t);
    lm_graph_output(b.graph, "epsilon", y);
    compile_and_set(&b);
    CHECK_OK(lm_program_run(b.program));
    check_output(&b, "epsilon", golden_find(&b.file, "", "epsilon"));
    bench_release(&b);
}

static void test_gradients(void **state) {
    bench b;
    bench_init(&b, *state);
    int count = b.params->n_slices;
    lm_node **wrt = malloc((size_t)count * sizeof *wrt);
    lm_node **grad = malloc((size_t)count * sizeof *grad);
    assert_true(wrt && grad);
    lm_node *loss = build_loss(&b);
    for (int i = 0; i < count; i++)
        wrt[i] = lm_param(b.graph, "model", b.params->slices[i].offset,
                          b.params->slices[i].shape);
    CHECK_OK(lm_grad(b.graph, loss, NULL, count, wrt, grad));
    for (int i = 0; i < count; i++)
        lm_graph_output(b.graph, b.params->slices[i].name, grad[i]);
    compile_and_set(&b);
    CHECK_OK(lm_program_run(b.program));
    check_output(&b, "loss", golden_find(&b.file, "", "loss"));
    for (int i = 0; i < count; i++) {
        const char *name = b.params->slices[i].name;
        check_output(&b, name, golden_find(&b.file, "dw/", name));
    }
    free(grad);
    free(wrt);
    bench_release(&b);
}

static void test_training(void **state) {
    const lm_optim_spec spec = {
        .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-5, .weight_decay = 0.02, .clip = 1};
    enum { STEPS = 5 };
    double losses[STEPS], norms[STEPS];
    bench b;
    bench_init(&b, *state);
    CHECK_OK(lm_optim_adamw(&b.nn, build_loss(&b), &spec));
    compile_and_set(&b);
    for (int i = 0; i < STEPS; i++) {
        float scalars[LM_OPTIM_SCALARS];
        lm_optim_scalars(&spec, i + 1, 3e-3, 0.75, scalars);
        CHECK_OK(
            lm_program_set(b.program, "model.step", LM_F32, scalars, LM_OPTIM_SCALARS));
        CHECK_OK(lm_program_run(b.program));
        losses[i] = lm_program_scalar(b.program, "loss");
        norms[i] = lm_program_scalar(b.program, "model.grad_norm");
    }
    golden_check(b.backend->name, losses, golden_find(&b.file, "", "losses"),
                 b.backend->tolerance);
    golden_check(b.backend->name, norms, golden_find(&b.file, "", "norms"),
                 b.backend->tolerance);
    check_weights(&b, "model", "final/");
    check_weights(&b, "model.ema", "ema/");
    bench_release(&b);
}

int main(void) {
    void *ref = (void *)&golden_backends[0], *cpu = (void *)&golden_backends[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        {"ref prediction", test_prediction, NULL, NULL, ref},
        {"cpu prediction", test_prediction, NULL, NULL, cpu},
        {"ref gradients", test_gradients, NULL, NULL, ref},
        {"cpu gradients", test_gradients, NULL, NULL, cpu},
        {"ref training", test_training, NULL, NULL, ref},
        {"cpu training", test_training, NULL, NULL, cpu},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
