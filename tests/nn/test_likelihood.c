/* Likelihoods: values and gradients against PyTorch; that what they give all images sums
 * up to one; which settings go together. */
#include "golden/golden.h"

#include "exec/exec.h"
#include "graph/grad.h"
#include "nn/likelihood.h"

enum { MIXTURES = 3 };

typedef struct rig {
    lm_graph *graph;
    lm_params *params;
    lm_engine *engine;
    lm_program *program;
    lm_nn nn;
} rig;

static void rig_open(rig *r, bool train) {
    CHECK_OK(lm_graph_new(&r->graph));
    CHECK_OK(lm_params_new("model", &r->params));
    r->program = NULL;
    r->nn =
        (lm_nn){.graph = r->graph, .params = r->params, .var = "model", .train = train};
}

static void rig_compile(rig *r, const char *backend) {
    CHECK_OK(lm_graph_status(r->graph));
    CHECK_OK(lm_engine_new(backend, &r->engine));
    CHECK_OK(
        lm_engine_add_var(r->engine, "model", r->params->count ? r->params->count : 1));
    CHECK_OK(lm_compile(r->engine, r->graph, NULL, &r->program));
}

static void rig_close(rig *r) {
    lm_program_free(r->program);
    lm_engine_free(r->engine);
    lm_params_free(r->params);
    lm_graph_free(r->graph);
}

static void set_f64(rig *r, const char *input, const double *values, int64_t count) {
    if (lm_program_has_input(r->program, input))
        CHECK_OK(lm_program_set(r->program, input, LM_F64, values, count));
}

/* ---- PyTorch ----------------------------------------------------------------- */

static void set_golden(rig *r, const char *input, const lm_st_entry *entry) {
    double *values = golden_values(entry);
    set_f64(r, input, values, lm_shape_count(entry->shape));
    free(values);
}

static void check_golden(rig *r, const golden_backend *backend, const char *output,
                         const lm_st_entry *entry) {
    int64_t count = lm_shape_count(entry->shape);
    double *values = malloc((size_t)count * sizeof *values);
    assert_non_null(values);
    CHECK_OK(lm_program_get(r->program, output, LM_F64, values, count));
    golden_check(backend->name, values, entry, backend->tolerance);
    free(values);
}

static void read_name(const char *name, lm_likelihood *likelihood) {
    char kind[32], scale[16], range[16];
    int channels;
    assert_int_equal(
        sscanf(name, "%31[^.].%15[^.].%15[^.].%d", kind, scale, range, &channels), 4);
    CHECK_OK(lm_likelihood_make(kind, scale, range, 0.3, MIXTURES, channels, likelihood));
}

static void check_case(const lm_safetensors *file, const golden_backend *backend,
                       const char *name) {
    lm_likelihood likelihood;
    rig r;
    read_name(name, &likelihood);
    rig_open(&r, true);
    const lm_st_entry *p = golden_find(file, name, "/params");
    const lm_st_entry *x = golden_find(file, name, "/target");
    assert_int_equal(lm_likelihood_params(&likelihood), p->shape.dim[3]);
    lm_node *from[2] = {lm_input(r.graph, "params", LM_F32, p->shape)}, *slope[2];
    lm_node *target = lm_input(r.graph, "target", LM_F32, x->shape);
    lm_node *log_prob = lm_likelihood_log_prob(&r.nn, &likelihood, from[0], target);
    bool trained = likelihood.scale == LM_SCALE_SHARED;
    if (trained) from[1] = lm_param(r.graph, "model", 0, LM_SHAPE(1));
    lm_node *seed = lm_input(r.graph, "g", LM_F32, LM_SHAPE(p->shape.dim[0]));
    CHECK_OK(lm_grad(r.graph, log_prob, seed, trained ? 2 : 1, from, slope));
    lm_graph_output(r.graph, "log_prob", log_prob);
    lm_graph_output(r.graph, "dparams", slope[0]);
    if (trained) lm_graph_output(r.graph, "dtenth_log_scale", slope[1]);
    lm_graph_output(r.graph, "mean", lm_likelihood_mean(&r.nn, &likelihood, from[0]));
    rig_compile(&r, backend->name);
    set_golden(&r, "params", p);
    set_golden(&r, "target", x);
    set_golden(&r, "g", golden_find(file, name, "/g"));
    if (trained) {
        double *value = golden_values(golden_find(file, name, "/tenth_log_scale"));
        CHECK_OK(lm_engine_write_var(r.engine, "model", 0, 1, LM_F64, value));
        free(value);
    }
    CHECK_OK(lm_program_run(r.program));
    check_golden(&r, backend, "log_prob", golden_find(file, name, "/log_prob"));
    check_golden(&r, backend, "dparams", golden_find(file, name, "/dparams"));
    check_golden(&r, backend, "mean", golden_find(file, name, "/mean"));
    if (trained)
        check_golden(&r, backend, "dtenth_log_scale",
                     golden_find(file, name, "/dtenth_log_scale"));
    rig_close(&r);
}

