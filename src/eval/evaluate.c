#include "eval/evaluate.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "eval/metric.h"
#include "eval/neighbours_sheet.h"
#include "eval/protocol.h"
#include "eval/statistics.h"
#include "eval/warnings.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* A floor that is known already. */
typedef struct floor_value {
    int64_t n;      /* images that it was made of, 0: not known yet */
    bool by_labels; /* as its context was */
    double value, error;
} floor_value;

struct lm_evaluator {
    lm_eval_spec spec;
    lm_extractor *extractor;
    lm_lpips *lpips;
    const lm_eval_metric **metrics; /* those that are asked for, ended by NULL */
    floor_value *floors;            /* beside them */
    lm_eval_part train, test;       /* without a source: not there */
    lm_eval_part stats;             /* a reference that has no images */
    lm_eval_part *reference;        /* NULL: none */
    const lm_image_source *shape;   /* of all images */
    lm_eval_part *real;             /* of which floors are made; NULL: of nothing */
    lm_eval_part few; /* its first images, when fewer are judged than it has */
};

lm_eval_spec lm_eval_spec_default(void) {
    return (lm_eval_spec){
        .floor = true, .k = 5, .closed = true, .splits = 10, .subset_size = 1000};
}

lm_status lm_eval_side_of_set(const lm_dataset *set, int64_t n, uint64_t seed,
                              const char *spec, lm_set_source *from, lm_eval_side *side) {
    LM_RETURN_IF(set->endless && n <= 0, LM_ARG, "%s: endless; say how many images",
                 spec);
    LM_TRY(lm_set_source_init(from, set, n, seed));
    from->shuffled = !set->endless;
    *side = (lm_eval_side){.source = &from->source,
                           .spec = spec,
                           .split = lm_split_name(set->split),
                           .available = set->endless ? from->source.count : set->count,
                           .seed = seed,
                           .shuffled = from->shuffled,
                           .hash = set->hash};
    return LM_OK;
}

/* ---- making ------------------------------------------------------------------ */

static lm_status check_spec(const lm_eval_spec *spec) {
    LM_RETURN_IF(spec->k < 1, LM_ARG, "--k %d: expected at least 1", spec->k);
    LM_RETURN_IF(spec->splits < 1, LM_ARG, "--splits %d: expected at least 1",
                 spec->splits);
    LM_RETURN_IF(spec->subsets < 0 || spec->subset_size < 2, LM_ARG,
                 "--subsets %d of %d images: expected 0 or more of at least 2",
                 spec->subsets, spec->subset_size);
    return LM_OK;
}

/* The first of the extractors that suits the images, the best to have first. */
static lm_status open_standard(const lm_image_source *source, lm_extractor **extractor) {
    static const char *const standard[] = {"judge", "inception", "pixels", NULL};
    lm_status status = LM_OK;
    for (int i = 0; standard[i]; i++) {
        status = lm_extractor_open(standard[i], source, extractor);
        if (status == LM_OK || status == LM_NOMEM) return status;
    }
    return status;
}

/* LPIPS is wanted where it can be had; only where it was asked for must it be there. */
static lm_status open_lpips(lm_evaluator *e) {
    const char *asked = e->spec.lpips;
    if (asked && !*asked) return LM_OK;
    lm_status status = lm_lpips_open(asked ? asked : "vgg", &e->lpips);
    return asked || status == LM_NOMEM ? status : LM_OK;
}

/* made_by: as the file says, NULL where it does not. */
static lm_status check_stats(const lm_evaluator *e, const lm_moments *m,
                             const char *made_by) {
    const char *path = e->spec.stats;
    LM_RETURN_IF(m->dim != e->extractor->dim, LM_MISMATCH,
                 "%s: statistics of %d features; %s gives %d", path, m->dim,
                 e->extractor->id, e->extractor->dim);
    if (!made_by) return LM_OK;
    lm_str ours = LM_STR_INIT;
    lm_extractor_describe(e->extractor, &ours);
    const char *text = lm_str_text(&ours);
    lm_status status = text ? LM_OK : LM_NOMEM;
    if (text && strcmp(text, made_by) != 0)
        status = lm_fail(LM_MISMATCH, "%s: of another extractor (%s), not of this (%s)",
                         path, made_by, text);
    lm_str_release(&ours);
    return status;
}

