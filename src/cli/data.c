/* limn data: the word before its verbs, and what they share. */
#include "cli/data.h"

#include "eval/source.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <stdio.h>
#include <string.h>

const cli_command data_command = {.name = "data",
                                  .help = "datasets: what there is, what is in them"};

lm_split cli_data_split(const cli_context *cli) {
    const char *name = lm_setting_text(&cli->options, "split");
    int split = 0;
    while (strcmp(lm_split_name((lm_split)split), name) != 0) split++;
    return (lm_split)split;
}

void cli_data_keep_pages(void) {
#ifdef __GLIBC__
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 64 << 20);
#endif
}

lm_status cli_data_open(const cli_context *cli, lm_dataset **set) {
    return lm_dataset_open_any(cli->args[0], cli_data_split(cli), set);
}

lm_status cli_data_open_held_out(const cli_context *cli, const char *spec,
                                 const lm_dataset *train, lm_dataset **set) {
    const char *given = cli_text(cli, "held-out");
    return given ? lm_dataset_open(given, LM_SPLIT_TEST, set)
                 : lm_held_out_open(spec, train, set);
}

const char *cli_class_name(const lm_dataset *set, int label, char buffer[16]) {
    if (set->class_names) return set->class_names[label];
    snprintf(buffer, 16, "%d", label);
    return buffer;
}

void cli_bytes_text(int64_t bytes, char text[16]) {
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    double value = (double)bytes;
    int unit = 0;
    for (; value >= 999.5 && unit < 4; unit++) value /= 1000;
    snprintf(text, 16, "%.*f %s", unit && value < 99.95 ? 1 : 0, value, units[unit]);
}
