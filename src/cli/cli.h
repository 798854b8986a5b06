/* What the commands share: parsed arguments, exit codes, output. */
#ifndef LIMN_CLI_CLI_H
#define LIMN_CLI_CLI_H

#include "base/options.h"

#include <jansson.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_INTERRUPTED = 130 };

typedef struct cli_context {
    const char *program; /* as it was called, for advice that can be copied */
    const struct cli_command *command;
    lm_settings options; /* of the command's table and the common one */
    const char **args;   /* positional */
    int n_args;
    const char **sets; /* values of every --set */
    int n_sets;
    bool quiet, json;
} cli_context;

/* Each command is a row in main.c and a file of its own. Returns a status; main turns it
 * into message and exit code. */
typedef struct cli_command {
    const char *name; /* one word, or two: "bench model" */
    const char *arguments, *help;
    const lm_option *options; /* ended by name NULL */
    int min_args, max_args;
    bool takes_sets;
    lm_status (*run)(cli_context *cli); /* NULL: the word that verbs follow, as "data" */
    /* More for `limn COMMAND [ARG] --help`, or NULL. */
    lm_status (*more_help)(const cli_context *cli, lm_str *out);
} cli_command;

extern const cli_command train_command, sample_command, demo_command, info_command,
    doctor_command, bench_model_command, bench_ops_command, bench_data_command,
    bench_metrics_command, data_command, data_info_command, data_prepare_command,
    data_show_command, data_list_command, data_fetch_command, eval_command,
    compare_command, interpolate_command, reconstruct_command, traverse_command,
    map_command, classify_command, classify_train_command, classify_eval_command,
    classify_predict_command;

/* Starts the program again, once, with variables that libraries read before main; to be
 * called first. Returns where nothing is to be changed, or cannot be. */
void cli_restart(char **argv);

/* True once SIGINT or SIGTERM arrived; a second one ends the program at once. */
bool cli_interrupted(void);
void cli_watch_signals(void);

/* A line on stderr, unless --quiet. */
void cli_note(const cli_context *cli, const char *format, ...) LM_PRINTF(2, 3);

/* One object on stdout, with a newline; takes the reference. */
void cli_print_json(json_t *json);

/* The option's text, or NULL when it was not given and has no default. */
const char *cli_text(const cli_context *cli, const char *name);

/* The live line of a training run (progress.c). */
struct lm_progress;
void cli_show_progress(void *user, const struct lm_progress *progress);
typedef struct cli_live {
    const cli_context *cli;
    bool terminal, open; /* open: the line on the terminal has no newline yet */
    double last;         /* clock of the latest line */
} cli_live;
cli_live cli_live_start(const cli_context *cli);
void cli_live_end(cli_live *live);

/* The live line of other work (meter.c): "VERB  DONE of TOTAL UNIT", with speed and time
 * left; a total of 0 is not known. Without a unit it is "VERB  SHARE". What is done at
 * the start (after a resume) does not count for the speed. */
typedef struct cli_meter {
    const cli_context *cli;
    const char *verb, *unit;
    double total, first, began, last;
    bool terminal, open;
} cli_meter;
cli_meter cli_meter_start(const cli_context *cli, const char *verb, const char *unit,
                          double total, double done);
void cli_meter_show(cli_meter *meter, double done);
void cli_meter_end(cli_meter *meter); /* takes the line off the terminal */

#endif
