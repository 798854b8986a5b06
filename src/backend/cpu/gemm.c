/* Own matrix products: packing, and who computes which part. */
#include "backend/cpu/gemm.h"

#include "backend/cpu/gemm_panels.h"
#include "backend/cpu/shares.h"
#include "base/threads.h"

#include <string.h>

enum {
    BLOCK_FLOATS = 1 << 14, /* of A at a time, while the next so many are fetched */
    BLOCKS_EACH = 4,        /* at least so many blocks for a thread */
    TERMS_FLOATS = 1 << 16, /* of A and B at a time in a deep product */
    LEAST_TERMS = 32,
    MOST_TERMS = 128,
    SUMS_FLOATS = 1 << 18, /* of all slices */
    LEAST_SLICE = 512,     /* terms */
    MOST_SLICES = 16,
    LEAST_LONG = 4096, /* with fewer rows or terms, oneDNN is as fast, */
    LEAST_SHORT = 16,  /* as it is with less than a vector or so on the other sides */
    LEAST_SUMS = 3072  /* and with smaller results of deep products */
};

typedef struct gemm_state {
    const lm_gemm_ops *ops;
    int64_t m, n, k;
    int64_t columns;         /* n in whole vectors */
    ptrdiff_t a_row, a_term; /* from one row, one term of a sum to the next */
    lm_gemm_panels b;
    bool bias;
    int threads;
    int64_t block;          /* rows of a tall, terms of a deep product */
    int64_t slices, shares; /* of a deep product: of its terms, of its rows */
    int64_t padded, areas;  /* in the workspace, in floats: bias; what threads have */
    int64_t area;           /* of one thread */
} gemm_state;

typedef struct gemm_run {
    const gemm_state *s;
    const float *a, *b, *bias; /* bias: whole vectors; NULL for none */
    float *c;
    bool stream; /* C goes past the cache */
} gemm_run;

/* ---- tall products ----------------------------------------------------------- */

/* Rows first..last of C. A panel that reaches over C's edge goes through `scratch`. */
static void multiply_rows(const gemm_run *run, int64_t first, int64_t last,
                          lm_wino_ahead *ahead, float *scratch) {
    const gemm_state *s = run->s;
    lm_gemm_product p = {.a = run->a + first * s->a_row,
                         .row = s->a_row,
                         .term = s->a_term,
                         .rows = (int)(last - first),
                         .depth = (int)s->k,
                         .stream = run->stream};
    for (int64_t col = 0; col < s->columns; col += p.width) {
        float *c = run->c + first * s->n + col;
        p.width = lm_gemm_panel_width(&s->b, col);
        p.b = run->b + col * s->k;
        p.start = run->bias ? run->bias + col : NULL;
        bool whole = col + p.width <= s->n;
        p.c = whole ? c : scratch;
        p.ldc = whole ? s->n : p.width;
        s->ops->multiply(&p, ahead);
        for (int64_t i = 0; i < p.rows && !whole; i++)
            memcpy(c + i * s->n, scratch + i * p.width, (size_t)(s->n - col) * sizeof *c);
    }
}

/* The next block's rows of A, a share with each register tile of this block. */
static lm_wino_ahead look_ahead(const gemm_run *run, int64_t first) {
    const gemm_state *s = run->s;
    int64_t rows = lm_least(s->block, s->m - first);
    lm_wino_ahead ahead = {0};
    if (s->a_term != 1 || rows <= 0) return ahead;
    int64_t tiles = s->block / s->ops->rows * ((s->columns - 1) / s->ops->panel + 1);
    lm_look_ahead(&ahead, 0, run->a + first * s->k, rows * s->k * (int64_t)sizeof(float),
                  tiles);
    return ahead;
}

static const float *pad_bias(const gemm_state *s, const float *bias, float *padded) {
    if (!bias || s->n == s->columns) return bias;
    memcpy(padded, bias, (size_t)s->n * sizeof *padded);
    for (int64_t j = s->n; j < s->columns; j++) padded[j] = 0;
    return padded;
}

