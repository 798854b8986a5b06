/* B' of Winograd's F(4, 3) with the points 0, 1, -1, 2, -2 and infinity along one axis,
 * for files of isa_files. */
#ifndef LIMN_BACKEND_CPU_WINO_ROWS_H
#define LIMN_BACKEND_CPU_WINO_ROWS_H

#include "backend/cpu/simd.h"

/* Rows 1, 2; rows 3, 4; rows 0, 5. In pairs, so that a pair of rows for all six columns
 * of a tile stays in registers. */
LM_VM_MATH void lm_wino_input_pair_1(const lm_vec d[6], lm_vec *a, lm_vec *b) {
    lm_vec even = d[4] - 4 * d[2], odd = d[3] - 4 * d[1];
    *a = even + odd;
    *b = even - odd;
}

LM_VM_MATH void lm_wino_input_pair_2(const lm_vec d[6], lm_vec *a, lm_vec *b) {
    lm_vec even = d[4] - d[2], odd = d[3] - d[1];
    *a = even + 2 * odd;
    *b = even - 2 * odd;
}

LM_VM_MATH void lm_wino_input_ends(const lm_vec d[6], lm_vec *a, lm_vec *b) {
    *a = 4 * d[0] + (d[4] - 5 * d[2]);
    *b = 4 * d[1] + (d[5] - 5 * d[3]);
}

LM_VM_MATH void lm_wino_input_row(const lm_vec d[6], lm_vec out[6]) {
    lm_wino_input_ends(d, &out[0], &out[5]);
    lm_wino_input_pair_1(d, &out[1], &out[2]);
    lm_wino_input_pair_2(d, &out[3], &out[4]);
}

#endif
