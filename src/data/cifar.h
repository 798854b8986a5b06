/* What CIFAR's files hold, in each of the two forms in which they are distributed. */
#ifndef LIMN_DATA_CIFAR_H
#define LIMN_DATA_CIFAR_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

enum { LM_CIFAR_EDGE = 32, LM_CIFAR_PLANE = 32 * 32, LM_CIFAR_PIXELS = 3 * 32 * 32 };

extern const char *const lm_cifar10_names[10], *const lm_cifar100_names[100];

/* One file: image i has its red, green and blue plane at pixels + i * step, one after the
 * other, a value every `next` bytes. */
typedef struct lm_cifar_batch {
    uint8_t *bytes; /* owned: the file, in which the pixels lie */
    size_t size;
    int64_t count;
    const uint8_t *pixels;
    size_t step, next;
    int32_t *labels; /* [count], owned */
} lm_cifar_batch;

/* Records of `labels` bytes, the last of them the class, and the pixels. */
lm_status lm_cifar_read_binary(lm_cifar_batch *batch, const char *name, int labels,
                               int classes);
/* A pickle of the array "data" and the list `labels`. Both find what is in batch->bytes,
 * and leave it to lm_cifar_release on failure. */
lm_status lm_cifar_read_python(lm_cifar_batch *batch, const char *name,
                               const char *labels, int classes);
void lm_cifar_release(lm_cifar_batch *batch);

#endif
