/* Fused kernels of composites against their bodies on the reference backend. */
#include "rig.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const int64_t samples[] = {1, 3}, positions[] = {1, 5, 49, 784};
static const int64_t channels[] = {8, 12, 30, 64, 130};

/* Calls fn for every shape, with some number of groups that divides the channels. */
static void each_norm_shape(void (*fn)(lm_shape x, int groups)) {
    for (size_t n = 0; n < 2; n++)
        for (size_t p = 0; p < 4; p++)
            for (size_t c = 0; c < 5; c++)
                for (int groups = 1; groups <= channels[c]; groups++) {
                    if (channels[c] % groups) continue;
                    bool end = groups < 3 || groups * 2 >= channels[c];
                    bool large = positions[p] * channels[c] > 20000 && groups != 2;
                    if (!end || large) continue;
                    fn(p ? LM_SHAPE(samples[n], positions[p], channels[c])
                         : LM_SHAPE(samples[n], channels[c]),
                       groups);
                }
}

static lm_node *call(rig *r, lm_composite composite, lm_node *const *src, int n_src,
                     lm_call_attr attr) {
    lm_node *node = lm_call(r->graph, composite, src, n_src, &attr);
    rig_output(r, node);
    return node;
}

/* Mean 100 times the spread: what a single pass without a shift would lose. */
static lm_node *far_from_zero(rig *r, lm_shape shape) {
    int64_t count = lm_shape_count(shape);
    float *x = malloc((size_t)count * sizeof *x);
    for (int64_t i = 0; i < count; i++) x[i] = 100 + rig_normal(&r->seed);
    lm_node *node = rig_given(r, LM_F32, shape, x);
    free(x);
    return node;
}

static void check_stats(lm_shape x, int groups) {
    for (int far = 0; far < 2; far++) {
        rig r;
        rig_start(&r);
        lm_node *src = far ? far_from_zero(&r, x) : rig_input(&r, LM_F32, x, 0);
        call(&r, LM_COMP_GROUP_STATS, &src, 1,
             (lm_call_attr){.i = {groups}, .f = {1e-5f}});
        r.tolerance = far ? 5e-6 : 2e-6;
        rig_check(&r);
    }
}

static void group_stats_match(void **state) {
    each_norm_shape(check_stats);
}

/* Sources of norm_act, with statistics near those of normal numbers. */
static void norm_sources(rig *r, lm_shape x, int groups, bool by_sample, lm_node **src) {
    int64_t batch = x.dim[0], width = x.dim[x.rank - 1];
    float *stats = malloc((size_t)(batch * groups * 2) * sizeof *stats);
    for (int64_t i = 0; i < batch * groups; i++) {
        stats[2 * i] = 0.2f * rig_normal(&r->seed);
        stats[2 * i + 1] = 1 + 0.1f * rig_normal(&r->seed);
    }
    src[0] = rig_input(r, LM_F32, x, 0);
    src[1] = rig_given(r, LM_F32, LM_SHAPE(batch, groups, 2), stats);
    lm_shape row = by_sample ? LM_SHAPE(batch, width) : LM_SHAPE(width);
    src[2] = rig_input(r, LM_F32, row, 0);
    src[3] = rig_input(r, LM_F32, row, 0);
    free(stats);
}

static void check_norm(lm_shape x, int groups) {
    for (int variant = 0; variant < 4; variant++) {
        rig r;
        lm_node *src[5];
        lm_call_attr attr = {.i = {variant & 1}};
        rig_start(&r);
        norm_sources(&r, x, groups, variant >> 1, src);
        call(&r, LM_COMP_NORM_ACT, src, 4, attr);
        if (groups == 1) r.alias_out = r.alias_in = 0;
        rig_check(&r);
        rig_start(&r);
        norm_sources(&r, x, groups, variant >> 1, src);
        src[4] = rig_input(&r, LM_F32, x, 0);
        call(&r, LM_COMP_NORM_SUMS, src, 5, attr);
        r.scale = 1 + sqrt((double)(x.rank > 2 ? x.dim[1] : 1));
        rig_check(&r);
    }
}

static void norm_act_and_sums_match(void **state) {
    each_norm_shape(check_norm);
}

