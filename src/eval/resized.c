#include "eval/resized.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

typedef struct resized {
    const lm_resized_kind *kind;
    const lm_resized_protocol *protocol;
    const char *logits; /* output; NULL: none */
    lm_network *network;
    float *images; /* [batch][side][side][3] */
    float *values; /* [batch][dim or classes, whichever is more] */
} resized;

/* ---- extraction -------------------------------------------------------------- */

/* Grey becomes three equal channels; from the end, so that nothing is overwritten before
 * it is read. */
static void repeat_grey(float *image, int64_t count) {
    for (int64_t i = count - 1; i >= 0; i--)
        image[3 * i] = image[3 * i + 1] = image[3 * i + 2] = image[i];
}

static lm_status show(const resized *r, const lm_image *first, int64_t count) {
    int side = r->kind->network.side, failures = 0;
    int64_t pixels = (int64_t)side * side;
    size_t each = (size_t)first->height * first->width * first->channels;
#pragma omp parallel for schedule(dynamic) reduction(+ : failures)
    for (int64_t i = 0; i < count; i++) {
        lm_image from = *first;
        from.pixels += (size_t)i * each;
        float *to = r->images + i * pixels * 3;
        failures += lm_resize_floats(&from, side, side, r->protocol->rule, to) != LM_OK;
        if (from.channels == 1) repeat_grey(to, pixels);
    }
    LM_RETURN_IF(failures, LM_NOMEM, "%s: out of memory for resizing",
                 r->kind->network.name);
    return LM_OK;
}

/* The first `count` rows of an output. */
static lm_status fetch(const resized *r, const char *output, int width, int64_t count,
                       float *to) {
    int64_t all = (int64_t)r->kind->batch * width;
    LM_TRY(lm_program_get(r->network->program, output, LM_F32, r->values, all));
    memcpy(to, r->values, (size_t)count * (size_t)width * sizeof *to);
    return LM_OK;
}

static lm_status extract(lm_extractor *extractor, const uint8_t *pixels, int64_t count,
                         int height, int width, int channels, float *features,
                         float *logits) {
    const resized *r = extractor->state;
    int side = r->kind->network.side, batch = r->kind->batch;
    LM_RETURN_IF(channels != 1 && channels != 3, LM_MISMATCH,
                 "%s: images with %d channels, not 1 or 3", extractor->id, channels);
    lm_image first = {width, height, channels, (uint8_t *)pixels}; /* only read */
    LM_TRY(lm_network_fit(r->network, batch, side, side));
    for (int64_t done = 0; done < count;) {
        int64_t now = count - done < batch ? count - done : batch;
        LM_TRY(show(r, &first, now));
        LM_TRY(lm_program_set(r->network->program, "images", LM_F32, r->images,
                              (int64_t)batch * side * side * 3));
        LM_TRY(lm_program_run(r->network->program));
        if (features)
            LM_TRY(fetch(r, "features", extractor->dim, now,
                         features + done * extractor->dim));
        if (logits && r->logits)
            LM_TRY(fetch(r, r->logits, extractor->classes, now,
                         logits + done * extractor->classes));
        done += now;
        first.pixels += (size_t)now * height * width * channels;
    }
    return LM_OK;
}

/* ---- opening ----------------------------------------------------------------- */

/* `name` is what stands before the file, perhaps nothing. */
static lm_status choose_protocol(resized *r, const char *name, size_t length) {
    enum { MOST = 8 };
    static const char bias[] = "+bias";
    const lm_resized_protocol *all = r->kind->protocols;
    const char *names[MOST + 1] = {NULL};
    char wanted[32];
    size_t tail = sizeof bias - 1;
    r->protocol = all;
    r->logits = r->kind->logits;
    if (r->kind->biased && length >= tail && !memcmp(name + length - tail, bias, tail)) {
        length -= tail;
        r->logits = r->kind->biased;
    }
    if (length == 0) return LM_OK;
    snprintf(wanted, sizeof wanted, "%.*s", (int)length, name);
    for (int i = 0; i < MOST && all[i].name; i++) {
        r->protocol = &all[i];
        names[i] = all[i].name;
        if (strcmp(names[i], wanted) == 0) return LM_OK;
    }
    const char *near = lm_nearest(wanted, names);
    return lm_fail(LM_NOT_FOUND, "%s:%s: no such protocol; did you mean %s",
                   r->kind->network.name, wanted, near ? near : names[0]);
}

static char *text_of(lm_str *str) {
    if (!str->failed) return str->text;
    lm_str_release(str);
    return NULL;
}

static lm_status describe(const resized *r, lm_extractor *extractor) {
    const lm_resized_kind *kind = r->kind;
    bool biased = r->logits && r->logits == kind->biased;
    lm_str id = LM_STR_INIT, input = LM_STR_INIT;
    lm_str_printf(&id, "%s:%s%s", kind->network.name, r->protocol->name,
                  biased ? "+bias" : "");
    lm_str_printf(&input, "%dx%dx3, %s, %s, grey three times", kind->network.side,
                  kind->network.side, lm_resize_rule_name(r->protocol->rule),
                  r->protocol->formula);
    if (r->logits) lm_str_printf(&input, ", logits with%s bias", biased ? "" : "out");
    extractor->id = text_of(&id);
    extractor->input = text_of(&input);
    extractor->weights = lm_strdup(r->network->weights);
    bool whole = extractor->id && extractor->input && extractor->weights;
    return whole ? LM_OK : LM_NOMEM;
}

static void release(lm_extractor *extractor) {
    resized *r = extractor->state;
    lm_network_free(r->network);
    lm_free(r->images);
    lm_free(r->values);
    lm_free(r);
}

lm_status lm_resized_open(const lm_resized_kind *kind, const char *argument,
                          lm_extractor *extractor) {
    resized *r = lm_calloc(1, sizeof *r);
    if (!r) return LM_NOMEM;
    *r = (resized){.kind = kind};
    extractor->state = r;
    extractor->release = release;
    extractor->extract = extract;
    extractor->dim = kind->dim;
    extractor->classes = kind->classes;
    extractor->batch = kind->batch;
    if (!argument) argument = "";
    size_t length = strcspn(argument, ":");
    const char *file = argument[length] ? argument + length + 1 : NULL;
    if (strcspn(argument, "/.") < length) { /* a path, not a protocol */
        file = argument;
        length = 0;
    }
    LM_TRY(choose_protocol(r, argument, length));
    lm_network_spec spec = kind->network;
    spec.what = r->protocol;
    LM_TRY(lm_network_open(&spec, file, &r->network));
    size_t side = (size_t)kind->network.side, batch = (size_t)kind->batch;
    int most = kind->dim > kind->classes ? kind->dim : kind->classes;
    r->images = lm_calloc(batch * side * side * 3, sizeof *r->images);
    r->values = lm_alloc(batch * (size_t)most * sizeof *r->values);
    return r->images && r->values ? describe(r, extractor) : LM_NOMEM;
}
