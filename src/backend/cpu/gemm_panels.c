#include "backend/cpu/gemm_panels.h"

#include "base/mem.h"

#include <string.h>

void lm_gemm_pack_panel(const lm_gemm_panels *panels, const float *b, int64_t col,
                        int width, int64_t depth, float *panel) {
    int count = (int)lm_least(width, panels->n - col);
    ptrdiff_t term = panels->b_term, column = panels->b_column;
    b += col * column;
    for (int64_t k = 0; k < depth; k++) {
        if (column == 1)
            memcpy(panel + k * width, b + k * term, (size_t)count * sizeof *panel);
        for (int j = count; j < width; j++) panel[k * width + j] = 0;
    }
    for (int j = 0; j < count && column != 1; j++)
        for (int64_t k = 0; k < depth; k++) panel[k * width + j] = b[k + j * column];
}

const float *lm_gemm_panels_find(lm_gemm_panels *panels, const float *b, uint64_t version,
                                 float *room, int threads) {
    int64_t depth = panels->depth, columns = panels->columns, widest = panels->ops->panel;
    bool same = version != 0 && version == panels->version;
    if (same && panels->packed) return panels->packed;
    if (same) panels->packed = lm_alloc_aligned((size_t)(columns * depth) * sizeof *room);
    float *to = panels->packed ? panels->packed : room;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t p = 0; p < (columns + widest - 1) / widest; p++) {
        int64_t col = p * widest, end = lm_least(col + widest, columns);
        for (int width; col < end; col += width) {
            width = lm_gemm_panel_width(panels, col);
            lm_gemm_pack_panel(panels, b, col, width, depth, to + col * depth);
        }
    }
    panels->version = version;
    return to;
}

void lm_gemm_panels_release(lm_gemm_panels *panels) {
    lm_free_aligned(panels->packed);
    panels->packed = NULL;
}
