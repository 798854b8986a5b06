/* Convolutions, pooling and matrices against their definitions. */
#include "rig.h"
#include <math.h>
#include <string.h>

/* ---- convolution ------------------------------------------------------------- */

typedef struct conv_case {
    int n, h, w, c, o, kh, kw;
    lm_conv_attr attr;
} conv_case;

/* stride, dilation, pad lo, pad hi, size, groups */
static const conv_case conv_cases[] = {
    {1, 1, 1, 1, 1, 1, 1, {{1, 1}, {1, 1}, {0, 0}, {0, 0}, {0, 0}, 1}},
    {2, 5, 7, 3, 4, 3, 3, {{1, 1}, {1, 1}, {1, 1}, {1, 1}, {0, 0}, 1}},
    {2, 7, 5, 2, 3, 3, 3, {{2, 2}, {1, 1}, {0, 0}, {1, 1}, {0, 0}, 1}},
    {1, 9, 8, 2, 2, 3, 2, {{3, 2}, {2, 3}, {2, 0}, {1, 3}, {0, 0}, 1}},
    {2, 6, 6, 6, 9, 3, 1, {{1, 2}, {1, 1}, {1, 0}, {1, 0}, {0, 0}, 3}},
    {1, 5, 5, 4, 4, 5, 5, {{1, 1}, {1, 1}, {2, 2}, {2, 2}, {0, 0}, 4}},
    {2, 4, 4, 5, 7, 1, 1, {{1, 1}, {1, 1}, {0, 0}, {0, 0}, {0, 0}, 1}},
    {1, 3, 3, 1, 2, 4, 4, {{2, 2}, {1, 1}, {2, 1}, {1, 2}, {0, 0}, 1}},
};
enum { N_CONV_CASES = sizeof conv_cases / sizeof *conv_cases };

/* The pixel of the image that output position `out` sees at kernel position `k`. */
static int64_t seen(const lm_conv_attr *a, int axis, int64_t out, int64_t k) {
    return out * a->stride[axis] + k * a->dilation[axis] - a->pad_lo[axis];
}

/* x[n,h,w,c] with zeros around it. */
static double pixel(lm_shape s, const double *x, int64_t n, int64_t h, int64_t w,
                    int64_t c) {
    if (h < 0 || h >= s.dim[1] || w < 0 || w >= s.dim[2]) return 0;
    return x[((n * s.dim[1] + h) * s.dim[2] + w) * s.dim[3] + c];
}

/* All three members of the family from the one trilinear form
 * sum y[n,oh,ow,o] w[o,i,j,c] x[n,h,w,c]: the derivative in the member's argument. */
static void trilinear(const conv_case *t, lm_shape xs, lm_shape ws, lm_shape ys,
                      const double *x, const double *w, const double *y, double *dx,
                      double *dw, double *dy) {
    int64_t per_group = ws.dim[0] / t->attr.groups, yi = 0;
    for (int64_t p = 0; p < ys.dim[0] * ys.dim[1] * ys.dim[2]; p++)
        for (int64_t o = 0; o < ws.dim[0]; o++, yi++)
            for (int64_t f = 0; f < ws.dim[1] * ws.dim[2] * ws.dim[3]; f++) {
                int64_t c = f % ws.dim[3], j = f / ws.dim[3] % ws.dim[2];
                int64_t i = f / ws.dim[3] / ws.dim[2];
                int64_t h = seen(&t->attr, 0, p / ys.dim[2] % ys.dim[1], i);
                int64_t v = seen(&t->attr, 1, p % ys.dim[2], j);
                int64_t n = p / ys.dim[2] / ys.dim[1];
                int64_t channel = o / per_group * ws.dim[3] + c;
                int64_t wi = o * ws.dim[1] * ws.dim[2] * ws.dim[3] + f;
                if (dy) dy[yi] += w[wi] * pixel(xs, x, n, h, v, channel);
                if (dw) dw[wi] += y[yi] * pixel(xs, x, n, h, v, channel);
                if (dx && h >= 0 && h < xs.dim[1] && v >= 0 && v < xs.dim[2])
                    dx[((n * xs.dim[1] + h) * xs.dim[2] + v) * xs.dim[3] + channel] +=
                        y[yi] * w[wi];
            }
}

