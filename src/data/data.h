/* Datasets: indexed labelled images, and the order in which training sees them. */
#ifndef LIMN_DATA_DATA_H
#define LIMN_DATA_DATA_H

#include "base/str.h"
#include "data/augment.h"
#include "image/image.h"

typedef enum lm_split {
    LM_SPLIT_TRAIN,
    LM_SPLIT_TEST,
    LM_SPLIT_VALID,     /* CelebA */
    LM_SPLIT_EXTRA,     /* SVHN */
    LM_SPLIT_UNLABELED, /* STL-10 */
    LM_N_SPLITS
} lm_split;
/* "train", "test", "valid", "extra", "unlabeled". */
const char *lm_split_name(lm_split split);

/* What the numbers of an attribute are. */
typedef struct lm_attribute_kind {
    int levels; /* 0: continuous over [0, 1]; n: one of k / (n - 1) with k = 0 .. n - 1 */
    const char *const *names; /* [levels]; NULL: they have none */
} lm_attribute_kind;

/* A file whose picture cannot be read stays in its set: reading it fails, naming file and
 * reason, so that it can be left out. Opening fails only when no picture can be read.
 *
 * The functions are thread safe. A set whose images all have one shape has `get`, one
 * with images to decode has `read`, and both where both apply; what is NULL otherwise is
 * said beside it. Call lm_dataset_read, lm_dataset_label and lm_dataset_item rather than
 * `read`, `label` and `item`. */
typedef struct lm_dataset lm_dataset;
struct lm_dataset {
    char *name;   /* "mnist", "builtin:digits", a path */
    char *source; /* where it was found, for run.json */
    char **files; /* what it was read from; none: `source`, with all in it */
    size_t n_files;
    lm_split split;    /* that was asked for */
    int height, width; /* 0: images differ in size, there is no `get` */
    int channels;      /* 1 or 3 */
    int classes;       /* 0: no labels */
    int64_t count;     /* images in the split; endless sets say 2^31 - 1 */
    bool endless;
    uint64_t hash; /* of content (files) or recipe (built-in): run.json, resume check */
    lm_augment augment; /* what the loader does to the images; `get` gives them plain */
    const char *const *class_names; /* [classes], the state's; NULL: numbers */
    int n_attributes;               /* numbers known of each image, 0: none */
    const char *const *attribute_names;
    const lm_attribute_kind *attribute_kinds; /* [n_attributes]; NULL: each is 0 or 1 */

    /* Image `index` (0 .. count-1) as u8 HWC and its label (-1: none). */
    lm_status (*get)(const lm_dataset *set, int64_t index, uint8_t *pixels,
                     int32_t *label);
    /* The same in the size it has; *image, of the set's channels, is the caller's. */
    lm_status (*read)(const lm_dataset *set, int64_t index, lm_image *image,
                      int32_t *label);
    /* The label alone; NULL: it takes reading the image. */
    lm_status (*label)(const lm_dataset *set, int64_t index, int32_t *label);
    /* n_attributes numbers; NULL where there are none. */
    lm_status (*attributes)(const lm_dataset *set, int64_t index, float *values);
    /* Appends the name of an image's file; NULL: it has none but its number. */
    void (*item)(const lm_dataset *set, int64_t index, lm_str *name);
    void (*release)(lm_dataset *set);
    void *state;
};

lm_status lm_dataset_read(const lm_dataset *set, int64_t index, lm_image *image,
                          int32_t *label);
lm_status lm_dataset_label(const lm_dataset *set, int64_t index, int32_t *label);
/* Appends "NAME: image INDEX" or "NAME: FILE", for messages. */
void lm_dataset_item(const lm_dataset *set, int64_t index, lm_str *name);

/* SPEC: a built-in set (builtin.h) | a known set, or a part of one (known.h), whose
 * folder with the original files lies under $LIMN_DATA, else in the XDG data folder's
 * limn/ | the path of a file or folder in one of the formats of data.c, or of images
 * (image_tree.h). ":train" or another split after it chooses one; else `split` does;
 * where there is but a file, it is what it is. Options may follow, as in
 * "mnist:train?size=32&classes=3,5" (transform.h). LM_FORMAT where images differ in size,
 * as most of what is trained needs them alike; lm_dataset_open_any takes them. */
lm_status lm_dataset_open(const char *spec, lm_split split, lm_dataset **set);
lm_status lm_dataset_open_any(const char *spec, lm_split split, lm_dataset **set);
void lm_dataset_free(lm_dataset *set);

/* Appends an option, as "size=64", to a SPEC that perhaps has some. */
void lm_spec_add(lm_str *spec, const char *format, ...) LM_PRINTF(2, 3);

/* Batches by position: position p (images seen since the start) is image p of an endless
 * set, else item p mod count of epoch p / count in an order drawn from (seed, epoch); how
 * it is augmented is drawn from (seed, p). Nothing but the position must be kept to
 * continue, and the bytes do not depend on the number of workers.
 *
 * Workers are threads that prepare the batches after the current one and sleep when a few
 * are ready; with none the reader does it. For use by one thread. */
typedef struct lm_loader lm_loader;
typedef struct lm_loader_spec {
    int batch; /* images in a batch of this rank */
    uint64_t seed;
    int workers;     /* 0 to 64 */
    bool flip;       /* as if the set's SPEC asked for it */
    int rank, world; /* of processes that train together; world 0: alone */
} lm_loader_spec;
/* The set must outlive the loader and have `get`. */
lm_status lm_loader_new(const lm_dataset *set, const lm_loader_spec *spec,
                        lm_loader **loader);
void lm_loader_free(lm_loader *loader); /* also ends the workers */

/* Lets the workers begin at a position, so that the first batch is ready when it is asked
 * for. Reading elsewhere than at the next position does the same. */
void lm_loader_seek(lm_loader *loader, int64_t position);

typedef struct lm_batch {
    const uint8_t *pixels; /* batch * h * w * c */
    const int32_t *labels; /* batch; -1: none */
} lm_batch;

/* The batch at a position, borrowed until the next call: images position + rank,
 * position + rank + world, ..; the next batch is at position + batch * world, so that all
 * ranks together see what one would. An image that cannot be had is the failure of its
 * own batch only; the message names it. */
lm_status lm_loader_read(lm_loader *loader, int64_t position, lm_batch *batch);

/* Seconds that all reads have taken. */
double lm_loader_waited(const lm_loader *loader);

#endif
