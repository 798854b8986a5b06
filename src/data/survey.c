#include "data/survey.h"

#include "base/hash.h"
#include "base/mem.h"
#include "data/scan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What is kept of an image until all are seen. */
typedef struct record {
    uint64_t hash;
    int32_t index;
    uint16_t height, width; /* at most 32768 */
} record;

typedef struct surveyor {
    const lm_dataset *set;
    lm_survey *survey;
    lm_survey_hook hook;
    void *user;
    record *records; /* [survey->good] */
    uint64_t sum[3], squares[3], pixels;
    float *values; /* [n_attributes] of one image */
} surveyor;

/* ---- one image --------------------------------------------------------------- */

static void add_pixels(surveyor *s, const lm_image *image) {
    size_t channels = (size_t)image->channels;
    size_t count = (size_t)image->width * image->height;
    for (size_t c = 0; c < channels; c++) {
        uint64_t sum = 0, squares = 0;
        for (size_t i = c; i < count * channels; i += channels) {
            uint32_t value = image->pixels[i];
            sum += value;
            squares += value * value;
        }
        s->sum[c] += sum;
        s->squares[c] += squares;
    }
    s->pixels += count;
}

static lm_status add_attributes(surveyor *s, int64_t index) {
    if (!s->values) return LM_OK;
    LM_TRY(s->set->attributes(s->set, index, s->values));
    for (int i = 0; i < s->set->n_attributes; i++) {
        lm_attribute_range *range = &s->survey->attributes[i];
        double value = (double)s->values[i];
        bool first = s->survey->good == 0;
        range->mean += value; /* the sum, until the end */
        if (first || value < range->least) range->least = value;
        if (first || value > range->most) range->most = value;
    }
    return LM_OK;
}

static lm_status add_unreadable(lm_survey *survey, const lm_scanned *found) {
    int n = survey->n_unreadable;
    if ((n & (n - 1)) == 0) { /* full: capacities are powers of two */
        void *grown = lm_realloc(survey->unreadable,
                                 (n ? 2 * (size_t)n : 1) * sizeof *survey->unreadable);
        if (!grown) return LM_NOMEM;
        survey->unreadable = grown;
    }
    char *why = lm_strdup(found->message);
    if (!why) return LM_NOMEM;
    survey->unreadable[survey->n_unreadable++] = (lm_unreadable){found->index, why};
    return LM_OK;
}

static lm_status add_image(surveyor *s, const lm_scanned *found) {
    lm_survey *survey = s->survey;
    const lm_image *image = &found->image;
    add_pixels(s, image);
    LM_TRY(add_attributes(s, found->index));
    if (found->label >= 0 && found->label < s->set->classes)
        survey->of_class[found->label]++;
    else
        survey->unlabelled++;
    size_t bytes = (size_t)image->width * image->height * image->channels;
    s->records[survey->good++] = (record){
        .hash = lm_hash_bytes(LM_HASH_SEED, image->pixels, bytes),
        .index = (int32_t)found->index,
        .height = (uint16_t)image->height,
        .width = (uint16_t)image->width,
    };
    return LM_OK;
}

static lm_status take(void *user, lm_scanned *found) {
    surveyor *s = user;
    LM_TRY(found->status == LM_OK ? add_image(s, found)
                                  : add_unreadable(s->survey, found));
    s->survey->seen++;
    LM_RETURN_IF(s->hook && !s->hook(s->user, s->survey->seen), LM_INTERRUPTED,
                 "%s: interrupted", s->set->name);
    return LM_OK;
}

/* ---- all of them ------------------------------------------------------------- */

static void find_moments(const surveyor *s) {
    for (int c = 0; c < s->set->channels && s->pixels; c++) {
        double mean = (double)s->sum[c] / (double)s->pixels;
        double square = (double)s->squares[c] / (double)s->pixels;
        double variance = square - mean * mean;
        s->survey->mean[c] = mean / 255;
        s->survey->deviation[c] = variance > 0 ? sqrt(variance) / 255 : 0;
    }
    for (int i = 0; i < s->set->n_attributes && s->values && s->survey->good; i++)
        s->survey->attributes[i].mean /= (double)s->survey->good;
}

static int compare_content(const void *a, const void *b) {
    const record *x = a, *y = b;
    if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
    if (x->height != y->height) return x->height - y->height;
    if (x->width != y->width) return x->width - y->width;
    return x->index < y->index ? -1 : x->index > y->index;
}

static bool same_content(const record *a, const record *b) {
    return a->hash == b->hash && a->height == b->height && a->width == b->width;
}

