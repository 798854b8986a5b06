/* A tensor in host memory. */
#ifndef LIMN_TENSOR_TENSOR_H
#define LIMN_TENSOR_TENSOR_H

#include "tensor/shape.h"

typedef struct lm_tensor {
    lm_dtype dtype;
    lm_shape shape;
    void *data; /* lm_alloc_aligned, owned; NULL when released */
} lm_tensor;

#define LM_TENSOR_INIT                                                                   \
    { LM_F32, {0, {0}}, NULL }

lm_status lm_tensor_init(lm_tensor *tensor, lm_dtype dtype, lm_shape shape); /* zeroed */
void lm_tensor_release(lm_tensor *tensor);
size_t lm_tensor_bytes(const lm_tensor *tensor);

/* Element conversion, any dtype to any dtype (round to nearest even into BF16 and F16,
 * truncation and saturation into integers). `from` may be unaligned. */
void lm_convert(void *to, lm_dtype to_dtype, const void *from, lm_dtype from_dtype,
                int64_t count);

#endif
