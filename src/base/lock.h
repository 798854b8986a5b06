/* A lock that ends with its holder: the kernel keeps it on an open file, so a process
 * that is killed leaves nothing behind that blocks. */
#ifndef LIMN_BASE_LOCK_H
#define LIMN_BASE_LOCK_H

#include "base/status.h"

typedef struct lm_lock lm_lock;

/* Makes the file where there is none, and does not wait: LM_ARG, and the message names
 * the holder, when another process, or this one, has it. The file stays, with the last
 * holder's process number in it. On a file system without locks it guards nothing. */
lm_status lm_lock_take(const char *path, lm_lock **lock);
void lm_lock_release(lm_lock *lock); /* NULL is fine */

#endif
