#include "eval/statistics.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "data/entries.h"
#include "eval/npz.h"
#include "metrics/matrix.h"
#include "tensor/npy.h"

#include <math.h>
#include <string.h>

/* What rounding may have done to a covariance's symmetry, in deviations. */
#define MOST_ASYMMETRY 1e-5

enum { MOST_LINE = 1000 };

bool lm_is_statistics(const char *path) {
    return lm_path_ends(path, ".npz");
}

static bool is_array(const char *name) {
    return strcmp(name, "mu.npy") == 0 || strcmp(name, "sigma.npy") == 0 ||
           strcmp(name, "count.npy") == 0 || strcmp(name, "extractor.npy") == 0;
}

/* An array of the archive; its bytes are owned. */
typedef struct array {
    void *bytes;
    lm_npy_view view;
} array;

/* LM_OK and a == {0}: there is none, which `optional` allows. */
static lm_status read_array(const lm_entries *entries, const char *name, bool optional,
                            array *a) {
    *a = (array){0};
    lm_str label = LM_STR_INIT;
    size_t size;
    int64_t index = lm_entries_find(entries, name);
    if (index < 0 && optional) return LM_OK;
    LM_RETURN_IF(index < 0, LM_FORMAT,
                 "%s: no %s in it: expected mu and sigma, as pytorch-fid writes them",
                 lm_entries_path(entries), name);
    LM_TRY(lm_entries_read(entries, index, &a->bytes, &size));
    lm_str_printf(&label, "%s: %s", lm_entries_path(entries), name);
    lm_status status = lm_str_text(&label)
                           ? lm_npy_look(a->bytes, size, label.text, &a->view)
                           : LM_NOMEM;
    lm_str_release(&label);
    return status;
}

static bool is_real(const lm_npy_view *view) {
    return view->dtype == LM_F32 || view->dtype == LM_F64;
}

static lm_status take_arrays(const char *path, const lm_npy_view *mu,
                             const lm_npy_view *sigma, lm_moments *m) {
    char text[LM_SHAPE_TEXT], other[LM_SHAPE_TEXT];
    int64_t dim = mu->shape.dim[0];
    LM_RETURN_IF(!is_real(mu) || !is_real(sigma), LM_FORMAT,
                 "%s: mu is %s and sigma %s, expected f32 or f64", path,
                 lm_dtype_name(mu->dtype), lm_dtype_name(sigma->dtype));
    LM_RETURN_IF(mu->shape.rank != 1 || dim < 1 || dim > LM_MATRIX_SIDE ||
                     !lm_shape_equal(sigma->shape, LM_SHAPE(dim, dim)),
                 LM_FORMAT, "%s: mu has shape %s and sigma %s, expected [D] and [D,D]",
                 path, lm_shape_text(mu->shape, text),
                 lm_shape_text(sigma->shape, other));
    LM_TRY(lm_moments_init(m, (int)dim));
    lm_convert(m->mean, LM_F64, mu->data, mu->dtype, dim);
    lm_convert(m->covariance, LM_F64, sigma->data, sigma->dtype, dim * dim);
    return LM_OK;
}

static lm_status check_values(const char *path, const lm_moments *m) {
    for (int i = 0; i < m->dim; i++) {
        double variance = m->covariance[(size_t)i * m->dim + i];
        LM_RETURN_IF(!isfinite(m->mean[i]), LM_FORMAT, "%s: mu[%d] is not finite", path,
                     i);
        LM_RETURN_IF(!isfinite(variance) || variance < 0, LM_FORMAT,
                     "%s: sigma[%d][%d] is %g: not a variance", path, i, i, variance);
    }
    return LM_OK;
}

/* Makes it symmetric to the last bit where it is so but for rounding. */
static lm_status even_out(const char *path, lm_moments *m) {
    const size_t dim = m->dim;
    double *c = m->covariance;
    for (size_t i = 0; i < dim; i++)
        for (size_t j = i + 1; j < dim; j++) {
            double upper = c[i * dim + j], lower = c[j * dim + i];
            double scale = sqrt(c[i * dim + i]) * sqrt(c[j * dim + j]);
            LM_RETURN_IF(
                !isfinite(upper) || !(fabs(upper - lower) <= MOST_ASYMMETRY * scale),
                LM_FORMAT,
                "%s: sigma[%zu][%zu] is %g and sigma[%zu][%zu] %g: not symmetric", path,
                i, j, upper, j, i, lower);
            c[i * dim + j] = c[j * dim + i] = upper / 2 + lower / 2;
        }
    return LM_OK;
}

