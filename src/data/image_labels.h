/* The labels of pictures: from label files among the entries, else from folders. */
#ifndef LIMN_DATA_IMAGE_LABELS_H
#define LIMN_DATA_IMAGE_LABELS_H

#include "data/image_index.h"

typedef struct lm_image_labels {
    int32_t *label;           /* owned; [pictures of the tree], -1: none */
    int classes;              /* 0: nothing has a label, and `label` is NULL */
    const char **class_names; /* owned, the names the arena's; NULL: numbers */
} lm_image_labels;

/* A label file (label_file.h) is about the pictures in its folder and below. When all
 * labels are whole numbers from 0, these are the labels; otherwise they are names, which
 * are numbered in the order of their bytes, as folders are. LM_FORMAT: a label for a
 * picture that is not there, two for one, or a file that is broken. */
lm_status lm_image_labels_find(const lm_entries *entries, const lm_image_tree *tree,
                               lm_arena *arena, lm_image_labels *labels);
void lm_image_labels_release(lm_image_labels *labels);

#endif
