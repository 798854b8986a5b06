/* Progress of what has a known amount: share, speed, time left. */
#include "cli/cli.h"

#include "base/clock.h"

#include <stdio.h>
#include <unistd.h>

#define TERMINAL_INTERVAL 0.2
#define PLAIN_INTERVAL    5.0

cli_meter cli_meter_start(const cli_context *cli, const char *verb, const char *unit,
                          double total, double done) {
    double now = lm_now();
    return (cli_meter){.cli = cli,
                       .verb = verb,
                       .unit = unit,
                       .total = total,
                       .first = done,
                       .terminal = isatty(STDERR_FILENO),
                       .began = now,
                       .last = now};
}

static void print_line(const cli_meter *meter, double done, double now) {
    double rate = (done - meter->first) / (now - meter->began);
    char left[32] = "";
    if (rate > 0 && meter->total > 0)
        lm_duration_text((meter->total - done) / rate, left, sizeof left);
    fprintf(stderr, "%s%s", meter->terminal ? "\r\033[K" : "", meter->verb);
    if (meter->unit) fprintf(stderr, "  %.0f", done);
    if (meter->unit && meter->total > 0)
        fprintf(stderr, " of %.0f %s", meter->total, meter->unit);
    if (meter->total > 0) fprintf(stderr, "  %.0f %%", 100 * done / meter->total);
    if (meter->unit) fprintf(stderr, "  %.*f/s", rate < 10 ? 1 : 0, rate);
    fprintf(stderr, "%s%s%s", left[0] ? "  left " : "", left,
            meter->terminal ? "" : "\n");
    fflush(stderr);
}

void cli_meter_show(cli_meter *meter, double done) {
    if (meter->cli->quiet) return;
    double now = lm_now();
    if (now - meter->last < (meter->terminal ? TERMINAL_INTERVAL : PLAIN_INTERVAL))
        return;
    meter->last = now;
    meter->open = meter->terminal;
    print_line(meter, done, now);
}

void cli_meter_end(cli_meter *meter) {
    if (meter->open) fputs("\r\033[K", stderr);
    meter->open = false;
}
