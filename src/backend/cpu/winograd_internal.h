/* What the forward pass and the weights' gradient share. Private to winograd*.c. */
#ifndef LIMN_BACKEND_CPU_WINOGRAD_INTERNAL_H
#define LIMN_BACKEND_CPU_WINOGRAD_INTERNAL_H

#include "backend/cpu/winograd.h"

/* A unit: `cols` tiles from (row, col) of a sample; `tile` numbers its first among all.
 */
typedef struct lm_wino_place {
    int64_t sample, row, col, tile;
    int cols;
} lm_wino_place;
lm_wino_place lm_wino_find(const lm_wino_plan *plan, int64_t unit);
int64_t lm_wino_blocks(const lm_wino_plan *plan);
/* Units of the block that starts at `first`, and their tiles. */
int64_t lm_wino_block_units(const lm_wino_plan *plan, int64_t first);
int64_t lm_wino_block_tiles(const lm_wino_plan *plan, int64_t first);

/* What is cut into tiles of edge x edge pixels: inputs (6) or gradients (4), some of
 * their channels. */
typedef struct lm_wino_source {
    const float *data;
    const lm_wino_image *image;
    int edge;
    int64_t first, channels;
    const float *norm; /* lm_wino_around's, as the activation */
    lm_wino_act act;
} lm_wino_source;

/* Transformed tiles: channel c of the source's of tile t is at data[plane * p + c /
 * ops->panel * panel + t * tile + c % ops->panel]. */
typedef struct lm_wino_planes {
    float *data;
    ptrdiff_t plane, panel, tile;
} lm_wino_planes;

/* The most units that are transformed by way of one strip, and its size. */
int64_t lm_wino_chunk(const lm_wino_plan *plan);
size_t lm_wino_strip_floats(const lm_wino_plan *plan);
/* Transforms the tiles of some units, the first of which becomes number `tile`. */
void lm_wino_transform(const lm_wino_plan *plan, const lm_wino_source *source,
                       int64_t first, int64_t units, int64_t tile,
                       const lm_wino_planes *to, float *strip);

/* Looks ahead, as range i, to channels from..from+width of what units first..first+count
 * need of an image, during `tiles` register tiles. */
typedef struct lm_wino_slice {
    int64_t first, count, from, width;
} lm_wino_slice;
void lm_wino_look_ahead(const lm_wino_plan *plan, const lm_wino_image *image,
                        const float *data, const lm_wino_slice *slice, int64_t tiles,
                        lm_wino_ahead *ahead, int i);

/* The width of the panel that starts at `start`. */
int lm_wino_panel(const lm_wino_plan *plan, int64_t columns, int64_t start);

#endif
