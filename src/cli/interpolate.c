/* limn interpolate: walks between states, decoded frame by frame. */
#include "cli/latent.h"

#include "base/json.h"
#include "base/mem.h"
#include "image/image.h"
#include "train/walk.h"

#include <stdio.h>
#include <string.h>

static const lm_option options[] = {
    {"pairs", LM_OPT_INT, "8", 1, 1000, NULL, "N", "walks, a row each"},
    {"frames", LM_OPT_INT, "10", 2, 1000, NULL, "N", "images of each, with both ends"},
    {"mode", LM_OPT_CHOICE, "slerp", 0, 0, "slerp|lerp", NULL,
     "along the arc, or the line"},
    {"between", LM_OPT_CHOICE, "noise", 0, 0, "noise|images", NULL,
     "draws of the prior, or encoded images of the data, which then frame their walk"},
    CLI_LATENT,
    {0}};

typedef struct job {
    cli_context *cli;
    cli_latent latent;
    int pairs, frames;
    bool encoded;
    float *ends, *states;     /* [2 pairs], [pairs][frames] states */
    int32_t *labels, *of_end; /* [pairs][frames], [2 pairs]; of a conditional model */
    uint8_t *pixels;          /* [pairs][frames], with the images at both ends */
} job;

static size_t image_size(const job *j) {
    const lm_image_info *info = &j->latent.opened.run.info;
    return (size_t)info->height * info->width * info->channels;
}

/* Frames of a row: an encoded walk has its two images around it. */
static int columns(const job *j) {
    return j->frames + (j->encoded ? 2 : 0);
}

static lm_status allocate(job *j) {
    size_t frames = (size_t)j->pairs * (size_t)j->frames, size = (size_t)j->latent.size;
    j->ends = lm_alloc(sizeof *j->ends * 2 * (size_t)j->pairs * size);
    j->states = lm_alloc(sizeof *j->states * frames * size);
    j->labels = lm_alloc(sizeof *j->labels * frames);
    j->of_end = lm_alloc(sizeof *j->of_end * 2 * (size_t)j->pairs);
    j->pixels = lm_calloc((size_t)j->pairs * (size_t)columns(j), image_size(j));
    bool whole = j->ends && j->states && j->labels && j->of_end && j->pixels;
    return whole ? LM_OK : LM_NOMEM;
}

static uint8_t *cell(const job *j, int row, int column) {
    return j->pixels +
           ((size_t)row * (size_t)columns(j) + (size_t)column) * image_size(j);
}

/* Encodes the images, and puts them at both ends of their rows. */
static lm_status encode_ends(job *j) {
    const lm_image_source *images = &j->latent.images.source;
    for (int i = 0; i < 2 * j->pairs; i++)
        LM_TRY(lm_source_read(images, i, 1, cell(j, i / 2, i % 2 ? columns(j) - 1 : 0),
                              &j->of_end[i]));
    return lm_encoder_run(j->latent.encoder, images, 0, 2 * (int64_t)j->pairs, j->ends);
}

/* Both ends of a walk between noises have the walk's class; encoded ones have their
 * own. */
static lm_status find_ends(job *j) {
    int classes = j->latent.opened.run.info.classes;
    bool conditional = j->latent.opened.model->conditional;
    if (j->encoded) return encode_ends(j);
    for (int i = 0; i < 2 * j->pairs; i++)
        j->of_end[i] = classes > 0 ? i / 2 % classes : -1;
    return lm_drawer_states(j->latent.drawer,
                            (uint64_t)lm_setting_int(&j->cli->options, "seed"), 0,
                            2 * j->pairs, conditional ? j->of_end : NULL, j->ends);
}

static void walk_all(job *j) {
    bool slerp = strcmp(lm_setting_text(&j->cli->options, "mode"), "slerp") == 0;
    int64_t size = j->latent.size;
    for (int p = 0; p < j->pairs; p++) {
        const float *a = j->ends + 2 * (int64_t)p * size;
        lm_walk(slerp ? LM_WALK_SLERP : LM_WALK_LERP, a, a + size, size, j->frames,
                j->states + (int64_t)p * j->frames * size);
        for (int f = 0; f < j->frames; f++)
            j->labels[p * j->frames + f] = j->of_end[2 * p + (2 * f >= j->frames)];
    }
}

static lm_status decode_all(job *j) {
    size_t row = (size_t)j->frames * image_size(j);
    uint8_t *decoded = lm_alloc((size_t)j->pairs * row);
    if (!decoded) return LM_NOMEM;
    lm_status status = cli_latent_decode(
        &j->latent, j->states, (int64_t)j->pairs * j->frames,
        j->latent.opened.model->conditional ? j->labels : NULL, decoded);
    for (int p = 0; p < j->pairs && status == LM_OK; p++)
        memcpy(cell(j, p, j->encoded ? 1 : 0), decoded + (size_t)p * row, row);
    lm_free(decoded);
    return status;
}

static lm_status write_sheet(const job *j, const char *path) {
    const lm_grid_spec grid = {.columns = columns(j), .gap = 2, .background = 64};
    return cli_latent_write(&j->latent, j->pixels, j->pairs * columns(j), &grid,
                            "interpolate", path);
}

static lm_status run_job(job *j) {
    LM_TRY(allocate(j));
    LM_TRY(find_ends(j));
    walk_all(j);
    LM_TRY(decode_all(j));
    char *path = cli_latent_path(j->cli, &j->latent, "out", "interpolate");
    lm_status status = path ? write_sheet(j, path) : LM_NOMEM;
    if (status == LM_OK && j->cli->json)
        cli_print_json(json_pack("{s:i, s:i, s:o}", "pairs", j->pairs, "frames",
                                 j->frames, "out", lm_json_text(path)));
    else if (status == LM_OK)
        printf("%d walks of %d images\n%s\n", j->pairs, j->frames, path);
    lm_free(path);
    return status;
}

static lm_status run(cli_context *cli) {
    const lm_settings *o = &cli->options;
    job j = {.cli = cli,
             .pairs = (int)lm_setting_int(o, "pairs"),
             .frames = (int)lm_setting_int(o, "frames"),
             .encoded = strcmp(lm_setting_text(o, "between"), "images") == 0};
    cli_watch_signals();
    int64_t ends = j.encoded ? 2 * (int64_t)j.pairs : 0;
    LM_TRY(cli_latent_open(cli, ends, ends, &j.latent));
    lm_status status = run_job(&j);
    lm_free(j.ends);
    lm_free(j.states);
    lm_free(j.labels);
    lm_free(j.of_end);
    lm_free(j.pixels);
    cli_latent_close(&j.latent);
    return status;
}

const cli_command interpolate_command = {
    .name = "interpolate",
    .arguments = "RUN",
    .help = "walks between samples, or between encoded images",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .takes_sets = true,
    .run = run};
