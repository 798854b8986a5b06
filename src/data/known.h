/* Known sets: what they are, under which terms, and where their files come from. */
#ifndef LIMN_DATA_KNOWN_H
#define LIMN_DATA_KNOWN_H

#include "data/data.h"

#define LM_KNOWN_URLS 3

/* A file as it is distributed. What was never published is left out: NULL, or 0 bytes. */
typedef struct lm_known_file {
    const char *name;
    const char *urls[LM_KNOWN_URLS]; /* tried in order; none: by hand, see `how` */
    int64_t bytes;
    const char *sha256, *md5; /* in lower-case hexadecimal digits */
    const char *unpack;       /* the folder inside an archive that is read unpacked */
} lm_known_file;

typedef struct lm_known_set {
    const char *name;         /* of --data and of its folder */
    const char *const *parts; /* "emnist-letters" is one of "emnist"; NULL: none */
    const char *title;        /* as its authors call it */
    const char *about;        /* a few words */
    int64_t images[LM_N_SPLITS];
    int width, height, channels; /* width and height 0: images differ */
    int classes;                 /* 0: no labels */
    const char *terms;           /* licence, or what its authors ask for */
    const char *home;
    const char *how; /* how to come by it where that is not by URL, else NULL */
    const lm_known_file *files;
    int n_files;
} lm_known_set;

extern const lm_known_set lm_known_sets[]; /* ended by name NULL */

/* NULL: not one of them. */
const lm_known_set *lm_known_find(const char *name);
/* Also finds the set of NAME-PART, and sets *part, else to NULL. */
const lm_known_set *lm_known_find_part(const char *name, const char **part);
/* Of all images, and of all files whose size is known. */
int64_t lm_known_images(const lm_known_set *set);
int64_t lm_known_bytes(const lm_known_set *set);

/* The folder in which named sets are looked for: $LIMN_DATA, else the XDG data folder's
 * limn/. lm_free'd by the caller. */
lm_status lm_data_folder(char **path);
/* The XDG data folder's limn/, whatever $LIMN_DATA says. */
lm_status lm_user_data_folder(char **path);

typedef enum lm_presence {
    LM_PRESENCE_NONE,
    LM_PRESENCE_PART,  /* some of its files, or one half transferred */
    LM_PRESENCE_OTHER, /* a folder with other files than those of the table */
    LM_PRESENCE_WHOLE  /* every file, by name and size */
} lm_presence;

/* What `folder` holds of a set; nothing is read but names and sizes. */
lm_status lm_known_presence(const lm_known_set *set, const char *folder,
                            lm_presence *presence);

#endif
