/* limn bench model: how fast a preset trains and samples on this machine, how much memory
 * that takes, and where the time goes. */
#include "cli/bench.h"
#include "cli/profile.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/threads.h"
#include "base/version.h"
#include "train/draw.h"
#include "train/phases.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WARM_UP = 2, SAMPLES = 64 };

static const lm_option options[] = {
    {"preset", LM_OPT_TEXT, "", 0, 0, NULL, "NAME", "preset [the family's first]"},
    {"batch", LM_OPT_INT, "", 1, 65536, NULL, "N", "images a step [the preset's]"},
    {"steps", LM_OPT_INT, "10", 0, 100000, NULL, "N",
     "training steps to time, after two to warm up; 0 for sampling only, in its own "
     "memory"},
    {"phase", LM_OPT_TEXT, "", 0, 0, NULL, "NAME",
     "time this phase alone, once a step [all, by their rules]"},
    {"sample", LM_OPT_INT, "0", 0, 100000, NULL, "N",
     "also time DDIM of N steps, 64 images"},
    {"profile", LM_OPT_FLAG, "false", 0, 0, NULL, NULL,
     "time by layer and by kind of work, against the machine's peak"},
    {"top", LM_OPT_INT, "0", 0, 1000, NULL, "N", "list the N slowest kernels"},
    {"dump", LM_OPT_FLAG, "false", 0, 0, NULL, NULL, "print the compiled step and stop"},
    {"memory", LM_OPT_FLAG, "false", 0, 0, NULL, NULL,
     "list what the step's memory holds at its peak and stop"},
    {"export", LM_OPT_TEXT, "", 0, 0, NULL, "FILE",
     "write weights, a batch and its loss as safetensors and stop"},
    {0}};

typedef struct bench {
    const cli_context *cli;
    bench_subject subject;
    lm_phases phases;
    int steps;      /* of training */
    double setup;   /* seconds from start to compiled phases */
    double compile; /* of these, in the compiler */
    double *times;  /* [steps], in order */
    int sample_steps;
    double sampling;           /* seconds */
    int64_t peak, sample_peak; /* bytes of the process; 0: not known apart */
    lm_profile profile;
} bench;

/* ---- measuring --------------------------------------------------------------- */

/* The one that was asked for, or all. */
static lm_status choose_phases(const bench *b, lm_turns *turns) {
    const char *name = cli_text(b->cli, "phase");
    if (!name) return LM_OK;
    const lm_phase *phases = b->subject.family->phases;
    bool found = false;
    for (int i = 0; i < turns->count; i++) {
        bool chosen = turns->rules[i].every && strcmp(phases[i].name, name) == 0;
        turns->rules[i] = chosen ? (lm_phase_rule){1, 1, 1} : (lm_phase_rule){0};
        found = found || chosen;
    }
    turns->reads = 1;
    LM_RETURN_IF(!found, LM_ARG, "--phase %s: no phase of this model", name);
    return LM_OK;
}

static lm_status compile_phases(bench *b) {
    bench_subject *s = &b->subject;
    LM_TRY(lm_checkpoint_add_vars(s->model, s->engine));
    LM_TRY(lm_init_weights(s->model, s->engine, 0));
    LM_TRY(lm_phases_init(s->model, &s->trainer, s->batch, &b->phases));
    LM_TRY(choose_phases(b, &b->phases.turns));
    LM_TRY(lm_phases_compile(&b->phases, s->engine));
    for (int i = 0; i < LM_MAX_PHASES; i++)
        if (b->phases.programs[i])
            b->compile += lm_program_get_stats(b->phases.programs[i]).compile_seconds;
    return LM_OK;
}

/* Sampling reads the averages only, and its peak is to hold nothing else. */
static lm_status add_averages(bench *b) {
    const lm_model *model = b->subject.model;
    LM_TRY(lm_checkpoint_add_part(model, LM_GROUP_EMA, b->subject.engine));
    return lm_init_weights(model, b->subject.engine, 0);
}

