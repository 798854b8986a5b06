/* limn bench: how fast a preset trains and samples on this machine, and where the time
 * goes. Timings on shared machines are noisy: read ratios, not digits. */
#include "cli/cli.h"

#include "base/clock.h"
#include "base/mem.h"
#include "train/draw.h"
#include "train/phase.h"
#include "train/settings.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define MAX_GROUPS 16

static const lm_option options[] = {
    {"preset", LM_OPT_TEXT, "", 0, 0, NULL, "NAME", "preset [the family's first]"},
    {"batch", LM_OPT_INT, "", 1, 65536, NULL, "N", "images a step [the preset's]"},
    {"steps", LM_OPT_INT, "10", 1, 100000, NULL, "N",
     "steps to time, after two to warm up"},
    {"sample", LM_OPT_INT, "0", 0, 100000, NULL, "N",
     "also time DDIM of N steps, 64 images"},
    {"top", LM_OPT_INT, "0", 0, 1000, NULL, "N", "list the N slowest kernels"},
    {"dump", LM_OPT_FLAG, "false", 0, 0, NULL, NULL, "print the compiled step and stop"},
    {0}};

typedef struct bench {
    cli_context *cli;
    lm_settings trainer;
    lm_model *model;
    lm_engine *engine;
    lm_program *program;
    const char *preset;
    int batch, steps;
    double setup;    /* seconds from start to a compiled step */
    double *times;   /* [steps] */
    double sampling; /* seconds; 0: not timed */
} bench;

static lm_status open_model(bench *b) {
    const lm_family *family;
    const lm_preset *preset;
    LM_TRY(lm_family_find(b->cli->args[0], &family));
    b->preset = cli_text(b->cli, "preset");
    if (!b->preset) b->preset = family->presets[0].name;
    LM_TRY(lm_preset_find(family, b->preset, &preset));
    lm_settings settings;
    LM_TRY(lm_settings_init(&b->trainer, lm_trainer_options));
    LM_TRY(lm_settings_init(&settings, family->options));
    lm_status status = lm_apply_preset(preset, &settings, &b->trainer);
    for (int i = 0; i < b->cli->n_sets && status == LM_OK; i++)
        status = lm_assign_setting(&settings, &b->trainer, "--set ", b->cli->sets[i]);
    if (status != LM_OK) {
        lm_settings_release(&settings);
        return status;
    }
    return lm_model_open(family, &settings, &preset->info, &b->model);
}

static lm_status compile(bench *b) {
    double began = lm_now();
    LM_TRY(open_model(b));
    b->batch = (int)lm_setting_int(&b->cli->options, "batch");
    if (!b->batch) b->batch = (int)lm_setting_int(&b->trainer, "batch");
    LM_TRY(lm_engine_new("cpu", &b->engine));
    LM_TRY(lm_checkpoint_add_vars(b->model, b->engine));
    LM_TRY(lm_init_weights(b->model, b->engine, 0));
    LM_TRY(lm_phase_compile(b->model, &b->trainer, b->engine, 0, b->batch, &b->program));
    b->setup = lm_now() - began;
    return LM_OK;
}

static lm_status time_steps(bench *b) {
    const lm_image_info *info = &b->model->info;
    size_t size = (size_t)info->height * info->width * info->channels * b->batch;
    uint8_t *pixels = lm_alloc(size);
    int32_t *labels = lm_calloc(b->batch, sizeof *labels);
    b->times = lm_alloc(sizeof *b->times * b->steps);
    lm_status status = pixels && labels && b->times ? LM_OK : LM_NOMEM;
    for (size_t i = 0; status == LM_OK && i < size; i++)
        pixels[i] = (uint8_t)(i * 2654435761u >> 24);
    for (int i = -2; i < b->steps && status == LM_OK; i++) {
        if (i == 0) lm_program_profile(b->program, true);
        lm_phase_input input = {pixels, labels, b->batch, 0, {i + 2, 0}, 0};
        lm_phase_result result;
        double began = lm_now();
        status = lm_phase_run(b->model, &b->trainer, 0, b->program, &input, &result);
        if (i >= 0) b->times[i] = lm_now() - began;
    }
    lm_free(labels);
    lm_free(pixels);
    return status;
}

static lm_status time_sampling(bench *b, int steps) {
    lm_drawer *drawer;
    lm_sample_request request = {
        .steps = steps, .eta = 0, .sampler = "ddim", .label = -1};
    LM_TRY(lm_drawer_new(b->engine, b->model, &request, 64, &drawer));
    const lm_image_info *info = &b->model->info;
    float *images =
        lm_alloc(sizeof *images * 64 * info->height * info->width * info->channels);
    double began = lm_now();
    lm_status status =
        images ? lm_drawer_draw(drawer, 0, 0, 64, NULL, images, NULL, NULL) : LM_NOMEM;
    b->sampling = lm_now() - began;
    lm_free(images);
    lm_drawer_free(drawer);
    return status;
}

/* ---- the report
 * ------------------------------------------------------------------------ */

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int compare_rows(const void *a, const void *b) {
    double x = ((const lm_profile_row *)a)->seconds,
           y = ((const lm_profile_row *)b)->seconds;
    return (x < y) - (x > y);
}

typedef struct share {
    const char *name;
    double seconds, flops, bytes;
} share;

