/* The manifest of a prepared set, and the journal of one that is not finished. */
#include "fuzz/fuzz.h"

#include "base/mem.h"
#include "data/journal.h"
#include "data/manifest.h"

#include <stdlib.h>

static void read_manifest(const char *text, size_t size) {
    lm_manifest m;
    json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    if (json && lm_manifest_parse(json, &m) == LM_OK) {
        if (m.count < 1 || m.height < 1 || m.width < 1 || m.classes < 0) abort();
        if (m.class_names && json_array_size(m.class_names) != (size_t)m.classes) abort();
    }
    json_decref(json);
}

static void read_journal(const char *text, size_t size) {
    json_t *request = json_pack("{s:i}", "count", 9);
    lm_journal journal = {.path = lm_strdup("journal"), .skipped = json_array()};
    size_t whole = 0;
    if (lm_journal_parse(&journal, "folder", request, text, size, &whole) == LM_OK) {
        if (whole > size || journal.rows > journal.done || journal.rows < 0) abort();
        if (journal.noted != json_array_size(journal.skipped)) abort();
    }
    lm_journal_release(&journal);
    json_decref(request);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    read_manifest((const char *)data, size);
    read_journal((const char *)data, size);
    return 0;
}
