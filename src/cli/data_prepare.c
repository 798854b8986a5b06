/* limn data prepare: decodes a set once, into arrays that are mapped from then on. */
#include "cli/data.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/threads.h"
#include "data/prepare.h"
#include "image/resize.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const lm_option options[] = {
    {"out", LM_OPT_TEXT, "", 0, 0, NULL, "DIR", "the folder to write; a SPEC afterwards"},
    {"size", LM_OPT_INT, "", 1, 4096, NULL, "PX",
     "crop images to squares and resize them"},
    {"filter", LM_OPT_CHOICE, "", 0, 0, "box|bilinear|bicubic|lanczos", NULL,
     "of resizing [lanczos]"},
    CLI_DATA_SPLIT,
    {"skip-bad", LM_OPT_FLAG, "false", 0, 0, NULL, NULL,
     "leave out images that cannot be read, and list them"},
    {0}};

/* ---- progress ---------------------------------------------------------------- */

typedef struct progress {
    const cli_context *cli;
    cli_meter meter;
    bool started;
    lm_prepare_stage stage;
} progress;

static bool show(void *user, lm_prepare_stage stage, int64_t done, int64_t total) {
    progress *p = user;
    double unit = stage == LM_PREPARE_SOURCES ? 1e6 : 1;
    if (!p->started || p->stage != stage) {
        cli_meter_end(&p->meter);
        p->meter = stage == LM_PREPARE_IMAGES
                       ? cli_meter_start(p->cli, "preparing", "images", (double)total,
                                         (double)done)
                       : cli_meter_start(p->cli, "hashing sources, MB", "", 0, 0);
        p->started = true;
        p->stage = stage;
    }
    cli_meter_show(&p->meter, (double)done / unit);
    return !cli_interrupted();
}

/* ---- results ----------------------------------------------------------------- */

static void print_json(const char *out, const lm_prepared *r, double seconds) {
    cli_print_json(json_pack(
        "{s:o, s:I, s:I, s:I, s:b, s:i, s:i, s:i, s:f}", "out", lm_json_text(out),
        "images", (json_int_t)r->count, "skipped", (json_int_t)r->skipped, "resumed",
        (json_int_t)r->resumed, "was_complete", r->was_complete, "height", r->height,
        "width", r->width, "channels", r->channels, "seconds", seconds));
}

static void print_text(const char *out, const lm_prepared *r, double seconds) {
    char time[32];
    lm_duration_text(seconds, time, sizeof time);
    if (r->was_complete) printf("complete already, left as it is: ");
    printf("%" PRId64 " images of %d x %d x %d", r->count, r->width, r->height,
           r->channels);
    if (!r->was_complete) printf(" in %s", time);
    if (r->resumed) printf(", %" PRId64 " of them from before", r->resumed);
    if (r->skipped)
        printf("; %" PRId64 " could not be read, manifest.json lists them", r->skipped);
    printf("\n%s\n", out);
}

/* ---- the command ------------------------------------------------------------- */

/* The SPEC with --size and --filter among its options. */
static lm_status join_spec(const cli_context *cli, lm_str *spec) {
    int64_t size = lm_setting_int(&cli->options, "size");
    const char *filter = cli_text(cli, "filter");
    lm_str_append(spec, cli->args[0]);
    if (size) lm_spec_add(spec, "size=%" PRId64, size);
    if (filter) lm_spec_add(spec, "filter=%s", filter);
    return spec->failed ? LM_NOMEM : LM_OK;
}

static lm_status prepare(const cli_context *cli, const char *spec, const char *out,
                         lm_prepared *result) {
    lm_dataset *set;
    LM_TRY(lm_dataset_open(spec, cli_data_split(cli), &set));
    progress live = {.cli = cli};
    lm_prepare_job job = {.spec = spec,
                          .out = out,
                          .skip_bad = lm_setting_flag(&cli->options, "skip-bad"),
                          .threads = lm_threads(),
                          .hook = show,
                          .user = &live};
    lm_status status = lm_prepare(set, &job, result);
    cli_meter_end(&live.meter);
    lm_dataset_free(set);
    return status;
}

static lm_status run(cli_context *cli) {
    const char *out = cli_text(cli, "out");
    LM_RETURN_IF(!out, LM_ARG, "--out: not given; expected a folder to write");
    double began = lm_now();
    lm_str spec = LM_STR_INIT;
    lm_prepared result;
    cli_watch_signals();
    cli_data_keep_pages();
    lm_status status = join_spec(cli, &spec);
    if (status == LM_OK) status = prepare(cli, spec.text, out, &result);
    lm_str_release(&spec);
    LM_TRY(status);
    if (cli->json)
        print_json(out, &result, lm_now() - began);
    else
        print_text(out, &result, lm_now() - began);
    return LM_OK;
}

const cli_command data_prepare_command = {
    .name = "data prepare",
    .arguments = "SPEC --out DIR",
    .help = "decodes and resizes once, into a folder that trains at full speed",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .run = run};
