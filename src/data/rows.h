/* Rows of fields in a text that is changed on the way: comma-separated values (RFC 4180),
 * or words with blanks between. */
#ifndef LIMN_DATA_ROWS_H
#define LIMN_DATA_ROWS_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct lm_rows {
    char *at;
    bool commas; /* else blanks; only with commas do quotes mean something */
    int line;    /* of the row read last, from 1 */
    int next;    /* of the row that comes */
} lm_rows;

/* The text ends with its first NUL. A byte order mark is passed over. */
lm_rows lm_rows_of(char *text, bool commas);

/* The next row that is not empty, as `count` fields within the text; 0 at its end. Blanks
 * around a field without quotes are not part of it. LM_FORMAT, with the line: more than
 * `most` fields, or quotes that do not end or do not enclose. */
lm_status lm_rows_next(lm_rows *rows, char **fields, int most, int *count);

#endif
