/* What the arena holds when it holds the most. */
#include "base/mem.h"
#include "exec/exec_internal.h"
#include <inttypes.h>
#include <stdlib.h>

/* A range of the arena that is in use from step `born` to step `dies`, both
 * included. */
typedef struct held {
    const lm_node *node; /* NULL: the workspace of its step */
    int64_t from, to;
    int born, dies;
} held;

typedef struct holdings {
    held *all; /* by `from`, the longest first */
    int count;
} holdings;

static int by_place(const void *left, const void *right) {
    const held *a = left, *b = right;
    if (a->from != b->from) return a->from < b->from ? -1 : 1;
    return a->to != b->to ? (a->to > b->to ? -1 : 1) : a->born - b->born;
}

static int by_size(const void *left, const void *right) {
    const held *a = left, *b = right;
    int64_t x = a->to - a->from, y = b->to - b->from;
    return x != y ? (x > y ? -1 : 1) : by_place(left, right);
}

static void add_outputs(const lm_program *program, int s, holdings *h) {
    const lm_step *step = &program->schedule.steps[s];
    for (int o = 0; o < step->n_out; o++) {
        const lm_node *node = step->out[o];
        const lm_location *at = &program->plan.of[node->id];
        if (at->place != LM_PLACE_ARENA) continue;
        int64_t bytes = (int64_t)lm_engine_size(program->engine, node->dtype,
                                                lm_shape_count(node->shape));
        int last = program->plan.last_use[node->id];
        h->all[h->count++] =
            (held){node, at->offset, at->offset + bytes, s, last > s ? last : s};
    }
}

static lm_status list_holdings(const lm_program *program, holdings *h) {
    int n_steps = program->schedule.n_steps, most = n_steps;
    for (int s = 0; s < n_steps; s++) most += program->schedule.steps[s].n_out;
    h->all = lm_calloc((size_t)most + 1, sizeof *h->all);
    if (!h->all) return LM_NOMEM;
    for (int s = 0; s < n_steps; s++) {
        add_outputs(program, s, h);
        int64_t from = program->plan.workspace[s];
        if (from < 0) continue;
        int64_t bytes = (int64_t)program->kernels[s].workspace;
        h->all[h->count++] = (held){NULL, from, from + bytes, s, s};
    }
    qsort(h->all, h->count, sizeof *h->all, by_place);
    return LM_OK;
}

/* Lists in `alive` (NULL: nowhere) what is alive at a step, without what lies
 * inside another's range: parts of a concatenation, results over dying inputs.
 * Returns the bytes in use. */
static int64_t bytes_at(const holdings *h, int step, held *alive, int *n_alive) {
    int64_t end = 0, bytes = 0;
    for (int i = 0; i < h->count; i++) {
        const held *one = &h->all[i];
        if (one->born > step || one->dies < step || one->to <= end) continue;
        bytes += one->to - (one->from > end ? one->from : end);
        end = one->to;
        if (alive) alive[(*n_alive)++] = *one;
    }
    return bytes;
}

static void print_held(const lm_program *program, const held *one, lm_str *out) {
    lm_str_printf(out, "%9.3f MB  ", (double)(one->to - one->from) / 1e6);
    if (one->node) {
        lm_str_printf(out, "steps %d to ", one->born);
        if (one->dies < program->schedule.n_steps)
            lm_str_printf(out, "%d  ", one->dies);
        else
            lm_str_append(out, "the end  ");
        lm_node_text(one->node, out);
    } else {
        lm_str_printf(out, "workspace of %s", program->kernels[one->born].name);
    }
    lm_str_append(out, "\n");
}

lm_status lm_program_print_memory(const lm_program *program, lm_str *out) {
    holdings h = {0};
    LM_TRY(list_holdings(program, &h));
    int64_t most = 0;
    int peak = 0, n_alive = 0;
    for (int s = 0; s < program->schedule.n_steps; s++) {
        int64_t bytes = bytes_at(&h, s, NULL, NULL);
        if (bytes >= most) most = bytes, peak = s;
    }
    held *alive = lm_calloc((size_t)h.count + 1, sizeof *alive);
    if (alive) {
        bytes_at(&h, peak, alive, &n_alive);
        qsort(alive, n_alive, sizeof *alive, by_size);
        lm_str_printf(out, "%9.3f MB of an arena of %.3f MB in use at step %d of %d\n",
                      (double)most / 1e6, (double)program->plan.arena_bytes / 1e6, peak,
                      program->schedule.n_steps);
        for (int i = 0; i < n_alive; i++) print_held(program, &alive[i], out);
    }
    lm_free(h.all);
    bool made = alive != NULL;
    lm_free(alive);
    return made && !out->failed ? LM_OK : LM_NOMEM;
}
