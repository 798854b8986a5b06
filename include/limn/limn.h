/* limn: deep generative models on images, from C.
 *
 * Everything here is stable within a major version. Functions that can fail return a
 * limn_status; limn_message() then holds one line for the user. Calls may come from any
 * one thread at a time. Structs begin as LIMN_..._DEFAULT and may grow at their end. */
#ifndef LIMN_LIMN_H
#define LIMN_LIMN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LIMN_VERSION_MAJOR 0
#define LIMN_VERSION_MINOR 1
#define LIMN_VERSION_PATCH 0

#if defined(__GNUC__)
#define LIMN_API __attribute__((visibility("default")))
#else
#define LIMN_API
#endif

/* "0.1.0", of the library that is linked. */
LIMN_API const char *limn_version(void);

/* ---- errors ------------------------------------------------------------------ */

typedef enum limn_status {
    LIMN_OK = 0,
    LIMN_NOMEM,       /* out of memory */
    LIMN_USAGE,       /* a setting or argument is wrong */
    LIMN_IO,          /* reading or writing failed */
    LIMN_FORMAT,      /* a malformed file */
    LIMN_NOT_FOUND,   /* no such run, data set, family, preset */
    LIMN_MISMATCH,    /* a checkpoint or setting of another model */
    LIMN_NUMERIC,     /* the loss is not finite */
    LIMN_INTERRUPTED, /* a hook asked to stop; everything is saved */
    LIMN_FAILED       /* anything else */
} limn_status;

/* What went wrong in this thread's latest failed call, one line; never NULL. Valid until
 * the next failure. */
LIMN_API const char *limn_message(void);

/* ---- environment ------------------------------------------------------------- */

/* Replaces the allocator for everything that limn allocates itself: ptr NULL allocates,
 * new_size 0 frees, else resizes; must be thread safe. Call before anything else. */
typedef void *(*limn_resize_fn)(void *user, void *ptr, size_t old_size, size_t new_size);
LIMN_API void limn_set_allocator(limn_resize_fn resize, void *user);

/* Number of threads, once, before the first training or sampling; 0: one a core. */
LIMN_API void limn_set_threads(int count);

/* ---- training ---------------------------------------------------------------- */

typedef struct limn_progress {
    int64_t step, images;
    double loss, images_per_second, seconds, share; /* share: 0 .. 1 of the run */
} limn_progress;

/* As the options of `limn train`; NULL and 0 mean "not given". */
typedef struct limn_train_settings {
    const char *family;             /* "ddpm" */
    const char *data;               /* a SPEC: "builtin:digits", "mnist", a path */
    const char *preset, *out;       /* out: the run directory */
    const char *const *assignments; /* "key=value" */
    int n_assignments;
    int64_t steps;
    double minutes;
    uint64_t seed;
    int resume;              /* continue the run in `out` */
    int (*stop)(void *user); /* after each step; nonzero: save and end */
    void (*progress)(void *user, const limn_progress *progress);
    void *user;
} limn_train_settings;

#define LIMN_TRAIN_SETTINGS_DEFAULT                                                      \
    { 0 }

/* Trains until a limit is reached. Results are the files in the run directory. */
LIMN_API limn_status limn_train(const limn_train_settings *settings);

/* ---- sampling ---------------------------------------------------------------- */

typedef struct limn_sample_settings {
    const char *run;        /* run directory */
    const char *checkpoint; /* NULL: the newest */
    const char *sampler;    /* NULL: the model's */
    int steps;              /* 0: the model's; what draws in one pass takes none */
    double eta;             /* DDIM's noise; negative: the model's, or none */
    int count;
    uint64_t seed;
} limn_sample_settings;

#define LIMN_SAMPLE_SETTINGS_DEFAULT                                                     \
    { .eta = -1, .count = 64 }

/* count images of height x width x channels bytes each, one after the other. */
typedef struct limn_images {
    int count, height, width, channels;
    uint8_t *pixels; /* owned; free with limn_images_free */
} limn_images;

LIMN_API limn_status limn_sample(const limn_sample_settings *settings,
                                 limn_images *images);
LIMN_API void limn_images_free(limn_images *images);

#ifdef __cplusplus
}
#endif
#endif
