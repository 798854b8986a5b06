#include "backend/cpu/strided.h"
#include "backend/cpu/rows.h"

#include <string.h>

enum {
    CHUNK = 1 << 13, /* elements that one task moves, about */
    TILE = 32        /* of a transposition: 32 lines of both sides stay in L1 */
};

void lm_strided_contiguous(lm_shape shape, int64_t *stride) {
    int64_t count = 1;
    for (int i = shape.rank - 1; i >= 0; i--) {
        stride[i] = count;
        count *= shape.dim[i];
    }
}

lm_strided lm_strided_make(lm_shape shape, lm_dtype dtype) {
    lm_strided copy = {.rank = shape.rank, .element = lm_dtype_size(dtype)};
    memcpy(copy.size, shape.dim, sizeof shape.dim);
    lm_strided_contiguous(shape, copy.to);
    lm_strided_contiguous(shape, copy.from);
    return copy;
}

static void set_axis(lm_strided *copy, int axis, int64_t size, int64_t to, int64_t from) {
    copy->size[axis] = size;
    copy->to[axis] = to;
    copy->from[axis] = from;
}

void lm_strided_simplify(lm_strided *copy) {
    int rank = 0;
    for (int i = 0; i < copy->rank; i++) {
        int64_t size = copy->size[i], to = copy->to[i], from = copy->from[i];
        int last = rank - 1;
        if (size == 1) continue;
        if (rank > 0 && copy->to[last] == size * to && copy->from[last] == size * from)
            set_axis(copy, last, copy->size[last] * size, to, from);
        else
            set_axis(copy, rank++, size, to, from);
    }
    if (rank == 0) set_axis(copy, rank++, 1, 1, 1);
    copy->rank = rank;
}

/* ---- blocks: the last two axes ----------------------------------------------- */

/* Rows are positions along the axis before the last, columns along the last. */
typedef struct block {
    int64_t rows, cols, to_row, to_col, from_row, from_col;
    size_t element;
} block;

typedef void block_fn(const block *b, void *to, const void *from);

static void copy_byte_rows(const block *b, void *to, const void *from) {
    int64_t e = (int64_t)b->element;
    for (int64_t i = 0; i < b->rows; i++)
        memcpy((char *)to + i * b->to_row * e, (const char *)from + i * b->from_row * e,
               (size_t)(b->cols * e));
}

static void copy_rows(const block *b, void *to, const void *from) {
    lm_cpu_rows()->copy(to, b->to_row, from, b->from_row, b->rows, b->cols, false);
}

/* Rows that who reads them will not find in the cache. */
static void stream_rows(const block *b, void *to, const void *from) {
    lm_cpu_rows()->copy(to, b->to_row, from, b->from_row, b->rows, b->cols, true);
    lm_stream_end();
}

static void zero_rows(const block *b, void *to, const void *from) {
    int64_t e = (int64_t)b->element;
    for (int64_t i = 0; i < b->rows; i++)
        memset((char *)to + i * b->to_row * e, 0, (size_t)(b->cols * e));
}

#define COPY_ELEMENTS(name, type)                                                        \
    static void name(const block *b, void *to, const void *from) {                       \
        for (int64_t i = 0; i < b->rows; i++) {                                          \
            type *restrict y = (type *)to + i * b->to_row;                               \
            const type *restrict x = (const type *)from + i * b->from_row;               \
            for (int64_t k = 0; k < b->cols; k++) y[k * b->to_col] = x[k * b->from_col]; \
        }                                                                                \
    }
COPY_ELEMENTS(copy_bytes, uint8_t)
COPY_ELEMENTS(copy_words, uint32_t)
#undef COPY_ELEMENTS

#define ZERO_ELEMENTS(name, type)                                                        \
    static void name(const block *b, void *to, const void *from) {                       \
        for (int64_t i = 0; i < b->rows; i++) {                                          \
            type *y = (type *)to + i * b->to_row;                                        \
            for (int64_t k = 0; k < b->cols; k++) y[k * b->to_col] = 0;                  \
        }                                                                                \
    }
ZERO_ELEMENTS(zero_bytes, uint8_t)
ZERO_ELEMENTS(zero_words, uint32_t)
#undef ZERO_ELEMENTS

static int64_t at_most(int64_t a, int64_t most) {
    return a < most ? a : most;
}

/* Rows are contiguous in `from`, columns in `to`. */
static void copy_transposed(const block *b, void *to, const void *from) {
    const lm_rows *kernels = lm_cpu_rows();
    for (int64_t k = 0; k < b->cols; k += TILE)
        for (int64_t i = 0; i < b->rows; i += TILE)
            kernels->transpose((float *)to + i * b->to_row + k, b->to_row,
                               (const float *)from + k * b->from_col + i, b->from_col,
                               at_most(b->rows - i, TILE), at_most(b->cols - k, TILE));
}

