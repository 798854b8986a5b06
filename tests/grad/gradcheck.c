#include "gradcheck.h"

#include "base/mem.h"
#include "exec/exec.h"
#include "graph/grad.h"
#include "testing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define SAMPLES 200
#define STEP    1e-3 /* error of the 5-point formula: STEP^4, far below rounding / STEP */

/* ---- inputs ------------------------------------------------------------------ */

static gc_input *add_input(gc *t, lm_dtype value_dtype, lm_shape shape) {
    assert_true(t->n_inputs < GC_MAX_INPUTS);
    gc_input *in = &t->input[t->n_inputs];
    snprintf(in->name, sizeof in->name, "x%d", t->n_inputs++);
    in->dtype = value_dtype;
    in->count = lm_shape_count(shape);
    in->value = lm_calloc((size_t)in->count, sizeof(double));
    assert_non_null(in->value);
    return in;
}

static void fill_uniform(gc *t, gc_input *in, double lo, double hi) {
    double *value = in->value;
    for (int64_t i = 0; i < in->count; i++)
        value[i] = lo + (hi - lo) * lm_rng_uniform(&t->rng);
}

lm_node *gc_float(gc *t, lm_shape shape, double lo, double hi) {
    gc_input *in = add_input(t, LM_F64, shape);
    fill_uniform(t, in, lo, hi);
    in->active = true;
    return in->node = lm_input(t->graph, in->name, LM_F32, shape);
}

lm_node *gc_fixed(gc *t, lm_shape shape, double lo, double hi) {
    lm_node *node = gc_float(t, shape, lo, hi);
    t->input[t->n_inputs - 1].active = false;
    return node;
}

lm_node *gc_distinct(gc *t, lm_shape shape, double spacing) {
    lm_node *node = gc_float(t, shape, 0, 1);
    gc_input *in = &t->input[t->n_inputs - 1];
    double *value = in->value;
    for (int64_t i = 0; i < in->count; i++) {
        int64_t j = lm_rng_below(&t->rng, (uint32_t)i + 1);
        value[i] = value[j];
        value[j] = ((double)(i - in->count / 2) + 0.5) * spacing;
    }
    return node;
}

lm_node *gc_param(gc *t, lm_shape shape, double lo, double hi) {
    gc_input *in = add_input(t, LM_F64, shape);
    fill_uniform(t, in, lo, hi);
    in->active = in->is_param = true;
    in->offset = t->var_count;
    t->var_count += in->count;
    return in->node = lm_param(t->graph, "theta", in->offset, shape);
}

lm_node *gc_integers(gc *t, lm_dtype dtype, lm_shape shape, int32_t below) {
    gc_input *in = add_input(t, LM_I32, shape);
    int32_t *value = in->value;
    for (int64_t i = 0; i < in->count; i++)
        value[i] = (int32_t)lm_rng_below(&t->rng, (uint32_t)below);
    return in->node = lm_input(t->graph, in->name, dtype, shape);
}

/* ---- a case under check ------------------------------------------------------ */

/* The scalar that is differentiated is <y, r> with a random r; `wrt` are the active
 * inputs, `grad` the gradients (NULL: symbolic zero). */
typedef struct check {
    const gc_case *c;
    gc t;
    lm_engine *engine;
    lm_node *y, *r;
    gc_input *r_input, *active[GC_MAX_INPUTS];
    lm_node *wrt[GC_MAX_INPUTS], *grad[GC_MAX_INPUTS];
    int n_wrt;
} check;

static const char *case_name(const gc_case *c) {
    return c->name ? c->name : "";
}

static bool is_op(const gc_case *c, const lm_node *node) {
    switch (c->table) {
    case GC_KIND:
        return (int)node->kind == c->op;
    case GC_EW:
        return node->kind == LM_KIND_EW && node->attr.ew.code == c->op;
    case GC_COMPOSITE:
        return node->kind == LM_KIND_CALL && node->attr.call.composite == c->op;
    default:
        return true;
    }
}

