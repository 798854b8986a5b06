/* Winograd convolutions, alone and with what surrounds them, against the reference
 * backend: every way of cutting them up, and the accuracy that is promised. */
#include "backend/cpu/winograd_internal.h"
#include "base/mem.h"
#include "base/threads.h"
#include "rig.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { THREADS = 3 };

typedef struct wino_case {
    int64_t n, h, w, c, k;
} wino_case;

static lm_shape x_shape(const wino_case *d) {
    return LM_SHAPE(d->n, d->h, d->w, d->c);
}

static lm_shape y_shape(const wino_case *d) {
    return LM_SHAPE(d->n, d->h, d->w, d->k);
}

/* Results are sums of `terms` products of unit-scale numbers. */
static void start(rig *r, int64_t terms) {
    rig_start(r);
    r->threads = THREADS;
    r->options = (lm_backend_options){.conv = "winograd"};
    r->scale = sqrt((double)terms);
    r->tolerance = 1e-4;
}

/* ---- blocks ------------------------------------------------------------------ */

/* What a block is given beside x and weights (or y). */
typedef struct variant {
    int parts, before, after, groups; /* activations */
    bool gamma_by_sample, beta_by_sample;
} variant;

/* Statistics as of numbers that are a little off; returns how many sources. */
static int add_norm(rig *r, const wino_case *d, const variant *v, lm_node **src) {
    int64_t count = d->n * v->groups;
    float *stats = malloc((size_t)count * 2 * sizeof *stats);
    for (int64_t i = 0; i < count; i++) {
        stats[2 * i] = 0.2f * rig_normal(&r->seed);
        stats[2 * i + 1] = 1 + 0.1f * rig_normal(&r->seed);
    }
    lm_shape all = LM_SHAPE(d->c), each = LM_SHAPE(d->n, d->c);
    src[0] = rig_given(r, LM_F32, LM_SHAPE(d->n, v->groups, 2), stats);
    src[1] = rig_input(r, LM_F32, v->gamma_by_sample ? each : all, 0);
    src[2] = rig_input(r, LM_F32, v->beta_by_sample ? each : all, 0);
    free(stats);
    return 3;
}

/* In place: over its residual. */
static void check_block(const wino_case *d, const variant *v, bool in_place) {
    rig r;
    lm_node *src[8];
    int n = 2;
    start(&r, 9 * d->c);
    src[0] = rig_input(&r, LM_F32, x_shape(d), 0);
    src[1] = rig_input(&r, LM_F32, LM_SHAPE(d->k, 3, 3, d->c), 0);
    if (v->parts & LM_BLOCK_BIAS) src[n++] = rig_input(&r, LM_F32, LM_SHAPE(d->k), 0);
    if (v->parts & LM_BLOCK_NORM) n += add_norm(&r, d, v, src + n);
    if (v->parts & LM_BLOCK_SHIFT)
        src[n++] = rig_input(&r, LM_F32, LM_SHAPE(d->n, d->k), 0);
    if (v->parts & LM_BLOCK_RESIDUAL) src[n++] = rig_input(&r, LM_F32, y_shape(d), 0);
    lm_call_attr attr = {{v->parts, v->before, v->after}, {0.3f, -0.2f}};
    rig_output(&r, lm_call(r.graph, LM_COMP_CONV_BLOCK, src, n, &attr));
    if (in_place) {
        r.alias_out = 0;
        r.alias_in = n - 1;
    }
    rig_check(&r);
}

static void check_wgrad(const wino_case *d, const variant *v) {
    rig r;
    lm_node *src[5];
    start(&r, d->n * d->h * d->w);
    src[0] = rig_input(&r, LM_F32, x_shape(d), 0);
    src[1] = rig_input(&r, LM_F32, y_shape(d), 0);
    int n = v->parts & LM_BLOCK_NORM ? 2 + add_norm(&r, d, v, src + 2) : 2;
    lm_call_attr attr = {{v->before}, {0.3f}};
    rig_output(&r, lm_call(r.graph, LM_COMP_CONV_BLOCK_WGRAD, src, n, &attr));
    rig_check(&r);
}

/* One whole tile and three partial ones, full vectors and tails of channels. */
static const wino_case small = {2, 5, 6, 18, 37};
enum { ALL_PARTS = 15 };

