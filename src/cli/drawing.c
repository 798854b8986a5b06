#include "cli/drawing.h"

#include <string.h>

lm_run_source_spec cli_drawing(const cli_context *cli, const char *run, int64_t count) {
    const lm_settings *o = &cli->options;
    return (lm_run_source_spec){
        .choice = {.run = run,
                   .checkpoint = cli_text(cli, "checkpoint"),
                   .raw = strcmp(lm_setting_text(o, "weights"), "raw") == 0,
                   .assignments = cli->sets,
                   .n_assignments = cli->n_sets},
        .draw = {.count = count, .seed = (uint64_t)lm_setting_int(o, "seed")},
        .request = {.steps = (int)lm_setting_int(o, "steps"),
                    .eta = lm_setting(o, "eta")->is_set ? lm_setting_float(o, "eta") : -1,
                    .sampler = cli_text(cli, "sampler"),
                    .components = (int)lm_setting_int(o, "components"),
                    .diagonal = strcmp(lm_setting_text(o, "covariance"), "diagonal") == 0,
                    .label = -1,
                    .guidance = lm_setting_float(o, "guidance"),
                    .truncation = lm_setting_float(o, "truncation")}};
}