/* Keeps the pairs with the lowest numbers, in order. */
static void keep_pair(lm_survey *survey, int64_t original, int64_t copy) {
    int64_t kept =
        survey->duplicates < LM_SURVEY_PAIRS ? survey->duplicates : LM_SURVEY_PAIRS;
    survey->duplicates++;
    int64_t at = kept;
    while (at > 0 && survey->pairs[at - 1][1] > copy) at--;
    if (at == LM_SURVEY_PAIRS) return;
    if (kept == LM_SURVEY_PAIRS) kept--;
    memmove(survey->pairs[at + 1], survey->pairs[at],
            (size_t)(kept - at) * sizeof survey->pairs[0]);
    survey->pairs[at][0] = original;
    survey->pairs[at][1] = copy;
}

static void find_duplicates(const surveyor *s) {
    int64_t count = s->survey->good;
    qsort(s->records, (size_t)count, sizeof *s->records, compare_content);
    for (int64_t i = 1, first = 0; i < count; i++)
        if (same_content(&s->records[i], &s->records[first]))
            keep_pair(s->survey, s->records[first].index, s->records[i].index);
        else
            first = i;
}

static int shorter(const record *r) {
    return r->height < r->width ? r->height : r->width;
}

static int compare_size(const void *a, const void *b) {
    const record *x = a, *y = b;
    if (shorter(x) != shorter(y)) return shorter(x) - shorter(y);
    if (x->height != y->height) return x->height - y->height;
    return x->width - y->width;
}

static int compare_count(const void *a, const void *b) {
    const lm_size_count *x = a, *y = b;
    if (x->count != y->count) return x->count > y->count ? -1 : 1;
    if (x->height != y->height) return x->height - y->height;
    return x->width - y->width;
}

static lm_status count_sizes(const surveyor *s) {
    lm_survey *survey = s->survey;
    int64_t count = survey->good, different = 0;
    if (count == 0) return LM_OK;
    record *records = s->records;
    qsort(records, (size_t)count, sizeof *records, compare_size);
    for (int64_t i = 0; i < count; i++)
        different += i == 0 || compare_size(&records[i], &records[i - 1]) != 0;
    survey->sizes = lm_alloc((size_t)different * sizeof *survey->sizes);
    if (!survey->sizes) return LM_NOMEM;
    for (int64_t i = 0; i < count; i++) {
        if (i == 0 || compare_size(&records[i], &records[i - 1]) != 0)
            survey->sizes[survey->n_sizes++] =
                (lm_size_count){records[i].width, records[i].height, 0};
        survey->sizes[survey->n_sizes - 1].count++;
    }
    qsort(survey->sizes, (size_t)survey->n_sizes, sizeof *survey->sizes, compare_count);
    for (int i = 0; i < 3; i++)
        survey->shorter_side[i] = shorter(&records[(count - 1) * i / 2]);
    return LM_OK;
}

static lm_status prepare(surveyor *s, int64_t count) {
    const lm_dataset *set = s->set;
    s->records = lm_alloc((size_t)count * sizeof *s->records);
    s->survey->of_class = lm_calloc((size_t)set->classes + 1, sizeof(int64_t));
    if (!s->records || !s->survey->of_class) return LM_NOMEM;
    if (!set->attributes) return LM_OK;
    size_t n = (size_t)set->n_attributes;
    s->values = lm_alloc(n * sizeof *s->values);
    s->survey->attributes = lm_calloc(n, sizeof *s->survey->attributes);
    return s->values && s->survey->attributes ? LM_OK : LM_NOMEM;
}

lm_status lm_survey_make(const lm_dataset *set, int64_t limit, int threads,
                         lm_survey_hook hook, void *user, lm_survey *survey) {
    LM_RETURN_IF(set->endless && !limit, LM_ARG, "%s: endless; say how many images",
                 set->name);
    int64_t count = limit && limit < set->count ? limit : set->count;
    *survey = (lm_survey){0};
    surveyor s = {.set = set, .survey = survey, .hook = hook, .user = user};
    lm_status status = prepare(&s, count);
    if (status == LM_OK) status = lm_scan(set, 0, count, threads, take, &s);
    if (status == LM_OK) {
        find_moments(&s);
        find_duplicates(&s);
        status = count_sizes(&s);
    }
    lm_free(s.records);
    lm_free(s.values);
    if (status != LM_OK) lm_survey_release(survey);
    return status;
}

void lm_survey_release(lm_survey *survey) {
    for (int i = 0; i < survey->n_unreadable; i++) lm_free(survey->unreadable[i].why);
    lm_free(survey->unreadable);
    lm_free(survey->sizes);
    lm_free(survey->of_class);
    lm_free(survey->attributes);
    *survey = (lm_survey){0};
}