static void agree_with_pytorch(void **state) {
    static const char ending[] = "/params";
    lm_safetensors file;
    golden_open(&file, "likelihood.safetensors");
    int cases = 0;
    for (int i = 0; i < file.n_entries; i++) {
        char name[128];
        size_t length = strlen(file.entries[i].name);
        snprintf(name, sizeof name, "%s", file.entries[i].name);
        if (length < sizeof ending || length >= sizeof name ||
            strcmp(name + length - strlen(ending), ending) != 0)
            continue;
        name[length - strlen(ending)] = 0;
        for (int b = 0; b < GOLDEN_BACKENDS; b++)
            check_case(&file, &golden_backends[b], name);
        cases++;
    }
    assert_int_equal(cases, 26);
    lm_safetensors_release(&file);
}

/* ---- sums -------------------------------------------------------------------- */

/* Log-likelihood of each of `count` one-pixel images of one colour. */
static void evaluate(const lm_likelihood *likelihood, const double *params,
                     const double *targets, int count, double *log_prob) {
    rig r;
    int width = lm_likelihood_params(likelihood);
    rig_open(&r, false);
    lm_node *p = lm_input(r.graph, "params", LM_F32, LM_SHAPE(1, 1, 1, width));
    lm_node *x = lm_input(r.graph, "target", LM_F32, LM_SHAPE(count, 1, 1, 1));
    lm_node *each = lm_broadcast(r.graph, p, LM_SHAPE(count, 1, 1, width));
    lm_graph_output(r.graph, "log_prob",
                    lm_likelihood_log_prob(&r.nn, likelihood, each, x));
    rig_compile(&r, "ref");
    set_f64(&r, "params", params, width);
    set_f64(&r, "target", targets, count);
    CHECK_OK(lm_program_run(r.program));
    CHECK_OK(lm_program_get(r.program, "log_prob", LM_F64, log_prob, count));
    rig_close(&r);
}

static void check_mass(const lm_likelihood *likelihood, const double *params, double from,
                       double to, int count, double tolerance) {
    double *x = malloc(sizeof *x * (size_t)count), *p = malloc(sizeof *p * (size_t)count);
    assert_true(x && p);
    bool discrete = lm_likelihood_is_discrete(likelihood);
    double mass = 0, step = (to - from) / (discrete ? count - 1 : count);
    for (int i = 0; i < count; i++) x[i] = from + step * (i + (discrete ? 0 : 0.5));
    evaluate(likelihood, params, x, count, p);
    for (int i = 0; i < count; i++) mass += exp(p[i]) * (discrete ? 1 : step);
    if (!(fabs(mass - 1) < tolerance))
        fail_msg("%s: all probability is %.12g", lm_likelihood_text(likelihood), mass);
    free(x);
    free(p);
}

