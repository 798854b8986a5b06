#include "base/lock.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

struct lm_lock {
    int fd;
};

/* The number is for the message only, so a full disk is no failure. */
static void write_holder(int fd) {
    if (ftruncate(fd, 0) == 0) dprintf(fd, "%ld\n", (long)getpid());
}

static lm_status fail_held(int fd, const char *path) {
    char text[24] = "";
    ssize_t length = pread(fd, text, sizeof text - 1, 0);
    long holder = length > 0 ? strtol(text, NULL, 10) : 0;
    LM_RETURN_IF(holder > 0, LM_ARG, "%s: held by process %ld", path, holder);
    return lm_fail(LM_ARG, "%s: held by another process", path);
}

lm_status lm_lock_take(const char *path, lm_lock **lock) {
    *lock = NULL;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    LM_RETURN_IF(fd < 0, LM_IO, "%s: cannot open: %s", path, strerror(errno));
    bool taken = flock(fd, LOCK_EX | LOCK_NB) == 0;
    lm_status status = LM_OK;
    if (taken)
        write_holder(fd);
    else if (errno == EWOULDBLOCK)
        status = fail_held(fd, path);
    lm_lock *made = status == LM_OK ? lm_alloc(sizeof *made) : NULL;
    if (!made) {
        close(fd);
        return status == LM_OK ? LM_NOMEM : status;
    }
    made->fd = fd;
    *lock = made;
    return LM_OK;
}

void lm_lock_release(lm_lock *lock) {
    if (!lock) return;
    close(lock->fd);
    lm_free(lock);
}
