/* limn sample: draws images from a run. */
#include "cli/cli.h"

#include "base/mem.h"
#include "train/sample.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const lm_option options[] = {
    {"n", LM_OPT_INT, "64", 1, 1e7, NULL, "N", "images to draw (also -n)"},
    {"steps", LM_OPT_INT, "", 1, 100000, NULL, "N", "sampler steps [the model's]"},
    {"sampler", LM_OPT_TEXT, "", 0, 0, NULL, "NAME", "sampler [the model's]"},
    {"eta", LM_OPT_FLOAT, "", 0, 1, NULL, "E", "DDIM's noise, 0 none to 1 full"},
    {"class", LM_OPT_INT, "", 0, 1e9, NULL, "K",
     "draw this class [all in turn, a row each]"},
    {"guidance", LM_OPT_FLOAT, "", 0.001, 1000, NULL, "S",
     "classifier-free guidance, 1 for none [the model's]"},
    {"seed", LM_OPT_INT, "0", 0, 9e18, NULL, "N", "seed of the noise"},
    {"checkpoint", LM_OPT_TEXT, "", 0, 0, NULL, "FILE",
     "which one, or 'best' [the newest]"},
    {"weights", LM_OPT_CHOICE, "ema", 0, 0, "ema|raw", NULL,
     "their average over training, or as they are"},
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

static char *default_path(const lm_samples *samples) {
    const lm_opened_run *opened = &samples->from.opened;
    lm_str path = LM_STR_INIT;
    lm_str_printf(&path, "%s/samples/sample-step%" PRId64 "-seed%" PRIu64 ".png",
                  opened->run.folder, opened->state.step, samples->from.drawn.spec.seed);
    if (path.failed) lm_str_release(&path);
    return path.text;
}

static void print_result(const cli_context *cli, const lm_samples *s, const char *path) {
    const lm_eval_side drawn = lm_run_source_side(&s->from);
    int64_t count = drawn.source->count;
    if (cli->json) {
        cli_print_json(json_pack("{s:I, s:f, s:i, s:I, s:s, s:s, s:s}", "images",
                                 (json_int_t)count, "seconds", s->seconds, "nfe",
                                 drawn.nfe, "step", (json_int_t)drawn.step, "weights",
                                 drawn.weights, "sampler", drawn.sampler, "out", path));
        return;
    }
    printf("%" PRId64 " images in %.1f s (%d network evaluations each, %s weights of "
           "step %" PRId64 ", %s)\n%s\n",
           count, s->seconds, drawn.nfe, drawn.weights, drawn.step, drawn.sampler, path);
}

static lm_status run(cli_context *cli) {
    const lm_settings *o = &cli->options;
    const lm_run_source_spec spec = {
        .choice = {.run = cli->args[0],
                   .checkpoint = cli_text(cli, "checkpoint"),
                   .raw = strcmp(lm_setting_text(o, "weights"), "raw") == 0,
                   .assignments = cli->sets,
                   .n_assignments = cli->n_sets},
        .draw = {.count = lm_setting_int(o, "n"),
                 .seed = (uint64_t)lm_setting_int(o, "seed"),
                 .hook = on_step,
                 .user = cli},
        .request = {.steps = (int)lm_setting_int(o, "steps"),
                    .eta = lm_setting(o, "eta")->is_set ? lm_setting_float(o, "eta") : -1,
                    .sampler = cli_text(cli, "sampler"),
                    .label = lm_setting(o, "class")->is_set
                                 ? (int)lm_setting_int(o, "class")
                                 : -1,
                    .guidance = lm_setting_float(o, "guidance")},
    };
    cli_watch_signals();
    lm_samples samples;
    LM_TRY(lm_samples_draw(&spec, &samples));
    const char *given = cli_text(cli, "out");
    char *path = given ? lm_strdup(given) : default_path(&samples);
    lm_status status = path ? lm_samples_write(&samples, path) : LM_NOMEM;
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