static void all_probability_is_one(void **state) {
    static const double shapes[][9] = {{0.3, -2, 0.1, 0.9, -0.7, 0.2, -3, -4, -1},
                                       {-5, -6, 2, 1.2, 0.99, -1, -5, -2, -6},
                                       {1e-3, -1, -0.5, 0, 0, 0, -1, -2, -9}};
    lm_likelihood l;
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        CHECK_OK(lm_likelihood_make("bernoulli", "fixed", NULL, 1, 1, 1, &l));
        check_mass(&l, shapes[s], 0, 1, 2, 1e-12);
        CHECK_OK(lm_likelihood_make("continuous-bernoulli", "fixed", NULL, 1, 1, 1, &l));
        check_mass(&l, shapes[s], 0, 1, 20000, 1e-7);
        CHECK_OK(lm_likelihood_make("gaussian", "pixel", NULL, 1, 1, 1, &l));
        check_mass(&l, shapes[s], shapes[s][0] - 40, shapes[s][0] + 40, 400000, 1e-6);
        CHECK_OK(lm_likelihood_make("laplace", "pixel", NULL, 1, 1, 1, &l));
        check_mass(&l, shapes[s], shapes[s][0] - 60, shapes[s][0] + 60, 400000, 1e-3);
        CHECK_OK(lm_likelihood_make("logistic", "pixel", NULL, 1, 1, 1, &l));
        check_mass(&l, shapes[s], -1, 1, 256, 1e-12);
        CHECK_OK(
            lm_likelihood_make("logistic-mixture", "fixed", NULL, 1, MIXTURES, 1, &l));
        check_mass(&l, shapes[s], -1, 1, 256, 1e-12);
    }
}

/* ---- targets, scales, settings ----------------------------------------------- */

static double target_of(const char *kind, const char *range, double byte, double noise,
                        bool dequantise) {
    lm_likelihood l;
    rig r;
    double target;
    uint8_t pixel = (uint8_t)byte;
    CHECK_OK(lm_likelihood_make(kind, "pixel", range, 1, 2, 1, &l));
    rig_open(&r, false);
    lm_node *image = lm_input(r.graph, "image", LM_U8, LM_SHAPE(1, 1, 1, 1));
    lm_node *u = lm_input(r.graph, "noise", LM_F32, LM_SHAPE(1, 1, 1, 1));
    lm_graph_output(r.graph, "target",
                    lm_likelihood_target(&r.nn, &l, image, dequantise ? u : NULL));
    rig_compile(&r, "ref");
    CHECK_OK(lm_program_set(r.program, "image", LM_U8, &pixel, 1));
    set_f64(&r, "noise", &noise, 1);
    CHECK_OK(lm_program_run(r.program));
    target = lm_program_scalar(r.program, "target");
    rig_close(&r);
    return target;
}

static void bytes_become_targets(void **state) {
    assert_true(target_of("bernoulli", NULL, 127, 0, true) == 0);
    assert_true(target_of("bernoulli", NULL, 128, 0, true) == 1);
    assert_true(fabs(target_of("gaussian", "unit", 255, 0, false) - 1) < 1e-6);
    assert_true(fabs(target_of("gaussian", "unit", 255, 0.5, true) - 255.5 / 256) < 1e-6);
    assert_true(fabs(target_of("laplace", "signed", 0, 0.25, true) + 1 - 0.5 / 256) <
                1e-6);
    assert_true(fabs(target_of("logistic", NULL, 255, 0.9, true) - 1) < 1e-6);
    assert_true(fabs(target_of("continuous-bernoulli", NULL, 51, 0, false) - 0.2) < 1e-6);
}

/* A constant density over its range must cost 8 bits a value, whatever the range. */
static void offsets_make_steps_of_one(void **state) {
    lm_likelihood l;
    CHECK_OK(lm_likelihood_make("gaussian", "fixed", "unit", 1, 1, 1, &l));
    assert_true(fabs(lm_likelihood_offset(&l) + log(256)) < 1e-12);
    CHECK_OK(lm_likelihood_make("gaussian", "fixed", "signed", 1, 1, 1, &l));
    assert_true(fabs(lm_likelihood_offset(&l) - log(0.5) + log(256) - log(4)) < 1e-12);
    CHECK_OK(lm_likelihood_make("logistic", "shared", NULL, 1, 1, 1, &l));
    assert_true(lm_likelihood_offset(&l) == 0);
}

