#include "train/nats.h"

#include "base/mem.h"
#include "metrics/resample.h"

lm_status lm_model_fits(const lm_model *model, const lm_image_source *source) {
    const lm_image_info *info = &model->info;
    LM_RETURN_IF(source->height != info->height || source->width != info->width ||
                     source->channels != info->channels,
                 LM_MISMATCH, "%s: images of %dx%dx%d, but the model is of %dx%dx%d",
                 source->name, source->height, source->width, source->channels,
                 info->height, info->width, info->channels);
    return LM_OK;
}

static lm_status measure_all(lm_nats_fn measure, void *user,
                             const lm_image_source *source, int64_t at_once,
                             const lm_metric_hook *hook, double *nats) {
    for (int64_t done = 0; done < source->count; done += at_once) {
        int64_t now = source->count - done < at_once ? source->count - done : at_once;
        LM_TRY(measure(user, source, done, now, nats + done));
        LM_TRY(lm_metric_progress(hook, "likelihood",
                                  (double)(done + now) / (double)source->count));
    }
    return LM_OK;
}

lm_status lm_nats_mean(lm_nats_fn measure, void *user, const lm_image_source *source,
                       int64_t at_once, double unit, const lm_metric_hook *hook,
                       double *mean, double *error) {
    double *nats = lm_alloc(sizeof *nats * (size_t)source->count);
    if (!nats) return LM_NOMEM;
    lm_status status = measure_all(measure, user, source, at_once, hook, nats);
    if (status == LM_OK) {
        lm_estimate estimate = lm_estimate_mean(nats, source->count);
        *mean = estimate.value / unit;
        *error = estimate.error / unit;
    }
    lm_free(nats);
    return status;
}
