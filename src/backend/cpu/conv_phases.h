/* What the passes of conv_phases*.c share: windows, and where weights and panels lie. */
#ifndef LIMN_BACKEND_CPU_CONV_PHASES_H
#define LIMN_BACKEND_CPU_CONV_PHASES_H

#include "backend/cpu/conv.h"
#include "backend/cpu/phase_ops.h"
#include "backend/cpu/subpixel_ops.h"
#include "backend/cpu/wino_ops.h"

enum {
    LM_PHASES = 4,
    LM_PHASE_SKEW = 16, /* floats; planes a power of two apart would share cache sets */
    LM_PHASE_LEAST_TILES = 48,
    LM_PHASE_MOST_TILES = 384,
    LM_PHASE_MOST_LANES = 16
};

/* What is cut into windows, one a tile: `edge` pixels wide, from `origin` plus `scale`
 * times the tile's first output; `width` is its channels in whole vectors. */
typedef struct lm_phase_source {
    int64_t size[2], channels, width, origin[2], scale;
    int edge;
} lm_phase_source;

typedef struct lm_phases {
    const lm_phase_ops *ops;
    const lm_subpixel_ops *back; /* for dx in place of them; else NULL */
    const lm_wino_ops *products;
    lm_dnnl_conv conv;
    lm_phase_source in, gradient; /* gradient: dy, for the weights' */
    int offset[LM_PHASES][2];     /* of a phase's first pixel in a window of `in` */
    int64_t grid[2], tiles;
    int64_t whole[2];              /* the first tiles of each axis, LM_PHASE_OUT wide */
    int64_t chunk;                 /* tiles that are transformed before they are used */
    int64_t parts, depth, columns; /* products a plane; rows and columns of its weights */
    int64_t share;                 /* gradient: filters of one item of work */
    bool alone;                    /* forward, dx: threads take columns, not tiles */
    int threads;
    struct {
        int64_t packed, planes, gradients, window, area;
    } at; /* parts of the workspace, in floats: shared, then `area` for each thread */
} lm_phases;

/* What of a tile is transformed: `count` channels from `first`, whole vectors, of phase
 * `from` alone, or (phases 4, from 0) of all, side by side in each plane. For dx, whose
 * phases have one transform in common, always of all. */
typedef struct lm_phase_cut {
    int from, phases;
    int64_t first, count;
} lm_phase_cut;

/* A tile, and the first of its outputs along each axis. A narrow one has one less than
 * LM_PHASE_OUT. */
typedef struct lm_phase_place {
    int64_t sample, at[2];
    bool narrow[2];
} lm_phase_place;
lm_phase_place lm_phase_find(const lm_phases *s, int64_t tile);

/* Tiles in the order of their transforms: first those narrow in height, then whole ones,
 * those narrow in width, and in both. So those that need a product lie side by side.
 * start[k]: the first of the k-th of these sets; start[4]: how many in all. */
typedef struct lm_phase_chunk {
    int64_t tile[LM_PHASE_MOST_TILES], start[5];
} lm_phase_chunk;

/* Chunk of `count` tiles from `first`. */
void lm_phase_sort(const lm_phases *s, int64_t first, int64_t count,
                   lm_phase_chunk *chunk);

/* Which tiles of a chunk need product 0..LM_PHASE_PLANES of a part. */
typedef struct lm_phase_range {
    int64_t begin, end;
} lm_phase_range;
lm_phase_range lm_phase_need(const lm_phases *s, const lm_phase_chunk *chunk, int part,
                             int product);

void lm_phase_transform(const lm_phases *s, const float *image, int64_t tile,
                        const lm_phase_cut *cut, float *planes, int64_t plane,
                        float *scratch);
/* Filters first..first+count of a tile of dy. */
void lm_phase_transform_gradient(const lm_phases *s, const float *image, int64_t tile,
                                 int64_t first, int64_t count, float *planes,
                                 int64_t plane, float *scratch);

/* The plane of transformed inputs that a part has a product of, and how many there are.
 */
int lm_phase_factor(const lm_phases *s, int part, int product);
int lm_phase_factors(const lm_phases *s);

/* Where a tap of a phase lies in a filter; false: the kernel has no such tap. */
bool lm_phase_find_tap(const lm_phases *s, int phase, int tap, int64_t *offset);

/* Width and start of panels of `columns`, and how many there are. */
int lm_phase_panel(const lm_phases *s, int64_t col);
int64_t lm_phase_nth_panel(const lm_phases *s, int64_t n);
int64_t lm_phase_panels(const lm_phases *s);

/* Floats of one plane of `tiles` times `width`; products read whole groups of rows. */
static inline int64_t lm_phase_plane(const lm_phases *s, int64_t tiles, int64_t width) {
    return (tiles + s->products->rows) * width + LM_PHASE_SKEW;
}

/* Each lays out its workspace, after geometry and products are known. */
void lm_phase_plan_forward(lm_phases *s);
void lm_phase_plan_gradient(lm_phases *s);
lm_status lm_conv_phases_run(lm_kernel *kernel, const lm_kernel_args *args);
lm_status lm_conv_phases_gradient(lm_kernel *kernel, const lm_kernel_args *args);

#endif