/* A reference of which there is nothing but a file of its moments. */
static lm_status open_stats(lm_evaluator *e) {
    lm_eval_part *part = &e->stats;
    const lm_moments *m = &part->moments;
    char *made_by;
    *part = (lm_eval_part){.extractor = e->extractor, .side = {.spec = e->spec.stats}};
    LM_TRY(lm_statistics_read(e->spec.stats, &part->moments, &made_by));
    lm_status status = check_stats(e, m, made_by);
    lm_free(made_by);
    LM_TRY(status);
    size_t dim = (size_t)m->dim;
    uint64_t hash = lm_hash_bytes(LM_HASH_SEED, m->mean, sizeof *m->mean * dim);
    part->side.hash = lm_hash_bytes(hash, m->covariance, sizeof *m->mean * dim * dim);
    e->reference = part;
    return LM_OK;
}

static lm_status open_extractor(lm_evaluator *e, const lm_image_source *any) {
    LM_RETURN_IF(!any, LM_ARG, "neither real images nor any like them");
    return e->spec.extractor ? lm_extractor_open(e->spec.extractor, any, &e->extractor)
                             : open_standard(any, &e->extractor);
}

static lm_status open_sides(lm_evaluator *e, const lm_eval_side *train,
                            const lm_eval_side *test) {
    const lm_cache *cache = e->spec.cache;
    e->shape = train->source ? train->source : test->source ? test->source : e->spec.like;
    LM_RETURN_IF(
        train->source && test->source && !lm_source_alike(train->source, test->source),
        LM_MISMATCH, "%s and %s: images of different shapes", train->spec, test->spec);
    LM_TRY(open_extractor(e, e->shape));
    if (train->source)
        e->train =
            lm_eval_part_of(train, 0, "looking at training images", e->extractor, cache);
    if (test->source)
        e->test =
            lm_eval_part_of(test, 0, "looking at held-out images", e->extractor, cache);
    lm_eval_part *reference = e->spec.against_test ? &e->test : &e->train;
    lm_eval_part *other = e->spec.against_test ? &e->train : &e->test;
    if (reference->side.source) e->reference = reference;
    if (other->side.source) e->real = other;
    LM_RETURN_IF(e->real && !e->reference && !e->spec.stats, LM_ARG,
                 "%s: there are no images of the other split to compare with",
                 other->side.spec);
    return e->spec.stats ? open_stats(e) : LM_OK;
}

static int count_metrics(const lm_evaluator *e) {
    int n = 0;
    while (e->metrics[n]) n++;
    return n;
}

/* Who asks for it gets it, but is told beforehand. */
static void tell_what_is_slow(const lm_evaluator *e) {
    for (int i = 0; e->spec.metrics && e->metrics[i]; i++)
        if (!lm_eval_is_quick(e->metrics[i], e->extractor->dim))
            lm_log_line(LM_LOG_WARNING, "%s takes long with the %d features of %s",
                        e->metrics[i]->name, e->extractor->dim, e->extractor->id);
}

static lm_status set_up(lm_evaluator *e, const lm_eval_side *train,
                        const lm_eval_side *test) {
    LM_TRY(check_spec(&e->spec));
    LM_TRY(lm_eval_metrics_find(e->spec.metrics, &e->metrics));
    e->floors = lm_calloc((size_t)count_metrics(e) + 1, sizeof *e->floors);
    if (!e->floors) return LM_NOMEM;
    LM_TRY(open_sides(e, train, test));
    tell_what_is_slow(e);
    return open_lpips(e);
}

lm_status lm_evaluator_new(const lm_eval_spec *spec, const lm_eval_side *train,
                           const lm_eval_side *test, lm_evaluator **evaluator) {
    lm_evaluator *e = lm_calloc(1, sizeof *e);
    if (!e) return LM_NOMEM;
    e->spec = *spec;
    lm_status status = set_up(e, train, test);
    if (status == LM_OK)
        *evaluator = e;
    else
        lm_evaluator_free(e);
    return status;
}

void lm_evaluator_free(lm_evaluator *e) {
    if (!e) return;
    lm_eval_part_release(&e->train);
    lm_eval_part_release(&e->test);
    lm_eval_part_release(&e->stats);
    lm_eval_part_release(&e->few);
    lm_extractor_free(e->extractor);
    lm_lpips_free(e->lpips);
    lm_free(e->metrics);
    lm_free(e->floors);
    lm_free(e);
}

/* ---- one measurement --------------------------------------------------------- */

static bool tell(void *user, double share) {
    const lm_eval_context *context = user;
    const lm_eval_hook *hook = context->hook;
    return !hook || !hook->call || hook->call(hook->user, context->what, share);
}

