/* limn sample: draws images from a run. */
#include "cli/cli.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "image/image.h"
#include "tensor/npy.h"
#include "train/checkpoint.h"
#include "train/draw.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BATCH 64

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

typedef struct session {
    cli_context *cli;
    lm_run run;
    lm_model *model;
    lm_engine *engine;
    lm_drawer *drawer;
    lm_train_state state;
    int count;
    uint64_t seed;
    uint8_t *bytes;
    double seconds;
} session;

/* Only the averaged weights are needed. */
static lm_status load(session *s) {
    LM_TRY(lm_run_read(s->cli->args[0], &s->run));
    LM_TRY(lm_run_model(&s->run, &s->model));
    LM_TRY(lm_engine_new("cpu", &s->engine));
    for (int i = 0; i < s->model->n_groups; i++) {
        char name[128];
        snprintf(name, sizeof name, "%s.ema", s->model->groups[i]->name);
        LM_TRY(lm_engine_add_var(s->engine, name, s->model->groups[i]->count));
    }
    const char *given = cli_text(s->cli, "checkpoint");
    char *newest = NULL;
    if (!given) LM_TRY(lm_checkpoint_latest(&s->run, &newest));
    lm_status status =
        lm_checkpoint_load(given ? given : newest, s->model, s->engine, &s->state);
    lm_free(newest);
    return status;
}

static bool on_step(void *user, int step, int steps) {
    const session *s = user;
    if (!s->cli->quiet && isatty(STDERR_FILENO)) {
        fprintf(stderr, "\r\033[Ksampling, step %d of %d", step, steps);
        if (step == steps) fprintf(stderr, "\r\033[K");
    }
    return !cli_interrupted();
}

static lm_status draw(session *s) {
    const lm_settings *o = &s->cli->options;
    lm_sample_request request = {
        .steps = (int)lm_setting_int(o, "steps"),
        .eta = lm_setting(o, "eta")->is_set ? lm_setting_float(o, "eta") : -1,
        .sampler = cli_text(s->cli, "sampler"),
        .label = -1};
    int batch = s->count < BATCH ? s->count : BATCH;
    LM_TRY(lm_drawer_new(s->engine, s->model, &request, batch, &s->drawer));
    const lm_image_info *info = &s->run.info;
    int64_t total = (int64_t)s->count * info->height * info->width * info->channels;
    float *images = lm_alloc(sizeof *images * total);
    s->bytes = lm_alloc(total);
    lm_status status = images && s->bytes ? LM_OK : LM_NOMEM;
    double began = lm_now();
    if (status == LM_OK)
        status =
            lm_drawer_draw(s->drawer, s->seed, 0, s->count, NULL, images, on_step, s);
    s->seconds = lm_now() - began;
    if (status == LM_OK) lm_image_from_signed(images, s->bytes, total);
    lm_free(images);
    return status;
}

/* ---- where the images go -------------------------------------------------------------
 */

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static lm_status write_sheet(const session *s, const char *path) {
    const lm_image_info *info = &s->run.info;
    char text[320];
    snprintf(text, sizeof text,
             "limn %s on %s, step %" PRId64 ", EMA weights, %s, seed %" PRIu64,
             s->run.family->name, s->run.data, s->state.step,
             lm_drawer_sampler(s->drawer)->protocol, s->seed);
    lm_image sheet;
    LM_TRY(lm_image_grid(s->bytes, s->count, info->height, info->width, info->channels,
                         &(lm_grid_spec){.gap = 2, .background = 64}, &sheet));
    lm_status status = lm_png_write(path, &sheet, text);
    lm_image_release(&sheet);
    return status;
}

static lm_status write_folder(const session *s, const char *folder) {
    const lm_image_info *info = &s->run.info;
    size_t size = (size_t)info->height * info->width * info->channels;
    LM_TRY(lm_make_folders(folder));
    for (int i = 0; i < s->count; i++) {
        char name[32];
        snprintf(name, sizeof name, "%06d.png", i);
        char *path = lm_path_join(folder, name);
        if (!path) return LM_NOMEM;
        lm_image image = {info->width, info->height, info->channels, s->bytes + i * size};
        lm_status status = lm_png_write(path, &image, NULL);
        lm_free(path);
        LM_TRY(status);
    }
    return LM_OK;
}

static lm_status write_images(const session *s, const char *path) {
    const lm_image_info *info = &s->run.info;
    if (ends_with(path, ".png")) return write_sheet(s, path);
    if (ends_with(path, ".npy"))
        return lm_npy_write(path, LM_U8,
                            LM_SHAPE(s->count, info->height, info->width, info->channels),
                            s->bytes);
    return write_folder(s, path);
}

static char *default_path(const session *s) {
    lm_str path = LM_STR_INIT;
    lm_str_printf(&path, "%s/samples/sample-step%" PRId64 "-seed%" PRIu64 ".png",
                  s->run.folder, s->state.step, s->seed);
    if (path.failed) lm_str_release(&path);
    return path.text;
}

static void print_result(const session *s, const char *path) {
    const lm_sampler *sampler = lm_drawer_sampler(s->drawer);
    if (s->cli->json) {
        cli_print_json(json_pack("{s:i, s:f, s:i, s:I, s:s, s:s}", "images", s->count,
                                 "seconds", s->seconds, "nfe", sampler->nfe, "step",
                                 (json_int_t)s->state.step, "sampler", sampler->protocol,
                                 "out", path));
        return;
    }
    printf("%d images in %.1f s (%d network evaluations each, weights of step %" PRId64
           ", %s)\n%s\n",
           s->count, s->seconds, sampler->nfe, s->state.step, sampler->protocol, path);
}

static lm_status run(cli_context *cli) {
    session s = {.cli = cli,
                 .count = (int)lm_setting_int(&cli->options, "n"),
                 .seed = (uint64_t)lm_setting_int(&cli->options, "seed")};
    cli_watch_signals();
    lm_status status = load(&s);
    if (status == LM_OK) status = draw(&s);
    char *path = NULL;
    if (status == LM_OK) {
        const char *given = cli_text(cli, "out");
        path = given ? lm_strdup(given) : default_path(&s);
        status = path ? write_images(&s, path) : LM_NOMEM;
    }
    if (status == LM_OK) print_result(&s, path);
    lm_free(path);
    lm_free(s.bytes);
    lm_drawer_free(s.drawer);
    lm_engine_free(s.engine);
    lm_model_close(s.model);
    lm_run_release(&s.run);
    return status;
}

const cli_command sample_command = {.name = "sample",
                                    .arguments = "RUN",
                                    .help = "draws images from a trained run",
                                    .options = options,
                                    .min_args = 1,
                                    .max_args = 1,
                                    .run = run};
