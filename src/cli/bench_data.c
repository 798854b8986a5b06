/* limn bench data: how fast a loader makes batches when nobody else needs the cores. */
#include "cli/bench.h"

#include "base/clock.h"
#include "data/data.h"

#include <stdio.h>
#include <time.h>

static const lm_option options[] = {
    {"batch", LM_OPT_INT, "128", 1, 65536, NULL, "N", "images a batch"},
    {"workers", LM_OPT_INTS, "0,1,2", 0, 64, NULL, "N,N,..",
     "threads that prepare batches, each number in turn"},
    {"seconds", LM_OPT_FLOAT, "2", 0.001, 3600, NULL, "S", "time for each"},
    {0}};

typedef struct speed {
    int workers;
    int64_t images;
    double seconds, cpu_seconds; /* cpu: of all threads, which a busy machine stretches
                                  * less than the time that passes */
} speed;

static double cpu_now(void) {
    return (double)clock() / CLOCKS_PER_SEC;
}

/* The first batch is not counted: it opens files and fills caches. */
static lm_status measure(const lm_dataset *set, int batch, double seconds, speed *s) {
    lm_loader *loader;
    lm_batch data;
    const lm_loader_spec spec = {.batch = batch, .workers = s->workers};
    LM_TRY(lm_loader_new(set, &spec, &loader));
    lm_status status = lm_loader_read(loader, 0, &data);
    double began = lm_now(), cpu_began = cpu_now();
    while (status == LM_OK && s->seconds < seconds) {
        s->images += batch;
        status = lm_loader_read(loader, s->images, &data);
        s->seconds = lm_now() - began;
    }
    s->cpu_seconds = cpu_now() - cpu_began;
    lm_loader_free(loader);
    return status;
}

static void print_text(const lm_dataset *set, int batch, double opening, const speed *s,
                       int count) {
    printf("data       %s: images of %d x %d, %d channel%s; opened in %.2f s\n",
           set->name, set->width, set->height, set->channels,
           set->channels == 1 ? "" : "s", opening);
    for (int i = 0; i < count; i++) {
        double rate = (double)s[i].images / s[i].seconds;
        printf("%d worker%s  %.0f images/s, %.3f ms a batch of %d; %.2f us of processor "
               "time an image\n",
               s[i].workers, s[i].workers == 1 ? " " : "s", rate, 1e3 * batch / rate,
               batch, 1e6 * s[i].cpu_seconds / (double)s[i].images);
    }
}

static void print_json(const lm_dataset *set, int batch, double opening, const speed *s,
                       int count) {
    json_t *speeds = json_array();
    for (int i = 0; i < count; i++) {
        double images = (double)s[i].images;
        json_array_append_new(
            speeds, json_pack("{s:i, s:f, s:f}", "workers", s[i].workers,
                              "images_per_second", images / s[i].seconds,
                              "cpu_seconds_per_image", s[i].cpu_seconds / images));
    }
    cli_print_json(json_pack("{s:s, s:i, s:f, s:o}", "set", set->name, "batch", batch,
                             "open_seconds", opening, "speeds", speeds));
}

static lm_status run(cli_context *cli) {
    const lm_option_value *workers = lm_setting(&cli->options, "workers");
    int batch = (int)lm_setting_int(&cli->options, "batch");
    double seconds = lm_setting_float(&cli->options, "seconds"), began = lm_now();
    speed speeds[LM_OPT_MAX_INTS] = {0};
    lm_dataset *set;
    LM_TRY(lm_dataset_open(cli->args[0], LM_SPLIT_TRAIN, &set));
    double opening = lm_now() - began;
    lm_status status = LM_OK;
    for (int i = 0; i < workers->n_ints && status == LM_OK; i++) {
        speeds[i].workers = (int)workers->ints[i];
        status = measure(set, batch, seconds, &speeds[i]);
    }
    if (status == LM_OK && cli->json)
        print_json(set, batch, opening, speeds, workers->n_ints);
    else if (status == LM_OK)
        print_text(set, batch, opening, speeds, workers->n_ints);
    lm_dataset_free(set);
    return status;
}

const cli_command bench_data_command = {.name = "bench data",
                                        .arguments = "SPEC",
                                        .help = "how fast batches of a set are made",
                                        .options = options,
                                        .min_args = 1,
                                        .max_args = 1,
                                        .run = run};
