#include "random_graph.h"
#include "tensor/philox.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const random_vars[RANDOM_VARS] = {"v", "w"};

enum { MAX_POOL = 256, MAX_COUNT = 360 };

typedef struct maker {
    lm_graph *g;
    lm_rng rng;
    lm_node *pool[MAX_POOL]; /* f32 values */
    int n_pool;
} maker;

static int below(maker *m, int limit) {
    return (int)lm_rng_below(&m->rng, (uint32_t)limit);
}

static lm_node *pick(maker *m) {
    /* Recent values more often, so that graphs get deep. */
    int recent = below(m, 2) ? 6 : m->n_pool;
    if (recent > m->n_pool) recent = m->n_pool;
    return m->pool[m->n_pool - 1 - below(m, recent)];
}

static lm_shape random_shape(maker *m, int min_rank, int max_rank) {
    static const int dims[] = {1, 2, 3, 4, 5, 6};
    lm_shape shape = {.rank = min_rank + below(m, max_rank - min_rank + 1)};
    for (int i = 0; i < shape.rank; i++)
        shape.dim[i] = dims[below(m, shape.rank > 3 ? 4 : 6)];
    return shape;
}

static bool broadcasts(lm_shape from, lm_shape to) {
    for (int i = 1; i <= from.rank; i++)
        if (i > to.rank || (from.dim[from.rank - i] != 1 &&
                            from.dim[from.rank - i] != to.dim[to.rank - i]))
            return false;
    return true;
}

/* The node brought to a shape. */
static lm_node *fit(maker *m, lm_node *a, lm_shape shape) {
    if (lm_shape_equal(a->shape, shape)) return a;
    if (lm_shape_count(a->shape) == lm_shape_count(shape))
        return lm_reshape(m->g, a, shape);
    if (broadcasts(a->shape, shape)) return lm_broadcast(m->g, a, shape);
    return lm_broadcast(m->g, lm_mean_all(m->g, a), shape);
}

static lm_node *half(maker *m, lm_node *a) {
    return lm_scale(m->g, a, 0.5);
}

/* ---- operations -------------------------------------------------------------- */

static lm_node *op_unary(maker *m, lm_node *a) {
    static const lm_ew codes[] = {LM_EW_NEG,     LM_EW_ABS, LM_EW_SIN,      LM_EW_COS,
                                  LM_EW_TANH,    LM_EW_ERF, LM_EW_SOFTPLUS, LM_EW_ATAN,
                                  LM_EW_SIGMOID, LM_EW_STOP};
    return lm_ew1(m->g, codes[below(m, (int)(sizeof codes / sizeof *codes))], a);
}

static lm_node *op_binary(maker *m, lm_node *a) {
    lm_node *b = fit(m, pick(m), a->shape);
    switch (below(m, 6)) {
    case 0:
        return half(m, lm_add(m->g, a, b));
    case 1:
        return half(m, lm_sub(m->g, b, a));
    case 2:
        return lm_max2(m->g, a, b);
    case 3:
        return lm_min2(m->g, b, a);
    case 4:
        return half(m, lm_add(m->g, lm_mul(m->g, a, b), fit(m, pick(m), a->shape)));
    default:
        return lm_mul(m->g, a, lm_tanh(m->g, b));
    }
}

static lm_node *op_number(maker *m, lm_node *a) {
    static const double numbers[] = {0, 1, -1, 0.5, -0.25, 0.75, 0.1};
    double number = numbers[below(m, 7)];
    lm_node *c = lm_const_like(m->g, number, a);
    switch (below(m, 5)) {
    case 0:
        return half(m, lm_add(m->g, a, c));
    case 1:
        return lm_mul(m->g, c, lm_mul(m->g, a, lm_const_like(m->g, -0.5, a)));
    case 2:
        return half(m, lm_sub(m->g, c, lm_neg(m->g, a)));
    case 3:
        return lm_div(m->g, half(m, a), lm_add_scalar(m->g, lm_square(m->g, a), 2));
    default:
        return lm_leaky_relu(m->g, a, number);
    }
}

static lm_node *op_choose(maker *m, lm_node *a) {
    lm_node *b = fit(m, pick(m), a->shape), *c = fit(m, pick(m), a->shape);
    lm_node *mask = lm_lt(m->g, a, lm_const_like(m->g, 0.3, a));
    if (below(m, 2)) return lm_mul(m->g, lm_cast(m->g, mask, LM_F32), b);
    return lm_where(m->g, mask, b, c);
}

