/* What the dataset readers share. */
#ifndef LIMN_DATA_DATA_INTERNAL_H
#define LIMN_DATA_DATA_INTERNAL_H

#include "base/hash.h"
#include "data/data.h"

/* An empty dataset with its name and source set; freed with lm_dataset_free. */
lm_status lm_dataset_new(const char *name, const char *source, lm_dataset **set);

/* Built-in digits; see digits.c. */
lm_status lm_digits_open(lm_split split, lm_dataset **set);

/* True when `path` is an IDX image file or a folder that holds the usual four files. */
bool lm_idx_recognise(const char *path);
/* A folder (then `split` chooses the files) or one image file. `name` goes into the
 * dataset; labels_required: fail when there is no label file. */
lm_status lm_idx_open(const char *name, const char *path, lm_split split,
                      bool labels_required, lm_dataset **set);

/* True when `path` is CIFAR's archive, or a folder that holds it or its binary files. */
bool lm_cifar_recognise(const char *path);
lm_status lm_cifar_open(const char *name, const char *path, lm_split split,
                        lm_dataset **set);

#endif
