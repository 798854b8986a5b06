/* What the reader and the writer of safetensors share. */
#ifndef LIMN_TENSOR_SAFETENSORS_INTERNAL_H
#define LIMN_TENSOR_SAFETENSORS_INTERNAL_H

#include "tensor/shape.h"

enum { LM_ST_PREFIX = 8 }; /* bytes of the header's length */

/* The format's name of each dtype. */
static const char *const lm_safetensors_dtypes[] = {
#define X(name, bytes, st, is_float, graph) st,
    LM_DTYPE_MAP(X)
#undef X
};

#endif
