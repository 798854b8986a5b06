/* limn bench ops: one operator a time, every kernel that can compute it, in turns. */
#include "cli/bench.h"
#include "cli/bench_problem.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/threads.h"
#include "base/version.h"
#include "train/settings.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum { MAX_CANDIDATES = 16, MAX_RUNS = 1000, MIN_RUNS = 3, NAME_SIZE = 256 };

static const lm_option options[] = {
    {"seconds", LM_OPT_FLOAT, "1", 0.001, 3600, NULL, "S", "time spent on each problem"},
    {0}};

/* A way to compute a problem. The same kernel may be what several choices lead to; the
 * first one counts. */
typedef struct candidate {
    char choice[32]; /* the setting that leads to it */
    char kernel[NAME_SIZE];
    lm_program *program;
    double *times; /* [MAX_RUNS] */
    double min, median;
} candidate;

typedef struct bench_ops {
    const cli_context *cli;
    lm_settings engine_settings; /* of the trainer's table, for its engine.* */
    lm_engine *engine;
    double seconds;
    json_t *problems; /* with --json */
} bench_ops;

typedef struct problem {
    const char *line;
    lm_graph *graph;
    candidate candidates[MAX_CANDIDATES];
    int count, runs;
    double flops, bytes; /* of the direct algorithm; inputs and outputs once */
} problem;

/* ---- candidates -------------------------------------------------------------- */

/* "onednn brgconv", "group_stats + norm_act", "body of 12 kernels". */
static lm_status name_kernels(candidate *c) {
    lm_profile_row *rows;
    int count;
    LM_TRY(lm_program_get_profile(c->program, &rows, &count));
    if (count > 3)
        snprintf(c->kernel, NAME_SIZE, "%d kernels", count);
    else
        for (int i = 0, used = 0; i < count && used < NAME_SIZE; i++)
            used += snprintf(c->kernel + used, (size_t)(NAME_SIZE - used), "%s%s",
                             i ? " + " : "", rows[i].kernel);
    lm_free(rows);
    return LM_OK;
}

static bool is_known(const problem *p, const candidate *c) {
    for (int i = 0; i < p->count; i++)
        if (strcmp(p->candidates[i].kernel, c->kernel) == 0) return true;
    return false;
}

static lm_status add_candidate(bench_ops *b, problem *p, const char *choice,
                               const lm_backend_options *kernels,
                               const lm_compile_options *how) {
    if (p->count == MAX_CANDIDATES) return LM_OK;
    candidate made = {0};
    snprintf(made.choice, sizeof made.choice, "%s", choice);
    LM_TRY(lm_engine_configure(b->engine, kernels));
    LM_TRY(lm_compile(b->engine, p->graph, how, &made.program));
    lm_status status = name_kernels(&made);
    if (status == LM_OK && !is_known(p, &made)) {
        made.times = lm_alloc(sizeof *made.times * MAX_RUNS);
        if (made.times) {
            p->candidates[p->count++] = made;
            return LM_OK;
        }
        status = LM_NOMEM;
    }
    lm_program_free(made.program);
    return status;
}

/* The settings that choose kernels, and where a backend takes each from. */
static const struct {
    const char *name;
    size_t offset;
} choosers[] = {{"engine.conv", offsetof(lm_backend_options, conv)},
                {"engine.matmul", offsetof(lm_backend_options, matmul)}};
enum { N_CHOOSERS = sizeof choosers / sizeof *choosers };

static const char *find_choices(const char *name) {
    const lm_option *option = lm_trainer_options;
    while (strcmp(option->name, name) != 0) option++;
    return option->choices;
}

/* A candidate for each choice that the setting has. */
static lm_status add_choices(bench_ops *b, problem *p, int chooser) {
    lm_backend_options kernels = lm_trainer_engine(&b->engine_settings);
    const char **chosen = (const char **)((char *)&kernels + choosers[chooser].offset);
    for (const char *rest = find_choices(choosers[chooser].name); rest;
         rest = strchr(rest, '|')) {
        char name[32];
        rest += *rest == '|';
        snprintf(name, sizeof name, "%.*s", (int)strcspn(rest, "|"), rest);
        *chosen = name;
        LM_TRY(add_candidate(b, p, name, &kernels, NULL));
    }
    return LM_OK;
}

