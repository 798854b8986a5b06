/* For libFuzzer: what parses fits the input, and nothing leaks. */
#include "base/mem.h"
#include "tensor/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    lm_tensor tensor;
    if (lm_npy_parse(data, size, "input", &tensor) == LM_OK) {
        if (lm_tensor_bytes(&tensor) > size) __builtin_trap();
        lm_tensor_release(&tensor);
    }
    if (lm_mem_get_stats().blocks) __builtin_trap();
    return 0;
}
