/* MAT-files. What can be read is as large as its dimensions say, and could be in the
 * file. */
#include "fuzz/fuzz.h"

#include "data/mat.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const names[] = {"y", "X"};
    FILE *file = size ? fmemopen((void *)data, size, "rb") : NULL;
    if (!file) return 0;
    for (int i = 0; i < 2; i++) {
        lm_mat_array array;
        if (lm_mat_read_u8(file, "input", names[i], &array) != LM_OK) {
            if (array.values) abort();
            continue;
        }
        int64_t count = 1;
        for (int d = 0; d < array.rank; d++) count *= array.dim[d];
        if (count != array.count || (uint64_t)count > size * 1032) abort();
        lm_mat_release(&array);
    }
    fclose(file);
    return 0;
}