/* The default first, then each kernel that a setting can ask for, then what the operator
 * is without kernels of its own. A choice that is given stands alone. */
static lm_status find_candidates(bench_ops *b, problem *p) {
    lm_backend_options kernels = lm_trainer_engine(&b->engine_settings);
    LM_TRY(add_candidate(b, p, "default", &kernels, NULL));
    for (int i = 0; i < N_CHOOSERS; i++)
        if (lm_setting(&b->engine_settings, choosers[i].name)->is_set) return LM_OK;
    for (int i = 0; i < N_CHOOSERS; i++) LM_TRY(add_choices(b, p, i));
    return add_candidate(b, p, "body", &kernels,
                         &(lm_compile_options){.inline_all = true});
}

/* ---- measuring --------------------------------------------------------------- */

/* Numbers of unit scale without a pattern. */
static void fill(float *values, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        values[i] = (float)((uint32_t)i * 2654435761u >> 8) / (1 << 23) - 1;
}

static lm_status set_inputs(problem *p) {
    for (int i = 0; i < lm_graph_size(p->graph); i++) {
        const lm_node *node = lm_graph_node(p->graph, i);
        if (node->kind != LM_KIND_INPUT) continue;
        int64_t count = lm_shape_count(node->shape);
        float *values = lm_alloc(sizeof *values * (size_t)count);
        if (!values) return LM_NOMEM;
        fill(values, count);
        lm_status status = LM_OK;
        for (int c = 0; c < p->count && status == LM_OK; c++)
            status = lm_program_set(p->candidates[c].program, node->attr.name, LM_F32,
                                    values, count);
        lm_free(values);
        LM_TRY(status);
    }
    return LM_OK;
}

/* What has to move in any case: what is read or computed, once. */
static void count_work(problem *p) {
    lm_program *first = p->candidates[0].program;
    p->flops = lm_program_get_stats(first).flops;
    int n_roots;
    const lm_named_node *roots = lm_graph_roots(p->graph, &n_roots);
    double elements = 0;
    for (int i = 0; i < n_roots; i++)
        elements += (double)lm_shape_count(roots[i].node->shape);
    for (int i = 0; i < lm_graph_size(p->graph); i++) {
        const lm_node *node = lm_graph_node(p->graph, i);
        if (node->kind == LM_KIND_INPUT && lm_program_has_input(first, node->attr.name))
            elements += (double)lm_shape_count(node->shape);
    }
    p->bytes = elements * sizeof(float);
}

/* In turns, so that all suffer alike from what else the machine does. */
static lm_status run_in_turns(problem *p, double seconds) {
    for (int c = 0; c < p->count; c++) LM_TRY(lm_program_run(p->candidates[c].program));
    double began = lm_now();
    bool enough = false;
    for (p->runs = 0; p->runs < MAX_RUNS && !enough; p->runs++) {
        for (int c = 0; c < p->count; c++) {
            double start = lm_now();
            LM_TRY(lm_program_run(p->candidates[c].program));
            p->candidates[c].times[p->runs] = lm_now() - start;
        }
        enough = p->runs + 1 >= MIN_RUNS && lm_now() - began >= seconds;
    }
    for (int c = 0; c < p->count; c++) {
        candidate *one = &p->candidates[c];
        one->median = bench_median(one->times, p->runs); /* sorts */
        one->min = one->times[0];
    }
    return LM_OK;
}

/* ---- the report -------------------------------------------------------------- */

static double slowest(const problem *p) {
    double worst = 0;
    for (int c = 0; c < p->count; c++)
        if (p->candidates[c].min > worst) worst = p->candidates[c].min;
    return worst;
}

