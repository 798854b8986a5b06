/* Memory that holds nothing of use is filled with NaN, so that a plan which gives it away
 * too early, or a kernel which reads what it should not, shows in the results. */
#include "base/mem.h"
#include "exec/exec_internal.h"
#include <math.h>

/* The arena's bytes that a value holds, and the steps during which it does. */
typedef struct life {
    int64_t from, to; /* empty when the value is not in the arena */
    int born, dies;
} life;

static void find_lives(const lm_program *program, life *lives) {
    const lm_schedule *schedule = &program->schedule;
    const lm_plan *plan = &program->plan;
    for (int id = 0; id < plan->n_nodes; id++) lives[id].born = -1;
    for (int s = 0; s < schedule->n_steps; s++)
        for (int o = 0; o < schedule->steps[s].n_out; o++)
            lives[schedule->steps[s].out[o]->id].born = s;
    for (int id = 0; id < plan->n_nodes; id++) {
        const lm_node *node = lm_graph_node(program->graph, id);
        life *l = &lives[id];
        if (plan->of[id].place != LM_PLACE_ARENA) continue;
        l->born = lives[lm_view_root(node, NULL)->id].born;
        l->dies = plan->last_use[id] > l->born ? plan->last_use[id] : l->born;
        l->from = plan->of[id].offset;
        l->to = l->from + (int64_t)lm_engine_size(program->engine, node->dtype,
                                                  lm_shape_count(node->shape));
    }
}

/* Whether a byte of the value belongs to another that lives on: a view, or a value made
 * in its place. */
static bool is_shared(const life *lives, int count, const life *dead) {
    for (int id = 0; id < count; id++) {
        const life *other = &lives[id];
        if (other->dies > dead->dies && other->born <= dead->dies &&
            other->from < dead->to && dead->from < other->to)
            return true;
    }
    return false;
}

lm_status lm_program_list_dying(lm_program *program) {
    int count = program->plan.n_nodes, n_steps = program->schedule.n_steps;
    program->dying =
        lm_arena_alloc(&program->memory, (size_t)(n_steps + 1) * sizeof *program->dying);
    program->next_dying = lm_arena_alloc(
        &program->memory, (size_t)(count + 1) * sizeof *program->next_dying);
    life *lives = lm_calloc((size_t)count + 1, sizeof *lives);
    if (!program->dying || !program->next_dying || !lives) {
        lm_free(lives);
        return LM_NOMEM;
    }
    find_lives(program, lives);
    for (int id = 0; id < count; id++) {
        const life *l = &lives[id];
        if (l->from == l->to || l->born < 0 || l->dies >= n_steps) continue;
        if (is_shared(lives, count, l)) continue;
        program->next_dying[id] = program->dying[l->dies];
        program->dying[l->dies] = lm_graph_node(program->graph, id);
    }
    lm_free(lives);
    return LM_OK;
}

/* As f32 whatever lies there: in any other type the bytes are poison enough. */
static void poison(lm_engine *engine, void *memory, int64_t bytes) {
    int64_t count = bytes / (int64_t)engine->backend->element_size(LM_F32);
    lm_engine_fill(engine, memory, LM_F32, count, NAN);
}

void lm_program_poison_all(lm_program *program) {
    if (!program->dying) return;
    poison(program->engine, program->engine->arena, program->engine->arena_bytes);
}

void lm_program_poison_after(lm_program *program, int step) {
    if (!program->dying) return;
    for (const lm_node *node = program->dying[step]; node;
         node = program->next_dying[node->id]) {
        int64_t bytes = (int64_t)lm_engine_size(program->engine, node->dtype,
                                                lm_shape_count(node->shape));
        poison(program->engine, lm_program_address(program, node), bytes);
    }
}
