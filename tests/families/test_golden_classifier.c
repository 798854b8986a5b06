/* A small classifier against PyTorch: features, logits, loss and every gradient. */
#include "golden/program.h"

#include "families/classifier.h"
#include "graph/grad.h"

#define SETTINGS  "channels=4,6 blocks=2 patch=2 features=5"
#define SMOOTHING 0.15

typedef struct bench {
    const golden_backend *backend;
    lm_safetensors file;
    lm_model *model;
    const lm_params *params;
    lm_engine *engine;
    lm_graph *graph;
    lm_nn nn;
} bench;

static void bench_init(bench *b, const golden_backend *backend) {
    lm_settings settings;
    const lm_image_info info = {8, 12, 3, 4};
    *b = (bench){.backend = backend};
    golden_open(&b->file, "classifier.safetensors");
    CHECK_OK(lm_settings_init(&settings, lm_family_classifier.options));
    CHECK_OK(lm_settings_apply(&settings, SETTINGS));
    CHECK_OK(lm_model_open(&lm_family_classifier, &settings, &info, &b->model));
    b->params = b->model->groups[0];
    CHECK_OK(lm_engine_new(backend->name, &b->engine));
    CHECK_OK(lm_engine_add_var(b->engine, "model", b->params->count));
    for (int i = 0; i < b->params->n_slices; i++) {
        const lm_param_slice *slice = &b->params->slices[i];
        const lm_st_entry *entry = golden_find(&b->file, "w/", slice->name);
        assert_true(lm_shape_equal(entry->shape, slice->shape));
        double *values = golden_values(entry);
        CHECK_OK(lm_engine_write_var(b->engine, "model", slice->offset, slice->count,
                                     LM_F64, values));
        free(values);
    }
    CHECK_OK(lm_graph_new(&b->graph));
    b->nn = (lm_nn){.graph = b->graph, .params = b->model->groups[0], .var = "model"};
}

static void bench_release(bench *b) {
    lm_graph_free(b->graph);
    lm_engine_free(b->engine);
    lm_model_close(b->model);
    lm_safetensors_release(&b->file);
}

static lm_class_nodes apply(bench *b) {
    lm_shape shape = golden_find(&b->file, "", "x")->shape;
    return lm_classifier_apply(b->model, &b->nn, lm_input(b->graph, "x", LM_F32, shape));
}

static lm_program *compile_and_run(bench *b) {
    lm_program *program;
    CHECK_OK(lm_graph_status(b->graph));
    CHECK_OK(lm_compile(b->engine, b->graph, NULL, &program));
    golden_set(program, "x", golden_find(&b->file, "", "x"));
    if (lm_program_has_input(program, "labels"))
        golden_set(program, "labels", golden_find(&b->file, "", "labels"));
    CHECK_OK(lm_program_run(program));
    return program;
}

static void has_the_same_parameters(void **state) {
    bench b;
    bench_init(&b, &golden_backends[0]);
    int golden = 0;
    for (int i = 0; i < b.file.n_entries; i++)
        golden += strncmp(b.file.entries[i].name, "w/", 2) == 0;
    assert_int_equal(golden, b.params->n_slices);
    bench_release(&b);
}

static void makes_the_same_features(void **state) {
    bench b;
    bench_init(&b, *state);
    lm_class_nodes made = apply(&b);
    lm_graph_output(b.graph, "features", made.features);
    lm_graph_output(b.graph, "logits", made.logits);
    lm_program *program = compile_and_run(&b);
    static const char *const names[] = {"features", "logits"};
    for (int i = 0; i < 2; i++)
        golden_check_output(program, b.backend, names[i],
                            golden_find(&b.file, "", names[i]));
    lm_program_free(program);
    bench_release(&b);
}

static void has_the_same_gradients(void **state) {
    enum { MOST = 64 };
    bench b;
    bench_init(&b, *state);
    int count = b.params->n_slices;
    lm_node *wrt[MOST], *grad[MOST];
    assert_true(count <= MOST);
    lm_node *labels = lm_input(b.graph, "labels", LM_I32, LM_SHAPE(3));
    lm_node *loss = lm_classifier_loss_at(b.graph, apply(&b).logits, labels, SMOOTHING);
    lm_graph_output(b.graph, "loss", loss);
    for (int i = 0; i < count; i++)
        wrt[i] = lm_param(b.graph, "model", b.params->slices[i].offset,
                          b.params->slices[i].shape);
    CHECK_OK(lm_grad(b.graph, loss, NULL, count, wrt, grad));
    for (int i = 0; i < count; i++)
        lm_graph_output(b.graph, b.params->slices[i].name, grad[i]);
    lm_program *program = compile_and_run(&b);
    golden_check_output(program, b.backend, "loss", golden_find(&b.file, "", "loss"));
    for (int i = 0; i < count; i++) {
        const char *name = b.params->slices[i].name;
        golden_check_output(program, b.backend, name, golden_find(&b.file, "dw/", name));
    }
    lm_program_free(program);
    bench_release(&b);
}

int main(void) {
    void *ref = (void *)&golden_backends[0], *cpu = (void *)&golden_backends[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_the_same_parameters),
        {"ref features", makes_the_same_features, NULL, NULL, ref},
        {"cpu features", makes_the_same_features, NULL, NULL, cpu},
        {"ref gradients", has_the_same_gradients, NULL, NULL, ref},
        {"cpu gradients", has_the_same_gradients, NULL, NULL, cpu},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
