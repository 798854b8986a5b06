/* Status codes and the message that goes with a failure.
 *
 * Every function of the library that can fail returns an lm_status. The detail (file,
 * node, shapes, what was expected) is kept as one line per thread and read back with
 * lm_message(). The library never aborts, exits or prints. */
#ifndef LIMN_BASE_STATUS_H
#define LIMN_BASE_STATUS_H

#include <stdarg.h>

/* X(code, exit hint, short text) */
#define LM_STATUS_MAP(X)                                                                 \
    X(OK, "no error")                                                                    \
    X(NOMEM, "out of memory")                                                            \
    X(ARG, "invalid argument")                                                           \
    X(SHAPE, "shapes do not fit")                                                        \
    X(DTYPE, "element types do not fit")                                                 \
    X(IO, "input or output failed")                                                      \
    X(FORMAT, "malformed file")                                                          \
    X(NOT_FOUND, "not found")                                                            \
    X(MISMATCH, "does not belong to this model")                                         \
    X(UNSUPPORTED, "not supported here")                                                 \
    X(NUMERIC, "not a finite number")                                                    \
    X(INTERRUPTED, "interrupted")                                                        \
    X(BACKEND, "a backend library failed")                                               \
    X(INTERNAL, "internal error")                                                        \
    X(UNHEALTHY, "training goes wrong")

typedef enum lm_status {
#define X(code, text) LM_##code,
    LM_STATUS_MAP(X)
#undef X
        LM_STATUS_COUNT
} lm_status;

#if defined(__GNUC__)
#define LM_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define LM_CHECKED           __attribute__((warn_unused_result))
#else
#define LM_PRINTF(fmt, args)
#define LM_CHECKED
#endif

/* Short text of a code, never NULL. */
const char *lm_status_text(lm_status status);

/* The code's name, as "LM_IO". */
const char *lm_status_name(lm_status status);

/* Records the message of this thread and returns `status`, so that a function can end
 * with `return lm_fail(LM_IO, "%s: cannot open: %s", path, strerror(errno));`.
 * Messages are one line, lower case, without a full stop, the subject first. */
lm_status lm_fail(lm_status status, const char *format, ...) LM_PRINTF(2, 3);
lm_status lm_vfail(lm_status status, const char *format, va_list args);

/* Puts "context: " in front of this thread's message; returns `status`. */
lm_status lm_fail_context(lm_status status, const char *format, ...) LM_PRINTF(2, 3);

/* This thread's latest message; "" when none. Valid until the next failure. */
const char *lm_message(void);
void lm_message_clear(void);

#define LM_TRY(expr)                                                                     \
    do {                                                                                 \
        lm_status lm_try_ = (expr);                                                      \
        if (lm_try_ != LM_OK) return lm_try_;                                            \
    } while (0)

/* As LM_TRY, for functions with a single exit at `label`; needs a local `status`. */
#define LM_TRY_GOTO(label, expr)                                                         \
    do {                                                                                 \
        status = (expr);                                                                 \
        if (status != LM_OK) goto label;                                                 \
    } while (0)

#define LM_RETURN_IF(cond, code, ...)                                                    \
    do {                                                                                 \
        if (cond) return lm_fail(code, __VA_ARGS__);                                     \
    } while (0)

#endif