static int sum_groups(const lm_profile_row *rows, int count, share *groups) {
    int n = 0;
    for (int i = 0; i < count; i++) {
        int g = 0;
        while (g < n && strcmp(groups[g].name, rows[i].group) != 0) g++;
        if (g == n && n < MAX_GROUPS) groups[n++] = (share){.name = rows[i].group};
        if (g == MAX_GROUPS) continue;
        groups[g].seconds += rows[i].seconds;
        groups[g].flops += rows[i].flops;
        groups[g].bytes += rows[i].bytes;
    }
    return n;
}

static double peak_megabytes(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_maxrss / 1024;
}

static void print_groups(const share *groups, int n, double total) {
    printf("%-10s %7s %9s %8s\n", "kernels", "share", "GFLOP/s", "GB/s");
    for (int g = 0; g < n; g++)
        printf("%-10s %5.1f %% %9.1f %8.1f\n", groups[g].name,
               100 * groups[g].seconds / total, groups[g].flops / groups[g].seconds / 1e9,
               groups[g].bytes / groups[g].seconds / 1e9);
}

static void print_slowest(const lm_profile_row *rows, int count, int top, double total) {
    for (int i = 0; i < count && i < top; i++)
        printf(
            "%5.1f %%  %7.2f ms  %7.1f GFLOP/s  %6.1f GB/s  %s  %s  %s\n",
            100 * rows[i].seconds / total, 1e3 * rows[i].seconds / (double)rows[i].runs,
            rows[i].flops / rows[i].seconds / 1e9, rows[i].bytes / rows[i].seconds / 1e9,
            rows[i].kind, rows[i].kernel, rows[i].label);
}

static json_t *groups_json(const share *groups, int n, double total) {
    json_t *object = json_object();
    for (int g = 0; g < n; g++)
        json_object_set_new(object, groups[g].name, json_real(groups[g].seconds / total));
    return object;
}

static lm_status print_report(bench *b) {
    lm_profile_row *rows;
    int count;
    LM_TRY(lm_program_get_profile(b->program, &rows, &count));
    share groups[MAX_GROUPS];
    int n = sum_groups(rows, count, groups);
    double total = 0;
    for (int g = 0; g < n; g++) total += groups[g].seconds;
    qsort(rows, count, sizeof *rows, compare_rows);
    qsort(b->times, b->steps, sizeof *b->times, compare_doubles);
    double median = b->times[b->steps / 2];
    lm_program_stats stats = lm_program_get_stats(b->program);
    int64_t variables, arena;
    lm_engine_memory(b->engine, &variables, &arena);
    if (b->cli->json)
        cli_print_json(json_pack(
            "{s:s, s:s, s:I, s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:o}",
            "family", b->model->family->name, "preset", b->preset, "parameters",
            (json_int_t)lm_model_parameters(b->model), "batch", b->batch, "step_median_s",
            median, "step_min_s", b->times[0], "step_max_s", b->times[b->steps - 1],
            "images_per_second", b->batch / median, "arena_mb", (double)arena / 1e6,
            "variables_mb", (double)variables / 1e6, "peak_rss_mb", peak_megabytes(),
            "compile_s", stats.compile_seconds, "ddim_s", b->sampling, "share",
            groups_json(groups, n, total)));
    else {
        printf("%s %s: %.2f M parameters, batch %d\n", b->model->family->name, b->preset,
               (double)lm_model_parameters(b->model) / 1e6, b->batch);
        printf("step       median %.1f ms (min %.1f, max %.1f of %d): %.1f images/s, "
               "%.1f GFLOP/s\n",
               1e3 * median, 1e3 * b->times[0], 1e3 * b->times[b->steps - 1], b->steps,
               b->batch / median, stats.flops / median / 1e9);
        printf("memory     arena %.1f MB, variables %.1f MB, process peak %.1f MB\n",
               (double)arena / 1e6, (double)variables / 1e6, peak_megabytes());
        printf(
            "compile    %.2f s (%d nodes, %d steps, %d clusters); ready after %.2f s\n",
            stats.compile_seconds, stats.n_nodes, stats.n_steps, stats.n_clusters,
            b->setup);
        if (b->sampling > 0)
            printf("sampling   64 images in %.2f s: %.1f images/s\n", b->sampling,
                   64 / b->sampling);
        print_groups(groups, n, total);
        print_slowest(rows, count, (int)lm_setting_int(&b->cli->options, "top"), total);
    }
    lm_free(rows);
    return LM_OK;
}

static lm_status dump_program(const bench *b) {
    lm_str text = LM_STR_INIT;
    lm_status status = lm_program_print(b->program, &text);
    if (status == LM_OK) fputs(lm_str_text(&text), stdout);
    lm_str_release(&text);
    return status;
}

static lm_status run(cli_context *cli) {
    bench b = {.cli = cli, .steps = (int)lm_setting_int(&cli->options, "steps")};
    int sample = (int)lm_setting_int(&cli->options, "sample");
    bool dump = lm_setting_flag(&cli->options, "dump");
    lm_status status = compile(&b);
    if (status == LM_OK && dump) status = dump_program(&b);
    if (status == LM_OK && !dump) status = time_steps(&b);
    if (status == LM_OK && !dump && sample) status = time_sampling(&b, sample);
    if (status == LM_OK && !dump) status = print_report(&b);
    lm_free(b.times);
    lm_program_free(b.program);
    lm_engine_free(b.engine);
    lm_model_close(b.model);
    lm_settings_release(&b.trainer);
    return status;
}

const cli_command bench_command = {.name = "bench",
                                   .arguments = "FAMILY",
                                   .help = "times a training step, and where it goes",
                                   .options = options,
                                   .min_args = 1,
                                   .max_args = 1,
                                   .takes_sets = true,
                                   .run = run};
