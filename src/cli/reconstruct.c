/* limn reconstruct: images, encoded and decoded, beside themselves. */
#include "cli/latent.h"

#include "base/json.h"
#include "base/mem.h"
#include "image/image.h"
#include "metrics/pixel_metrics.h"

#include <stdio.h>
#include <string.h>

static const lm_option options[] = {
    {"n", LM_OPT_INT, "", 1, 1e7, NULL, "N",
     "images to compare (also -n) [all; 10000 of an endless set; 64 without an "
     "encoder]"},
    {"show", LM_OPT_INT, "32", 1, 1000, NULL, "N", "of these on the sheet"},
    CLI_LATENT,
    {0}};

enum { COLUMNS = 8 };

typedef struct job {
    cli_context *cli;
    cli_latent latent;
    int64_t count, shown;
    size_t size; /* of an image */
    float *states;
    int32_t *labels;
    uint8_t *originals, *decoded;
    lm_pixel_error *errors;
    lm_pixel_summary summary;
} job;

static lm_status allocate(job *j) {
    size_t count = (size_t)j->count;
    const lm_image_info *info = &j->latent.opened.run.info;
    j->size = (size_t)info->height * info->width * info->channels;
    j->states = lm_alloc(sizeof *j->states * count * (size_t)j->latent.size);
    j->labels = lm_alloc(sizeof *j->labels * count);
    j->originals = lm_alloc(count * j->size);
    j->decoded = lm_alloc(count * j->size);
    j->errors = lm_alloc(sizeof *j->errors * count);
    bool whole = j->states && j->labels && j->originals && j->decoded && j->errors;
    return whole ? LM_OK : LM_NOMEM;
}

static lm_status reconstruct(job *j) {
    const lm_image_info *info = &j->latent.opened.run.info;
    const lm_image_source *images = &j->latent.images.source;
    LM_TRY(lm_source_read(images, 0, j->count, j->originals, j->labels));
    LM_TRY(lm_encoder_run(j->latent.encoder, images, 0, j->count, j->states));
    LM_TRY(cli_latent_decode(&j->latent, j->states, j->count,
                             j->latent.opened.model->conditional ? j->labels : NULL,
                             j->decoded));
    LM_TRY(lm_pixel_compare(j->originals, j->decoded, j->count, info->height, info->width,
                            info->channels, j->errors));
    return lm_pixel_summarise(j->errors, j->count, &j->summary);
}

/* Rows of originals, each with its reconstructions below. */
static lm_status write_sheet(const job *j, const char *path) {
    const lm_grid_spec grid = {.columns = COLUMNS, .gap = 2, .background = 64};
    int64_t rows = (j->shown + COLUMNS - 1) / COLUMNS, cells = 2 * rows * COLUMNS;
    uint8_t *pixels = lm_alloc((size_t)cells * j->size);
    if (!pixels) return LM_NOMEM;
    memset(pixels, grid.background, (size_t)cells * j->size);
    for (int64_t i = 0; i < j->shown; i++) {
        int64_t at = i / COLUMNS * 2 * COLUMNS + i % COLUMNS;
        memcpy(pixels + (size_t)at * j->size, j->originals + (size_t)i * j->size,
               j->size);
        memcpy(pixels + (size_t)(at + COLUMNS) * j->size,
               j->decoded + (size_t)i * j->size, j->size);
    }
    lm_status status =
        cli_latent_write(&j->latent, pixels, (int)cells, &grid, "reconstruct", path);
    lm_free(pixels);
    return status;
}

/* A single image has no error, and one that is kept exactly no PSNR. */
static void put_estimate(json_t *json, const char *name, const char *of_error,
                         lm_estimate estimate) {
    json_object_set_new(json, name, lm_json_number(estimate.value));
    json_object_set_new(json, of_error, lm_json_number(estimate.error));
}

static void print_result(const job *j, const char *path) {
    const lm_pixel_summary *s = &j->summary;
    if (j->cli->json) {
        json_t *json =
            json_pack("{s:I, s:o, s:o}", "images", (json_int_t)s->count, "data",
                      lm_json_text(j->latent.set->name), "out", lm_json_text(path));
        put_estimate(json, "mse", "mse_error", s->mse);
        put_estimate(json, "psnr", "psnr_error", s->psnr);
        put_estimate(json, "ssim", "ssim_error", s->ssim);
        cli_print_json(json);
        return;
    }
    printf("%lld images of %s: MSE %.1f ± %.1f (values to 255), PSNR %.2f ± %.2f dB, "
           "SSIM %.4f ± %.4f\n%s\n",
           (long long)s->count, j->latent.set->name, s->mse.value, s->mse.error,
           s->psnr.value, s->psnr.error, s->ssim.value, s->ssim.error, path);
}

static lm_status run_job(job *j) {
    LM_TRY(allocate(j));
    LM_TRY(reconstruct(j));
    char *path = cli_latent_path(j->cli, &j->latent, "out", "reconstruct");
    lm_status status = path ? write_sheet(j, path) : LM_NOMEM;
    if (status == LM_OK) print_result(j, path);
    lm_free(path);
    return status;
}

static lm_status run(cli_context *cli) {
    const lm_option_value *n = lm_setting(&cli->options, "n");
    job j = {.cli = cli, .shown = lm_setting_int(&cli->options, "show")};
    cli_watch_signals();
    LM_TRY(cli_latent_open(cli, n->is_set ? n->integer : CLI_LATENT_ALL,
                           n->is_set ? n->integer : 0, &j.latent));
    j.count = j.latent.images.source.count;
    if (j.shown > j.count) j.shown = j.count;
    lm_status status = run_job(&j);
    lm_free(j.states);
    lm_free(j.labels);
    lm_free(j.originals);
    lm_free(j.decoded);
    lm_free(j.errors);
    cli_latent_close(&j.latent);
    return status;
}

const cli_command reconstruct_command = {
    .name = "reconstruct",
    .arguments = "RUN",
    .help = "images beside what encoding and decoding leaves of them",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .takes_sets = true,
    .run = run};
