/* Attention by tiles of queries: the scores of a tile against all keys stay in the
 * second-level cache, and no matrix of all scores is ever made. The gradient computes the
 * weights again (Dao et al.: "FlashAttention", 2022), so that the forward pass stores
 * nothing for it. */
#include "backend/cpu/comp.h"

#include "base/threads.h"

#include <omp.h>
#include <string.h>

enum {
    SCORES = 32768, /* of one tile, about */
    MOST_QUERIES = 64,
    LEAST_QUERIES = 8
};

typedef struct attention_state {
    const lm_comp_ops *ops;
    int64_t batch;
    int queries, keys, width, value_width; /* T, S, D, E */
    int tile, tiles, threads;              /* queries of a tile, tiles of a sequence */
    float scale;
    int64_t scratch; /* floats of each thread */
} attention_state;

static int64_t round_up(int64_t n, int64_t to) {
    return (n + to - 1) / to * to;
}

/* Floats of a packed k x n matrix. */
static int64_t packed(const attention_state *s, int k, int n) {
    return round_up(n, s->ops->panel) * k;
}

static int64_t score_floats(const attention_state *s) {
    return round_up((int64_t)s->tile * s->keys, 16);
}

static attention_state *make_state(lm_kernel *kernel, const lm_step *step,
                                   const char *name, lm_cpu_run run) {
    attention_state *s = lm_cpu_kernel_init(kernel, step, name, run, sizeof *s);
    if (!s) return NULL;
    const lm_node *call = step->nodes[0];
    lm_shape q = call->src[0]->shape, v = call->src[2]->shape;
    s->ops = LM_ISA_PICK(lm_comp_ops);
    s->batch = q.dim[0];
    s->queries = (int)q.dim[1];
    s->keys = (int)v.dim[1];
    s->width = (int)q.dim[2];
    s->value_width = (int)v.dim[2];
    s->scale = call->attr.call.f[0];
    int fit = s->keys ? SCORES / s->keys : MOST_QUERIES;
    s->tile = fit > MOST_QUERIES    ? MOST_QUERIES
              : fit < LEAST_QUERIES ? LEAST_QUERIES
                                    : fit / LEAST_QUERIES * LEAST_QUERIES;
    s->tiles = (s->queries + s->tile - 1) / s->tile;
    s->threads = lm_threads();
    return s;
}

static int tile_rows(const attention_state *s, int first) {
    return s->queries - first < s->tile ? s->queries - first : s->tile;
}

/* weights = softmax(scale * q k'), for `rows` queries; the keys come packed as columns.
 */
static void find_weights(const attention_state *s, float *weights, const float *q,
                         const float *keys, int rows) {
    const lm_comp_ops *ops = s->ops;
    int n = s->keys;
    ops->multiply(weights, n, q, s->width, 1, keys, rows, n, s->width, false);
    for (int i = 0; i < rows; i++) {
        float *w = weights + (int64_t)i * n;
        /* The largest of the scaled scores, whatever the sign of the scale. */
        ops->scale(w, w, s->scale, n);
        float sum = ops->exp_sum(w, w, 1, ops->max(w, n), n);
        ops->scale(w, w, 1 / sum, n);
    }
}

/* ---- forward ----------------------------------------------------------------- */

static void attend_tile(const attention_state *s, const lm_kernel_args *args,
                        int64_t number, int64_t *packed_for, float *scratch) {
    int64_t b = number / s->tiles, first = number % s->tiles * s->tile;
    const float *q = (const float *)args->in[0] + (b * s->queries + first) * s->width;
    const float *k = (const float *)args->in[1] + b * s->keys * s->width;
    const float *v = (const float *)args->in[2] + b * s->keys * s->value_width;
    float *y = (float *)args->out[0] + (b * s->queries + first) * s->value_width;
    float *keys = scratch, *values = keys + packed(s, s->width, s->keys);
    float *weights = values + packed(s, s->keys, s->value_width);
    if (*packed_for != b) {
        s->ops->pack(keys, k, 1, s->width, s->width, s->keys);
        s->ops->pack(values, v, s->value_width, 1, s->keys, s->value_width);
        *packed_for = b;
    }
    int rows = tile_rows(s, (int)first);
    find_weights(s, weights, q, keys, rows);
    s->ops->multiply(y, s->value_width, weights, s->keys, 1, values, rows, s->value_width,
                     s->keys, false);
}

static lm_status run_attention(lm_kernel *kernel, const lm_kernel_args *args) {
    const attention_state *s = kernel->state;
#pragma omp parallel num_threads(s->threads)
    {
        float *scratch = (float *)args->workspace + omp_get_thread_num() * s->scratch;
        int64_t packed_for = -1;
#pragma omp for schedule(static)
        for (int64_t i = 0; i < s->batch * s->tiles; i++)
            attend_tile(s, args, i, &packed_for, scratch);
    }
    return LM_OK;
}

