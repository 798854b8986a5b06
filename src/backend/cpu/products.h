/* Register tiles of matrix products, for files of isa_files. A tile of the result stays
 * in registers over the whole sum; vectors run over columns, elements of the left factor
 * are broadcast. */
#ifndef LIMN_BACKEND_CPU_PRODUCTS_H
#define LIMN_BACKEND_CPU_PRODUCTS_H

#include "backend/cpu/simd.h"
#include "backend/cpu/wino_ops.h"

/* Panels of LM_TILE_VECTORS vectors by LM_TILE_WIDE rows, and narrower ones by
 * LM_TILE_NARROW. */
#if defined(__AVX512F__)
enum { LM_TILE_VECTORS = 4, LM_TILE_WIDE = 6, LM_TILE_NARROW = 12 };
#else
enum { LM_TILE_VECTORS = 2, LM_TILE_WIDE = 6, LM_TILE_NARROW = 6 };
#endif

/* c = start + a b, written past the cache if `stream`; start NULL for none; a's element
 * (r, k) at a[r * ar + k * ak], row r of start at start + r * ldstart. A register's worth
 * of memory from `next` on is asked for with each term, up to a tile: what the next tile
 * starts with; or NULL. */
LM_VM_MATH void lm_tile_product(float *c, ptrdiff_t ldc, const float *start,
                                ptrdiff_t ldstart, const float *a, ptrdiff_t ar,
                                ptrdiff_t ak, const float *b, ptrdiff_t ldb, int depth,
                                const int rows, const int vectors, bool stream,
                                const float *next) {
    const float *end = next ? next + rows * vectors * LM_LANES : NULL;
    lm_vec sum[LM_TILE_NARROW][LM_TILE_VECTORS] = {0};
    if (start) {
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
            for (int j = 0; j < vectors; j++)
                sum[r][j] = lm_vec_load(start + r * ldstart + j * LM_LANES);
    }
    for (int k = 0; k < depth; k++, a += ak, b += ldb) {
        if (next < end) __builtin_prefetch(next, 1, 3), next += LM_LANES;
        lm_vec column[LM_TILE_VECTORS];
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++) column[j] = lm_vec_load(b + j * LM_LANES);
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
            for (int j = 0; j < vectors; j++) sum[r][j] += a[r * ar] * column[j];
    }
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++)
            if (stream)
                lm_vec_stream(c + r * ldc + j * LM_LANES, sum[r][j]);
            else
                lm_vec_store(c + r * ldc + j * LM_LANES, sum[r][j]);
}

/* What one register tile brings into the cache; ahead may be NULL. */
LM_VM_MATH void lm_fetch_ahead(lm_wino_ahead *ahead) {
    if (!ahead) return;
    for (int i = 0; i < LM_WINO_RANGES; i++) {
        const char *at = ahead->range[i].at, *end = ahead->range[i].end;
        for (int64_t n = ahead->range[i].step; n > 0 && at < end; n--) {
            for (ptrdiff_t line = 0; line < ahead->range[i].piece; line += LM_CACHE_LINE)
                __builtin_prefetch(at + line, 0, 2);
            at += ahead->range[i].pitch;
        }
        ahead->range[i].at = at;
    }
}

#endif
