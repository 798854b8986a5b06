/* Sets whose images lie in one block of memory, with their bytes in any order: read as a
 * whole, or mapped. */
#ifndef LIMN_DATA_PACKED_H
#define LIMN_DATA_PACKED_H

#include "data/data_internal.h"
#include "tensor/shape.h"

enum { LM_MAX_LABEL = 65535 };

/* Zero it, fill in what is there, hand it to lm_packed_open. */
typedef struct lm_packed {
    const uint8_t *pixels; /* of image 0, within one of the blocks below */
    int64_t count;
    int height, width, channels;
    size_t step;                /* bytes from image to image, */
    size_t down, right, colour; /* to the pixel below, to the next, to the next channel */

    int32_t *labels; /* [count], owned; NULL: none; see lm_packed_set_labels */
    int classes;
    const char *const *class_names; /* of static life, or NULL */

    const char *files[2]; /* borrowed: noted in the set as what it was read from */

    void *block;  /* owned, lm_free; or NULL */
    void *mapped; /* owned, lm_file_unmap; or NULL */
    size_t mapped_size;
} lm_packed;

/* The usual orders of bytes, from height, width and channels: rows of interleaved pixels,
 * and planes of rows. */
void lm_packed_interleaved(lm_packed *packed);
void lm_packed_planes(lm_packed *packed);

/* Takes `count` labels (u8, i32, u32 or i64) from a file, numbered from `first` on. With
 * packed->classes set they must be of that many classes; else it becomes as many as the
 * largest label needs, and -1 says that an image has none. */
lm_status lm_packed_set_labels(lm_packed *packed, const char *path, lm_dtype dtype,
                               const void *labels, int64_t count, int first);

/* Of pixels and labels; of more than 64 MiB of pixels, of blocks spread over them, since
 * what is mapped shall not be read as a whole when it is opened. */
uint64_t lm_packed_hash(const lm_packed *packed);

/* The set; `packed` is taken over, also on failure, and left empty. */
lm_status lm_packed_open(const lm_data_place *place, const char *source, uint64_t hash,
                         lm_packed *packed, lm_dataset **set);
void lm_packed_release(lm_packed *packed);

#endif
