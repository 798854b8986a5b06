/* What the constructors and the bodies of composites compute, against plain loops in
 * double. Runs on the reference backend with every call inlined. */
#include "exec/exec.h"
#include "graph_tools.h"
#include "tensor/philox.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

#define MAX_COUNT 512
#define TOLERANCE 1e-12

/* A graph with random inputs and room for one result. */
typedef struct bench {
    lm_graph *graph;
    lm_rng rng;
    lm_node *in[8];
    double data[8][MAX_COUNT], out[MAX_COUNT];
    int n_in;
} bench;

static void begin(bench *b) {
    memset(b, 0, sizeof *b);
    b->graph = new_graph();
    b->rng.seed = 17;
}

/* A new input with values in [lo, hi), which are in *values. */
static lm_node *add_input(bench *b, lm_shape shape, double lo, double hi,
                          double **values) {
    char name[16];
    snprintf(name, sizeof name, "x%d", b->n_in);
    *values = b->data[b->n_in];
    for (int64_t i = 0; i < lm_shape_count(shape); i++)
        (*values)[i] = lo + (hi - lo) * lm_rng_uniform(&b->rng);
    return b->in[b->n_in++] = lm_input(b->graph, name, LM_F32, shape);
}

static lm_node *add_labels(bench *b, int count, int classes, double **values) {
    char name[16];
    snprintf(name, sizeof name, "x%d", b->n_in);
    *values = b->data[b->n_in];
    for (int i = 0; i < count; i++)
        (*values)[i] = lm_rng_below(&b->rng, (uint32_t)classes);
    return b->in[b->n_in++] = lm_input(b->graph, name, LM_I32, LM_SHAPE(count));
}

/* Computes y into b->out. */
static void run(bench *b, lm_node *y) {
    lm_engine *engine;
    lm_program *program;
    const lm_compile_options options = {.inline_all = true, .check = true};
    lm_graph_output(b->graph, "y", y);
    CHECK_OK(lm_graph_status(b->graph));
    CHECK_OK(lm_engine_new("ref", &engine));
    CHECK_OK(lm_compile(engine, b->graph, &options, &program));
    for (int i = 0; i < b->n_in; i++)
        CHECK_OK(lm_program_set(program, b->in[i]->attr.name, LM_F64, b->data[i],
                                lm_shape_count(b->in[i]->shape)));
    CHECK_OK(lm_program_run(program));
    CHECK_OK(lm_program_get(program, "y", LM_F64, b->out, lm_shape_count(y->shape)));
    lm_program_free(program);
    lm_engine_free(engine);
    lm_graph_free(b->graph);
}

static void near(const bench *b, int index, double want) {
    if (!(fabs(b->out[index] - want) <= TOLERANCE * fmax(1, fabs(want))))
        fail_msg("element %d is %.17g, expected %.17g", index, b->out[index], want);
}

static double sigmoid(double z) {
    return 1 / (1 + exp(-z));
}

/* ---- elementwise ------------------------------------------------------------- */

static void activations(void **state) {
    enum { COUNT = 41 };
    double *x;
    for (int which = 0; which < 5; which++) {
        bench b;
        begin(&b);
        lm_node *a = add_input(&b, LM_SHAPE(COUNT), -4, 4, &x);
        lm_graph *g = b.graph;
        lm_node *y = which == 0   ? lm_silu(g, a)
                     : which == 1 ? lm_gelu(g, a)
                     : which == 2 ? lm_clamp(g, a, -1, 2)
                     : which == 3 ? lm_relu(g, a)
                                  : lm_leaky_relu(g, a, 0.25);
        run(&b, y);
        for (int i = 0; i < COUNT; i++) {
            const double want[] = {
                x[i] * sigmoid(x[i]), x[i] * 0.5 * erfc(-x[i] / sqrt(2)),
                fmin(fmax(x[i], -1), 2), fmax(x[i], 0), x[i] > 0 ? x[i] : 0.25 * x[i]};
            near(&b, i, want[which]);
        }
    }
}

/* ---- random ------------------------------------------------------------------ */

static lm_node *add_key(bench *b) {
    static const double key[] = {123456789, 7, 42, 1000}; /* seed, step, first sample */
    memcpy(b->data[b->n_in], key, sizeof key);
    return b->in[b->n_in++] = lm_input(b->graph, "key", LM_U32, LM_SHAPE(4));
}

