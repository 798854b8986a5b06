/* NumPy's .npy files, versions 1 to 3, C order, little endian. */
#ifndef LIMN_TENSOR_NPY_H
#define LIMN_TENSOR_NPY_H

#include "tensor/tensor.h"

lm_status lm_npy_read(const char *path, lm_tensor *tensor);
lm_status lm_npy_parse(const void *data, size_t size, const char *name,
                       lm_tensor *tensor);
lm_status lm_npy_write(const char *path, lm_dtype dtype, lm_shape shape,
                       const void *data);

/* An array within the bytes of an npy file; `data` points into them. It is aligned to 64
 * bytes when they are, in files that NumPy or limn wrote, else perhaps not at all. */
typedef struct lm_npy_view {
    lm_dtype dtype;
    lm_shape shape;
    const void *data;
} lm_npy_view;

/* Fails unless the header is followed by exactly the data that it promises. */
lm_status lm_npy_look(const void *bytes, size_t size, const char *name,
                      lm_npy_view *view);
/* Reads the header alone: how much data follows is not looked at. */
lm_status lm_npy_peek(const void *bytes, size_t size, const char *name,
                      lm_npy_view *view);

enum { LM_NPY_HEADER = 320 };
/* Fills in all that comes before the data, a multiple of 64 bytes and `least` (up to 256)
 * or more, and returns how many; 0: npy has no such dtype. Dimensions are at least 0. */
size_t lm_npy_header(lm_dtype dtype, lm_shape shape, size_t least,
                     char header[LM_NPY_HEADER]);

#endif
