/* A case for every kind but ew's codes and composites, which have files of their own.
 * Sizes are odd, prime or 1, so that exchanged axes show. */
#include "gradcheck.h"

/* ---- leaves, and kinds that end gradients ------------------------------------ */

static lm_node *build_param(gc *t, const gc_case *c) {
    lm_node *a = gc_param(t, LM_SHAPE(2, 3), -1, 1), *b = gc_param(t, LM_SHAPE(3), -1, 1);
    return lm_mul(t->graph, lm_square(t->graph, a), b);
}

static lm_node *build_input(gc *t, const gc_case *c) {
    return lm_mul(t->graph, gc_float(t, LM_SHAPE(2, 1, 3), -1, 1),
                  gc_float(t, LM_SHAPE(5, 1), -1, 1));
}

static lm_node *build_const(gc *t, const gc_case *c) {
    float table[3] = {0.5f, -2, 3};
    lm_node *data = lm_const_data(t->graph, LM_F32, LM_SHAPE(3), table);
    return lm_mul(t->graph, gc_float(t, LM_SHAPE(2, 3), -1, 1), data);
}

static lm_node *build_iota(gc *t, const gc_case *c) {
    lm_node *iota = lm_iota(t->graph, LM_F32, LM_SHAPE(2, 3, 1), 1);
    return lm_mul(t->graph, gc_float(t, LM_SHAPE(2, 1, 5), -1, 1), iota);
}

static lm_node *build_argmax(gc *t, const gc_case *c) {
    lm_node *x = gc_distinct(t, LM_SHAPE(3, 5), 0.1);
    return lm_cast(t->graph, lm_argmax(t->graph, x, 1), LM_F32);
}

static lm_node *build_topk(gc *t, const gc_case *c) {
    lm_node *x = gc_distinct(t, LM_SHAPE(3, 5), 0.1);
    return lm_cast(t->graph, lm_topk(t->graph, x, 2), LM_F32);
}

static lm_node *build_philox(gc *t, const gc_case *c) {
    lm_node *noise =
        lm_normal(t->graph, gc_integers(t, LM_U32, LM_SHAPE(4), 99), 7, LM_SHAPE(3, 5));
    return lm_mul(t->graph, noise, gc_float(t, LM_SHAPE(3, 5), -1, 1));
}

/* The assignment is an effect beside the value that is differentiated. */
static lm_node *build_assign(gc *t, const gc_case *c) {
    lm_node *w = gc_param(t, LM_SHAPE(3), -1, 1), *x = gc_float(t, LM_SHAPE(3), -1, 1);
    lm_assign(t->graph, w, lm_mul(t->graph, w, x));
    return lm_mul(t->graph, lm_square(t->graph, w), x);
}

/* ---- shape ------------------------------------------------------------------- */

static lm_node *build_ew(gc *t, const gc_case *c) {
    return lm_ew2(t->graph, LM_EW_MUL, gc_float(t, LM_SHAPE(7), -1, 1),
                  gc_float(t, LM_SHAPE(7), -1, 1));
}

static lm_node *build_broadcast(gc *t, const gc_case *c) {
    return lm_broadcast(t->graph, gc_float(t, LM_SHAPE(3, 1, 2), -1, 1),
                        LM_SHAPE(2, 3, 5, 2));
}

static lm_node *build_broadcast_scalar(gc *t, const gc_case *c) {
    return lm_broadcast(t->graph, gc_float(t, LM_SCALAR, -1, 1), LM_SHAPE(3, 1));
}

static lm_node *build_reshape(gc *t, const gc_case *c) {
    return lm_reshape(t->graph, gc_float(t, LM_SHAPE(3, 1, 10), -1, 1), LM_SHAPE(5, 6));
}

static lm_node *build_permute(gc *t, const gc_case *c) {
    return lm_permute(t->graph, gc_float(t, LM_SHAPE(2, 3, 1, 5), -1, 1), c->i);
}

