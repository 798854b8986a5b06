/* Many images of a set: threads read them ahead, one takes them in order. */
#ifndef LIMN_DATA_SCAN_H
#define LIMN_DATA_SCAN_H

#include "data/data.h"

typedef struct lm_scanned {
    int64_t index;
    lm_status status;    /* of reading it; if not LM_OK there is no image */
    const char *message; /* why, then */
    lm_image image;
    int32_t label;
} lm_scanned;

/* Is given one image after the other, in order, on the caller's thread; it may keep
 * `image` by setting its pixels to NULL. What is not LM_OK ends the scan. */
typedef lm_status (*lm_scan_take)(void *user, lm_scanned *found);

/* The images first to end - 1, in the sizes they have. A few for each thread (1 MB, but
 * at least three) are held at a time, however many there are; `threads` is 1 to 1024. An
 * image that cannot be read is handed over like the others, with its message, except when
 * memory is out. */
lm_status lm_scan(const lm_dataset *set, int64_t first, int64_t end, int threads,
                  lm_scan_take take, void *user);

#endif