static void check_conv(rig *r, const conv_case *t) {
    lm_shape xs = LM_SHAPE(t->n, t->h, t->w, t->c);
    lm_shape ws = LM_SHAPE(t->o, t->kh, t->kw, t->c / t->attr.groups);
    lm_node *x = rig_input(r, xs), *w = rig_input(r, ws);
    lm_node *bias = rig_input(r, LM_SHAPE(t->o));
    lm_node *conv = lm_conv(r->graph, x, w, bias, &t->attr);
    CHECK_OK(lm_graph_status(r->graph));
    lm_shape ys = conv->shape;
    int64_t nx = lm_shape_count(xs), nw = lm_shape_count(ws), ny = lm_shape_count(ys);
    double *vx = rig_random(r, nx), *vw = rig_random(r, nw), *vy = rig_random(r, ny);
    double *vb = rig_random(r, t->o);
    double *dx = rig_zeros(r, nx), *dw = rig_zeros(r, nw), *dy = rig_zeros(r, ny);
    trilinear(t, xs, ws, ys, vx, vw, vy, dx, dw, dy);

    double *plain = RIG_RUN(r, lm_conv(r->graph, x, w, NULL, &t->attr), vx, vw);
    rig_compare(plain, dy, ny, 1e-14);
    for (int64_t i = 0; i < ny; i++) dy[i] += vb[i % t->o];
    rig_compare(RIG_RUN(r, conv, vx, vw, vb), dy, ny, 1e-14);

    lm_node *y = rig_input(r, ys);
    lm_conv_attr sized = t->attr;
    sized.size[0] = t->h, sized.size[1] = t->w;
    lm_node *dgrad = lm_conv_dgrad(r->graph, y, w, &sized);
    rig_compare(RIG_RUN(r, dgrad, vy, vw), dx, nx, 1e-14);
    sized.size[0] = t->kh, sized.size[1] = t->kw;
    lm_node *wgrad = lm_conv_wgrad(r->graph, x, y, &sized);
    rig_compare(RIG_RUN(r, wgrad, vx, vy), dw, nw, 1e-14);
}

static void test_conv(void **state) {
    for (int i = 0; i < N_CONV_CASES; i++) {
        rig_teardown(state);
        rig_setup(state);
        check_conv(*state, &conv_cases[i]);
    }
}

/* A value by hand: x = 1 2 / 3 4, w = 1 10 / 100 1000, one column of padding behind. */
static void test_conv_by_hand(void **state) {
    rig *r = *state;
    const double x[] = {1, 2, 3, 4}, w[] = {1, 10, 100, 1000};
    lm_conv_attr attr = {{1, 1}, {1, 1}, {0, 0}, {0, 1}, {0, 0}, 1};
    lm_node *node = lm_conv(r->graph, rig_input(r, LM_SHAPE(1, 2, 2, 1)),
                            rig_input(r, LM_SHAPE(1, 2, 2, 1)), NULL, &attr);
    const double want[] = {4321, 402};
    rig_compare(RIG_RUN(r, node, x, w), want, 2, 0);
}

/* ---- pooling ----------------------------------------------------------------- */

static const lm_pool_attr pool_attrs[] = {
    {{2, 2}, {2, 2}, {0, 0}, {0, 0}, {0, 0}},
    {{3, 3}, {2, 2}, {1, 1}, {1, 1}, {0, 0}},
    {{3, 2}, {1, 3}, {2, 0}, {1, 1}, {0, 0}},
};

/* Values from a small set, so that equal ones occur; all negative, so that padding would
 * win if it counted as zero. */
