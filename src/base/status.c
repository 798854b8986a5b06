#include "base/status.h"

#include <stdio.h>
#include <string.h>

#define MESSAGE_BYTES 1024

static _Thread_local char message[MESSAGE_BYTES];

static const struct {
    const char *name, *text;
} codes[] = {
#define X(code, text) {"LM_" #code, text},
    LM_STATUS_MAP(X)
#undef X
};

const char *lm_status_text(lm_status status) {
    return (unsigned)status < LM_STATUS_COUNT ? codes[status].text : "unknown status";
}

const char *lm_status_name(lm_status status) {
    return (unsigned)status < LM_STATUS_COUNT ? codes[status].name : "unknown";
}

/* Names out of hostile files end up in messages: keep them from breaking the line or
 * reaching a terminal as escape codes. */
static void keep_one_line(char *text) {
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f) *text = ' ';
}

lm_status lm_vfail(lm_status status, const char *format, va_list args) {
    char next[MESSAGE_BYTES]; /* apart, since an argument may be the old message */
    int length = vsnprintf(next, sizeof next, format, args);
    if (length < 0) next[0] = '\0';
    if (length >= MESSAGE_BYTES) memcpy(next + MESSAGE_BYTES - 4, "...", 4);
    keep_one_line(next);
    memcpy(message, next, sizeof next);
    return status;
}

lm_status lm_fail(lm_status status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    lm_vfail(status, format, args);
    va_end(args);
    return status;
}

lm_status lm_fail_context(lm_status status, const char *format, ...) {
    char context[MESSAGE_BYTES];
    va_list args;
    va_start(args, format);
    if (vsnprintf(context, sizeof context, format, args) < 0) context[0] = '\0';
    va_end(args);
    return lm_fail(status, "%s: %s", context, message);
}

const char *lm_message(void) {
    return message;
}

void lm_message_clear(void) {
    message[0] = '\0';
}
