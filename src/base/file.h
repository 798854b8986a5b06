/* Files: whole reads, atomic writes, folders. */
#ifndef LIMN_BASE_FILE_H
#define LIMN_BASE_FILE_H

#include "base/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Reads a whole file; *data is lm_free'd by the caller and has one NUL after its end.
 * Fails with LM_FORMAT when larger than `limit` bytes. */
lm_status lm_file_read(const char *path, size_t limit, void **data, size_t *size);

/* Maps a regular file read-only; an empty one gives NULL and 0. Ends with lm_file_unmap,
 * for which NULL is fine. */
lm_status lm_file_map(const char *path, void **data, size_t *size);
void lm_file_unmap(void *data, size_t size);

bool lm_file_exists(const char *path);
int64_t lm_file_size(const char *path); /* bytes; -1: no such file */
bool lm_is_folder(const char *path);
/* Creates a folder and its parents. An existing folder is fine. */
lm_status lm_make_folders(const char *path);
/* Appends "name" to "folder" with one slash; lm_free'd by the caller; NULL: no memory. */
char *lm_path_join(const char *folder, const char *name);
/* What follows the last slash; within `path`. */
const char *lm_path_base(const char *path);
/* Whether the path is something that ends in `end`, as ".npy". */
bool lm_path_ends(const char *path, const char *end);
/* Whether FOLDER/NAME exists. */
bool lm_folder_has(const char *folder, const char *name);
/* The first path, by name, that matches FOLDER/PATTERN (fnmatch); lm_free'd by the
 * caller; NULL: none, or no memory. */
char *lm_folder_find(const char *folder, const char *pattern);

/* Sorted names (without "." and "..") in a folder, for which `accept` (if any) is true.
 * Freed with lm_names_free. */
lm_status lm_list_folder(const char *path, bool (*accept)(const char *name),
                         char ***names, size_t *count);
void lm_names_free(char **names, size_t count);

/* An atomic write: bytes go to PATH.tmp-PID; commit flushes, syncs file and folder, and
 * renames; cancel (or a failed commit) removes the temporary file and leaves what was at
 * PATH untouched. Write errors are sticky and come out of commit, with the path. */
typedef struct lm_writer {
    FILE *file;
    char *path, *temporary;
    int error; /* errno of the first failure */
} lm_writer;

lm_status lm_writer_open(lm_writer *writer, const char *path);
void lm_writer_put(lm_writer *writer, const void *data, size_t size);
lm_status lm_writer_commit(lm_writer *writer); /* ends the writer in every case */
void lm_writer_cancel(lm_writer *writer);      /* no-op when already ended */

/* Appends one line (newline added) to a file and flushes it. */
lm_status lm_file_append_line(const char *path, const char *line);

#endif
