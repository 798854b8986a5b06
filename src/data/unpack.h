/* Reading archives (tar, plain or compressed, zip) from front to end by libarchive. */
#ifndef LIMN_DATA_UNPACK_H
#define LIMN_DATA_UNPACK_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

/* Decides by the entry's path whether its bytes are wanted. */
typedef bool (*lm_archive_wants)(void *user, const char *path);
/* Is given the bytes of each wanted file, which it may keep (lm_free) by setting *bytes
 * to NULL. */
typedef lm_status (*lm_archive_take)(void *user, const char *path, void **bytes,
                                     size_t size);

/* Nothing is written anywhere, whatever paths the archive holds. A wanted file larger
 * than `limit` bytes, or a broken archive, is LM_FORMAT; a build without libarchive says
 * what to install (LM_UNSUPPORTED). */
lm_status lm_archive_read(const char *path, size_t limit, lm_archive_wants wants,
                          lm_archive_take take, void *user);

/* The bytes of a file that is compressed by itself (.gz, .bz2, .xz, .zst), or plain;
 * lm_free'd by the caller, with a NUL after their end. The same failures. */
lm_status lm_archive_expand(const char *path, size_t limit, void **bytes, size_t *size);

#endif
