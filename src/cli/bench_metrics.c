/* limn bench metrics: how long the numbers between two sets of features take, and the
 * most memory that they hold besides them. */
#include "cli/bench.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/threads.h"
#include "data/npy.h"
#include "metrics/blas.h"
#include "metrics/fid.h"
#include "metrics/kid.h"
#include "metrics/manifold.h"
#include "metrics/matrix.h"
#include "tensor/philox.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const lm_option options[] = {
    {"n", LM_OPT_INT, "10000", 10, 1000000, NULL, "N",
     "features of each set, when drawn"},
    {"dim", LM_OPT_INT, "2048", 1, LM_MATRIX_SIDE, NULL, "D", "their length, when drawn"},
    {"only", LM_OPT_TEXT, "", 0, 0, NULL, "NAME", "one of the rows"},
    {"rounds", LM_OPT_INT, "1", 1, 1000, NULL, "N", "times that each is measured"},
    {0}};

/* Features f32[n][dim], drawn here or of a file, which stays where it is: a copy would
 * count as memory of the metrics. */
typedef struct features {
    lm_tensor drawn;
    lm_npy_map file;
    const float *data;
    int64_t n, dim;
} features;

static void release_features(features *x) {
    lm_tensor_release(&x->drawn);
    lm_npy_map_close(&x->file);
}

/* Two sets of them. */
typedef struct subject {
    features a, b;
    int64_t n_a, n_b;
    int dim;
} subject;

/* ---- rows -------------------------------------------------------------------- */

typedef struct row {
    const char *name, *help;
    lm_status (*run)(const subject *s, double *value);
} row;

static lm_status find_moments(const subject *s, lm_moments *a, lm_moments *b) {
    LM_TRY(lm_moments_of(s->a.data, NULL, s->n_a, s->dim, NULL, a));
    return lm_moments_of(s->b.data, NULL, s->n_b, s->dim, NULL, b);
}

static lm_status run_fid(const subject *s, double *value) {
    lm_moments a = {0}, b = {0};
    lm_status status = find_moments(s, &a, &b);
    if (status == LM_OK) status = lm_fid(&a, &b, NULL, value);
    lm_moments_release(&a);
    lm_moments_release(&b);
    return status;
}

static lm_status run_fid_error(const subject *s, double *value) {
    lm_moments a = {0}, b = {0};
    lm_estimate fid;
    lm_status status = find_moments(s, &a, &b);
    if (status == LM_OK) status = lm_fid_estimate(&a, &b, s->b.data, NULL, &fid);
    if (status == LM_OK) *value = fid.error;
    lm_moments_release(&a);
    lm_moments_release(&b);
    return status;
}

static lm_status run_kid(const subject *s, double *value) {
    lm_estimate kid;
    LM_TRY(lm_kid(&(lm_kid_set){s->a.data, NULL, s->n_a},
                  &(lm_kid_set){s->b.data, NULL, s->n_b}, s->dim, NULL, &kid));
    *value = kid.value;
    return LM_OK;
}

static lm_status run_kid_subsets(const subject *s, double *value) {
    int64_t most = s->n_a < s->n_b ? s->n_a : s->n_b;
    lm_spread kid;
    LM_TRY(lm_kid_subsets(&(lm_kid_set){s->a.data, NULL, s->n_a},
                          &(lm_kid_set){s->b.data, NULL, s->n_b}, s->dim, 100,
                          most < 1000 ? most : 1000, 1, NULL, &kid));
    *value = kid.mean;
    return LM_OK;
}

/* The sum of all four: the peers must have each of them. */
static lm_status run_manifold(const subject *s, double *value) {
    const lm_manifold_rule rule = {.k = 5, .edge = false};
    lm_manifold got;
    LM_TRY(lm_manifold_measure(s->a.data, s->n_a, s->b.data, s->n_b, s->dim, &rule, 1,
                               NULL, &got));
    *value =
        got.precision.value + got.recall.value + got.density.value + got.coverage.value;
    lm_manifold_release(&got);
    return LM_OK;
}

static const row rows[] = {
    {"fid", "FID with moments of both sets", run_fid},
    {"fid-error", "standard error of FID, with moments", run_fid_error},
    {"kid", "KID of all pairs", run_kid},
    {"kid-subsets", "KID of 100 subsets of 1000", run_kid_subsets},
    {"manifold", "precision, recall, density and coverage, k = 5", run_manifold},
};
enum { N_ROWS = sizeof rows / sizeof *rows };

/* ---- features ---------------------------------------------------------------- */

static lm_status draw(int64_t n, int dim, uint64_t seed, features *x) {
    LM_TRY(lm_tensor_init(&x->drawn, LM_F32, LM_SHAPE(n, dim)));
    float *to = x->drawn.data;
#pragma omp parallel for
    for (int64_t i = 0; i < n; i++) {
        lm_rng rng = {.seed = seed, .sample = (uint32_t)i};
        for (int j = 0; j < dim; j++)
            to[i * dim + j] = (float)(lm_rng_uniform(&rng) * (1 + j % (int)(4 + seed)));
    }
    x->data = to;
    x->n = n;
    x->dim = dim;
    return LM_OK;
}

