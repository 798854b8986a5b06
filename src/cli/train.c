/* limn train: starts or continues a run. */
#include "cli/cli.h"
#include "cli/profile.h"

#include "base/clock.h"
#include "base/json.h"
#include "train/settings.h"
#include "train/trainer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const lm_option options[] = {
    {"data", LM_OPT_TEXT, "", 0, 0, NULL, "SPEC",
     "a set's name as builtin:digits, builtin:faces or mnist (limn data list), or a "
     "path"},
    {"out", LM_OPT_TEXT, "", 0, 0, NULL, "RUN", "run directory [runs/FAMILY-DATA]"},
    {"preset", LM_OPT_TEXT, "", 0, 0, NULL, "NAME", "start from these settings"},
    {"steps", LM_OPT_INT, "", 1, 1e12, NULL, "N", "stop after this many steps"},
    {"epochs", LM_OPT_INT, "", 1, 1e9, NULL, "N", "stop after this many epochs"},
    {"minutes", LM_OPT_FLOAT, "", 0.001, 1e6, NULL, "M",
     "stop after this time of training [the preset's steps, else 10 minutes]"},
    {"size", LM_OPT_INT, "", 1, 4096, NULL, "PX",
     "crop images to squares and resize them"},
    {"seed", LM_OPT_INT, "", 0, 9e18, NULL, "N", "seed of everything random [0]"},
    {"resume", LM_OPT_FLAG, "false", 0, 0, NULL, NULL,
     "continue the run in --out, bit for bit, to its limits or to new ones"},
    {"save-every", LM_OPT_INT, "500", 1, 1e12, NULL, "N", "steps between checkpoints"},
    {"snapshot-every", LM_OPT_INT, "500", 1, 1e12, NULL, "N",
     "steps between sheets of the same 64 noises"},
    {"log-every", LM_OPT_INT, "10", 1, 1e12, NULL, "N",
     "steps between lines of log.jsonl"},
    {"keep", LM_OPT_INT, "2", 1, 1e6, NULL, "N", "checkpoints to keep"},
    {"eval-every", LM_OPT_INT, "", 1, 1e12, NULL, "N",
     "steps between evaluations; their time does not count [none]"},
    {"eval-n", LM_OPT_INT, "1000", 2, 1e7, NULL, "N", "images to draw for each"},
    {"eval-metrics", LM_OPT_TEXT, "fid", 0, 0, NULL, "LIST",
     "what to measure ('limn eval --help' lists it)"},
    {"keep-best", LM_OPT_TEXT, "", 0, 0, NULL, "METRIC",
     "keep the checkpoint that is best by this, or 'none' [the first measured]"},
    {"on-collapse", LM_OPT_CHOICE, "warn", 0, 0, "warn|stop|rollback", NULL,
     "when training goes wrong: say so, end, or go back to the last healthy checkpoint "
     "with other random numbers and half the learning rate, 3 times at most"},
    {"workers", LM_OPT_INT, "", 0, 64, NULL, "N",
     "threads that prepare data ahead of the step, 0: none [one for every 8 threads]"},
    {"profile", LM_OPT_FLAG, "false", 0, 0, NULL, NULL,
     "at the end, time by layer and by kind of work"},
    {0}};

static lm_status add_family_help(const lm_family *family, lm_str *out) {
    lm_str_printf(out, "\n%s: %s\n%s\n\npresets (--preset), the first is the default:\n",
                  family->name, family->title, family->paper);
    for (const lm_preset *p = family->presets; p->name; p++) {
        lm_str_printf(out, "  %-14s %s\n%*s", p->name, p->help, 17, "");
        lm_append_wrapped(out, p->settings, 17, 17);
    }
    lm_str_append(out, "\nsettings of the model (--set):\n");
    lm_options_help(family->options, "", out);
    lm_str_append(out, "\nsettings of the trainer (--set):\n");
    lm_options_help(lm_trainer_options, "", out);
    return LM_OK;
}

static lm_status more_help(const cli_context *cli, lm_str *out) {
    if (cli->n_args > 0) {
        const lm_family *family;
        LM_TRY(lm_family_find(cli->args[0], &family));
        return add_family_help(family, out);
    }
    lm_str_append(out, "\nfamilies ('limn train FAMILY --help' lists settings):\n");
    for (int i = 0; lm_families[i]; i++)
        lm_str_printf(out, "  %-8s %s\n", lm_families[i]->name, lm_families[i]->title);
    return LM_OK;
}

static bool ask_stop(void *user) {
    return cli_interrupted();
}

