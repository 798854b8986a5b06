#include "data/lmdb_read.h"

#ifdef LM_HAVE_LMDB

#include "base/file.h"
#include "base/mem.h"

#include <errno.h>
#include <lmdb.h>
#include <sys/stat.h>

/* The transaction stays open, and with it the places of all records. */
struct lm_lmdb {
    MDB_env *env;
    MDB_txn *transaction;
    lm_lmdb_record *records; /* owned */
    int64_t count;
};

static lm_status check(int code, const char *folder) {
    if (code == MDB_SUCCESS) return LM_OK;
    return lm_fail(code == ENOMEM ? LM_NOMEM : LM_IO, "%s: LMDB: %s", folder,
                   mdb_strerror(code));
}

/* A file on a medium that cannot be written has no place for LMDB's lock; what is never
 * written needs none. As much is mapped as there is, whatever the file says. */
static lm_status open_env(lm_lmdb *lmdb, const char *folder, size_t size) {
    LM_TRY(check(mdb_env_create(&lmdb->env), folder));
    LM_TRY(check(mdb_env_set_mapsize(lmdb->env, size), folder));
    LM_TRY(check(mdb_env_open(lmdb->env, folder, MDB_RDONLY | MDB_NOLOCK | MDB_NOTLS, 0),
                 folder));
    return check(mdb_txn_begin(lmdb->env, NULL, MDB_RDONLY, &lmdb->transaction), folder);
}

static lm_status list_records(lm_lmdb *lmdb, const char *folder, int64_t most) {
    MDB_dbi database;
    MDB_cursor *cursor;
    MDB_val key, value;
    LM_TRY(check(mdb_dbi_open(lmdb->transaction, NULL, 0, &database), folder));
    LM_TRY(check(mdb_cursor_open(lmdb->transaction, database, &cursor), folder));
    int code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    for (; code == MDB_SUCCESS && lmdb->count < most; lmdb->count++) {
        lmdb->records[lmdb->count] = (lm_lmdb_record){
            key.mv_data, value.mv_data, (uint32_t)value.mv_size, (uint16_t)key.mv_size};
        code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    if (code == MDB_NOTFOUND) code = MDB_SUCCESS;
    LM_TRY(check(code, folder));
    LM_RETURN_IF(lmdb->count != most, LM_FORMAT, "%s: LMDB finds %lld of %lld records",
                 folder, (long long)lmdb->count, (long long)most);
    return LM_OK;
}

static lm_status load(lm_lmdb *lmdb, const char *folder, const char *path) {
    int64_t count;
    struct stat info;
    LM_TRY(lm_lmdb_check(path, &count));
    LM_RETURN_IF(stat(path, &info) != 0, LM_IO, "%s: cannot read", path);
    lmdb->records = lm_alloc((size_t)count * sizeof *lmdb->records);
    if (!lmdb->records) return LM_NOMEM;
    LM_TRY(open_env(lmdb, folder, (size_t)info.st_size));
    return list_records(lmdb, folder, count);
}

lm_status lm_lmdb_open(const char *folder, lm_lmdb **lmdb) {
    *lmdb = NULL;
    lm_lmdb *made = lm_calloc(1, sizeof *made);
    char *path = made ? lm_path_join(folder, "data.mdb") : NULL;
    lm_status status = path ? load(made, folder, path) : LM_NOMEM;
    lm_free(path);
    if (status == LM_OK)
        *lmdb = made;
    else
        lm_lmdb_close(made);
    return status;
}

void lm_lmdb_close(lm_lmdb *lmdb) {
    if (!lmdb) return;
    if (lmdb->transaction) mdb_txn_abort(lmdb->transaction);
    if (lmdb->env) mdb_env_close(lmdb->env);
    lm_free(lmdb->records);
    lm_free(lmdb);
}

int64_t lm_lmdb_count(const lm_lmdb *lmdb) {
    return lmdb->count;
}

const lm_lmdb_record *lm_lmdb_records(const lm_lmdb *lmdb) {
    return lmdb->records;
}

#else

lm_status lm_lmdb_open(const char *folder, lm_lmdb **lmdb) {
    *lmdb = NULL;
    return lm_fail(LM_UNSUPPORTED,
                   "%s: this program was built without LMDB: install liblmdb-dev and "
                   "build again",
                   folder);
}

void lm_lmdb_close(lm_lmdb *lmdb) {}

int64_t lm_lmdb_count(const lm_lmdb *lmdb) {
    return 0;
}

const lm_lmdb_record *lm_lmdb_records(const lm_lmdb *lmdb) {
    return NULL;
}

#endif
