/* IDX files of images and of labels, plain or gzip. What parses is as large as its
 * dimensions say, and could be in the file. */
#include "fuzz/fuzz.h"

#include "data/idx.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    for (int rank = 1; rank <= 3; rank += 2) {
        lm_idx array = {0};
        if (lm_idx_parse(data, size, "input", rank, &array) != LM_OK) continue;
        int64_t count = 1;
        for (int i = 0; i < rank; i++) count *= array.dim[i];
        if (array.rank != rank || array.bytes != count) abort();
        if ((uint64_t)count > size * 1032) abort();
        lm_idx_release(&array);
    }
    return 0;
}
