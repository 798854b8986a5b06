/* How much images differ among themselves. */
#include "base/mem.h"
#include "data/order.h"
#include "eval/lpips.h"

#include <math.h>
#include <string.h>

typedef struct gathering {
    size_t each;             /* bytes of an image */
    uint8_t *pixels;         /* [count], as the source gives them */
    int32_t *labels;         /* [count] */
    uint8_t *first, *second; /* [count / 2]: the images of each pair */
    int64_t *waiting;        /* [classes]: the image that waits for a partner; -1: none */
    float *distance;         /* [count / 2] */
} gathering;

static void release(gathering *g) {
    lm_free(g->pixels);
    lm_free(g->labels);
    lm_free(g->first);
    lm_free(g->second);
    lm_free(g->waiting);
    lm_free(g->distance);
}

static lm_status allocate(gathering *g, const lm_image_source *source, int64_t count,
                          int classes) {
    g->each = (size_t)source->height * source->width * source->channels;
    LM_RETURN_IF((size_t)count > SIZE_MAX / 4 / g->each, LM_NOMEM,
                 "%s: %lld images are too many to be held in memory", source->name,
                 (long long)count);
    size_t pairs = (size_t)count / 2;
    g->pixels = lm_alloc((size_t)count * g->each);
    g->labels = lm_alloc((size_t)count * sizeof *g->labels);
    g->first = lm_alloc(pairs * g->each);
    g->second = lm_alloc(pairs * g->each);
    g->waiting = lm_alloc((size_t)classes * sizeof *g->waiting);
    g->distance = lm_alloc(pairs * sizeof *g->distance);
    bool whole =
        g->pixels && g->labels && g->first && g->second && g->waiting && g->distance;
    for (int i = 0; whole && i < classes; i++) g->waiting[i] = -1;
    return whole ? LM_OK : LM_NOMEM;
}

/* In the order that the seed draws, each image joins the one of its class that waits. */
static int64_t make_pairs(gathering *g, int64_t count, int classes, bool within_class,
                          uint64_t seed) {
    int64_t pairs = 0;
    for (int64_t i = 0; i < count; i++) {
        int64_t image = lm_order_at(seed, 0, count, i);
        int32_t class = within_class ? g->labels[image] : 0;
        if (class < 0 || class >= classes) continue;
        int64_t partner = g->waiting[class];
        g->waiting[class] = partner < 0 ? image : -1;
        if (partner < 0) continue;
        size_t at = (size_t)pairs++ * g->each;
        memcpy(g->first + at, g->pixels + (size_t)partner * g->each, g->each);
        memcpy(g->second + at, g->pixels + (size_t)image * g->each, g->each);
    }
    return pairs;
}

static lm_lpips_diversity summarise(const float *distance, int64_t pairs) {
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < pairs; i++) sum += distance[i];
    double n = (double)pairs, mean = sum / n;
    for (int64_t i = 0; i < pairs; i++)
        squares += (distance[i] - mean) * (distance[i] - mean);
    return (lm_lpips_diversity){mean, sqrt(squares / (n - 1) / n), pairs};
}

lm_status lm_lpips_measure_diversity(lm_lpips *lpips, const lm_image_source *source,
                                     int64_t count, bool within_class, uint64_t seed,
                                     const lm_metric_hook *hook,
                                     lm_lpips_diversity *diversity) {
    LM_RETURN_IF(count < 4 || count > INT32_MAX, LM_ARG,
                 "%s: diversity of %lld images, not 4 to %d", source->name,
                 (long long)count, INT32_MAX);
    LM_RETURN_IF(within_class && source->classes < 1, LM_ARG,
                 "%s: diversity within classes, but images have none", source->name);
    int classes = within_class ? source->classes : 1;
    gathering g = {0};
    lm_status status;
    LM_TRY_GOTO(done, allocate(&g, source, count, classes));
    LM_TRY_GOTO(done, lm_source_read(source, 0, count, g.pixels, g.labels));
    int64_t pairs = make_pairs(&g, count, classes, within_class, seed);
    if (pairs < 2) {
        status = lm_fail(LM_ARG, "%s: %lld images give %lld pairs, 2 are the least",
                         source->name, (long long)count, (long long)pairs);
        goto done;
    }
    lm_lpips_images a = {g.first, pairs, source->height, source->width, source->channels};
    lm_lpips_images b = a;
    b.pixels = g.second;
    LM_TRY_GOTO(done, lm_lpips_pairs(lpips, &a, &b, hook, g.distance));
    *diversity = summarise(g.distance, pairs);
done:
    release(&g);
    return status;
}
