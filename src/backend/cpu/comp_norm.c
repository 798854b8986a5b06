/* Group normalisation: statistics, application, and the sums of its gradients. A sample's
 * positions are cut into pieces; each piece is a unit of work, and pieces are combined in
 * their order. */
#include "backend/cpu/comp.h"

#include "base/threads.h"

#include <math.h>
#include <omp.h>
#include <string.h>

enum {
    PIECE = 16384, /* elements of a piece, about */
    SERIAL = 32768 /* elements below which one thread does all */
};

typedef struct norm_state {
    const lm_comp_ops *ops;
    int64_t samples, positions, rows, pieces; /* rows of a piece, pieces of a sample */
    int channels, groups, threads;
    float eps;
    bool silu, gamma_by_sample, beta_by_sample;
} norm_state;

/* Per sample and piece: two sums for each channel. */
static size_t partial_bytes(const norm_state *s) {
    return (size_t)(s->samples * s->pieces * 2 * s->channels) * sizeof(double);
}

static norm_state *make_state(lm_kernel *kernel, const lm_step *step, const char *name,
                              lm_cpu_run run) {
    norm_state *s = lm_cpu_kernel_init(kernel, step, name, run, sizeof *s);
    if (!s) return NULL;
    const lm_node *call = step->nodes[0];
    lm_shape x = call->src[0]->shape;
    int64_t count = lm_shape_count(x);
    s->ops = LM_ISA_PICK(lm_comp_ops);
    s->samples = x.dim[0];
    s->channels = (int)x.dim[x.rank - 1];
    s->positions = count ? count / (s->samples * s->channels) : 0;
    s->rows = s->channels && s->channels < PIECE ? PIECE / s->channels : 1;
    s->pieces = (s->positions + s->rows - 1) / s->rows;
    s->threads = count < SERIAL ? 1 : lm_threads();
    if (call->n_src > 1) {
        s->groups = (int)call->src[1]->shape.dim[1];
        s->silu = call->attr.call.i[0] != 0;
        s->gamma_by_sample = call->src[2]->shape.rank == 2;
        s->beta_by_sample = call->src[3]->shape.rank == 2;
    }
    kernel->flops = 4.0 * (double)count;
    return s;
}

/* First element and rows of a piece; numbers run through all samples. */
static int64_t find_piece(const norm_state *s, int64_t number, int64_t *rows) {
    int64_t sample = number / s->pieces, first = number % s->pieces * s->rows;
    *rows = s->positions - first < s->rows ? s->positions - first : s->rows;
    return (sample * s->positions + first) * s->channels;
}

/* ---- statistics -------------------------------------------------------------- */

/* Sums of a group from those of its channels, which are relative to `shift`:
 * sum (x - m)^2 = sum over channels of q - 2 (m - shift) s + n (m - shift)^2. */
static void put_group(const norm_state *s, const double *sum, const double *square,
                      const float *shift, float *out) {
    int width = s->channels / s->groups;
    double n = (double)s->positions, total = 0, spread = 0;
    for (int c = 0; c < width; c++) total += sum[c] + n * (double)shift[c];
    double mean = total / (n * width);
    for (int c = 0; c < width; c++) {
        double d = mean - (double)shift[c];
        spread += square[c] - 2 * d * sum[c] + n * d * d;
    }
    double variance = spread > 0 || isnan(spread) ? spread / (n * width) : 0;
    out[0] = (float)mean;
    out[1] = (float)(1 / sqrt(variance + (double)s->eps));
}

/* Adds up the pieces of a sample into its first. */
static double *combine_pieces(const norm_state *s, double *partials, int64_t sample) {
    double *first = partials + sample * s->pieces * 2 * s->channels;
    for (int64_t p = 1; p < s->pieces; p++)
        for (int i = 0; i < 2 * s->channels; i++)
            first[i] += first[p * 2 * s->channels + i];
    return first;
}

/* The sample's first position serves as shift: it is near the mean where the mean is
 * large against the spread, which is what would cancel. */
static lm_status run_group_stats(lm_kernel *kernel, const lm_kernel_args *args) {
    const norm_state *s = kernel->state;
    const float *x = args->in[0];
    float *out = args->out[0];
    double *partials = args->workspace;
    int64_t sample_size = s->positions * s->channels;
    int width = s->channels / s->groups;
    memset(partials, 0, partial_bytes(s));
#pragma omp parallel num_threads(s->threads)
    {
#pragma omp for schedule(static)
        for (int64_t i = 0; i < s->samples * s->pieces; i++) {
            int64_t rows, at = find_piece(s, i, &rows);
            double *sum = partials + i * 2 * s->channels;
            s->ops->moments(x + at, rows, s->channels, x + i / s->pieces * sample_size,
                            sum, sum + s->channels);
        }
#pragma omp for schedule(static)
        for (int64_t n = 0; n < s->samples; n++) {
            const double *sum = combine_pieces(s, partials, n);
            for (int g = 0; g < s->groups; g++)
                put_group(s, sum + g * width, sum + s->channels + g * width,
                          x + n * sample_size + g * width, out + (n * s->groups + g) * 2);
        }
    }
    return LM_OK;
}