static void blocks_match_with_any_parts(void **state) {
    for (int parts = 0; parts <= ALL_PARTS; parts++)
        for (int i = 0; i < 9; i++) {
            variant v = {parts, i % 3, i / 3, 3, i & 1, i & 2};
            check_block(&small, &v, false);
            if (parts & LM_BLOCK_RESIDUAL) check_block(&small, &v, true);
        }
}

static void gradients_match_with_any_parts(void **state) {
    for (int i = 0; i < 12; i++) {
        variant v = {i / 6 ? LM_BLOCK_NORM : 0, i % 3, 0, i & 4 ? 1 : 9, i & 2, i & 4};
        check_wgrad(&small, &v);
    }
}

/* ---- shapes ------------------------------------------------------------------ */

static const wino_case shapes[] = {
    {1, 1, 1, 8, 8},    {3, 1, 1, 130, 9},   {2, 3, 5, 9, 17},    {1, 7, 7, 17, 130},
    {3, 7, 7, 70, 37},  {2, 13, 6, 37, 70},  {1, 40, 5, 16, 100}, {2, 40, 5, 100, 16},
    {3, 28, 28, 8, 32}, {1, 28, 28, 32, 70}, {1, 3, 500, 9, 16},  {1, 5, 160, 16, 130},
    {2, 5, 400, 8, 9},  {24, 28, 28, 8, 9},  {13, 61, 62, 9, 64}};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

static void blocks_match_at_any_shape(void **state) {
    for (int i = 0; i < N_SHAPES; i++) {
        variant v = {ALL_PARTS, i % 3, i % 2, 1, i & 2, i & 2};
        check_block(&shapes[i], &v, true);
        v.parts = i & 1 ? LM_BLOCK_NORM : 0;
        check_block(&shapes[i], &v, false);
    }
}

static void gradients_match_at_any_shape(void **state) {
    for (int i = 0; i < N_SHAPES; i++) {
        variant v = {LM_BLOCK_NORM, i % 3, 0, 1, i & 2, i & 2};
        check_wgrad(&shapes[i], &v);
    }
}

/* Ways in which work is cut up. */
enum {
    SHARED,
    UNSHARED,
    PIECES,
    LAST_PIECE_SHORT,
    BLOCKS,
    LAST_BLOCK_SHORT,
    BLOCK_OF_SAMPLES,
    PANEL_WHOLE,
    PANEL_HALF,
    PANEL_QUARTER,
    SLICES_2,
    SLICES_8,
    SHARES,
    LAST_SHARE_SHORT,
    STREAMED,
    N_WAYS
};

static void note_cut(const lm_wino_plan *p, bool *seen) {
    seen[PIECES] |= p->pieces > 1;
    seen[LAST_PIECE_SHORT] |= p->cols % p->piece != 0;
    seen[BLOCKS] |= p->units > p->block;
    seen[LAST_BLOCK_SHORT] |= p->units % p->block != 0;
    seen[BLOCK_OF_SAMPLES] |= p->block > p->rows * p->pieces;
}

static void note_panels(const lm_wino_plan *p, bool *seen) {
    int64_t columns = lm_round_up(p->y.channels, p->ops->lanes);
    for (int64_t at = 0, width; at < columns; at += width) {
        width = lm_wino_panel(p, columns, at);
        seen[PANEL_WHOLE] |= width == p->ops->panel;
        seen[PANEL_HALF] |= width * 2 == p->ops->panel;
        seen[PANEL_QUARTER] |= width * 4 == p->ops->panel;
    }
}

/* The shapes above are of use as long as every way is taken by one of them. */
static void shapes_take_every_way(void **state) {
    bool seen[N_WAYS] = {false};
    for (int i = 0; i < N_SHAPES * THREADS; i++) {
        const wino_case *d = &shapes[i / THREADS];
        int threads = 1 + i % THREADS;
        lm_wino_image x = {d->h, d->w, d->c, {1, 1}}, y = {d->h, d->w, d->k, {0, 0}};
        lm_wino_plan p;
        lm_wino_plan_forward(&p, d->n, &x, &y, threads);
        note_cut(&p, seen);
        note_panels(&p, seen);
        seen[p.shared ? SHARED : UNSHARED] |= threads > 1;
        seen[STREAMED] |= p.stream && d->k % 16 == 0;
        lm_wino_plan_gradient(&p, d->n, &x, &y, threads);
        note_cut(&p, seen);
        seen[SLICES_2] |= p.slices == 2;
        seen[SLICES_8] |= p.slices == 8;
        seen[SHARES] |= p.share < d->c;
        seen[LAST_SHARE_SHORT] |= p.share < d->c && d->c % p.share != 0;
        if (p.ops->panel == 2 * p.ops->lanes) seen[PANEL_QUARTER] = true;
    }
    for (int way = 0; way < N_WAYS; way++)
        if (!seen[way]) fail_msg("no shape takes way %d", way);
}

