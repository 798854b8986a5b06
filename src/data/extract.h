/* Unpacking an archive onto the disk, for what cannot be read inside it. */
#ifndef LIMN_DATA_EXTRACT_H
#define LIMN_DATA_EXTRACT_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

/* Whether a file of this name, put under a folder, lies within it: relative, without
 * "..", and without what only means harm (backslashes, control characters). */
bool lm_archive_name_is_safe(const char *name);

/* Makes FOLDER/NAME of the folder NAME that the archive at `path` holds. The archive is
 * unpacked to FOLDER/.NAME.unpacking, and the result renamed when all of it is there; on
 * failure nothing is left.
 *
 * Nothing is ever written elsewhere: an unsafe name, a link or a device in the archive
 * is LM_FORMAT, and so are two files of one name, and more than `limit` bytes in all.
 * `watch` (NULL: none) is called with bytes read of the archive and its size, and ends it
 * by false (LM_INTERRUPTED). */
lm_status lm_archive_extract(const char *path, const char *folder, const char *name,
                             int64_t limit,
                             bool (*watch)(void *user, int64_t done, int64_t total),
                             void *user);

#endif
