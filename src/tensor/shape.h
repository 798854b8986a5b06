/* Element types and shapes. */
#ifndef LIMN_TENSOR_SHAPE_H
#define LIMN_TENSOR_SHAPE_H

#include "base/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LM_MAX_RANK 6

/* X(name, bytes, safetensors name, is float, may appear in a graph)
 * Graphs compute in F32 (F64 in the reference backend); U8 holds masks and pixels, I32
 * indices, U32 random bits. The others exist in files only. */
#define LM_DTYPE_MAP(X)                                                                  \
    X(F32, 4, "F32", 1, 1)                                                               \
    X(F64, 8, "F64", 1, 0)                                                               \
    X(BF16, 2, "BF16", 1, 0)                                                             \
    X(F16, 2, "F16", 1, 0)                                                               \
    X(I64, 8, "I64", 0, 0)                                                               \
    X(I32, 4, "I32", 0, 1)                                                               \
    X(U32, 4, "U32", 0, 1)                                                               \
    X(U8, 1, "U8", 0, 1)

typedef enum lm_dtype {
#define X(name, bytes, st, is_float, graph) LM_##name,
    LM_DTYPE_MAP(X)
#undef X
        LM_DTYPE_COUNT
} lm_dtype;

size_t lm_dtype_size(lm_dtype dtype);
const char *lm_dtype_name(lm_dtype dtype); /* "f32" */
bool lm_dtype_is_float(lm_dtype dtype);

/* Row-major and contiguous, always. Rank 0 is a scalar with one element. Unused
 * dimensions are 0. */
typedef struct lm_shape {
    int rank;
    int64_t dim[LM_MAX_RANK];
} lm_shape;

lm_shape lm_shape_make(int rank, const int64_t *dim);
/* LM_SHAPE(2, 3, 4): a shape from a list; LM_SCALAR is the empty one. */
#define LM_SHAPE(...)                                                                    \
    lm_shape_make((int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)),             \
                  (const int64_t[]){__VA_ARGS__})
#define LM_SCALAR ((lm_shape){0, {0}})

int64_t lm_shape_count(lm_shape shape); /* elements; INT64_MAX when too many */
/* False unless the dimensions are those of an array that memory can hold. */
bool lm_shape_bytes(lm_shape shape, lm_dtype dtype, size_t *bytes);
bool lm_shape_equal(lm_shape a, lm_shape b);

#define LM_SHAPE_TEXT 96
/* "[2,3,4]" into a buffer of LM_SHAPE_TEXT bytes; returns the buffer. */
const char *lm_shape_text(lm_shape shape, char *buffer);

#endif
