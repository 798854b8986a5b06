/* Fetching known sets: what transfer.h does once, done until the file is there and is
 * what it should be. */
#ifndef LIMN_DATA_FETCH_H
#define LIMN_DATA_FETCH_H

#include "data/known.h"

typedef enum lm_fetch_stage {
    LM_FETCH_TRANSFER,
    LM_FETCH_CHECK, /* of the digest */
    LM_FETCH_UNPACK
} lm_fetch_stage;

typedef struct lm_fetch_progress {
    const char *file;
    lm_fetch_stage stage;
    int64_t done, total; /* bytes; total 0: not known */
} lm_fetch_progress;

typedef struct lm_fetch {
    const char *base_url; /* files are at BASE/NAME; NULL: where the table says */
    int attempts;         /* in a row that bring nothing, of one URL */
    double pause;         /* seconds after the first of them; then twice as many */
    int stall_seconds;    /* without a byte, after which a transfer counts as broken */
    bool (*stop)(void *user);                                    /* NULL: never */
    void (*show)(void *user, const lm_fetch_progress *progress); /* NULL: nobody looks */
    void (*note)(void *user, const char *line); /* what was tried and found; or NULL */
    void *user;
} lm_fetch;

#define LM_FETCH_DEFAULT                                                                 \
    { .attempts = 5, .pause = 1, .stall_seconds = 30 }

/* Brings a file into `folder`, which is made: FILE.part grows until all is there, and is
 * renamed when size and digest are those of the table. A transfer that breaks goes on
 * where it broke; one that was stopped (LM_INTERRUPTED), by the next call. URLs are tried
 * in order. What has the wrong digest is removed: LM_FORMAT.
 *
 * A file that is there already is checked, and left as it is: LM_FORMAT where it is
 * another one. A file that is read unpacked is unpacked; the archive stays. LM_NOT_FOUND:
 * it is not there and has no URL. */
lm_status lm_fetch_file(const lm_fetch *fetch, const lm_known_file *file,
                        const char *folder);

/* All files of a set; LM_NOT_FOUND, with how to come by them, where they have no URL. */
lm_status lm_fetch_set(const lm_fetch *fetch, const lm_known_set *set,
                       const char *folder);

#endif
