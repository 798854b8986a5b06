/* From a graph to a program: passes, schedule, kernels, plan, addresses. */
#include "base/clock.h"
#include "base/mem.h"
#include "exec/exec_internal.h"
#include "passes/passes.h"

#ifdef NDEBUG
enum { IS_DEBUG = 0 };
#else
enum { IS_DEBUG = 1 };
#endif

/* ---- passes ------------------------------------------------------------------ */

static bool keep_call(void *user, const lm_node *call) {
    lm_program *program = user;
    lm_backend *backend = program->engine->backend;
    return !program->options.inline_all && backend->has_composite(backend, call);
}

static lm_status simplify(lm_program *program, lm_graph *from, lm_graph **to) {
    return program->options.no_simplify ? lm_pass_copy(from, to)
                                        : lm_pass_simplify(from, to);
}

static lm_status inline_calls(lm_program *program, lm_graph *from, lm_graph **to) {
    return lm_pass_inline(from, keep_call, program, to);
}

static lm_status join_conv(lm_program *program, lm_graph *from, lm_graph **to) {
    return lm_pass_join_conv(from, keep_call, program, to);
}

static lm_status share_sums(lm_program *program, lm_graph *from, lm_graph **to) {
    return program->options.no_simplify ? lm_pass_copy(from, to)
                                        : lm_pass_share_sums(from, to);
}

/* Simplified again after inlining, since bodies meet what surrounds their calls. */
static const struct {
    const char *name;
    lm_status (*run)(lm_program *program, lm_graph *from, lm_graph **to);
} passes[] = {
    {"simplify", simplify},   {"inline", inline_calls},   {"simplify", simplify},
    {"join_conv", join_conv}, {"share_sums", share_sums},
};

/* Whether an assign overwrites what this value, a slice of a variable, shows. */
static bool is_overwritten(const lm_graph *graph, const lm_node *value) {
    const lm_node *read = lm_view_root(value, NULL);
    if (read->kind != LM_KIND_PARAM) return false;
    int count;
    const lm_named_node *roots = lm_graph_roots(graph, &count);
    for (int i = 0; i < count; i++)
        if (roots[i].node->kind == LM_KIND_ASSIGN &&
            lm_params_overlap(read, roots[i].node->src[0]))
            return true;
    return false;
}

/* p := q and q := p would each have to wait for the other, so such an assign takes a copy
 * that is made before. */
static lm_status copy_overwritten(lm_graph *graph) {
    int count;
    const lm_named_node *roots = lm_graph_roots(graph, &count);
    lm_named_node *changed = lm_calloc((size_t)count + 1, sizeof *changed);
    if (!changed) return LM_NOMEM;
    for (int i = 0; i < count; i++) {
        lm_node *node = roots[i].node;
        changed[i] = roots[i];
        if (node->kind != LM_KIND_ASSIGN || !is_overwritten(graph, node->src[1]))
            continue;
        lm_node *src[] = {node->src[0], lm_ew1(graph, LM_EW_STOP, node->src[1])};
        changed[i].node = lm_rebuild(graph, graph, node, src);
    }
    lm_status status = lm_graph_status(graph);
    if (status == LM_OK) status = lm_graph_set_roots(graph, changed, count);
    lm_free(changed);
    return status;
}

/* The first pass copies, so the caller's graph stays as it is. */
static lm_status run_passes(lm_program *program, lm_graph *graph) {
    LM_TRY(lm_graph_status(graph));
    LM_TRY(lm_verify(graph));
    for (size_t i = 0; i < sizeof passes / sizeof *passes; i++) {
        lm_graph *result = NULL;
        LM_TRY(passes[i].run(program, i == 0 ? graph : program->graph, &result));
        lm_graph_free(program->graph);
        program->graph = result;
        lm_status status = program->options.check ? lm_verify(result) : LM_OK;
        if (status != LM_OK) return lm_fail_context(status, "after %s", passes[i].name);
    }
    return copy_overwritten(program->graph);
}

/* ---- options of schedule and plan -------------------------------------------- */

static lm_schedule_options schedule_options(const lm_program *program) {
    return (lm_schedule_options){
        .fuse = program->engine->backend->clusters && !program->options.no_fuse,
        .reorder = !program->options.no_reorder,
    };
}

static lm_plan_options plan_options(const lm_program *program) {
    return (lm_plan_options){
        .element_size = program->engine->backend->element_size,
        .in_place = !program->options.no_in_place,
        .reuse = !program->options.no_reuse,
    };
}

