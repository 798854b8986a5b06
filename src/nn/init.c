/* Initial values. Each slice draws from a stream of its own, numbered by a hash of its
 * name, so that adding or removing a layer leaves the others' values as they were. */
#include "base/mem.h"
#include "nn/params.h"
#include "tensor/philox.h"
#include <math.h>
#include <string.h>

/* FNV-1a, 32 bits. */
static uint32_t hash_name(const char *name) {
    uint32_t hash = 2166136261u;
    for (; *name; name++) hash = (hash ^ (unsigned char)*name) * 16777619u;
    return hash;
}

typedef struct fans {
    double in, out;
} fans;

/* Dense [out, in], conv [out, kh, kw, in]: a kernel's positions count for both. */
static fans count_fans(lm_shape shape) {
    if (shape.rank == 0) return (fans){1, 1};
    double positions = 1;
    for (int i = 1; i < shape.rank - 1; i++) positions *= (double)shape.dim[i];
    return (fans){positions * (double)shape.dim[shape.rank - 1],
                  positions * (double)shape.dim[0]};
}

static void fill_value(float *values, int64_t count, float value) {
    for (int64_t i = 0; i < count; i++) values[i] = value;
}

static void fill_uniform(float *values, int64_t count, double limit, lm_rng *rng) {
    for (int64_t i = 0; i < count; i++)
        values[i] = (float)(limit * (2.0 * lm_rng_uniform(rng) - 1.0));
}

static void fill_normal(float *values, int64_t count, double deviation, lm_rng *rng) {
    for (int64_t i = 0; i < count; i++)
        values[i] = (float)(deviation * lm_rng_normal(rng));
}

static double dot(const double *a, const double *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

/* Gram-Schmidt on `count` vectors of `length` >= count. Projecting twice keeps them
 * orthogonal to working precision (Giraud, Langou, Rozloznik 2005). */
static void orthonormalise(double *vectors, int64_t count, int64_t length) {
    for (int64_t i = 0; i < count; i++) {
        double *v = vectors + i * length;
        for (int pass = 0; pass < 2; pass++)
            for (int64_t j = 0; j < i; j++) {
                const double *u = vectors + j * length;
                double along = dot(u, v, length);
                for (int64_t k = 0; k < length; k++) v[k] -= along * u[k];
            }
        double norm = sqrt(dot(v, v, length));
        for (int64_t k = 0; k < length; k++) v[k] /= norm;
    }
}

/* The weight as a matrix [out, rest]: the shorter side is made orthonormal. */
static lm_status fill_orthogonal(float *values, const lm_param_slice *slice,
                                 lm_rng *rng) {
    if (slice->count == 0) return LM_OK;
    int64_t rows = slice->shape.rank ? slice->shape.dim[0] : 1;
    int64_t cols = slice->count / rows;
    bool wide = rows <= cols;
    int64_t count = wide ? rows : cols, length = wide ? cols : rows;
    double *vectors = lm_alloc((size_t)slice->count * sizeof *vectors);
    if (!vectors) return LM_NOMEM;
    for (int64_t i = 0; i < slice->count; i++) vectors[i] = lm_rng_normal(rng);
    orthonormalise(vectors, count, length);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++) {
            double value = wide ? vectors[r * length + c] : vectors[c * length + r];
            values[r * cols + c] = (float)(slice->init.scale * value);
        }
    lm_free(vectors);
    return LM_OK;
}

static lm_status fill_slice(float *values, const lm_param_slice *slice, uint64_t seed) {
    lm_rng rng = {.seed = seed, .stream = hash_name(slice->name)};
    fans fan = count_fans(slice->shape);
    double scale = slice->init.scale;
    int64_t count = slice->count;
    switch (slice->init.kind) {
    case LM_INIT_ZEROS:
        fill_value(values, count, 0.0f);
        break;
    case LM_INIT_ONES:
        fill_value(values, count, 1.0f);
        break;
    case LM_INIT_NORMAL:
        fill_normal(values, count, scale, &rng);
        break;
    case LM_INIT_UNIFORM:
        fill_uniform(values, count, scale, &rng);
        break;
    /* A uniform variable on (-a, a) has variance a^2 / 3. */
    case LM_INIT_FAN_IN:
        fill_uniform(values, count, sqrt(3.0 * scale / fan.in), &rng);
        break;
    case LM_INIT_FAN_AVG:
        fill_uniform(values, count, sqrt(6.0 * scale / (fan.in + fan.out)), &rng);
        break;
    case LM_INIT_HE_NORMAL:
        fill_normal(values, count, sqrt(2.0 * scale / fan.in), &rng);
        break;
    case LM_INIT_ORTHOGONAL:
        return fill_orthogonal(values, slice, &rng);
    }
    return LM_OK;
}

/* Slices are drawn side by side, each from a stream of its own. */
lm_status lm_params_init(const lm_params *params, uint64_t seed, float *values) {
    const lm_param_slice *slices = params->slices;
    int failures = 0; /* of memory: a thread's message does not reach the caller */
#pragma omp parallel for schedule(dynamic) reduction(+ : failures)
    for (int i = 0; i < params->n_slices; i++)
        failures += fill_slice(values + slices[i].offset, &slices[i], seed) != LM_OK;
    LM_RETURN_IF(failures, LM_NOMEM, "%s: out of memory for its first weights",
                 params->name);
    return LM_OK;
}