static void check_contains_op(const check *k) {
    for (int i = 0; i < lm_graph_size(k->t.graph); i++)
        if (is_op(k->c, lm_graph_node(k->t.graph, i))) return;
    fail_msg("the case %s does not contain its op", case_name(k->c));
}

/* Builds the case and its gradients. */
static void check_init(check *k, const gc_case *c) {
    memset(k, 0, sizeof *k);
    k->c = c;
    k->t.rng = (lm_rng){.seed = 11, .stream = (uint32_t)(c->table * 100 + c->op)};
    lm_graph *g = NULL;
    CHECK_OK(lm_graph_new(&g));
    k->t.graph = g;
    k->y = c->build(&k->t, c);
    CHECK_OK(lm_graph_status(g));
    check_contains_op(k);
    for (int i = 0; i < k->t.n_inputs; i++) {
        if (!k->t.input[i].active) continue;
        k->active[k->n_wrt] = &k->t.input[i];
        k->wrt[k->n_wrt++] = k->t.input[i].node;
    }
    k->r = gc_fixed(&k->t, k->y->shape, -1, 1);
    k->r_input = &k->t.input[k->t.n_inputs - 1];
    CHECK_OK(lm_grad(g, k->y, k->r, k->n_wrt, k->wrt, k->grad));
    CHECK_OK(lm_engine_new("ref", &k->engine));
    if (k->t.var_count) CHECK_OK(lm_engine_add_var(k->engine, "theta", k->t.var_count));
}

static void check_release(check *k) {
    for (int i = 0; i < k->t.n_inputs; i++) lm_free(k->t.input[i].value);
    lm_engine_free(k->engine);
    lm_graph_free(k->t.graph);
}

static void name_output(char name[16], const char *stem, int i) {
    snprintf(name, 16, "%s%d", stem, i);
}

/* A program with these outputs, "<stem>0" and so on; NULLs are left out. The roots that
 * the case made stay. */
static lm_program *compile(check *k, const char *stem, int count, lm_node *const *out) {
    const lm_compile_options options = {.check = true, .inline_all = true};
    lm_graph *g = k->t.graph;
    int n_before;
    const lm_named_node *before = lm_graph_roots(g, &n_before);
    lm_named_node *saved = lm_calloc((size_t)n_before + 1, sizeof *saved);
    assert_non_null(saved);
    if (n_before) memcpy(saved, before, (size_t)n_before * sizeof *saved);
    for (int i = 0; i < count; i++) {
        char name[16];
        name_output(name, stem, i);
        if (out[i]) lm_graph_output(g, name, out[i]);
    }
    CHECK_OK(lm_graph_status(g));
    CHECK_OK(lm_verify(g));
    lm_program *program = NULL;
    CHECK_OK(lm_compile(k->engine, g, &options, &program));
    CHECK_OK(lm_graph_set_roots(g, saved, n_before));
    lm_free(saved);
    return program;
}

static void give(const check *k, lm_program *program, const gc_input *in) {
    if (in->is_param)
        CHECK_OK(lm_engine_write_var(k->engine, "theta", in->offset, in->count, LM_F64,
                                     in->value));
    else
        CHECK_OK(lm_program_set(program, in->name, in->dtype, in->value, in->count));
}

static void give_all(const check *k, lm_program *program) {
    for (int i = 0; i < k->t.n_inputs; i++) give(k, program, &k->t.input[i]);
}

static void run(const check *k, lm_program *program) {
    give_all(k, program);
    CHECK_OK(lm_program_run(program));
}

/* Output `stem``i` into a new block; zeros where it is a symbolic zero. */
static double *read_output(lm_program *program, const char *stem, int i,
                           const lm_node *node, int64_t count) {
    double *value = lm_calloc((size_t)count, sizeof *value);
    assert_non_null(value);
    char name[16];
    name_output(name, stem, i);
    if (node) CHECK_OK(lm_program_get(program, name, LM_F64, value, count));
    return value;
}

