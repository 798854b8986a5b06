/* limn eval: what images are worth against a set. */
#include "cli/eval.h"
#include "cli/drawing.h"

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "eval/metric.h"
#include "eval/report.h"

#include <stdio.h>
#include <string.h>

static const lm_option options[] = {
    {"data", LM_OPT_TEXT, "", 0, 0, NULL, "SPEC", "the set of real images"},
    {"against", LM_OPT_CHOICE, "train", 0, 0, "train|test", NULL,
     "its split that is the reference"},
    {"held-out", LM_OPT_TEXT, "", 0, 0, NULL, "SPEC",
     "real images that were not trained on [the set's test split]"},
    {"n", LM_OPT_INT, "", 2, INT32_MAX, NULL, "N",
     "images to judge (also -n) [all, at most 10000; of a run 2048]"},
    {"reference", LM_OPT_INT, "", 2, INT32_MAX, NULL, "N",
     "images of the reference [all, at most 50000; 10000 of an endless set]"},
    {"metrics", LM_OPT_TEXT, "", 0, 0, NULL, "LIST",
     "names with commas between [all that apply]"},
    {"extractor", LM_OPT_TEXT, "", 0, 0, NULL, "SPEC",
     "what makes features of images [the best that suits them]"},
    {"lpips", LM_OPT_TEXT, "", 0, 0, NULL, "NET",
     "vgg, alex, squeeze or NET:FILE, for LPIPS [vgg, where it is found]"},
    {"k", LM_OPT_INT, "5", 1, 1000, NULL, "K", "nearest neighbours of manifolds"},
    {"tie", LM_OPT_CHOICE, "le", 0, 0, "le|lt", NULL,
     "within a ball: d <= radius, or d < radius"},
    {"splits", LM_OPT_INT, "10", 1, 1000, NULL, "N", "parts of the inception score"},
    {"subsets", LM_OPT_INT, "0", 0, 100000, NULL, "N",
     "subsets of KID, 0 for all images at once"},
    {"subset-size", LM_OPT_INT, "1000", 2, 1e6, NULL, "N", "images of each"},
    {"seed", LM_OPT_INT, "0", 0, 9e18, NULL, "N", "of everything that is drawn"},
    CLI_DRAWING,
    {"samples", LM_OPT_INT, "100", 1, 1e6, NULL, "S",
     "importance samples of a likelihood, of runs that have one"},
    {"terms", LM_OPT_INT, "20", 0, 1e6, NULL, "K",
     "terms of a variational bound that stand for all, of runs that have one; 0: all"},
    {"resize", LM_OPT_CHOICE, "", 0, 0, "box|bilinear|bicubic|lanczos", NULL,
     "how images come to the reference's size [refused]"},
    {"pairs", LM_OPT_TEXT, "", 0, 0, NULL, "SPEC",
     "images of which those with equal index were made"},
    {"neighbours", LM_OPT_TEXT, "", 0, 0, NULL, "FILE",
     "draw images and the training images nearest to them, a PNG"},
    {"stats", LM_OPT_TEXT, "", 0, 0, NULL, "FILE",
     ".npz with mu and sigma, as of pytorch-fid, in place of a reference"},
    {"save-stats", LM_OPT_TEXT, "", 0, 0, NULL, "FILE",
     "write mu and sigma of what is judged, an .npz"},
    {"no-floor", LM_OPT_FLAG, "false", 0, 0, NULL, NULL,
     "do not measure real images beside"},
    {"no-cache", LM_OPT_FLAG, "false", 0, 0, NULL, NULL,
     "keep nothing of real images, and use nothing kept"},
    {"out", LM_OPT_TEXT, "", 0, 0, NULL, "FILE",
     "write all of it as JSON [for a run into its eval/]"},
    {0}};

/* ---- progress ---------------------------------------------------------------- */

typedef struct progress {
    const cli_context *cli;
    cli_meter meter;
    const char *what;
} progress;

static bool show(void *user, const char *what, double share) {
    progress *p = user;
    if (p->what != what) {
        cli_meter_end(&p->meter);
        p->meter = cli_meter_start(p->cli, what, NULL, 1, share);
        p->what = what;
    }
    cli_meter_show(&p->meter, share);
    return !cli_interrupted();
}

/* ---- the command ------------------------------------------------------------- */

