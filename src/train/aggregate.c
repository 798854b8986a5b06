#include "train/aggregate.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "metrics/gaussian_mixture.h"
#include "tensor/safetensors.h"
#include "train/checkpoint.h"
#include "train/encoder.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Images that are encoded, at most; of an endless set, so many. */
enum { MOST_IMAGES = 60000, ENDLESS_IMAGES = 10000 };
enum { READ_AT_ONCE = 256 };
enum { STREAM_DRAW = 400 };

struct lm_aggregate {
    const lm_opened_run *opened;
    int groups; /* mixtures: classes, or one */
    int components, size;
    lm_covariance covariance;
    lm_gaussian_mixture *mixtures; /* [groups] */
    double *shares;                /* [groups]: of the images, sum 1 */
    char *protocol;
    char weights[20]; /* hash of those that made the codes, which a step's number is not:
                       * checkpoints come from elsewhere, and runs go back */
};

void lm_aggregate_free(lm_aggregate *a) {
    if (!a) return;
    for (int i = 0; a->mixtures && i < a->groups; i++)
        lm_gaussian_mixture_release(&a->mixtures[i]);
    lm_free(a->mixtures);
    lm_free(a->shares);
    lm_free(a->protocol);
    lm_free(a);
}

static lm_status allocate(lm_aggregate *a) {
    a->mixtures = lm_calloc((size_t)a->groups, sizeof *a->mixtures);
    a->shares = lm_calloc((size_t)a->groups, sizeof *a->shares);
    if (!a->mixtures || !a->shares) return LM_NOMEM;
    for (int i = 0; i < a->groups; i++)
        LM_TRY(lm_gaussian_mixture_init(a->components, a->size, a->covariance,
                                        &a->mixtures[i]));
    return LM_OK;
}

/* ---- fitting ----------------------------------------------------------------- */

typedef struct codes {
    lm_dataset *set;
    lm_set_source images;
    int64_t count;
    float *states, *of_group; /* [count][size]; the second: a class's, side by side */
    int32_t *labels;
} codes;

static void close_codes(codes *c) {
    lm_dataset_free(c->set);
    lm_free(c->states);
    lm_free(c->of_group);
    lm_free(c->labels);
}

static lm_status read_labels(const lm_image_source *images, int32_t *labels) {
    size_t size = (size_t)images->height * images->width * images->channels;
    uint8_t *pixels = lm_alloc(READ_AT_ONCE * size);
    lm_status status = pixels ? LM_OK : LM_NOMEM;
    for (int64_t done = 0; status == LM_OK && done < images->count;
         done += READ_AT_ONCE) {
        int64_t left = images->count - done;
        status = lm_source_read(images, done, left < READ_AT_ONCE ? left : READ_AT_ONCE,
                                pixels, labels + done);
    }
    lm_free(pixels);
    return status;
}

static lm_status encode(const lm_aggregate *a, codes *c) {
    const lm_opened_run *opened = a->opened;
    lm_encoder *encoder;
    LM_TRY(lm_encoder_new(opened->engine, opened->model,
                          &(lm_encoder_spec){.raw = opened->raw, .draws = true},
                          &encoder));
    lm_status status = lm_encoder_run(encoder, &c->images.source, 0, c->count, c->states);
    lm_encoder_free(encoder);
    return status;
}

static lm_status open_codes(const lm_aggregate *a, codes *c) {
    LM_TRY(lm_dataset_open(a->opened->run.data, LM_SPLIT_TRAIN, &c->set));
    int64_t most = c->set->endless ? ENDLESS_IMAGES : MOST_IMAGES;
    LM_TRY(lm_set_source_init(&c->images, c->set, most, a->opened->run.seed));
    c->count = c->images.source.count;
    size_t bytes = sizeof *c->states * (size_t)c->count * (size_t)a->size;
    c->states = lm_alloc(bytes);
    c->of_group = lm_alloc(bytes);
    c->labels = lm_calloc((size_t)c->count, sizeof *c->labels);
    if (!c->states || !c->of_group || !c->labels) return LM_NOMEM;
    if (a->groups > 1) LM_TRY(read_labels(&c->images.source, c->labels));
    return encode(a, c);
}

