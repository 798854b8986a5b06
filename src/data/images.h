/* A dataset of encoded pictures in a folder or an archive, which the formats of such
 * pictures fill in. */
#ifndef LIMN_DATA_IMAGES_H
#define LIMN_DATA_IMAGES_H

#include "base/arena.h"
#include "data/data_internal.h"
#include "data/entries.h"
#include "data/image_tree.h"

/* The state of such a dataset. Arrays are owned, and as long as the set. */
typedef struct lm_images {
    lm_entries *entries;          /* owned */
    lm_arena arena;               /* of names */
    size_t root;                  /* as in lm_image_tree */
    uint8_t background[3];        /* behind what is transparent */
    int32_t *entry;               /* of each image */
    int32_t *label;               /* -1: none; NULL: none has one */
    const char **class_names;     /* NULL: numbers */
    uint8_t *attributes;          /* n_attributes of each image, 0 or 1; NULL: none */
    const char **attribute_names; /* NULL: none */
    bool *bad;                    /* its header cannot be read */
} lm_images;

/* A dataset whose images are files of `path` that `wants` is true for, none chosen yet.
 */
lm_status lm_images_new(const lm_data_place *place, const char *path,
                        lm_entries_wants wants, lm_dataset **set);

/* Chooses the pictures of a split; sets count and entry. */
lm_status lm_images_choose(lm_dataset *set, const lm_image_tree *tree, lm_split split);

/* Probes the images (image_probe.h), for size, channels and hash. Images that cannot be
 * read stay, and are a warning; LM_FORMAT when none can.
 *
 * The hash is of, for each image in order, its name below the root, its size in bytes and
 * its first 4 KB, its label and its attributes; and of the names of classes and
 * attributes. A folder and archives of it have the same hash. */
lm_status lm_images_finish(lm_dataset *set);

#endif
