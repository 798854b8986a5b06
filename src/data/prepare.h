/* Preparing a set: every image decoded and transformed once, into arrays that are mapped
 * from then on. manifest.h says what lies in the folder. */
#ifndef LIMN_DATA_PREPARE_H
#define LIMN_DATA_PREPARE_H

#include "data/data.h"

typedef enum lm_prepare_stage {
    LM_PREPARE_IMAGES, /* done of total images */
    LM_PREPARE_SOURCES /* done bytes of the files that the set was made from */
} lm_prepare_stage;

/* False ends the preparation with LM_INTERRUPTED; it can be continued. */
typedef bool (*lm_prepare_hook)(void *user, lm_prepare_stage stage, int64_t done,
                                int64_t total);

typedef struct lm_prepare_job {
    const char *spec;     /* by which the set was opened, for the record */
    const char *out;      /* the folder; made where there is none */
    bool skip_bad;        /* leave out what cannot be read; else that is a failure */
    int threads;          /* that decode, 1 to 1024; they change no byte */
    lm_prepare_hook hook; /* may be NULL */
    void *user;
} lm_prepare_job;

typedef struct lm_prepared {
    int64_t count, skipped;
    int64_t resumed; /* images that were there already */
    bool was_complete;
    int height, width, channels;
} lm_prepared;

/* The set's images must have one size. A second call with the same request continues what
 * the first, however it ended, has left, and the bytes are those of a single one. Takes
 * memory for a few images a thread. Writes nothing outside `out`. LM_ARG: `out` holds
 * something else; LM_FORMAT names an image that cannot be read. */
lm_status lm_prepare(const lm_dataset *set, const lm_prepare_job *job,
                     lm_prepared *result);

#endif
