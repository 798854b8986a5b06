/* Runs of a model of a few thousand parameters, a step of which takes milliseconds. */
#ifndef LIMN_TESTS_SMALL_H
#define LIMN_TESTS_SMALL_H

#include "scratch.h"

#include "base/file.h"
#include "base/mem.h"
#include "train/trainer.h"

/* Dropout is on, so that random numbers inside the network are part of what must be
 * reproduced. The last is room for one more. */
static const char *small_model[] = {"base=8",      "mult=1,2", "blocks=1", "attention=7",
                                    "batch=4",     "groups=4", "warmup=2", "lr=1e-3",
                                    "dropout=0.1", "eta=0"};
enum { N_SMALL = sizeof small_model / sizeof *small_model };

/* `more`: one setting in place of the last; NULL: none. */
static inline lm_train_request small_run(const char *name, int64_t steps,
                                         const char *more) {
    static char paths[8][256];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", scratch_folder, name);
    small_model[N_SMALL - 1] = more ? more : "eta=0";
    return (lm_train_request){.family = "ddpm",
                              .data = "builtin:digits",
                              .preset = "tiny",
                              .out = path,
                              .assignments = small_model,
                              .n_assignments = N_SMALL,
                              .limits = {.steps = steps},
                              .seed = 3,
                              .save_every = 1000,
                              .snapshot_every = 1000,
                              .log_every = 1,
                              .snapshot_count = 2,
                              .snapshot_steps = 2};
}

static inline bool same_bytes(const char *a, const char *b) {
    void *x, *y;
    size_t m, n;
    CHECK_OK(lm_file_read(a, 1 << 28, &x, &m));
    CHECK_OK(lm_file_read(b, 1 << 28, &y, &n));
    bool same = m == n && memcmp(x, y, m) == 0;
    lm_free(x);
    lm_free(y);
    return same;
}

#endif
