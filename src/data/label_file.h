/* Files that say which label an image has. */
#ifndef LIMN_DATA_LABEL_FILE_H
#define LIMN_DATA_LABEL_FILE_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

/* labels.csv, labels.json, and dataset.json, by the last part of the path. */
bool lm_is_label_file(const char *name);

/* Is given each image and its label as a text; `line` is 0 where there are no lines. */
typedef lm_status (*lm_label_take)(void *user, int line, const char *image,
                                   const char *label);

/* Reads the bytes of a file of that name, of which a NUL stands behind the last, and
 * changes them on the way.
 *   labels.csv    rows of image and label; a first row whose first field does not end in
 *                 a picture's extension is a header
 *   *.json        {"IMAGE": LABEL, ...} or {"labels": [["IMAGE", LABEL], ...]}, where
 *                 "labels": null says that there are none
 * Labels of JSON are whole numbers or strings. LM_FORMAT says what is wrong, and where;
 * the caller puts the file's name in front. */
lm_status lm_label_file_parse(const char *name, char *bytes, size_t size,
                              lm_label_take take, void *user);

/* Whether a name ends in an extension of the pictures that limn reads. */
bool lm_is_picture_name(const char *name);

#endif
