/* Attention of one panel of queries; a file of isa_files. */
#include "backend/cpu/attention_ops.h"

#include "backend/cpu/vm_math.h"

#define INLINE static inline __attribute__((always_inline))

#if defined(__AVX512F__)
enum { VECTOR = 16, TILE_ROWS = 12 };
#elif defined(__AVX2__)
enum { VECTOR = 8, TILE_ROWS = 6 };
#else
enum { VECTOR = 4, TILE_ROWS = 6 };
#endif
enum {
    LANES = 2 * VECTOR,
    KEYS = 128 /* of a block: its scores stay in the nearest cache */
};
typedef float vector __attribute__((vector_size(VECTOR * sizeof(float))));

#define LOG2_E 1.44269504f

/* ---- products ---------------------------------------------------------------- */

INLINE vector load(const float *x) {
    vector v;
    memcpy(&v, x, sizeof v);
    return v;
}

INLINE void store(float *x, vector v) {
    memcpy(x, &v, sizeof v);
}

/* C (m x LANES) += A B, or = without `add`; the tile of C is in registers. */
INLINE void multiply_tile(float *c, int64_t ldc, const float *a, int64_t mi, int64_t kj,
                          const float *b, const int m, int k, bool add) {
    vector sum[TILE_ROWS][2] = {0};
    if (add)
        for (int i = 0; i < m; i++) {
            sum[i][0] = load(c + i * ldc);
            sum[i][1] = load(c + i * ldc + VECTOR);
        }
    for (int p = 0; p < k; p++, b += LANES) {
        vector low = load(b), high = load(b + VECTOR);
        for (int i = 0; i < m; i++) {
            float x = a[i * mi + p * kj];
            sum[i][0] += x * low;
            sum[i][1] += x * high;
        }
    }
    for (int i = 0; i < m; i++) {
        store(c + i * ldc, sum[i][0]);
        store(c + i * ldc + VECTOR, sum[i][1]);
    }
}

/* A's element (i, j) is at a[i * mi + j * kj], B's at b[i * LANES + j]. */
INLINE void multiply_strips(float *c, int64_t ldc, const float *a, int64_t mi, int64_t kj,
                            const float *b, int m, int k, bool add) {
    int i = 0;
#define STRIPS(rows)                                                                     \
    for (; i + (rows) <= m; i += (rows))                                                 \
    multiply_tile(c + i * ldc, ldc, a + i * mi, mi, kj, b, rows, k, add)
    STRIPS(TILE_ROWS);
    STRIPS(4);
    STRIPS(1);
#undef STRIPS
}

/* A has its rows next to each other in memory: B's rows are of the same index. */
static void multiply_rows(float *c, int64_t ldc, const float *a, int64_t lda,
                          const float *b, int m, int k, bool add) {
    multiply_strips(c, ldc, a, lda, 1, b, m, k, add);
}

/* A' B: A is stored as k x m. */
static void multiply_columns(float *c, int64_t ldc, const float *a, int64_t lda,
                             const float *b, int m, int k, bool add) {
    multiply_strips(c, ldc, a, 1, lda, b, m, k, add);
}

/* C (m x n) = or += A (m x k) B, where B comes as panels of LANES columns. A block of
 * columns that is not full goes through `edge` (m x LANES). */
static void multiply_panels(lm_rows_out c, const float *a, int64_t lda, const float *b,
                            int m, int n, int k, bool add, float *edge) {
    for (int j = 0; j < n; j += LANES, b += (int64_t)k * LANES) {
        if (n - j >= LANES) {
            multiply_rows(c.x + j, c.stride, a, lda, b, m, k, add);
            continue;
        }
        multiply_rows(edge, LANES, a, lda, b, m, k, false);
        for (int i = 0; i < m; i++)
            for (int w = 0; w < n - j; w++) {
                float *to = c.x + i * c.stride + j + w;
                *to = (add ? *to : 0) + edge[i * LANES + w];
            }
    }
}

/* ---- panels ------------------------------------------------------------------ */

/* panel[c][i] = x[i][c] * factor; lanes past the rows are zero. */
static void to_lanes(float *panel, lm_rows_in x, int rows, int width, float factor) {
    enum { BLOCK = 16 };
    for (int c0 = 0; c0 < width; c0 += BLOCK) {
        int c1 = c0 + BLOCK < width ? c0 + BLOCK : width;
        for (int i = 0; i < rows; i++)
            for (int c = c0; c < c1; c++)
                panel[c * LANES + i] = x.x[i * x.stride + c] * factor;
        for (int i = rows; i < LANES; i++)
            for (int c = c0; c < c1; c++) panel[c * LANES + i] = 0;
    }
}

