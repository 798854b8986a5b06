/* The label files of MNIST-M. */
#ifndef LIMN_DATA_MNIST_M_H
#define LIMN_DATA_MNIST_M_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

/* Is given a line's file name, which is terminated, and label (0 to 9). */
typedef lm_status (*lm_mnist_m_take)(void *user, const char *name, int label);

/* Reads lines "00000000.png 5" one by one, of a text with a NUL behind its end; changes
 * it on the way. LM_FORMAT: another line, an empty text. `path` is for messages. */
lm_status lm_mnist_m_parse(char *text, size_t size, const char *path,
                           lm_mnist_m_take take, void *user);

#endif
