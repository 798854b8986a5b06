/* Points of a plane as dots, coloured by class, with axes and a legend. */
#ifndef LIMN_IMAGE_SCATTER_H
#define LIMN_IMAGE_SCATTER_H

#include "image/image.h"

typedef struct lm_scatter {
    const float *points; /* [count][2], x to the right and y up */
    int64_t count;
    const int32_t *labels; /* [count], 0 .. classes - 1; others are grey; NULL: all */
    int classes;
    const char *const *names; /* [classes]; NULL: numbers */
    const char *title, *x_name, *y_name;
} lm_scatter;

/* The axes have one scale and 0 in their middle; all points but one in a thousand lie
 * between their ends, at least those within -1 to 1. What lies beyond, or is not finite,
 * is not drawn. */
lm_status lm_scatter_draw(const lm_scatter *scatter, lm_image *out);

/* The end of such axes. */
double lm_scatter_range(const lm_scatter *scatter);

#endif
