/* Where a program's values live: engine variables, own inputs and constants, the arena.
 */
#include "base/mem.h"
#include "exec/exec_internal.h"
#include <inttypes.h>
#include <string.h>

/* ---- variables --------------------------------------------------------------- */

static lm_status find_var(lm_program *program, const lm_node *param) {
    lm_engine *engine = program->engine;
    int var = param->attr.param.var;
    const char *name = lm_graph_var_name(program->graph, var);
    int index = lm_engine_find_var(engine, name);
    if (index < 0) return lm_engine_no_var(engine, name);
    int64_t has = engine->vars[index].count;
    int64_t end = param->attr.param.offset + lm_shape_count(param->shape);
    LM_RETURN_IF(end > has, LM_SHAPE,
                 "variable '%s' has %" PRId64 " elements, the slice ends at %" PRId64,
                 name, has, end);
    program->variable[var] = index;
    return LM_OK;
}

static lm_status visit_param(lm_program *program, const lm_node *node) {
    if (node->kind == LM_KIND_ASSIGN)
        program->is_assigned[node->src[0]->attr.param.var] = true;
    if (node->kind != LM_KIND_PARAM) return LM_OK;
    lm_status status = find_var(program, node);
    return status == LM_OK ? LM_OK : lm_fail_at_node(status, node);
}

lm_status lm_program_find_vars(lm_program *program) {
    size_t count = (size_t)lm_graph_var_count(program->graph) + 1;
    program->variable = lm_arena_alloc(&program->memory, count * sizeof(int));
    program->is_assigned = lm_arena_alloc(&program->memory, count * sizeof(bool));
    if (!program->variable || !program->is_assigned) return LM_NOMEM;
    lm_node **nodes;
    LM_TRY(lm_topological(program->graph, &nodes, &program->n_nodes));
    lm_status status = LM_OK;
    for (int i = 0; i < program->n_nodes && status == LM_OK; i++)
        status = visit_param(program, nodes[i]);
    lm_free(nodes);
    return status;
}

/* ---- inputs, constants, outputs ---------------------------------------------- */

/* A probe reads what its parent was given. */
static lm_input_slot *slot_of_parent(const lm_program *parent, const lm_node *node) {
    for (int i = 0; i < parent->plan.n_inputs; i++)
        if (!strcmp(parent->inputs[i]->node->attr.name, node->attr.name))
            return parent->inputs[i];
    return NULL;
}

static lm_status place_input(lm_program *program, int i) {
    lm_node *node = program->plan.inputs[i];
    for (int other = 0; other < i; other++)
        if (!strcmp(program->plan.inputs[other]->attr.name, node->attr.name))
            return lm_fail(LM_ARG, "input '%s' has two shapes or types in one graph",
                           node->attr.name);
    if (program->parent) {
        program->inputs[i] = slot_of_parent(program->parent, node);
        return program->inputs[i] ? LM_OK
                                  : lm_fail(LM_INTERNAL, "input '%s': unknown to a probe",
                                            node->attr.name);
    }
    lm_input_slot *slot = lm_arena_alloc(&program->memory, sizeof *slot);
    if (!slot) return LM_NOMEM;
    slot->node = node;
    program->inputs[i] = slot;
    return lm_engine_alloc(program->engine, node->dtype, lm_shape_count(node->shape),
                           &slot->memory);
}

static lm_status place_constant(lm_program *program, int i) {
    lm_engine *engine = program->engine;
    const lm_node *node = program->plan.constants[i];
    int64_t count = lm_shape_count(node->shape);
    LM_TRY(lm_engine_alloc(engine, node->dtype, count, &program->constants[i]));
    program->constant_bytes += (int64_t)lm_engine_size(engine, node->dtype, count);
    void *memory = program->constants[i];
    if (node->attr.constant.data)
        engine->backend->upload(engine->backend, memory, node->dtype,
                                node->attr.constant.data, node->dtype, count);
    else
        lm_engine_fill(engine, memory, node->dtype, count, node->attr.constant.value);
    return LM_OK;
}

static lm_status list_outputs(lm_program *program) {
    int count;
    const lm_named_node *roots = lm_graph_roots(program->graph, &count);
    program->outputs =
        lm_arena_alloc(&program->memory, (size_t)(count + 1) * sizeof *program->outputs);
    if (!program->outputs) return LM_NOMEM;
    for (int i = 0; i < count; i++)
        if (roots[i].node->kind != LM_KIND_ASSIGN)
            program->outputs[program->n_outputs++] = roots[i];
    return LM_OK;
}

