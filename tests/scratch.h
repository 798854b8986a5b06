/* A temporary folder for a test's files, and a limit on file sizes that acts as a full
 * disk. */
#ifndef LIMN_TESTS_SCRATCH_H
#define LIMN_TESTS_SCRATCH_H

#include "testing.h"

#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static char scratch_folder[64];

static inline int scratch_remove_one(const char *path, const struct stat *info, int kind,
                                     struct FTW *at) {
    return remove(path);
}

/* Group set-up and tear-down. */
static inline int scratch_begin(void **state) {
    strcpy(scratch_folder, "/tmp/limn-test-XXXXXX");
    return mkdtemp(scratch_folder) ? 0 : -1;
}

static inline int scratch_end(void **state) {
    return nftw(scratch_folder, scratch_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Path of a file in the folder; four results are valid at a time. */
static inline const char *scratch(const char *name) {
    static char paths[4][256];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", scratch_folder, name);
    return path;
}

/* Until disk_has_room, a file can grow to this many bytes only (EFBIG beyond). */
static inline void disk_is_full_at(rlim_t bytes) {
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static inline void disk_has_room(void) {
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

#endif
