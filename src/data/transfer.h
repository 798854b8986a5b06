/* One attempt to bring what a URL has into a file, by libcurl. */
#ifndef LIMN_DATA_TRANSFER_H
#define LIMN_DATA_TRANSFER_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

/* False in a build without libcurl. */
extern const bool lm_transfer_possible;

typedef enum lm_transfer_end {
    LM_TRANSFER_WHOLE,  /* all that the server has is in the file */
    LM_TRANSFER_BROKEN, /* it ended early, or never began: worth another attempt */
    LM_TRANSFER_STALE,  /* what was in the file is not the beginning of what there is */
    LM_TRANSFER_REFUSED /* another attempt would end the same way */
} lm_transfer_end;

typedef struct lm_transfer {
    const char *url;   /* http or https; redirects of https stay within https */
    int file;          /* opened for writing; goes on after the bytes that it has */
    const char *path;  /* its name, for messages */
    int64_t bytes;     /* that the whole must have; 0: not known */
    int stall_seconds; /* without a byte, after which it counts as broken */
    /* Is called about every second, with bytes in the file and in all (0: not known);
     * false ends the transfer. */
    bool (*watch)(void *user, int64_t done, int64_t total);
    void *user;
} lm_transfer;

/* LM_OK says how it ended; unless that is LM_TRANSFER_WHOLE, lm_message() says why.
 * What came stays in the file in every case. LM_INTERRUPTED: `watch` said so; LM_IO: the
 * file could not be written; LM_UNSUPPORTED: no libcurl. */
lm_status lm_transfer_run(const lm_transfer *transfer, lm_transfer_end *end);

#endif