static lm_status time_steps(bench *b) {
    const lm_image_info *info = &b->subject.model->info;
    size_t images = (size_t)b->subject.batch * b->phases.turns.reads;
    size_t size = (size_t)info->height * info->width * info->channels * images;
    uint8_t *pixels = lm_alloc(size);
    int32_t *labels = lm_calloc(images, sizeof *labels);
    b->times = lm_alloc(sizeof *b->times * b->steps);
    lm_status status = pixels && labels && b->times ? LM_OK : LM_NOMEM;
    for (size_t i = 0; status == LM_OK && i < size; i++)
        pixels[i] = (uint8_t)(i * 2654435761u >> 24);
    for (int i = -WARM_UP; i < b->steps && status == LM_OK; i++) {
        if (i == 0) lm_phases_profile(&b->phases, true);
        double began = lm_now();
        const lm_step_input input = {
            .pixels = pixels, .labels = labels, .step = i + WARM_UP};
        status = lm_phases_run(&b->phases, &input);
        if (i >= 0) b->times[i] = lm_now() - began;
    }
    b->peak = bench_peak_bytes();
    lm_free(labels);
    lm_free(pixels);
    if (status == LM_OK) status = lm_phases_add_profile(&b->phases, &b->profile);
    b->profile.steps = b->steps;
    for (int i = 0; i < b->steps && status == LM_OK; i++)
        b->profile.step_seconds += b->times[i];
    return status;
}

/* Without training steps the profile is of sampling. */
static lm_status profile_sampling(bench *b, lm_drawer *drawer) {
    if (b->steps > 0) return LM_OK;
    b->sample_peak = bench_peak_bytes();
    b->profile.steps = b->sample_steps;
    b->profile.step_seconds = b->sampling;
    return lm_profile_add(&b->profile, lm_drawer_step(drawer));
}

static lm_status time_sampling(bench *b) {
    const lm_image_info *info = &b->subject.model->info;
    const lm_drawer_spec how = {.request = {.steps = b->sample_steps,
                                            .cut_steps = true,
                                            .eta = -1,
                                            .preview = true,
                                            .label = -1},
                                .batch = SAMPLES};
    lm_drawer *drawer;
    LM_TRY(lm_drawer_new(b->subject.engine, b->subject.model, &how, &drawer));
    size_t pixels = (size_t)info->height * info->width * info->channels;
    float *images = lm_alloc(sizeof *images * SAMPLES * pixels);
    lm_program_profile(lm_drawer_step(drawer), b->steps == 0);
    double began = lm_now();
    lm_status status =
        images ? lm_drawer_draw(drawer, 0, 0, SAMPLES, NULL, images, NULL, NULL)
               : LM_NOMEM;
    b->sampling = lm_now() - began;
    if (status == LM_OK) status = profile_sampling(b, drawer);
    lm_free(images);
    lm_drawer_free(drawer);
    return status;
}

/* ---- the report -------------------------------------------------------------- */

typedef struct step_times {
    double median, min, max;
} step_times;

static step_times sum_up(double *times, int count) {
    step_times t = {.median = bench_median(times, count)}; /* sorts */
    t.min = times[0];
    t.max = times[count - 1];
    return t;
}

static json_t *model_json(const bench *b) {
    const bench_subject *s = &b->subject;
    int64_t vars, arena;
    lm_engine_memory(s->engine, &vars, &arena);
    return json_pack("{s:s, s:s, s:s, s:I, s:i, s:i, s:I, s:I, s:f, s:f}", "version",
                     lm_version, "family", s->family->name, "preset", s->preset,
                     "parameters", (json_int_t)lm_model_parameters(s->model), "batch",
                     s->batch, "threads", lm_threads(), "arena_bytes", (json_int_t)arena,
                     "var_bytes", (json_int_t)vars, "setup_seconds", b->setup,
                     "compile_seconds", b->compile);
}

static void add_steps_json(bench *b, json_t *json) {
    json_t *list = json_array();
    for (int i = 0; i < b->steps; i++)
        json_array_append_new(list, json_real(b->times[i]));
    json_object_set_new(json, "step_seconds", list);
    step_times t = sum_up(b->times, b->steps);
    json_object_set_new(json, "images_per_second",
                        json_real(b->subject.batch / t.median));
    json_object_set_new(json, "peak_bytes", json_integer(b->peak));
}

static void add_sampling_json(const bench *b, json_t *json) {
    json_object_set_new(json, "sample_seconds", json_real(b->sampling));
    json_object_set_new(json, "sample_images", json_integer(SAMPLES));
    json_object_set_new(json, "sample_steps", json_integer(b->sample_steps));
    if (b->sample_peak)
        json_object_set_new(json, "sample_peak_bytes", json_integer(b->sample_peak));
}

