#include "tensor/tensor.h"

#include "base/mem.h"

lm_status lm_tensor_init(lm_tensor *tensor, lm_dtype dtype, lm_shape shape) {
    *tensor = (lm_tensor)LM_TENSOR_INIT;
    char text[LM_SHAPE_TEXT];
    size_t bytes;
    LM_RETURN_IF(!lm_shape_bytes(shape, dtype, &bytes), LM_SHAPE,
                 "tensor %s: not a shape that memory can hold",
                 lm_shape_text(shape, text));
    void *data = lm_alloc_aligned(bytes);
    if (!data) return LM_NOMEM;
    *tensor = (lm_tensor){dtype, shape, data};
    return LM_OK;
}

void lm_tensor_release(lm_tensor *tensor) {
    lm_free_aligned(tensor->data);
    *tensor = (lm_tensor)LM_TENSOR_INIT;
}

size_t lm_tensor_bytes(const lm_tensor *tensor) {
    return (size_t)lm_shape_count(tensor->shape) * lm_dtype_size(tensor->dtype);
}
