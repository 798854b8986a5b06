/* Movement of data: every kind here is a list of strided copies. */
#include "backend/cpu/strided.h"

#include <string.h>

enum { ZEROS = -1 };

typedef struct move {
    int source; /* argument, or ZEROS */
    lm_strided copy;
} move;

typedef struct move_state {
    int n_moves;
    move moves[];
} move_state;

static lm_status run_move(lm_kernel *kernel, const lm_kernel_args *args) {
    move_state *state = kernel->state;
    for (int i = 0; i < state->n_moves; i++) {
        const move *m = &state->moves[i];
        const char *from = m->source == ZEROS ? NULL : args->in[m->source];
        char *to = args->out[0];
        /* A part that was made in its place already. */
        if (from && from + m->copy.from_start * (int64_t)m->copy.element ==
                        to + m->copy.to_start * (int64_t)m->copy.element)
            continue;
        lm_strided_run(&m->copy, to, from);
    }
    return LM_OK;
}

static move_state *move_init(lm_kernel *kernel, const lm_step *step, int max_moves) {
    return lm_cpu_kernel_init(kernel, step, lm_kind_get(step->nodes[0]->kind)->text,
                              run_move,
                              sizeof(move_state) + sizeof(move) * (size_t)max_moves);
}

static void move_add(move_state *state, int source, const lm_strided *copy) {
    move *m = &state->moves[state->n_moves++];
    *m = (move){source, *copy};
    lm_strided_simplify(&m->copy);
}

static lm_status lower_one(const lm_step *step, lm_kernel *kernel, int source,
                           const lm_strided *copy) {
    move_state *state = move_init(kernel, step, 1);
    if (!state) return LM_NOMEM;
    move_add(state, source, copy);
    return LM_OK;
}

lm_status lm_cpu_lower_permute(lm_backend *backend, const lm_step *step,
                               lm_kernel *kernel) {
    const lm_node *node = step->nodes[0];
    lm_strided copy = lm_strided_make(node->shape, node->dtype);
    int64_t stride[LM_MAX_RANK];
    lm_strided_contiguous(node->src[0]->shape, stride);
    for (int i = 0; i < copy.rank; i++) copy.from[i] = stride[node->attr.perm[i]];
    return lower_one(step, kernel, 0, &copy);
}

lm_status lm_cpu_lower_slice(lm_backend *backend, const lm_step *step,
                             lm_kernel *kernel) {
    const lm_node *node = step->nodes[0];
    lm_strided copy = lm_strided_make(node->shape, node->dtype);
    lm_strided_contiguous(node->src[0]->shape, copy.from);
    for (int i = 0; i < copy.rank; i++) {
        copy.from_start += node->attr.slice.lo[i] * copy.from[i];
        copy.from[i] *= node->attr.slice.step[i];
    }
    return lower_one(step, kernel, 0, &copy);
}

lm_status lm_cpu_lower_reverse(lm_backend *backend, const lm_step *step,
                               lm_kernel *kernel) {
    const lm_node *node = step->nodes[0];
    lm_strided copy = lm_strided_make(node->shape, node->dtype);
    for (int i = 0; i < copy.rank; i++) {
        if (!(node->attr.axes >> i & 1)) continue;
        copy.from_start += (copy.size[i] - 1) * copy.from[i];
        copy.from[i] = -copy.from[i];
    }
    return lower_one(step, kernel, 0, &copy);
}

lm_status lm_cpu_lower_assign(lm_backend *backend, const lm_step *step,
                              lm_kernel *kernel) {
    const lm_node *value = step->nodes[0]->src[1];
    lm_strided copy = lm_strided_make(value->shape, value->dtype);
    return lower_one(step, kernel, 1, &copy);
}

lm_status lm_cpu_lower_concat(lm_backend *backend, const lm_step *step,
                              lm_kernel *kernel) {
    const lm_node *node = step->nodes[0];
    move_state *state = move_init(kernel, step, node->n_src);
    if (!state) return LM_NOMEM;
    int axis = node->attr.axis.axis;
    int64_t at = 0;
    for (int i = 0; i < node->n_src; i++) {
        lm_strided copy = lm_strided_make(node->src[i]->shape, node->dtype);
        lm_strided_contiguous(node->shape, copy.to);
        copy.to_start = at * copy.to[axis];
        at += copy.size[axis];
        move_add(state, i, &copy);
    }
    return LM_OK;
}

/* Zeros in [lo, hi) of one axis, the inner part of the axes before it, and all of those
 * after it: so every padding element belongs to one slab. */
static void add_slab(move_state *state, const lm_node *node, int axis, int64_t lo,
                     int64_t hi) {
    if (lo == hi) return;
    lm_strided slab = lm_strided_make(node->shape, node->dtype);
    for (int i = 0; i < axis; i++) {
        slab.to_start += node->attr.pad.lo[i] * slab.to[i];
        slab.size[i] = node->src[0]->shape.dim[i];
    }
    slab.to_start += lo * slab.to[axis];
    slab.size[axis] = hi - lo;
    memcpy(slab.from, slab.to, sizeof slab.from);
    move_add(state, ZEROS, &slab);
}

lm_status lm_cpu_lower_pad(lm_backend *backend, const lm_step *step, lm_kernel *kernel) {
    const lm_node *node = step->nodes[0];
    const lm_pad_attr *pad = &node->attr.pad;
    move_state *state = move_init(kernel, step, 2 * LM_MAX_RANK + 1);
    if (!state) return LM_NOMEM;
    lm_shape from = node->src[0]->shape;
    lm_strided copy = lm_strided_make(from, node->dtype);
    lm_strided_contiguous(node->shape, copy.to);
    bool spread = false;
    for (int i = 0; i < copy.rank; i++) {
        spread |= pad->interior[i] > 0;
        copy.to_start += pad->lo[i] * copy.to[i];
        copy.to[i] *= pad->interior[i] + 1;
    }
    for (int i = 0; i < copy.rank && !spread; i++) {
        add_slab(state, node, i, 0, pad->lo[i]);
        add_slab(state, node, i, pad->lo[i] + from.dim[i], node->shape.dim[i]);
    }
    if (spread) {
        lm_strided all = lm_strided_make(node->shape, node->dtype);
        move_add(state, ZEROS, &all);
    }
    move_add(state, 0, &copy);
    return LM_OK;
}
