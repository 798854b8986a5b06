#include "golden_model.h"
#include "opening.h"

#include "graph/grad.h"

/* PREFIX and NAME, behind what the case's names begin with. */
static const lm_st_entry *find(golden_model *b, const char *prefix, const char *name) {
    char full[128];
    snprintf(full, sizeof full, "%s%s", b->at, prefix);
    return golden_find(&b->file, full, name);
}

int golden_count(const char *name, const char *ending) {
    lm_safetensors file;
    golden_open(&file, name);
    int count = 0;
    for (int i = 0; i < file.n_entries; i++) {
        size_t length = strlen(file.entries[i].name);
        count += length > strlen(ending) &&
                 strcmp(file.entries[i].name + length - strlen(ending), ending) == 0;
    }
    lm_safetensors_release(&file);
    return count;
}

const lm_st_entry *golden_tensor(golden_model *b, const char *name) {
    return find(b, "", name);
}

static const char *var_of(const lm_params *group, const char *suffix, char name[64]) {
    snprintf(name, 64, "%s%s", group->name, suffix);
    return name;
}

static void write_group(golden_model *b, const lm_params *group, const char *var) {
    for (int i = 0; i < group->n_slices; i++) {
        const lm_param_slice *slice = &group->slices[i];
        const lm_st_entry *entry = find(b, "w/", slice->name);
        assert_true(lm_shape_equal(entry->shape, slice->shape));
        double *values = golden_values(entry);
        CHECK_OK(lm_engine_write_var(b->engine, var, slice->offset, slice->count, LM_F64,
                                     values));
        free(values);
    }
}

static void check_group(golden_model *b, const lm_params *group, const char *var,
                        const char *prefix) {
    for (int i = 0; i < group->n_slices; i++) {
        const lm_param_slice *slice = &group->slices[i];
        double *values = malloc((size_t)slice->count * sizeof *values);
        assert_non_null(values);
        CHECK_OK(lm_engine_read_var(b->engine, var, slice->offset, slice->count, LM_F64,
                                    values));
        golden_check(b->backend->name, values, find(b, prefix, slice->name),
                     b->backend->tolerance);
        free(values);
    }
}

void golden_check_weights(golden_model *b, const char *suffix, const char *prefix) {
    char name[64];
    for (int i = 0; i < b->model->n_groups; i++)
        check_group(b, b->model->groups[i], var_of(b->model->groups[i], suffix, name),
                    prefix);
}

static void add_group(golden_model *b, const lm_params *group) {
    static const char *const suffixes[] = {"", ".ema", ".m", ".v"};
    char name[64];
    for (int i = 0; i < 4; i++) {
        var_of(group, suffixes[i], name);
        CHECK_OK(lm_engine_add_var(b->engine, name, group->count));
        if (i < 2) write_group(b, group, name);
    }
}

/* As training begins. */
static void add_buffers(golden_model *b) {
    const lm_params *buffers = b->model->buffers;
    if (!buffers) return;
    float *values = malloc(sizeof *values * (size_t)buffers->count);
    assert_non_null(values);
    CHECK_OK(lm_params_init(buffers, 0, values));
    CHECK_OK(lm_engine_add_var(b->engine, buffers->name, buffers->count));
    CHECK_OK(
        lm_engine_write_var(b->engine, buffers->name, 0, buffers->count, LM_F32, values));
    free(values);
}

static void begin_graph(golden_model *b, int group) {
    lm_params *params = b->model->groups[group];
    CHECK_OK(lm_graph_new(&b->graph));
    b->nn =
        (lm_nn){.graph = b->graph, .params = params, .var = params->name, .train = true};
}

void golden_model_init(golden_model *b, const golden_backend *backend,
                       const golden_case *which) {
    *b = (golden_model){.backend = backend, .at = which->at};
    golden_open(&b->file, which->file);
    CHECK_OK(open_model(which->family, which->settings, "", which->info, &b->model));
    b->params = b->model->groups[0];
    CHECK_OK(lm_engine_new(backend->name, &b->engine));
    for (int i = 0; i < b->model->n_groups; i++) add_group(b, b->model->groups[i]);
    add_buffers(b);
    begin_graph(b, 0);
}

void golden_next_graph(golden_model *b, int group) {
    lm_program_free(b->program);
    lm_graph_free(b->graph);
    b->program = NULL;
    begin_graph(b, group);
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

void golden_add_gradients(golden_model *b, int group, lm_node *loss) {
    const lm_params *params = b->model->groups[group];
    int count = params->n_slices;
    lm_node **wrt = malloc((size_t)count * sizeof *wrt);
    lm_node **grad = malloc((size_t)count * sizeof *grad);
    assert_true(wrt && grad);
    for (int i = 0; i < count; i++)
        wrt[i] = lm_param(b->graph, params->name, params->slices[i].offset,
                          params->slices[i].shape);
    CHECK_OK(lm_grad(b->graph, loss, NULL, count, wrt, grad));
    for (int i = 0; i < count; i++)
        if (find_gradient(b, &params->slices[i]))
            lm_graph_output(b->graph, params->slices[i].name, grad[i]);
    free(grad);
    free(wrt);
}

void golden_check_gradients(golden_model *b, int group) {
    const lm_params *params = b->model->groups[group];
    int checked = 0;
    for (int i = 0; i < params->n_slices; i++) {
        const lm_st_entry *entry = find_gradient(b, &params->slices[i]);
        if (!entry) continue;
        golden_check_output(b, params->slices[i].name, entry);
        checked++;
    }
    assert_true(checked > 0);
}
