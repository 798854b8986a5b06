/* Raw pixels as features: what a metric says without any network. */
#include "base/mem.h"
#include "eval/extractor.h"

enum { BATCH = 256 };

static lm_status extract(lm_extractor *extractor, const uint8_t *pixels, int64_t count,
                         int height, int width, int channels, float *features,
                         float *logits) {
    LM_RETURN_IF((int64_t)height * width * channels != extractor->dim, LM_MISMATCH,
                 "pixels: images of %dx%d with %d channels have not %d values", height,
                 width, channels, extractor->dim);
    int64_t total = count * extractor->dim;
    for (int64_t i = 0; features && i < total; i++)
        features[i] = (float)pixels[i] * (1.0F / 255);
    return LM_OK;
}

static lm_status open_pixels(const char *argument, const lm_image_source *source,
                             lm_extractor *extractor) {
    LM_RETURN_IF(argument, LM_ARG, "pixels:%s: pixels take no argument", argument);
    lm_str input = LM_STR_INIT;
    lm_str_printf(&input, "%dx%dx%d, 0 to 1", source->height, source->width,
                  source->channels);
    extractor->id = lm_strdup("pixels");
    extractor->weights = lm_strdup("");
    extractor->input = input.failed ? NULL : input.text;
    if (!extractor->input) lm_str_release(&input);
    extractor->dim = source->height * source->width * source->channels;
    extractor->batch = BATCH;
    extractor->extract = extract;
    bool whole = extractor->id && extractor->weights && extractor->input;
    return whole ? LM_OK : LM_NOMEM;
}

const lm_extractor_kind lm_pixels_extractor = {"pixels", "the pixels themselves",
                                               open_pixels};
