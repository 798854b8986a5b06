/* Judges at work: the network on the cpu engine, and the extractor that uses it. */
#include "eval/judge.h"

#include "base/mem.h"
#include "eval/extractor.h"
#include "eval/judge_internal.h"
#include "image/frame.h"
#include "image/resize.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Pixels of a batch: 128 images of 32 x 32, fewer of larger ones. */
enum { BATCH_PIXELS = 128 * 32 * 32, MOST_BATCH = 128 };

#define VAR "model"

void lm_judge_free(lm_judge *judge) {
    if (!judge) return;
    lm_program_free(judge->program);
    lm_engine_free(judge->engine);
    lm_model_close(judge->model);
    lm_judge_card_release(&judge->card);
    lm_free(judge->weights);
    lm_free(judge->input);
    lm_free(judge->pixels);
    lm_free(judge->features);
    lm_free(judge->logits);
    lm_free(judge);
}

const lm_model *lm_judge_model(const lm_judge *judge) {
    return judge->model;
}

const lm_judge_card *lm_judge_get_card(const lm_judge *judge) {
    return &judge->card;
}

void lm_judge_set_tested(lm_judge *judge, int64_t tested, int64_t correct) {
    judge->card.tested = tested;
    judge->card.correct = correct;
}

const char *lm_judge_hash(const lm_judge *judge) {
    return judge->hash;
}

int lm_judge_dim(const lm_judge *judge) {
    return judge->dim;
}

int lm_judge_batch(const lm_judge *judge) {
    return judge->batch;
}

const char *lm_judge_input(const lm_judge *judge) {
    return judge->input;
}

/* ---- making one -------------------------------------------------------------- */

static lm_status hash_weights(lm_judge *judge) {
    const lm_params *params = judge->model->groups[0];
    const lm_image_info *info = &judge->model->info;
    lm_digest digest;
    lm_str line = LM_STR_INIT;
    lm_digest_init(&digest, LM_SHA256);
    lm_str_printf(&line, "%dx%dx%d\n", info->height, info->width, info->channels);
    for (int i = 0; i < params->n_slices && !line.failed; i++) {
        const lm_param_slice *slice = &params->slices[i];
        char shape[LM_SHAPE_TEXT];
        lm_str_printf(&line, "%s %s\n", slice->name, lm_shape_text(slice->shape, shape));
        lm_digest_add(&digest, lm_str_text(&line), line.length);
        lm_digest_add(&digest, judge->weights + slice->offset,
                      (size_t)slice->count * sizeof *judge->weights);
        lm_str_clear(&line);
    }
    lm_digest_hex(&digest, judge->hash);
    lm_status status = line.failed ? LM_NOMEM : LM_OK;
    lm_str_release(&line);
    return status;
}

static lm_status compile(lm_judge *judge) {
    const lm_model *model = judge->model;
    const lm_image_info *info = &model->info;
    lm_graph *g;
    LM_TRY(lm_graph_new(&g));
    lm_nn nn = {.graph = g, .params = model->groups[0], .var = VAR};
    lm_shape shape = LM_SHAPE(judge->batch, info->height, info->width, info->channels);
    lm_class_nodes made =
        model->family->classify(model, &nn, lm_input(g, "images", LM_U8, shape));
    lm_graph_output(g, "features", made.features);
    lm_graph_output(g, "logits", made.logits);
    lm_status status = lm_graph_status(g);
    if (status == LM_OK) judge->dim = (int)made.features->shape.dim[1];
    if (status == LM_OK) status = lm_compile(judge->engine, g, NULL, &judge->program);
    lm_graph_free(g);
    return status;
}