/* y[i][c] = panel[c][i] * factor[i]. */
static void from_lanes(lm_rows_out y, const float *panel, int rows, int width,
                       const float *factor) {
    enum { BLOCK = 16 };
    for (int c0 = 0; c0 < width; c0 += BLOCK) {
        int c1 = c0 + BLOCK < width ? c0 + BLOCK : width;
        for (int i = 0; i < rows; i++)
            for (int c = c0; c < c1; c++)
                y.x[i * y.stride + c] = panel[c * LANES + i] * factor[i];
    }
}

/* Blocks of LANES columns, each rows x LANES, filled up with zeros. */
static void to_panels(float *panels, lm_rows_in x, int rows, int width) {
    for (int c = 0; c < width; c += LANES)
        for (int i = 0; i < rows; i++, panels += LANES) {
            int n = width - c < LANES ? width - c : LANES;
            memcpy(panels, x.x + i * x.stride + c, (size_t)n * sizeof *panels);
            for (int w = n; w < LANES; w++) panels[w] = 0;
        }
}

/* ---- softmax, a query in each lane ------------------------------------------- */

/* 2^x for x <= 0, as vm_math.h's functions are made; below 2^-126 it stays there. Scores
 * come in units of ln 2, since a factor on the queries costs nothing. */
INLINE float exp2_falling(float x) {
    x = x < -126.0f ? -126.0f : x;
    float t = x + LM_VM_ROUNDER, r = (x - (t - LM_VM_ROUNDER)) * 0.693147181f;
    float p = 1 + r * (1 + r * lm_vm_exp_q(r));
    return p * lm_vm_float((lm_vm_bits(t) << 23) + 0x3f800000);
}

/* max[i] = the largest of max[i] and column i. */
static void raise_max(float *max, const float *scores, int keys) {
    float m[LANES];
    memcpy(m, max, sizeof m);
    for (int r = 0; r < keys; r++, scores += LANES)
        for (int i = 0; i < LANES; i++) m[i] = scores[i] > m[i] ? scores[i] : m[i];
    memcpy(max, m, sizeof m);
}

/* scores = 2^(scores - max), sum[i] += column i. */
static void exponentiate(float *scores, const float *max, float *sum, int keys) {
    float s[LANES];
    memcpy(s, sum, sizeof s);
    for (int r = 0; r < keys; r++, scores += LANES)
        LM_VM_LANES for (int i = 0; i < LANES; i++) {
            float e = exp2_falling(scores[i] - max[i]);
            scores[i] = e;
            s[i] += e;
        }
    memcpy(sum, s, sizeof s);
}

static void scale_lanes(float *x, const float *factor, int rows) {
    for (int r = 0; r < rows; r++, x += LANES)
        for (int i = 0; i < LANES; i++) x[i] *= factor[i];
}

/* ---- forward ----------------------------------------------------------------- */

static int64_t scratch_size(lm_attention_size s) {
    return (int64_t)LANES * (s.width + s.value_width + KEYS);
}

/* Adds a block of keys to what the lanes have: with a new maximum, the sums so far shrink
 * (Milakov and Gimelshein: "Online normalizer calculation for softmax", 2018). */
static void weigh_block(float *scores, int keys, float *max, float *sum, float *y,
                        int width) {
    float shrink[LANES];
    memcpy(shrink, max, sizeof shrink);
    raise_max(max, scores, keys);
    for (int i = 0; i < LANES; i++) {
        shrink[i] = exp2_falling(shrink[i] - max[i]);
        sum[i] *= shrink[i];
    }
    scale_lanes(y, shrink, width);
    exponentiate(scores, max, sum, keys);
}

static void attend(const lm_attention_panel *a, lm_rows_out to, float *scratch) {
    int width = a->size.width, value_width = a->size.value_width;
    float *q = scratch, *y = q + (int64_t)LANES * width;
    float *scores = y + (int64_t)LANES * value_width;
    float max[LANES], sum[LANES] = {0};
    for (int i = 0; i < LANES; i++) max[i] = -INFINITY;
    to_lanes(q, a->q, a->queries, width, a->scale * LOG2_E);
    memset(y, 0, (size_t)LANES * value_width * sizeof *y);
    for (int key = 0; key < a->size.keys; key += KEYS) {
        int n = a->size.keys - key < KEYS ? a->size.keys - key : KEYS;
        multiply_rows(scores, LANES, a->k.x + key * a->k.stride, a->k.stride, q, n, width,
                      false);
        weigh_block(scores, n, max, sum, y, key ? value_width : 0);
        multiply_columns(y, LANES, a->v.x + key * a->v.stride, a->v.stride, scores,
                         value_width, n, true);
    }
    for (int i = 0; i < LANES; i++) sum[i] = 1 / sum[i];
    from_lanes(to, y, a->queries, value_width, sum);
}

/* ---- gradient ---------------------------------------------------------------- */

static int64_t panels_size(int width) {
    return (int64_t)(width + LANES - 1) / LANES * LANES * LANES;
}

