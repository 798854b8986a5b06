/* limn map: the plane of two units of a code, as what it is decoded to and as where
 * images lie in it. */
#include "cli/latent.h"

#include "base/json.h"
#include "base/mem.h"
#include "image/scatter.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const lm_option options[] = {
    {"units", LM_OPT_INTS, "", 0, 65535, NULL, "I,J",
     "the plane's units [the two whose codes differ most between images]"},
    {"grid", LM_OPT_INT, "20", 2, 200, NULL, "N", "rows and columns of decoded images"},
    {"n", LM_OPT_INT, "", 1, 1e7, NULL, "N",
     "images to encode (also -n) [all; 10000 of an endless set; 64 without an "
     "encoder]"},
    {"class", LM_OPT_INT, "0", 0, 1e6, NULL, "K",
     "of the decoded images, where the model draws classes"},
    {"scatter", LM_OPT_TEXT, "", 0, 0, NULL, "FILE.png",
     "where the picture of codes goes [in the run]"},
    CLI_LATENT,
    {0}};

typedef struct job {
    cli_context *cli;
    cli_latent latent;
    int64_t count, units[2]; /* images; to the right and up */
    int grid;
    float *codes;    /* [count][size] */
    float *points;   /* [count][2] */
    int32_t *labels; /* [count] */
} job;

/* ---- codes ------------------------------------------------------------------- */

static lm_status read_labels(job *j) {
    const lm_image_source *images = &j->latent.images.source;
    uint8_t *pixels = lm_alloc((size_t)images->height * images->width * images->channels);
    lm_status status = pixels ? LM_OK : LM_NOMEM;
    for (int64_t i = 0; i < j->count && status == LM_OK; i++)
        status = lm_source_read(images, i, 1, pixels, &j->labels[i]);
    lm_free(pixels);
    return status;
}

static lm_status encode(job *j) {
    size_t count = (size_t)j->count;
    j->codes = lm_alloc(sizeof *j->codes * count * (size_t)j->latent.size);
    j->points = lm_alloc(sizeof *j->points * count * 2);
    j->labels = lm_alloc(sizeof *j->labels * count);
    if (!j->codes || !j->points || !j->labels) return LM_NOMEM;
    LM_TRY(read_labels(j));
    return lm_encoder_run(j->latent.encoder, &j->latent.images.source, 0, j->count,
                          j->codes);
}

static double variance_of(const job *j, int64_t unit) {
    double mean = 0, squares = 0;
    for (int64_t i = 0; i < j->count; i++) {
        double x = (double)j->codes[i * j->latent.size + unit], apart = x - mean;
        mean += apart / (double)(i + 1);
        squares += apart * (x - mean);
    }
    return squares / (double)j->count;
}

/* Two different units; without --units the most varied ones, in their order. */
static lm_status choose_units(job *j) {
    const lm_option_value *given = lm_setting(&j->cli->options, "units");
    int64_t size = j->latent.size, *to = j->units;
    LM_RETURN_IF(size < 2, LM_ARG, "%s: a code has %" PRId64 " numbers; a map needs two",
                 j->cli->args[0], size);
    if (given->is_set) {
        LM_RETURN_IF(given->n_ints != 2 || given->ints[0] == given->ints[1] ||
                         given->ints[0] >= size || given->ints[1] >= size,
                     LM_ARG, "--units: expected two of the units 0 to %" PRId64,
                     size - 1);
        to[0] = given->ints[0];
        to[1] = given->ints[1];
        return LM_OK;
    }
    double most[2] = {-1, -1};
    for (int64_t u = 0; u < size; u++) {
        double variance = variance_of(j, u);
        int at = variance > most[0] ? 0 : variance > most[1] ? 1 : 2;
        if (at == 0) most[1] = most[0], to[1] = to[0];
        if (at < 2) most[at] = variance, to[at] = u;
    }
    if (to[0] > to[1]) {
        int64_t first = to[1];
        to[1] = to[0];
        to[0] = first;
    }
    return LM_OK;
}

static lm_status draw_codes(const job *j, const char *path) {
    const lm_dataset *set = j->latent.set;
    char title[96], names[2][32];
    snprintf(title, sizeof title, "codes of %lld images", (long long)j->count);
    for (int i = 0; i < 2; i++)
        snprintf(names[i], sizeof names[i], "unit %lld", (long long)j->units[i]);
    for (int64_t i = 0; i < 2 * j->count; i++)
        j->points[i] = j->codes[i / 2 * j->latent.size + j->units[i % 2]];
    const lm_scatter scatter = {.points = j->points,
                                .count = j->count,
                                .labels = set->classes ? j->labels : NULL,
                                .classes = set->classes,
                                .names = set->class_names,
                                .title = title,
                                .x_name = names[0],
                                .y_name = names[1]};
    lm_image image;
    LM_TRY(lm_scatter_draw(&scatter, &image));
    lm_status status = lm_png_write(path, &image, "limn map");
    lm_image_release(&image);
    return status;
}

