#include "base/log.h"

#include <stdio.h>

/* Set by the host before it starts threads, read by all. */
static lm_log_hook installed;
static void *installed_user;

void lm_log_set(lm_log_hook hook, void *user) {
    installed = hook;
    installed_user = user;
}

void lm_log_line(lm_log_level level, const char *format, ...) {
    if (!installed) return;
    char line[1024];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (length >= 0) installed(installed_user, level, line);
}
