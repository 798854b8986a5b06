/* What the benchmark commands share. */
#ifndef LIMN_CLI_BENCH_H
#define LIMN_CLI_BENCH_H

#include "cli/cli.h"

#include "exec/exec.h"
#include "families/family.h"

/* A model as `limn train` would build it, with weights but without data. */
typedef struct bench_subject {
    const lm_family *family;
    const char *preset;
    lm_settings trainer;
    lm_model *model;
    lm_engine *engine;
    int batch;
} bench_subject;

/* From the family in the first argument, --preset, --batch and every --set. The engine
 * has no variables yet. The caller closes the subject, also after a failure. */
lm_status bench_open(const cli_context *cli, bench_subject *subject);
void bench_close(bench_subject *subject);

/* Computes the losses once, on weights that make every layer count, and writes weights,
 * inputs and losses to a safetensors file, so that another program can repeat it. Prints
 * the losses. */
lm_status bench_export(const cli_context *cli, bench_subject *subject, const char *path);

/* In place; half way between the middle two when there are two. */
double bench_median(double *values, int count);

/* Most memory that the process ever held, in bytes. */
int64_t bench_peak_bytes(void);

#endif
