/* Memory that is shared on purpose. See plan_internal.h for the invariants. */
#include "passes/plan_internal.h"

static int64_t bytes_of(const lm_planner *planner, const lm_node *node) {
    return lm_shape_count(node->shape) *
           (int64_t)planner->options->element_size(node->dtype);
}

/* ---- assigns ----------------------------------------------------------------- */

/* Whether `step`, which makes out[o], leaves every other byte of `param` alone until it
 * has read it. */
static bool may_write_over(const lm_step *step, int o, const lm_node *param) {
    for (int i = 0; i < step->n_in; i++) {
        const lm_node *read = lm_step_reads_param(step, i);
        if (!read || !lm_params_overlap(read, param)) continue;
        int64_t offset;
        lm_view_root(step->in[i], &offset);
        bool same = read->attr.param.offset + offset == param->attr.param.offset &&
                    lm_shape_count(step->in[i]->shape) == lm_shape_count(param->shape);
        if (!same || !lm_step_may_alias(step, o, i)) return false;
    }
    return true;
}

/* Nobody reads the old value from the step `birth` on, and nobody else writes it. */
static bool is_last_look(const lm_planner *planner, int assign, int birth, int o) {
    const lm_step *steps = planner->schedule->steps;
    const lm_node *param = steps[assign].nodes[0]->src[0];
    for (int s = 0; s < planner->schedule->n_steps; s++) {
        const lm_node *node = steps[s].nodes[0];
        if (s != assign && node->kind == LM_KIND_ASSIGN &&
            lm_params_overlap(node->src[0], param))
            return false;
        for (int i = 0; i < steps[s].n_in && s > birth; i++) {
            const lm_node *read = lm_step_reads_param(&steps[s], i);
            if (read && lm_params_overlap(read, param)) return false;
        }
    }
    return may_write_over(&steps[birth], o, param);
}

static void assign_in_place(lm_planner *planner, int assign) {
    const lm_step *steps = planner->schedule->steps;
    const lm_node *node = steps[assign].nodes[0];
    int root;
    int64_t offset, bytes;
    lm_planner_read(planner, &steps[assign], 1, &root, &offset, &bytes);
    int birth = planner->birth[root];
    /* Made by a step, whole, and not yet in the place of another assign. */
    if (birth < 0 || planner->block[root] < 0 || bytes != planner->bytes[root]) return;
    int o = 0;
    while (steps[birth].out[o]->id != (uint32_t)root) o++;
    if (!is_last_look(planner, assign, birth, o)) return;

    lm_block *block = &planner->blocks[planner->block[root]];
    block->bytes = 0;
    block->first = -1;
    planner->block[root] = -1;
    planner->plan->of[root] = planner->plan->of[node->id];
}

void lm_plan_assigns_in_place(lm_planner *planner) {
    for (int s = 0; s < planner->schedule->n_steps; s++)
        if (planner->schedule->steps[s].nodes[0]->kind == LM_KIND_ASSIGN)
            assign_in_place(planner, s);
}

/* ---- concats ----------------------------------------------------------------- */

/* Moves all members of block `from` into block `into`, `offset` bytes from its start. */
static void absorb_block(lm_planner *planner, int from, int into, int64_t offset) {
    lm_block *a = &planner->blocks[from], *b = &planner->blocks[into];
    int last = -1;
    for (int m = a->first; m >= 0; m = planner->next[m]) {
        planner->block[m] = into;
        planner->within[m] += offset;
        last = m;
    }
    planner->next[last] = b->first;
    b->first = a->first;
    if (a->start < b->start) b->start = a->start;
    if (a->end > b->end) b->end = a->end;
    a->bytes = 0;
    a->first = -1;
}

/* A value that fills its whole block can move with it. */
static bool fills_block(const lm_planner *planner, int value) {
    int b = planner->block[value];
    return b >= 0 && planner->blocks[b].bytes == planner->bytes[value];
}

/* Parts from `first` on that lie in the concat as they lie in the memory of one value:
 * the slices, in order, of a value cut in pieces; mostly one part that is the value.
 * Returns how many, and the bytes that they cover. */
static int run_of_parts(const lm_planner *planner, const lm_step *step, int first,
                        int *root, int64_t *covered) {
    int64_t offset, bytes;
    lm_planner_read(planner, step, first, root, &offset, covered);
    if (offset != 0) return 1;
    int part = first + 1, other;
    for (; part < step->n_in; part++) {
        lm_planner_read(planner, step, part, &other, &offset, &bytes);
        if (other != *root || offset != *covered) break;
        *covered += bytes;
    }
    return part - first;
}

/* How many parts would move along with `root`. */
static int count_moving_parts(const lm_planner *planner, const lm_step *step, int root) {
    int count = 0, other;
    int64_t offset, bytes;
    for (int part = 0; part < step->n_in; part++) {
        lm_planner_read(planner, step, part, &other, &offset, &bytes);
        count += planner->block[other] == planner->block[root];
    }
    return count;
}