static lm_status fit_group(lm_aggregate *a, codes *c, int group) {
    size_t size = (size_t)a->size;
    int64_t count = 0;
    double log_prob;
    for (int64_t i = 0; i < c->count; i++)
        if (c->labels[i] == group)
            memcpy(c->of_group + (size_t)count++ * size, c->states + (size_t)i * size,
                   sizeof *c->states * size);
    a->shares[group] = (double)count / (double)c->count;
    lm_gaussian_mixture_spec spec = lm_gaussian_mixture_default();
    lm_status status = lm_gaussian_mixture_fit(c->of_group, count, &spec, NULL,
                                               &a->mixtures[group], &log_prob);
    if (status == LM_ARG && a->groups > 1)
        return lm_fail_context(status, "class %d", group);
    return status;
}

static lm_status describe(lm_aggregate *a, const codes *c) {
    lm_str text = LM_STR_INIT;
    lm_str_printf(&text,
                  "mixture components=%d covariance=%s%s fitted to %" PRId64
                  " codes of %s seed=0, mean image",
                  a->components,
                  a->covariance == LM_COVARIANCE_FULL ? "full" : "diagonal",
                  a->groups > 1 ? " for each class" : "", c->count, a->opened->run.data);
    if (text.failed) lm_str_release(&text);
    a->protocol = text.text; /* the string's own block, handed over */
    return a->protocol ? LM_OK : LM_NOMEM;
}

static lm_status fit(lm_aggregate *a) {
    codes c = {0};
    lm_status status = open_codes(a, &c);
    for (int group = 0; status == LM_OK && group < a->groups; group++)
        status = fit_group(a, &c, group);
    if (status == LM_OK) status = describe(a, &c);
    close_codes(&c);
    return status;
}

/* ---- what is kept ------------------------------------------------------------ */

/* "RUN/mixtures/step-00004690-10-full.safetensors" */
static char *path_of(const lm_aggregate *a) {
    lm_str path = LM_STR_INIT;
    lm_str_printf(&path, "%s/mixtures/step-%08" PRId64 "-%d-%s%s.safetensors",
                  a->opened->run.folder, a->opened->state.step, a->components,
                  a->covariance == LM_COVARIANCE_FULL ? "full" : "diagonal",
                  a->opened->raw ? "-raw" : "");
    if (path.failed) lm_str_release(&path);
    return path.text; /* handed over */
}

/* The tensors of a mixture, as they are named in the file: "3.means". */
enum { TENSORS = 3, NAME = 32 };
typedef struct entry {
    char name[NAME];
    lm_shape shape;
    double *values;
} entry;

static void list_entries(const lm_aggregate *a, int group, entry entries[TENSORS]) {
    const lm_gaussian_mixture *m = &a->mixtures[group];
    int64_t factor = (int64_t)lm_gaussian_mixture_factor(m);
    const struct {
        const char *name;
        lm_shape shape;
        double *values;
    } rows[TENSORS] = {{"weights", LM_SHAPE(a->components), m->weights},
                       {"means", LM_SHAPE(a->components, a->size), m->means},
                       {"factors", LM_SHAPE(a->components, factor), m->factors}};
    for (int i = 0; i < TENSORS; i++) {
        entries[i].shape = rows[i].shape;
        entries[i].values = rows[i].values;
        snprintf(entries[i].name, NAME, "%d.%s", group, rows[i].name);
    }
}

static lm_status write_file(const lm_aggregate *a, const char *path) {
    int count = TENSORS * a->groups;
    entry *rows = lm_alloc(sizeof *rows * (size_t)count);
    lm_st_entry *entries = lm_alloc(sizeof *entries * (size_t)(count + 1));
    lm_status status = rows && entries ? LM_OK : LM_NOMEM;
    for (int g = 0; status == LM_OK && g < a->groups; g++)
        list_entries(a, g, rows + (size_t)TENSORS * g);
    for (int i = 0; status == LM_OK && i < count; i++)
        entries[i] = (lm_st_entry){rows[i].name, LM_F64, rows[i].shape, rows[i].values};
    if (status == LM_OK) {
        entries[count] = (lm_st_entry){"shares", LM_F64, LM_SHAPE(a->groups), a->shares};
        const lm_st_meta meta[] = {{"protocol", a->protocol}, {"weights", a->weights}};
        status = lm_safetensors_write(path, entries, count + 1, meta, 2);
    }
    lm_free(rows);
    lm_free(entries);
    return status;
}

/* A run that cannot be written to is no reason not to draw from it. */
static void keep(const lm_aggregate *a, const char *path) {
    char *folder = lm_path_join(a->opened->run.folder, "mixtures");
    lm_status status = folder ? lm_make_folders(folder) : LM_NOMEM;
    if (status == LM_OK) status = write_file(a, path);
    if (status != LM_OK)
        lm_log_line(LM_LOG_WARNING, "the mixture is not kept: %s", lm_message());
    lm_free(folder);
}

