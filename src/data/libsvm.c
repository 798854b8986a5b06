#include "data/libsvm.h"

#include "base/mem.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { MOST_LINES = 1 << 16 };

typedef struct cursor {
    const char *at, *end;
    const char *name;
    int64_t line; /* from 1 */
} cursor;

static lm_status fail_line(const cursor *c, const char *expected) {
    return lm_fail(LM_FORMAT, "%s: line %lld: expected %s", c->name, (long long)c->line,
                   expected);
}

static bool is_digit(const cursor *c) {
    return c->at < c->end && *c->at >= '0' && *c->at <= '9';
}

static bool take(cursor *c, char wanted) {
    if (c->at == c->end || *c->at != wanted) return false;
    c->at++;
    return true;
}

/* Digits as a number; those that a double does not hold are counted in *scale. */
static double read_digits(cursor *c, int *digits, int *scale) {
    double value = 0;
    for (*digits = 0; is_digit(c); c->at++, ++*digits)
        if (value < 1e15)
            value = 10 * value + (*c->at - '0');
        else
            ++*scale;
    return value;
}

/* "-0.25", "1e-3". Not strtod, which asks the locale for its point. */
static bool read_number(cursor *c, double *number) {
    bool negative = take(c, '-');
    if (!negative) take(c, '+');
    int whole, part = 0, scale = 0, lost = 0;
    double value = read_digits(c, &whole, &scale);
    if (take(c, '.'))
        for (; is_digit(c); c->at++, part++)
            if (value < 1e15) value = 10 * value + (*c->at - '0'), lost++;
    if (!whole && !part) return false;
    scale -= lost;
    if (take(c, 'e') || take(c, 'E')) {
        bool down = take(c, '-');
        if (!down) take(c, '+');
        int digits, ignored = 0;
        double power = read_digits(c, &digits, &ignored);
        if (!digits || power > 300) return false;
        scale += down ? -(int)power : (int)power;
    }
    value *= pow(10, scale);
    *number = negative ? -value : value;
    return value <= FLT_MAX; /* not so for infinity */
}

static void skip_blanks(cursor *c) {
    while (take(c, ' ') || take(c, '\t') || take(c, '\r')) continue;
}

static bool at_line_end(const cursor *c) {
    return c->at == c->end || *c->at == '\n';
}

static lm_status read_line(cursor *c, int features, float *values, int32_t *label) {
    double number;
    if (!read_number(c, &number) || fabs(number) > 1e6 || number != floor(number))
        return fail_line(c, "an integer label");
    *label = (int32_t)number;
    skip_blanks(c);
    for (int last = 0; !at_line_end(c); skip_blanks(c)) {
        int digits, scale = 0;
        double index = read_digits(c, &digits, &scale);
        if (!digits || !take(c, ':')) return fail_line(c, "INDEX:VALUE");
        LM_RETURN_IF(index <= last || index > features || scale, LM_FORMAT,
                     "%s: line %lld: index after %d: expected one above it, up to %d",
                     c->name, (long long)c->line, last, features);
        last = (int)index;
        if (!read_number(c, &number)) return fail_line(c, "a number after INDEX:");
        values[last - 1] = (float)number;
    }
    return LM_OK;
}

static int64_t count_lines(const char *text, size_t size) {
    int64_t lines = 0;
    const char *end = text + size;
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        text = newline ? newline + 1 : end;
        lines++;
    }
    return lines;
}

lm_status lm_libsvm_parse(const char *text, size_t size, const char *name, int features,
                          lm_libsvm *rows) {
    cursor c = {text, text + size, name, 1};
    lm_libsvm r = {.count = count_lines(text, size)};
    LM_RETURN_IF(r.count < 1 || r.count > MOST_LINES, LM_FORMAT,
                 "%s: %lld lines, expected 1 to %d", name, (long long)r.count,
                 MOST_LINES);
    r.values = lm_calloc((size_t)r.count * (size_t)features, sizeof *r.values);
    r.labels = lm_calloc((size_t)r.count, sizeof *r.labels);
    lm_status status = r.values && r.labels ? LM_OK : LM_NOMEM;
    for (int64_t i = 0; i < r.count && status == LM_OK; i++, c.line++) {
        status = read_line(&c, features, r.values + i * features, &r.labels[i]);
        take(&c, '\n');
    }
    if (status == LM_OK)
        *rows = r;
    else
        lm_libsvm_release(&r);
    return status;
}

void lm_libsvm_release(lm_libsvm *rows) {
    lm_free(rows->values);
    lm_free(rows->labels);
    *rows = (lm_libsvm){0};
}