static lm_status read(const char *path, features *x) {
    char text[LM_SHAPE_TEXT];
    LM_TRY(lm_npy_map_open(path, &x->file));
    const lm_npy_view *view = &x->file.view;
    bool fits = view->dtype == LM_F32 && view->shape.rank == 2 &&
                (uintptr_t)view->data % sizeof(float) == 0;
    LM_RETURN_IF(!fits, LM_FORMAT, "%s: %s of shape %s, expected features f32 [N,D]",
                 path, lm_dtype_name(view->dtype), lm_shape_text(view->shape, text));
    x->data = view->data;
    x->n = view->shape.dim[0];
    x->dim = view->shape.dim[1];
    return LM_OK;
}

static lm_status open_subject(const cli_context *cli, subject *s) {
    int64_t n = lm_setting_int(&cli->options, "n");
    int dim = (int)lm_setting_int(&cli->options, "dim");
    LM_RETURN_IF(cli->n_args == 1, LM_ARG, "%s: expected a second file", cli->args[0]);
    LM_TRY(cli->n_args ? read(cli->args[0], &s->a) : draw(n, dim, 1, &s->a));
    LM_TRY(cli->n_args ? read(cli->args[1], &s->b) : draw(n, dim, 2, &s->b));
    LM_RETURN_IF(s->a.dim != s->b.dim || s->a.dim > LM_MATRIX_SIDE, LM_SHAPE,
                 "features of lengths %lld and %lld", (long long)s->a.dim,
                 (long long)s->b.dim);
    s->n_a = s->a.n;
    s->n_b = s->b.n;
    s->dim = (int)s->a.dim;
    return LM_OK;
}

/* ---- measuring --------------------------------------------------------------- */

static lm_status measure(const cli_context *cli, const row *r, const subject *s,
                         json_t *results) {
    int rounds = (int)lm_setting_int(&cli->options, "rounds");
    double *seconds = lm_alloc(rounds * sizeof *seconds), value = NAN;
    if (!seconds) return LM_NOMEM;
    int64_t held = lm_mem_get_stats().bytes;
    lm_status status = LM_OK;
    lm_mem_reset_peak();
    double cpu_began = lm_cpu_seconds();
    for (int i = 0; i < rounds && status == LM_OK; i++) {
        double began = lm_now();
        status = r->run(s, &value);
        seconds[i] = lm_now() - began;
    }
    double time = bench_median(seconds, rounds);
    double cpu = (lm_cpu_seconds() - cpu_began) / rounds;
    double memory = (double)(lm_mem_get_stats().peak - held);
    lm_free(seconds);
    if (status != LM_OK) return status;
    json_array_append_new(results, json_pack("{s:s, s:f, s:f, s:f, s:f}", "name", r->name,
                                             "seconds", time, "cpu_seconds", cpu, "value",
                                             value, "bytes", memory));
    if (!cli->json)
        printf("%-12s %8.3f s, %.3f s of processor time, %.1f MB: %.9g  (%s)\n", r->name,
               time, cpu, memory / 1e6, value, r->help);
    return LM_OK;
}

static lm_status measure_rows(const cli_context *cli, const subject *s, json_t *results) {
    const char *only = cli_text(cli, "only"), *names[N_ROWS + 1] = {0};
    bool found = false;
    for (int i = 0; i < N_ROWS; i++) {
        names[i] = rows[i].name;
        if (only && strcmp(only, rows[i].name) != 0) continue;
        found = true;
        LM_TRY(measure(cli, &rows[i], s, results));
    }
    if (found) return LM_OK;
    const char *nearest = lm_nearest(only, names);
    return lm_fail(LM_ARG, "--only %s: no such row%s%s%s", only,
                   nearest ? ", did you mean " : "", nearest ? nearest : "",
                   nearest ? "?" : "");
}

static lm_status run(cli_context *cli) {
    subject s = {0};
    char blas[128];
    lm_blas_describe(blas, sizeof blas);
    lm_status status = open_subject(cli, &s);
    if (status == LM_OK && !cli->json)
        printf("%lld and %lld features of length %d, %d threads; %s\n", (long long)s.n_a,
               (long long)s.n_b, s.dim, lm_threads(), blas);
    json_t *results = json_array();
    if (status == LM_OK) status = measure_rows(cli, &s, results);
    if (status == LM_OK && cli->json)
        cli_print_json(json_pack("{s:s, s:i, s:I, s:I, s:i, s:O}", "blas", blas,
                                 "threads", lm_threads(), "n", (json_int_t)s.n_a, "m",
                                 (json_int_t)s.n_b, "dim", s.dim, "rows", results));
    json_decref(results);
    release_features(&s.a);
    release_features(&s.b);
    return status;
}

const cli_command bench_metrics_command = {.name = "bench metrics",
                                           .arguments = "[FEATURES.npy FEATURES.npy]",
                                           .help =
                                               "how fast distances between features are",
                                           .options = options,
                                           .max_args = 2,
                                           .run = run};