/* ---- the decoded plane ------------------------------------------------------- */

/* Where the normal distribution has this share below it, by bisection. */
static double normal_quantile(double share) {
    double low = -40, high = 40;
    for (int i = 0; i < 80; i++) {
        double middle = (low + high) / 2;
        if (erfc(-middle / M_SQRT2) / 2 < share)
            low = middle;
        else
            high = middle;
    }
    return (low + high) / 2;
}

/* Equal steps of the prior's probability, so that the picture shows as much of what is
 * likely as the prior has. All other units are in its middle. */
static void fill_states(const job *j, float *states) {
    for (int row = 0; row < j->grid; row++)
        for (int col = 0; col < j->grid; col++, states += j->latent.size) {
            states[j->units[0]] = (float)normal_quantile((col + 0.5) / j->grid);
            states[j->units[1]] = (float)normal_quantile(1 - (row + 0.5) / j->grid);
        }
}

static lm_status write_grid(const job *j, const uint8_t *pixels, const char *path) {
    const lm_grid_spec grid = {.columns = j->grid};
    return cli_latent_write(&j->latent, pixels, j->grid * j->grid, &grid, "map", path);
}

static lm_status draw_plane(job *j, const char *path) {
    const lm_image_info *info = &j->latent.opened.run.info;
    size_t cells = (size_t)j->grid * (size_t)j->grid;
    float *states = lm_calloc(cells * (size_t)j->latent.size, sizeof *states);
    int32_t *labels = lm_alloc(sizeof *labels * cells);
    uint8_t *pixels =
        lm_alloc(cells * (size_t)info->height * info->width * info->channels);
    lm_status status = states && labels && pixels ? LM_OK : LM_NOMEM;
    if (status == LM_OK) {
        fill_states(j, states);
        for (size_t i = 0; i < cells; i++)
            labels[i] = (int32_t)lm_setting_int(&j->cli->options, "class");
        bool conditional = j->latent.opened.model->conditional;
        status = cli_latent_decode(&j->latent, states, (int64_t)cells,
                                   conditional ? labels : NULL, pixels);
    }
    if (status == LM_OK) status = write_grid(j, pixels, path);
    lm_free(states);
    lm_free(labels);
    lm_free(pixels);
    return status;
}

/* ---- the command ------------------------------------------------------------- */

static lm_status run_job(job *j) {
    LM_TRY(encode(j));
    LM_TRY(choose_units(j));
    char *plane = cli_latent_path(j->cli, &j->latent, "out", "map");
    char *codes = cli_latent_path(j->cli, &j->latent, "scatter", "codes");
    lm_status status = plane && codes ? draw_plane(j, plane) : LM_NOMEM;
    if (status == LM_OK) status = draw_codes(j, codes);
    if (status == LM_OK && j->cli->json)
        cli_print_json(json_pack("{s:[I,I], s:I, s:o, s:o}", "units",
                                 (json_int_t)j->units[0], (json_int_t)j->units[1],
                                 "images", (json_int_t)j->count, "out",
                                 lm_json_text(plane), "scatter", lm_json_text(codes)));
    else if (status == LM_OK)
        printf("units %lld and %lld; %d x %d decoded images\n%s\ncodes of %lld images\n"
               "%s\n",
               (long long)j->units[0], (long long)j->units[1], j->grid, j->grid, plane,
               (long long)j->count, codes);
    lm_free(plane);
    lm_free(codes);
    return status;
}

static lm_status run(cli_context *cli) {
    const lm_option_value *n = lm_setting(&cli->options, "n");
    job j = {.cli = cli, .grid = (int)lm_setting_int(&cli->options, "grid")};
    cli_watch_signals();
    LM_TRY(cli_latent_open(cli, n->is_set ? n->integer : CLI_LATENT_ALL,
                           n->is_set ? n->integer : 0, &j.latent));
    j.count = j.latent.images.source.count;
    lm_status status = run_job(&j);
    lm_free(j.codes);
    lm_free(j.points);
    lm_free(j.labels);
    cli_latent_close(&j.latent);
    return status;
}

const cli_command map_command = {
    .name = "map",
    .arguments = "RUN",
    .help =
        "two units of a code: decoded images of the plane, and where images lie in it",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .takes_sets = true,
    .run = run};
