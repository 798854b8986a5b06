#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static double read_clock(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

double lm_now(void) {
    return read_clock(CLOCK_MONOTONIC);
}

double lm_cpu_seconds(void) {
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

void lm_utc_text(char *buffer, size_t size) {
    time_t now = time(NULL);
    struct tm utc;
    if (!gmtime_r(&now, &utc) || !strftime(buffer, size, "%Y-%m-%dT%H:%M:%SZ", &utc))
        snprintf(buffer, size, "unknown");
}

void lm_duration_text(double seconds, char *buffer, size_t size) {
    if (!(seconds > 0)) seconds = 0;    /* also NaN */
    if (seconds > 1e15) seconds = 1e15; /* keeps the cast below defined */
    long long s = (long long)(seconds + 0.5), minutes = (s + 30) / 60;
    if (s < 60)
        snprintf(buffer, size, "%lld s", s);
    else if (s < 3600)
        snprintf(buffer, size, "%lld min %02lld s", s / 60, s % 60);
    else
        snprintf(buffer, size, "%lld h %02lld min", minutes / 60, minutes % 60);
}
