/* npy files. What parses fits the input exactly, and its own header leads to the same. */
#include "fuzz/fuzz.h"

#include "tensor/npy.h"

#include <stdlib.h>

static void check_header(const lm_npy_view *view) {
    char header[LM_NPY_HEADER];
    lm_npy_view again = {0};
    size_t size = lm_npy_header(view->dtype, view->shape, 128, header);
    if (size % 64 || lm_npy_peek(header, size, "output", &again) != LM_OK) abort();
    if (again.dtype != view->dtype || !lm_shape_equal(again.shape, view->shape)) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    lm_npy_view view = {0};
    lm_tensor tensor;
    if (lm_npy_peek(data, size, "input", &view) == LM_OK) check_header(&view);
    if (lm_npy_parse(data, size, "input", &tensor) != LM_OK) return 0;
    if (lm_npy_look(data, size, "input", &view) != LM_OK) abort();
    size_t before = (size_t)((const uint8_t *)view.data - data);
    if (lm_tensor_bytes(&tensor) != size - before) abort();
    lm_tensor_release(&tensor);
    return 0;
}
