/* Constant sparse matrices of a graph. */
#include "base/mem.h"
#include "graph/graph_internal.h"
#include <string.h>

/* Columns ascend strictly within a row, so that a matrix has one form only and
 * transposing twice gives it back. */
static lm_status check_sparse(const lm_sparse *m) {
    LM_RETURN_IF(m->rows < 1 || m->cols < 1 || m->nnz < 0, LM_ARG,
                 "sparse matrix: %d by %d with %d entries", (int)m->rows, (int)m->cols,
                 (int)m->nnz);
    LM_RETURN_IF(m->row_start[0] != 0 || m->row_start[m->rows] != m->nnz, LM_ARG,
                 "sparse matrix: rows start at %d and end at %d, expected 0 and %d",
                 (int)m->row_start[0], (int)m->row_start[m->rows], (int)m->nnz);
    for (int32_t r = 0; r < m->rows; r++)
        LM_RETURN_IF(m->row_start[r] > m->row_start[r + 1], LM_ARG,
                     "sparse matrix: row %d ends before it starts", (int)r);
    for (int32_t r = 0; r < m->rows; r++)
        for (int32_t i = m->row_start[r], last = -1; i < m->row_start[r + 1]; i++) {
            LM_RETURN_IF(m->col[i] <= last || m->col[i] >= m->cols, LM_ARG,
                         "sparse matrix: row %d has column %d after %d, of %d columns",
                         (int)r, (int)m->col[i], (int)last, (int)m->cols);
            last = m->col[i];
        }
    return LM_OK;
}

/* The matrix with these interned arrays, made when it is new. */
static lm_sparse *find_or_add(lm_graph *g, const lm_sparse *want) {
    for (int i = 0; i < g->n_matrices; i++) {
        lm_sparse *have = g->matrices[i];
        if (have->rows == want->rows && have->cols == want->cols &&
            have->row_start == want->row_start && have->col == want->col &&
            have->value == want->value)
            return have;
    }
    if (!lm_graph_grow(g, &g->matrices, g->n_matrices, &g->matrices_capacity,
                       sizeof *g->matrices))
        return NULL;
    lm_sparse *made = lm_arena_copy(&g->arena, want, sizeof *want);
    if (!made) return lm_graph_record(g, LM_NOMEM);
    return g->matrices[g->n_matrices++] = made;
}

const lm_sparse *lm_sparse_intern(lm_graph *g, const lm_sparse *m) {
    if (!m || g->status != LM_OK) return NULL;
    for (int i = 0; i < g->n_matrices; i++)
        if (g->matrices[i] == m) return g->matrices[i];
    lm_status status = check_sparse(m);
    if (status != LM_OK) return (void *)lm_graph_fail(g, status, "%s", lm_message());
    lm_sparse want = {.rows = m->rows, .cols = m->cols, .nnz = m->nnz};
    want.row_start = lm_intern_bytes(&g->bytes, &g->arena, m->row_start,
                                     ((size_t)m->rows + 1) * sizeof *m->row_start);
    want.col =
        lm_intern_bytes(&g->bytes, &g->arena, m->col, (size_t)m->nnz * sizeof *m->col);
    want.value = lm_intern_bytes(&g->bytes, &g->arena, m->value,
                                 (size_t)m->nnz * sizeof *m->value);
    if (!want.row_start || !want.col || !want.value) return lm_graph_record(g, LM_NOMEM);
    return find_or_add(g, &want);
}

/* Counting sort of the entries by column. */
static void fill_transpose(const lm_sparse *m, int32_t *start, int32_t *col,
                           float *value) {
    memset(start, 0, ((size_t)m->cols + 2) * sizeof *start);
    for (int32_t i = 0; i < m->nnz; i++) start[m->col[i] + 2]++;
    for (int32_t c = 0; c < m->cols; c++) start[c + 2] += start[c + 1];
    /* start[c + 1] is where column c begins; it moves to its end as entries go in. */
    for (int32_t r = 0; r < m->rows; r++)
        for (int32_t i = m->row_start[r]; i < m->row_start[r + 1]; i++) {
            int32_t to = start[m->col[i] + 1]++;
            col[to] = r;
            value[to] = m->value[i];
        }
}

const lm_sparse *lm_sparse_transpose(lm_graph *g, const lm_sparse *matrix) {
    lm_sparse *m = (lm_sparse *)lm_sparse_intern(g, matrix);
    if (!m || m->transpose) return m ? m->transpose : NULL;
    size_t nnz = (size_t)m->nnz;
    int32_t *start = lm_alloc(((size_t)m->cols + 2) * sizeof *start);
    int32_t *col = lm_alloc(nnz * sizeof *col);
    float *value = lm_alloc(nnz * sizeof *value);
    lm_sparse *made = NULL;
    if (start && col && value) {
        fill_transpose(m, start, col, value);
        lm_sparse want = {m->cols, m->rows, m->nnz, start, col, value, NULL};
        made = (lm_sparse *)lm_sparse_intern(g, &want);
    } else {
        lm_graph_record(g, LM_NOMEM);
    }
    lm_free(start);
    lm_free(col);
    lm_free(value);
    if (!made) return NULL;
    made->transpose = m;
    return m->transpose = made;
}
