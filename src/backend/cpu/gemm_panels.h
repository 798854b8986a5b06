/* The right factor of an own product, packed panel by panel. */
#ifndef LIMN_BACKEND_CPU_GEMM_PANELS_H
#define LIMN_BACKEND_CPU_GEMM_PANELS_H

#include "backend/cpu/gemm_ops.h"

/* B[depth, n]: where its elements lie, and its packed copy. A panel that begins at column
 * col lies at col * depth of the copy as [depth][width]. */
typedef struct lm_gemm_panels {
    const lm_gemm_ops *ops;
    int64_t depth, n;
    int64_t columns;            /* n in whole vectors */
    ptrdiff_t b_term, b_column; /* from one term, one column to the next; one is 1 */
    float *packed;              /* once B is seen to last */
    uint64_t version;           /* of the B seen last */
} lm_gemm_panels;

/* The copy, columns * depth floats: `room`, or one that is kept for the next run where B
 * (`version`, kernel_args) is the one of the last. */
const float *lm_gemm_panels_find(lm_gemm_panels *panels, const float *b, uint64_t version,
                                 float *room, int threads);
void lm_gemm_panels_release(lm_gemm_panels *panels);

/* `depth` terms from b on of one panel; columns that do not exist are zero. */
void lm_gemm_pack_panel(const lm_gemm_panels *panels, const float *b, int64_t col,
                        int width, int64_t depth, float *panel);

/* Of the panel that begins at this column. */
static inline int lm_gemm_panel_width(const lm_gemm_panels *panels, int64_t col) {
    return lm_panel_width(panels->ops->panel, panels->columns - col);
}

#endif
