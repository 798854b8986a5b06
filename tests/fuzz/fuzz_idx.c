/* IDX files, plain or gzip. Every image of a set that opens can be read. */
#include "fuzz/fuzz.h"

#include "base/mem.h"
#include "data/data_internal.h"
#include "fuzz/memory_file.h"

static void read_all(const lm_dataset *set) {
    size_t size = (size_t)set->height * set->width * set->channels;
    uint8_t *pixels = lm_alloc(size);
    if (!pixels) return;
    for (int64_t i = 0; i < set->count; i++) {
        int32_t label;
        if (set->get(set, i, pixels, &label) != LM_OK) abort();
    }
    lm_free(pixels);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    memory_file file;
    memory_file_open(&file, data, size);
    lm_data_place place = {.name = "input", .path = file.path};
    lm_dataset *set;
    if (lm_idx_format.open(&place, &set) == LM_OK) {
        read_all(set);
        lm_dataset_free(set);
    }
    memory_file_close(&file);
    return 0;
}