static lm_status load(lm_judge *judge) {
    int64_t count = judge->model->groups[0]->count;
    float *values = lm_alloc((size_t)count * sizeof *values);
    if (!values) return LM_NOMEM;
    lm_convert(values, LM_F32, judge->weights, LM_F16, count);
    lm_status status = LM_OK;
    for (int64_t i = 0; i < count && status == LM_OK; i++)
        if (!isfinite(values[i]))
            status = lm_fail(LM_NUMERIC, "weight %lld is not a finite f16 number",
                             (long long)i);
    if (status == LM_OK) status = lm_engine_new("cpu", &judge->engine);
    if (status == LM_OK) status = lm_engine_add_var(judge->engine, VAR, count);
    if (status == LM_OK)
        status = lm_engine_write_var(judge->engine, VAR, 0, count, LM_F32, values);
    lm_free(values);
    return status;
}

static lm_status describe_input(lm_judge *judge) {
    const lm_image_info *info = &judge->model->info;
    lm_str text = LM_STR_INIT;
    lm_str_printf(&text, "%dx%dx%d; other sizes: bicubic, antialiased; %s", info->height,
                  info->width, info->channels,
                  info->channels == 1 ? "colour: luma" : "grey: three times");
    judge->input = text.failed ? NULL : text.text; /* handed over */
    return judge->input ? LM_OK : LM_NOMEM;
}

static lm_status set_up(lm_judge *judge) {
    const lm_image_info *info = &judge->model->info;
    size_t area = (size_t)info->height * (size_t)info->width;
    size_t batch = BATCH_PIXELS / area;
    judge->batch = batch < 1 ? 1 : batch > MOST_BATCH ? MOST_BATCH : (int)batch;
    LM_TRY(hash_weights(judge));
    LM_TRY(describe_input(judge));
    LM_TRY(load(judge));
    LM_TRY(compile(judge));
    size_t n = (size_t)judge->batch;
    judge->pixels = lm_calloc(n * area, (size_t)info->channels);
    judge->features = lm_alloc(n * (size_t)judge->dim * sizeof(float));
    judge->logits = lm_alloc(n * (size_t)info->classes * sizeof(float));
    return judge->pixels && judge->features && judge->logits ? LM_OK : LM_NOMEM;
}

lm_status lm_judge_make(lm_model *model, uint16_t *weights, lm_judge_card *card,
                        lm_judge **judge) {
    lm_judge *made = lm_calloc(1, sizeof *made);
    if (!made) {
        lm_free(weights);
        lm_judge_card_release(card);
        lm_model_close(model);
        return LM_NOMEM;
    }
    *made = (lm_judge){.model = model, .weights = weights, .card = *card};
    *card = (lm_judge_card){0};
    lm_status status = set_up(made);
    if (status == LM_OK)
        *judge = made;
    else
        lm_judge_free(made);
    return status;
}

lm_status lm_judge_new(lm_model *model, const float *weights, lm_judge_card *card,
                       lm_judge **judge) {
    int64_t count = model->groups[0]->count;
    uint16_t *rounded = lm_alloc((size_t)count * sizeof *rounded);
    if (rounded) {
        lm_convert(rounded, LM_F16, weights, LM_F32, count);
        return lm_judge_make(model, rounded, card, judge);
    }
    lm_judge_card_release(card);
    lm_model_close(model);
    return LM_NOMEM;
}

/* ---- looking at images ------------------------------------------------------- */

lm_status lm_judge_fit(const lm_judge *judge, const lm_image *from, uint8_t *to) {
    const lm_image_info *info = &judge->model->info;
    lm_image seen;
    LM_TRY(lm_image_resize(from, info->height, info->width, LM_FILTER_BICUBIC, &seen));
    lm_status status = lm_image_set_channels(&seen, info->channels);
    if (status == LM_OK)
        memcpy(to, seen.pixels,
               (size_t)info->height * (size_t)info->width * (size_t)info->channels);
    lm_image_release(&seen);
    return status;
}

