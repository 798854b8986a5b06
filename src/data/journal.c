#include "data/journal.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "data/manifest.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MAX_JOURNAL ((size_t)1 << 30)

static lm_status append_json(const lm_journal *journal, json_t *json) {
    char *line = json ? json_dumps(json, JSON_COMPACT) : NULL;
    lm_status status = line ? lm_file_append_line(journal->path, line)
                            : lm_fail(LM_NOMEM, "%s: out of memory", journal->path);
    free(line);
    json_decref(json);
    return status;
}

lm_status lm_journal_mark(lm_journal *journal) {
    json_t *fresh = json_array();
    size_t count = json_array_size(journal->skipped);
    for (size_t i = journal->noted; i < count; i++)
        json_array_append(fresh, json_array_get(journal->skipped, i));
    LM_TRY(append_json(journal, json_pack("{s:I, s:I, s:o, s:o}", "done",
                                          (json_int_t)journal->done, "rows",
                                          (json_int_t)journal->rows, "hash",
                                          json_sprintf("%016" PRIx64, journal->hash),
                                          "skipped", fresh)));
    journal->noted = count;
    return LM_OK;
}

lm_status lm_journal_skip(lm_journal *journal, int64_t index, const char *why) {
    json_t *item =
        json_pack("{s:I, s:o}", "index", (json_int_t)index, "why", lm_json_text(why));
    if (item && json_array_append_new(journal->skipped, item) == 0) return LM_OK;
    return lm_fail(LM_NOMEM, "%s: out of memory", journal->path);
}

/* ---- reading ----------------------------------------------------------------- */

/* The next whole line of *text, or NULL; a line that was cut off is none. */
static json_t *next_line(const char **text, const char *end) {
    const char *stop = memchr(*text, '\n', (size_t)(end - *text));
    if (!stop) return NULL;
    json_t *json = json_loadb(*text, (size_t)(stop - *text), 0, NULL);
    if (json) *text = stop + 1;
    return json;
}

static lm_status apply_mark(lm_journal *journal, json_t *mark) {
    json_int_t done, rows;
    const char *hash;
    json_t *skipped;
    bool valid = !json_unpack(mark, "{s:I, s:I, s:s, s:o}", "done", &done, "rows", &rows,
                              "hash", &hash, "skipped", &skipped) &&
                 rows >= journal->rows && done >= rows &&
                 json_array_extend(journal->skipped, skipped) == 0 &&
                 (size_t)(done - rows) == json_array_size(journal->skipped);
    LM_RETURN_IF(!valid, LM_FORMAT, "%s: not a journal that limn wrote", journal->path);
    journal->done = done;
    journal->rows = rows;
    journal->hash = strtoull(hash, NULL, 16);
    journal->noted = json_array_size(journal->skipped);
    return LM_OK;
}

/* Cuts off what follows the last whole line: marks are appended. */
static lm_status keep_lines(const lm_journal *journal, const char *text, size_t size,
                            size_t whole) {
    if (whole == size) return LM_OK;
    lm_writer writer;
    LM_TRY(lm_writer_open(&writer, journal->path));
    lm_writer_put(&writer, text, whole);
    return lm_writer_commit(&writer);
}

lm_status lm_journal_parse(lm_journal *journal, const char *folder, const json_t *request,
                           const char *text, size_t size, size_t *whole) {
    const char *at = text, *end = text + size;
    json_t *line = next_line(&at, end);
    lm_status status =
        line ? lm_request_compare(folder, line, request)
             : lm_fail(LM_FORMAT, "%s: not a journal that limn wrote", journal->path);
    json_decref(line);
    while (status == LM_OK && (line = next_line(&at, end))) {
        status = apply_mark(journal, line);
        json_decref(line);
    }
    *whole = (size_t)(at - text);
    return status;
}

/* A process that was killed before the first line was whole has written nothing else. */
static lm_status go_on(lm_journal *journal, const char *folder, const json_t *request) {
    void *text = NULL;
    size_t size = 0;
    if (lm_file_exists(journal->path))
        LM_TRY(lm_file_read(journal->path, MAX_JOURNAL, &text, &size));
    lm_status status = LM_OK;
    if (text && memchr(text, '\n', size)) {
        size_t whole;
        status = lm_journal_parse(journal, folder, request, text, size, &whole);
        if (status == LM_OK) status = keep_lines(journal, text, size, whole);
    } else {
        if (size) status = keep_lines(journal, text, size, 0);
        json_t *line = json_deep_copy(request);
        if (status == LM_OK)
            status = append_json(journal, line);
        else
            json_decref(line);
    }
    lm_free(text);
    return status;
}

lm_status lm_journal_open(const char *folder, const json_t *request,
                          lm_journal *journal) {
    lm_journal opened = {.hash = LM_HASH_SEED, .skipped = json_array()};
    opened.path = lm_path_join(folder, LM_PREPARED_JOURNAL);
    lm_status status = opened.path && opened.skipped ? LM_OK : LM_NOMEM;
    if (status == LM_OK) status = go_on(&opened, folder, request);
    if (status == LM_OK)
        *journal = opened;
    else
        lm_journal_release(&opened);
    return status;
}

void lm_journal_release(lm_journal *journal) {
    lm_free(journal->path);
    json_decref(journal->skipped);
    *journal = (lm_journal){0};
}
