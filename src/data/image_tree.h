/* What the folders among a list of pictures say: splits, classes, or nothing. */
#ifndef LIMN_DATA_IMAGE_TREE_H
#define LIMN_DATA_IMAGE_TREE_H

#include "base/arena.h"
#include "data/data.h"
#include "data/entries.h"

/* One of entries. */
typedef struct lm_tree_image {
    int32_t entry;
    lm_split split;
    const char *class_name; /* the arena's; NULL: no classes */
} lm_tree_image;

typedef struct lm_image_tree {
    size_t root; /* bytes of each name up to the folder that holds all pictures */
    bool has[LM_N_SPLITS]; /* of which splits there are folders; none: all are "train" */
    bool splits;
    lm_tree_image *image; /* owned, in the order of the entries */
    int64_t count;
} lm_image_tree;

/* The rules, from the folder that holds all pictures on:
 *   - when all folders in it have names of splits (train, test, valid or val, extra,
 *     unlabeled; also in capitals), these are the splits, and the rest is below them;
 *   - when all pictures lie in folders, and there are at least two, these are classes,
 *     whatever is below them;
 *   - but folders that all have names of five digits (00000, 01000: FFHQ and StyleGAN's
 *     tools) are not classes. */
lm_status lm_image_tree_make(const lm_entries *entries, lm_arena *arena,
                             lm_image_tree *tree);
void lm_image_tree_release(lm_image_tree *tree);

#endif