static void print_problem(const problem *p) {
    printf("%s\n%9s %9s %9s %8s %7s  %-10s kernel, the best of %d runs\n", p->line, "ms",
           "median", "GFLOP/s", "GB/s", "speed", "choice", p->runs);
    for (int c = 0; c < p->count; c++) {
        const candidate *one = &p->candidates[c];
        printf("%9.3f %9.3f %9.1f %8.1f %6.2fx  %-10s %s\n", 1e3 * one->min,
               1e3 * one->median, p->flops / one->min / 1e9, p->bytes / one->min / 1e9,
               slowest(p) / one->min, one->choice, one->kernel);
    }
    printf("\n");
}

static json_t *problem_json(const problem *p) {
    json_t *rows = json_array();
    for (int c = 0; c < p->count; c++) {
        const candidate *one = &p->candidates[c];
        json_array_append_new(rows,
                              json_pack("{s:s, s:s, s:f, s:f, s:f, s:f}", "choice",
                                        one->choice, "kernel", one->kernel, "min_seconds",
                                        one->min, "median_seconds", one->median,
                                        "flops_per_second", p->flops / one->min,
                                        "bytes_per_second", p->bytes / one->min));
    }
    return json_pack("{s:s, s:i, s:f, s:f, s:o}", "problem", p->line, "runs", p->runs,
                     "flops", p->flops, "bytes", p->bytes, "candidates", rows);
}

/* ---- the command ------------------------------------------------------------- */

static lm_status measure(bench_ops *b, problem *p) {
    LM_TRY(find_candidates(b, p));
    LM_TRY(set_inputs(p));
    count_work(p);
    LM_TRY(run_in_turns(p, b->seconds));
    if (b->cli->json)
        json_array_append_new(b->problems, problem_json(p));
    else
        print_problem(p);
    return LM_OK;
}

static lm_status run_problem(void *user, const char *line) {
    bench_ops *b = user;
    problem p = {.line = line};
    LM_TRY(bench_problem_build(line, &p.graph));
    /* An engine of its own: the arena of the largest problem would stay. */
    lm_status status = lm_engine_new("cpu", &b->engine);
    if (status == LM_OK) status = measure(b, &p);
    for (int c = 0; c < p.count; c++) {
        lm_program_free(p.candidates[c].program);
        lm_free(p.candidates[c].times);
    }
    lm_engine_free(b->engine);
    b->engine = NULL;
    lm_graph_free(p.graph);
    return status;
}

static lm_status run_files(bench_ops *b) {
    for (int i = 0; i < b->cli->n_sets; i++)
        LM_TRY(lm_assign_engine(&b->engine_settings, "--set ", b->cli->sets[i]));
    for (int i = 0; i < b->cli->n_args; i++)
        LM_TRY(bench_problem_read(b->cli->args[i], run_problem, b));
    if (b->cli->json)
        cli_print_json(json_pack("{s:s, s:i, s:O}", "version", lm_version, "threads",
                                 lm_threads(), "problems", b->problems));
    return LM_OK;
}

static lm_status run(cli_context *cli) {
    bench_ops b = {.cli = cli,
                   .seconds = lm_setting_float(&cli->options, "seconds"),
                   .problems = json_array()};
    lm_status status = lm_settings_init(&b.engine_settings, lm_trainer_options);
    if (status == LM_OK) status = run_files(&b);
    lm_settings_release(&b.engine_settings);
    json_decref(b.problems);
    return status;
}

static lm_status more_help(const cli_context *cli, lm_str *out) {
    lm_str_append(out, "\nA file has an operator with its shape a line, comments from # "
                       "on. Operators and their keys:\n");
    bench_problem_help(out);
    return LM_OK;
}

const cli_command bench_ops_command = {
    .name = "bench ops",
    .arguments = "FILE...",
    .help = "times single operators, every kernel that can compute them",
    .options = options,
    .min_args = 1,
    .max_args = 64,
    .takes_sets = true,
    .run = run,
    .more_help = more_help};
