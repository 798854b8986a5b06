/* Samples from a run directory. */
#ifndef LIMN_TRAIN_SAMPLE_H
#define LIMN_TRAIN_SAMPLE_H

#include "train/draw.h"
#include "train/run.h"

typedef struct lm_sample_job {
    const char *run;                /* the run directory */
    const char *checkpoint;         /* NULL: the newest */
    const char *const *assignments; /* "engine.conv=onednn": how to compute, not what */
    int n_assignments;
    int count;
    uint64_t seed;
    lm_sample_request request;
    lm_draw_hook hook; /* may be NULL */
    void *user;
} lm_sample_job;

typedef struct lm_samples {
    lm_run run;
    int64_t step; /* of the weights */
    int count, nfe;
    uint8_t *pixels; /* count * h * w * c, owned */
    char *protocol;  /* owned */
    double seconds;  /* drawing only */
} lm_samples;

/* Draws with the averaged weights. On failure there is nothing to release. */
lm_status lm_samples_draw(const lm_sample_job *job, lm_samples *samples);
void lm_samples_release(lm_samples *samples);

/* A sheet FILE.png, an array FILE.npy (u8, NHWC), or a folder with a PNG an image. */
lm_status lm_samples_write(const lm_samples *samples, uint64_t seed, const char *path);

#endif