static lm_eval_context make_context(lm_evaluator *e, lm_eval_part *generated,
                                    const lm_eval_hook *hook) {
    return (lm_eval_context){.spec = &e->spec,
                             .extractor = e->extractor,
                             .lpips = e->lpips,
                             .generated = generated,
                             .reference = e->reference,
                             .train = e->train.side.source ? &e->train : NULL,
                             .test = e->test.side.source ? &e->test : NULL,
                             .hook = hook};
}

static lm_status measure(lm_eval_context *context, const lm_eval_metric *metric,
                         lm_eval_result *result) {
    context->what = metric->name;
    context->within = (lm_metric_hook){tell, context};
    *result = (lm_eval_result){.metric = metric,
                               .value = NAN,
                               .error = NAN,
                               .error_from = "",
                               .floor = NAN,
                               .floor_error = NAN,
                               .n = context->generated->source.count};
    LM_TRY(lm_protocol_of(context, metric, &result->protocol));
    LM_TRY(lm_metric_progress(&context->within, metric->name, 0));
    return metric->measure(context, result);
}

static void release_result(lm_eval_result *result) {
    json_decref(result->protocol);
    json_decref(result->detail);
}

/* Asks a part for something, with its name for the hook meanwhile. */
static lm_status need(lm_eval_context *context, lm_eval_part *part,
                      lm_status (*work)(lm_eval_part *part, const lm_metric_hook *hook)) {
    const char *before = context->what;
    context->what = part->role;
    lm_status status = work(part, &context->within);
    context->what = before;
    return status;
}

lm_status lm_eval_need_features(lm_eval_context *context, lm_eval_part *part) {
    return need(context, part, lm_eval_part_features);
}

lm_status lm_eval_need_predicted(lm_eval_context *context, lm_eval_part *part) {
    return need(context, part, lm_eval_part_predicted);
}

lm_status lm_eval_need_moments(lm_eval_context *context, lm_eval_part *part) {
    return need(context, part, lm_eval_part_moments);
}

lm_status lm_eval_need_pixels(lm_eval_context *context, lm_eval_part *part) {
    return need(context, part, lm_eval_part_pixels);
}

lm_status lm_eval_need_floats(lm_eval_context *context, lm_eval_part *part) {
    return need(context, part, lm_eval_part_floats);
}

int64_t lm_eval_equal_count(const lm_eval_context *context) {
    int64_t real = context->reference->source.count;
    int64_t judged = context->generated->source.count;
    return judged < real ? judged : real;
}

lm_status lm_eval_equal_reference(const lm_eval_context *context, lm_eval_result *result,
                                  int64_t *count) {
    const lm_eval_side *side = &context->reference->side;
    *count = lm_eval_equal_count(context);
    if (side->shuffled && *count < side->available) /* other seeds have others first */
        LM_TRY(lm_json_put(result->protocol, "reference_seed",
                           json_integer((json_int_t)side->seed)));
    return lm_json_put(result->protocol, "reference_n", json_integer(*count));
}

/* ---- floors ------------------------------------------------------------------ */

/* All that a floor depends on; false: not all of it is known. */
static bool floor_key(const lm_eval_context *c, const lm_eval_metric *metric,
                      lm_str *key) {
    const lm_eval_spec *spec = c->spec;
    lm_cache_key_add(key, "floor", "%s", metric->name);
    lm_cache_key_add(key, "k", "%d", spec->k);
    lm_cache_key_add(key, "closed", "%d", spec->closed);
    lm_cache_key_add(key, "splits", "%d", spec->splits);
    lm_cache_key_add(key, "subsets", "%d of %d", spec->subsets, spec->subset_size);
    lm_cache_key_add(key, "evaluation seed", "%" PRIu64, spec->seed);
    lm_cache_key_add(key, "against test", "%d", spec->against_test);
    lm_cache_key_add(key, "by labels", "%d", c->by_labels);
    lm_eval_extractor_key(c->extractor, key);
    if (c->lpips) {
        lm_cache_key_add(key, "network", "%s", lm_lpips_id(c->lpips));
        lm_cache_key_add(key, "network weights", "%s", lm_lpips_weights(c->lpips));
    }
    bool known = lm_eval_part_key(c->generated, key);
    known = lm_eval_part_key(c->reference, key) && known;
    /* Which the reference need not be. */
    if (metric->needs & LM_NEED_TRAIN) known = lm_eval_part_key(c->train, key) && known;
    if (metric->needs & LM_NEED_TEST) known = lm_eval_part_key(c->test, key) && known;
    return known && lm_str_text(key);
}