static double dot(const double *a, const double *b, int64_t count) {
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += a[i] * b[i];
    return sum;
}

static double largest(const double *a, int64_t count) {
    double most = 0;
    for (int64_t i = 0; i < count; i++)
        if (!(fabs(a[i]) <= most)) most = fabs(a[i]);
    return most;
}

static void expect_near(double got, double want, double tolerance, const gc_case *c,
                        const char *what, int input, int64_t at) {
    if (!(fabs(got - want) <= tolerance))
        fail_msg(
            "%s: %s, input %d at %d: %.15g, expected %.15g (off by %.2g, allowed %.2g)",
            case_name(c), what, input, (int)at, got, want, fabs(got - want), tolerance);
}

/* <y, r> of a run. */
static double loss(const check *k, lm_program *program) {
    run(k, program);
    double *y = read_output(program, "y", 0, k->y, k->r_input->count);
    double sum = dot(y, k->r_input->value, k->r_input->count);
    lm_free(y);
    return sum;
}

/* ---- first order ------------------------------------------------------------- */

/* Weights of the 5-point central difference at -2, -1, 1, 2 steps. */
static const int stencil_at[4] = {-2, -1, 1, 2};
static const double stencil_weight[4] = {1 / 12.0, -8 / 12.0, 8 / 12.0, -1 / 12.0};

static double slope_at(const check *k, lm_program *program, double *x) {
    double keep = *x, sum = 0;
    for (int i = 0; i < 4; i++) {
        *x = keep + stencil_at[i] * STEP;
        sum += stencil_weight[i] * loss(k, program);
    }
    *x = keep;
    return sum / STEP;
}

void gc_check_first_order(const gc_case *c) {
    check k;
    check_init(&k, c);
    for (int i = 0; i < k.n_wrt; i++)
        if (c->no_gradient) assert_null(k.grad[i]);
    lm_program *forward = compile(&k, "y", 1, &k.y);
    lm_program *backward = compile(&k, "g", k.n_wrt, k.grad);
    for (int i = 0; i < k.n_wrt && !c->no_gradient; i++) {
        gc_input *in = k.active[i];
        run(&k, backward);
        double *gradient = read_output(backward, "g", i, k.grad[i], in->count);
        double tolerance = 1e-8 * (largest(gradient, in->count) + 0.1);
        int64_t samples = SAMPLES / k.n_wrt;
        for (int64_t s = 0; s < samples && s < in->count; s++) {
            bool all = in->count <= samples;
            int64_t at = all ? s : lm_rng_below(&k.t.rng, (uint32_t)in->count);
            double slope = slope_at(&k, forward, (double *)in->value + at);
            expect_near(gradient[at], slope, tolerance, c, "gradient", i, at);
        }
        lm_free(gradient);
    }
    lm_program_free(forward);
    lm_program_free(backward);
    check_release(&k);
}

/* ---- second order ------------------------------------------------------------ */

/* Gradients of <grad, v> with random directions v: h[i] is (H v)_i, and the last is the
 * derivative by r, J v. */
typedef struct second {
    check k;
    gc directions; /* holds the values of v */
    lm_node *first[GC_MAX_INPUTS + 1], *h[GC_MAX_INPUTS + 1];
    lm_program *gradient, *hessian; /* "g": grad and y; "h" */
} second;

static int64_t result_count(const second *s, int i) {
    return i < s->k.n_wrt ? s->k.active[i]->count : s->k.r_input->count;
}

