/* What the beginnings of encoded pictures say, for a whole list of them in little time.
 */
#ifndef LIMN_DATA_IMAGE_PROBE_H
#define LIMN_DATA_IMAGE_PROBE_H

#include "data/entries.h"

/* `hash` is of the file's size and its first 4 KB. */
typedef struct lm_probed {
    int width, height, channels; /* as they are decoded */
    bool good;                   /* else there is no more than the hash */
    uint64_t hash;
} lm_probed;

/* The header must lie in the first 16 MB of the file; more is not read of what a zip may
 * promise. Messages name archive and file. */
lm_status lm_entry_probe(const lm_entries *entries, int64_t index, lm_probed *probed);

/* Probes `count` entries, with threads where there are many. What is not good is no
 * failure; LM_NOMEM is. */
lm_status lm_entries_probe(const lm_entries *entries, const int32_t *index, int64_t count,
                           lm_probed *probed);

#endif
