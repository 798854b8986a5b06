/* Sheets of samples. */
#ifndef LIMN_TRAIN_SHEET_H
#define LIMN_TRAIN_SHEET_H

#include "eval/source.h"

/* A PNG of `count` images of the source: a near square, or, when they have more than one
 * label, a row a class. `text` becomes the picture's comment. */
lm_status lm_sheet_write(const lm_image_source *source, const uint8_t *pixels,
                         const int32_t *labels, int64_t count, const char *path,
                         const char *text);

#endif