lm_status lm_comp_lower_attention(lm_backend *backend, const lm_step *step,
                                  lm_kernel *kernel) {
    attention_state *s = make_state(kernel, step, "attention", run_attention);
    if (!s) return LM_NOMEM;
    s->scratch = packed(s, s->width, s->keys) + packed(s, s->keys, s->value_width) +
                 score_floats(s);
    kernel->workspace = (size_t)(s->threads * s->scratch) * sizeof(float);
    kernel->flops =
        2.0 * (double)s->batch * s->queries * s->keys * (s->width + s->value_width);
    return LM_OK;
}

/* ---- gradient ---------------------------------------------------------------- */

/* One element of the batch: where its matrices are. All are [T,D], packed or plain. */
typedef struct attention_grad {
    const float *q, *k, *v, *y, *g;
    float *dq, *dk, *dv;
    float *keys, *values;          /* k' and v', packed */
    float *key_rows;               /* k, packed */
    float *weights, *scores;       /* of a tile: p, and ds */
    float *query_tile, *grad_tile; /* of a tile, packed */
} attention_grad;

/* ds = p * (dp - sum(g * y)) * scale, row by row over dp. */
static void find_score_grads(const attention_state *s, const attention_grad *a,
                             int64_t first, int rows) {
    const lm_comp_ops *ops = s->ops;
    int t = s->queries, d = s->width;
    const float *y = a->y + first * d, *g = a->g + first * d;
    ops->multiply(a->scores, t, g, d, 1, a->values, rows, t, d, false);
    for (int i = 0; i < rows; i++) {
        float *row = a->scores + (int64_t)i * t;
        float inner = ops->dot(g + (int64_t)i * d, y + (int64_t)i * d, d);
        ops->softmax_grad(row, a->weights + (int64_t)i * t, row, inner, s->scale, t);
    }
}

static void grad_tile(const attention_state *s, const attention_grad *a, int64_t first) {
    const lm_comp_ops *ops = s->ops;
    int t = s->queries, d = s->width, rows = tile_rows(s, (int)first);
    const float *q = a->q + first * d, *g = a->g + first * d;
    find_weights(s, a->weights, q, a->keys, rows);
    find_score_grads(s, a, first, rows);
    ops->multiply(a->dq + first * d, d, a->scores, t, 1, a->key_rows, rows, d, t, false);
    ops->pack(a->query_tile, q, d, 1, rows, d);
    ops->pack(a->grad_tile, g, d, 1, rows, d);
    bool add = first > 0;
    ops->multiply(a->dk, d, a->scores, 1, t, a->query_tile, t, d, rows, add);
    ops->multiply(a->dv, d, a->weights, 1, t, a->grad_tile, t, d, rows, add);
}

static void grad_element(const attention_state *s, const lm_kernel_args *args, int64_t b,
                         float *scratch) {
    const lm_comp_ops *ops = s->ops;
    int t = s->queries, d = s->width;
    int64_t size = (int64_t)t * d, at = b * size;
    float *out = (float *)args->out[0] + at;
    attention_grad a = {.q = (const float *)args->in[0] + at,
                        .k = (const float *)args->in[1] + at,
                        .v = (const float *)args->in[2] + at,
                        .y = (const float *)args->in[3] + at,
                        .g = (const float *)args->in[4] + at,
                        .dq = out,
                        .dk = out + s->batch * size,
                        .dv = out + 2 * s->batch * size};
    a.keys = scratch;
    a.values = a.keys + packed(s, d, t);
    a.key_rows = a.values + packed(s, d, t);
    a.weights = a.key_rows + packed(s, t, d);
    a.scores = a.weights + score_floats(s);
    a.query_tile = a.scores + score_floats(s);
    a.grad_tile = a.query_tile + packed(s, s->tile, d);
    ops->pack(a.keys, a.k, 1, d, d, t);
    ops->pack(a.values, a.v, 1, d, d, t);
    ops->pack(a.key_rows, a.k, d, 1, t, d);
    for (int i = 0; i < s->tiles; i++) grad_tile(s, &a, (int64_t)i * s->tile);
}

static lm_status run_attention_grad(lm_kernel *kernel, const lm_kernel_args *args) {
    const attention_state *s = kernel->state;
#pragma omp parallel num_threads(s->threads)
    {
        float *scratch = (float *)args->workspace + omp_get_thread_num() * s->scratch;
#pragma omp for schedule(static)
        for (int64_t b = 0; b < s->batch; b++) grad_element(s, args, b, scratch);
    }
    return LM_OK;
}

lm_status lm_comp_lower_attention_grad(lm_backend *backend, const lm_step *step,
                                       lm_kernel *kernel) {
    attention_state *s = make_state(kernel, step, "attention_grad", run_attention_grad);
    if (!s) return LM_NOMEM;
    int t = s->queries, d = s->width;
    s->scratch = 2 * packed(s, d, t) + packed(s, t, d) + 2 * score_floats(s) +
                 2 * packed(s, s->tile, d);
    kernel->workspace = (size_t)(s->threads * s->scratch) * sizeof(float);
    kernel->flops = 10.0 * (double)s->batch * t * t * d;
    return LM_OK;
}
