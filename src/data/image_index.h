/* Finds the pictures that lists of labels and attributes speak of. */
#ifndef LIMN_DATA_IMAGE_INDEX_H
#define LIMN_DATA_IMAGE_INDEX_H

#include "data/image_tree.h"

typedef struct lm_image_index {
    const lm_entries *entries; /* borrowed, as is the tree */
    const lm_image_tree *tree;
    int32_t *by_base; /* owned; numbers in the tree, by the last part of their names */
} lm_image_index;

lm_status lm_image_index_make(const lm_entries *entries, const lm_image_tree *tree,
                              lm_image_index *index);
void lm_image_index_release(lm_image_index *index);

enum { LM_IMAGE_NONE = -1, LM_IMAGE_SEVERAL = -2 };

/* The number in the tree of the picture that a list in FOLDER ("" or ending in a slash)
 * calls NAME: FOLDER/NAME, else the only one below FOLDER with NAME as the last part. */
int64_t lm_image_index_find(const lm_image_index *index, const char *folder,
                            const char *name);

#endif