static double draw(uint32_t stream, int sample, int element) {
    const uint64_t seed = 123456789 + ((uint64_t)7 << 32);
    return lm_philox_u24(seed, stream, 42, 1000 + (uint32_t)sample, (uint32_t)element) *
           0x1p-24;
}

static void random_values(void **state) {
    enum { SAMPLES = 5, EACH = 21 };
    bench b;
    begin(&b);
    run(&b, lm_uniform(b.graph, add_key(&b), 9, LM_SHAPE(SAMPLES, 7, 3)));
    for (int i = 0; i < SAMPLES * EACH; i++) near(&b, i, draw(9, i / EACH, i % EACH));
    begin(&b);
    run(&b, lm_normal(b.graph, add_key(&b), 9, LM_SHAPE(SAMPLES, 7, 3)));
    for (int i = 0; i < SAMPLES * EACH; i++) {
        double u1 = 1 - draw(9, i / EACH, i % EACH), u2 = draw(10, i / EACH, i % EACH);
        near(&b, i, sqrt(-2 * log(u1)) * cos(2 * acos(-1) * u2));
    }
}

/* ---- normalisation ----------------------------------------------------------- */

enum { N = 2, H = 3, W = 5, C = 6, G = 3, PER = C / G };
static const float eps = 1e-3f;

static int at(int n, int h, int w, int c) {
    return ((n * H + h) * W + w) * C + c;
}

/* Mean and 1 / deviation of a group. */
static void statistics(const double *x, int n, int group, double *mean, double *rstd) {
    double sum = 0, squares = 0;
    for (int i = 0; i < H * W * PER; i++)
        sum += x[at(n, i / PER / W, i / PER % W, group * PER + i % PER)];
    *mean = sum / (H * W * PER);
    for (int i = 0; i < H * W * PER; i++) {
        double d = x[at(n, i / PER / W, i / PER % W, group * PER + i % PER)] - *mean;
        squares += d * d;
    }
    *rstd = 1 / sqrt(squares / (H * W * PER) + eps);
}

static void group_normalisation(void **state) {
    for (int silu = 0; silu < 2; silu++)
        for (int adaptive = 0; adaptive < 2; adaptive++) {
            double *x, *gamma, *beta, mean, rstd;
            bench b;
            begin(&b);
            lm_shape affine = adaptive ? LM_SHAPE(N, C) : LM_SHAPE(C);
            lm_node *a = add_input(&b, LM_SHAPE(N, H, W, C), -1, 3, &x);
            lm_node *scale = add_input(&b, affine, 0.5, 1.5, &gamma);
            lm_node *shift = add_input(&b, LM_SHAPE(C), -1, 1, &beta);
            run(&b, lm_group_norm(b.graph, a, scale, shift, G, eps, silu));
            for (int i = 0; i < N * H * W * C; i++) {
                int n = i / (H * W * C), c = i % C;
                statistics(x, n, c / PER, &mean, &rstd);
                double z =
                    (x[i] - mean) * rstd * gamma[adaptive ? n * C + c : c] + beta[c];
                near(&b, i, silu ? z * sigmoid(z) : z);
            }
        }
}

static void normalisation_sums(void **state) {
    for (int silu = 0; silu < 2; silu++) {
        double *x, *stats, *gamma, *beta, *dy;
        bench b;
        begin(&b);
        lm_node *src[] = {add_input(&b, LM_SHAPE(N, H, W, C), -1, 3, &x),
                          add_input(&b, LM_SHAPE(N, G, 2), 0.5, 1.5, &stats),
                          add_input(&b, LM_SHAPE(C), 0.5, 1.5, &gamma),
                          add_input(&b, LM_SHAPE(N, C), -1, 1, &beta),
                          add_input(&b, LM_SHAPE(N, H, W, C), -1, 1, &dy)};
        const lm_call_attr attr = {.i = {silu}};
        run(&b, lm_call(b.graph, LM_COMP_NORM_SUMS, src, 5, &attr));
        for (int n = 0; n < N; n++)
            for (int c = 0; c < C; c++) {
                const double *s = stats + (n * G + c / PER) * 2;
                double sums[2] = {0};
                for (int p = 0; p < H * W; p++) {
                    int i = at(n, p / W, p % W, c);
                    double xhat = (x[i] - s[0]) * s[1];
                    double z = xhat * gamma[c] + beta[n * C + c], q = sigmoid(z);
                    double dz = dy[i] * (silu ? q + z * q * (1 - q) : 1);
                    sums[0] += dz;
                    sums[1] += dz * xhat;
                }
                near(&b, (n * 2 + 0) * C + c, sums[1]);
                near(&b, (n * 2 + 1) * C + c, sums[0]);
            }
    }
}