static lm_node *build_slice(gc *t, const gc_case *c) {
    lm_slice_attr attr = {{1, 0, 3}, {2, 5, 11}, {1, 2, 3}};
    return lm_slice(t->graph, gc_float(t, LM_SHAPE(3, 5, 13), -1, 1), &attr);
}

static lm_node *build_pad(gc *t, const gc_case *c) {
    lm_pad_attr attr = {{1, 0, 2}, {0, 3, 1}, {0, 1, 2}};
    return lm_pad(t->graph, gc_float(t, LM_SHAPE(1, 3, 5), -1, 1), &attr);
}

static lm_node *build_concat(gc *t, const gc_case *c) {
    lm_node *part[3] = {gc_float(t, LM_SHAPE(2, 3, 2), -1, 1),
                        gc_float(t, LM_SHAPE(2, 1, 2), -1, 1),
                        gc_float(t, LM_SHAPE(2, 5, 2), -1, 1)};
    return lm_concat(t->graph, part, 3, 1);
}

static lm_node *build_concat_twice(gc *t, const gc_case *c) {
    lm_node *x = gc_float(t, LM_SHAPE(3, 2), -1, 1);
    return lm_concat(t->graph, (lm_node *[]){x, x}, 2, 0);
}

static lm_node *build_reverse(gc *t, const gc_case *c) {
    return lm_reverse(t->graph, gc_float(t, LM_SHAPE(3, 2, 5), -1, 1), c->i[0]);
}

/* ---- reductions -------------------------------------------------------------- */

static lm_node *build_sum(gc *t, const gc_case *c) {
    return lm_sum(t->graph, gc_float(t, LM_SHAPE(2, 3, 5), -1, 1), c->i[0], c->i[1]);
}

static lm_node *build_reduce_max(gc *t, const gc_case *c) {
    return lm_reduce_max(t->graph, gc_distinct(t, LM_SHAPE(2, 3, 5), 0.1), c->i[0], true);
}

static lm_node *build_cumsum(gc *t, const gc_case *c) {
    return lm_cumsum(t->graph, gc_float(t, LM_SHAPE(2, 5, 3), -1, 1), c->i[0], c->i[1]);
}

static lm_node *build_allreduce(gc *t, const gc_case *c) {
    return lm_allreduce_sum(t->graph, gc_float(t, LM_SHAPE(7), -1, 1));
}

/* ---- rows, maps, pools ------------------------------------------------------- */

static lm_node *build_gather(gc *t, const gc_case *c) {
    return lm_gather(t->graph, gc_float(t, LM_SHAPE(5, 3), -1, 1),
                     gc_integers(t, LM_I32, LM_SHAPE(7), 5));
}

static lm_node *build_scatter_add(gc *t, const gc_case *c) {
    return lm_scatter_add(t->graph, gc_float(t, LM_SHAPE(7, 3), -1, 1),
                          gc_integers(t, LM_I32, LM_SHAPE(7), 5), 5);
}

/* Five rows on three columns: one row empty, one column unused. */
static lm_node *build_axismap(gc *t, const gc_case *c) {
    static const int32_t row_start[] = {0, 2, 2, 3, 5, 6}, col[] = {0, 2, 2, 0, 2, 0};
    static const float value[] = {0.5f, -1, 2, 0.25f, 3, 1.5f};
    lm_sparse matrix = {5, 3, 6, row_start, col, value, NULL};
    lm_shape shape = LM_SHAPE(2, 3, 1, 3);
    return lm_axismap(t->graph, gc_float(t, shape, -1, 1), c->i[0],
                      lm_sparse_intern(t->graph, &matrix));
}

/* Overlapping windows, uneven padding; 3x3 positions of 5x7. */
static const lm_pool_attr pool = {{3, 2}, {2, 3}, {1, 0}, {1, 1}, {0, 0}};
#define POOL_IN  LM_SHAPE(2, 5, 7, 3)
#define POOL_OUT LM_SHAPE(2, 3, 3, 3)

