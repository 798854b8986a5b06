#include "data/cifar.h"

#include "base/mem.h"
#include "data/pickle.h"

static lm_status check_labels(const lm_cifar_batch *batch, const char *name,
                              int classes) {
    for (int64_t i = 0; i < batch->count; i++)
        LM_RETURN_IF(batch->labels[i] < 0 || batch->labels[i] >= classes, LM_FORMAT,
                     "%s: image %lld has label %d, expected 0 to %d", name, (long long)i,
                     batch->labels[i], classes - 1);
    return LM_OK;
}

lm_status lm_cifar_read_binary(lm_cifar_batch *batch, const char *name, int labels,
                               int classes) {
    size_t record = (size_t)labels + LM_CIFAR_PIXELS;
    LM_RETURN_IF(batch->size == 0 || batch->size % record, LM_FORMAT,
                 "%s: %zu bytes, expected a multiple of %zu", name, batch->size, record);
    batch->count = (int64_t)(batch->size / record);
    batch->pixels = batch->bytes + labels;
    batch->step = record;
    batch->next = 1;
    batch->labels = lm_alloc((size_t)batch->count * sizeof *batch->labels);
    if (!batch->labels) return LM_NOMEM;
    for (int64_t i = 0; i < batch->count; i++)
        batch->labels[i] = batch->bytes[(size_t)i * record + (size_t)labels - 1];
    return check_labels(batch, name, classes);
}

static lm_status take_pickle(lm_cifar_batch *batch, const char *name, const char *labels,
                             const lm_pickle *pickle) {
    lm_pickle_array array;
    char text[LM_SHAPE_TEXT];
    int64_t count;
    LM_TRY(lm_pickle_find_array(pickle, "data", &array));
    LM_RETURN_IF(array.shape.rank != 2 || array.shape.dim[0] < 1 ||
                     array.shape.dim[1] != LM_CIFAR_PIXELS,
                 LM_FORMAT, "%s: data has shape %s, expected [N,%d]", name,
                 lm_shape_text(array.shape, text), LM_CIFAR_PIXELS);
    batch->count = array.shape.dim[0];
    batch->pixels = array.data;
    batch->step = array.by_columns ? 1 : LM_CIFAR_PIXELS;
    batch->next = array.by_columns ? (size_t)batch->count : 1;
    LM_TRY(lm_pickle_integers(pickle, labels, &batch->labels, &count));
    LM_RETURN_IF(count != batch->count, LM_FORMAT,
                 "%s: %lld labels, but there are %lld images", name, (long long)count,
                 (long long)batch->count);
    return LM_OK;
}

lm_status lm_cifar_read_python(lm_cifar_batch *batch, const char *name,
                               const char *labels, int classes) {
    lm_pickle *pickle;
    LM_TRY(lm_pickle_parse(batch->bytes, batch->size, name, &pickle));
    lm_status status = take_pickle(batch, name, labels, pickle);
    lm_pickle_free(pickle);
    return status == LM_OK ? check_labels(batch, name, classes) : status;
}

void lm_cifar_release(lm_cifar_batch *batch) {
    lm_free(batch->bytes);
    lm_free(batch->labels);
    *batch = (lm_cifar_batch){0};
}
