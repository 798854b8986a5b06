/* LIBSVM's sparse text: a line is "LABEL INDEX:VALUE INDEX:VALUE ...", indices from 1 on
 * and ascending; what is left out is 0. */
#ifndef LIMN_DATA_LIBSVM_H
#define LIMN_DATA_LIBSVM_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

typedef struct lm_libsvm {
    int64_t count;
    float *values;   /* [count, features], owned */
    int32_t *labels; /* [count], owned */
} lm_libsvm;

/* At most 65,536 lines of integer labels and finite values. Messages name the line. */
lm_status lm_libsvm_parse(const char *text, size_t size, const char *name, int features,
                          lm_libsvm *rows);
void lm_libsvm_release(lm_libsvm *rows);

#endif
