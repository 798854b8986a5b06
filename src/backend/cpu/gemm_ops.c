/* Products with a packed panel; a file of isa_files. */
#include "backend/cpu/gemm_ops.h"

#include "backend/cpu/products.h"

/* The lines that a tile will write come while it is computed. */
LM_VM_MATH void fetch_result(float *c, ptrdiff_t ldc, int rows, const int vectors) {
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int j = 0; j < vectors * LM_LANES; j += LM_CACHE_LINE / (int)sizeof *c)
            __builtin_prefetch(c + r * ldc + j, 1, 3);
}

/* A tile of any height up to the most; each is code of its own. */
LM_VM_MATH void multiply_tile(const lm_gemm_product *p, int first, int rows,
                              const int vectors) {
    const float *a = p->a + first * p->row;
    const float *start = p->start ? p->start + first * p->ldstart : NULL;
    float *c = p->c + first * p->ldc;
    if (!p->stream) fetch_result(c, p->ldc, rows, vectors);
#define TILE(height)                                                                     \
    case height:                                                                         \
        lm_tile_product(c, p->ldc, start, p->ldstart, a, p->row, p->term, p->b,          \
                        vectors *LM_LANES, p->depth, height, vectors, p->stream, NULL);  \
        return
    switch (rows) {
        TILE(1);
        TILE(2);
        TILE(3);
        TILE(4);
        TILE(5);
        TILE(6);
    }
#if defined(__AVX512F__)
    if (vectors == LM_TILE_VECTORS) return;
    switch (rows) {
        TILE(7);
        TILE(8);
        TILE(9);
        TILE(10);
        TILE(11);
        TILE(12);
    }
#endif
#undef TILE
}

/* Tiles of nearly equal height. */
LM_VM_MATH void multiply_panel(const lm_gemm_product *p, lm_wino_ahead *ahead,
                               const int most, const int vectors) {
    int tiles = (p->rows + most - 1) / most, height = p->rows / tiles;
    int higher = p->rows % tiles;
    for (int t = 0, first = 0, rows; t < tiles; t++, first += rows) {
        rows = height + (t < higher);
        lm_fetch_ahead(ahead);
        multiply_tile(p, first, rows, vectors);
    }
}

static void multiply(const lm_gemm_product *p, lm_wino_ahead *ahead) {
    if (p->width == LM_TILE_VECTORS * LM_LANES)
        multiply_panel(p, ahead, LM_TILE_WIDE, LM_TILE_VECTORS);
    else if (p->width == 2 * LM_LANES)
        multiply_panel(p, ahead, LM_TILE_NARROW, 2);
    else
        multiply_panel(p, ahead, LM_TILE_NARROW, 1);
}

const lm_gemm_ops LM_ISA_NAME(lm_gemm_ops) = {.lanes = LM_LANES,
                                              .panel = LM_TILE_VECTORS * LM_LANES,
                                              .rows = LM_TILE_NARROW,
                                              .multiply = multiply};
