/* The lists of zips and plain tars, and every file in them. Compressed tars are
 * libarchive's. */
#include "fuzz/fuzz.h"

#include "base/mem.h"
#include "data/entries.h"
#include "fuzz/memory_file.h"

#include <string.h>

/* Files larger than this take a fuzzer's time and find nothing new. */
enum { MOST_BYTES = 1 << 20 };

static bool want_all(const char *name) {
    if (*name == '/' || strncmp(name, "../", 3) == 0 || strstr(name, "/../")) abort();
    return true;
}

static void read_all(const lm_entries *entries) {
    for (int64_t i = 0; i < lm_entries_count(entries); i++) {
        void *bytes;
        size_t size;
        if (lm_entries_size(entries, i) <= MOST_BYTES &&
            lm_entries_read(entries, i, &bytes, &size) == LM_OK)
            lm_free(bytes);
        if (lm_entries_find(entries, lm_entries_name(entries, i)) != i) abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    memory_file file;
    lm_entries *entries;
    memory_file_open(&file, data, size);
    if (lm_is_archive(file.path) &&
        lm_entries_open(file.path, want_all, 0, &entries) == LM_OK) {
        read_all(entries);
        lm_entries_free(entries);
    }
    memory_file_close(&file);
    return 0;
}
