/* LMDB files, and what liblmdb makes of those that pass the check. Records lie within the
 * file: the harness reads every byte of them. */
#include "fuzz/fuzz.h"

#include "data/lmdb_read.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64], path[96];

static void remove_folder(void) {
    unlink(path);
    rmdir(folder);
}

/* In memory where there is such a place: a disk makes a fuzzer slow. */
static void make_folder(void) {
    const char *shared = "/dev/shm";
    snprintf(folder, sizeof folder, "%s/limn-fuzz-lmdb-%d",
             access(shared, W_OK) == 0 ? shared : "/tmp", (int)getpid());
    snprintf(path, sizeof path, "%s/data.mdb", folder);
    if (mkdir(folder, 0700) != 0) abort();
    atexit(remove_folder);
}

/* Written to, so that reading is not left out. */
static volatile unsigned seen;

static void touch(const lm_lmdb *lmdb) {
    const lm_lmdb_record *records = lm_lmdb_records(lmdb);
    for (int64_t i = 0; i < lm_lmdb_count(lmdb); i++) {
        for (int k = 0; k < records[i].key_size; k++) seen += (unsigned)records[i].key[k];
        for (uint32_t v = 0; v < records[i].value_size; v++) seen += records[i].value[v];
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!*folder) make_folder();
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(data, 1, size, file) != size) abort();
    fclose(file);
    lm_lmdb *lmdb;
    if (lm_lmdb_open(folder, &lmdb) == LM_OK) touch(lmdb);
    lm_lmdb_close(lmdb);
    return 0;
}
