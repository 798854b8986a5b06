/* What convolutions take in and what they leave, and that it changes no value. */
#include "base/mem.h"
#include "base/str.h"
#include "exec/exec.h"
#include "passes/passes.h"
#include "passes/plan.h"
#include "testing.h"

#include <math.h>
#include <string.h>

enum { N = 2, H = 5, W = 6, C = 8 };

/* What the cases are built of. */
typedef struct parts {
    lm_graph *g;
    lm_node *x, *y;           /* [N,H,W,C] */
    lm_node *w, *v, *point;   /* [C,3,3,C], [C,3,3,C], [C,1,1,C] */
    lm_node *bias, *row;      /* [C], [N,C] */
    lm_node *stats, *gm, *bt; /* [N,2,2], [C], [N,C] */
    lm_node *norm, *silu;     /* norm_act of x, without and with activation */
    lm_node *shift;           /* row over all positions */
    lm_node *conv, *biased;   /* of x and w, without and with bias */
    lm_node *blocked;         /* biased, of silu */
} parts;

static const lm_conv_attr same = {.pad_lo = {1, 1}, .pad_hi = {1, 1}};

static lm_node *conv_of(parts *p, lm_node *x, lm_node *w) {
    return lm_conv(p->g, x, w, NULL, &same);
}

static lm_node *wgrad_of(parts *p, lm_node *x, lm_node *y) {
    lm_conv_attr sized = same;
    sized.size[0] = sized.size[1] = 3;
    return lm_conv_wgrad(p->g, x, y, &sized);
}

static lm_node *norm_of(parts *p, int act) {
    lm_node *src[] = {p->x, p->stats, p->gm, p->bt};
    return lm_call(p->g, LM_COMP_NORM_ACT, src, 4, &(lm_call_attr){.i = {act}});
}

static void make_parts(parts *p, lm_graph *g) {
    *p = (parts){.g = g,
                 .x = lm_input(g, "x", LM_F32, LM_SHAPE(N, H, W, C)),
                 .y = lm_input(g, "y", LM_F32, LM_SHAPE(N, H, W, C)),
                 .w = lm_input(g, "w", LM_F32, LM_SHAPE(C, 3, 3, C)),
                 .v = lm_input(g, "v", LM_F32, LM_SHAPE(C, 3, 3, C)),
                 .point = lm_input(g, "point", LM_F32, LM_SHAPE(C, 1, 1, C)),
                 .bias = lm_input(g, "bias", LM_F32, LM_SHAPE(C)),
                 .row = lm_input(g, "row", LM_F32, LM_SHAPE(N, C)),
                 .stats = lm_input(g, "stats", LM_F32, LM_SHAPE(N, 2, 2)),
                 .gm = lm_input(g, "gamma", LM_F32, LM_SHAPE(C)),
                 .bt = lm_input(g, "beta", LM_F32, LM_SHAPE(N, C))};
    p->norm = norm_of(p, 0);
    p->silu = norm_of(p, 1);
    p->shift = lm_broadcast(g, lm_reshape(g, p->row, LM_SHAPE(N, 1, 1, C)), p->x->shape);
    p->conv = conv_of(p, p->x, p->w);
    p->biased = lm_conv(g, p->x, p->w, p->bias, &same);
    p->blocked = lm_conv(g, p->silu, p->w, p->bias, &same);
}

/* ---- cases ------------------------------------------------------------------- */

static lm_node *strided(parts *p, lm_node *x) {
    lm_conv_attr attr = same;
    attr.stride[0] = attr.stride[1] = 2;
    return lm_conv(p->g, x, p->w, NULL, &attr);
}

static lm_node *shrinking(parts *p, lm_node *x) {
    return lm_conv(p->g, x, p->w, NULL, &(lm_conv_attr){.pad_lo = {1, 1}});
}

static lm_node *dilated(parts *p, lm_node *x) {
    lm_conv_attr attr = {
        .pad_lo = {2, 2}, .pad_hi = {2, 2}, .dilation = {2, 2}, .stride = {1, 1}};
    return lm_conv(p->g, x, p->w, NULL, &attr);
}

static lm_node *pointwise(parts *p, lm_node *x) {
    return lm_conv(p->g, x, p->point, NULL, &(lm_conv_attr){.stride = {1, 1}});
}

static lm_node *dgrad_of(parts *p, lm_node *y) {
    lm_conv_attr sized = same;
    sized.size[0] = H;
    sized.size[1] = W;
    return lm_conv_dgrad(p->g, y, p->w, &sized);
}