/* Brings the axis that is contiguous in `from` before the last one; false: there is none,
 * or `to` is not contiguous along the last. */
static bool find_transposition(lm_strided *copy) {
    int last = copy->rank - 1;
    if (copy->element != 4 || copy->to[last] != 1) return false;
    for (int i = 0; i < last; i++) {
        if (copy->from[i] != 1) continue;
        int64_t size = copy->size[i], to = copy->to[i];
        set_axis(copy, i, copy->size[last - 1], copy->to[last - 1], copy->from[last - 1]);
        set_axis(copy, last - 1, size, to, 1);
        return true;
    }
    return false;
}

/* All rows begin where one of the machine's vectors can. */
static bool may_stream(const lm_strided *copy, const void *to) {
    int last = copy->rank - 1;
    int64_t count = copy->size[last], strides = copy->size[last];
    for (int i = 0; i < last; i++) {
        count *= copy->size[i];
        strides |= copy->to[i];
    }
    return count * (int64_t)sizeof(float) >= LM_STREAM_BYTES &&
           lm_may_stream((const float *)to + copy->to_start, strides);
}

static block_fn *choose_block(lm_strided *copy, const void *to, bool zero) {
    int last = copy->rank - 1;
    if (zero && copy->to[last] == 1) return zero_rows;
    if (zero) return copy->element == 1 ? zero_bytes : zero_words;
    if (copy->to[last] == 1 && copy->from[last] == 1 && copy->size[last] >= 4)
        return copy->element != sizeof(float) ? copy_byte_rows
               : may_stream(copy, to)         ? stream_rows
                                              : copy_rows;
    if (find_transposition(copy)) return copy_transposed;
    return copy->element == 1 ? copy_bytes : copy_words;
}

/* ---- all blocks -------------------------------------------------------------- */

/* One long row becomes many, with a remainder that is moved apart. */
static int64_t split_row(lm_strided *copy) {
    int64_t n = copy->size[0], to = copy->to[0], from = copy->from[0];
    int64_t chunk = n < CHUNK ? n : CHUNK;
    set_axis(copy, 0, n / chunk, chunk * to, chunk * from);
    set_axis(copy, 1, chunk, to, from);
    copy->rank = 2;
    return n % chunk;
}

/* Rows that a task takes: a chunk's worth, whole tiles. */
static int64_t rows_of_task(const lm_strided *copy) {
    int64_t rows = CHUNK / copy->size[copy->rank - 1];
    rows = at_most((rows + TILE - 1) / TILE * TILE, copy->size[copy->rank - 2]);
    return rows < 1 ? 1 : rows;
}

static void run_blocks(const lm_strided *copy, block_fn *run, char *to,
                       const char *from) {
    int a = copy->rank - 2;
    int64_t step = rows_of_task(copy), e = (int64_t)copy->element;
    int64_t per_axis = (copy->size[a] + step - 1) / step, tasks = per_axis;
    block whole = {copy->size[a], copy->size[a + 1], copy->to[a],  copy->to[a + 1],
                   copy->from[a], copy->from[a + 1], copy->element};
    for (int i = 0; i < a; i++) tasks *= copy->size[i];
#pragma omp parallel for schedule(static) if (tasks > 1)
    for (int64_t task = 0; task < tasks; task++) {
        int64_t first = task % per_axis * step, rest = task / per_axis;
        int64_t at_to = copy->to_start + first * whole.to_row;
        int64_t at_from = copy->from_start + first * whole.from_row;
        for (int i = a - 1; i >= 0; i--) {
            at_to += rest % copy->size[i] * copy->to[i];
            at_from += rest % copy->size[i] * copy->from[i];
            rest /= copy->size[i];
        }
        block part = whole;
        part.rows = at_most(whole.rows - first, step);
        run(&part, to + at_to * e, from ? from + at_from * e : NULL);
    }
}

void lm_strided_run(const lm_strided *plan, void *to, const void *from) {
    lm_strided copy = *plan;
    int64_t remainder = copy.rank == 1 ? split_row(&copy) : 0;
    block_fn *run = choose_block(&copy, to, !from);
    run_blocks(&copy, run, to, from);
    if (remainder == 0) return;
    copy.to_start += copy.size[0] * copy.to[0];
    copy.from_start += copy.size[0] * copy.from[0];
    copy.size[0] = 1;
    copy.size[1] = remainder;
    run_blocks(&copy, run, to, from);
}