static lm_node *op_broadcast(maker *m, lm_node *a) {
    lm_shape shape = a->shape;
    for (int i = 0; i < shape.rank; i++)
        if (shape.dim[i] == 1) shape.dim[i] = 1 + below(m, 4);
    if (shape.rank < 4) {
        memmove(&shape.dim[1], &shape.dim[0], (size_t)shape.rank * sizeof shape.dim[0]);
        shape.dim[0] = 1 + below(m, 3);
        shape.rank++;
    }
    return lm_shape_count(shape) > MAX_COUNT ? a : lm_broadcast(m->g, a, shape);
}

static lm_node *op_reduce(maker *m, lm_node *a) {
    if (a->shape.rank == 0) return op_unary(m, a);
    uint32_t axes = 1 + (uint32_t)below(m, (1 << a->shape.rank) - 1);
    bool keep = below(m, 2);
    return below(m, 4) ? lm_mean(m->g, a, axes, keep)
                       : lm_reduce_max(m->g, a, axes, keep);
}

static lm_node *op_reshape(maker *m, lm_node *a) {
    int64_t count = lm_shape_count(a->shape);
    lm_shape shape = {.rank = 0};
    for (int64_t d = 2; d <= count && shape.rank < 4; d++)
        while (count % d == 0 && shape.rank < 4) {
            shape.dim[shape.rank++] = d;
            count /= d;
        }
    if (count > 1) shape.dim[shape.rank - 1] *= count;
    if (below(m, 2) && shape.rank > 1) { /* merge the first two axes */
        shape.dim[1] *= shape.dim[0];
        memmove(&shape.dim[0], &shape.dim[1], 4 * sizeof shape.dim[0]);
        shape.dim[--shape.rank] = 0;
    }
    return lm_reshape(m->g, a, shape);
}

static lm_node *op_permute(maker *m, lm_node *a) {
    int perm[LM_MAX_RANK] = {0, 1, 2, 3, 4, 5};
    for (int i = a->shape.rank - 1; i > 0; i--) {
        int j = below(m, i + 1), swap = perm[i];
        perm[i] = perm[j];
        perm[j] = swap;
    }
    return lm_permute(m->g, a, perm);
}

static lm_node *op_slice(maker *m, lm_node *a) {
    lm_slice_attr slice = {{0}, {0}, {0}};
    for (int i = 0; i < a->shape.rank; i++) {
        int dim = (int)a->shape.dim[i];
        slice.lo[i] = below(m, 2) ? below(m, dim) : 0;
        slice.hi[i] = dim - (below(m, 2) ? below(m, dim - slice.lo[i]) : 0);
        slice.step[i] = 1 + (below(m, 4) == 0);
    }
    return lm_slice(m->g, a, &slice);
}

static lm_node *op_pad(maker *m, lm_node *a) {
    lm_pad_attr pad = {{0}, {0}, {0}};
    lm_shape shape = a->shape;
    for (int i = 0; i < a->shape.rank; i++) {
        pad.lo[i] = below(m, 2);
        pad.hi[i] = below(m, 2);
        pad.interior[i] = below(m, 4) == 0;
        shape.dim[i] += pad.lo[i] + pad.hi[i] + (shape.dim[i] - 1) * pad.interior[i];
    }
    return lm_shape_count(shape) > MAX_COUNT ? a : lm_pad(m->g, a, &pad);
}

/* Cut in two, worked on apart, joined again: what gradients of slices look like. */
static lm_node *op_split(maker *m, lm_node *a) {
    int axis = 0;
    while (axis < a->shape.rank && a->shape.dim[axis] < 2) axis++;
    if (axis == a->shape.rank) return op_unary(m, a);
    int64_t dim = a->shape.dim[axis], cut = 1 + below(m, (int)dim - 1);
    lm_node *lo = lm_slice_axis(m->g, a, axis, 0, cut);
    lm_node *hi = lm_slice_axis(m->g, a, axis, cut, dim);
    if (below(m, 2)) lo = op_unary(m, lo);
    if (below(m, 2)) hi = op_unary(m, hi);
    if (below(m, 2)) return lm_concat(m->g, (lm_node *[]){lo, hi}, 2, axis);
    lm_pad_attr first = {{0}, {0}, {0}}, second = first;
    first.hi[axis] = (int32_t)(dim - cut);
    second.lo[axis] = (int32_t)cut;
    return lm_add(m->g, lm_pad(m->g, lo, &first), lm_pad(m->g, hi, &second));
}

static lm_node *op_concat(maker *m, lm_node *a) {
    if (a->shape.rank == 0 || lm_shape_count(a->shape) * 3 > MAX_COUNT)
        return op_unary(m, a);
    lm_node *parts[3] = {a, fit(m, pick(m), a->shape), op_unary(m, a)};
    return lm_concat(m->g, parts, 2 + below(m, 2), below(m, 2) ? 0 : -1);
}