/* The trained number's gradient vanishes where it is the batch's best scale. */
static void the_trained_scale_follows_the_best(void **state) {
    static const double x[4] = {0.5, -0.5, 0.25, -0.25};
    lm_likelihood l;
    rig r;
    CHECK_OK(lm_likelihood_make("gaussian", "optimal", NULL, 1, 1, 1, &l));
    rig_open(&r, true);
    lm_node *p = lm_const_full(r.graph, LM_F32, LM_SHAPE(1, 2, 2, 1), 0);
    lm_node *target = lm_input(r.graph, "target", LM_F32, LM_SHAPE(1, 2, 2, 1)), *slope;
    lm_node *log_prob = lm_likelihood_log_prob(&r.nn, &l, p, target);
    lm_node *trained = lm_param(r.graph, "model", 0, LM_SHAPE(1));
    CHECK_OK(lm_grad(r.graph, log_prob, NULL, 1, &trained, &slope));
    lm_graph_output(r.graph, "log_prob", log_prob);
    lm_graph_output(r.graph, "slope", slope);
    rig_compile(&r, "ref");
    set_f64(&r, "target", x, 4);
    double variance = (0.25 + 0.0625) / 2, best = 0.5 * log(variance);
    double want = -2 * log(2 * M_PI * variance) - 2;
    const double tried[3] = {best / 10, best / 10 + 0.05, best / 10 - 0.05};
    for (int i = 0; i < 3; i++) {
        CHECK_OK(lm_engine_write_var(r.engine, "model", 0, 1, LM_F64, &tried[i]));
        CHECK_OK(lm_program_run(r.program));
        double slope_here = lm_program_scalar(r.program, "slope");
        assert_true(fabs(lm_program_scalar(r.program, "log_prob") - want) < 1e-9);
        assert_true(i == 0 ? fabs(slope_here) < 1e-9 : (slope_here < 0) == (i == 1));
    }
    rig_close(&r);
}

static void wrong_settings_are_refused(void **state) {
    lm_likelihood l;
    CHECK_FAILS(lm_likelihood_make("poisson", "fixed", NULL, 1, 1, 1, &l), LM_ARG);
    CHECK_FAILS(lm_likelihood_make("gaussian", "free", NULL, 1, 1, 1, &l), LM_ARG);
    CHECK_FAILS(lm_likelihood_make("gaussian", "fixed", NULL, 0, 1, 1, &l), LM_ARG);
    CHECK_FAILS(lm_likelihood_make("gaussian", "fixed", NULL, NAN, 1, 1, &l), LM_ARG);
    CHECK_FAILS(lm_likelihood_make("gaussian", "fixed", NULL, 1, 1, 2, &l), LM_ARG);
    CHECK_FAILS(lm_likelihood_make("logistic", "optimal", NULL, 1, 1, 1, &l), LM_ARG);
    CHECK_FAILS(lm_likelihood_make("logistic", "pixel", "unit", 1, 1, 1, &l), LM_ARG);
    CHECK_FAILS(lm_likelihood_make("bernoulli", "fixed", "signed", 1, 1, 1, &l), LM_ARG);
    CHECK_FAILS(lm_likelihood_make("logistic-mixture", "fixed", NULL, 1, 0, 3, &l),
                LM_ARG);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agree_with_pytorch),
        cmocka_unit_test(all_probability_is_one),
        cmocka_unit_test(bytes_become_targets),
        cmocka_unit_test(offsets_make_steps_of_one),
        cmocka_unit_test(the_trained_scale_follows_the_best),
        cmocka_unit_test(wrong_settings_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
