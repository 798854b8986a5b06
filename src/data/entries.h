/* The encoded files of a folder or an archive: a list sorted by name, with random access
 * from any thread. Folders, zips and plain tars are read in place; a compressed tar has
 * no places to go to, so the files wanted of it are kept in memory, up to a limit. */
#ifndef LIMN_DATA_ENTRIES_H
#define LIMN_DATA_ENTRIES_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct lm_entries lm_entries;

/* Decides by a file's name, which has the folders within PATH in front. */
typedef bool (*lm_entries_wants)(const char *name);

/* What lm_entries_open takes besides folders: zip, tar, and tar compressed by what
 * libarchive reads (.tar.gz, .tgz, .tar.bz2, .tar.xz, .tar.zst). By first bytes, the
 * compressed ones also by name. */
bool lm_is_archive(const char *path);

/* Lists the files that `wants` is true for. Names have '/' between folders and neither
 * "." nor ".." in them, whatever the archive says; of files with one name the last is
 * kept, as unpacking does. What begins with a dot and __MACOSX is passed over.
 *
 * A folder is walked with all that lies in it, 16 deep at most; links are followed, but
 * not into a folder that they lie in. The files of a compressed tar may take `memory`
 * bytes together, else LM_UNSUPPORTED, which says to unpack it. LM_FORMAT: broken. */
lm_status lm_entries_open(const char *path, lm_entries_wants wants, size_t memory,
                          lm_entries **entries);
void lm_entries_free(lm_entries *entries); /* NULL is fine */

const char *lm_entries_path(const lm_entries *entries); /* as it was given */
int64_t lm_entries_count(const lm_entries *entries);
const char *lm_entries_name(const lm_entries *entries, int64_t index);
uint64_t lm_entries_size(const lm_entries *entries, int64_t index);
/* The index of a name, or -1. */
int64_t lm_entries_find(const lm_entries *entries, const char *name);

/* A whole file, lm_free'd by the caller; a NUL stands after its end. Files over 1 GB are
 * refused. Failures name archive and file. */
lm_status lm_entries_read(const lm_entries *entries, int64_t index, void **bytes,
                          size_t *size);
/* Its first bytes; `size` must not exceed the file's. */
lm_status lm_entries_peek(const lm_entries *entries, int64_t index, void *to,
                          size_t size);

#endif
