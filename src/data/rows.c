#include "data/rows.h"

#include <string.h>

lm_rows lm_rows_of(char *text, bool commas) {
    bool marked = strncmp(text, "\xef\xbb\xbf", 3) == 0;
    return (lm_rows){.at = text + (marked ? 3 : 0), .commas = commas, .next = 1};
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

static bool is_end(char c) {
    return c == '\0' || c == '\n' || c == '\r';
}

static char *skip_blanks(char *at) {
    while (is_blank(*at)) at++;
    return at;
}

/* What follows a quote: the text up to its end, "" being one quote. */
static lm_status read_quoted(lm_rows *rows) {
    char *from = rows->at, *to = rows->at;
    for (;; from++) {
        LM_RETURN_IF(!*from, LM_FORMAT, "line %d: a quote that does not end", rows->line);
        if (*from == '\n') rows->next++;
        if (*from == '"' && *++from != '"') break;
        *to++ = *from;
    }
    rows->at = skip_blanks(from);
    LM_RETURN_IF(*rows->at != ',' && !is_end(*rows->at), LM_FORMAT,
                 "line %d: text after a quote", rows->line);
    *to = '\0';
    return LM_OK;
}

static char *end_of_plain(const lm_rows *rows, char *at) {
    while (!is_end(*at) && (rows->commas ? *at != ',' : !is_blank(*at))) at++;
    return at;
}

/* One field; rows->at stands behind it. */
static lm_status read_field(lm_rows *rows, char **field) {
    *field = rows->at;
    if (rows->commas && *rows->at == '"') {
        *field = ++rows->at;
        return read_quoted(rows);
    }
    rows->at = end_of_plain(rows, rows->at);
    return LM_OK;
}

/* Cuts the field off, and tells whether another follows. */
static bool end_field(lm_rows *rows, char *field, bool quoted) {
    char *end = rows->at, stop = *end;
    bool line_ends = is_end(stop);
    if (stop == '\r' && end[1] == '\n') rows->at++;
    if (stop == '\n' || stop == '\r') rows->next++;
    if (stop) rows->at++;
    *end = '\0';
    while (!quoted && end > field && is_blank(end[-1])) *--end = '\0';
    if (line_ends || rows->commas) return !line_ends;
    rows->at = skip_blanks(rows->at);
    return !is_end(*rows->at);
}

lm_status lm_rows_next(lm_rows *rows, char **fields, int most, int *count) {
    *count = 0;
    while (*rows->at && *count == 0) {
        bool more = true;
        rows->line = rows->next;
        rows->at = skip_blanks(rows->at);
        while (more) {
            LM_RETURN_IF(*count == most, LM_FORMAT, "line %d: more than %d fields",
                         rows->line, most);
            rows->at = skip_blanks(rows->at);
            bool quoted = rows->commas && *rows->at == '"';
            LM_TRY(read_field(rows, &fields[*count]));
            more = end_field(rows, fields[(*count)++], quoted);
        }
        if (*count == 1 && !*fields[0]) *count = 0; /* an empty line */
    }
    return LM_OK;
}