/* ---- softmax ----------------------------------------------------------------- */

enum { ROWS = 4, CLASSES = 7 };

static double row_logsumexp(const double *x, int count) {
    double max = x[0], sum = 0;
    for (int i = 1; i < count; i++) max = fmax(max, x[i]);
    for (int i = 0; i < count; i++) sum += exp(x[i] - max);
    return max + log(sum);
}

/* Also far outside the range of exp. */
static void softmax_and_logsumexp(void **state) {
    static const double spans[] = {3, 5000};
    for (int s = 0; s < 2; s++) {
        double *x;
        bench b;
        begin(&b);
        lm_node *a = add_input(&b, LM_SHAPE(ROWS, CLASSES), -spans[s], spans[s], &x);
        run(&b, lm_softmax(b.graph, a));
        for (int i = 0; i < ROWS * CLASSES; i++) {
            const double *row = x + i / CLASSES * CLASSES;
            near(&b, i, exp(x[i] - row_logsumexp(row, CLASSES)));
        }
        begin(&b);
        a = add_input(&b, LM_SHAPE(ROWS, CLASSES), -spans[s], spans[s], &x);
        run(&b, lm_logsumexp(b.graph, a));
        for (int r = 0; r < ROWS; r++)
            near(&b, r, row_logsumexp(x + r * CLASSES, CLASSES));
    }
}

static void softmax_gradient(void **state) {
    double *y, *dy;
    bench b;
    begin(&b);
    lm_node *src[] = {add_input(&b, LM_SHAPE(ROWS, CLASSES), 0, 1, &y),
                      add_input(&b, LM_SHAPE(ROWS, CLASSES), -1, 1, &dy)};
    run(&b, lm_call(b.graph, LM_COMP_SOFTMAX_GRAD, src, 2, NULL));
    for (int i = 0; i < ROWS * CLASSES; i++) {
        double inner = 0;
        for (int k = i / CLASSES * CLASSES; k < (i / CLASSES + 1) * CLASSES; k++)
            inner += y[k] * dy[k];
        near(&b, i, y[i] * (dy[i] - inner));
    }
}

static void cross_entropy(void **state) {
    double *x, *label, *dy;
    bench b;
    begin(&b);
    lm_node *logits = add_input(&b, LM_SHAPE(ROWS, CLASSES), -3, 3, &x);
    run(&b, lm_softmax_xent(b.graph, logits, add_labels(&b, ROWS, CLASSES, &label)));
    for (int r = 0; r < ROWS; r++) {
        const double *row = x + r * CLASSES;
        near(&b, r, row_logsumexp(row, CLASSES) - row[(int)label[r]]);
    }
    begin(&b);
    lm_node *src[3];
    src[0] = add_input(&b, LM_SHAPE(ROWS, CLASSES), -3, 3, &x);
    src[1] = add_labels(&b, ROWS, CLASSES, &label);
    src[2] = add_input(&b, LM_SHAPE(ROWS, 1), -1, 1, &dy);
    run(&b, lm_call(b.graph, LM_COMP_SOFTMAX_XENT_GRAD, src, 3, NULL));
    for (int i = 0; i < ROWS * CLASSES; i++) {
        int r = i / CLASSES;
        double p = exp(x[i] - row_logsumexp(x + r * CLASSES, CLASSES));
        near(&b, i, dy[r] * (p - (i % CLASSES == (int)label[r])));
    }
}

/* ---- attention --------------------------------------------------------------- */

enum { B = 2, T = 5, S = 3, D = 4, E = 2 };
static const float scale = 0.375f;

/* p[T,S] of one batch entry. */
static void attend(const double *q, const double *k, int queries, int keys, double *p) {
    for (int t = 0; t < queries; t++) {
        double *row = p + t * keys;
        for (int s = 0; s < keys; s++) {
            row[s] = 0;
            for (int d = 0; d < D; d++) row[s] += scale * q[t * D + d] * k[s * D + d];
        }
        double total = row_logsumexp(row, keys);
        for (int s = 0; s < keys; s++) row[s] = exp(row[s] - total);
    }
}