/* [H,1,C] over samples and columns: neither a shift nor a residual. */
static lm_node *spread(parts *p) {
    lm_node *column = lm_input(p->g, "column", LM_F32, LM_SHAPE(1, H, 1, C));
    return lm_broadcast(p->g, column, p->x->shape);
}

static lm_node *number(parts *p) {
    return lm_const_full(p->g, LM_F32, p->x->shape, 0.5);
}

static lm_node *of_channels(parts *p) {
    return lm_broadcast(p->g, p->bias, p->x->shape);
}

/* X(name, an output, another or NULL, what is there after) */
#define CASES(X)                                                                         \
    X(alone, p->conv, NULL, "conv")                                                      \
    X(alone_biased, p->biased, NULL, "conv")                                             \
    X(norm, conv_of(p, p->norm, p->w), NULL, "conv_block+norm")                          \
    X(silu, p->blocked, NULL, "conv_block+bias+norm")                                    \
    X(norm_for_two, conv_of(p, p->silu, p->w), conv_of(p, p->silu, p->v),                \
      "conv_block+norm conv_block+norm")                                                 \
    X(norm_for_both, conv_of(p, p->silu, p->w), wgrad_of(p, p->silu, p->y),              \
      "conv_block+norm conv_block_wgrad")                                                \
    X(norm_for_gradient, wgrad_of(p, p->norm, p->y), NULL, "conv_block_wgrad")           \
    X(norm_wanted, conv_of(p, p->silu, p->w), p->silu, "norm_act conv")                  \
    X(norm_read, conv_of(p, p->silu, p->w), lm_exp(p->g, p->silu), "norm_act conv exp")  \
    X(norm_added, lm_add(p->g, p->blocked, p->silu), NULL,                               \
      "norm_act conv_block+bias+residual")                                               \
    X(norm_strided, strided(p, p->silu), NULL, "norm_act conv")                          \
    X(norm_strided_too, strided(p, p->silu), p->blocked, "norm_act conv conv")           \
    X(norm_pointwise, pointwise(p, p->silu), p->blocked, "norm_act conv conv")           \
    X(norm_shrinking, shrinking(p, p->silu), NULL, "norm_act conv")                      \
    X(norm_dilated, dilated(p, p->silu), NULL, "norm_act conv")                          \
    X(norm_dgrad, dgrad_of(p, p->silu), NULL, "norm_act conv_dgrad")                     \
    X(norm_as_gradient, wgrad_of(p, p->y, p->silu), NULL, "norm_act conv_wgrad")         \
    X(norm_as_both, wgrad_of(p, p->silu, p->silu), NULL, "norm_act conv_wgrad")          \
    X(two_norms, conv_of(p, p->silu, p->w), wgrad_of(p, p->norm, p->y),                  \
      "conv_block+norm conv_block_wgrad")                                                \
    X(shift, lm_add(p->g, p->conv, p->shift), NULL, "conv_block+shift")                  \
    X(shift_first, lm_add(p->g, p->shift, p->biased), NULL, "conv_block+bias+shift")     \
    X(residual, lm_add(p->g, p->biased, p->y), NULL, "conv_block+bias+residual")         \
    X(residual_first, lm_add(p->g, p->y, p->conv), NULL, "conv_block+residual")          \
    X(residual_own, lm_add(p->g, p->conv, p->x), NULL, "conv_block+residual")            \
    X(chained, lm_add(p->g, lm_add(p->g, p->conv, p->shift), p->y), NULL,                \
      "conv_block+shift+residual")                                                       \
    X(chained_back, lm_add(p->g, p->shift, lm_add(p->g, p->y, p->conv)), NULL,           \
      "conv_block+shift+residual")                                                       \
    X(everything, lm_add(p->g, p->y, lm_add(p->g, p->shift, p->blocked)), NULL,          \
      "conv_block+bias+norm+shift+residual")                                             \
    X(second_shift,                                                                      \
      lm_add(p->g, lm_add(p->g, p->conv, p->shift), lm_exp(p->g, p->shift)), NULL,       \
      "exp conv_block+shift+residual")                                                   \
    X(shift_twice, lm_add(p->g, lm_add(p->g, p->conv, p->shift), p->shift), NULL,        \
      "conv_block+shift add")                                                            \
    X(residual_twice, lm_add(p->g, lm_add(p->g, p->conv, p->y), p->x), NULL,             \
      "conv_block+residual add")                                                         \
    X(number_stays, lm_add(p->g, p->conv, number(p)), NULL, "conv const add")            \
    X(spread_stays, lm_add(p->g, spread(p), p->conv), NULL, "conv add")                  \
    X(channels_stay, lm_add(p->g, p->conv, of_channels(p)), NULL, "conv add")            \
    X(two_convs, lm_add(p->g, p->conv, conv_of(p, p->y, p->v)), NULL,                    \
      "conv conv_block+residual")                                                        \
    X(conv_and_block, lm_add(p->g, p->conv, p->blocked), NULL,                           \
      "conv conv_block+bias+norm+residual")                                              \
    X(twice_itself, lm_add(p->g, p->conv, p->conv), NULL, "conv add")                    \
    X(conv_wanted, lm_add(p->g, p->conv, p->y), p->conv, "conv add")                     \
    X(conv_read_twice, lm_add(p->g, p->conv, p->y), lm_add(p->g, p->conv, p->shift),     \
      "conv add add")                                                                    \
    X(sum_read_twice, lm_add(p->g, p->conv, p->y),                                       \
      lm_add(p->g, lm_add(p->g, p->conv, p->y), p->shift), "conv_block+residual add")    \
    X(difference, lm_sub(p->g, p->conv, p->y), NULL, "conv sub")                         \
    X(strided_sum, lm_add(p->g, strided(p, p->x), strided(p, p->y)), NULL,               \
      "conv conv add")                                                                   \
    X(leaky_before, conv_of(p, lm_relu(p->g, p->x), p->w), NULL, "conv_block+before")    \
    X(leaky_for_both, conv_of(p, lm_relu(p->g, p->x), p->w),                             \
      wgrad_of(p, lm_relu(p->g, p->x), p->y), "conv_block+before conv_block_wgrad")      \
    X(leaky_wanted, conv_of(p, lm_relu(p->g, p->x), p->w), lm_relu(p->g, p->x),          \
      "leaky conv")                                                                      \
    X(leaky_after, lm_leaky_relu(p->g, p->biased, 0.2), NULL, "conv_block+bias+after")   \
    X(silu_after, lm_silu(p->g, p->conv), NULL, "conv_block+after")                      \
    X(silu_of_sum, lm_silu(p->g, lm_add(p->g, p->conv, p->y)), NULL,                     \
      "conv_block+residual+after")                                                       \
    X(silu_and_more, lm_silu(p->g, p->conv), p->conv, "conv sigmoid mul")                \
    X(gated, lm_mul(p->g, p->conv, lm_sigmoid(p->g, p->y)), NULL, "conv sigmoid mul")    \
    X(leaky_and_more, lm_relu(p->g, p->conv), p->conv, "conv leaky")                     \
    X(sum_of_leaky, lm_add(p->g, lm_relu(p->g, p->conv), p->y), NULL,                    \
      "conv_block+after add")                                                            \
    X(leaky_between, conv_of(p, lm_relu(p->g, p->conv), p->v), NULL,                     \
      "conv_block+after conv")                                                           \
    X(leaky_twice, lm_relu(p->g, lm_leaky_relu(p->g, p->conv, 0.2)), NULL,               \
      "conv_block+after leaky")                                                          \
    X(flattened,                                                                         \
      lm_add(p->g, lm_reshape(p->g, p->conv, LM_SHAPE(N, H *W, C)),                      \
             lm_reshape(p->g, p->y, LM_SHAPE(N, H *W, C))),                              \
      NULL, "conv add")