/* ---- padding ----------------------------------------------------------------- */

static lm_node *make_conv(rig *r, lm_kind kind, const wino_case *d,
                          const lm_conv_attr *attr) {
    int64_t h = d->h + attr->pad_lo[0] + attr->pad_hi[0] - 2;
    int64_t w = d->w + attr->pad_lo[1] + attr->pad_hi[1] - 2;
    lm_shape of_y = LM_SHAPE(d->n, h, w, d->k), of_w = LM_SHAPE(d->k, 3, 3, d->c);
    lm_conv_attr sized = *attr;
    if (kind == LM_KIND_CONV) {
        lm_node *x = rig_input(r, LM_F32, x_shape(d), 0);
        lm_node *bias = rig_input(r, LM_F32, LM_SHAPE(d->k), 0);
        return lm_conv(r->graph, x, rig_input(r, LM_F32, of_w, 0), bias, attr);
    }
    lm_node *y = rig_input(r, LM_F32, of_y, 0);
    bool dgrad = kind == LM_KIND_CONV_DGRAD;
    sized.size[0] = dgrad ? (int32_t)d->h : 3;
    sized.size[1] = dgrad ? (int32_t)d->w : 3;
    if (dgrad) return lm_conv_dgrad(r->graph, y, rig_input(r, LM_F32, of_w, 0), &sized);
    return lm_conv_wgrad(r->graph, rig_input(r, LM_F32, x_shape(d), 0), y, &sized);
}

static const lm_kind passes[] = {LM_KIND_CONV, LM_KIND_CONV_DGRAD, LM_KIND_CONV_WGRAD};

/* How many products each result of a pass is a sum of. */
static int64_t count_terms(lm_kind kind, const wino_case *d) {
    return kind == LM_KIND_CONV         ? 9 * d->c
           : kind == LM_KIND_CONV_DGRAD ? 9 * d->k
                                        : d->n * d->h * d->w;
}

/* All four sides on their own: the adjoint in x mirrors them. */
static void any_padding_matches(void **state) {
    static const wino_case sizes[] = {
        {2, 3, 5, 9, 17}, {1, 13, 6, 37, 16}, {3, 7, 8, 8, 70}};
    for (int i = 0; i < 3 * 3 * 81; i++) {
        const wino_case *d = &sizes[i % 3];
        lm_kind kind = passes[i / 3 % 3];
        int side = i / 9;
        lm_conv_attr attr = {.pad_lo = {side % 3, side / 3 % 3},
                             .pad_hi = {side / 9 % 3, side / 27}};
        bool corner = (side % 4 == 0 || side % 7 == 3) && side / 27 != side % 3;
        bool equal = side % 40 == 0;
        if (!corner && !equal) continue;
        rig r;
        start(&r, count_terms(kind, d));
        rig_output(&r, make_conv(&r, kind, d, &attr));
        rig_check(&r);
    }
}

/* ---- accuracy ---------------------------------------------------------------- */

static void check_accuracy(lm_kind kind, const wino_case *d) {
    static const lm_conv_attr same = {.pad_lo = {1, 1}, .pad_hi = {1, 1}};
    rig r;
    start(&r, count_terms(kind, d));
    r.threads = 1;
    r.tolerance = INFINITY;
    rig_output(&r, make_conv(&r, kind, d, &same));
    rig_check(&r);
    print_message("# %s %lldx%lldx%lldx%lld -> %lld: rms error %.2g, largest %.2g\n",
                  lm_kind_get(kind)->text, (long long)d->n, (long long)d->h,
                  (long long)d->w, (long long)d->c, (long long)d->k, r.rms_error,
                  r.max_error);
    assert_true(r.rms_error <= 2e-5);
    assert_true(r.max_error <= 2e-4);
}

/* On unit-scale data, relative to the rms of the result. */
static void errors_are_small(void **state) {
    static const wino_case sizes[] = {
        {1, 32, 32, 64, 64}, {1, 16, 16, 128, 128}, {1, 8, 8, 256, 256}};
    for (int i = 0; i < 9; i++) check_accuracy(passes[i / 3], &sizes[i % 3]);
}

