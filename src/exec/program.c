/* Running a program: inputs, steps, outputs. */
#include "base/clock.h"
#include "base/mem.h"
#include "exec/exec_internal.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

lm_status lm_fail_at_node(lm_status status, const lm_node *node) {
    lm_str text = LM_STR_INIT;
    lm_node_text(node, &text);
    if (lm_str_text(&text)) lm_fail_context(status, "%s", lm_str_text(&text));
    lm_str_release(&text);
    return status;
}

static lm_status check_count(const char *what, const char *name, const lm_node *node,
                             int64_t count) {
    int64_t has = lm_shape_count(node->shape);
    if (count == has) return LM_OK;
    char shape[LM_SHAPE_TEXT];
    return lm_fail(LM_SHAPE,
                   "%s '%s' is %s%s: %" PRId64 " elements expected, %" PRId64 " given",
                   what, name, lm_dtype_name(node->dtype),
                   lm_shape_text(node->shape, shape), has, count);
}

/* ---- inputs ------------------------------------------------------------------ */

static lm_input_slot *find_input(const lm_program *program, const char *name) {
    for (int i = 0; i < program->plan.n_inputs; i++)
        if (!strcmp(program->inputs[i]->node->attr.name, name)) return program->inputs[i];
    return NULL;
}

bool lm_program_has_input(const lm_program *program, const char *input) {
    return find_input(program, input) != NULL;
}

lm_status lm_program_set(lm_program *program, const char *input, lm_dtype dtype,
                         const void *from, int64_t count) {
    lm_input_slot *slot = find_input(program, input);
    if (!slot) {
        for (const char **name = program->declared; *name; name++)
            if (!strcmp(*name, input)) return LM_OK;
        return lm_fail_unknown("input", input, program->declared);
    }
    LM_TRY(check_count("input", input, slot->node, count));
    lm_backend *backend = program->engine->backend;
    backend->upload(backend, slot->memory, slot->node->dtype, from, dtype, count);
    slot->is_set = true;
    return LM_OK;
}

/* ---- running ----------------------------------------------------------------- */

lm_status lm_program_begin(lm_program *program) {
    for (int i = 0; i < program->plan.n_inputs; i++)
        LM_RETURN_IF(!program->inputs[i]->is_set, LM_ARG, "input '%s' was never set",
                     program->inputs[i]->node->attr.name);
    LM_TRY(lm_engine_reserve(program->engine, program->plan.arena_bytes));
    lm_program_bind(program);
    program->engine->latest = NULL;
    lm_program_poison_all(program);
    return LM_OK;
}

static uint64_t version_of(const lm_engine *engine, int source) {
    if (source >= 0) return engine->vars[source].version;
    return source == LM_CHANGES_NEVER ? 1 : 0;
}

lm_status lm_program_run_step(lm_program *program, int s) {
    const lm_step *step = &program->schedule.steps[s];
    lm_bound_step *bound = &program->bound[s];
    if (!program->plan.skip[s]) {
        for (int i = 0; i < step->n_in; i++)
            bound->version[i] = version_of(program->engine, bound->versions_of[i]);
        lm_kernel *kernel = &program->kernels[s];
        lm_kernel_args args = {bound->in, bound->version, bound->out, bound->workspace};
        double start = program->profiling ? lm_now() : 0;
        lm_status status = kernel->run(kernel, &args);
        if (status != LM_OK) return lm_fail_at_node(status, step->out[0]);
        if (program->profiling) {
            bound->seconds += lm_now() - start;
            bound->runs++;
        }
    }
    lm_program_poison_after(program, s);
    return LM_OK;
}

lm_status lm_program_run(lm_program *program) {
    double start = program->profiling ? lm_now() : 0;
    LM_TRY(lm_program_begin(program));
    lm_status status = LM_OK;
    for (int s = 0; s < program->schedule.n_steps && status == LM_OK; s++)
        status = lm_program_run_step(program, s);
    /* A failed run may have written some of them. */
    int n_vars = lm_graph_var_count(program->graph);
    for (int var = 0; var < n_vars; var++)
        if (program->is_assigned[var])
            program->engine->vars[program->variable[var]].version++;
    if (status == LM_OK) program->engine->latest = program;
    if (program->profiling) program->seconds += lm_now() - start;
    return status;
}

/* ---- outputs ----------------------------------------------------------------- */

static lm_status find_output(const lm_program *program, const char *name,
                             const lm_node **node) {
    for (int i = 0; i < program->n_outputs; i++)
        if (!strcmp(program->outputs[i].name, name)) {
            *node = program->outputs[i].node;
            return LM_OK;
        }
    const char **names = lm_calloc((size_t)program->n_outputs + 1, sizeof *names);
    if (!names) return LM_NOMEM;
    for (int i = 0; i < program->n_outputs; i++) names[i] = program->outputs[i].name;
    lm_status status = lm_fail_unknown("output", name, names);
    lm_free(names);
    return status;
}

lm_status lm_program_get(lm_program *program, const char *output, lm_dtype dtype,
                         void *to, int64_t count) {
    const lm_node *node;
    LM_TRY(find_output(program, output, &node));
    LM_TRY(check_count("output", output, node, count));
    LM_RETURN_IF(program->engine->latest != program, LM_ARG,
                 "output '%s': the program has not run, or another ran after it", output);
    lm_backend *backend = program->engine->backend;
    backend->download(backend, to, dtype, lm_program_address(program, node), node->dtype,
                      count);
    return LM_OK;
}

lm_status lm_program_output_shape(const lm_program *program, const char *output,
                                  lm_shape *shape) {
    const lm_node *node;
    LM_TRY(find_output(program, output, &node));
    *shape = node->shape;
    return LM_OK;
}

const char *lm_program_output_name(const lm_program *program, int index) {
    return index < program->n_outputs ? program->outputs[index].name : NULL;
}

double lm_program_scalar(lm_program *program, const char *output) {
    double value;
    return lm_program_get(program, output, LM_F64, &value, 1) == LM_OK ? value : NAN;
}