static lm_node *op_order(maker *m, lm_node *a) {
    if (a->shape.rank == 0) return op_unary(m, a);
    int axis = below(m, a->shape.rank);
    if (below(m, 2)) return lm_reverse(m->g, a, 1u << axis);
    return lm_scale(m->g, lm_cumsum(m->g, a, axis, below(m, 2)),
                    1.0 / (double)a->shape.dim[axis]);
}

static lm_node *op_matmul(maker *m, lm_node *a) {
    if (a->shape.rank != 2) return op_binary(m, a);
    bool ta = below(m, 2), tb = below(m, 2);
    int64_t k = ta ? a->shape.dim[0] : a->shape.dim[1], n = 1 + below(m, 5);
    lm_node *b = fit(m, pick(m), tb ? LM_SHAPE(n, k) : LM_SHAPE(k, n));
    if (below(m, 2)) { /* the same by way of a permute */
        b = lm_transpose(m->g, b);
        tb = !tb;
    }
    return lm_scale(m->g, lm_matmul(m->g, a, b, ta, tb), 1.0 / (double)k);
}

static lm_node *op_call(maker *m, lm_node *a) {
    if (a->shape.rank == 0) return op_unary(m, a);
    return below(m, 2) ? lm_softmax(m->g, a) : half(m, lm_logsumexp(m->g, a));
}

static lm_node *op_leaf(maker *m, lm_node *a) {
    lm_shape shape = random_shape(m, 1, 3);
    switch (below(m, 4)) {
    case 0:
        return lm_scale(m->g, lm_iota(m->g, LM_F32, shape, below(m, shape.rank)), 0.125);
    case 1:
        return lm_uniform(m->g, lm_input(m->g, "key", LM_U32, LM_SHAPE(4)),
                          (uint32_t)below(m, 3), shape);
    case 2:
        return lm_scale(m->g, lm_const_full(m->g, LM_F32, shape, 0.5),
                        below(m, 2) ? 0.25 : -1);
    default: {
        int64_t count = lm_shape_count(shape);
        while (count > RANDOM_VAR_COUNT) shape.dim[0] = 1, count = lm_shape_count(shape);
        if (count > RANDOM_VAR_COUNT) return a;
        return lm_param(m->g, random_vars[below(m, RANDOM_VARS)],
                        below(m, (int)(RANDOM_VAR_COUNT - count + 1)), shape);
    }
    }
}

static lm_node *(*const operations[])(maker *, lm_node *) = {
    op_unary,   op_unary,  op_binary,    op_binary, op_binary, op_number,
    op_number,  op_choose, op_broadcast, op_reduce, op_reduce, op_reshape,
    op_permute, op_slice,  op_pad,       op_split,  op_concat, op_order,
    op_matmul,  op_call,   op_leaf,      op_leaf};

/* ---- effects ----------------------------------------------------------------- */

/* A slice becomes a mean of itself and something else, as an optimizer does; slices of
 * one variable do not overlap. */
static void add_assigns(maker *m) {
    for (int64_t at = below(m, 8); at < RANDOM_VAR_COUNT - 24;) {
        int64_t count = 1 + below(m, 24);
        lm_node *param = lm_param(m->g, random_vars[0], at, LM_SHAPE(count));
        lm_node *value = fit(m, pick(m), param->shape);
        if (below(m, 3)) value = half(m, lm_add(m->g, param, value));
        lm_assign(m->g, param, value);
        at += count + below(m, 12);
    }
    /* All of the other one at once, out of parts laid end to end. */
    lm_node *parts[16], *rest = lm_const_full(m->g, LM_F32, LM_SHAPE(1), 0.5);
    int64_t left = RANDOM_VAR_COUNT;
    int n = 0;
    for (; n < 15 && left > 1; n++) {
        lm_node *part = pick(m);
        if (lm_shape_count(part->shape) > left) part = lm_mean_all(m->g, part);
        parts[n] = fit(m, part, LM_SHAPE(lm_shape_count(part->shape)));
        left -= lm_shape_count(part->shape);
    }
    if (left) parts[n++] = lm_broadcast(m->g, rest, LM_SHAPE(left));
    lm_node *flat = lm_concat(m->g, parts, n, 0);
    lm_node *param = lm_param(m->g, random_vars[1], 0, LM_SHAPE(RANDOM_VAR_COUNT));
    if (below(m, 2)) flat = half(m, lm_add(m->g, flat, param));
    lm_assign(m->g, param, flat);
}

