/* The order in which training sees a dataset: a pure function of (seed, position). */
#include "data/data.h"

#include "base/mem.h"
#include "tensor/philox.h"

/* Streams below 100 belong to the data room. */
#define STREAM_SHUFFLE 10

struct lm_loader {
    const lm_dataset *set;
    int batch;
    uint64_t seed;
    int64_t epoch;  /* that `order` was drawn for; -1: none */
    int32_t *order; /* [count], NULL for endless sets */
    int64_t *index; /* [batch], of the batch being read */
};

lm_status lm_loader_new(const lm_dataset *set, int batch, uint64_t seed,
                        lm_loader **loader) {
    LM_RETURN_IF(batch <= 0, LM_ARG, "batch %d: expected at least 1", batch);
    LM_RETURN_IF(set->count <= 0 || set->count > INT32_MAX, LM_ARG,
                 "%s: %lld images: expected 1 to 2^31 - 1", set->name,
                 (long long)set->count);
    lm_loader *made = lm_calloc(1, sizeof *made);
    if (!made) return LM_NOMEM;
    *made = (lm_loader){.set = set, .batch = batch, .seed = seed, .epoch = -1};
    made->index = lm_alloc(sizeof *made->index * batch);
    if (!set->endless) made->order = lm_alloc(sizeof *made->order * set->count);
    if (!made->index || (!set->endless && !made->order)) {
        lm_loader_free(made);
        return LM_NOMEM;
    }
    *loader = made;
    return LM_OK;
}

void lm_loader_free(lm_loader *loader) {
    if (!loader) return;
    lm_free(loader->order);
    lm_free(loader->index);
    lm_free(loader);
}

/* Fisher and Yates. */
static void shuffle(lm_loader *loader, int64_t epoch) {
    int32_t *order = loader->order, count = (int32_t)loader->set->count;
    lm_rng rng = {
        .seed = loader->seed, .stream = STREAM_SHUFFLE, .step = (uint32_t)epoch};
    for (int32_t i = 0; i < count; i++) order[i] = i;
    for (int32_t i = count - 1; i > 0; i--) {
        int32_t j = (int32_t)lm_rng_below(&rng, (uint32_t)i + 1), kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
    loader->epoch = epoch;
}

/* Consecutive positions lie in at most a few epochs, so the order is redrawn rarely. */
static int64_t index_at(lm_loader *loader, int64_t position) {
    int64_t count = loader->set->count;
    if (!loader->order) return position % count;
    if (position / count != loader->epoch) shuffle(loader, position / count);
    return loader->order[position % count];
}

/* What one image needs; drawing built-in images is worth all threads. Messages are kept
 * per thread, so a failed image is read once more by the caller's own. */
lm_status lm_loader_read(lm_loader *loader, int64_t position, uint8_t *pixels,
                         int32_t *labels) {
    const lm_dataset *set = loader->set;
    size_t size = (size_t)set->height * set->width * set->channels;
    for (int i = 0; i < loader->batch; i++)
        loader->index[i] = index_at(loader, position + i);
    int failed = -1;
#pragma omp parallel for schedule(static)
    for (int i = 0; i < loader->batch; i++) {
        int32_t label;
        if (set->get(set, loader->index[i], pixels + i * size, &label) != LM_OK) {
#pragma omp critical
            if (failed < 0 || i < failed) failed = i;
        } else if (labels)
            labels[i] = label;
    }
    int32_t label;
    if (failed < 0) return LM_OK;
    return set->get(set, loader->index[failed], pixels + failed * size, &label);
}