lm_status lm_program_place(lm_program *program) {
    lm_plan *plan = &program->plan;
    lm_arena *memory = &program->memory;
    program->inputs =
        lm_arena_alloc(memory, (size_t)(plan->n_inputs + 1) * sizeof *program->inputs);
    program->constants = lm_arena_alloc(memory, (size_t)(plan->n_constants + 1) *
                                                    sizeof *program->constants);
    if (!program->inputs || !program->constants) return LM_NOMEM;
    for (int i = 0; i < plan->n_inputs; i++) LM_TRY(place_input(program, i));
    for (int i = 0; i < plan->n_constants; i++) LM_TRY(place_constant(program, i));
    return list_outputs(program);
}

void lm_program_unplace(lm_program *program) {
    lm_engine *engine = program->engine;
    for (int i = 0; program->inputs && !program->parent && i < program->plan.n_inputs;
         i++)
        if (program->inputs[i]) lm_engine_dealloc(engine, program->inputs[i]->memory);
    for (int i = 0; program->constants && i < program->plan.n_constants; i++)
        lm_engine_dealloc(engine, program->constants[i]);
}

/* ---- addresses --------------------------------------------------------------- */

void *lm_program_address(const lm_program *program, const lm_node *node) {
    /* What an assign computes is the slice itself. */
    if (node->kind == LM_KIND_ASSIGN) node = node->src[0];
    const lm_engine *engine = program->engine;
    const lm_location *at = &program->plan.of[node->id];
    void *base = NULL;
    switch (at->place) {
    case LM_PLACE_NONE:
        return NULL;
    case LM_PLACE_ARENA:
        base = engine->arena;
        break;
    case LM_PLACE_VAR:
        base = engine->vars[program->variable[at->index]].memory;
        break;
    case LM_PLACE_INPUT:
        base = program->inputs[at->index]->memory;
        break;
    case LM_PLACE_CONST:
        base = program->constants[at->index];
        break;
    }
    return (char *)base + at->offset;
}

/* Values that the plan put into a variable change at each run; only parameters and their
 * views stay until the variable is written. */
static int version_source(const lm_program *program, const lm_node *node) {
    const lm_location *at = &program->plan.of[node->id];
    if (at->place == LM_PLACE_CONST) return LM_CHANGES_NEVER;
    if (at->place != LM_PLACE_VAR) return LM_CHANGES_ALWAYS;
    const lm_node *root = lm_view_root(node, NULL);
    return root->kind == LM_KIND_PARAM ? program->variable[at->index] : LM_CHANGES_ALWAYS;
}

static lm_status make_step(lm_program *program, const lm_step *step,
                           lm_bound_step *bound) {
    lm_arena *memory = &program->memory;
    size_t n_in = (size_t)step->n_in + 1, n_out = (size_t)step->n_out + 1;
    bound->in = lm_arena_alloc(memory, n_in * sizeof *bound->in);
    bound->version = lm_arena_alloc(memory, n_in * sizeof *bound->version);
    bound->versions_of = lm_arena_alloc(memory, n_in * sizeof *bound->versions_of);
    bound->out = lm_arena_alloc(memory, n_out * sizeof *bound->out);
    if (!bound->in || !bound->version || !bound->versions_of || !bound->out)
        return LM_NOMEM;
    for (int i = 0; i < step->n_in; i++)
        bound->versions_of[i] = version_source(program, step->in[i]);
    return LM_OK;
}

lm_status lm_program_make_steps(lm_program *program) {
    int n_steps = program->schedule.n_steps;
    program->bound =
        lm_arena_alloc(&program->memory, (size_t)(n_steps + 1) * sizeof *program->bound);
    if (!program->bound) return LM_NOMEM;
    for (int i = 0; i < n_steps; i++)
        LM_TRY(make_step(program, &program->schedule.steps[i], &program->bound[i]));
    return LM_OK;
}

void lm_program_bind(lm_program *program) {
    lm_engine *engine = program->engine;
    if (program->bound_to == engine->arena_generation) return;
    for (int s = 0; s < program->schedule.n_steps; s++) {
        const lm_step *step = &program->schedule.steps[s];
        lm_bound_step *bound = &program->bound[s];
        for (int i = 0; i < step->n_in; i++)
            bound->in[i] = lm_program_address(program, step->in[i]);
        for (int i = 0; i < step->n_out; i++)
            bound->out[i] = lm_program_address(program, step->out[i]);
        int64_t workspace = program->plan.workspace[s];
        bound->workspace = workspace < 0 ? NULL : (char *)engine->arena + workspace;
    }
    program->bound_to = engine->arena_generation;
}
