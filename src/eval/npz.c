/* PKWARE's APPNOTE 6.3, the plain part of it. */
#include "eval/npz.h"

#include "base/file.h"
#include "tensor/npy.h"

#include <string.h>
#include <zlib.h>

enum {
    MOST_ARRAYS = 8,
    LONGEST_NAME = 64,
    VERSION = 20,           /* 2.0: folders, deflate */
    FIRST_DAY = 1 << 5 | 1, /* 1 January 1980, so that bytes do not depend on time */
};

#define LOCAL_MAGIC   0x04034b50u
#define CENTRAL_MAGIC 0x02014b50u
#define END_MAGIC     0x06054b50u

typedef struct member {
    const lm_npz_array *array;
    char name[LONGEST_NAME + 5];
    char header[LM_NPY_HEADER];
    size_t header_bytes, data_bytes;
    uint32_t crc, size, offset;
} member;

static void put(lm_writer *writer, uint64_t number, int width) {
    uint8_t bytes[8];
    for (int i = 0; i < width; i++) bytes[i] = (uint8_t)(number >> 8 * i);
    lm_writer_put(writer, bytes, width);
}

/* What local header and directory have in common. */
static void put_facts(lm_writer *writer, const member *m) {
    put(writer, VERSION, 2);
    put(writer, 0, 2); /* flags */
    put(writer, 0, 2); /* stored */
    put(writer, 0, 2); /* midnight */
    put(writer, FIRST_DAY, 2);
    put(writer, m->crc, 4);
    put(writer, m->size, 4);
    put(writer, m->size, 4);
    put(writer, strlen(m->name), 2);
    put(writer, 0, 2); /* extra field */
}

static void put_member(lm_writer *writer, const member *m) {
    put(writer, LOCAL_MAGIC, 4);
    put_facts(writer, m);
    lm_writer_put(writer, m->name, strlen(m->name));
    lm_writer_put(writer, m->header, m->header_bytes);
    lm_writer_put(writer, m->array->data, m->data_bytes);
}

static size_t put_directory_entry(lm_writer *writer, const member *m) {
    put(writer, CENTRAL_MAGIC, 4);
    put(writer, VERSION, 2);
    put_facts(writer, m);
    put(writer, 0, 2); /* comment */
    put(writer, 0, 2); /* disk */
    put(writer, 0, 2); /* attributes within */
    put(writer, 0, 4); /* attributes without */
    put(writer, m->offset, 4);
    lm_writer_put(writer, m->name, strlen(m->name));
    return 46 + strlen(m->name);
}

static void put_end(lm_writer *writer, int count, size_t directory, size_t offset) {
    put(writer, END_MAGIC, 4);
    put(writer, 0, 4); /* disks */
    put(writer, count, 2);
    put(writer, count, 2);
    put(writer, directory, 4);
    put(writer, offset, 4);
    put(writer, 0, 2); /* comment */
}

static lm_status prepare(const char *path, const lm_npz_array *array, size_t *at,
                         member *m) {
    m->array = array;
    LM_RETURN_IF(strlen(array->name) > LONGEST_NAME, LM_ARG, "%s: %s: too long a name",
                 path, array->name);
    snprintf(m->name, sizeof m->name, "%s.npy", array->name);
    m->header_bytes = lm_npy_header(array->dtype, array->shape, 0, m->header);
    LM_RETURN_IF(m->header_bytes == 0 ||
                     !lm_shape_bytes(array->shape, array->dtype, &m->data_bytes),
                 LM_ARG, "%s: %s: not what an array can be", path, array->name);
    size_t size = m->header_bytes + m->data_bytes, local = 30 + strlen(m->name);
    LM_RETURN_IF(size > UINT32_MAX || *at > UINT32_MAX - size - local - (1 << 16),
                 LM_UNSUPPORTED, "%s: more than 4 GB of arrays", path);
    m->size = (uint32_t)size;
    m->offset = (uint32_t)*at;
    *at += local + size;
    uLong crc = crc32_z(0, (const Bytef *)m->header, m->header_bytes);
    m->crc = (uint32_t)crc32_z(crc, array->data, m->data_bytes);
    return LM_OK;
}

lm_status lm_npz_write(const char *path, const lm_npz_array *arrays, int count) {
    member members[MOST_ARRAYS];
    lm_writer writer;
    size_t at = 0, directory = 0;
    LM_RETURN_IF(count > MOST_ARRAYS, LM_ARG, "%s: %d arrays, expected %d at most", path,
                 count, MOST_ARRAYS);
    for (int i = 0; i < count; i++) LM_TRY(prepare(path, &arrays[i], &at, &members[i]));
    LM_TRY(lm_writer_open(&writer, path));
    for (int i = 0; i < count; i++) put_member(&writer, &members[i]);
    for (int i = 0; i < count; i++)
        directory += put_directory_entry(&writer, &members[i]);
    put_end(&writer, count, directory, at);
    return lm_writer_commit(&writer);
}
