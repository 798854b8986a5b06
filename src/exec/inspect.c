/* Looking into a program: statistics, listing, the search for bad numbers. */
#include "base/mem.h"
#include "exec/exec_internal.h"
#include "passes/passes.h"
#include <inttypes.h>
#include <math.h>

/* ---- statistics -------------------------------------------------------------- */

lm_program_stats lm_program_get_stats(const lm_program *program) {
    lm_program_stats stats = {
        .n_nodes = program->n_nodes,
        .n_steps = program->schedule.n_steps,
        .arena_bytes = program->plan.arena_bytes,
        .constant_bytes = program->constant_bytes,
        .compile_seconds = program->compile_seconds,
    };
    for (int s = 0; s < program->schedule.n_steps; s++) {
        const lm_kernel *kernel = &program->kernels[s];
        stats.n_clusters += program->schedule.steps[s].cluster;
        if (program->plan.skip[s]) continue;
        if ((int64_t)kernel->workspace > stats.workspace_bytes)
            stats.workspace_bytes = (int64_t)kernel->workspace;
        stats.flops += kernel->flops;
        stats.bytes += kernel->bytes;
    }
    return stats;
}

/* ---- listing ----------------------------------------------------------------- */

static void print_place(const lm_program *program, const lm_node *node, lm_str *out) {
    if (node->kind == LM_KIND_ASSIGN) node = node->src[0];
    const lm_location *at = &program->plan.of[node->id];
    static const char *const words[] = {
        [LM_PLACE_NONE] = "nowhere",   [LM_PLACE_ARENA] = "arena",
        [LM_PLACE_VAR] = "var",        [LM_PLACE_INPUT] = "input",
        [LM_PLACE_CONST] = "constant",
    };
    lm_str_printf(out, " %s", words[at->place]);
    if (at->place == LM_PLACE_VAR)
        lm_str_printf(out, " %s", lm_graph_var_name(program->graph, at->index));
    lm_str_printf(out, "+%" PRId64, at->offset);
}

lm_status lm_program_print(const lm_program *program, lm_str *out) {
    for (int s = 0; s < program->schedule.n_steps; s++) {
        const lm_step *step = &program->schedule.steps[s];
        lm_str_printf(out, "%4d  %-28s", s,
                      program->plan.skip[s] ? "-" : program->kernels[s].name);
        for (int o = 0; o < step->n_out; o++) {
            lm_str_append(out, o ? ", " : " ");
            lm_node_text(step->out[o], out);
            lm_str_append(out, " ->");
            print_place(program, step->out[o], out);
        }
        if (step->cluster) lm_str_printf(out, " (%d nodes)", step->n_nodes);
        lm_str_append(out, "\n");
    }
    return out->failed ? LM_NOMEM : LM_OK;
}

/* ---- bad numbers ------------------------------------------------------------- */

/* The probe computes what the program computes, with every value in memory and without
 * assigns: their values become outputs. Nothing can then be planned into a variable, so
 * the variables stay as they are. Each value is looked at right after its step, so memory
 * may be used again as ever. */
static lm_status remove_assigns(lm_graph *graph) {
    int count;
    const lm_named_node *roots = lm_graph_roots(graph, &count);
    lm_named_node *values = lm_calloc((size_t)count + 1, sizeof *values);
    lm_arena names = LM_ARENA_INIT;
    lm_status status = values ? LM_OK : LM_NOMEM;
    for (int i = 0; i < count && status == LM_OK; i++) {
        values[i] = roots[i];
        if (roots[i].node->kind != LM_KIND_ASSIGN) continue;
        values[i].node = roots[i].node->src[1];
        values[i].name = lm_arena_printf(&names, "(assign %d)", i);
        if (!values[i].name) status = LM_NOMEM;
    }
    if (status == LM_OK) status = lm_graph_set_roots(graph, values, count);
    lm_arena_release(&names);
    lm_free(values);
    return status;
}

static lm_status make_probe(lm_program *program) {
    if (program->probe) return LM_OK;
    lm_compile_options options = program->options;
    options.no_fuse = options.no_simplify = true;
    lm_graph *graph = NULL;
    lm_status status = lm_pass_copy(program->graph, &graph);
    if (status == LM_OK) status = remove_assigns(graph);
    if (status == LM_OK)
        status =
            lm_program_build(program->engine, graph, &options, program, &program->probe);
    lm_graph_free(graph);
    return status;
}

static int64_t count_nonfinite(const lm_program *program, const lm_node *node) {
    enum { BLOCK = 512 };
    double block[BLOCK];
    lm_backend *backend = program->engine->backend;
    const char *from = lm_program_address(program, node);
    int64_t count = lm_shape_count(node->shape), bad = 0;
    for (int64_t done = 0; done < count; done += BLOCK) {
        int64_t part = count - done < BLOCK ? count - done : BLOCK;
        backend->download(backend, block, LM_F64, from, node->dtype, part);
        for (int64_t i = 0; i < part; i++) bad += !isfinite(block[i]);
        from += lm_engine_size(program->engine, node->dtype, part);
    }
    return bad;
}

static bool is_bad(const lm_program *program, const lm_node *node, lm_str *text) {
    if (!lm_dtype_is_float(node->dtype)) return false;
    int64_t bad = count_nonfinite(program, node);
    if (bad == 0) return false;
    lm_node_text(node, text);
    lm_str_printf(text, ": %" PRId64 " of %" PRId64 " values are not finite", bad,
                  lm_shape_count(node->shape));
    return true;
}

/* A bad parameter or input is named as itself rather than by its first reader. */
static bool search_step(const lm_program *probe, const lm_step *step, bool leaves,
                        lm_str *text) {
    lm_node *const *values = leaves ? step->in : step->out;
    int count = leaves ? step->n_in : step->n_out;
    for (int i = 0; i < count; i++) {
        bool is_leaf = lm_kind_get(values[i]->kind)->flags & LM_K_LEAF;
        if ((!leaves || is_leaf) && is_bad(probe, values[i], text)) return true;
    }
    return false;
}

lm_status lm_program_find_nonfinite(lm_program *program, bool *found, lm_str *text) {
    *found = false;
    LM_TRY(make_probe(program));
    lm_program *probe = program->probe;
    LM_TRY(lm_program_begin(probe));
    for (int s = 0; s < probe->schedule.n_steps && !*found; s++) {
        const lm_step *step = &probe->schedule.steps[s];
        *found = search_step(probe, step, true, text);
        if (*found) break;
        LM_TRY(lm_program_run_step(probe, s));
        *found = search_step(probe, step, false, text);
    }
    return text->failed ? LM_NOMEM : LM_OK;
}