static bool recall_floor(const lm_cache *cache, const char *key, floor_value *floor) {
    json_t *json = lm_cache_find_json(cache, key);
    json_t *value = json_object_get(json, "value"),
           *error = json_object_get(json, "error");
    bool found = json_is_number(value) && (json_is_number(error) || json_is_null(error));
    if (found) {
        floor->value = json_number_value(value);
        floor->error = json_is_number(error) ? json_number_value(error) : NAN;
    }
    json_decref(json);
    return found;
}

static void keep_floor(const lm_cache *cache, const char *key, const floor_value *floor) {
    json_t *json = json_pack("{s:f, s:o}", "value", floor->value, "error",
                             isnan(floor->error) ? json_null() : json_real(floor->error));
    if (json) lm_cache_put_json(cache, key, json);
    json_decref(json);
}

static lm_status find_floor(lm_eval_context *context, const lm_eval_metric *metric,
                            floor_value *floor) {
    const lm_cache *cache = context->spec->cache;
    lm_str key = LM_STR_INIT;
    bool keeps = cache && floor_key(context, metric, &key);
    lm_status status = LM_OK;
    if (!keeps || !recall_floor(cache, key.text, floor)) {
        lm_eval_result result;
        status = measure(context, metric, &result);
        floor->value = result.value;
        floor->error = result.error;
        if (status == LM_OK && keeps) keep_floor(cache, key.text, floor);
        release_result(&result);
    }
    lm_str_release(&key);
    floor->n = status == LM_OK ? context->generated->source.count : 0;
    floor->by_labels = context->by_labels;
    return status;
}

/* The real images that stand for `n` judged ones: as many, or all that there are. */
static lm_eval_part *floor_part(lm_evaluator *e, int64_t n) {
    if (n >= e->real->source.count) return e->real;
    if (e->few.source.count != n) {
        lm_eval_part_release(&e->few);
        e->few = lm_eval_part_of(&e->real->side, n, e->real->role, e->extractor,
                                 e->spec.cache);
    }
    return &e->few;
}

/* Distances of training images to themselves are no floor. */
static bool has_floor(const lm_evaluator *e, const lm_eval_metric *metric) {
    if (!e->spec.floor || !e->real || !metric->has_floor) return false;
    return e->real != &e->train || !(metric->needs & LM_NEED_TRAIN);
}

/* By what the judged images were measured: labels of real ones that those have not are
 * not looked at. */
static lm_status add_floor(lm_evaluator *e, int index, const lm_eval_context *judged,
                           lm_eval_result *result) {
    const lm_eval_metric *metric = e->metrics[index];
    floor_value *floor = &e->floors[index];
    if (!has_floor(e, metric)) return LM_OK;
    lm_eval_part *real = floor_part(e, result->n);
    lm_eval_context context = make_context(e, real, judged->hook);
    context.is_floor = true;
    context.by_labels = judged->by_labels;
    if (lm_eval_hindrance(&context, metric)) return LM_OK;
    if (floor->n != real->source.count || floor->by_labels != context.by_labels)
        LM_TRY(find_floor(&context, metric, floor));
    result->floor = floor->value;
    result->floor_error = floor->error;
    result->floor_n = floor->n;
    return LM_OK;
}

/* ---- all of them ------------------------------------------------------------- */

static lm_status note_skipped(lm_evaluation *evaluation, const lm_eval_metric *metric,
                              const char *why) {
    return lm_json_put(evaluation->skipped, NULL,
                       json_pack("{s:s, s:s}", "metric", metric->name, "why", why));
}

static lm_status run_metrics(lm_evaluator *e, lm_eval_context *context,
                             lm_evaluation *evaluation) {
    for (int i = 0; e->metrics[i]; i++) {
        const char *why = lm_eval_hindrance(context, e->metrics[i]);
        LM_RETURN_IF(why && e->spec.metrics, LM_ARG, "%s: %s", e->metrics[i]->name, why);
        if (why) {
            LM_TRY(note_skipped(evaluation, e->metrics[i], why));
            continue;
        }
        lm_eval_result *result = &evaluation->results[evaluation->count++];
        LM_TRY(measure(context, e->metrics[i], result));
        LM_TRY(add_floor(e, i, context, result));
    }
    return LM_OK;
}

