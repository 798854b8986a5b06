/* LMDB environments (Lightning Memory-Mapped Database, data format 1) that are only read:
 * the records of the unnamed database, in the order of their keys. */
#ifndef LIMN_DATA_LMDB_READ_H
#define LIMN_DATA_LMDB_READ_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

/* Key and value lie in the mapped file. */
typedef struct lm_lmdb_record {
    const char *key; /* not terminated */
    const uint8_t *value;
    uint32_t value_size;
    uint16_t key_size; /* 1 to 511 */
} lm_lmdb_record;

typedef struct lm_lmdb lm_lmdb;

/* Opens the folder that holds data.mdb; nothing is written there, and nothing locked, so
 * nobody may change the file meanwhile. All that the library goes by is checked first
 * (lm_lmdb_check). Records may be read from any thread. LM_UNSUPPORTED: limn was built
 * without liblmdb. */
lm_status lm_lmdb_open(const char *folder, lm_lmdb **lmdb);
void lm_lmdb_close(lm_lmdb *lmdb); /* NULL is fine */

int64_t lm_lmdb_count(const lm_lmdb *lmdb);
const lm_lmdb_record *lm_lmdb_records(const lm_lmdb *lmdb);

/* liblmdb trusts its file: a page that is not as it should be ends the process, or makes
 * it read elsewhere. So every page between the root and the records is checked here, and
 * that every value lies within the file. What values hold has no checksum in LMDB.
 * LM_FORMAT: truncated or damaged, or a database with named or duplicate records. */
lm_status lm_lmdb_check(const char *path, int64_t *records);

#endif