/* With five, six and seven sources; and over each that it reads element for element. */
static void check_norm_grad(lm_shape x, int groups) {
    static const int over[12] = {-1, 0, 4, -1, 0, 4, -1, -1, -1, 6, 0, 4};
    for (int variant = 0; variant < 12; variant++) {
        rig r;
        lm_node *src[7];
        int n_src = 5 + variant / 4;
        int64_t batch = x.dim[0], width = x.dim[x.rank - 1];
        rig_start(&r);
        norm_sources(&r, x, groups, variant >> 1 & 1, src);
        src[4] = rig_input(&r, LM_F32, x, 0);
        if (n_src > 5) src[5] = rig_input(&r, LM_F32, LM_SHAPE(batch, groups, 2), 0);
        if (n_src > 6) src[6] = rig_input(&r, LM_F32, x, 0);
        call(&r, LM_COMP_NORM_GRAD, src, n_src, (lm_call_attr){.i = {variant & 1}});
        r.alias_in = over[variant];
        r.alias_out = r.alias_in < 0 ? -1 : 0;
        rig_check(&r);
        if (variant > 1) continue;
        rig_start(&r);
        norm_sources(&r, x, groups, variant, src);
        src[3] = rig_input(&r, LM_F32, LM_SHAPE(batch, 2, width), 0);
        call(&r, LM_COMP_NORM_DSTATS, src + 1, 3, (lm_call_attr){{0}, {0}});
        r.scale = 1 + sqrt((double)width);
        rig_check(&r);
    }
}

static void norm_gradients_match(void **state) {
    each_norm_shape(check_norm_grad);
}

/* The gradient as a whole or as two slices, with and without sums; and over each source
 * that it reads element for element. */
static void check_norm_chain(lm_shape x, int groups) {
    static const int over[8] = {-1, 0, 4, 5, -1, -1, -1, -1};
    for (int variant = 0; variant < 8; variant++) {
        rig r;
        lm_node *src[7];
        int64_t width = x.dim[x.rank - 1];
        bool whole = variant<4, by_sample = variant & 1, more = variant % 4> 1;
        lm_call_attr how = {.i = {variant % 3 > 0}};
        rig_start(&r);
        norm_sources(&r, x, groups, by_sample, src);
        src[4] = rig_input(&r, LM_F32, x, 0);
        if (more) src[6] = rig_input(&r, LM_F32, x, 0);
        lm_node *sums = lm_call(r.graph, LM_COMP_NORM_SUMS, src, 5, &how);
        lm_node *of[] = {src[1], src[2], sums};
        src[5] = lm_call(r.graph, LM_COMP_NORM_DSTATS, of, 3, NULL);
        lm_node *d = lm_call(r.graph, LM_COMP_NORM_GRAD, src, 6 + more, &how);
        if (variant != 7) rig_output(&r, sums);
        if (whole) rig_output(&r, d);
        for (int part = 0; part < 2 && !whole; part++)
            rig_output(&r, lm_slice_axis(r.graph, d, x.rank - 1, part ? width / 3 : 0,
                                         part ? width : width / 3));
        for (int o = variant != 7, end = r.n_out; o < end && x.rank > 2; o++)
            if (variant & 1) rig_output(&r, lm_sum(r.graph, r.out[o], 1u << 1, true));
        r.alias_in = over[variant];
        r.alias_out = r.alias_in < 0 ? -1 : 1;
        r.chain = true;
        r.scale = 1 + sqrt((double)(x.rank > 2 ? x.dim[1] : 1));
        rig_check(&r);
    }
}

static void norm_chains_match(void **state) {
    each_norm_shape(check_norm_chain);
}

/* A concat of up to three parts with its statistics, which are those of the concat. */
static void check_joined_stats(lm_shape x, int groups) {
    int last = x.rank - 1;
    int64_t width = x.dim[last];
    if (lm_shape_count(x) == width) return;
    for (int n = 2; n <= 3; n++) {
        rig r;
        lm_node *part[3];
        rig_start(&r);
        for (int i = 0; i < n; i++) {
            x.dim[last] = width * (i + 1) / n - width * i / n;
            part[i] = i ? rig_input(&r, LM_F32, x, 0) : far_from_zero(&r, x);
        }
        rig_output(&r, lm_concat(r.graph, part, n, last));
        call(&r, LM_COMP_GROUP_STATS, r.out, 1,
             (lm_call_attr){.i = {groups}, .f = {1e-5f}});
        r.chain = true;
        r.tolerance = 5e-6;
        rig_check(&r);
    }
}

static void joined_stats_match(void **state) {
    each_norm_shape(check_joined_stats);
}

