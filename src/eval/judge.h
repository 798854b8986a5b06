/* Judges: classifiers whose features and logits say what images are worth. A judge is one
 * safetensors file: the averaged weights in f16, and in its metadata what made them.
 *
 * What identifies it is the SHA-256 of the input's size and of the weights, by which all
 * that it computes is determined (lm_judge_hash): metadata may be edited without making
 * another judge of it. Files are read as if somebody meant harm. */
#ifndef LIMN_EVAL_JUDGE_H
#define LIMN_EVAL_JUDGE_H

#include "data/data.h"
#include "data/digest.h"
#include "families/family.h"

typedef struct lm_judge lm_judge;

/* What a judge is known by, beside its weights. All text is owned. */
typedef struct lm_judge_card {
    char *set;     /* that it has learned from, by the dataset's name: "mnist" */
    char *preset;  /* of the classifier */
    char *version; /* of the program that made it */
    uint64_t data_hash, seed;
    int64_t steps, images;   /* of training */
    int64_t tested, correct; /* images of the test split; 0: not tested */
    char **class_names;      /* [n_names], or NULL: numbers */
    int n_names;
} lm_judge_card;
void lm_judge_card_release(lm_judge_card *card);
/* The names of a set's classes; nothing where it has none. */
lm_status lm_judge_card_name(lm_judge_card *card, const lm_dataset *set);

/* A judge of a family that classifies, by the weights f32[model->groups[0]->count], which
 * are rounded to f16. Takes over model and card. LM_NUMERIC: a weight that f16 cannot
 * hold. */
lm_status lm_judge_new(lm_model *model, const float *weights, lm_judge_card *card,
                       lm_judge **judge);
void lm_judge_free(lm_judge *judge);

lm_status lm_judge_write(const lm_judge *judge, const char *path);
lm_status lm_judge_read(const char *path, lm_judge **judge);
/* From memory; `name` is for messages. */
lm_status lm_judge_parse(const void *data, size_t size, const char *name,
                         lm_judge **judge);

/* By NAME: one that the program holds, else one in the folders of judges (below); or by
 * the path of a file, or of a run with a judge.safetensors in it. NULL: by `set`, the
 * name of the images' set, as lm_judge_name has it. LM_NOT_FOUND says which there are. */
lm_status lm_judge_open(const char *argument, const char *set, lm_judge **judge);

/* The name of the judge for a set: "builtin:digits?size=32" -> "digits". Options that
 * change labels become a part of it: "mnist?classes=3,5" -> "mnist-3-5". lm_free'd by the
 * caller; NULL: no memory. */
char *lm_judge_name(const char *set);

/* Whether the program holds one of this name, which is then found before others. */
bool lm_judge_is_shipped(const char *name);

/* Writes NAME.safetensors into the first folder of judges that can be written, which are
 * judges/ in $LIMN_DATA, then in the XDG data folder's limn/. *path, lm_free'd by the
 * caller, says where. */
lm_status lm_judge_install(const lm_judge *judge, const char *name, char **path);

const lm_model *lm_judge_model(const lm_judge *judge);
const lm_judge_card *lm_judge_get_card(const lm_judge *judge);
/* What testing it has shown, for the card. */
void lm_judge_set_tested(lm_judge *judge, int64_t tested, int64_t correct);
/* SHA-256 in hexadecimal digits of the line "HEIGHTxWIDTHxCHANNELS\n" and, for each
 * tensor in the network's order, the line "NAME [SHAPE]\n" and its little-endian f16
 * values. */
const char *lm_judge_hash(const lm_judge *judge);
int lm_judge_dim(const lm_judge *judge);
int lm_judge_batch(const lm_judge *judge); /* images that it likes to have at once */

/* What becomes of images that are not as the judge's own: Pillow's bicubic filter, with
 * antialiasing, to its height and width; then luma, or grey as colour. */
const char *lm_judge_input(const lm_judge *judge);

/* One image of any size as the judge wants it. */
lm_status lm_judge_fit(const lm_judge *judge, const lm_image *from, uint8_t *to);
/* count images u8[height][width][channels] of any size, channels 1 or 3, to features
 * f32[count][dim] and logits f32[count][classes]; either may be NULL. For one thread. */
lm_status lm_judge_look(lm_judge *judge, const uint8_t *pixels, int64_t count, int height,
                        int width, int channels, float *features, float *logits);

#endif