static lm_status read_entries(lm_aggregate *a, const lm_safetensors *file) {
    LM_TRY(lm_safetensors_read(file, "shares", LM_F64, LM_SHAPE(a->groups), a->shares));
    for (int g = 0; g < a->groups; g++) {
        entry rows[TENSORS];
        list_entries(a, g, rows);
        for (int i = 0; i < TENSORS; i++)
            LM_TRY(lm_safetensors_read(file, rows[i].name, LM_F64, rows[i].shape,
                                       rows[i].values));
    }
    const char *protocol = lm_safetensors_meta(file, "protocol");
    a->protocol = lm_strdup(protocol ? protocol : "mixture");
    return a->protocol ? LM_OK : LM_NOMEM;
}

/* *found: the file is there and of these weights. */
static lm_status read_file(lm_aggregate *a, const char *path, bool *found) {
    lm_safetensors file;
    *found = false;
    if (!lm_file_exists(path)) return LM_OK;
    LM_TRY(lm_safetensors_open(&file, path));
    const char *weights = lm_safetensors_meta(&file, "weights");
    *found = weights && strcmp(weights, a->weights) == 0;
    lm_status status = *found ? read_entries(a, &file) : LM_OK;
    lm_safetensors_release(&file);
    return status;
}

/* ---- drawing ----------------------------------------------------------------- */

static int draw_group(const lm_aggregate *a, lm_rng *rng) {
    double at = lm_rng_uniform(rng);
    for (int g = 0; g < a->groups - 1; g++) {
        at -= a->shares[g];
        if (at < 0) return g;
    }
    return a->groups - 1;
}

/* Of the label's class; without one, of any, by its share. */
static void draw_state(void *user, uint64_t seed, int64_t index, int32_t label,
                       float *state) {
    const lm_aggregate *a = user;
    lm_rng rng = {.seed = seed, .stream = STREAM_DRAW, .sample = (uint32_t)index};
    bool any = a->groups > 1 && (label < 0 || label >= a->groups);
    int group = any ? draw_group(a, &rng) : a->groups > 1 ? label : 0;
    lm_gaussian_mixture_draw(&a->mixtures[group], &rng, state);
}

static lm_status hash_weights(lm_aggregate *a) {
    const lm_params *params = a->opened->model->groups[0];
    lm_group_part part = a->opened->raw ? LM_GROUP_WEIGHTS : LM_GROUP_EMA;
    char name[LM_GROUP_NAME];
    float *values = lm_alloc(sizeof *values * (size_t)params->count);
    if (!values) return LM_NOMEM;
    lm_status status =
        lm_engine_read_var(a->opened->engine, lm_group_var(params, part, name), 0,
                           params->count, LM_F32, values);
    if (status == LM_OK)
        snprintf(
            a->weights, sizeof a->weights, "%016" PRIx64,
            lm_hash_bytes(LM_HASH_SEED, values, sizeof *values * (size_t)params->count));
    lm_free(values);
    return status;
}

static lm_status find(lm_aggregate *a) {
    LM_TRY(allocate(a));
    LM_TRY(hash_weights(a));
    char *path = path_of(a);
    if (!path) return LM_NOMEM;
    bool found;
    lm_status status = read_file(a, path, &found);
    if (status == LM_OK && !found) {
        status = fit(a);
        if (status == LM_OK) keep(a, path);
    }
    lm_free(path);
    return status;
}

lm_status lm_aggregate_attach(const lm_opened_run *opened, lm_drawer *drawer,
                              lm_aggregate **aggregate) {
    const lm_sampler *sampler = lm_drawer_sampler(drawer);
    const lm_model *model = opened->model;
    *aggregate = NULL;
    if (!sampler->components) return LM_OK;
    lm_aggregate *a = lm_calloc(1, sizeof *a);
    if (!a) return LM_NOMEM;
    a->opened = opened;
    a->groups = model->conditional ? model->info.classes : 1;
    a->components = sampler->components;
    a->covariance = sampler->diagonal ? LM_COVARIANCE_DIAGONAL : LM_COVARIANCE_FULL;
    a->size = (int)lm_shape_count(sampler->state);
    lm_status status = find(a);
    if (status == LM_OK)
        status =
            lm_drawer_start_from(drawer, &(lm_drawer_starts){draw_state, a, a->protocol});
    if (status == LM_OK)
        *aggregate = a;
    else
        lm_aggregate_free(a);
    return status;
}
