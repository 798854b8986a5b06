/* A file that never touches a disk, for parsers that want a path. */
#ifndef LIMN_TESTS_FUZZ_MEMORY_FILE_H
#define LIMN_TESTS_FUZZ_MEMORY_FILE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct memory_file {
    int fd;
    char path[32];
} memory_file;

static inline void memory_file_open(memory_file *file, const uint8_t *data, size_t size) {
    file->fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (file->fd < 0 || write(file->fd, data, size) != (ssize_t)size) abort();
    snprintf(file->path, sizeof file->path, "/proc/self/fd/%d", file->fd);
}

/* The same file by a name that ends in `end`, for what goes by names; lasts until
 * memory_file_forget. */
static inline void memory_file_name(const memory_file *file, const char *end,
                                    char path[64]) {
    snprintf(path, 64, "/tmp/limn-fuzz-%d%s", (int)getpid(), end);
    if (symlink(file->path, path) != 0) abort();
}

static inline void memory_file_forget(const char *path) {
    unlink(path);
}

static inline void memory_file_close(memory_file *file) {
    close(file->fd);
}

#endif
