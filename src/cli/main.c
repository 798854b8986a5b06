/* limn: one program, a command each. */
#include "cli/cli.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/threads.h"
#include "base/version.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const cli_command *const commands[] = {
    &demo_command,          &train_command,
    &sample_command,        &interpolate_command,
    &reconstruct_command,   &traverse_command,
    &map_command,           &info_command,
    &data_list_command,     &data_fetch_command,
    &data_info_command,     &data_show_command,
    &data_prepare_command,  &data_command,
    &doctor_command,        &bench_model_command,
    &bench_ops_command,     &bench_data_command,
    &bench_metrics_command, &eval_command,
    &compare_command,       &classify_train_command,
    &classify_eval_command, &classify_predict_command,
    &classify_command,      NULL};

/* Every command takes these. */
static const lm_option common_options[] = {
    {"threads", LM_OPT_INT, "0", 0, 1024, NULL, "N", "threads, 0 for one a core"},
    {"quiet", LM_OPT_FLAG, "false", 0, 0, NULL, NULL, "no progress on stderr"},
    {"json", LM_OPT_FLAG, "false", 0, 0, NULL, NULL, "results as JSON on stdout"},
    {"help", LM_OPT_FLAG, "false", 0, 0, NULL, NULL, "this text"},
    {0}};

/* ---- signals ----------------------------------------------------------------- */

static volatile sig_atomic_t interrupted;

static void on_signal(int signal_number) {
    interrupted = 1;
    signal(signal_number, SIG_DFL); /* the next one is final */
}

void cli_watch_signals(void) {
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
}

bool cli_interrupted(void) {
    return interrupted;
}

/* ---- output ------------------------------------------------------------------ */

