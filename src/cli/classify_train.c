/* limn classify train: a judge for a set, by the recipe of its kind. */
#include "cli/classify.h"
#include "cli/data.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "families/classifier.h"
#include "train/judge_of.h"
#include "train/trainer.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const lm_option options[] = {
    {"out", LM_OPT_TEXT, "", 0, 0, NULL, "RUN", "run directory [runs/judge-NAME]"},
    {"preset", LM_OPT_TEXT, "", 0, 0, NULL, "NAME",
     "the recipe ('limn train classifier --help') [the set's]"},
    {"held-out", LM_OPT_TEXT, "", 0, 0, NULL, "SPEC",
     "images to test it on [the set's test split]"},
    {"name", LM_OPT_TEXT, "", 0, 0, NULL, "NAME",
     "install it under this name [the set's]"},
    {"no-install", LM_OPT_FLAG, "false", 0, 0, NULL, NULL,
     "leave it in the run, as judge.safetensors"},
    {"steps", LM_OPT_INT, "", 1, 1e12, NULL, "N", "other than the recipe's"},
    {"epochs", LM_OPT_INT, "", 1, 1e9, NULL, "N", "so many instead"},
    {"minutes", LM_OPT_FLOAT, "", 0.001, 1e6, NULL, "M", "so many instead"},
    {"seed", LM_OPT_INT, "", 0, 9e18, NULL, "N", "seed of everything random [0]"},
    {"resume", LM_OPT_FLAG, "false", 0, 0, NULL, NULL, "go on with the run in --out"},
    {0}};

/* ---- what is trained, and where ---------------------------------------------- */

/* Recipes for sets by their judges' names (fnmatch); the first that matches. */
static const struct {
    const char *pattern, *preset;
} recipes[] = {{"digits-m*", "mnist-m"}, {"mnist-m*", "mnist-m"},
               {"digits*", "digits"},    {"fashion-mnist*", "fashion-mnist"},
               {"mnist*", "mnist"},      {"kmnist*", "mnist"},
               {"emnist*", "mnist"},     {"usps*", "usps"},
               {"svhn*", "svhn"},        {"cifar*", "cifar10"},
               {"faces*", "faces"},      {"shapes*", "faces"},
               {"celeba*", "faces"}};
enum { RECIPES = sizeof recipes / sizeof *recipes };

/* By name, else by size and colours, else by colours. */
static const char *choose_preset(const char *name, const lm_dataset *set) {
    for (int i = 0; i < RECIPES; i++)
        if (fnmatch(recipes[i].pattern, name, 0) == 0) return recipes[i].preset;
    const char *like = NULL;
    for (const lm_preset *p = lm_family_classifier.presets; p->name; p++) {
        if (p->info.channels != set->channels) continue;
        if (p->info.height == set->height && p->info.width == set->width) return p->name;
        if (!like) like = p->name;
    }
    return like;
}

/* The set that was trained on, and what follows from it. */
typedef struct plan {
    lm_dataset *set, *held_out; /* held_out NULL: there are no images to test it on */
    char *name;                 /* of the judge */
    char *out;
    const char *preset;
} plan;

static void plan_release(plan *p) {
    lm_dataset_free(p->set);
    lm_dataset_free(p->held_out);
    lm_free(p->name);
    lm_free(p->out);
}

static lm_status choose_out(const cli_context *cli, plan *p) {
    const char *out = cli_text(cli, "out");
    if (out) {
        p->out = lm_strdup(out);
        return p->out ? LM_OK : LM_NOMEM;
    }
    lm_str stem = LM_STR_INIT;
    lm_str_printf(&stem, "runs/judge-%s", p->name);
    lm_status status = stem.failed ? LM_NOMEM : lm_run_free_folder(stem.text, &p->out);
    lm_str_release(&stem);
    return status;
}

/* Before training, which may take hours, and not when the judge is to be tested. */
static lm_status open_held_out(const cli_context *cli, plan *p) {
    LM_TRY(cli_data_open_held_out(cli, cli->args[0], p->set, &p->held_out));
    LM_RETURN_IF(p->held_out && p->set->classes &&
                     p->held_out->classes != p->set->classes,
                 LM_MISMATCH, "%s: %d classes to test with, %s has %d", p->held_out->name,
                 p->held_out->classes, p->set->name, p->set->classes);
    return LM_OK;
}

static lm_status make_plan(const cli_context *cli, plan *p) {
    const char *name = cli_text(cli, "name"), *preset = cli_text(cli, "preset");
    LM_TRY(lm_dataset_open(cli->args[0], LM_SPLIT_TRAIN, &p->set));
    LM_TRY(open_held_out(cli, p));
    p->name = name ? lm_strdup(name) : lm_judge_name(p->set->name);
    if (!p->name) return LM_NOMEM;
    p->preset = preset ? preset : choose_preset(p->name, p->set);
    return choose_out(cli, p);
}

