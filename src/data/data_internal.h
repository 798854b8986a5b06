/* What the dataset readers share. */
#ifndef LIMN_DATA_DATA_INTERNAL_H
#define LIMN_DATA_DATA_INTERNAL_H

#include "base/hash.h"
#include "data/data.h"

/* An empty dataset with its name and source set; freed with lm_dataset_free. */
lm_status lm_dataset_new(const char *name, const char *source, lm_dataset **set);

/* Notes a file that the set was read from, where its source alone does not say it. */
lm_status lm_dataset_add_file(lm_dataset *set, const char *path);
/* For a set that shows another: takes over its files and says the same split. */
void lm_dataset_take_files(lm_dataset *set, lm_dataset *inner);

/* Where a set is opened from. */
typedef struct lm_data_place {
    const char *name; /* goes into the dataset */
    const char *part; /* of a known set that has several, as "letters"; else NULL */
    const char *path; /* a file or a folder that exists */
    lm_split split;
    bool known; /* found by the name of a known set, of which labels are part */
    const uint8_t *background; /* RGB, for lm_image_decode */
} lm_data_place;

/* One way in which sets are distributed. Each is in a file of its own and in the table of
 * data.c, which asks them in turn. */
typedef struct lm_data_format {
    const char *what;                    /* in the plural, for messages: "IDX images" */
    bool (*recognise)(const char *path); /* by names and first bytes, in no time */
    lm_status (*open)(const lm_data_place *place, lm_dataset **set);
} lm_data_format;

extern const lm_data_format lm_arrays_format;
extern const lm_data_format lm_celeba_format;
extern const lm_data_format lm_cifar_format;
extern const lm_data_format lm_lsun_format;
extern const lm_data_format lm_mnist_m_format;
extern const lm_data_format lm_prepared_format;
extern const lm_data_format lm_image_folder_format;
extern const lm_data_format lm_emnist_format;
extern const lm_data_format lm_mnist_format;
extern const lm_data_format lm_stl10_format;
extern const lm_data_format lm_svhn_format;
extern const lm_data_format lm_usps_format;

/* The format that a path would be opened by; NULL: none. */
const lm_data_format *lm_data_find_format(const char *path);

/* Puts the image's name before the message, as lm_dataset_item has it. */
lm_status lm_dataset_fail(const lm_dataset *set, int64_t index, lm_status status);

/* LM_NOT_FOUND: "PATH: no SPLIT images of WHAT there". */
lm_status lm_data_no_split(const lm_data_place *place, const char *what);

#endif