static lm_status run_tall(lm_kernel *kernel, const lm_kernel_args *args) {
    gemm_state *s = kernel->state;
    float *workspace = args->workspace;
    const float *bias = s->bias ? args->in[2] : NULL;
    gemm_run run = {
        s,
        args->in[0],
        lm_gemm_panels_find(&s->b, args->in[1], args->version[1], workspace, s->threads),
        pad_bias(s, bias, workspace + s->padded),
        args->out[0],
        false};
    run.stream = s->m * s->n * (int64_t)sizeof(float) >= LM_STREAM_BYTES &&
                 lm_may_stream(run.c, s->n);
    lm_shares blocks;
    lm_shares_init(&blocks, (s->m + s->block - 1) / s->block, s->threads);
#pragma omp parallel num_threads(s->threads)
    {
        float *scratch = workspace + s->areas + omp_get_thread_num() * s->area;
        LM_SHARES_EACH (&blocks, i) {
            int64_t first = i * s->block, last = lm_least(first + s->block, s->m);
            lm_wino_ahead ahead = look_ahead(&run, last);
            multiply_rows(&run, first, last, &ahead, scratch);
        }
        lm_stream_end();
    }
    return LM_OK;
}

static void plan_tall(gemm_state *s) {
    int64_t rows = lm_least(BLOCK_FLOATS / s->k, s->m / (BLOCKS_EACH * s->threads));
    s->block = lm_round_up(rows > 1 ? rows : 1, s->ops->rows);
    s->padded = s->columns * s->k;
    s->areas = s->padded + s->columns;
    s->area = s->n < s->columns ? lm_round_up(s->block * s->ops->panel, 16) : 0;
}

/* ---- deep products ----------------------------------------------------------- */

/* The next terms of both factors, where they lie in one piece. */
static lm_wino_ahead look_deeper(const gemm_run *run, int64_t term, int64_t end,
                                 int64_t rows) {
    const gemm_state *s = run->s;
    lm_wino_ahead ahead = {0};
    int64_t tiles = (rows / s->ops->rows + 1) * ((s->columns - 1) / s->ops->panel + 1);
    const float *from[] = {run->a + term * s->a_term, run->b + term * s->b.b_term};
    ptrdiff_t step[] = {s->a_row == 1 ? s->a_term : 0,
                        s->b.b_column == 1 ? s->b.b_term : 0};
    for (int i = 0; i < 2; i++) {
        int64_t bytes = lm_least(s->block, end - term) * step[i] * (int64_t)sizeof(float);
        if (bytes > 0) lm_look_ahead(&ahead, i, from[i], bytes, tiles);
    }
    return ahead;
}

/* Sums of a slice of the terms for a share of the rows: [panel][m][width]. */
static void sum_slice(const gemm_run *run, int64_t slice, int64_t share, float *sums,
                      float *packed) {
    const gemm_state *s = run->s;
    int64_t begin = s->k * slice / s->slices, end = s->k * (slice + 1) / s->slices;
    int64_t first = s->m * share / s->shares, last = s->m * (share + 1) / s->shares;
    lm_gemm_product p = {.row = s->a_row, .term = s->a_term, .rows = (int)(last - first)};
    for (int64_t term = begin; term < end; term += p.depth) {
        p.depth = (int)lm_least(s->block, end - term);
        p.a = run->a + first * s->a_row + term * s->a_term;
        p.b = packed;
        lm_wino_ahead ahead = look_deeper(run, term + p.depth, end, p.rows);
        for (int64_t col = 0; col < s->columns; col += p.width) {
            p.width = lm_gemm_panel_width(&s->b, col);
            p.ldc = p.ldstart = p.width;
            p.c = sums + col * s->m + first * p.width;
            p.start = term > begin ? p.c : NULL;
            lm_gemm_pack_panel(&s->b, run->b + term * s->b.b_term, col, p.width, p.depth,
                               packed);
            s->ops->multiply(&p, &ahead);
        }
    }
}

/* One row of C from the sums of all slices. */
static void add_slices(const gemm_run *run, const float *sums, int64_t row) {
    const gemm_state *s = run->s;
    for (int64_t col = 0, width; col < s->columns; col += width) {
        width = lm_gemm_panel_width(&s->b, col);
        const float *from = sums + col * s->m + row * width;
        float *c = run->c + row * s->n + col;
        int64_t count = lm_least(width, s->n - col);
        for (int64_t j = 0; j < count; j++) c[j] = run->bias ? run->bias[col + j] : 0;
        for (int64_t slice = 0; slice < s->slices; slice++, from += s->m * s->columns)
            for (int64_t j = 0; j < count; j++) c[j] += from[j];
    }
}

