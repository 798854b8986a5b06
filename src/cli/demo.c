/* limn demo: from nothing to a picture. */
#include "cli/cli.h"

#include "base/clock.h"
#include "base/file.h"
#include "train/trainer.h"

#include <inttypes.h>
#include <stdio.h>

static const lm_option options[] = {
    {"minutes", LM_OPT_FLOAT, "2.5", 0.001, 1000, NULL, "M", "time for training"},
    {"out", LM_OPT_TEXT, "", 0, 0, NULL, "RUN", "run directory [runs/demo, -2, -3 ..]"},
    {"seed", LM_OPT_INT, "0", 0, 9e18, NULL, "N", "seed of everything random"},
    {0}};

static bool ask_stop(void *user) {
    return cli_interrupted();
}

static void choose_folder(char *path, size_t size) {
    snprintf(path, size, "runs/demo");
    for (int i = 2; lm_is_folder(path) && i < 10000; i++)
        snprintf(path, size, "runs/demo-%d", i);
}

static void print_result(const cli_context *cli, const char *out,
                         const lm_train_result *r) {
    if (cli->json) {
        cli_print_json(json_pack("{s:s, s:s, s:I, s:f}", "sheet", r->sheet, "run", out,
                                 "step", (json_int_t)r->state.step, "seconds",
                                 r->seconds));
        return;
    }
    char time[32];
    lm_duration_text(r->seconds, time, sizeof time);
    const char *limn = cli->program;
    printf("\n64 digits that nobody wrote, after %s of training (%" PRId64 " steps):\n"
           "  %s\n\nTry next:\n"
           "  %s sample %s -n 100 --seed 1             other digits, same model\n"
           "  %s train --resume --out %s --minutes 10  go on where it stopped\n"
           "  %s info %s                               what is in the run\n"
           "  %s train ddpm --data mnist --minutes 30         real digits\n"
           "  %s train ddpm --data 'builtin:faces?size=32' --minutes 60\n"
           "  %s data list                             all sets\n",
           time, r->state.step, r->sheet, limn, out, limn, out, limn, out, limn, limn,
           limn);
}

static lm_status run(cli_context *cli) {
    char folder[64];
    choose_folder(folder, sizeof folder);
    const char *out = cli_text(cli, "out") ? cli_text(cli, "out") : folder;
    lm_train_request request = {
        .family = "ddpm",
        .data = "builtin:digits",
        .preset = "tiny",
        .out = out,
        .limits = {.minutes = lm_setting_float(&cli->options, "minutes")},
        .seed = (uint64_t)lm_setting_int(&cli->options, "seed"),
        .save_every = 1000000000, /* once, at the end */
        .snapshot_every = 1000,
        .snapshot_steps = 100};
    cli_note(cli,
             "A small diffusion model learns to draw digits: %g minutes of training.",
             request.limits.minutes);
    cli_watch_signals();
    cli_live live = cli_live_start(cli);
    request.hooks = (lm_train_hooks){&live, ask_stop, cli_show_progress};
    lm_train_result result;
    lm_status status = lm_train(&request, &result);
    cli_live_end(&live);
    if (status == LM_OK) print_result(cli, out, &result);
    return status;
}

const cli_command demo_command = {.name = "demo",
                                  .arguments = "",
                                  .help =
                                      "trains a small model on built-in digits and draws",
                                  .options = options,
                                  .run = run};