static double *pool_values(rig *r, int64_t count) {
    double *x = rig_random(r, count);
    for (int64_t i = 0; i < count; i++) x[i] = floor(3 * x[i]) - 4;
    return x;
}

static void check_pool(rig *r, const lm_pool_attr *attr) {
    lm_shape shape = LM_SHAPE(2, 7, 5, 3);
    lm_node *x = rig_input(r, shape);
    lm_node *argmax = lm_pool_argmax(r->graph, x, attr);
    lm_shape pooled = argmax->shape;
    int64_t count = lm_shape_count(pooled), n_x = lm_shape_count(shape);
    double *vx = pool_values(r, n_x), *vy = rig_random(r, count);
    double *index = RIG_RUN(r, argmax, vx);
    double *want = rig_zeros(r, count), *sources = rig_zeros(r, count);
    double *scattered = rig_zeros(r, n_x);
    for (int64_t i = 0; i < count; i++) {
        int64_t c = i % 3, v = i / 3 % pooled.dim[2], h = i / 3 / pooled.dim[2];
        int64_t n = h / pooled.dim[1];
        h %= pooled.dim[1];
        double best = -INFINITY;
        for (int p = attr->window[0] * attr->window[1] - 1; p >= 0; p--) {
            int64_t row = h * attr->stride[0] - attr->pad_lo[0] + p / attr->window[1];
            int64_t col = v * attr->stride[1] - attr->pad_lo[1] + p % attr->window[1];
            if (row < 0 || row >= 7 || col < 0 || col >= 5) continue;
            int64_t at = ((n * 7 + row) * 5 + col) * 3 + c;
            if (vx[at] < best) continue; /* from the last: equals move to the first */
            best = vx[at];
            want[i] = p;
            sources[i] = (double)at;
        }
        scattered[(int64_t)sources[i]] += vy[i];
    }
    rig_compare(index, want, count, 0);

    lm_node *indices = rig_input_of(r, LM_U8, pooled);
    double *got = RIG_RUN(r, lm_pool_gather(r->graph, x, indices, attr), vx, index);
    for (int64_t i = 0; i < count; i++) assert_true(got[i] == vx[(int64_t)sources[i]]);
    lm_pool_attr sized = *attr;
    sized.size[0] = 7, sized.size[1] = 5;
    lm_node *scatter = lm_pool_scatter(r->graph, rig_input(r, pooled), indices, &sized);
    rig_compare(RIG_RUN(r, scatter, vy, index), scattered, n_x, 1e-15);
}

static void test_pool(void **state) {
    for (size_t i = 0; i < sizeof pool_attrs / sizeof *pool_attrs; i++)
        check_pool(*state, &pool_attrs[i]);
}

static void test_bad_position(void **state) {
    rig *r = *state;
    lm_node *x = rig_input(r, LM_SHAPE(1, 2, 2, 1));
    lm_node *index = rig_input_of(r, LM_U8, LM_SHAPE(1, 1, 1, 1));
    lm_node *node = lm_pool_gather(r->graph, x, index, &pool_attrs[0]);
    const double values[] = {1, 2, 3, 4}, position[] = {4};
    double *out;
    CHECK_FAILS(rig_try(r, node, (const double *const[]){values, position}, &out),
                LM_ARG);
}

/* ---- matrices ---------------------------------------------------------------- */