lm_status lm_comp_lower_group_stats(lm_backend *backend, const lm_step *step,
                                    lm_kernel *kernel) {
    norm_state *s = make_state(kernel, step, "group_stats", run_group_stats);
    if (!s) return LM_NOMEM;
    s->groups = step->nodes[0]->attr.call.i[0];
    s->eps = step->nodes[0]->attr.call.f[0];
    kernel->workspace = partial_bytes(s);
    return LM_OK;
}

/* ---- application and sums ---------------------------------------------------- */

enum { ROW_TABLES = 4 }; /* mean, rstd, scale, beta */

static size_t table_floats(const norm_state *s) {
    return ((size_t)s->channels * ROW_TABLES + 15) / 16 * 16;
}

/* What each channel of a sample is normalised with. */
static lm_norm_rows fill_tables(const norm_state *s, const lm_kernel_args *args,
                                int64_t sample, int64_t rows, float *table) {
    const float *stats = (const float *)args->in[1] + sample * s->groups * 2;
    const float *gamma = args->in[2], *beta = args->in[3];
    int channels = s->channels, width = channels / s->groups;
    float *mean = table, *rstd = table + channels, *scale = rstd + channels;
    if (s->gamma_by_sample) gamma += sample * channels;
    if (s->beta_by_sample) beta += sample * channels;
    for (int c = 0; c < channels; c++) {
        mean[c] = stats[c / width * 2];
        rstd[c] = stats[c / width * 2 + 1];
        scale[c] = rstd[c] * gamma[c];
    }
    memcpy(scale + channels, beta, (size_t)channels * sizeof *beta);
    return (lm_norm_rows){rows, channels, mean, rstd, scale, scale + channels};
}

static lm_status run_norm_act(lm_kernel *kernel, const lm_kernel_args *args) {
    const norm_state *s = kernel->state;
    const float *x = args->in[0];
    float *y = args->out[0], *tables = args->workspace;
#pragma omp parallel num_threads(s->threads)
    {
        float *table = tables + (size_t)omp_get_thread_num() * table_floats(s);
        lm_norm_rows norm = {0};
        int64_t filled = -1;
#pragma omp for schedule(static)
        for (int64_t i = 0; i < s->samples * s->pieces; i++) {
            int64_t rows, at = find_piece(s, i, &rows), sample = i / s->pieces;
            if (filled != sample) norm = fill_tables(s, args, sample, rows, table);
            filled = sample;
            norm.rows = rows;
            s->ops->norm_act(y + at, x + at, &norm, s->silu);
        }
    }
    return LM_OK;
}

lm_status lm_comp_lower_norm_act(lm_backend *backend, const lm_step *step,
                                 lm_kernel *kernel) {
    norm_state *s = make_state(kernel, step, "norm_act", run_norm_act);
    if (!s) return LM_NOMEM;
    kernel->workspace = (size_t)s->threads * table_floats(s) * sizeof(float);
    return LM_OK;
}

static lm_status run_norm_sums(lm_kernel *kernel, const lm_kernel_args *args) {
    const norm_state *s = kernel->state;
    const float *x = args->in[0], *g = args->in[4];
    float *out = args->out[0], *tables = args->workspace;
    double *partials = (double *)(tables + (size_t)s->threads * table_floats(s));
    int64_t row = 2 * s->channels;
    memset(partials, 0, partial_bytes(s));
#pragma omp parallel num_threads(s->threads)
    {
        float *table = tables + (size_t)omp_get_thread_num() * table_floats(s);
        lm_norm_rows norm = {0};
        int64_t filled = -1;
#pragma omp for schedule(static)
        for (int64_t i = 0; i < s->samples * s->pieces; i++) {
            int64_t rows, at = find_piece(s, i, &rows), sample = i / s->pieces;
            if (filled != sample) norm = fill_tables(s, args, sample, rows, table);
            filled = sample;
            norm.rows = rows;
            double *sum = partials + i * row;
            s->ops->norm_sums(x + at, g + at, &norm, s->silu, sum, sum + s->channels);
        }
#pragma omp for schedule(static)
        for (int64_t n = 0; n < s->samples; n++) {
            const double *sum = combine_pieces(s, partials, n);
            for (int64_t i = 0; i < row; i++) out[n * row + i] = (float)sum[i];
        }
    }
    return LM_OK;
}

lm_status lm_comp_lower_norm_sums(lm_backend *backend, const lm_step *step,
                                  lm_kernel *kernel) {
    norm_state *s = make_state(kernel, step, "norm_sums", run_norm_sums);
    if (!s) return LM_NOMEM;
    kernel->workspace =
        (size_t)s->threads * table_floats(s) * sizeof(float) + partial_bytes(s);
    return LM_OK;
}
