#include "base/str.h"

#include "base/mem.h"
#include <ctype.h>
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORD_BYTES 64 /* of lm_edit_distance */

/* Room for `more` bytes and a NUL. */
static bool grow(lm_str *str, size_t more) {
    if (str->failed) return false;
    size_t needed = str->length + more + 1;
    if (needed <= str->capacity) return true;
    size_t capacity = str->capacity * 2 > needed ? str->capacity * 2 : needed + 32;
    char *text = lm_realloc(str->text, capacity);
    if (!text) {
        str->failed = true;
        return false;
    }
    str->text = text;
    str->capacity = capacity;
    return true;
}

void lm_str_printf(lm_str *str, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length < 0) str->failed = true;
    if (length < 0 || !grow(str, (size_t)length)) return;
    va_start(args, format);
    vsnprintf(str->text + str->length, (size_t)length + 1, format, args);
    va_end(args);
    str->length += (size_t)length;
}

void lm_str_append(lm_str *str, const char *text) {
    size_t length = strlen(text);
    if (!grow(str, length)) return;
    memcpy(str->text + str->length, text, length + 1);
    str->length += length;
}

void lm_str_clear(lm_str *str) {
    str->length = 0;
    str->failed = false;
    if (str->text) str->text[0] = '\0';
}

void lm_str_release(lm_str *str) {
    lm_free(str->text);
    *str = (lm_str)LM_STR_INIT;
}

const char *lm_str_text(const lm_str *str) {
    if (str->failed) return NULL;
    return str->text ? str->text : "";
}

bool lm_parse_int(const char *text, int64_t *value) {
    if (isspace((unsigned char)text[0])) return false;
    char *end;
    errno = 0;
    long long parsed = strtoll(text, &end, 10);
    if (end == text || *end || errno) return false;
    *value = parsed;
    return true;
}

/* Always with a decimal point, whatever locale the host has set. */
bool lm_parse_double(const char *text, double *value) {
    if (isspace((unsigned char)text[0])) return false;
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!plain) return false;
    char *end;
    double parsed = strtod_l(text, &end, plain);
    freelocale(plain);
    if (end == text || *end || !isfinite(parsed)) return false;
    *value = parsed;
    return true;
}

static int smaller(int a, int b) {
    return a < b ? a : b;
}

/* Three rows of the table of prefix distances; the oldest serves transpositions. */
int lm_edit_distance(const char *a, const char *b) {
    int n = (int)strnlen(a, WORD_BYTES), m = (int)strnlen(b, WORD_BYTES);
    if (n >= WORD_BYTES || m >= WORD_BYTES) return WORD_BYTES;
    int rows[3][WORD_BYTES + 1];
    int *before = rows[0], *last = rows[1], *row = rows[2];
    for (int j = 0; j <= m; j++) row[j] = j;
    for (int i = 1; i <= n; i++) {
        int *oldest = before;
        before = last, last = row, row = oldest;
        row[0] = i;
        for (int j = 1; j <= m; j++) {
            int best = last[j - 1] + (a[i - 1] != b[j - 1]);
            best = smaller(best, smaller(last[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                best = smaller(best, before[j - 2] + 1);
            row[j] = best;
        }
    }
    return row[m];
}

const char *lm_nearest(const char *word, const char *const *candidates) {
    int limit = (int)(strnlen(word, WORD_BYTES) / 3);
    if (limit < 2) limit = 2;
    const char *nearest = NULL;
    for (; *candidates; candidates++) {
        int distance = lm_edit_distance(word, *candidates);
        if (distance > limit) continue;
        if (distance < limit || !nearest) nearest = *candidates;
        limit = distance;
    }
    return nearest;
}
