/* limn traverse: what each unit of a state does to an image. */
#include "cli/latent.h"

#include "base/json.h"
#include "base/mem.h"
#include "image/image.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const lm_option options[] = {
    {"units", LM_OPT_INT, "10", 1, 1000, NULL, "N",
     "rows: the units whose codes differ most between images"},
    {"frames", LM_OPT_INT, "11", 2, 1000, NULL, "N", "images of each row"},
    {"range", LM_OPT_FLOAT, "3", 0.01, 100, NULL, "R",
     "a unit goes from -R to R, in standard deviations of the prior"},
    {"image", LM_OPT_INT, "", 0, 1e9, NULL, "I",
     "the other units are those of this image [0, the middle of the prior]"},
    CLI_LATENT,
    {0}};

/* Images whose codes tell which units are active, if there are so many. */
enum { PROBES = 500 };

typedef struct unit {
    int64_t index;
    double variance; /* of its codes over the images */
} unit;

typedef struct job {
    cli_context *cli;
    cli_latent latent;
    int frames, rows;
    int64_t active;
    unit *units;   /* [latent.size], the most varied first */
    float *base;   /* [latent.size] */
    int32_t label; /* -1: the model has none */
} job;

static int by_variance(const void *a, const void *b) {
    const unit *x = a, *y = b;
    if (x->variance != y->variance) return x->variance < y->variance ? 1 : -1;
    return x->index < y->index ? -1 : 1;
}

static void measure_units(job *j, const float *codes, int64_t count) {
    int64_t size = j->latent.size;
    for (int64_t u = 0; u < size; u++) {
        double sum = 0, squares = 0;
        for (int64_t i = 0; i < count; i++) {
            double x = codes[i * size + u];
            sum += x;
            squares += x * x;
        }
        double mean = sum / (double)count;
        j->units[u] = (unit){u, squares / (double)count - mean * mean};
        j->active += j->units[u].variance > LM_ACTIVE_VARIANCE;
    }
    qsort(j->units, (size_t)size, sizeof *j->units, by_variance);
}

/* Encodes probes for their variances, and takes the base from one of them. */
static lm_status find_units(job *j) {
    int64_t size = j->latent.size, count = j->latent.images.source.count;
    const lm_option_value *image = lm_setting(&j->cli->options, "image");
    float *codes = lm_alloc(sizeof *codes * (size_t)(count * size));
    j->units = lm_alloc(sizeof *j->units * (size_t)size);
    j->base = lm_calloc((size_t)size, sizeof *j->base);
    lm_status status = codes && j->units && j->base ? LM_OK : LM_NOMEM;
    if (status == LM_OK)
        status =
            lm_encoder_run(j->latent.encoder, &j->latent.images.source, 0, count, codes);
    if (status == LM_OK) measure_units(j, codes, count);
    if (status == LM_OK && image->is_set)
        memcpy(j->base, codes + image->integer * size, sizeof *codes * (size_t)size);
    lm_free(codes);
    j->rows = (int)fmin((double)lm_setting_int(&j->cli->options, "units"),
                        (double)(j->active ? j->active : 1));
    return status;
}

static lm_status find_label(job *j) {
    const lm_option_value *image = lm_setting(&j->cli->options, "image");
    const lm_image_info *info = &j->latent.opened.run.info;
    uint8_t *pixels = lm_alloc((size_t)info->height * info->width * info->channels);
    if (!pixels) return LM_NOMEM;
    lm_status status =
        lm_source_read(&j->latent.images.source, image->is_set ? image->integer : 0, 1,
                       pixels, &j->label);
    lm_free(pixels);
    return status;
}

static void fill_states(const job *j, float *states, int32_t *labels) {
    double range = lm_setting_float(&j->cli->options, "range");
    for (int r = 0; r < j->rows; r++)
        for (int f = 0; f < j->frames; f++, states += j->latent.size) {
            memcpy(states, j->base, sizeof *states * (size_t)j->latent.size);
            states[j->units[r].index] = (float)(range * (2.0 * f / (j->frames - 1) - 1));
            labels[r * j->frames + f] = j->label;
        }
}

static lm_status write_sheet(const job *j, const uint8_t *pixels, const char *path) {
    const lm_grid_spec grid = {.columns = j->frames, .gap = 2, .background = 64};
    return cli_latent_write(&j->latent, pixels, j->rows * j->frames, &grid, "traverse",
                            path);
}

static lm_status draw_sheet(job *j, const char *path) {
    const lm_image_info *info = &j->latent.opened.run.info;
    size_t cells = (size_t)j->rows * (size_t)j->frames;
    float *states = lm_alloc(sizeof *states * cells * (size_t)j->latent.size);
    int32_t *labels = lm_alloc(sizeof *labels * cells);
    uint8_t *pixels =
        lm_alloc(cells * (size_t)info->height * info->width * info->channels);
    lm_status status = states && labels && pixels ? LM_OK : LM_NOMEM;
    if (status == LM_OK) {
        fill_states(j, states, labels);
        cli_latent *latent = &j->latent;
        status =
            cli_latent_decode(latent, states, (int64_t)cells,
                              latent->opened.model->conditional ? labels : NULL, pixels);
    }
    if (status == LM_OK) status = write_sheet(j, pixels, path);
    lm_free(pixels);
    lm_free(labels);
    lm_free(states);
    return status;
}

static void print_result(const job *j, const char *path) {
    if (!j->cli->json) {
        printf("%lld of %lld units are active (variance of codes above %g)\n",
               (long long)j->active, (long long)j->latent.size, LM_ACTIVE_VARIANCE);
        for (int r = 0; r < j->rows; r++)
            printf("row %2d  unit %lld, variance %.3f\n", r + 1,
                   (long long)j->units[r].index, j->units[r].variance);
        printf("%s\n", path);
        return;
    }
    json_t *rows = json_array();
    for (int r = 0; r < j->rows; r++)
        json_array_append_new(rows, json_pack("{s:I, s:f}", "unit",
                                              (json_int_t)j->units[r].index, "variance",
                                              j->units[r].variance));
    cli_print_json(json_pack("{s:I, s:I, s:o, s:o}", "units", (json_int_t)j->latent.size,
                             "active", (json_int_t)j->active, "rows", rows, "out",
                             lm_json_text(path)));
}

static lm_status run_job(job *j) {
    LM_TRY(find_units(j));
    LM_TRY(find_label(j));
    char *path = cli_latent_path(j->cli, &j->latent, "out", "traverse");
    lm_status status = path ? draw_sheet(j, path) : LM_NOMEM;
    if (status == LM_OK) print_result(j, path);
    lm_free(path);
    return status;
}

static lm_status run(cli_context *cli) {
    job j = {.cli = cli, .frames = (int)lm_setting_int(&cli->options, "frames")};
    cli_watch_signals();
    const lm_option_value *image = lm_setting(&cli->options, "image");
    int64_t least = image->is_set ? image->integer + 1 : 1;
    LM_TRY(cli_latent_open(cli, least > PROBES ? least : PROBES, least, &j.latent));
    const lm_family *family = j.latent.opened.model->family;
    lm_status status = family->encode ? run_job(&j)
                                      : lm_fail(LM_UNSUPPORTED,
                                                "family %s has no encoder", family->name);
    lm_free(j.units);
    lm_free(j.base);
    cli_latent_close(&j.latent);
    return status;
}

const cli_command traverse_command = {
    .name = "traverse",
    .arguments = "RUN",
    .help = "a row of images for each active unit of a model's codes",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .takes_sets = true,
    .run = run};