static void print_steps(bench *b) {
    step_times t = sum_up(b->times, b->steps);
    double flops = 0; /* of all steps */
    int nodes = 0, steps = 0, clusters = 0;
    for (int i = 0; i < b->phases.turns.count; i++) {
        if (!b->phases.programs[i]) continue;
        lm_program_stats stats = lm_program_get_stats(b->phases.programs[i]);
        for (int step = 0; step < b->steps; step++)
            flops += stats.flops * lm_turns_runs(&b->phases.turns, i, step + WARM_UP);
        nodes += stats.n_nodes;
        steps += stats.n_steps;
        clusters += stats.n_clusters;
    }
    printf("step       median %.1f ms (min %.1f, max %.1f of %d): %.1f images/s, "
           "%.1f GFLOP/s\n",
           1e3 * t.median, 1e3 * t.min, 1e3 * t.max, b->steps,
           b->subject.batch / t.median, flops / b->profile.step_seconds / 1e9);
    printf("compile    %.2f s (%d nodes, %d steps, %d clusters); ready after %.2f s\n",
           b->compile, nodes, steps, clusters, b->setup);
}

static void print_memory(const bench *b) {
    int64_t vars, arena;
    lm_engine_memory(b->subject.engine, &vars, &arena);
    printf("memory     arena %.1f MB, variables %.1f MB, process peak %.1f MB\n",
           (double)arena / 1e6, (double)vars / 1e6, (double)bench_peak_bytes() / 1e6);
}

static lm_status print_json(bench *b) {
    json_t *json = model_json(b), *profile = NULL;
    if (b->steps) add_steps_json(b, json);
    if (b->sample_steps) add_sampling_json(b, json);
    lm_status status = LM_OK;
    if (lm_setting_flag(&b->cli->options, "profile"))
        status = cli_profile_json(&b->profile, &profile);
    if (profile) json_object_set_new(json, "profile", profile);
    if (status == LM_OK)
        cli_print_json(json);
    else
        json_decref(json);
    return status;
}

static lm_status print_text(bench *b) {
    const bench_subject *s = &b->subject;
    int top = (int)lm_setting_int(&b->cli->options, "top");
    printf("%s %s: %.2f M parameters, batch %d\n", s->family->name, s->preset,
           (double)lm_model_parameters(s->model) / 1e6, s->batch);
    if (b->steps) print_steps(b);
    if (b->sample_steps)
        printf("sampling   %d steps, %d images in %.2f s: %.1f images/s\n",
               b->sample_steps, SAMPLES, b->sampling, SAMPLES / b->sampling);
    print_memory(b);
    if (b->steps) cli_print_shares(&b->profile);
    if (lm_setting_flag(&b->cli->options, "profile"))
        LM_TRY(cli_print_profile(&b->profile));
    return top ? cli_print_slowest(b->phases.programs, LM_MAX_PHASES, top) : LM_OK;
}

static lm_status list_phases(const bench *b,
                             lm_status (*print)(const lm_program *, lm_str *)) {
    lm_str text = LM_STR_INIT;
    lm_status status = LM_OK;
    for (int i = 0; i < LM_MAX_PHASES && status == LM_OK; i++) {
        if (!b->phases.programs[i]) continue;
        lm_str_printf(&text, "phase %s\n", b->subject.family->phases[i].name);
        status = print(b->phases.programs[i], &text);
    }
    if (status == LM_OK) fputs(lm_str_text(&text), stdout);
    lm_str_release(&text);
    return status;
}

/* ---- the command ------------------------------------------------------------- */

static lm_status measure(bench *b, double began) {
    bool dump = lm_setting_flag(&b->cli->options, "dump");
    bool memory = lm_setting_flag(&b->cli->options, "memory"), list = dump || memory;
    LM_RETURN_IF(!b->steps && !b->sample_steps && !list, LM_ARG,
                 "--steps 0: nothing to time without --sample");
    LM_TRY(b->steps || list ? compile_phases(b) : add_averages(b));
    b->setup = lm_now() - began;
    if (list) return list_phases(b, dump ? lm_program_print : lm_program_print_memory);
    if (b->steps) LM_TRY(time_steps(b));
    if (b->sample_steps) LM_TRY(time_sampling(b));
    return b->cli->json ? print_json(b) : print_text(b);
}

static lm_status run(cli_context *cli) {
    bench b = {.cli = cli,
               .steps = (int)lm_setting_int(&cli->options, "steps"),
               .sample_steps = (int)lm_setting_int(&cli->options, "sample")};
    const char *file = cli_text(cli, "export");
    double began = lm_now();
    lm_status status = bench_open(cli, &b.subject);
    if (status == LM_OK)
        status = file ? bench_export(cli, &b.subject, file) : measure(&b, began);
    lm_free(b.times);
    lm_profile_release(&b.profile);
    lm_phases_release(&b.phases);
    bench_close(&b.subject);
    return status;
}

const cli_command bench_model_command = {
    .name = "bench model",
    .arguments = "FAMILY",
    .help = "times a training step and sampling, and where the time goes",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .takes_sets = true,
    .run = run};