static lm_node *pool_index(gc *t) {
    return lm_pool_argmax(t->graph, gc_fixed(t, POOL_IN, -1, 1), &pool);
}

static lm_node *build_pool_argmax(gc *t, const gc_case *c) {
    lm_node *index = lm_pool_argmax(t->graph, gc_distinct(t, POOL_IN, 0.1), &pool);
    return lm_cast(t->graph, index, LM_F32);
}

static lm_node *build_pool_gather(gc *t, const gc_case *c) {
    return lm_pool_gather(t->graph, gc_float(t, POOL_IN, -1, 1), pool_index(t), &pool);
}

static lm_node *build_maxpool(gc *t, const gc_case *c) {
    return lm_maxpool(t->graph, gc_distinct(t, POOL_IN, 0.1), &pool);
}

static lm_node *build_pool_scatter(gc *t, const gc_case *c) {
    lm_pool_attr attr = pool;
    attr.size[0] = 5, attr.size[1] = 7;
    return lm_pool_scatter(t->graph, gc_float(t, POOL_OUT, -1, 1), pool_index(t), &attr);
}

/* ---- linear algebra ---------------------------------------------------------- */

static lm_shape matrix_shape(bool batched, bool transposed, int64_t rows, int64_t cols) {
    int64_t m = transposed ? cols : rows, n = transposed ? rows : cols;
    return batched ? LM_SHAPE(2, 1, m, n) : LM_SHAPE(m, n);
}

/* i: ta, tb, batched, bias */
static lm_node *build_matmul(gc *t, const gc_case *c) {
    lm_node *a = gc_float(t, matrix_shape(c->i[2], c->i[0], 3, 5), -1, 1);
    lm_node *b = gc_float(t, matrix_shape(c->i[2], c->i[1], 5, 2), -1, 1);
    if (!c->i[3]) return lm_matmul(t->graph, a, b, c->i[0], c->i[1]);
    lm_node *bias = gc_float(t, LM_SHAPE(2), -1, 1);
    return lm_matmul_bias(t->graph, a, b, bias, c->i[0], c->i[1]);
}

/* Away from singular: random plus 3 on the diagonal. */
static lm_node *regular_matrix(gc *t, int64_t n) {
    lm_graph *g = t->graph;
    lm_shape shape = LM_SHAPE(n, n);
    lm_node *diagonal =
        lm_eq(g, lm_iota(g, LM_F32, shape, 0), lm_iota(g, LM_F32, shape, 1));
    lm_node *shift = lm_scale(g, lm_cast(g, diagonal, LM_F32), 3);
    return lm_add(g, gc_float(t, LM_SHAPE(2, n, n), -1, 1), shift);
}

static lm_node *build_inv(gc *t, const gc_case *c) {
    return lm_inv(t->graph, regular_matrix(t, c->i[0]));
}

static lm_node *build_logabsdet(gc *t, const gc_case *c) {
    return lm_logabsdet(t->graph, regular_matrix(t, c->i[0]));
}

/* ---- convolution ------------------------------------------------------------- */

typedef struct conv_case {
    lm_conv_attr attr;
    int n, h, w, in, out, kh, kw;
} conv_case;

static const conv_case conv_plain = {
    {{1, 1}, {1, 1}, {1, 1}, {1, 1}, {0, 0}, 1}, 2, 5, 3, 3, 2, 3, 3};
static const conv_case conv_point = {
    {{1, 1}, {1, 1}, {0, 0}, {0, 0}, {0, 0}, 1}, 2, 3, 1, 5, 3, 1, 1};
/* Stride that leaves a rest, uneven padding, odd kernel shape. */
static const conv_case conv_strided = {
    {{2, 3}, {1, 1}, {1, 0}, {0, 2}, {0, 0}, 1}, 1, 6, 8, 2, 3, 3, 2};
