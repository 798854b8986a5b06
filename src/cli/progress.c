/* The live line: rewritten in place on a terminal, a plain line every few seconds
 * elsewhere. */
#include "cli/cli.h"

#include "base/clock.h"
#include "train/trainer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TERMINAL_INTERVAL 0.2
#define PLAIN_INTERVAL    5.0

cli_live cli_live_start(const cli_context *cli) {
    return (cli_live){.cli = cli, .terminal = isatty(STDERR_FILENO)};
}

void cli_live_end(cli_live *live) {
    if (live->open) fputc('\n', stderr);
    live->open = false;
}

static void print_start(const lm_progress *p) {
    const lm_run *run = p->run;
    fprintf(stderr,
            "%s %s (%s, %.2f M parameters) on %s, %d x %d x %d, into %s, from step "
            "%" PRId64 "; first step after %.2f s\n",
            p->event, run->family->name, run->preset, (double)p->parameters / 1e6,
            run->data, run->info.height, run->info.width, run->info.channels, run->folder,
            p->step, p->startup);
}

static void format_line(const lm_progress *p, char *line, size_t size) {
    char eta[32] = "", spent[32];
    lm_duration_text(p->seconds, spent, sizeof spent);
    if (p->eta >= 0) lm_duration_text(p->eta, eta, sizeof eta);
    if (p->doing) {
        snprintf(line, size, "step %" PRId64 "  evaluating: %s  %.0f %%", p->step,
                 p->doing, 100 * p->doing_share);
        return;
    }
    snprintf(line, size, "step %" PRId64 "  %s  %.0f images/s  %s  %2.0f %%%s%s%s%s",
             p->step, p->losses, p->images_per_second, spent, 100 * p->share,
             p->eta >= 0 ? "  left " : "", eta, p->eval ? "  " : "",
             p->eval ? p->eval : "");
}

void cli_show_progress(void *user, const lm_progress *progress) {
    cli_live *live = user;
    if (live->cli->quiet) return;
    bool first = live->last == 0;
    if (first) {
        print_start(progress);
        live->last = lm_now();
        return;
    }
    if (progress->event) return; /* the final message names the files */
    double interval = live->terminal ? TERMINAL_INTERVAL : PLAIN_INTERVAL;
    if (lm_now() - live->last < interval && (progress->share < 1 || progress->doing))
        return;
    live->last = lm_now();
    char line[256];
    format_line(progress, line, sizeof line);
    if (live->terminal)
        fprintf(stderr, "\r\033[K%s", line);
    else
        fprintf(stderr, "%s\n", line);
    live->open = live->terminal;
    fflush(stderr);
}