/* `count` images of any size, at most a batch, into judge->pixels. */
static lm_status fit_batch(lm_judge *judge, const lm_image *first, int count) {
    const lm_image_info *info = &judge->model->info;
    size_t size = (size_t)info->height * (size_t)info->width * (size_t)info->channels;
    size_t step = (size_t)first->height * (size_t)first->width * (size_t)first->channels;
    if (first->height == info->height && first->width == info->width &&
        first->channels == info->channels) {
        memcpy(judge->pixels, first->pixels, (size_t)count * size);
        return LM_OK;
    }
    int failures = 0; /* of memory: a thread's message does not reach the caller */
#pragma omp parallel for schedule(static) reduction(+ : failures)
    for (int i = 0; i < count; i++) {
        lm_image image = *first;
        image.pixels += (size_t)i * step;
        failures +=
            lm_judge_fit(judge, &image, judge->pixels + (size_t)i * size) != LM_OK;
    }
    LM_RETURN_IF(failures, LM_NOMEM, "out of memory for resized images");
    return LM_OK;
}

static lm_status run_batch(lm_judge *judge) {
    const lm_image_info *info = &judge->model->info;
    int64_t size = (int64_t)info->height * info->width * info->channels;
    LM_TRY(lm_program_set(judge->program, "images", LM_U8, judge->pixels,
                          judge->batch * size));
    LM_TRY(lm_program_run(judge->program));
    LM_TRY(lm_program_get(judge->program, "features", LM_F32, judge->features,
                          (int64_t)judge->batch * judge->dim));
    return lm_program_get(judge->program, "logits", LM_F32, judge->logits,
                          (int64_t)judge->batch * info->classes);
}

lm_status lm_judge_look(lm_judge *judge, const uint8_t *pixels, int64_t count, int height,
                        int width, int channels, float *features, float *logits) {
    LM_RETURN_IF(height < 1 || width < 1 || (channels != 1 && channels != 3), LM_MISMATCH,
                 "judge: cannot look at images of %dx%d with %d channels", height, width,
                 channels);
    size_t step = (size_t)height * (size_t)width * (size_t)channels;
    size_t dim = (size_t)judge->dim, classes = (size_t)judge->model->info.classes;
    for (int64_t done = 0; done < count;) {
        int now = count - done < judge->batch ? (int)(count - done) : judge->batch;
        const lm_image first = {width, height, channels,
                                (uint8_t *)pixels + (size_t)done * step};
        LM_TRY(fit_batch(judge, &first, now));
        LM_TRY(run_batch(judge));
        if (features)
            memcpy(features + (size_t)done * dim, judge->features,
                   (size_t)now * dim * sizeof *features);
        if (logits)
            memcpy(logits + (size_t)done * classes, judge->logits,
                   (size_t)now * classes * sizeof *logits);
        done += now;
    }
    return LM_OK;
}

/* ---- the extractor ----------------------------------------------------------- */

static lm_status extract(lm_extractor *extractor, const uint8_t *pixels, int64_t count,
                         int height, int width, int channels, float *features,
                         float *logits) {
    return lm_judge_look(extractor->state, pixels, count, height, width, channels,
                         features, logits);
}

static void release(lm_extractor *extractor) {
    lm_judge_free(extractor->state);
}

static char *join_id(const lm_judge *judge) {
    lm_str id = LM_STR_INIT;
    char *name = lm_judge_name(judge->card.set);
    if (name) lm_str_printf(&id, "judge:%s", name);
    lm_free(name);
    if (id.failed) lm_str_release(&id);
    return id.text; /* handed over */
}

static lm_status open_judge(const char *argument, const lm_image_source *source,
                            lm_extractor *extractor) {
    lm_judge *judge;
    LM_TRY(lm_judge_open(argument, source->name, &judge));
    extractor->state = judge;
    extractor->release = release;
    extractor->extract = extract;
    extractor->id = join_id(judge);
    extractor->weights = lm_strdup(judge->hash);
    extractor->input = lm_strdup(judge->input);
    extractor->dim = judge->dim;
    extractor->classes = judge->model->info.classes;
    extractor->class_names = (const char *const *)judge->card.class_names;
    extractor->batch = judge->batch;
    bool whole = extractor->id && extractor->weights && extractor->input;
    return whole ? LM_OK : LM_NOMEM;
}

const lm_extractor_kind lm_judge_extractor = {
    "judge", "features and logits of a classifier: judge, judge:NAME, judge:FILE",
    open_judge};
