/* A contact sheet: pictures of any sizes in rows of equal cells, with words. */
#ifndef LIMN_IMAGE_SHEET_H
#define LIMN_IMAGE_SHEET_H

#include "image/image.h"

typedef struct lm_sheet_cell {
    const lm_image *image; /* NULL: stays empty */
    const char *label;     /* below the picture, cut to the cell's width; NULL: none */
} lm_sheet_cell;

typedef struct lm_sheet {
    const lm_sheet_cell *cells; /* [rows][columns] */
    int rows, columns;
    const char *title;             /* above all; NULL: none */
    const char *const *row_labels; /* [rows], on the left; NULL: none */
} lm_sheet;

/* Draws the sheet in colour. Small pictures are enlarged by a whole number, large ones
 * shrunk to fit; those of one size stay alike. LM_ARG when it would be larger than a
 * picture can be. */
lm_status lm_sheet_draw(const lm_sheet *sheet, lm_image *out);

#endif
