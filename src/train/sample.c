/* From a run directory to images. */
#include "train/sample.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "image/image.h"
#include "tensor/npy.h"
#include "train/sheet.h"

#include <inttypes.h>
#include <stdio.h>

static lm_status draw(lm_samples *samples) {
    const lm_image_source *s = &samples->from.drawn.source;
    samples->pixels = lm_alloc((size_t)s->count * s->height * s->width * s->channels);
    samples->labels = lm_alloc(sizeof *samples->labels * (size_t)s->count);
    if (!samples->pixels || !samples->labels) return LM_NOMEM;
    double began = lm_now();
    lm_status status = lm_source_read(s, 0, s->count, samples->pixels, samples->labels);
    samples->seconds = lm_now() - began;
    return status;
}

lm_status lm_samples_draw(const lm_run_source_spec *spec, lm_samples *samples) {
    *samples = (lm_samples){0};
    lm_status status = lm_run_source_open(spec, &samples->from);
    if (status == LM_OK) status = draw(samples);
    if (status != LM_OK) lm_samples_release(samples);
    return status;
}

void lm_samples_release(lm_samples *samples) {
    lm_free(samples->pixels);
    lm_free(samples->labels);
    lm_run_source_close(&samples->from);
    *samples = (lm_samples){0};
}

/* ---- writing ----------------------------------------------------------------- */

static lm_status write_sheet(const lm_samples *samples, const char *path) {
    const lm_opened_run *opened = &samples->from.opened;
    const lm_drawn_source *drawn = &samples->from.drawn;
    char text[400];
    snprintf(text, sizeof text, "limn %s on %s, step %" PRId64 ", %s, %s, seed %" PRIu64,
             opened->run.family->name, opened->run.data, opened->state.step,
             opened->raw ? "raw weights" : "EMA weights", drawn->protocol,
             drawn->spec.seed);
    return lm_sheet_write(&drawn->source, samples->pixels, samples->labels,
                          drawn->source.count, path, text);
}

/* FOLDER/000013.png, or FOLDER/3/000013.png of class 3, its folder made. */
static lm_status name_image(const char *folder, int64_t index, int32_t label,
                            lm_str *path) {
    lm_str_clear(path);
    lm_str_append(path, folder);
    if (label >= 0) lm_str_printf(path, "/%d", label);
    if (path->failed) return LM_NOMEM;
    LM_TRY(lm_make_folders(path->text));
    lm_str_printf(path, "/%06" PRId64 ".png", index);
    return path->failed ? LM_NOMEM : LM_OK;
}

static lm_status write_folder(const lm_samples *samples, const char *folder) {
    const lm_image_source *s = &samples->from.drawn.source;
    size_t size = (size_t)s->height * s->width * s->channels;
    lm_str path = LM_STR_INIT;
    lm_status status = LM_OK;
    for (int64_t i = 0; i < s->count && status == LM_OK; i++) {
        lm_image image = {s->width, s->height, s->channels,
                          samples->pixels + (size_t)i * size};
        status = name_image(folder, i, samples->labels[i], &path);
        if (status == LM_OK) status = lm_png_write(path.text, &image, NULL);
    }
    lm_str_release(&path);
    return status;
}

lm_status lm_samples_write(const lm_samples *samples, const char *path) {
    const lm_image_source *s = &samples->from.drawn.source;
    if (lm_path_ends(path, ".png")) return write_sheet(samples, path);
    if (!lm_path_ends(path, ".npy")) return write_folder(samples, path);
    return lm_npy_write(path, LM_U8, LM_SHAPE(s->count, s->height, s->width, s->channels),
                        samples->pixels);
}