/* 12 MB, which are written past the cache. */
static void large_joined_stats_match(void **state) {
    check_joined_stats(LM_SHAPE(5, 16411, 48), 3);
}

static void softmax_kernels_match(void **state) {
    static const int64_t rows[] = {1, 7, 300}, width[] = {1, 2, 10, 63, 64, 100, 1000};
    for (int i = 0; i < 21; i++) {
        int64_t n = rows[i / 7], c = width[i % 7];
        lm_shape shape = LM_SHAPE(n, c);
        rig r;
        rig_start(&r);
        lm_node *x = rig_input(&r, LM_F32, shape, 0);
        call(&r, LM_COMP_SOFTMAX, &x, 1, (lm_call_attr){{0}, {0}});
        rig_check(&r);
        rig_start(&r);
        x = rig_input(&r, LM_F32, shape, 0);
        call(&r, LM_COMP_LOGSUMEXP, &x, 1, (lm_call_attr){{0}, {0}});
        rig_check(&r);
        rig_start(&r);
        lm_node *two[] = {rig_input(&r, LM_F32, shape, 0),
                          rig_input(&r, LM_F32, shape, 0)};
        call(&r, LM_COMP_SOFTMAX_GRAD, two, 2, (lm_call_attr){{0}, {0}});
        r.scale = 1 + sqrt((double)c);
        rig_check(&r);
        rig_start(&r);
        lm_node *loss[] = {rig_input(&r, LM_F32, shape, 0),
                           rig_input(&r, LM_I32, LM_SHAPE(n), (uint32_t)c + 1)};
        call(&r, LM_COMP_SOFTMAX_XENT, loss, 2, (lm_call_attr){{0}, {0}});
        rig_check(&r);
        rig_start(&r);
        lm_node *grad[] = {rig_input(&r, LM_F32, shape, 0),
                           rig_input(&r, LM_I32, LM_SHAPE(n), (uint32_t)c + 1),
                           rig_input(&r, LM_F32, LM_SHAPE(n, 1), 0)};
        call(&r, LM_COMP_SOFTMAX_XENT_GRAD, grad, 3, (lm_call_attr){{0}, {0}});
        rig_check(&r);
    }
}

/* Shifts do not matter, infinities are weights of zero, NaN stays. */
static void softmax_takes_extremes(void **state) {
    static const float rows[4][5] = {{1000, 999, -1000, 0, 1000},
                                     {-1e30f, 0, 1, -INFINITY, 2},
                                     {-3e4f, -3e4f, -3e4f, -3.0001e4f, -4e4f},
                                     {1, NAN, 2, 3, 4}};
    for (int which = 0; which < 2; which++) {
        rig r;
        rig_start(&r);
        lm_node *x = rig_given(&r, LM_F32, LM_SHAPE(4, 5), rows);
        call(&r, which ? LM_COMP_LOGSUMEXP : LM_COMP_SOFTMAX, &x, 1,
             (lm_call_attr){{0}, {0}});
        rig_check(&r);
    }
}

static void attention_matches(void **state) {
    /* batch, queries, keys, width, value width, heads */
    static const int64_t shapes[][6] = {
        {1, 1, 1, 1, 1, 1},        {2, 5, 7, 3, 4, 1},      {3, 16, 16, 8, 8, 1},
        {2, 49, 49, 33, 33, 1},    {1, 130, 77, 40, 20, 1}, {5, 65, 65, 64, 64, 1},
        {1, 100, 3000, 16, 16, 1}, {2, 37, 41, 17, 9, 3},   {1, 256, 256, 64, 64, 2}};
    for (int i = 0; i < 9; i++) {
        const int64_t *d = shapes[i];
        rig r;
        rig_start(&r);
        lm_node *src[] = {rig_input(&r, LM_F32, LM_SHAPE(d[0], d[1], d[3] * d[5]), 0),
                          rig_input(&r, LM_F32, LM_SHAPE(d[0], d[2], d[3] * d[5]), 0),
                          rig_input(&r, LM_F32, LM_SHAPE(d[0], d[2], d[4] * d[5]), 0)};
        float scale = i == 3 ? -0.2f : 1 / sqrtf((float)d[3]);
        call(&r, LM_COMP_ATTENTION, src, 3,
             (lm_call_attr){.i = {(int32_t)d[5]}, .f = {scale}});
        rig_check(&r);
    }
}

