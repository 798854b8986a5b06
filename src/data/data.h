/* Datasets: indexed labelled images, and the order in which training sees them. */
#ifndef LIMN_DATA_DATA_H
#define LIMN_DATA_DATA_H

#include "tensor/tensor.h"

typedef enum lm_split { LM_SPLIT_TRAIN, LM_SPLIT_TEST } lm_split;

typedef struct lm_dataset lm_dataset;
struct lm_dataset {
    char *name;   /* "mnist", "builtin:digits", a path */
    char *source; /* where it was found, for run.json */
    int height, width, channels;
    int classes;   /* 0: no labels */
    int64_t count; /* images in the split; endless sets say 2^31 - 1 */
    bool endless;
    uint64_t hash; /* of content (files) or recipe (built-in): run.json, resume check */
    /* Image `index` (0 .. count-1) as u8 HWC and its label (-1: none). Thread safe. */
    lm_status (*get)(const lm_dataset *set, int64_t index, uint8_t *pixels,
                     int32_t *label);
    void (*release)(lm_dataset *set);
    void *state;
};

/* SPEC: builtin:digits | mnist, fashion-mnist, kmnist (under $LIMN_DATA, else the XDG
 * data folder's limn/) | a path to an IDX image file (.gz or plain; the label file lies
 * beside it by the usual name) or to a folder that holds the four usual files. ":train"
 * or
 * ":test" after the name chooses the split; else `split` does. */
lm_status lm_dataset_open(const char *spec, lm_split split, lm_dataset **set);
void lm_dataset_free(lm_dataset *set);

/* Batches by position: position p (images seen since the start) is image p of an endless
 * set, else item p mod count of epoch p / count in an order drawn from (seed, epoch).
 * Nothing but the position must be kept to continue. */
typedef struct lm_loader lm_loader;
lm_status lm_loader_new(const lm_dataset *set, int batch, uint64_t seed,
                        lm_loader **loader);
void lm_loader_free(lm_loader *loader);
/* pixels: batch * h * w * c bytes; labels: batch (may be NULL). */
lm_status lm_loader_read(lm_loader *loader, int64_t position, uint8_t *pixels,
                         int32_t *labels);

#endif