typedef struct join_case {
    const char *name, *after;
    void (*build)(parts *p, lm_node *out[2]);
} join_case;

#define BUILD(name, first, second, after)                                                \
    static void build_##name(parts *p, lm_node *out[2]) {                                \
        out[0] = first;                                                                  \
        out[1] = second;                                                                 \
    }
CASES(BUILD)
#define ROW(name, first, second, after) {#name, after, build_##name},
static const join_case cases[] = {CASES(ROW)};
enum { N_CASES = sizeof cases / sizeof *cases };

static lm_graph *build_case(const join_case *c) {
    lm_graph *g;
    parts p;
    lm_node *out[2];
    CHECK_OK(lm_graph_new(&g));
    make_parts(&p, g);
    c->build(&p, out);
    lm_graph_output(g, "out0", out[0]);
    if (out[1]) lm_graph_output(g, "out1", out[1]);
    CHECK_OK(lm_graph_status(g));
    return g;
}

/* ---- what is there ----------------------------------------------------------- */

static bool is_silent(lm_kind kind) {
    return kind == LM_KIND_INPUT || kind == LM_KIND_RESHAPE || kind == LM_KIND_BROADCAST;
}

static void write_node(const lm_node *node, lm_str *text) {
    static const char *const part[] = {"+bias", "+norm", "+shift", "+residual"};
    if (is_silent(node->kind)) return;
    if (text->length) lm_str_append(text, " ");
    if (node->kind != LM_KIND_CALL) {
        lm_str_append(text, node->kind == LM_KIND_EW ? lm_ew_get(node->attr.ew.code)->text
                                                     : lm_kind_get(node->kind)->text);
        return;
    }
    lm_str_append(text, lm_composite_text(node->attr.call.composite));
    if (node->attr.call.composite != LM_COMP_CONV_BLOCK) return;
    for (int i = 0; i < 4; i++)
        if (node->attr.call.i[0] >> i & 1) lm_str_append(text, part[i]);
    if (node->attr.call.i[1] == LM_ACT_LEAKY) lm_str_append(text, "+before");
    if (node->attr.call.i[2]) lm_str_append(text, "+after");
}