static lm_status print_json(const lm_train_result *result, const lm_profile *profile) {
    json_t *sums = NULL;
    if (profile) LM_TRY(cli_profile_json(profile, &sums));
    json_t *json = json_pack(
        "{s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:o, s:o}", "step",
        (json_int_t)result->state.step, "images", (json_int_t)result->state.images,
        "loss", result->loss, "seconds", result->seconds, "startup_seconds",
        result->startup, "first_step_seconds", result->first_step, "data_wait",
        result->data_wait, "checkpoint", lm_json_text(result->checkpoint), "sheet",
        lm_json_text(result->sheet));
    if (result->eval[0]) json_object_set_new(json, "eval", json_string(result->eval));
    if (result->best[0]) json_object_set_new(json, "best", lm_json_text(result->best));
    if (sums) json_object_set_new(json, "profile", sums);
    cli_print_json(json);
    return LM_OK;
}

static void print_text(const lm_train_result *result) {
    char time[32];
    lm_duration_text(result->seconds, time, sizeof time);
    if (result->new_steps == 0) printf("the run is at its limit already: ");
    printf("%" PRId64 " steps, %" PRId64 " images in %s", result->state.step,
           result->state.images, time);
    if (result->new_steps)
        printf("; %s; %.2f s of waiting for data", result->losses, result->data_wait);
    printf("\n");
    if (result->checkpoint[0]) printf("checkpoint %s\n", result->checkpoint);
    if (result->best[0]) printf("best       %s\n", result->best);
    if (result->sheet[0]) printf("samples    %s\n", result->sheet);
    if (result->eval[0]) printf("evaluation %s\n", result->eval);
}

/* profile may be NULL. */
static lm_status print_result(const cli_context *cli, const lm_train_result *result,
                              const lm_profile *profile) {
    if (cli->json) return print_json(result, profile);
    print_text(result);
    return profile ? cli_print_profile(profile) : LM_OK;
}

static lm_on_collapse find_reaction(const char *name) {
    static const char *const names[] = {"warn", "stop", "rollback"};
    int i = LM_COLLAPSE_ROLLBACK;
    while (i > 0 && strcmp(names[i], name) != 0) i--;
    return (lm_on_collapse)i;
}

static lm_status run(cli_context *cli) {
    const lm_settings *o = &cli->options;
    lm_train_request request = {
        .family = cli->n_args ? cli->args[0] : NULL,
        .data = cli_text(cli, "data"),
        .preset = cli_text(cli, "preset"),
        .out = cli_text(cli, "out"),
        .assignments = cli->sets,
        .n_assignments = cli->n_sets,
        .limits = {.steps = lm_setting_int(o, "steps"),
                   .epochs = lm_setting_int(o, "epochs"),
                   .minutes = lm_setting_float(o, "minutes")},
        .size = (int)lm_setting_int(o, "size"),
        .seed = (uint64_t)lm_setting_int(o, "seed"),
        .seed_given = lm_setting(o, "seed")->is_set,
        .resume = lm_setting_flag(o, "resume"),
        .save_every = lm_setting_int(o, "save-every"),
        .snapshot_every = lm_setting_int(o, "snapshot-every"),
        .log_every = lm_setting_int(o, "log-every"),
        .keep = (int)lm_setting_int(o, "keep"),
        .eval_every = lm_setting_int(o, "eval-every"),
        .eval_n = lm_setting_int(o, "eval-n"),
        .eval_metrics = cli_text(cli, "eval-metrics"),
        .keep_best = cli_text(cli, "keep-best"),
        .on_collapse = find_reaction(lm_setting_text(o, "on-collapse")),
        .workers = (int)lm_setting_int(o, "workers"),
        .workers_given = lm_setting(o, "workers")->is_set,
        /* Loading a program is computing, nearly all of it. */
        .began = lm_now() - lm_cpu_seconds(),
    };
    cli_watch_signals();
    cli_live live = cli_live_start(cli);
    request.hooks = (lm_train_hooks){&live, ask_stop, cli_show_progress};
    lm_profile profile = {0};
    if (lm_setting_flag(o, "profile")) request.profile = &profile;
    lm_train_result result;
    lm_status status = lm_train(&request, &result);
    cli_live_end(&live);
    if (status == LM_OK) status = print_result(cli, &result, request.profile);
    lm_profile_release(&profile);
    return status;
}

const cli_command train_command = {.name = "train",
                                   .arguments = "FAMILY --data SPEC",
                                   .help = "trains a model, or continues with --resume",
                                   .options = options,
                                   .max_args = 1,
                                   .takes_sets = true,
                                   .run = run,
                                   .more_help = more_help};