static void second_init(second *s, const gc_case *c) {
    check *k = &s->k;
    check_init(k, c);
    gc *v = &s->directions;
    *v = (gc){.graph = k->t.graph, .rng = {.seed = 12}};
    lm_node *ys[GC_MAX_INPUTS], *seeds[GC_MAX_INPUTS], *wrt[GC_MAX_INPUTS + 1];
    int n_y = 0;
    for (int i = 0; i < k->n_wrt; i++) {
        gc_input *in = add_input(v, LM_F64, k->wrt[i]->shape);
        in->name[0] = 'v';
        fill_uniform(v, in, -1, 1);
        in->node = lm_input(v->graph, in->name, LM_F32, k->wrt[i]->shape);
        if (k->grad[i]) ys[n_y] = k->grad[i], seeds[n_y++] = in->node;
        s->first[i] = k->grad[i];
        wrt[i] = k->wrt[i];
    }
    s->first[k->n_wrt] = k->y;
    wrt[k->n_wrt] = k->r;
    CHECK_OK(lm_grad_many(v->graph, n_y, ys, seeds, k->n_wrt + 1, wrt, s->h));
    s->gradient = compile(k, "g", k->n_wrt + 1, s->first);
    s->hessian = compile(k, "h", k->n_wrt + 1, s->h);
}

static void second_release(second *s) {
    for (int i = 0; i < s->directions.n_inputs; i++)
        lm_free(s->directions.input[i].value);
    lm_program_free(s->gradient);
    lm_program_free(s->hessian);
    check_release(&s->k);
}

static void run_hessian(second *s) {
    for (int i = 0; i < s->k.n_wrt; i++) give(&s->k, s->hessian, &s->directions.input[i]);
    run(&s->k, s->hessian);
}

/* x += steps * STEP * v */
static void move(second *s, int steps) {
    for (int i = 0; i < s->k.n_wrt; i++) {
        double *x = s->k.active[i]->value;
        const double *v = s->directions.input[i].value;
        for (int64_t j = 0; j < s->k.active[i]->count; j++) x[j] += steps * STEP * v[j];
    }
}

/* Differences of the gradients (and of y) along v. */
static void difference(second *s, double *sum[]) {
    int n = s->k.n_wrt + 1;
    for (int i = 0; i < n; i++) {
        sum[i] = lm_calloc((size_t)result_count(s, i), sizeof(double));
        assert_non_null(sum[i]);
    }
    for (int p = 0; p < 4; p++) {
        move(s, stencil_at[p]);
        run(&s->k, s->gradient);
        move(s, -stencil_at[p]);
        for (int i = 0; i < n; i++) {
            int64_t count = result_count(s, i);
            double *g = read_output(s->gradient, "g", i, s->first[i], count);
            for (int64_t j = 0; j < count; j++)
                sum[i][j] += stencil_weight[p] / STEP * g[j];
            lm_free(g);
        }
    }
}

/* u'Hv, where v are the directions in place and H v is about to be computed. */
static double form(second *s, double *const u[]) {
    run_hessian(s);
    double sum = 0;
    for (int i = 0; i < s->k.n_wrt; i++) {
        int64_t count = result_count(s, i);
        double *h = read_output(s->hessian, "h", i, s->h[i], count);
        sum += dot(h, u[i], count);
        lm_free(h);
    }
    return sum;
}

/* u'Hv = v'Hu for a second random direction u. */
static void check_symmetry(second *s) {
    double *u[GC_MAX_INPUTS], *v[GC_MAX_INPUTS];
    for (int i = 0; i < s->k.n_wrt; i++) {
        int64_t count = result_count(s, i);
        u[i] = lm_calloc((size_t)count, sizeof(double));
        assert_non_null(u[i]);
        for (int64_t j = 0; j < count; j++)
            u[i][j] = 2 * lm_rng_uniform(&s->directions.rng) - 1;
    }
    double forward = form(s, u);
    for (int i = 0; i < s->k.n_wrt; i++) {
        v[i] = s->directions.input[i].value;
        s->directions.input[i].value = u[i];
    }
    double backward = form(s, v);
    double tolerance = 1e-11 * (1 + fabs(backward));
    expect_near(forward, backward, tolerance, s->k.c, "u'Hv against v'Hu", 0, 0);
    for (int i = 0; i < s->k.n_wrt; i++) lm_free(v[i]);
}

