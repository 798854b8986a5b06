/* A growing string and the few text helpers that several rooms share. */
#ifndef LIMN_BASE_STR_H
#define LIMN_BASE_STR_H

#include "base/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* `failed` is sticky: once memory is out, appends do nothing and the text is unusable. */
typedef struct lm_str {
    char *text; /* NUL terminated; NULL while empty */
    size_t length, capacity;
    bool failed;
} lm_str;

#define LM_STR_INIT                                                                      \
    { NULL, 0, 0, false }

void lm_str_printf(lm_str *str, const char *format, ...) LM_PRINTF(2, 3);
void lm_str_append(lm_str *str, const char *text);
void lm_str_clear(lm_str *str);
void lm_str_release(lm_str *str);
/* The text ("" while empty), or NULL when `failed`. Owned by `str`. */
const char *lm_str_text(const lm_str *str);

/* Whole-string number parsing: no trailing bytes, range checked. False otherwise. */
bool lm_parse_int(const char *text, int64_t *value);
bool lm_parse_double(const char *text, double *value); /* finite values only */

/* Optimal-string-alignment edit distance, for "did you mean". Both under 64 bytes. */
int lm_edit_distance(const char *a, const char *b);

/* The candidate (of a NULL-ended list) nearest to `word`, or NULL when none is within a
 * third of the word's length (at least 2 edits). */
const char *lm_nearest(const char *word, const char *const *candidates);

#endif