static const conv_case conv_dilated = {
    {{1, 2}, {2, 3}, {2, 1}, {1, 3}, {0, 0}, 1}, 1, 5, 7, 2, 2, 3, 2};
static const conv_case conv_grouped = {
    {{2, 1}, {1, 1}, {1, 1}, {1, 1}, {0, 0}, 2}, 2, 5, 3, 4, 6, 3, 3};
static const conv_case conv_depthwise = {
    {{1, 1}, {1, 1}, {1, 1}, {1, 1}, {0, 0}, 3}, 1, 5, 4, 3, 3, 3, 3};

static lm_shape conv_x(const conv_case *p) {
    return LM_SHAPE(p->n, p->h, p->w, p->in);
}

static lm_shape conv_w(const conv_case *p) {
    return LM_SHAPE(p->out, p->kh, p->kw, p->in / p->attr.groups);
}

static lm_shape conv_y(const conv_case *p) {
    const lm_conv_attr *a = &p->attr;
    int in[2] = {p->h, p->w}, kernel[2] = {p->kh, p->kw}, out[2];
    for (int i = 0; i < 2; i++)
        out[i] =
            (in[i] + a->pad_lo[i] + a->pad_hi[i] - a->dilation[i] * (kernel[i] - 1) - 1) /
                a->stride[i] +
            1;
    return LM_SHAPE(p->n, out[0], out[1], p->out);
}

static lm_node *build_conv(gc *t, const gc_case *c) {
    const conv_case *p = c->param;
    lm_node *x = gc_float(t, conv_x(p), -1, 1), *w = gc_float(t, conv_w(p), -1, 1);
    lm_node *bias = c->i[0] ? gc_float(t, LM_SHAPE(p->out), -1, 1) : NULL;
    return lm_conv(t->graph, x, w, bias, &p->attr);
}

static lm_node *build_dgrad(gc *t, const gc_case *c) {
    const conv_case *p = c->param;
    lm_conv_attr attr = p->attr;
    attr.size[0] = p->h, attr.size[1] = p->w;
    lm_node *y = gc_float(t, conv_y(p), -1, 1), *w = gc_float(t, conv_w(p), -1, 1);
    return lm_conv_dgrad(t->graph, y, w, &attr);
}

static lm_node *build_wgrad(gc *t, const gc_case *c) {
    const conv_case *p = c->param;
    lm_conv_attr attr = p->attr;
    attr.size[0] = p->kh, attr.size[1] = p->kw;
    lm_node *x = gc_float(t, conv_x(p), -1, 1), *y = gc_float(t, conv_y(p), -1, 1);
    return lm_conv_wgrad(t->graph, x, y, &attr);
}

static lm_node *build_call(gc *t, const gc_case *c) {
    return lm_softmax(t->graph, gc_float(t, LM_SHAPE(3, 5), -1, 1));
}

/* ---- the table --------------------------------------------------------------- */

#define KIND(kind, builder) .table = GC_KIND, .op = LM_KIND_##kind, .build = builder
#define TRIO(text, p)                                                                    \
    {KIND(CONV, build_conv), .name = text, .param = &p},                                 \
        {KIND(CONV_DGRAD, build_dgrad), .name = text, .param = &p}, {                    \
        KIND(CONV_WGRAD, build_wgrad), .name = text, .param = &p                         \
    }

