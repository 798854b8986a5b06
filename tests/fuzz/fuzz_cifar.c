/* CIFAR's batches in both forms. Every pixel of every image lies within the file. */
#include "fuzz/fuzz.h"

#include "base/mem.h"
#include "data/cifar.h"

#include <stdlib.h>
#include <string.h>

static uint8_t sink;

static void read_all(const lm_cifar_batch *batch) {
    for (int64_t i = 0; i < batch->count; i++) {
        if (batch->labels[i] < 0 || batch->labels[i] > 99) abort();
        const uint8_t *from = batch->pixels + (size_t)i * batch->step;
        for (size_t p = 0; p < LM_CIFAR_PIXELS; p++) sink ^= from[p * batch->next];
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    for (int form = 0; form < 3; form++) {
        lm_cifar_batch batch = {.bytes = lm_alloc(size), .size = size};
        if (!batch.bytes) return 0;
        memcpy(batch.bytes, data, size);
        lm_status status = form < 2
                               ? lm_cifar_read_binary(&batch, "input", form + 1, 100)
                               : lm_cifar_read_python(&batch, "input", "labels", 100);
        if (status == LM_OK) read_all(&batch);
        lm_cifar_release(&batch);
    }
    return 0;
}
