/* NumPy's .npy files, versions 1 to 3, C order, little endian. */
#ifndef LIMN_TENSOR_NPY_H
#define LIMN_TENSOR_NPY_H

#include "tensor/tensor.h"

lm_status lm_npy_read(const char *path, lm_tensor *tensor);
lm_status lm_npy_parse(const void *data, size_t size, const char *name,
                       lm_tensor *tensor);
lm_status lm_npy_write(const char *path, lm_dtype dtype, lm_shape shape,
                       const void *data);

#endif
