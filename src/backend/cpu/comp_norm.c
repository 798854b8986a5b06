/* Group normalisation: statistics, application, the sums of its gradients and the
 * gradient by x. A sample's positions are cut into pieces; each piece is a unit of work,
 * and what is summed is combined in the order of the pieces. */
#include "backend/cpu/comp.h"
#include "backend/cpu/norm_ops.h"

#include "base/threads.h"

#include <math.h>
#include <omp.h>
#include <string.h>

enum {
    PIECE = 16384,  /* elements of a piece, at least about */
    PIECES = 64,    /* of a sample, at most */
    SERIAL = 32768, /* elements below which one thread does all */
    TABLES = 5      /* mean, rstd, scale, slope, shift */
};

typedef struct norm_state norm_state;

/* What one thread works on. */
typedef struct norm_work {
    const norm_state *s;
    const lm_kernel_args *args;
    float *tables;
    int64_t filled;     /* the sample that the tables are of */
    lm_norm_rows norm;  /* tables and rows of the piece */
    int64_t sample, at; /* at: first element of the piece */
} norm_work;

/* A kernel is a function of a piece. One that sums puts two sums for each channel into
 * sums, and a second function makes a sample's result of them. */
struct norm_state {
    const lm_norm_ops *ops;
    void (*run_piece)(norm_work *w, double *sums);
    void (*finish_sample)(norm_work *w, const double *sums); /* NULL: no sums */
    bool tables;                                             /* the pieces want tables */
    int64_t samples, positions, rows, pieces; /* rows of a piece, pieces of a sample */
    int channels, groups, threads;
    float eps;
    bool silu, gamma_by_sample, beta_by_sample;
    bool slopes; /* the pieces want slope and shift */
    int d, more; /* sources d and r of norm_grad; 0: none */
};

static size_t sums_of_piece(const norm_state *s) {
    return s->finish_sample ? 2 * (size_t)s->channels : 0;
}

static size_t table_floats(const norm_state *s) {
    return s->tables ? ((size_t)s->channels * TABLES + 15) / 16 * 16 : 0;
}

/* A sample of one piece is finished by who summed it. */
static size_t total_sums(const norm_state *s) {
    size_t pieces =
        s->pieces == 1 ? (size_t)s->threads : (size_t)(s->samples * s->pieces);
    return pieces * sums_of_piece(s);
}

/* ---- tables ------------------------------------------------------------------ */

static void repeat(float *to, float value, int n) {
    for (int i = 0; i < n; i++) to[i] = value;
}

/* d_mean/M - d_rstd rstd^3 (x - mean)/M, M elements in a group, by channel. */
static void fill_stats_grad(norm_work *w, const float *stats, const float *d) {
    const norm_state *s = w->s;
    int width = s->channels / s->groups;
    float *slope = w->tables + 3 * s->channels, *shift = slope + s->channels;
    double elements = (double)s->positions * width;
    for (int g = 0; g < s->groups; g++) {
        double rstd = (double)stats[2 * g + 1];
        double tilt = -(double)d[2 * g + 1] * rstd * rstd * rstd / elements;
        repeat(slope + g * width, (float)tilt, width);
        repeat(shift + g * width, (float)((double)d[2 * g] / elements), width);
    }
}

/* What each channel of the sample is normalised with. */
static void fill_tables(norm_work *w) {
    const norm_state *s = w->s;
    const float *stats = (const float *)w->args->in[1] + w->sample * s->groups * 2;
    const float *gamma = w->args->in[2], *beta = w->args->in[3];
    int channels = s->channels, width = channels / s->groups;
    float *mean = w->tables, *rstd = mean + channels, *scale = rstd + channels;
    if (s->gamma_by_sample) gamma += w->sample * channels;
    if (s->beta_by_sample) beta += w->sample * channels;
    for (int g = 0; g < s->groups; g++) {
        repeat(mean + g * width, stats[2 * g], width);
        repeat(rstd + g * width, stats[2 * g + 1], width);
    }
    for (int c = 0; c < channels; c++) scale[c] = rstd[c] * gamma[c];
    if (s->d)
        fill_stats_grad(w, stats,
                        (const float *)w->args->in[s->d] + w->sample * s->groups * 2);
    else if (s->slopes)
        repeat(scale + channels, 0, 2 * channels);
    w->norm = (lm_norm_rows){.channels = channels,
                             .mean = mean,
                             .rstd = rstd,
                             .scale = scale,
                             .beta = beta,
                             .slope = scale + channels,
                             .shift = scale + 2 * (size_t)channels};
    w->filled = w->sample;
}

/* ---- the loop ---------------------------------------------------------------- */

