/* What those share who read archives by libarchive. */
#ifndef LIMN_DATA_UNPACK_INTERNAL_H
#define LIMN_DATA_UNPACK_INTERNAL_H

#include "base/status.h"

#ifdef LM_HAVE_ARCHIVE

#include <archive.h>
#include <archive_entry.h>
#include <stdbool.h>

/* A tar or zip, or `raw`: whatever a compressed file holds, as one entry. Ends with
 * archive_read_free. */
lm_status lm_archive_open(const char *path, bool raw, struct archive **archive);
/* LM_FORMAT, with libarchive's reason. */
lm_status lm_archive_fail(const char *path, struct archive *archive);

#else

/* LM_UNSUPPORTED: what to install. */
lm_status lm_archive_absent(const char *path);

#endif

#endif