static void test_matmul(void **state) {
    rig *r = *state;
    enum { B = 3, M = 5, N = 4, K = 7 };
    double *a = rig_random(r, B * M * K), *b = rig_random(r, B * K * N);
    double *bias = rig_random(r, N);
    for (int flags = 0; flags < 8; flags++) {
        bool ta = flags & 1, tb = flags & 2, with_bias = flags & 4;
        lm_node *na = rig_input(r, ta ? LM_SHAPE(B, K, M) : LM_SHAPE(B, M, K));
        lm_node *nb = rig_input(r, tb ? LM_SHAPE(B, N, K) : LM_SHAPE(B, K, N));
        lm_node *nbias = with_bias ? rig_input(r, LM_SHAPE(N)) : NULL;
        lm_node *node = lm_matmul_bias(r->graph, na, nb, nbias, ta, tb);
        double *got = RIG_RUN(r, node, a, b, bias);
        double want[B * M * N];
        for (int i = 0; i < B * M * N; i++) {
            int s = i / (M * N), row = i / N % M, column = i % N;
            want[i] = with_bias ? bias[column] : 0;
            for (int k = 0; k < K; k++)
                want[i] += a[s * M * K + (ta ? k * M + row : row * K + k)] *
                           b[s * K * N + (tb ? column * K + k : k * N + column)];
        }
        rig_compare(got, want, B * M * N, 1e-14);
    }
}

static void test_inverse(void **state) {
    rig *r = *state;
    enum { N = 7, B = 2 };
    lm_node *a = rig_input(r, LM_SHAPE(B, N, N));
    double *matrix = rig_random(r, B * N * N);
    double *inverse = RIG_RUN(r, lm_inv(r->graph, a), matrix);
    double *product = rig_zeros(r, B * N * N), *identity = rig_zeros(r, B * N * N);
    for (int i = 0; i < B * N * N; i++) {
        int s = i / (N * N), row = i / N % N, column = i % N;
        identity[i] = row == column;
        for (int k = 0; k < N; k++)
            product[i] +=
                matrix[s * N * N + row * N + k] * inverse[s * N * N + k * N + column];
    }
    rig_compare(product, identity, B * N * N, 1e-11);

    /* Needs an exchange of rows: its first pivot is zero. */
    const double small[] = {0, 2, 4, 1};
    const double want[] = {-0.125, 0.25, 0.5, 0};
    lm_node *two = rig_input(r, LM_SHAPE(2, 2));
    rig_compare(RIG_RUN(r, lm_inv(r->graph, two), small), want, 4, 1e-16);
}

static void test_singular(void **state) {
    rig *r = *state;
    const double matrices[] = {1, 2, 3, 5, 1, 2, 2, 4};
    lm_node *a = rig_input(r, LM_SHAPE(2, 2, 2));
    double *out;
    CHECK_FAILS(rig_try(r, lm_inv(r->graph, a), (const double *const[]){matrices}, &out),
                LM_NUMERIC);
    assert_string_equal(lm_message(), "matrix 1 is singular");
    double *det = RIG_RUN(r, lm_logabsdet(r->graph, a), matrices);
    const double want[] = {0, -INFINITY}; /* det = 5 - 6 */
    rig_compare(det, want, 2, 1e-15);
}

/* Against the cofactors of a 3 x 3 matrix, and of a triangle hidden by exchanges. */
static void test_determinant(void **state) {
    rig *r = *state;
    double *m = rig_random(r, 9);
    double det = m[0] * (m[4] * m[8] - m[5] * m[7]) - m[1] * (m[3] * m[8] - m[5] * m[6]) +
                 m[2] * (m[3] * m[7] - m[4] * m[6]);
    double want = log(fabs(det));
    lm_node *node = lm_logabsdet(r->graph, rig_input(r, LM_SHAPE(3, 3)));
    rig_compare(RIG_RUN(r, node, m), &want, 1, 1e-13);
    const double triangle[] = {0, 0, 8, 0, -2, 5, 3, 7, 1};
    want = log(48);
    rig_compare(RIG_RUN(r, node, triangle), &want, 1, 1e-15);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        RIG_TEST(test_conv),         RIG_TEST(test_conv_by_hand), RIG_TEST(test_pool),
        RIG_TEST(test_bad_position), RIG_TEST(test_matmul),       RIG_TEST(test_inverse),
        RIG_TEST(test_singular),     RIG_TEST(test_determinant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