static lm_status repeat(lm_program *program) {
    int64_t least = program->options.repeat_least;
    if (program->options.no_repeat || program->options.no_reuse) return LM_OK;
    lm_repeat_options options = {
        .schedule = schedule_options(program),
        .plan = plan_options(program),
        .least = least > 0 ? least : 64 << 10,
    };
    lm_graph *result = NULL;
    LM_TRY(lm_pass_repeat(program->graph, &options, &result));
    lm_graph_free(program->graph);
    program->graph = result;
    lm_status status = program->options.check ? lm_verify(result) : LM_OK;
    return status == LM_OK ? LM_OK : lm_fail_context(status, "after repeat");
}

/* ---- kernels and plan -------------------------------------------------------- */

static lm_status schedule(lm_program *program) {
    lm_schedule_options options = schedule_options(program);
    return lm_schedule_build(program->graph, &options, &program->schedule);
}

static lm_status lower(lm_program *program) {
    lm_backend *backend = program->engine->backend;
    int n_steps = program->schedule.n_steps;
    program->kernels =
        lm_arena_alloc(&program->memory, (size_t)(n_steps + 1) * sizeof(lm_kernel));
    if (!program->kernels) return LM_NOMEM;
    for (int i = 0; i < n_steps; i++) {
        LM_TRY(
            backend->lower(backend, &program->schedule.steps[i], &program->kernels[i]));
        program->n_kernels++;
    }
    return LM_OK;
}

static lm_status plan(lm_program *program) {
    size_t *workspace = lm_arena_alloc(
        &program->memory, (size_t)(program->n_kernels + 1) * sizeof *workspace);
    if (!workspace) return LM_NOMEM;
    for (int i = 0; i < program->n_kernels; i++)
        workspace[i] = program->kernels[i].workspace;
    lm_plan_options options = plan_options(program);
    options.workspace = workspace;
    LM_TRY(lm_plan_build(&program->schedule, &options, &program->plan));
    return program->options.check
               ? lm_plan_check(&program->schedule, &options, &program->plan)
               : LM_OK;
}

/* ---- programs ---------------------------------------------------------------- */

/* The inputs that the caller knows of, needed or not. */
static lm_status list_declared(lm_program *program, const lm_graph *graph) {
    int size = lm_graph_size(graph), count = 0;
    program->declared =
        lm_arena_alloc(&program->memory, (size_t)(size + 1) * sizeof(char *));
    if (!program->declared) return LM_NOMEM;
    for (int i = 0; i < size; i++) {
        const lm_node *node = lm_graph_node(graph, i);
        if (node->kind != LM_KIND_INPUT) continue;
        char *name = lm_arena_strdup(&program->memory, node->attr.name);
        if (!name) return LM_NOMEM;
        program->declared[count++] = name;
    }
    return LM_OK;
}

static lm_status build(lm_program *program, lm_graph *graph) {
    LM_TRY(run_passes(program, graph));
    LM_TRY(repeat(program));
    LM_TRY(list_declared(program, graph));
    LM_TRY(lm_program_find_vars(program));
    LM_TRY(schedule(program));
    LM_TRY(lower(program));
    LM_TRY(plan(program));
    LM_TRY(lm_program_place(program));
    LM_TRY(lm_program_make_steps(program));
    if (program->options.poison) LM_TRY(lm_program_list_dying(program));
    /* Reserving now tells early that memory is out. It would destroy the results of an
     * earlier program, though; then it waits until this one runs. */
    lm_engine *engine = program->engine;
    return engine->latest ? LM_OK : lm_engine_reserve(engine, program->plan.arena_bytes);
}

lm_status lm_program_build(lm_engine *engine, lm_graph *graph,
                           const lm_compile_options *options, lm_program *parent,
                           lm_program **program) {
    double start = lm_now();
    *program = NULL;
    lm_program *made = lm_calloc(1, sizeof *made);
    if (!made) return LM_NOMEM;
    made->engine = engine;
    made->parent = parent;
    if (options) made->options = *options;
    made->options.poison |= IS_DEBUG;
    made->options.check |= IS_DEBUG;
    lm_status status = build(made, graph);
    if (status != LM_OK) {
        lm_program_free(made);
        return status;
    }
    made->compile_seconds = lm_now() - start;
    *program = made;
    return LM_OK;
}

lm_status lm_compile(lm_engine *engine, lm_graph *graph,
                     const lm_compile_options *options, lm_program **program) {
    return lm_program_build(engine, graph, options, NULL, program);
}

void lm_program_free(lm_program *program) {
    if (!program) return;
    lm_program_free(program->probe);
    if (program->engine->latest == program) program->engine->latest = NULL;
    for (int i = 0; i < program->n_kernels; i++)
        if (program->kernels[i].release)
            program->kernels[i].release(&program->kernels[i]);
    lm_program_unplace(program);
    lm_plan_release(&program->plan);
    lm_schedule_release(&program->schedule);
    lm_graph_free(program->graph);
    lm_arena_release(&program->memory);
    lm_free(program);
}
