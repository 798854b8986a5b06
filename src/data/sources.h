/* Which files a set was made from. */
#ifndef LIMN_DATA_SOURCES_H
#define LIMN_DATA_SOURCES_H

#include "base/json.h"
#include "data/data.h"

#include <stdbool.h>
#include <stdint.h>

/* Is told how many files and bytes were read; false ends it with LM_INTERRUPTED. */
typedef bool (*lm_sources_hook)(void *user, int64_t files, int64_t bytes);

enum { LM_SOURCES_LISTED = 64 };

/* Writes `to`, a line "SHA-256  PATH" for each file that the set was read from; of a
 * folder, all in it and those below, by name, without hidden ones and without the folder
 * `except`. *json becomes {path, files, bytes, sha256, list}: the digest is of what was
 * written, and the list has [{file, bytes, sha256}] of the first LM_SOURCES_LISTED. Sets
 * that are drawn have no files. `hook` may be NULL. */
lm_status lm_sources_write(const lm_dataset *set, const char *except, const char *to,
                           lm_sources_hook hook, void *user, json_t **json);

#endif
