#include "tensor/shape.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

static const struct {
    size_t size;
    bool is_float;
} dtypes[] = {
#define X(name, bytes, st, is_float, graph) {bytes, is_float},
    LM_DTYPE_MAP(X)
#undef X
};

static const char *const names[] = {
    [LM_F32] = "f32", [LM_F64] = "f64", [LM_BF16] = "bf16", [LM_F16] = "f16",
    [LM_I64] = "i64", [LM_I32] = "i32", [LM_U32] = "u32",   [LM_U8] = "u8",
};
_Static_assert(sizeof names / sizeof *names == LM_DTYPE_COUNT, "a name for every dtype");

size_t lm_dtype_size(lm_dtype dtype) {
    assert((unsigned)dtype < LM_DTYPE_COUNT);
    return dtypes[dtype].size;
}

const char *lm_dtype_name(lm_dtype dtype) {
    return (unsigned)dtype < LM_DTYPE_COUNT ? names[dtype] : "unknown";
}

bool lm_dtype_is_float(lm_dtype dtype) {
    assert((unsigned)dtype < LM_DTYPE_COUNT);
    return dtypes[dtype].is_float;
}

lm_shape lm_shape_make(int rank, const int64_t *dim) {
    assert(rank >= 0 && rank <= LM_MAX_RANK);
    lm_shape shape = {rank, {0}};
    for (int i = 0; i < rank; i++) shape.dim[i] = dim[i];
    return shape;
}

int64_t lm_shape_count(lm_shape shape) {
    int64_t count = 1;
    for (int i = 0; i < shape.rank; i++)
        if (__builtin_mul_overflow(count, shape.dim[i], &count)) count = INT64_MAX;
    return count;
}

bool lm_shape_bytes(lm_shape shape, lm_dtype dtype, size_t *bytes) {
    if (shape.rank < 0 || shape.rank > LM_MAX_RANK) return false;
    for (int i = 0; i < shape.rank; i++)
        if (shape.dim[i] < 0) return false;
    return !__builtin_mul_overflow(lm_shape_count(shape), lm_dtype_size(dtype), bytes) &&
           *bytes < PTRDIFF_MAX;
}

bool lm_shape_equal(lm_shape a, lm_shape b) {
    if (a.rank != b.rank) return false;
    for (int i = 0; i < a.rank; i++)
        if (a.dim[i] != b.dim[i]) return false;
    return true;
}

const char *lm_shape_text(lm_shape shape, char *buffer) {
    int used = snprintf(buffer, LM_SHAPE_TEXT, "[");
    for (int i = 0; i < shape.rank && used < LM_SHAPE_TEXT; i++)
        used += snprintf(buffer + used, (size_t)(LM_SHAPE_TEXT - used), "%s%" PRId64,
                         i ? "," : "", shape.dim[i]);
    if (used < LM_SHAPE_TEXT)
        snprintf(buffer + used, (size_t)(LM_SHAPE_TEXT - used), "]");
    return buffer;
}