/* Sums over many tiles. */
static void errors_stay_small_in_large_batches(void **state) {
    check_accuracy(LM_KIND_CONV_WGRAD, &(wino_case){64, 32, 32, 9, 8});
}

/* ---- weights that change ----------------------------------------------------- */

/* They are transformed at each run, whatever their version says. */

enum { SIDE = 6, WIDTH = 20 };

typedef struct one_kernel {
    lm_kernel kernel;
    float x[SIDE * SIDE * WIDTH], w[WIDTH * 9 * WIDTH], y[SIDE * SIDE * WIDTH];
    void *workspace;
} one_kernel;

/* The weight that the result shows; x is all ones. */
static float run_with(one_kernel *p, float weight, uint64_t version) {
    for (size_t i = 0; i < sizeof p->w / sizeof *p->w; i++) p->w[i] = weight;
    memset(p->workspace, 0xff, p->kernel.workspace);
    const void *in[] = {p->x, p->w};
    void *out[] = {p->y};
    uint64_t versions[] = {0, version};
    lm_kernel_args args = {in, versions, out, p->workspace};
    CHECK_OK(p->kernel.run(&p->kernel, &args));
    return rintf(p->y[(3 * SIDE + 2) * WIDTH + 5] / (9 * WIDTH) * 1000) / 1000;
}

static void check_weights(lm_node *node) {
    static const struct {
        float weight;
        uint64_t version;
    } runs[] = {{1, 7}, {1, 7}, {2, 7}, {3, 8}, {4, 0}, {5, 8}};
    lm_backend *backend;
    one_kernel *p = lm_alloc_aligned(sizeof *p);
    assert_non_null(p);
    CHECK_OK(lm_backend_cpu_new(&backend));
    CHECK_OK(backend->configure(backend, &(lm_backend_options){.conv = "winograd"}));
    lm_step step = {&node, 1, node->src, 2, &node, 1, false, {0, {0}}};
    CHECK_OK(backend->lower(backend, &step, &p->kernel));
    assert_non_null(strstr(p->kernel.name, "winograd"));
    p->workspace = lm_alloc_aligned(p->kernel.workspace);
    assert_non_null(p->workspace);
    for (size_t i = 0; i < sizeof p->x / sizeof *p->x; i++) p->x[i] = 1;
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        float seen = run_with(p, runs[i].weight, runs[i].version);
        if (seen != runs[i].weight)
            fail_msg("%s, run %zu: saw %g, not %g", p->kernel.name, i, (double)seen,
                     (double)runs[i].weight);
    }
    p->kernel.release(&p->kernel);
    backend->release(backend);
    lm_free_aligned(p->workspace);
    lm_free_aligned(p);
}

static void weights_are_read_at_each_run(void **state) {
    lm_graph *graph;
    CHECK_OK(lm_graph_new(&graph));
    lm_conv_attr attr = {.pad_lo = {1, 1}, .pad_hi = {1, 1}, .size = {SIDE, SIDE}};
    lm_node *src[] = {lm_input(graph, "x", LM_F32, LM_SHAPE(1, SIDE, SIDE, WIDTH)),
                      lm_input(graph, "w", LM_F32, LM_SHAPE(WIDTH, 3, 3, WIDTH))};
    lm_call_attr none = {.i = {0}};
    lm_threads_set(2);
    check_weights(lm_conv(graph, src[0], src[1], NULL, &attr));
    check_weights(lm_conv_dgrad(graph, src[0], src[1], &attr));
    check_weights(lm_call(graph, LM_COMP_CONV_BLOCK, src, 2, &none));
    CHECK_OK(lm_graph_status(graph));
    lm_graph_free(graph);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_match_with_any_parts),
        cmocka_unit_test(gradients_match_with_any_parts),
        cmocka_unit_test(blocks_match_at_any_shape),
        cmocka_unit_test(gradients_match_at_any_shape),
        cmocka_unit_test(shapes_take_every_way),
        cmocka_unit_test(any_padding_matches),
        cmocka_unit_test(errors_are_small),
        cmocka_unit_test(errors_stay_small_in_large_batches),
        cmocka_unit_test(weights_are_read_at_each_run),
    };
    return rig_main(tests, sizeof tests / sizeof *tests, "winograd");
}