void cli_note(const cli_context *cli, const char *format, ...) {
    if (cli->quiet) return;
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

void cli_print_json(json_t *json) {
    json_dumpf(json, stdout, JSON_REAL_PRECISION(9));
    fputc('\n', stdout);
    json_decref(json);
}

/* On a terminal, over the live line, which will be drawn again below. */
static void print_log_line(void *user, lm_log_level level, const char *line) {
    if (level == LM_LOG_DEBUG) return;
    fprintf(stderr, "%slimn: %s\n", isatty(STDERR_FILENO) ? "\r\033[K" : "", line);
}

const char *cli_text(const cli_context *cli, const char *name) {
    const char *text = lm_setting_text(&cli->options, name);
    return text && text[0] ? text : NULL;
}

static void print_usage(FILE *to) {
    fprintf(to,
            "limn %s: a workbench for deep generative models on images\n\n"
            "usage: limn COMMAND [ARGS]\n\n",
            lm_version);
    for (int i = 0; commands[i]; i++)
        if (commands[i]->run)
            fprintf(to, "  %-16s %s\n", commands[i]->name, commands[i]->help);
    fprintf(to, "\n'limn COMMAND --help' explains one. Start with 'limn demo'.\n");
}

static lm_status print_help(const cli_context *cli) {
    const cli_command *command = cli->command;
    lm_str text = LM_STR_INIT;
    lm_str_printf(&text, "usage: limn %s%s%s [OPTIONS]\n%s\n\n", command->name,
                  command->arguments[0] ? " " : "", command->arguments, command->help);
    lm_options_help(cli->options.table, "--", &text);
    lm_status status = command->more_help ? command->more_help(cli, &text) : LM_OK;
    if (status == LM_OK && !lm_str_text(&text)) status = LM_NOMEM;
    if (status == LM_OK) fputs(lm_str_text(&text), stdout);
    lm_str_release(&text);
    return status;
}

/* ---- parsing ----------------------------------------------------------------- */

static int table_length(const lm_option *table) {
    int count = 0;
    while (table[count].name) count++;
    return count;
}

/* In help only: parse_option keeps every --set. */
static const lm_option set_option = {
    "set", LM_OPT_TEXT, "", 0, 0, NULL, "KEY=VALUE", "one of the settings, many times"};

/* The command's rows, then the common ones; lm_free'd by the caller. */
static lm_option *join_tables(const cli_command *command) {
    const lm_option *own = command->options;
    int n = table_length(own), m = table_length(common_options);
    lm_option *joined = lm_calloc(n + m + 2, sizeof *joined);
    if (!joined) return NULL;
    memcpy(joined, own, n * sizeof *own);
    if (command->takes_sets) joined[n++] = set_option;
    memcpy(joined + n, common_options, m * sizeof *own);
    return joined;
}

static bool is_flag(const lm_option *table, const char *name, size_t length) {
    for (; table->name; table++)
        if (strlen(table->name) == length && strncmp(table->name, name, length) == 0)
            return table->type == LM_OPT_FLAG;
    return false;
}

/* One option at argv[*i], as --name value, --name=value, --flag or -n value. */
static lm_status parse_option(cli_context *cli, int argc, char **argv, int *i) {
    char name[64];
    const char *word = argv[*i] + 1 + (argv[*i][1] == '-');
    const char *equals = strchr(word, '=');
    size_t length = equals ? (size_t)(equals - word) : strlen(word);
    const char *prefix = argv[*i][1] == '-' ? "--" : "-", *value = NULL;
    LM_RETURN_IF(length >= sizeof name, LM_ARG, "%s: unknown option", argv[*i]);
    memcpy(name, word, length);
    name[length] = '\0';
    bool set = cli->command->takes_sets && strcmp(name, "set") == 0;
    if (equals)
        value = equals + 1;
    else if (!is_flag(cli->options.table, name, length) && *i + 1 < argc)
        value = argv[++*i];
    if (!set) return lm_settings_set(&cli->options, prefix, name, value);
    LM_RETURN_IF(!value, LM_ARG, "--set: expected key=value");
    cli->sets[cli->n_sets++] = value;
    return LM_OK;
}

static lm_status parse(cli_context *cli, int argc, char **argv) {
    for (int i = 0; i < argc; i++) {
        if (argv[i][0] == '-' && argv[i][1])
            LM_TRY(parse_option(cli, argc, argv, &i));
        else
            cli->args[cli->n_args++] = argv[i];
    }
    cli->quiet = lm_setting_flag(&cli->options, "quiet");
    cli->json = lm_setting_flag(&cli->options, "json");
    if (lm_setting_flag(&cli->options, "help")) return LM_OK;
    const cli_command *command = cli->command;
    LM_RETURN_IF(cli->n_args < command->min_args || cli->n_args > command->max_args,
                 LM_ARG, "%d arguments: expected 'limn %s%s%s [OPTIONS]'", cli->n_args,
                 command->name, command->arguments[0] ? " " : "", command->arguments);
    return LM_OK;
}

static lm_status run_command(cli_context *cli, int argc, char **argv) {
    LM_TRY(parse(cli, argc, argv));
    if (lm_setting_flag(&cli->options, "help")) return print_help(cli);
    lm_threads_set((int)lm_setting_int(&cli->options, "threads"));
    return cli->command->run(cli);
}

static int exit_code(lm_status status) {
    switch (status) {
    case LM_OK:
        return EXIT_DONE;
    case LM_ARG:
        return EXIT_USAGE;
    case LM_INTERRUPTED:
        return EXIT_INTERRUPTED;
    default:
        return EXIT_FAILED;
    }
}

/* argv: what follows the command's name. */
static int dispatch(const char *program, const cli_command *command, int argc,
                    char **argv) {
    cli_context cli = {.program = program, .command = command};
    lm_option *table = join_tables(command);
    cli.args = lm_calloc(argc + 1, sizeof *cli.args);
    cli.sets = lm_calloc(argc + 1, sizeof *cli.sets);
    lm_status status = table && cli.args && cli.sets ? LM_OK : LM_NOMEM;
    if (status == LM_OK) status = lm_settings_init(&cli.options, table);
    if (status == LM_OK) status = run_command(&cli, argc, argv);
    if (status != LM_OK)
        fprintf(stderr, "limn %s: %s\n", command->name,
                lm_message()[0] ? lm_message() : lm_status_text(status));
    lm_settings_release(&cli.options);
    lm_free(cli.sets);
    lm_free(cli.args);
    lm_free(table);
    /* Results that could not be written are a failure too. */
    if (status == LM_OK && fflush(stdout) != 0) {
        perror("limn: standard output");
        status = LM_IO;
    }
    return exit_code(status);
}

/* The command that argv names. Where names have two words, the first alone means the row
 * with that name, or else the first of them: `limn bench ddpm` is `limn bench model
 * ddpm`. *words: how many were given. */
static const cli_command *find_command(int argc, char **argv, int *words) {
    const cli_command *found = NULL;
    for (int i = 0; commands[i]; i++) {
        const char *name = commands[i]->name, *space = strchr(name, ' ');
        size_t length = space ? (size_t)(space - name) : strlen(name);
        if (strlen(argv[1]) != length || strncmp(argv[1], name, length) != 0) continue;
        *words = space && argc > 2 && strcmp(argv[2], space + 1) == 0 ? 2 : 1;
        if (!space || *words == 2) return commands[i];
        if (!found) found = commands[i];
    }
    *words = 1;
    return found;
}

/* `limn data` alone, with --help, or with a verb that there is not. */
static int explain_group(const cli_command *group, const char *verb) {
    const char *verbs[sizeof commands / sizeof *commands] = {0};
    size_t length = strlen(group->name);
    bool help = verb && strcmp(verb, "--help") == 0;
    lm_str text = LM_STR_INIT;
    lm_str_printf(&text, "usage: limn %s VERB [ARGS]\n%s\n\n", group->name, group->help);
    for (int i = 0, n = 0; commands[i]; i++) {
        const cli_command *command = commands[i];
        if (strncmp(command->name, group->name, length) != 0 ||
            command->name[length] != ' ')
            continue;
        verbs[n++] = command->name + length + 1;
        lm_str_printf(&text, "  %-8s %s\n", command->name + length + 1, command->help);
    }
    const char *nearest = verb && !help ? lm_nearest(verb, verbs) : NULL;
    if (!verb || help)
        fputs(lm_str_text(&text) ? text.text : "", help ? stdout : stderr);
    else
        fprintf(stderr, "limn %s: %s: unknown verb%s%s%s\n", group->name, verb,
                nearest ? ", did you mean " : "; see --help", nearest ? nearest : "",
                nearest ? "?" : "");
    lm_str_release(&text);
    return help ? EXIT_DONE : EXIT_USAGE;
}

static int unknown_command(const char *name) {
    const char *names[sizeof commands / sizeof *commands] = {0};
    for (int i = 0; commands[i]; i++) names[i] = commands[i]->name;
    const char *nearest = lm_nearest(name, names);
    fprintf(stderr, "limn: %s: unknown command%s%s%s\n", name,
            nearest ? ", did you mean " : "; 'limn --help' lists them",
            nearest ? nearest : "", nearest ? "?" : "");
    return EXIT_USAGE;
}

int main(int argc, char **argv) {
    cli_restart(argv);
    lm_log_set(print_log_line, NULL);
    signal(SIGXFSZ, SIG_IGN); /* a full quota is a write error with a message */
    signal(SIGPIPE, SIG_IGN);
    if (argc < 2) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        print_usage(stdout);
        return EXIT_DONE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("limn %s\n", lm_version);
        return EXIT_DONE;
    }
    int words;
    const cli_command *command = find_command(argc, argv, &words);
    if (!command) return unknown_command(argv[1]);
    if (!command->run) return explain_group(command, argv[2]);
    return dispatch(argv[0], command, argc - 1 - words, argv + 1 + words);
}