/* Piece `number`, which runs through all samples. */
static void work_on(norm_work *w, int64_t number, double *sums) {
    const norm_state *s = w->s;
    int64_t first = number % s->pieces * s->rows;
    w->sample = number / s->pieces;
    w->at = (w->sample * s->positions + first) * s->channels;
    if (s->tables && w->filled != w->sample) fill_tables(w);
    w->norm.rows = s->positions - first < s->rows ? s->positions - first : s->rows;
    memset(sums, 0, sums_of_piece(s) * sizeof *sums);
    s->run_piece(w, sums);
}

/* Adds up the pieces of a sample into its first. */
static double *combine_pieces(const norm_state *s, double *partials, int64_t sample) {
    int64_t row = (int64_t)sums_of_piece(s);
    double *first = partials + sample * s->pieces * row;
    for (int64_t p = 1; p < s->pieces; p++)
        for (int64_t i = 0; i < row; i++) first[i] += first[p * row + i];
    return first;
}

static lm_status run_pieces(lm_kernel *kernel, const lm_kernel_args *args) {
    const norm_state *s = kernel->state;
    double *partials = args->workspace;
    float *tables = (float *)(partials + total_sums(s));
    size_t row = sums_of_piece(s);
    bool at_once = s->pieces == 1;
#pragma omp parallel num_threads(s->threads)
    {
        int thread = omp_get_thread_num();
        norm_work w = {.s = s, .args = args, .filled = -1};
        w.tables = tables + (size_t)thread * table_floats(s);
#pragma omp for schedule(static)
        for (int64_t i = 0; i < s->samples * s->pieces; i++) {
            double *sums = partials + (size_t)(at_once ? thread : i) * row;
            work_on(&w, i, sums);
            if (at_once && s->finish_sample) s->finish_sample(&w, sums);
        }
        if (!at_once && s->finish_sample) {
#pragma omp for schedule(static)
            for (int64_t n = 0; n < s->samples; n++) {
                w.sample = n;
                s->finish_sample(&w, combine_pieces(s, partials, n));
            }
        }
    }
    return LM_OK;
}

static norm_state *make_state(lm_kernel *kernel, const lm_step *step, const char *name) {
    norm_state *s = lm_cpu_kernel_init(kernel, step, name, run_pieces, sizeof *s);
    if (!s) return NULL;
    const lm_node *call = step->nodes[0];
    lm_shape x = call->src[0]->shape;
    int64_t count = lm_shape_count(x);
    s->ops = LM_ISA_PICK(lm_norm_ops_table);
    s->samples = x.dim[0];
    s->channels = (int)x.dim[x.rank - 1];
    s->positions = count ? count / (s->samples * s->channels) : 0;
    s->rows = s->channels && s->channels < PIECE ? PIECE / s->channels : 1;
    int64_t least = (s->positions + PIECES - 1) / PIECES;
    if (s->rows < least) s->rows = least;
    s->pieces = (s->positions + s->rows - 1) / s->rows;
    s->threads = count < SERIAL ? 1 : lm_threads();
    if (call->n_src > 1) {
        s->tables = true;
        s->groups = (int)call->src[1]->shape.dim[1];
        s->silu = call->attr.call.i[0] != 0;
        s->gamma_by_sample = call->src[2]->shape.rank == 2;
        s->beta_by_sample = call->src[3]->shape.rank == 2;
    }
    kernel->flops = 4.0 * (double)count;
    return s;
}

/* Once the state is complete. */
static void size_workspace(lm_kernel *kernel) {
    const norm_state *s = kernel->state;
    kernel->workspace = total_sums(s) * sizeof(double) +
                        (size_t)s->threads * table_floats(s) * sizeof(float);
}

/* ---- statistics -------------------------------------------------------------- */

/* The sample's first position serves as shift: it is near the mean where the mean is
 * large against the spread, which is what would cancel. */
static const float *shift_of(const norm_work *w) {
    return (const float *)w->args->in[0] + w->sample * w->s->positions * w->s->channels;
}

static void sum_moments(norm_work *w, double *sums) {
    const norm_state *s = w->s;
    s->ops->moments((const float *)w->args->in[0] + w->at, w->norm.rows, s->channels,
                    shift_of(w), sums, sums + s->channels);
}

static void put_stats(norm_work *w, const double *sums) {
    const norm_state *s = w->s;
    int width = s->channels / s->groups;
    double n = (double)s->positions;
    float *out = (float *)w->args->out[0] + w->sample * s->groups * 2;
    for (int g = 0; g < s->groups; g++) {
        int c = g * width;
        double spread, mean = s->ops->join_moments(sums + c, sums + s->channels + c,
                                                   shift_of(w) + c, width, n, &spread);
        double variance = spread > 0 || isnan(spread) ? spread / (n * width) : 0;
        out[2 * g] = (float)mean;
        out[2 * g + 1] = (float)(1 / sqrt(variance + (double)s->eps));
    }
}

