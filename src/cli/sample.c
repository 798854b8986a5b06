/* limn sample: draws images from a run. */
#include "cli/drawing.h"

#include "base/json.h"
#include "base/mem.h"
#include "train/sample.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

static const lm_option options[] = {
    {"n", LM_OPT_INT, "64", 1, 1e7, NULL, "N", "images to draw (also -n)"},
    {"class", LM_OPT_INT, "", 0, 1e9, NULL, "K",
     "draw this class [all in turn, a row each]"},
    {"seed", LM_OPT_INT, "0", 0, 9e18, NULL, "N", "seed of the noise"},
    CLI_DRAWING,
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
        cli_print_json(json_pack(
            "{s:I, s:f, s:i, s:I, s:s, s:s, s:o}", "images", (json_int_t)count, "seconds",
            s->seconds, "nfe", drawn.nfe, "step", (json_int_t)drawn.step, "weights",
            drawn.weights, "sampler", drawn.sampler, "out", lm_json_text(path)));
        return;
    }
    printf("%" PRId64 " images in %.1f s (%d network evaluations each, %s weights of "
           "step %" PRId64 ", %s)\n%s\n",
           count, s->seconds, drawn.nfe, drawn.weights, drawn.step, drawn.sampler, path);
}

static lm_status run(cli_context *cli) {
    const lm_settings *o = &cli->options;
    lm_run_source_spec spec = cli_drawing(cli, cli->args[0], lm_setting_int(o, "n"));
    spec.draw.hook = on_step;
    spec.draw.user = cli;
    if (lm_setting(o, "class")->is_set)
        spec.request.label = (int)lm_setting_int(o, "class");
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