/* A value may be made inside the concat if its run of parts covers it whole, no other
 * part is to be copied from it, and it is no longer wanted when the concat no longer is.
 * Its bytes there are its own, since parts do not overlap. */
static bool may_join(const lm_planner *planner, const lm_step *step, int root, int run,
                     int64_t covered) {
    const int *last_use = planner->plan->last_use;
    uint32_t concat = step->nodes[0]->id;
    return planner->birth[root] >= 0 && covered == planner->bytes[root] &&
           fills_block(planner, root) && count_moving_parts(planner, step, root) == run &&
           planner->block[root] != planner->block[concat] &&
           last_use[root] <= last_use[concat] &&
           last_use[root] < planner->schedule->n_steps;
}

static void concat_in_place(lm_planner *planner, const lm_step *step) {
    const lm_node *node = step->nodes[0];
    for (int axis = 0; axis < node->attr.axis.axis; axis++)
        if (node->shape.dim[axis] != 1) return;
    int64_t at = planner->within[node->id];
    for (int part = 0; part < step->n_in;) {
        int root;
        int64_t covered, start = at;
        int run = run_of_parts(planner, step, part, &root, &covered);
        for (int i = part; i < part + run; i++) at += bytes_of(planner, step->in[i]);
        if (may_join(planner, step, root, run, covered))
            absorb_block(planner, planner->block[root], planner->block[node->id], start);
        part += run;
    }
}

void lm_plan_concats_in_place(lm_planner *planner) {
    for (int s = 0; s < planner->schedule->n_steps; s++) {
        const lm_step *step = &planner->schedule->steps[s];
        if (step->nodes[0]->kind == LM_KIND_CONCAT &&
            planner->block[step->nodes[0]->id] >= 0)
            concat_in_place(planner, step);
    }
}

/* ---- dying inputs ------------------------------------------------------------ */

/* All inputs of the step that touch bytes [lo, hi) of `root` are exactly those bytes, and
 * may be written over by out[o]. */
static bool inputs_permit(const lm_planner *planner, const lm_step *step, int o, int root,
                          int64_t lo, int64_t hi) {
    for (int i = 0; i < step->n_in; i++) {
        int other;
        int64_t offset, bytes;
        if (!lm_planner_read(planner, step, i, &other, &offset, &bytes)) continue;
        if (other != root || offset >= hi || offset + bytes <= lo) continue;
        if (offset != lo || offset + bytes != hi || !lm_step_may_alias(step, o, i))
            return false;
    }
    return true;
}

/* No member of the block other than `dying` needs bytes [lo, hi) while `value` lives. */
static bool region_is_free(const lm_planner *planner, int block, int64_t lo, int64_t hi,
                           int value, int dying) {
    const int *last_use = planner->plan->last_use;
    for (int m = planner->blocks[block].first; m >= 0; m = planner->next[m]) {
        int64_t start = planner->within[m];
        if (start >= hi || start + planner->bytes[m] <= lo) continue;
        bool before = last_use[m] < planner->birth[value] || m == dying;
        bool after = planner->birth[m] > last_use[value];
        if (!before && !after) return false;
    }
    return true;
}

/* Puts out[o] of step s over in[i]. */
static bool take_input(lm_planner *planner, int s, int o, int i) {
    const lm_step *step = &planner->schedule->steps[s];
    int value = (int)step->out[o]->id, root;
    int64_t offset, bytes;
    if (!lm_planner_read(planner, step, i, &root, &offset, &bytes)) return false;
    int block = planner->block[root], own = planner->block[value];
    if (block < 0 || planner->plan->last_use[root] != s || bytes != planner->bytes[value])
        return false;
    int64_t lo = planner->within[root] + offset;
    if (!lm_step_may_alias(step, o, i) ||
        !inputs_permit(planner, step, o, root, offset, offset + bytes) ||
        !region_is_free(planner, block, lo, lo + bytes, value, root))
        return false;
    absorb_block(planner, own, block, lo);
    return true;
}

/* A value that has a place inside a concat, or has parts in it, keeps it. */
static bool is_alone(const lm_planner *planner, int value) {
    int b = planner->block[value];
    return b >= 0 && planner->blocks[b].first == value && planner->next[value] < 0;
}

void lm_plan_dying_inputs(lm_planner *planner) {
    for (int s = 0; s < planner->schedule->n_steps; s++) {
        const lm_step *step = &planner->schedule->steps[s];
        for (int o = 0; o < step->n_out; o++) {
            if (!is_alone(planner, (int)step->out[o]->id)) continue;
            for (int i = 0; i < step->n_in; i++)
                if (take_input(planner, s, o, i)) break;
        }
    }
}