lm_status random_graph_new(uint64_t seed, int n_nodes, lm_graph **graph) {
    lm_status status = lm_graph_new(graph);
    if (status != LM_OK) return status;
    maker m = {.g = *graph, .rng = {.seed = seed}};
    const char *const names[] = {"x0", "x1", "x2"};
    for (int i = 0; i < 3; i++)
        m.pool[m.n_pool++] =
            lm_input(m.g, names[i], LM_F32, i ? random_shape(&m, 1, 4) : LM_SHAPE(4, 6));
    for (int i = 0; i < n_nodes && m.n_pool < MAX_POOL; i++) {
        lm_node *a = pick(&m);
        lm_node *made =
            operations[below(&m, (int)(sizeof operations / sizeof *operations))](&m, a);
        if (!made) break;
        m.pool[m.n_pool++] = made;
    }
    status = lm_graph_status(m.g);
    if (status == LM_OK) {
        const char *const outputs[] = {"y0", "y1", "y2", "y3", "y4"};
        lm_graph_output(m.g, outputs[0], m.pool[m.n_pool - 1]);
        for (int i = 1; i < 5; i++) {
            lm_node *node = pick(&m);
            /* A param as such would show what was assigned to it. */
            lm_graph_output(m.g, outputs[i], i % 2 ? lm_tanh(m.g, node) : half(&m, node));
        }
        add_assigns(&m);
        status = lm_graph_status(m.g);
    }
    if (status != LM_OK) {
        lm_graph_free(*graph);
        *graph = NULL;
    }
    return status;
}

/* ---- running ----------------------------------------------------------------- */

static lm_status set_inputs(lm_program *program, lm_graph *graph) {
    for (int id = 0; id < lm_graph_size(graph); id++) {
        const lm_node *node = lm_graph_node(graph, id);
        if (node->kind != LM_KIND_INPUT) continue;
        double values[4 * MAX_COUNT];
        lm_rng rng = {.seed = 77, .stream = (uint32_t)id};
        int64_t count = lm_shape_count(node->shape);
        for (int64_t i = 0; i < count; i++)
            values[i] = node->dtype == LM_F32 ? 2 * lm_rng_uniform(&rng) - 1
                                              : (double)(17 * i + 3);
        LM_TRY(lm_program_set(program, node->attr.name, LM_F64, values, count));
    }
    return LM_OK;
}

static lm_status run_program(lm_engine *engine, lm_graph *graph,
                             const lm_compile_options *options, int runs,
                             lm_program **program) {
    for (int v = 0; v < RANDOM_VARS; v++) {
        double start[RANDOM_VAR_COUNT];
        for (int i = 0; i < RANDOM_VAR_COUNT; i++) start[i] = sin(1.7 * i + v);
        LM_TRY(lm_engine_add_var(engine, random_vars[v], RANDOM_VAR_COUNT));
        LM_TRY(lm_engine_write_var(engine, random_vars[v], 0, RANDOM_VAR_COUNT, LM_F64,
                                   start));
    }
    LM_TRY(lm_compile(engine, graph, options, program));
    LM_TRY(set_inputs(*program, graph));
    for (int i = 0; i < runs; i++) LM_TRY(lm_program_run(*program));
    return LM_OK;
}

static lm_status collect(lm_engine *engine, lm_graph *graph, lm_program *program,
                         random_result *result) {
    int n_roots;
    const lm_named_node *roots = lm_graph_roots(graph, &n_roots);
    int64_t total = RANDOM_VARS * RANDOM_VAR_COUNT;
    for (int r = 0; r < n_roots; r++) total += lm_shape_count(roots[r].node->shape);
    result->values = calloc((size_t)total, sizeof *result->values);
    if (!result->values) return LM_NOMEM;
    for (int r = 0; r < n_roots; r++) {
        if (!*roots[r].name) continue;
        int64_t count = lm_shape_count(roots[r].node->shape);
        LM_TRY(lm_program_get(program, roots[r].name, LM_F64,
                              result->values + result->count, count));
        result->count += count;
    }
    for (int v = 0; v < RANDOM_VARS; v++) {
        LM_TRY(lm_engine_read_var(engine, random_vars[v], 0, RANDOM_VAR_COUNT, LM_F64,
                                  result->values + result->count));
        result->count += RANDOM_VAR_COUNT;
    }
    return LM_OK;
}

lm_status random_graph_run(lm_graph *graph, const char *backend,
                           const lm_compile_options *options, int runs,
                           random_result *result) {
    lm_engine *engine = NULL;
    lm_program *program = NULL;
    *result = (random_result){NULL, 0};
    lm_status status = lm_engine_new(backend, &engine);
    if (status == LM_OK) status = run_program(engine, graph, options, runs, &program);
    if (status == LM_OK) status = collect(engine, graph, program, result);
    lm_program_free(program);
    lm_engine_free(engine);
    return status;
}

double random_result_distance(const random_result *a, const random_result *b) {
    if (a->count != b->count) return INFINITY;
    double worst = 0;
    for (int64_t i = 0; i < a->count; i++) {
        double distance = fabs(a->values[i] - b->values[i]) / fmax(1, fabs(b->values[i]));
        if (!(distance <= worst)) worst = isnan(distance) ? INFINITY : distance;
    }
    return worst;
}
