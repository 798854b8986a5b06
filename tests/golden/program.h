/* Golden values as inputs of a program, and its results against them. */
#ifndef LIMN_TESTS_GOLDEN_PROGRAM_H
#define LIMN_TESTS_GOLDEN_PROGRAM_H

#include "golden/golden.h"

#include "exec/exec.h"

static inline void golden_set(lm_program *program, const char *input,
                              const lm_st_entry *entry) {
    double *values = golden_values(entry);
    CHECK_OK(
        lm_program_set(program, input, LM_F64, values, lm_shape_count(entry->shape)));
    free(values);
}

static inline void golden_check_output(lm_program *program, const golden_backend *backend,
                                       const char *output, const lm_st_entry *entry) {
    int64_t count = lm_shape_count(entry->shape);
    double *values = malloc((size_t)count * sizeof *values);
    assert_non_null(values);
    CHECK_OK(lm_program_get(program, output, LM_F64, values, count));
    golden_check(backend->name, values, entry, backend->tolerance);
    free(values);
}

#endif