/* Queries and keys of different lengths, values of another width. */
static void attention(void **state) {
    double *q, *k, *v, p[T * S];
    bench b;
    begin(&b);
    lm_node *src[] = {add_input(&b, LM_SHAPE(B, T, D), -2, 2, &q),
                      add_input(&b, LM_SHAPE(B, S, D), -2, 2, &k),
                      add_input(&b, LM_SHAPE(B, S, E), -2, 2, &v)};
    run(&b, lm_attention(b.graph, src[0], src[1], src[2], 1, scale));
    for (int n = 0; n < B; n++) {
        attend(q + n * T * D, k + n * S * D, T, S, p);
        for (int i = 0; i < T * E; i++) {
            double want = 0;
            for (int s = 0; s < S; s++)
                want += p[i / E * S + s] * v[(n * S + s) * E + i % E];
            near(&b, n * T * E + i, want);
        }
    }
}

/* The gradients of q, k and v in one batch entry, from the definition: the softmax is
 * differentiated without the shortcut that the body takes. */
static void attention_gradients(const double *q, const double *k, const double *v,
                                const double *dy, double *dq, double *dk, double *dv) {
    double p[T * T], dp[T * T];
    attend(q, k, T, T, p);
    memset(dq, 0, T * D * sizeof *dq);
    memset(dk, 0, T * D * sizeof *dk);
    memset(dv, 0, T * D * sizeof *dv);
    for (int t = 0; t < T; t++)
        for (int s = 0; s < T; s++) {
            dp[t * T + s] = 0;
            for (int d = 0; d < D; d++) {
                dv[s * D + d] += p[t * T + s] * dy[t * D + d];
                dp[t * T + s] += dy[t * D + d] * v[s * D + d];
            }
        }
    for (int t = 0; t < T; t++)
        for (int s = 0; s < T; s++) {
            double ds = 0;
            for (int r = 0; r < T; r++)
                ds += dp[t * T + r] * p[t * T + r] * ((r == s) - p[t * T + s]);
            for (int d = 0; d < D; d++) {
                dq[t * D + d] += scale * ds * k[s * D + d];
                dk[s * D + d] += scale * ds * q[t * D + d];
            }
        }
}

static void attention_gradient(void **state) {
    double *q, *k, *v, *y, *dy, grad[3][T * D], p[T * T];
    bench b;
    begin(&b);
    lm_shape shape = LM_SHAPE(B, T, D);
    lm_node *src[5];
    src[0] = add_input(&b, shape, -2, 2, &q);
    src[1] = add_input(&b, shape, -2, 2, &k);
    src[2] = add_input(&b, shape, -2, 2, &v);
    src[3] = add_input(&b, shape, 0, 1, &y); /* must be the true result */
    src[4] = add_input(&b, shape, -1, 1, &dy);
    for (int n = 0; n < B; n++) {
        attend(q + n * T * D, k + n * T * D, T, T, p);
        for (int i = 0; i < T * D; i++) {
            double *to = &y[n * T * D + i];
            *to = 0;
            for (int s = 0; s < T; s++)
                *to += p[i / D * T + s] * v[(n * T + s) * D + i % D];
        }
    }
    const lm_call_attr attr = {.i = {1}, .f = {scale}};
    run(&b, lm_call(b.graph, LM_COMP_ATTENTION_GRAD, src, 5, &attr));
    for (int n = 0; n < B; n++) {
        int from = n * T * D;
        attention_gradients(q + from, k + from, v + from, dy + from, grad[0], grad[1],
                            grad[2]);
        for (int i = 0; i < 3 * T * D; i++)
            near(&b, (i / (T * D) * B + n) * T * D + i % (T * D),
                 grad[i / (T * D)][i % (T * D)]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(activations),           cmocka_unit_test(random_values),
        cmocka_unit_test(group_normalisation),   cmocka_unit_test(normalisation_sums),
        cmocka_unit_test(softmax_and_logsumexp), cmocka_unit_test(softmax_gradient),
        cmocka_unit_test(cross_entropy),         cmocka_unit_test(attention),
        cmocka_unit_test(attention_gradient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