lm_status lm_comp_lower_group_stats(lm_backend *backend, const lm_step *step,
                                    lm_kernel *kernel) {
    norm_state *s = make_state(kernel, step, "group_stats");
    if (!s) return LM_NOMEM;
    s->groups = step->nodes[0]->attr.call.i[0];
    s->eps = step->nodes[0]->attr.call.f[0];
    s->run_piece = sum_moments;
    s->finish_sample = put_stats;
    size_workspace(kernel);
    return LM_OK;
}

/* ---- application ------------------------------------------------------------- */

static void apply(norm_work *w, double *sums) {
    const float *x = w->args->in[0];
    float *y = w->args->out[0];
    w->s->ops->apply(y + w->at, x + w->at, &w->norm, w->s->silu);
}

lm_status lm_comp_lower_norm_act(lm_backend *backend, const lm_step *step,
                                 lm_kernel *kernel) {
    norm_state *s = make_state(kernel, step, "norm_act");
    if (!s) return LM_NOMEM;
    s->run_piece = apply;
    size_workspace(kernel);
    return LM_OK;
}

/* ---- gradients --------------------------------------------------------------- */

static void sum_gradients(norm_work *w, double *sums) {
    const float *x = w->args->in[0], *g = w->args->in[4];
    w->s->ops->sums(x + w->at, g + w->at, &w->norm, w->s->silu, sums,
                    sums + w->s->channels);
}

static void put_sums(norm_work *w, const double *sums) {
    int64_t row = 2 * w->s->channels;
    float *out = (float *)w->args->out[0] + w->sample * row;
    for (int64_t i = 0; i < row; i++) out[i] = (float)sums[i];
}

lm_status lm_comp_lower_norm_sums(lm_backend *backend, const lm_step *step,
                                  lm_kernel *kernel) {
    norm_state *s = make_state(kernel, step, "norm_sums");
    if (!s) return LM_NOMEM;
    s->run_piece = sum_gradients;
    s->finish_sample = put_sums;
    size_workspace(kernel);
    return LM_OK;
}

static void make_gradient(norm_work *w, double *sums) {
    const norm_state *s = w->s;
    const float *x = w->args->in[0], *g = w->args->in[4];
    const float *more = s->more ? w->args->in[s->more] : NULL;
    float *d = w->args->out[0];
    s->ops->gradient(d + w->at, x + w->at, g + w->at, more ? more + w->at : NULL,
                     &w->norm, s->silu);
}

lm_status lm_comp_lower_norm_grad(lm_backend *backend, const lm_step *step,
                                  lm_kernel *kernel) {
    norm_state *s = make_state(kernel, step, "norm_grad");
    if (!s) return LM_NOMEM;
    s->slopes = true;
    s->d = step->n_in > 5 ? 5 : 0;
    s->more = step->n_in > 6 ? 6 : 0;
    s->run_piece = make_gradient;
    size_workspace(kernel);
    return LM_OK;
}

/* ---- the gradient by the statistics ------------------------------------------ */

typedef struct dstats_state {
    int64_t samples;
    int channels, groups;
    bool gamma_by_sample;
} dstats_state;

/* d_mean = -rstd sum(gamma S_dz), d_rstd = sum(gamma S_dz_xhat) / rstd. */
static lm_status run_dstats(lm_kernel *kernel, const lm_kernel_args *args) {
    const dstats_state *s = kernel->state;
    const float *stats = args->in[0], *gamma = args->in[1], *sums = args->in[2];
    float *out = args->out[0];
    int width = s->channels / s->groups;
    for (int64_t n = 0; n < s->samples; n++) {
        for (int g = 0; g < s->groups; g++, stats += 2, out += 2) {
            double by_xhat = 0, by_one = 0;
            for (int c = g * width; c < (g + 1) * width; c++) {
                by_xhat += (double)gamma[c] * (double)sums[c];
                by_one += (double)gamma[c] * (double)sums[s->channels + c];
            }
            out[0] = (float)(-(double)stats[1] * by_one);
            out[1] = (float)(by_xhat / (double)stats[1]);
        }
        sums += 2 * (size_t)s->channels;
        if (s->gamma_by_sample) gamma += s->channels;
    }
    return LM_OK;
}

lm_status lm_comp_lower_norm_dstats(lm_backend *backend, const lm_step *step,
                                    lm_kernel *kernel) {
    const lm_node *call = step->nodes[0];
    dstats_state *s =
        lm_cpu_kernel_init(kernel, step, "norm_dstats", run_dstats, sizeof *s);
    if (!s) return LM_NOMEM;
    s->samples = call->shape.dim[0];
    s->groups = (int)call->shape.dim[1];
    s->channels = (int)call->src[2]->shape.dim[2];
    s->gamma_by_sample = call->src[1]->shape.rank == 2;
    kernel->flops = 4.0 * (double)s->samples * s->channels;
    return LM_OK;
}