static int64_t grad_scratch_size(lm_attention_size s) {
    return (int64_t)LANES * (3 * s.width + s.keys + 2 * KEYS) + 2 * panels_size(s.width);
}

/* Of a panel, in lanes: queries (scaled), gradients of y, gradients of q, weights of all
 * keys, of a block of keys the gradients of scores; as panels: queries, gradients of y.
 * By query: 1 / sum of its weights, sum of g * y. */
typedef struct grad_panel {
    float *q, *g, *dq, *weights, *scores, *edge, *query_panels, *g_panels;
    float inverse[LANES], inner[LANES];
} grad_panel;

static void make_weights(const lm_attention_panel *a, grad_panel *p) {
    float max[LANES], sum[LANES] = {0};
    for (int i = 0; i < LANES; i++) max[i] = -INFINITY;
    multiply_rows(p->weights, LANES, a->k.x, a->k.stride, p->q, a->size.keys,
                  a->size.width, false);
    raise_max(max, p->weights, a->size.keys);
    exponentiate(p->weights, max, sum, a->size.keys);
    for (int i = 0; i < LANES; i++) p->inverse[i] = 1 / sum[i];
}

static void make_inner(const lm_attention_panel *a, const lm_attention_grads *d,
                       float *inner) {
    memset(inner, 0, LANES * sizeof *inner);
    for (int i = 0; i < a->queries; i++) {
        const float *y = d->y.x + i * d->y.stride, *g = d->g.x + i * d->g.stride;
        float lane[LANES] = {0};
        for (int c = 0; c < a->size.width; c += LANES) {
            int n = a->size.width - c < LANES ? a->size.width - c : LANES;
            for (int w = 0; w < n; w++) lane[w] += y[c + w] * g[c + w];
        }
        for (int w = 0; w < LANES; w++) inner[i] += lane[w];
    }
}

/* p /= sum; ds = p * (dp - sum(g * y)) * scale. */
static void score_grads(float *ds, float *weights, const grad_panel *p, float scale,
                        int keys) {
    for (int r = 0; r < keys; r++, ds += LANES, weights += LANES)
        LM_VM_LANES for (int i = 0; i < LANES; i++) {
            float w = weights[i] * p->inverse[i];
            weights[i] = w;
            ds[i] = w * (ds[i] - p->inner[i]) * scale;
        }
}

static void grad_block(const lm_attention_panel *a, const lm_attention_grads *d,
                       const grad_panel *p, int key, int keys) {
    int width = a->size.width;
    float *weights = p->weights + (int64_t)key * LANES;
    multiply_rows(p->scores, LANES, a->v.x + key * a->v.stride, a->v.stride, p->g, keys,
                  width, false);
    score_grads(p->scores, weights, p, a->scale, keys);
    multiply_columns(p->dq, LANES, a->k.x + key * a->k.stride, a->k.stride, p->scores,
                     width, keys, key > 0);
    lm_rows_out dk = {d->dk.x + key * d->dk.stride, d->dk.stride};
    lm_rows_out dv = {d->dv.x + key * d->dv.stride, d->dv.stride};
    multiply_panels(dk, p->scores, LANES, p->query_panels, keys, width, a->queries,
                    d->add, p->edge);
    multiply_panels(dv, weights, LANES, p->g_panels, keys, width, a->queries, d->add,
                    p->edge);
}

static void attend_grad(const lm_attention_panel *a, const lm_attention_grads *d,
                        float *scratch) {
    int width = a->size.width, keys = a->size.keys;
    int64_t lanes = (int64_t)LANES * width;
    grad_panel p = {.q = scratch};
    p.g = p.q + lanes;
    p.dq = p.g + lanes;
    p.weights = p.dq + lanes;
    p.scores = p.weights + (int64_t)LANES * keys;
    p.edge = p.scores + LANES * KEYS;
    p.query_panels = p.edge + LANES * KEYS;
    p.g_panels = p.query_panels + panels_size(width);
    to_lanes(p.q, a->q, a->queries, width, a->scale * LOG2_E);
    to_lanes(p.g, d->g, a->queries, width, 1);
    to_panels(p.query_panels, a->q, a->queries, width);
    to_panels(p.g_panels, d->g, a->queries, width);
    make_inner(a, d, p.inner);
    make_weights(a, &p);
    for (int key = 0; key < keys; key += KEYS)
        grad_block(a, d, &p, key, keys - key < KEYS ? keys - key : KEYS);
    float one[LANES];
    for (int i = 0; i < LANES; i++) one[i] = 1;
    from_lanes(d->dq, p.dq, a->queries, width, one);
}

const lm_attention_ops LM_ISA_NAME(lm_attention_ops) = {
    .lanes = LANES,
    .scratch = scratch_size,
    .grad_scratch = grad_scratch_size,
    .attend = attend,
    .attend_grad = attend_grad,
};
