/* The safetensors file format: 8-byte little-endian header length, a JSON header, then
 * the data. Files are read as hostile input: every length, offset and overlap is checked
 * before a byte of data is touched, and failures say which tensor and which number. */
#ifndef LIMN_TENSOR_SAFETENSORS_H
#define LIMN_TENSOR_SAFETENSORS_H

#include "tensor/tensor.h"

#define LM_SAFETENSORS_MAX_HEADER (100u << 20)

typedef struct lm_st_entry {
    const char *name;
    lm_dtype dtype;
    lm_shape shape;
    const void *data; /* when reading: into the file's image, may be unaligned */
} lm_st_entry;

typedef struct lm_st_meta {
    const char *key, *value;
} lm_st_meta;

/* An opened file: its entries in the order of their data, its "__metadata__" strings. */
typedef struct lm_safetensors {
    lm_st_entry *entries;
    int n_entries;
    lm_st_meta *meta;
    int n_meta;
    const char *name; /* of the file, for messages */
    void *image;      /* memory map, owned; NULL when parsed from memory */
    size_t image_size;
    struct lm_arena *arena; /* owns names, entries, meta */
} lm_safetensors;

lm_status lm_safetensors_open(lm_safetensors *file, const char *path);
/* The same from memory; `data` must outlive `file`. For tests and fuzzing. */
lm_status lm_safetensors_parse(lm_safetensors *file, const void *data, size_t size,
                               const char *name);
void lm_safetensors_release(lm_safetensors *file);

const lm_st_entry *lm_safetensors_find(const lm_safetensors *file, const char *name);
const char *lm_safetensors_meta(const lm_safetensors *file, const char *key);
/* Copies an entry out, converting to `dtype`; fails unless the shape is as given. */
lm_status lm_safetensors_read(const lm_safetensors *file, const char *name,
                              lm_dtype dtype, lm_shape shape, void *to);

/* Writes atomically (temporary name, sync, rename), the same bytes for the same input.
 * Names must be unique. Data goes in the order given, larger element types first. */
lm_status lm_safetensors_write(const char *path, const lm_st_entry *entries,
                               int n_entries, const lm_st_meta *meta, int n_meta);

#endif