const gc_case gc_cases_kinds[] = {
    {KIND(PARAM, build_param)},
    {KIND(INPUT, build_input)},
    {KIND(CONST, build_const)},
    {KIND(IOTA, build_iota)},
    {KIND(EW, build_ew)},
    {KIND(BROADCAST, build_broadcast)},
    {KIND(BROADCAST, build_broadcast_scalar), .name = "of a scalar"},
    {KIND(REDUCE_SUM, build_sum), .name = "middle", .i = {2, 1}},
    {KIND(REDUCE_SUM, build_sum), .name = "last two, dropped", .i = {6, 0}},
    {KIND(REDUCE_SUM, build_sum), .name = "first and last", .i = {5, 0}},
    {KIND(REDUCE_SUM, build_sum), .name = "all", .i = {7, 1}},
    {KIND(REDUCE_MAX, build_reduce_max), .name = "last", .i = {4}},
    {KIND(REDUCE_MAX, build_reduce_max), .name = "first two", .i = {3}},
    {KIND(ARGMAX, build_argmax), .no_gradient = true},
    {KIND(RESHAPE, build_reshape)},
    {KIND(PERMUTE, build_permute), .name = "cycle", .i = {1, 3, 0, 2}},
    {KIND(PERMUTE, build_permute), .name = "last two", .i = {0, 1, 3, 2}},
    {KIND(SLICE, build_slice)},
    {KIND(PAD, build_pad)},
    {KIND(CONCAT, build_concat)},
    {KIND(CONCAT, build_concat_twice), .name = "one part twice"},
    {KIND(REVERSE, build_reverse), .i = {5}},
    {KIND(GATHER, build_gather)},
    {KIND(SCATTER_ADD, build_scatter_add)},
    {KIND(MATMUL, build_matmul), .name = "a b", .i = {0, 0, 0, 0}},
    {KIND(MATMUL, build_matmul), .name = "a b'", .i = {0, 1, 0, 0}},
    {KIND(MATMUL, build_matmul), .name = "a' b", .i = {1, 0, 0, 0}},
    {KIND(MATMUL, build_matmul), .name = "a' b'", .i = {1, 1, 0, 0}},
    {KIND(MATMUL, build_matmul), .name = "batched a b", .i = {0, 0, 1, 0}},
    {KIND(MATMUL, build_matmul), .name = "batched a' b", .i = {1, 0, 1, 0}},
    {KIND(MATMUL, build_matmul), .name = "batched a' b'", .i = {1, 1, 1, 0}},
    {KIND(MATMUL, build_matmul), .name = "a b + bias", .i = {0, 0, 0, 1}},
    {KIND(MATMUL, build_matmul), .name = "batched a b' + bias", .i = {0, 1, 1, 1}},
    TRIO("3x3", conv_plain),
    TRIO("1x1", conv_point),
    TRIO("strided", conv_strided),
    TRIO("dilated", conv_dilated),
    TRIO("grouped", conv_grouped),
    TRIO("depthwise", conv_depthwise),
    {KIND(CONV, build_conv), .name = "with bias", .param = &conv_strided, .i = {1}},
    {KIND(AXISMAP, build_axismap), .name = "middle", .i = {1}},
    {KIND(AXISMAP, build_axismap), .name = "last", .i = {3}},
    {KIND(POOL_ARGMAX, build_pool_argmax), .no_gradient = true},
    {KIND(POOL_GATHER, build_pool_gather)},
    {KIND(POOL_GATHER, build_maxpool), .name = "maxpool"},
    {KIND(POOL_SCATTER, build_pool_scatter)},
    {KIND(CUMSUM, build_cumsum), .i = {1, 0}},
    {KIND(CUMSUM, build_cumsum), .name = "from the end", .i = {2, 1}},
    {KIND(TOPK, build_topk), .no_gradient = true},
    {KIND(PHILOX, build_philox)},
    {KIND(INV, build_inv), .i = {3}},
    {KIND(INV, build_inv), .name = "1x1", .i = {1}},
    {KIND(LOGABSDET, build_logabsdet), .i = {3}},
    {KIND(LOGABSDET, build_logabsdet), .name = "1x1", .i = {1}},
    {KIND(ALLREDUCE_SUM, build_allreduce)},
    {KIND(ASSIGN, build_assign)},
    {KIND(CALL, build_call)},
    {.build = NULL},
};
