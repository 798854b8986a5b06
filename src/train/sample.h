/* Samples from a run directory, drawn and written. */
#ifndef LIMN_TRAIN_SAMPLE_H
#define LIMN_TRAIN_SAMPLE_H

#include "train/run_source.h"

typedef struct lm_samples {
    lm_run_source from;
    uint8_t *pixels; /* all that `from` has: count * h * w * c, owned */
    int32_t *labels; /* [count], -1: none; owned */
    double seconds;  /* drawing only */
} lm_samples;

/* On failure there is nothing to release. Do not move the result. */
lm_status lm_samples_draw(const lm_run_source_spec *spec, lm_samples *samples);
void lm_samples_release(lm_samples *samples);

/* A sheet FILE.png, an array FILE.npy (u8, NHWC), or a folder with a PNG an image, of a
 * conditional model in a folder a class. */
lm_status lm_samples_write(const lm_samples *samples, const char *path);

#endif