static bool ask_stop(void *user) {
    return cli_interrupted();
}

static lm_status train(const cli_context *cli, const plan *p, lm_train_result *result) {
    const lm_settings *o = &cli->options;
    bool resume = lm_setting_flag(o, "resume");
    cli_live live = cli_live_start(cli);
    const lm_train_request request = {
        .family = lm_family_classifier.name,
        .data = cli->args[0],
        .preset = resume ? cli_text(cli, "preset") : p->preset,
        .out = p->out,
        .assignments = cli->sets,
        .n_assignments = cli->n_sets,
        .limits = {.steps = lm_setting_int(o, "steps"),
                   .epochs = lm_setting_int(o, "epochs"),
                   .minutes = lm_setting_float(o, "minutes")},
        .seed = (uint64_t)lm_setting_int(o, "seed"),
        .seed_given = lm_setting(o, "seed")->is_set,
        .resume = resume,
        .hooks = {&live, ask_stop, cli_show_progress},
        .began = lm_now() - lm_cpu_seconds()};
    lm_status status = lm_train(&request, result);
    cli_live_end(&live);
    return status;
}

/* ---- what becomes of it ------------------------------------------------------ */

/* Without images that it has not learned from there is no test: score->count stays 0. */
static lm_status test(const cli_context *cli, const plan *p, lm_judge *judge,
                      lm_class_score *score) {
    *score = (lm_class_score){0};
    if (!p->held_out) {
        cli_note(cli, "not tested: %s has no test split; --held-out SPEC gives one",
                 cli->args[0]);
        return LM_OK;
    }
    lm_status status = cli_classify_score(cli, judge, p->held_out, 0, score);
    lm_judge_set_tested(judge, score->count, score->correct);
    return status;
}

/* Into the run, and perhaps under its name; *installed NULL: not that. */
static lm_status keep(const cli_context *cli, const plan *p, const lm_judge *judge,
                      char **installed) {
    char *path = lm_path_join(p->out, "judge.safetensors");
    lm_status status = path ? lm_judge_write(judge, path) : LM_NOMEM;
    lm_free(path);
    if (status != LM_OK || lm_setting_flag(&cli->options, "no-install")) return status;
    if (!lm_judge_is_shipped(p->name)) return lm_judge_install(judge, p->name, installed);
    cli_note(cli,
             "not installed: judge:%s is the one within the program; --name gives "
             "another",
             p->name);
    return LM_OK;
}

static void print_result(const cli_context *cli, const plan *p, const lm_judge *judge,
                         const lm_train_result *result, const lm_class_score *score,
                         const char *installed) {
    if (cli->json) {
        json_t *json = json_pack("{s:s, s:o, s:o*, s:s*, s:I, s:I, s:f, s:f}", "run",
                                 p->out, "judge", cli_judge_json(judge), "test",
                                 score->count ? cli_score_json(score) : NULL, "installed",
                                 installed, "steps", (json_int_t)result->state.step,
                                 "images", (json_int_t)result->state.images, "seconds",
                                 result->seconds, "loss", result->loss);
        cli_print_json(json);
        return;
    }
    char time[32];
    lm_duration_text(result->seconds, time, sizeof time);
    printf("%" PRId64 " steps, %" PRId64 " images in %s; loss %.4f\n", result->state.step,
           result->state.images, time, result->loss);
    cli_print_judge(judge);
    if (score->count) cli_print_score(score);
    printf("run         %s\n", p->out);
    if (installed) printf("installed   judge:%s, %s\n", p->name, installed);
}

static lm_status finish(const cli_context *cli, const plan *p,
                        const lm_train_result *result) {
    lm_judge *judge;
    lm_class_score score = {0};
    char *installed = NULL;
    LM_TRY(lm_judge_of_run(p->out, p->set, &judge));
    lm_status status = test(cli, p, judge, &score);
    if (status == LM_OK) status = keep(cli, p, judge, &installed);
    if (status == LM_OK) print_result(cli, p, judge, result, &score, installed);
    lm_free(installed);
    lm_class_score_release(&score);
    lm_judge_free(judge);
    return status;
}

static lm_status run(cli_context *cli) {
    plan p = {0};
    lm_train_result result;
    cli_watch_signals();
    lm_status status = make_plan(cli, &p);
    if (status == LM_OK) status = train(cli, &p, &result);
    if (status == LM_OK) status = finish(cli, &p, &result);
    plan_release(&p);
    return status;
}

const cli_command classify_train_command = {
    .name = "classify train",
    .arguments = "SPEC",
    .help = "trains a judge for a set, tests it, and installs it under the set's name",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .takes_sets = true,
    .run = run};
