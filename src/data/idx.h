/* IDX files (LeCun's MNIST format), plain or gzip: a big-endian header 00 00 type rank,
 * the dimensions as u32, then the elements. Only unsigned bytes occur in image sets. */
#ifndef LIMN_DATA_IDX_H
#define LIMN_DATA_IDX_H

#include "data/packed.h"

typedef struct lm_idx {
    int rank;
    int64_t dim[3];
    uint8_t *data; /* owned */
    int64_t bytes;
} lm_idx;

/* Rank 3: images, 1: labels. LM_FORMAT for anything but exactly that. */
lm_status lm_idx_parse(const void *bytes, size_t size, const char *name, int rank,
                       lm_idx *array);
lm_status lm_idx_read(const char *path, int rank, lm_idx *array);
void lm_idx_release(lm_idx *array);
/* Whether a file begins as one of images does. */
bool lm_idx_begins(const char *path);

/* Makes rows of grey pixels of *images, which is emptied, and labels counted from `first`
 * of *labels (no data: none), which stays. packed->classes as for lm_packed_set_labels.
 */
lm_status lm_idx_pack(lm_idx *images, const lm_idx *labels, const char *label_name,
                      int first, lm_packed *packed);
/* Of what the files hold. */
uint64_t lm_idx_hash(const lm_idx *images, const lm_idx *labels);

#endif
