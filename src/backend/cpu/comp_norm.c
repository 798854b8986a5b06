/* Group normalisation: statistics, application, the sums of its gradients and the
 * gradient by x. A sample's positions are cut into pieces; each piece is a unit of work,
 * and what is summed is combined in the order of the pieces. */
#include "backend/cpu/comp.h"
#include "backend/cpu/norm_ops.h"
#include "backend/cpu/rows.h"
#include "backend/cpu/shares.h"

#include "base/threads.h"

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
    const float *d;     /* the statistics' part of the gradient, by sample; NULL: none */
    int64_t filled;     /* the sample that the tables are of */
    lm_norm_rows norm;  /* tables and rows of the piece */
    int64_t sample, at; /* at: first element of the piece */
    bool stream;        /* the concat goes past the cache */
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
    bool slopes;                          /* the pieces want slope and shift */
    int d, more;                          /* sources d and r of norm_grad; 0: none */
    int n_joined, joined[LM_CHAIN_PARTS]; /* channels of the parts of a concat */
    bool large;                           /* the concat */
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
    if (w->d)
        fill_stats_grad(w, stats, w->d + w->sample * s->groups * 2);
    else if (s->slopes)
        repeat(scale + channels, 0, 2 * channels);
    w->norm = (lm_norm_rows){.channels = channels,
                             .stride = channels,
                             .mean = mean,
                             .rstd = rstd,
                             .scale = scale,
                             .beta = beta,
                             .slope = scale + channels,
                             .shift = scale + 2 * (size_t)channels};
    w->filled = w->sample;
}

/* ---- the loop ---------------------------------------------------------------- */

/* Goes to piece `number`, which runs through all samples. */
static void go_to(norm_work *w, int64_t number) {
    const norm_state *s = w->s;
    int64_t first = number % s->pieces * s->rows;
    w->sample = number / s->pieces;
    w->at = (w->sample * s->positions + first) * s->channels;
    if (s->tables && w->filled != w->sample) fill_tables(w);
    w->norm.rows = s->positions - first < s->rows ? s->positions - first : s->rows;
}

static void work_on(norm_work *w, int64_t number, double *sums) {
    go_to(w, number);
    memset(sums, 0, sums_of_piece(w->s) * sizeof *sums);
    w->s->run_piece(w, sums);
}

/* Adds up the pieces of a sample into its first. */
static double *combine_pieces(const norm_state *s, double *partials, int64_t sample) {
    int64_t row = (int64_t)sums_of_piece(s);
    double *first = partials + sample * s->pieces * row;
    for (int64_t p = 1; p < s->pieces; p++)
        for (int64_t i = 0; i < row; i++) first[i] += first[p * row + i];
    return first;
}