static void check_text(const lm_graph *graph, const char *expected, const char *name) {
    lm_node **nodes;
    int count;
    lm_str text = LM_STR_INIT;
    CHECK_OK(lm_topological(graph, &nodes, &count));
    for (int i = 0; i < count; i++) write_node(nodes[i], &text);
    if (strcmp(lm_str_text(&text), expected) != 0)
        fail_msg("%s: '%s', expected '%s'", name, lm_str_text(&text), expected);
    lm_str_release(&text);
    lm_free(nodes);
}

static bool has_all(void *user, const lm_node *call) {
    return true;
}

static void what_is_joined(void **state) {
    for (int i = 0; i < N_CASES; i++) {
        lm_graph *before = build_case(&cases[i]), *after;
        CHECK_OK(lm_pass_join_conv(before, has_all, NULL, &after));
        check_text(after, cases[i].after, cases[i].name);
        lm_graph_free(before);
        lm_graph_free(after);
    }
}

/* ---- backends that have not everything --------------------------------------- */

static bool has_none(void *user, const lm_node *call) {
    return false;
}

/* All composites but one. */
static bool has_others(void *user, const lm_node *call) {
    const lm_composite *missing = user;
    return call->attr.call.composite != (int32_t)*missing;
}

static bool has_no_residual(void *user, const lm_node *call) {
    return call->attr.call.composite != LM_COMP_CONV_BLOCK ||
           !(call->attr.call.i[0] & LM_BLOCK_RESIDUAL);
}

static const join_case *find_case(const char *name) {
    for (int i = 0; i < N_CASES; i++)
        if (strcmp(cases[i].name, name) == 0) return &cases[i];
    fail_msg("no case %s", name);
    return NULL;
}