static lm_eval_spec make_spec(const cli_context *cli, const cli_eval_sides *sides,
                              const lm_cache *cache) {
    const lm_settings *o = &cli->options;
    lm_eval_spec spec = lm_eval_spec_default();
    spec.extractor = cli_text(cli, "extractor");
    spec.lpips = cli_text(cli, "lpips");
    spec.sheet = cli_text(cli, "neighbours");
    spec.metrics = cli_text(cli, "metrics");
    spec.against_test = sides->against_test;
    spec.floor = !lm_setting_flag(o, "no-floor");
    spec.k = (int)lm_setting_int(o, "k");
    spec.closed = strcmp(lm_setting_text(o, "tie"), "le") == 0;
    spec.splits = (int)lm_setting_int(o, "splits");
    spec.subsets = (int)lm_setting_int(o, "subsets");
    spec.subset_size = (int)lm_setting_int(o, "subset-size");
    spec.seed = (uint64_t)lm_setting_int(o, "seed");
    spec.stats = sides->stats;
    spec.save_stats = cli_text(cli, "save-stats");
    spec.like = sides->subject.generated.source;
    spec.cache = cache;
    return spec;
}

static lm_status evaluate(const cli_context *cli, const cli_eval_sides *sides,
                          const lm_cache *cache, lm_evaluation *evaluation) {
    lm_eval_spec spec = make_spec(cli, sides, cache);
    lm_evaluator *evaluator;
    LM_TRY(lm_evaluator_new(&spec, &sides->train, &sides->test, &evaluator));
    progress live = {.cli = cli};
    lm_eval_hook hook = {show, &live};
    lm_status status = lm_evaluator_run(evaluator, &sides->subject, &hook, evaluation);
    cli_meter_end(&live.meter);
    lm_evaluator_free(evaluator);
    return status;
}

/* Where the report goes; NULL in *path: nowhere. */
static lm_status choose_path(const cli_context *cli, const cli_eval_sides *sides,
                             const json_t *json, char **path) {
    const char *out = cli_text(cli, "out");
    *path = NULL;
    if (!out && !sides->is_run) return LM_OK;
    if (out) {
        *path = lm_strdup(out);
        return *path ? LM_OK : LM_NOMEM;
    }
    const char *run = sides->run.opened.run.folder;
    char *folder = lm_path_join(run, "eval");
    lm_status status = folder ? lm_make_folders(folder) : LM_NOMEM;
    if (status == LM_OK) *path = lm_report_path(run, sides->run.opened.state.step, json);
    lm_free(folder);
    return status == LM_OK && !*path ? LM_NOMEM : status;
}

static lm_status report(const cli_context *cli, const cli_eval_sides *sides,
                        const lm_evaluation *evaluation) {
    json_t *json;
    char *path;
    LM_TRY(lm_report_make(evaluation, &json));
    lm_status status = choose_path(cli, sides, json, &path);
    if (status == LM_OK && path) status = lm_json_write(path, json);
    if (status == LM_OK && cli->json)
        cli_print_json(json_incref(json));
    else if (status == LM_OK)
        cli_eval_print(sides, evaluation);
    if (status == LM_OK && !cli->json && path) printf("%s\n", path);
    lm_free(path);
    json_decref(json);
    return status;
}

static lm_status run(cli_context *cli) {
    cli_eval_sides sides;
    lm_evaluation evaluation;
    lm_cache cache = {0};
    cli_watch_signals();
    lm_status status = lm_setting_flag(&cli->options, "no-cache")
                           ? LM_OK
                           : lm_cache_init(&cache, NULL, 0);
    LM_TRY(status);
    status = cli_eval_open_sides(cli, &sides);
    if (status == LM_OK) status = evaluate(cli, &sides, &cache, &evaluation);
    if (status == LM_OK) {
        status = report(cli, &sides, &evaluation);
        lm_evaluation_release(&evaluation);
    }
    cli_eval_close_sides(&sides);
    lm_cache_release(&cache);
    return status;
}

static lm_status more_help(const cli_context *cli, lm_str *out) {
    lm_str_append(out, "\nmetrics:\n");
    for (int i = 0; lm_eval_metrics[i]; i++) {
        lm_str_printf(out, "  %-22s ", lm_eval_metrics[i]->name);
        lm_append_wrapped(out, lm_eval_metrics[i]->help, 25, 25);
    }
    lm_str_append(out, "\nextractors:\n");
    for (int i = 0; lm_extractor_kinds[i]; i++) {
        lm_str_printf(out, "  %-22s ", lm_extractor_kinds[i]->name);
        lm_append_wrapped(out, lm_extractor_kinds[i]->help, 25, 25);
    }
    return out->failed ? LM_NOMEM : LM_OK;
}

const cli_command eval_command = {.name = "eval",
                                  .arguments = "RUN|IMAGES [--data SPEC]",
                                  .help = "judges images against a set",
                                  .options = options,
                                  .min_args = 1,
                                  .max_args = 1,
                                  .takes_sets = true,
                                  .run = run,
                                  .more_help = more_help};
