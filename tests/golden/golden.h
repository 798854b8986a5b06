/* Reading golden files, and comparing with them. */
#ifndef LIMN_TESTS_GOLDEN_H
#define LIMN_TESTS_GOLDEN_H

#include "testing.h"

#include "tensor/safetensors.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct golden_backend {
    const char *name;
    double tolerance; /* relative to the largest value of a tensor */
} golden_backend;

/* f64 against f64, and f32 against f64. */
static const golden_backend golden_backends[] = {{"ref", 1e-9}, {"cpu", 1e-4}};
enum { GOLDEN_BACKENDS = sizeof golden_backends / sizeof *golden_backends };

static inline void golden_open(lm_safetensors *file, const char *name) {
    char path[1024];
    const char *root = getenv("LIMN_TEST_SOURCE");
    snprintf(path, sizeof path, "%s/tests/golden/%s", root ? root : ".", name);
    CHECK_OK(lm_safetensors_open(file, path));
}

/* The values of an entry as doubles, to be freed with free(). */
static inline double *golden_values(const lm_st_entry *entry) {
    int64_t count = lm_shape_count(entry->shape);
    double *values = malloc((size_t)(count ? count : 1) * sizeof *values);
    assert_non_null(values);
    lm_convert(values, LM_F64, entry->data, entry->dtype, count);
    return values;
}

static inline const lm_st_entry *golden_find(const lm_safetensors *file,
                                             const char *prefix, const char *name) {
    char full[256];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    const lm_st_entry *entry = lm_safetensors_find(file, full);
    if (!entry) fail_msg("no golden value %s", full);
    return entry;
}

/* Values that should be zero are held against `least` instead of their own size. */
static inline void golden_check(const char *what, const double *got,
                                const lm_st_entry *entry, double tolerance) {
    const double least = 1e-2;
    double *want = golden_values(entry), size = least, worst = 0;
    int64_t count = lm_shape_count(entry->shape), at = 0;
    for (int64_t i = 0; i < count; i++) size = fmax(size, fabs(want[i]));
    for (int64_t i = 0; i < count; i++) {
        double error = fabs(got[i] - want[i]);
        if (error > worst || isnan(error)) worst = error, at = i;
        if (isnan(error)) break;
    }
    if (!(worst <= tolerance * size))
        fail_msg("%s: %s[%lld] is %.12g, PyTorch has %.12g", what, entry->name,
                 (long long)at, got[at], want[at]);
    free(want);
}

#endif