/* Batch, rows, width of a head, heads: queries, keys and values side by side. */
static const int64_t packed_shapes[][4] = {
    {1, 1, 1, 1}, {2, 5, 3, 2}, {3, 49, 33, 1}, {1, 130, 20, 5}, {2, 300, 40, 1}};

static void packed_attention_matches(void **state) {
    for (int i = 0; i < 5; i++) {
        const int64_t *d = packed_shapes[i], width = d[2] * d[3];
        const lm_call_attr attr = {.i = {(int32_t)d[3]}, .f = {1 / sqrtf((float)d[2])}};
        rig r;
        rig_start(&r);
        lm_node *src[3] = {rig_input(&r, LM_F32, LM_SHAPE(d[0], d[1], 3 * width), 0)};
        call(&r, LM_COMP_ATTENTION, src, 1, attr);
        rig_check(&r);
        rig_start(&r);
        src[0] = rig_input(&r, LM_F32, LM_SHAPE(d[0], d[1], 3 * width), 0);
        src[1] = rig_input(&r, LM_F32, LM_SHAPE(d[0], d[1], width), 0);
        src[2] = rig_input(&r, LM_F32, LM_SHAPE(d[0], d[1], width), 0);
        call(&r, LM_COMP_ATTENTION_GRAD, src, 3, attr);
        r.scale = 1 + sqrt((double)d[2]);
        r.tolerance = 4e-6;
        rig_check(&r);
    }
}

/* Logits far beyond what exp can take. Positions 0 and 131 of the keys are the same, so
 * that a block which comes later neither overflows nor forgets the first. */
static void attention_takes_large_logits(void **state) {
    enum { T = 40, S = 150, D = 5 };
    float q[T * D], k[S * D], v[S * D];
    uint32_t seed = 5;
    for (int i = 0; i < T * D; i++) q[i] = 64 * rig_normal(&seed);
    for (int i = 0; i < S * D; i++) k[i] = 64 * rintf(4 * rig_normal(&seed));
    for (int i = 0; i < S * D; i++) v[i] = rig_normal(&seed);
    for (int i = 0; i < T * D; i++) q[i] = rintf(q[i]);
    memcpy(k + 131 * D, k, D * sizeof *k);
    rig r;
    rig_start(&r);
    lm_node *src[] = {rig_given(&r, LM_F32, LM_SHAPE(1, T, D), q),
                      rig_given(&r, LM_F32, LM_SHAPE(1, S, D), k),
                      rig_given(&r, LM_F32, LM_SHAPE(1, S, D), v)};
    call(&r, LM_COMP_ATTENTION, src, 3, (lm_call_attr){.i = {1}, .f = {1}});
    r.tolerance = 1e-2; /* logits of 1e5 have an error of 1e-2 in f32 */
    rig_check(&r);
}

static void attention_grad_matches(void **state) {
    static const int64_t shapes[][3] = {{1, 1, 1},   {2, 5, 3},    {3, 16, 8},
                                        {2, 49, 33}, {1, 130, 40}, {5, 65, 64},
                                        {1, 700, 16}};
    for (int i = 0; i < 7; i++) {
        lm_shape shape = LM_SHAPE(shapes[i][0], shapes[i][1], shapes[i][2]);
        rig r;
        rig_start(&r);
        lm_node *src[5];
        for (int k = 0; k < 5; k++) src[k] = rig_input(&r, LM_F32, shape, 0);
        float scale = 1 / sqrtf((float)shapes[i][2]);
        call(&r, LM_COMP_ATTENTION_GRAD, src, 5, (lm_call_attr){.i = {1}, .f = {scale}});
        r.scale = 1 + sqrt((double)shapes[i][2]);
        r.tolerance = 4e-6;
        rig_check(&r);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(group_stats_match),
        cmocka_unit_test(norm_act_and_sums_match),
        cmocka_unit_test(norm_gradients_match),
        cmocka_unit_test(norm_chains_match),
        cmocka_unit_test(joined_stats_match),
        cmocka_unit_test(large_joined_stats_match),
        cmocka_unit_test(softmax_kernels_match),
        cmocka_unit_test(softmax_takes_extremes),
        cmocka_unit_test(attention_matches),
        cmocka_unit_test(packed_attention_matches),
        cmocka_unit_test(attention_takes_large_logits),
        cmocka_unit_test(attention_grad_matches),
    };
    return rig_main(tests, sizeof tests / sizeof *tests, "composites");
}
