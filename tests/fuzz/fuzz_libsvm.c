/* LIBSVM's text. A line is a row, and what is read is finite. */
#include "fuzz/fuzz.h"

#include "data/libsvm.h"

#include <math.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    enum { FEATURES = 16 };
    lm_libsvm rows;
    if (lm_libsvm_parse((const char *)data, size, "input", FEATURES, &rows) != LM_OK)
        return 0;
    if (rows.count < 1 || (uint64_t)rows.count > size) abort();
    for (int64_t i = 0; i < rows.count * FEATURES; i++)
        if (!isfinite(rows.values[i])) abort();
    lm_libsvm_release(&rows);
    return 0;
}
