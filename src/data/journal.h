/* How far a preparation is: journal.jsonl. Its first line is the request (manifest.h); a
 * line is added whenever what came before is on the disk. What a process that was killed
 * wrote after its last line is thrown away by the next. */
#ifndef LIMN_DATA_JOURNAL_H
#define LIMN_DATA_JOURNAL_H

#include "base/json.h"

#include <stdint.h>

typedef struct lm_journal {
    char *path;      /* owned */
    int64_t done;    /* images of the set that were dealt with */
    int64_t rows;    /* images written */
    uint64_t hash;   /* of their pixels and labels */
    json_t *skipped; /* [{index, why}], all of them */
    size_t noted;    /* of `skipped`, how many the file has */
} lm_journal;

/* Goes on with the journal in `folder`, or begins one. LM_ARG: it is of another request.
 */
lm_status lm_journal_open(const char *folder, const json_t *request, lm_journal *journal);
/* What a file holds, its lines so far; *whole: the bytes of those that are whole. The
 * journal has its path and an empty list of what is skipped. */
lm_status lm_journal_parse(lm_journal *journal, const char *folder, const json_t *request,
                           const char *text, size_t size, size_t *whole);
/* Notes an image that is left out; written with the next mark. */
lm_status lm_journal_skip(lm_journal *journal, int64_t index, const char *why);
/* Adds a line: done, rows and hash are true from now on. */
lm_status lm_journal_mark(lm_journal *journal);
void lm_journal_release(lm_journal *journal); /* the file stays */

#endif