static lm_status run_deep(lm_kernel *kernel, const lm_kernel_args *args) {
    gemm_state *s = kernel->state;
    float *sums = args->workspace;
    gemm_run run = {
        s, args->in[0], args->in[1], s->bias ? args->in[2] : NULL, args->out[0], false};
    lm_shares shares;
    lm_shares_init(&shares, s->slices * s->shares, s->threads);
#pragma omp parallel num_threads(s->threads)
    {
        float *area = sums + s->areas + omp_get_thread_num() * s->area;
        LM_SHARES_EACH (&shares, i) {
            int64_t slice = i / s->shares;
            sum_slice(&run, slice, i % s->shares, sums + slice * s->m * s->columns, area);
        }
#pragma omp barrier
#pragma omp for schedule(static)
        for (int64_t row = 0; row < s->m; row++) add_slices(&run, sums, row);
    }
    return LM_OK;
}

/* Slices by shape alone, since they decide the order of the sums; a power of two, so that
 * two, four or eight threads have equal shares. */
static void plan_deep(gemm_state *s) {
    int64_t floats = s->m * s->columns;
    s->slices = 1;
    while (s->slices < MOST_SLICES && 2 * s->slices * floats <= SUMS_FLOATS &&
           2 * s->slices * LEAST_SLICE <= s->k)
        s->slices *= 2;
    s->shares = lm_least((s->threads + s->slices - 1) / s->slices, s->m);
    int64_t terms = TERMS_FLOATS / (s->m / s->shares + s->columns);
    s->block = terms < LEAST_TERMS ? LEAST_TERMS : lm_least(terms, MOST_TERMS);
    s->areas = lm_round_up(s->slices * floats, 16);
    s->area = s->block * s->ops->panel;
}

/* ---- making ------------------------------------------------------------------ */

static void release_gemm(lm_kernel *kernel) {
    gemm_state *s = kernel->state;
    lm_gemm_panels_release(&s->b);
    lm_cpu_kernel_release(kernel);
}

static bool is_deep(const lm_dnnl_matmul *mm) {
    return mm->k > mm->m;
}

bool lm_gemm_fits(const lm_dnnl_matmul *mm) {
    return mm->batch == 1;
}

bool lm_gemm_leads(const lm_dnnl_matmul *mm) {
    bool deep = is_deep(mm);
    int64_t length = deep ? mm->k : mm->m, other = deep ? mm->m : mm->k;
    if (mm->ta != deep || length < LEAST_LONG) return false;
    if (other < LEAST_SHORT || mm->n < LEAST_SHORT) return false;
    return !deep || mm->m * mm->n >= LEAST_SUMS;
}

lm_status lm_gemm_lower(const lm_step *step, const lm_dnnl_matmul *mm,
                        lm_kernel *kernel) {
    bool deep = is_deep(mm);
    gemm_state *s =
        lm_cpu_kernel_init(kernel, step, deep ? "deep product" : "tall product",
                           deep ? run_deep : run_tall, sizeof *s);
    if (!s) return LM_NOMEM;
    kernel->release = release_gemm;
    s->ops = LM_ISA_PICK(lm_gemm_ops);
    s->m = mm->m;
    s->n = mm->n;
    s->k = mm->k;
    s->bias = mm->bias;
    s->threads = lm_threads();
    s->columns = lm_round_up(mm->n, s->ops->lanes);
    s->a_row = mm->ta ? 1 : mm->k;
    s->a_term = mm->ta ? mm->m : 1;
    s->b = (lm_gemm_panels){.ops = s->ops,
                            .depth = mm->k,
                            .n = mm->n,
                            .columns = s->columns,
                            .b_term = mm->tb ? 1 : mm->n,
                            .b_column = mm->tb ? mm->k : 1};
    if (deep)
        plan_deep(s);
    else
        plan_tall(s);
    kernel->workspace = (size_t)(s->areas + s->threads * s->area) * sizeof(float);
    return LM_OK;
}