void gc_check_second_order(const gc_case *c) {
    if (c->no_gradient) return;
    second s;
    second_init(&s, c);
    double *expected[GC_MAX_INPUTS + 1];
    difference(&s, expected);
    run_hessian(&s);
    for (int i = 0; i <= s.k.n_wrt; i++) {
        int64_t count = result_count(&s, i);
        double *h = read_output(s.hessian, "h", i, s.h[i], count);
        double tolerance = 1e-8 * (largest(h, count) + 0.1);
        for (int64_t j = 0; j < count; j++)
            expect_near(h[j], expected[i][j], tolerance, c, "second order", i, j);
        lm_free(h);
        lm_free(expected[i]);
    }
    check_symmetry(&s);
    second_release(&s);
}

/* ---- adjoint ----------------------------------------------------------------- */

void gc_check_adjoint(const gc_case *c) {
    if (c->table != GC_KIND || !(lm_kind_get(c->op)->flags & LM_K_LINEAR)) return;
    check k;
    check_init(&k, c);
    lm_program *forward = compile(&k, "y", 1, &k.y);
    lm_program *backward = compile(&k, "g", k.n_wrt, k.grad);
    double all = loss(&k, forward);
    for (int i = 0; i < k.n_wrt; i++) {
        gc_input *in = k.active[i];
        run(&k, backward);
        double *gradient = read_output(backward, "g", i, k.grad[i], in->count);
        double by_adjoint = dot(gradient, in->value, in->count);
        double *zeros = lm_calloc((size_t)in->count, sizeof(double)), *keep = in->value;
        assert_non_null(zeros);
        in->value = zeros;
        double without = loss(&k, forward);
        in->value = keep;
        double tolerance = 1e-12 * (1 + fabs(all) + fabs(without));
        expect_near(by_adjoint, all - without, tolerance, c, "<x, A'r>", i, 0);
        lm_free(zeros);
        lm_free(gradient);
    }
    lm_program_free(forward);
    lm_program_free(backward);
    check_release(&k);
}

/* ---- closure ----------------------------------------------------------------- */

/* The gradient of half its squared norm, three times: everything verifies, and the
 * reference backend takes it with all bodies inlined. */
void gc_check_closure(const gc_case *c) {
    check k;
    check_init(&k, c);
    lm_node *grad[GC_MAX_INPUTS];
    memcpy(grad, k.grad, sizeof grad);
    for (int order = 1; order <= 3; order++) {
        lm_node *ys[GC_MAX_INPUTS];
        int n = 0;
        for (int i = 0; i < k.n_wrt; i++)
            if (grad[i]) ys[n++] = grad[i];
        if (n) lm_program_free(compile(&k, "g", n, ys));
        CHECK_OK(lm_grad_many(k.t.graph, n, ys, ys, k.n_wrt, k.wrt, grad));
    }
    check_release(&k);
}

/* ---- composites -------------------------------------------------------------- */

void gc_check_body(const gc_case *c) {
    if (c->table != GC_COMPOSITE) return;
    check k;
    check_init(&k, c);
    assert_int_equal(k.y->kind, LM_KIND_CALL);
    lm_node *by_body[GC_MAX_INPUTS], *body = lm_call_body(k.t.graph, k.y);
    assert_non_null(body);
    CHECK_OK(lm_grad(k.t.graph, body, k.r, k.n_wrt, k.wrt, by_body));
    lm_program *rule = compile(&k, "g", k.n_wrt, k.grad);
    lm_program *plain = compile(&k, "b", k.n_wrt, by_body);
    for (int i = 0; i < k.n_wrt; i++) {
        int64_t count = k.active[i]->count;
        run(&k, rule); /* its results go when the other one runs */
        double *got = read_output(rule, "g", i, k.grad[i], count);
        run(&k, plain);
        double *want = read_output(plain, "b", i, by_body[i], count);
        double tolerance = 1e-12 * (largest(want, count) + 0.1);
        for (int64_t j = 0; j < count; j++)
            expect_near(got[j], want[j], tolerance, c, "rule against body", i, j);
        lm_free(got);
        lm_free(want);
    }
    lm_program_free(rule);
    lm_program_free(plain);
    check_release(&k);
}