static lm_status take_count(const char *path, const array *count, lm_moments *m) {
    if (!count->bytes) return LM_OK;
    LM_RETURN_IF(count->view.dtype != LM_I64 || count->view.shape.rank != 0, LM_FORMAT,
                 "%s: count is not one i64", path);
    memcpy(&m->count, count->view.data, sizeof m->count);
    LM_RETURN_IF(m->count < 2, LM_FORMAT, "%s: count is %lld, expected 2 or more", path,
                 (long long)m->count);
    return LM_OK;
}

static bool is_line(const uint8_t *text, int64_t length) {
    for (int64_t i = 0; i < length; i++)
        if (text[i] < ' ' || text[i] > '~') return false;
    return length > 0 && length <= MOST_LINE;
}

static lm_status take_extractor(const char *path, const array *line, char **extractor) {
    if (!line->bytes) return LM_OK;
    int64_t length = line->view.shape.dim[0];
    LM_RETURN_IF(line->view.dtype != LM_U8 || line->view.shape.rank != 1 ||
                     !is_line(line->view.data, length),
                 LM_FORMAT, "%s: extractor is not a line of text", path);
    *extractor = lm_calloc((size_t)length + 1, 1);
    if (!*extractor) return LM_NOMEM;
    memcpy(*extractor, line->view.data, (size_t)length);
    return LM_OK;
}

static lm_status read_entries(const lm_entries *entries, lm_moments *m,
                              char **extractor) {
    array mu = {0}, sigma = {0}, count = {0}, line = {0};
    const char *path = lm_entries_path(entries);
    lm_status status = read_array(entries, "mu.npy", false, &mu);
    if (status == LM_OK) status = read_array(entries, "sigma.npy", false, &sigma);
    if (status == LM_OK) status = read_array(entries, "count.npy", true, &count);
    if (status == LM_OK) status = read_array(entries, "extractor.npy", true, &line);
    if (status == LM_OK) status = take_arrays(path, &mu.view, &sigma.view, m);
    if (status == LM_OK) status = take_count(path, &count, m);
    if (status == LM_OK) status = check_values(path, m);
    if (status == LM_OK) status = even_out(path, m);
    if (status == LM_OK) status = take_extractor(path, &line, extractor);
    lm_free(mu.bytes);
    lm_free(sigma.bytes);
    lm_free(count.bytes);
    lm_free(line.bytes);
    return status;
}

lm_status lm_statistics_read(const char *path, lm_moments *moments, char **extractor) {
    lm_entries *entries;
    *extractor = NULL;
    *moments = (lm_moments){0};
    LM_RETURN_IF(!lm_file_exists(path), LM_NOT_FOUND, "%s: no such file", path);
    LM_RETURN_IF(lm_is_folder(path) || !lm_is_archive(path), LM_FORMAT,
                 "%s: not an .npz of mu and sigma", path);
    LM_TRY(lm_entries_open(path, is_array, 0, &entries));
    lm_status status = read_entries(entries, moments, extractor);
    lm_entries_free(entries);
    if (status != LM_OK) lm_moments_release(moments);
    return status;
}

lm_status lm_statistics_write(const char *path, const lm_moments *m,
                              const char *extractor) {
    int64_t length = extractor ? (int64_t)strlen(extractor) : 0;
    lm_npz_array arrays[4] = {{"mu", LM_F64, LM_SHAPE(m->dim), m->mean},
                              {"sigma", LM_F64, LM_SHAPE(m->dim, m->dim), m->covariance}};
    int count = 2;
    if (m->count > 0)
        arrays[count++] = (lm_npz_array){"count", LM_I64, LM_SCALAR, &m->count};
    if (length && is_line((const uint8_t *)extractor, length))
        arrays[count++] = (lm_npz_array){"extractor", LM_U8, LM_SHAPE(length), extractor};
    return lm_npz_write(path, arrays, count);
}