static lm_status check_subject(const lm_evaluator *e, const lm_eval_subject *subject) {
    const lm_eval_side *generated = &subject->generated, *pairs = &subject->pairs;
    const lm_image_source *real = e->shape;
    const lm_image_source *images = generated->source;
    LM_RETURN_IF(images->count < 2, LM_ARG, "%s: %" PRId64 " images; expected at least 2",
                 generated->spec, images->count);
    LM_RETURN_IF(!lm_source_alike(images, real), LM_MISMATCH,
                 "%s: images of %dx%dx%d, %s has %dx%dx%d", generated->spec,
                 images->height, images->width, images->channels, real->name,
                 real->height, real->width, real->channels);
    if (!pairs->source) return LM_OK;
    LM_RETURN_IF(
        !lm_source_alike(images, pairs->source) || images->count != pairs->source->count,
        LM_MISMATCH,
        "--pairs %s: %" PRId64 " images of %dx%dx%d; expected %" PRId64 " of %dx%dx%d",
        pairs->spec, pairs->source->count, pairs->source->height, pairs->source->width,
        pairs->source->channels, images->count, images->height, images->width,
        images->channels);
    return LM_OK;
}

static lm_status save_stats(lm_eval_context *context, const char *path) {
    lm_str line = LM_STR_INIT;
    LM_TRY(lm_eval_need_moments(context, context->generated));
    lm_extractor_describe(context->extractor, &line);
    const char *extractor = lm_str_text(&line);
    lm_status status =
        extractor ? lm_statistics_write(path, &context->generated->moments, extractor)
                  : LM_NOMEM;
    lm_str_release(&line);
    return status;
}

static lm_status run(lm_evaluator *e, const lm_eval_subject *subject,
                     const lm_eval_hook *hook, lm_evaluation *evaluation) {
    size_t most = (size_t)count_metrics(e) + 1;
    evaluation->results = lm_calloc(most, sizeof *evaluation->results);
    evaluation->skipped = json_array();
    if (!evaluation->results || !evaluation->skipped) return LM_NOMEM;
    lm_eval_part pairs = {0}, generated = lm_eval_part_of(&subject->generated, 0,
                                                          "images", e->extractor, NULL);
    lm_eval_context context = make_context(e, &generated, hook);
    if (subject->pairs.source) {
        pairs =
            lm_eval_part_of(&subject->pairs, 0, "looking at pairs", e->extractor, NULL);
        context.pairs = &pairs;
    }
    context.likelihood = subject->likelihood;
    context.coding = subject->coding;
    context.by_labels = e->reference && e->reference->side.source &&
                        generated.source.classes > 0 &&
                        generated.source.classes == e->reference->source.classes;
    context.within = (lm_metric_hook){tell, &context};
    lm_status status = need(&context, &generated, lm_eval_part_hold);
    if (status == LM_OK) status = run_metrics(e, &context, evaluation);
    if (status == LM_OK) status = lm_eval_warn(&context, evaluation);
    if (status == LM_OK && e->spec.save_stats)
        status = save_stats(&context, e->spec.save_stats);
    if (status == LM_OK && e->spec.sheet)
        status = lm_neighbours_sheet_write(&context, evaluation, e->spec.sheet);
    lm_eval_part_release(&generated);
    lm_eval_part_release(&pairs);
    return status;
}

lm_status lm_evaluator_run(lm_evaluator *e, const lm_eval_subject *subject,
                           const lm_eval_hook *hook, lm_evaluation *evaluation) {
    lm_evaluation made = {0};
    double began = lm_now();
    LM_TRY(check_subject(e, subject));
    lm_status status = run(e, subject, hook, &made);
    made.seconds = lm_now() - began;
    if (status == LM_OK)
        *evaluation = made;
    else
        lm_evaluation_release(&made);
    return status;
}

const lm_eval_result *lm_evaluation_find(const lm_evaluation *evaluation,
                                         const char *metric) {
    for (int i = 0; i < evaluation->count; i++)
        if (strcmp(evaluation->results[i].metric->name, metric) == 0)
            return &evaluation->results[i];
    return NULL;
}

void lm_evaluation_release(lm_evaluation *evaluation) {
    for (int i = 0; i < evaluation->count; i++) release_result(&evaluation->results[i]);
    for (int i = 0; i < evaluation->n_warnings; i++) lm_free(evaluation->warnings[i]);
    lm_free(evaluation->warnings);
    lm_free(evaluation->results);
    json_decref(evaluation->skipped);
    *evaluation = (lm_evaluation){0};
}
