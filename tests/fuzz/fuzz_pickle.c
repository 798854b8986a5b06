/* Pickles. An array that is found lies within the input. */
#include "fuzz/fuzz.h"

#include "base/mem.h"
#include "data/pickle.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    lm_pickle *pickle;
    lm_pickle_array array;
    int32_t *labels;
    int64_t count;
    if (lm_pickle_parse(data, size, "input", &pickle) != LM_OK) return 0;
    if (lm_pickle_find_array(pickle, "data", &array) == LM_OK) {
        size_t bytes = (size_t)lm_shape_count(array.shape);
        if (bytes && (array.data < data || bytes > (size_t)(data + size - array.data)))
            abort();
    }
    if (lm_pickle_integers(pickle, "labels", &labels, &count) == LM_OK) {
        if (count < 0 || (uint64_t)count > size) abort();
        lm_free(labels);
    }
    lm_pickle_free(pickle);
    return 0;
}
