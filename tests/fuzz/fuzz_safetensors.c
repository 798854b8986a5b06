/* safetensors. The bytes of every entry of a file that parses lie within it. */
#include "fuzz/fuzz.h"

#include "tensor/safetensors.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    lm_safetensors file;
    if (lm_safetensors_parse(&file, data, size, "input") != LM_OK) return 0;
    for (int i = 0; i < file.n_entries; i++) {
        const lm_st_entry *entry = &file.entries[i];
        const uint8_t *at = entry->data;
        size_t bytes = (size_t)lm_shape_count(entry->shape) * lm_dtype_size(entry->dtype);
        if (at < data || at > data + size || bytes > (size_t)(data + size - at)) abort();
        if (!lm_safetensors_find(&file, entry->name)) abort();
    }
    lm_safetensors_release(&file);
    return 0;
}