/* Whether a concat goes past the cache. */
static bool may_stream(const norm_state *s, const lm_kernel_args *args) {
    bool may = s->large;
    for (int i = 0; i < s->n_joined; i++)
        may = may && lm_may_stream(args->out[0], s->joined[i]);
    return may;
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
        if (s->d) w.d = args->in[s->d];
        w.stream = may_stream(s, args);
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

/* What the call says of its sources; kernel and state are filled in. */
static void describe(norm_state *s, const lm_node *call, lm_kernel *kernel) {
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
}

static norm_state *make_state(lm_kernel *kernel, const lm_step *step, const char *name) {
    norm_state *s = lm_cpu_kernel_init(kernel, step, name, run_pieces, sizeof *s);
    if (s) describe(s, step->nodes[step->n_nodes - 1], kernel);
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
static const float *shift_of(const norm_work *w, const float *x, int channels) {
    return x + w->sample * w->s->positions * channels;
}

static void sum_moments(norm_work *w, double *sums) {
    const norm_state *s = w->s;
    const float *x = w->args->in[0];
    s->ops->moments(x + w->at, w->norm.rows, s->channels, shift_of(w, x, s->channels),
                    sums, sums + s->channels);
}

/* Some rows of the parts of a concat where they come from, and then, as they are in the
 * nearest cache, their copy. The order of a channel's sums does not know of other
 * channels, nor of cuts after every LM_NORM_ROWS rows. */
static void sum_and_copy(norm_work *w, int64_t first, int64_t rows, double *sums) {
    const norm_state *s = w->s;
    int64_t row = w->at / s->channels + first;
    float *joined = (float *)w->args->out[0] + row * s->channels;
    for (int i = 0; i < s->n_joined; i++) {
        int width = s->joined[i];
        const float *part = w->args->in[i], *from = part + row * width;
        s->ops->moments(from, rows, width, shift_of(w, part, width), sums,
                        sums + s->channels);
        lm_cpu_rows()->copy(joined, s->channels, from, width, rows, width, w->stream);
        joined += width;
        sums += width;
    }
}

static void sum_joined(norm_work *w, double *sums) {
    for (int64_t first = 0; first < w->norm.rows; first += LM_NORM_ROWS)
        sum_and_copy(w, first, lm_least(LM_NORM_ROWS, w->norm.rows - first), sums);
    if (w->stream) lm_stream_end();
}

static void put_stats(norm_work *w, const double *sums) {
    const norm_state *s = w->s;
    const float *x = s->n_joined ? w->args->out[0] : w->args->in[0];
    float *stats = w->args->out[s->n_joined > 0];
    s->ops->statistics(sums, sums + s->channels, shift_of(w, x, s->channels), s->groups,
                       s->channels / s->groups, (double)s->positions, (double)s->eps,
                       stats + w->sample * s->groups * 2);
}

static norm_state *make_stats(lm_kernel *kernel, const lm_step *step, const char *name) {
    const lm_node *call = step->nodes[step->n_nodes - 1];
    norm_state *s = make_state(kernel, step, name);
    if (!s) return NULL;
    s->groups = call->attr.call.i[0];
    s->eps = call->attr.call.f[0];
    s->finish_sample = put_stats;
    return s;
}

lm_status lm_comp_lower_group_stats(lm_backend *backend, const lm_step *step,
                                    lm_kernel *kernel) {
    norm_state *s = make_stats(kernel, step, "group_stats");
    if (!s) return LM_NOMEM;
    s->run_piece = sum_moments;
    size_workspace(kernel);
    return LM_OK;
}

lm_status lm_comp_lower_joined_stats(lm_backend *backend, const lm_step *step,
                                     lm_kernel *kernel) {
    norm_state *s = make_stats(kernel, step, "concat and statistics");
    if (!s) return LM_NOMEM;
    s->run_piece = sum_joined;
    s->n_joined = step->n_in;
    for (int i = 0; i < s->n_joined; i++) {
        lm_shape part = step->in[i]->shape;
        s->joined[i] = (int)part.dim[part.rank - 1];
    }
    s->large =
        lm_shape_count(step->nodes[0]->shape) * (int64_t)sizeof(float) >= LM_STREAM_BYTES;
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
                    sums + w->s->channels, NULL);
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

/* Of one sample: d_mean = -rstd sum(gamma S_dz), d_rstd = sum(gamma S_dz_xhat) / rstd. */
static void find_dstats(const float *stats, const float *gamma, const float *sums,
                        int groups, int width, float *out) {
    for (int g = 0; g < groups; g++, stats += 2, out += 2) {
        double by_xhat = 0, by_one = 0;
        for (int c = g * width; c < (g + 1) * width; c++) {
            by_xhat += (double)gamma[c] * (double)sums[c];
            by_one += (double)gamma[c] * (double)sums[groups * width + c];
        }
        out[0] = (float)(-(double)stats[1] * by_one);
        out[1] = (float)(by_xhat / (double)stats[1]);
    }
}

static lm_status run_dstats(lm_kernel *kernel, const lm_kernel_args *args) {
    const dstats_state *s = kernel->state;
    const float *stats = args->in[0], *gamma = args->in[1], *sums = args->in[2];
    float *out = args->out[0];
    for (int64_t n = 0; n < s->samples; n++)
        find_dstats(stats + n * s->groups * 2,
                    s->gamma_by_sample ? gamma + n * s->channels : gamma,
                    sums + n * 2 * s->channels, s->groups, s->channels / s->groups,
                    out + n * s->groups * 2);
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

/* ---- sums and gradient in one ------------------------------------------------ */

enum { SAMPLES_EACH = 4 };

/* The gradient as a whole, or cut by channels; and the sums of that over positions. */
typedef struct norm_part {
    const lm_node *node;
    int out, first, width;
    int sums_out; /* -1: none */
} norm_part;

/* With samples enough, a thread takes whole ones, so that x and g are in the cache when
 * they are read for the second time, which begins with what was read last; else pieces of
 * all, in four rounds. */
typedef struct chain_state {
    norm_state norm; /* of the norm_grad; first, as its functions see it alone */
    int sums_out;    /* -1: nobody reads the sums */
    norm_part part[LM_CHAIN_PARTS];
    int n_parts;
    bool by_pieces;
} chain_state;

/* What is kept of a sample between the rounds. */
typedef struct chain_area {
    double *sums;  /* by piece: of gradients, then of the parts of the result */
    float *dz;     /* g behind the activation, whose derivative is dear */
    float *totals; /* the first sums of all pieces */
    float *dstats;
} chain_area;

static size_t area_doubles(const norm_state *s) {
    return (size_t)s->pieces * 3 * (size_t)s->channels;
}

static size_t dz_floats(const norm_state *s) {
    return s->silu ? (size_t)s->positions * (size_t)s->channels : 0;
}

static size_t area_floats(const norm_state *s) {
    size_t floats = dz_floats(s) + 2 * (size_t)(s->channels + s->groups);
    return (floats + 15) / 16 * 16;
}

static size_t count_areas(const chain_state *c) {
    return c->by_pieces ? (size_t)c->norm.samples : (size_t)c->norm.threads;
}

typedef struct chain_work {
    const chain_state *c;
    norm_work w;
    int64_t sloped; /* the sample that the tables' slopes are of */
    double *doubles;
    float *floats; /* of all areas */
} chain_work;

static chain_area find_area(const chain_work *k) {
    const norm_state *s = &k->c->norm;
    size_t number = k->c->by_pieces ? (size_t)k->w.sample : (size_t)omp_get_thread_num();
    float *floats = k->floats + number * area_floats(s);
    float *totals = floats + dz_floats(s);
    return (chain_area){k->doubles + number * area_doubles(s), floats, totals,
                        totals + 2 * (size_t)s->channels};
}

/* The sums of piece `number`, and where its dz goes or comes from. */
static double *sums_at(const chain_work *k, const chain_area *area, int64_t number) {
    const norm_state *s = &k->c->norm;
    return area->sums + number % s->pieces * 3 * s->channels;
}

static float *dz_at(const chain_work *k, const chain_area *area, int64_t number) {
    const norm_state *s = &k->c->norm;
    return area->dz + number % s->pieces * s->rows * s->channels;
}

static void sum_piece(chain_work *k, int64_t number) {
    const norm_state *s = &k->c->norm;
    const float *x = k->w.args->in[0], *g = k->w.args->in[4];
    go_to(&k->w, number);
    chain_area area = find_area(k);
    double *sums = sums_at(k, &area, number);
    memset(sums, 0, 3 * (size_t)s->channels * sizeof *sums);
    s->ops->sums(x + k->w.at, g + k->w.at, &k->w.norm, s->silu, sums, sums + s->channels,
                 dz_at(k, &area, number));
}

/* The total over the pieces of their sums first..first+count, in their order. */
static void add_pieces(const norm_state *s, const chain_area *area, int first, int count,
                       float *to) {
    for (int i = first; i < first + count; i++) {
        double total = 0;
        for (int64_t p = 0; p < s->pieces; p++)
            total += area->sums[p * 3 * s->channels + i];
        to[i - first] = (float)total;
    }
}

static void finish_sums(chain_work *k, int64_t sample) {
    const norm_state *s = &k->c->norm;
    const lm_kernel_args *args = k->w.args;
    const float *stats = (const float *)args->in[1] + sample * s->groups * 2;
    const float *gamma = args->in[2];
    size_t row = 2 * (size_t)s->channels;
    k->w.sample = sample;
    chain_area area = find_area(k);
    add_pieces(s, &area, 0, (int)row, area.totals);
    if (k->c->sums_out >= 0)
        memcpy((float *)args->out[k->c->sums_out] + (size_t)sample * row, area.totals,
               row * sizeof(float));
    find_dstats(stats, s->gamma_by_sample ? gamma + sample * s->channels : gamma,
                area.totals, s->groups, s->channels / s->groups, area.dstats);
}

/* dz: of the piece; sums: for the part's channels. */
static void put_part(const norm_work *w, const norm_part *part, const float *dz,
                     double *sums) {
    const norm_state *s = w->s;
    lm_norm_rows norm = w->norm;
    int64_t at = w->at + part->first;
    const float *x = w->args->in[0];
    const float *more = s->more ? (const float *)w->args->in[s->more] + at : NULL;
    float *d = (float *)w->args->out[part->out] + w->at / s->channels * part->width;
    norm.channels = part->width;
    norm.mean += part->first;
    norm.scale += part->first;
    norm.beta += part->first;
    norm.slope += part->first;
    norm.shift += part->first;
    s->ops->gradient(d, x + at, dz + part->first, more, &norm, false);
    if (part->sums_out >= 0) s->ops->add_rows(d, norm.rows, part->width, sums);
}

static void put_piece(chain_work *k, int64_t number) {
    const norm_state *s = &k->c->norm;
    norm_work *w = &k->w;
    go_to(w, number);
    chain_area area = find_area(k);
    if (k->sloped != w->sample)
        fill_stats_grad(w, (const float *)w->args->in[1] + w->sample * s->groups * 2,
                        area.dstats);
    k->sloped = w->sample;
    const float *g = (const float *)w->args->in[4] + w->at;
    for (int i = 0; i < k->c->n_parts; i++) {
        const norm_part *part = &k->c->part[i];
        put_part(w, part, s->silu ? dz_at(k, &area, number) : g,
                 sums_at(k, &area, number) + 2 * s->channels + part->first);
    }
}

static void finish_parts(chain_work *k, int64_t sample) {
    const norm_state *s = &k->c->norm;
    k->w.sample = sample;
    chain_area area = find_area(k);
    for (int i = 0; i < k->c->n_parts; i++) {
        const norm_part *part = &k->c->part[i];
        if (part->sums_out >= 0)
            add_pieces(s, &area, 2 * s->channels + part->first, part->width,
                       (float *)k->w.args->out[part->sums_out] + sample * part->width);
    }
}

/* These two by all threads of the region. */
static void run_by_samples(chain_work *k, lm_shares *samples) {
    const norm_state *s = &k->c->norm;
    LM_SHARES_EACH (samples, n) {
        for (int64_t p = 0; p < s->pieces; p++) sum_piece(k, n * s->pieces + p);
        finish_sums(k, n);
        for (int64_t p = s->pieces; p > 0; p--) put_piece(k, n * s->pieces + p - 1);
        finish_parts(k, n);
    }
}

static void run_by_pieces(chain_work *k) {
    const norm_state *s = &k->c->norm;
    int64_t pieces = s->samples * s->pieces;
#pragma omp for schedule(static)
    for (int64_t p = 0; p < pieces; p++) sum_piece(k, p);
#pragma omp for schedule(static)
    for (int64_t n = 0; n < s->samples; n++) finish_sums(k, n);
#pragma omp for schedule(static)
    for (int64_t p = 0; p < pieces; p++) put_piece(k, p);
#pragma omp for schedule(static)
    for (int64_t n = 0; n < s->samples; n++) finish_parts(k, n);
}

static lm_status run_chain(lm_kernel *kernel, const lm_kernel_args *args) {
    const chain_state *c = kernel->state;
    const norm_state *s = &c->norm;
    size_t areas = count_areas(c);
    double *doubles = args->workspace;
    float *floats = (float *)(doubles + areas * area_doubles(s));
    lm_shares samples;
    lm_shares_init(&samples, s->samples, s->threads);
#pragma omp parallel num_threads(s->threads)
    {
        chain_work k = {.c = c,
                        .w = {.s = s, .args = args, .filled = -1},
                        .sloped = -1,
                        .doubles = doubles,
                        .floats = floats};
        k.w.tables = floats + areas * area_floats(s) +
                     (size_t)omp_get_thread_num() * table_floats(s);
        if (c->by_pieces)
            run_by_pieces(&k);
        else
            run_by_samples(&k, &samples);
    }
    return LM_OK;
}

static void find_outputs(chain_state *c, const lm_step *step) {
    c->sums_out = -1;
    for (int o = 0; o < step->n_out; o++) {
        const lm_node *out = step->out[o];
        int last = out->shape.rank - 1;
        int first = out->kind == LM_KIND_SLICE ? (int)out->attr.slice.lo[last] : 0;
        if (out == step->nodes[0])
            c->sums_out = o;
        else if (out->kind != LM_KIND_REDUCE_SUM)
            c->part[c->n_parts++] =
                (norm_part){out, o, first, (int)out->shape.dim[last], -1};
        for (int i = 0; i < c->n_parts; i++)
            if (out->kind == LM_KIND_REDUCE_SUM && out->src[0] == c->part[i].node)
                c->part[i].sums_out = o;
    }
}

lm_status lm_comp_lower_norm_chain(lm_backend *backend, const lm_step *step,
                                   lm_kernel *kernel) {
    chain_state *c = lm_cpu_kernel_init(kernel, step, "norm chain", run_chain, sizeof *c);
    if (!c) return LM_NOMEM;
    norm_state *s = &c->norm;
    describe(s, step->nodes[2], kernel);
    s->slopes = true;
    s->more = step->n_in > 5 ? 5 : 0;
    find_outputs(c, step);
    kernel->flops *= 2;
    c->by_pieces = s->threads > 1 && s->samples < SAMPLES_EACH * (int64_t)s->threads;
    kernel->workspace = count_areas(c) * (area_doubles(s) * sizeof(double) +
                                          area_floats(s) * sizeof(float)) +
                        (size_t)s->threads * table_floats(s) * sizeof(float);
    return LM_OK;
}
