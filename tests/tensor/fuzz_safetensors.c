/* For libFuzzer: whatever parses must also read and find consistently. */
#include "base/mem.h"
#include "tensor/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    lm_safetensors file;
    if (lm_safetensors_parse(&file, data, size, "input") == LM_OK) {
        for (int i = 0; i < file.n_entries; i++) {
            const lm_st_entry *entry = &file.entries[i];
            double *values =
                lm_calloc((size_t)lm_shape_count(entry->shape), sizeof *values);
            lm_status status =
                lm_safetensors_read(&file, entry->name, LM_F64, entry->shape, values);
            if (status != LM_OK) __builtin_trap();
            lm_free(values);
        }
        lm_safetensors_release(&file);
    }
    if (lm_mem_get_stats().blocks) __builtin_trap();
    return 0;
}
