/* Reads the pickles that arrays of bytes are distributed in, as CIFAR's: a dictionary of
 * numbers, text, lists and NumPy arrays of u8, in protocols 2 to 4. Nothing is called and
 * nothing is looked up: of the things that a pickle may name only those by which NumPy
 * spells an array are known, and all else is refused. */
#ifndef LIMN_DATA_PICKLE_H
#define LIMN_DATA_PICKLE_H

#include "tensor/shape.h"

typedef struct lm_pickle lm_pickle;

/* `bytes` stay the caller's, and must outlive the result. LM_UNSUPPORTED: a pickle of
 * other things; LM_FORMAT: broken. */
lm_status lm_pickle_parse(const void *bytes, size_t size, const char *name,
                          lm_pickle **pickle);
void lm_pickle_free(lm_pickle *pickle);

/* A list of numbers under a key of the dictionary; *values is lm_free'd by the caller. */
lm_status lm_pickle_integers(const lm_pickle *pickle, const char *key, int32_t **values,
                             int64_t *count);

/* An array of u8 within the bytes, by rows or (Fortran's order) by columns. */
typedef struct lm_pickle_array {
    const uint8_t *data;
    lm_shape shape;
    bool by_columns;
} lm_pickle_array;

lm_status lm_pickle_find_array(const lm_pickle *pickle, const char *key,
                               lm_pickle_array *array);

#endif
