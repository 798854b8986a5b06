#include "golden_model.h"

#include "graph/grad.h"

/* PREFIX and NAME, behind what the case's names begin with. */
static const lm_st_entry *find(golden_model *b, const char *prefix, const char *name) {
    char full[128];
    snprintf(full, sizeof full, "%s%s", b->at, prefix);
    return golden_find(&b->file, full, name);
}

const lm_st_entry *golden_tensor(golden_model *b, const char *name) {
    return find(b, "", name);
}

static void write_weights(golden_model *b, const char *var, const char *prefix) {
    for (int i = 0; i < b->params->n_slices; i++) {
        const lm_param_slice *slice = &b->params->slices[i];
        const lm_st_entry *entry = find(b, prefix, slice->name);
        assert_true(lm_shape_equal(entry->shape, slice->shape));
        double *values = golden_values(entry);
        CHECK_OK(lm_engine_write_var(b->engine, var, slice->offset, slice->count, LM_F64,
                                     values));
        free(values);
    }
}

void golden_check_weights(golden_model *b, const char *var, const char *prefix) {
    for (int i = 0; i < b->params->n_slices; i++) {
        const lm_param_slice *slice = &b->params->slices[i];
        double *values = malloc((size_t)slice->count * sizeof *values);
        assert_non_null(values);
        CHECK_OK(lm_engine_read_var(b->engine, var, slice->offset, slice->count, LM_F64,
                                    values));
        golden_check(b->backend->name, values, find(b, prefix, slice->name),
                     b->backend->tolerance);
        free(values);
    }
}

void golden_model_init(golden_model *b, const golden_backend *backend,
                       const golden_case *which) {
    static const char *const suffixes[] = {"", ".m", ".v", ".ema"};
    lm_settings settings;
    *b = (golden_model){.backend = backend, .at = which->at};
    golden_open(&b->file, which->file);
    CHECK_OK(lm_settings_init(&settings, which->family->options));
    CHECK_OK(lm_settings_apply(&settings, which->settings));
    CHECK_OK(lm_model_open(which->family, &settings, &which->info, &b->model));
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

void golden_model_release(golden_model *b) {
    lm_program_free(b->program);
    lm_graph_free(b->graph);
    lm_engine_free(b->engine);
    lm_model_close(b->model);
    lm_safetensors_release(&b->file);
}

lm_node *golden_input(golden_model *b, const char *name, lm_dtype dtype) {
    return lm_input(b->graph, name, dtype, golden_tensor(b, name)->shape);
}

void golden_compile(golden_model *b) {
    CHECK_OK(lm_graph_status(b->graph));
    CHECK_OK(lm_compile(b->engine, b->graph, NULL, &b->program));
    for (int i = 0; i < b->file.n_entries; i++) {
        const lm_st_entry *entry = &b->file.entries[i];
        size_t skip = strlen(b->at);
        if (strncmp(entry->name, b->at, skip) != 0) continue;
        const char *name = entry->name + skip;
        if (!lm_program_has_input(b->program, name)) continue;
        double *values = golden_values(entry);
        CHECK_OK(lm_program_set(b->program, name, LM_F64, values,
                                lm_shape_count(entry->shape)));
        free(values);
    }
}

void golden_check_output(golden_model *b, const char *output, const lm_st_entry *entry) {
    int64_t count = lm_shape_count(entry->shape);
    double *values = malloc((size_t)count * sizeof *values);
    assert_non_null(values);
    CHECK_OK(lm_program_get(b->program, output, LM_F64, values, count));
    golden_check(b->backend->name, values, entry, b->backend->tolerance);
    free(values);
}

/* Whether the file has a gradient of the slice. */
static const lm_st_entry *find_gradient(golden_model *b, const lm_param_slice *slice) {
    char name[256];
    snprintf(name, sizeof name, "%sdw/%s", b->at, slice->name);
    return lm_safetensors_find(&b->file, name);
}

void golden_add_gradients(golden_model *b, lm_node *loss) {
    int count = b->params->n_slices;
    lm_node **wrt = malloc((size_t)count * sizeof *wrt);
    lm_node **grad = malloc((size_t)count * sizeof *grad);
    assert_true(wrt && grad);
    for (int i = 0; i < count; i++)
        wrt[i] = lm_param(b->graph, "model", b->params->slices[i].offset,
                          b->params->slices[i].shape);
    CHECK_OK(lm_grad(b->graph, loss, NULL, count, wrt, grad));
    for (int i = 0; i < count; i++)
        if (find_gradient(b, &b->params->slices[i]))
            lm_graph_output(b->graph, b->params->slices[i].name, grad[i]);
    free(grad);
    free(wrt);
}

void golden_check_gradients(golden_model *b) {
    int checked = 0;
    for (int i = 0; i < b->params->n_slices; i++) {
        const lm_st_entry *entry = find_gradient(b, &b->params->slices[i]);
        if (!entry) continue;
        golden_check_output(b, b->params->slices[i].name, entry);
        checked++;
    }
    assert_true(checked > 0);
}
