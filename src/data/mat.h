/* Numeric arrays of MATLAB's MAT-files, level 5 (MathWorks, "MAT-File Format", chapter
 * 1): a header of 128 bytes, then elements, each a tag (type, bytes) with its bytes. A
 * variable is an element made of elements, as a rule compressed with zlib. */
#ifndef LIMN_DATA_MAT_H
#define LIMN_DATA_MAT_H

#include "base/status.h"

#include <stdint.h>
#include <stdio.h>

enum { LM_MAT_MOST_RANK = 8 };

typedef struct lm_mat_array {
    int rank; /* 2 to 8: MATLAB has no vectors, and leaves out last dimensions of 1 */
    int64_t dim[LM_MAT_MOST_RANK];
    int64_t count;   /* product of dim */
    uint8_t *values; /* owned; the first dimension runs fastest */
} lm_mat_array;

/* Reads one variable of a file that can be sought. Whatever type it has and is stored in,
 * its values must be whole numbers of 0 to 255. LM_NOT_FOUND: no variable of that name;
 * LM_FORMAT: no such file, a truncated or damaged one (compressed bytes have a checksum),
 * other values; LM_UNSUPPORTED: MATLAB 7.3's files, which are HDF5, and files of
 * big-endian machines. `path` is for messages. Takes memory for the values alone. */
lm_status lm_mat_read_u8(FILE *file, const char *path, const char *name,
                         lm_mat_array *array);
void lm_mat_release(lm_mat_array *array);

#endif