static void what_a_backend_has_not_stays(void **state) {
    static const lm_composite block = LM_COMP_CONV_BLOCK,
                              wgrad = LM_COMP_CONV_BLOCK_WGRAD;
    static const struct {
        const char *name;
        lm_keep_call has;
        const lm_composite *user;
        const char *after;
    } rows[] = {
        {"everything", has_none, NULL, "norm_act conv add add"},
        {"norm_for_both", has_none, NULL, "norm_act conv conv_wgrad"},
        {"norm_for_both", has_others, &wgrad, "norm_act conv conv_wgrad"},
        {"norm_for_both", has_others, &block, "norm_act conv conv_wgrad"},
        {"norm_for_gradient", has_others, &block, "conv_block_wgrad"},
        {"silu", has_others, &wgrad, "conv_block+bias+norm"},
        {"everything", has_no_residual, NULL, "conv_block+bias+norm+shift add"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        lm_graph *before = build_case(find_case(rows[i].name)), *after;
        CHECK_OK(lm_pass_join_conv(before, rows[i].has, (void *)rows[i].user, &after));
        check_text(after, rows[i].after, rows[i].name);
        lm_graph_free(before);
        lm_graph_free(after);
    }
}

/* ---- values ------------------------------------------------------------------ */

enum { MOST = C * 9 * C }; /* elements of an input or output */

static void set_inputs(const lm_graph *graph, lm_program *program) {
    double values[MOST];
    for (int id = 0; id < lm_graph_size(graph); id++) {
        const lm_node *node = lm_graph_node(graph, id);
        if (node->kind != LM_KIND_INPUT) continue;
        int64_t count = lm_shape_count(node->shape);
        double phase = strlen(node->attr.name) + 0.9 * node->attr.name[0];
        for (int64_t i = 0; i < count; i++)
            values[i] = (float)(1.4 * sin(1.7 * (double)(i * i) + phase));
        CHECK_OK(lm_program_set(program, node->attr.name, LM_F64, values, count));
    }
}

/* Both outputs, one after the other; the second may be absent. */
static int64_t run(const char *backend, lm_graph *graph, double *results) {
    lm_engine *engine;
    lm_program *program;
    lm_compile_options options = {
        .inline_all = strcmp(backend, "ref") == 0, .check = true, .poison = true};
    int64_t total = 0;
    CHECK_OK(lm_engine_new(backend, &engine));
    CHECK_OK(lm_compile(engine, graph, &options, &program));
    set_inputs(graph, program);
    CHECK_OK(lm_program_run(program));
    int n_roots;
    const lm_named_node *roots = lm_graph_roots(graph, &n_roots);
    for (int i = 0; i < n_roots; i++) {
        int64_t count = lm_shape_count(roots[i].node->shape);
        CHECK_OK(lm_program_get(program, roots[i].name, LM_F64, results + total, count));
        total += count;
    }
    lm_program_free(program);
    lm_engine_free(engine);
    return total;
}

static void check_close(const double *got, const double *truth, int64_t count,
                        double tolerance, const char *name) {
    for (int64_t i = 0; i < count; i++)
        if (!(fabs(got[i] - truth[i]) <= tolerance * (1 + fabs(truth[i]))))
            fail_msg("%s: element %lld: %.17g, not %.17g", name, (long long)i, got[i],
                     truth[i]);
}

/* On the reference backend, where a block is its body; and through all passes and kernels
 * of the CPU. */
static void values_stay(void **state) {
    static double truth[2 * MOST], got[2 * MOST];
    for (int i = 0; i < N_CASES; i++) {
        lm_graph *before = build_case(&cases[i]), *after;
        CHECK_OK(lm_pass_join_conv(before, has_all, NULL, &after));
        int64_t count = run("ref", before, truth);
        assert_int_equal(run("ref", after, got), count);
        check_close(got, truth, count, 1e-13, cases[i].name);
        assert_int_equal(run("cpu", before, got), count);
        check_close(got, truth, count, 2e-4, cases[i].name);
        lm_graph_free(before);
        lm_graph_free(after);
    }
}

/* ---- memory ------------------------------------------------------------------ */

static size_t f32_size(lm_dtype dtype) {
    return lm_dtype_size(dtype);
}

/* How many values of the shape of x the plan has room for. */
static int64_t count_places(lm_node *(*build)(parts *p)) {
    lm_graph *before, *after;
    lm_schedule schedule;
    lm_plan plan;
    parts p;
    CHECK_OK(lm_graph_new(&before));
    make_parts(&p, before);
    lm_graph_output(before, "out", build(&p));
    CHECK_OK(lm_pass_join_conv(before, has_all, NULL, &after));
    CHECK_OK(lm_schedule_build(after, &(lm_schedule_options){0}, &schedule));
    lm_plan_options options = {.element_size = f32_size, .in_place = true, .reuse = true};
    CHECK_OK(lm_plan_build(&schedule, &options, &plan));
    CHECK_OK(lm_plan_check(&schedule, &options, &plan));
    int64_t bytes = plan.arena_bytes;
    lm_plan_release(&plan);
    lm_schedule_release(&schedule);
    lm_graph_free(before);
    lm_graph_free(after);
    return bytes / (int64_t)(N * H * W * C * sizeof(float));
}

static lm_node *conv_and_exp(parts *p) {
    return lm_add(p->g, p->blocked, lm_exp(p->g, p->y));
}

static lm_node *conv_of_exp_and_exp(parts *p) {
    lm_node *y = lm_exp(p->g, p->y);
    return lm_add(p->g, conv_of(p, y, p->w), y);
}

static lm_node *conv_of_exp(parts *p) {
    return conv_of(p, lm_exp(p->g, p->y), p->w);
}

/* The result takes the place of the residual, but not of what the taps read. */
static void residuals_give_their_place(void **state) {
    assert_int_equal(count_places(conv_and_exp), 1);
    assert_int_equal(count_places(conv_of_exp_and_exp), 2);
    assert_int_equal(count_places(conv_of_exp), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_joined),
        cmocka_unit_test(what_a_backend_has_not_stays),
        cmocka_unit_test(values_stay),
        cmocka_unit_test(residuals_give_their_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
