/* npz archives. Every image of a set that opens can be read. */
#include "fuzz/fuzz.h"

#include "base/mem.h"
#include "data/data_internal.h"
#include "fuzz/memory_file.h"

static void read_some(const lm_dataset *set) {
    uint8_t *pixels = lm_alloc((size_t)set->height * set->width * set->channels);
    for (int64_t i = 0; pixels && i < set->count; i += 1 + set->count / 64) {
        int32_t label;
        if (set->get(set, i, pixels, &label) != LM_OK) abort();
        if (label < -1 || label >= set->classes) abort();
    }
    lm_free(pixels);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    memory_file file;
    char path[64];
    lm_dataset *set;
    memory_file_open(&file, data, size);
    memory_file_name(&file, ".npz", path);
    lm_data_place place = {.name = "input", .path = path, .split = LM_SPLIT_TEST};
    if (lm_arrays_format.open(&place, &set) == LM_OK) {
        read_some(set);
        lm_dataset_free(set);
    }
    memory_file_forget(path);
    memory_file_close(&file);
    return 0;
}
