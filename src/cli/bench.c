/* limn bench: what the benchmarks share, and their short form. Timings on shared machines
 * are noisy: read ratios, not digits. */
#include "cli/bench.h"

#include "train/settings.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* ---- subjects ---------------------------------------------------------------- */

static lm_status open_model(const cli_context *cli, bench_subject *subject) {
    const lm_preset *preset;
    LM_TRY(lm_family_find(cli->args[0], &subject->family));
    const char *name = cli_text(cli, "preset");
    if (!name) name = subject->family->presets[0].name;
    LM_TRY(lm_preset_find(subject->family, name, &preset));
    subject->preset = preset->name;
    lm_settings settings;
    LM_TRY(lm_settings_init(&settings, subject->family->options));
    lm_status status = lm_settings_init(&subject->trainer, lm_trainer_options);
    if (status == LM_OK) status = lm_apply_preset(preset, &settings, &subject->trainer);
    for (int i = 0; i < cli->n_sets && status == LM_OK; i++)
        status = lm_assign_setting(&settings, &subject->trainer, "--set ", cli->sets[i]);
    if (status != LM_OK) {
        lm_settings_release(&settings);
        return status;
    }
    return lm_model_open(subject->family, &settings, &preset->info, &subject->model);
}

lm_status bench_open(const cli_context *cli, bench_subject *subject) {
    *subject = (bench_subject){0};
    LM_TRY(open_model(cli, subject));
    subject->batch = (int)lm_setting_int(&cli->options, "batch");
    if (!subject->batch) subject->batch = (int)lm_setting_int(&subject->trainer, "batch");
    lm_backend_options kernels = lm_trainer_engine(&subject->trainer);
    LM_TRY(lm_engine_new("cpu", &subject->engine));
    return lm_engine_configure(subject->engine, &kernels);
}

void bench_close(bench_subject *subject) {
    lm_engine_free(subject->engine);
    lm_model_close(subject->model);
    lm_settings_release(&subject->trainer);
}

/* ---- measures ---------------------------------------------------------------- */

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_median(double *values, int count) {
    qsort(values, count, sizeof *values, compare_doubles);
    return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

int64_t bench_peak_bytes(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (int64_t)usage.ru_maxrss * 1024;
}
