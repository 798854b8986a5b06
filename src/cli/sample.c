/* limn sample: draws images from a run. */
#include "cli/cli.h"

#include "base/mem.h"
#include "train/sample.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

static const lm_option options[] = {
    {"n", LM_OPT_INT, "64", 1, 1e7, NULL, "N", "images to draw (also -n)"},
    {"steps", LM_OPT_INT, "", 1, 100000, NULL, "N", "sampler steps [the model's]"},
    {"sampler", LM_OPT_TEXT, "", 0, 0, NULL, "NAME", "sampler [the model's]"},
    {"eta", LM_OPT_FLOAT, "", 0, 1, NULL, "E", "DDIM's noise, 0 none to 1 full"},
    {"seed", LM_OPT_INT, "0", 0, 9e18, NULL, "N", "seed of the noise"},
    {"checkpoint", LM_OPT_TEXT, "", 0, 0, NULL, "FILE", "which one [the newest]"},
    {"out", LM_OPT_TEXT, "", 0, 0, NULL, "FILE",
     "sheet FILE.png, array FILE.npy (u8, NHWC) or a folder of PNGs [in the run]"},
    {0}};

static bool on_step(void *user, int step, int steps) {
    const cli_context *cli = user;
    if (!cli->quiet && isatty(STDERR_FILENO)) {
        fprintf(stderr, "\r\033[Ksampling, step %d of %d", step, steps);
        if (step == steps) fprintf(stderr, "\r\033[K");
    }
    return !cli_interrupted();
}

static char *default_path(const lm_samples *samples, uint64_t seed) {
    lm_str path = LM_STR_INIT;
    lm_str_printf(&path, "%s/samples/sample-step%" PRId64 "-seed%" PRIu64 ".png",
                  samples->run.folder, samples->step, seed);
    if (path.failed) lm_str_release(&path);
    return path.text;
}

static void print_result(const cli_context *cli, const lm_samples *s, const char *path) {
    if (cli->json) {
        cli_print_json(json_pack("{s:i, s:f, s:i, s:I, s:s, s:s}", "images", s->count,
                                 "seconds", s->seconds, "nfe", s->nfe, "step",
                                 (json_int_t)s->step, "sampler", s->protocol, "out",
                                 path));
        return;
    }
    printf("%d images in %.1f s (%d network evaluations each, weights of step %" PRId64
           ", %s)\n%s\n",
           s->count, s->seconds, s->nfe, s->step, s->protocol, path);
}

static lm_status run(cli_context *cli) {
    const lm_settings *o = &cli->options;
    lm_sample_job job = {
        .run = cli->args[0],
        .checkpoint = cli_text(cli, "checkpoint"),
        .assignments = cli->sets,
        .n_assignments = cli->n_sets,
        .count = (int)lm_setting_int(o, "n"),
        .seed = (uint64_t)lm_setting_int(o, "seed"),
        .request = {.steps = (int)lm_setting_int(o, "steps"),
                    .eta = lm_setting(o, "eta")->is_set ? lm_setting_float(o, "eta") : -1,
                    .sampler = cli_text(cli, "sampler"),
                    .label = -1},
        .hook = on_step,
        .user = cli,
    };
    cli_watch_signals();
    lm_samples samples;
    LM_TRY(lm_samples_draw(&job, &samples));
    const char *given = cli_text(cli, "out");
    char *path = given ? lm_strdup(given) : default_path(&samples, job.seed);
    lm_status status = path ? lm_samples_write(&samples, job.seed, path) : LM_NOMEM;
    if (status == LM_OK) print_result(cli, &samples, path);
    lm_free(path);
    lm_samples_release(&samples);
    return status;
}

const cli_command sample_command = {.name = "sample",
                                    .arguments = "RUN",
                                    .help = "draws images from a trained run",
                                    .options = options,
                                    .min_args = 1,
                                    .max_args = 1,
                                    .takes_sets = true,
                                    .run = run};
