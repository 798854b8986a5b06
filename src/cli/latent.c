#include "cli/latent.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>

enum { BATCH = 64, ENDLESS = 10000, INVERTED = 64 };

static lm_status open_drawer(const cli_context *cli, const lm_sample_request *request,
                             cli_latent *latent) {
    lm_drawer_spec spec = {
        .request = *request, .batch = BATCH, .raw = latent->opened.raw};
    spec.request.preview = !request->sampler;
    bool has_steps = latent->opened.model->family->sample_step != NULL;
    if (has_steps && !lm_setting(&cli->options, "eta")->is_set) spec.request.eta = 0;
    LM_TRY(lm_drawer_new(latent->opened.engine, latent->opened.model, &spec,
                         &latent->drawer));
    latent->size = lm_shape_count(lm_drawer_sampler(latent->drawer)->state);
    return lm_aggregate_attach(&latent->opened, latent->drawer, &latent->aggregate);
}

static bool is_wanted(void *user) {
    return !cli_interrupted();
}

/* What "all" means: an inversion takes hundreds of steps, so that few are a fair default.
 * 0: as many as there are. */
static int64_t count_all(const cli_latent *latent) {
    const lm_dataset *set = latent->set;
    if (!latent->opened.model->family->encode)
        return set->count > INVERTED ? INVERTED : set->count;
    return set->endless ? ENDLESS : 0;
}

static lm_status open_images(const cli_context *cli, int64_t count, int64_t least,
                             cli_latent *latent) {
    const char *spec = cli_text(cli, "data");
    lm_opened_run *opened = &latent->opened;
    const lm_encoder_spec how = {
        .raw = opened->raw,
        .invert = {.steps = (int)lm_setting_int(&cli->options, "invert-steps"),
                   .starts = (int)lm_setting_int(&cli->options, "starts"),
                   .shell = -1,
                   .seed = (uint64_t)lm_setting_int(&cli->options, "seed"),
                   .go_on = is_wanted}};
    LM_TRY(lm_encoder_new(opened->engine, opened->model, &how, &latent->encoder));
    LM_TRY(lm_dataset_open(spec ? spec : opened->run.data, LM_SPLIT_TEST, &latent->set));
    if (count == CLI_LATENT_ALL) count = count_all(latent);
    LM_TRY(lm_set_source_init(&latent->images, latent->set, count,
                              (uint64_t)lm_setting_int(&cli->options, "seed")));
    LM_TRY(lm_encoder_check(latent->encoder, &latent->images.source));
    LM_RETURN_IF(latent->images.source.count < least, LM_ARG,
                 "%s: %" PRId64 " images are needed; it has %" PRId64, latent->set->name,
                 least, latent->images.source.count);
    return LM_OK;
}

lm_status cli_latent_open(const cli_context *cli, int64_t images, int64_t least,
                          cli_latent *latent) {
    *latent = (cli_latent){0};
    const lm_run_source_spec how = cli_drawing(cli, cli->args[0], 1);
    LM_TRY(lm_run_open(&how.choice, &latent->opened));
    lm_status status = open_drawer(cli, &how.request, latent);
    if (status == LM_OK && images != 0) status = open_images(cli, images, least, latent);
    if (status != LM_OK) cli_latent_close(latent);
    return status;
}

void cli_latent_close(cli_latent *latent) {
    lm_dataset_free(latent->set);
    lm_encoder_free(latent->encoder);
    lm_drawer_free(latent->drawer);
    lm_aggregate_free(latent->aggregate);
    lm_run_close(&latent->opened);
    *latent = (cli_latent){0};
}

static bool go_on(void *user, int step, int steps) {
    return !cli_interrupted();
}

lm_status cli_latent_decode(cli_latent *latent, const float *states, int64_t count,
                            const int32_t *labels, uint8_t *pixels) {
    const lm_image_info *info = &latent->opened.run.info;
    int64_t values = count * info->height * info->width * info->channels;
    float *images = lm_alloc(sizeof *images * (size_t)values);
    if (!images) return LM_NOMEM;
    lm_status status = lm_drawer_draw_from(latent->drawer, states, 0, 0, (int)count,
                                           labels, images, go_on, NULL);
    if (status == LM_OK) lm_image_from_signed(images, pixels, values);
    lm_free(images);
    return status;
}

lm_status cli_latent_write(const cli_latent *latent, const uint8_t *pixels, int count,
                           const lm_grid_spec *grid, const char *verb, const char *path) {
    const lm_run *run = &latent->opened.run;
    const lm_image_info *info = &run->info;
    char text[256];
    lm_image sheet;
    snprintf(text, sizeof text, "limn %s: %s on %s, step %" PRId64, verb,
             run->family->name, run->data, latent->opened.state.step);
    LM_TRY(lm_image_grid(pixels, count, info->height, info->width, info->channels, grid,
                         &sheet));
    lm_status status = lm_png_write(path, &sheet, text);
    lm_image_release(&sheet);
    return status;
}

char *cli_latent_path(const cli_context *cli, const cli_latent *latent,
                      const char *option, const char *name) {
    const char *given = cli_text(cli, option);
    if (given) return lm_strdup(given);
    lm_str path = LM_STR_INIT;
    lm_str_printf(&path, "%s/samples/%s-step%" PRId64 ".png", latent->opened.run.folder,
                  name, latent->opened.state.step);
    if (path.failed) lm_str_release(&path);
    return path.text; /* the string's own block, handed over */
}
