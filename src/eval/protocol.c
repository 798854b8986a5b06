#include "eval/protocol.h"

#include "base/json.h"
#include "base/version.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const lm_protocol_field lm_protocol_fields[] = {
    {"extractor", "extractor", LM_PROTOCOL_SAME},
    {"extractor_weights", "the extractor's weights (SHA-256)", LM_PROTOCOL_SAME},
    {"input", "what the extractor sees", LM_PROTOCOL_SAME},
    {"reference", "reference", LM_PROTOCOL_INFORMS},
    {"reference_split", "the reference's split", LM_PROTOCOL_SAME},
    {"reference_hash", "the reference's hash", LM_PROTOCOL_SAME},
    {"reference_available", "images in the reference set", LM_PROTOCOL_SAME},
    {"reference_n", "images of the reference used", LM_PROTOCOL_SAME},
    {"reference_seed", "seed that drew the reference", LM_PROTOCOL_SAME},
    {"reference_resize", "how the reference came to its size", LM_PROTOCOL_SAME},
    {"held_out", "held-out images", LM_PROTOCOL_INFORMS},
    {"held_out_split", "the held-out images' split", LM_PROTOCOL_SAME},
    {"held_out_hash", "the held-out images' hash", LM_PROTOCOL_SAME},
    {"held_out_n", "held-out images used", LM_PROTOCOL_SAME},
    {"n", "images judged", LM_PROTOCOL_SAME},
    {"resize", "how images came to their size", LM_PROTOCOL_SAME},
    {"quantisation", "how images became bytes", LM_PROTOCOL_IF_KNOWN},
    {"size", "height, width, channels", LM_PROTOCOL_SAME},
    {"pairs", "images they belong to", LM_PROTOCOL_INFORMS},
    {"pairs_hash", "hash of what they belong to", LM_PROTOCOL_SAME},
    {"estimator", "estimator", LM_PROTOCOL_SAME},
    {"kernel", "kernel", LM_PROTOCOL_SAME},
    {"k", "nearest neighbours (k)", LM_PROTOCOL_SAME},
    {"tie", "tie rule", LM_PROTOCOL_SAME},
    {"splits", "splits", LM_PROTOCOL_SAME},
    {"subsets", "subsets", LM_PROTOCOL_SAME},
    {"subset_size", "images of a subset", LM_PROTOCOL_SAME},
    {"points", "points of the line", LM_PROTOCOL_SAME},
    {"smallest", "images of its first point", LM_PROTOCOL_SAME},
    {"missing_below", "share below which a class is missing", LM_PROTOCOL_SAME},
    {"cells", "cells of the training images", LM_PROTOCOL_SAME},
    {"window", "window", LM_PROTOCOL_SAME},
    {"classes_by", "classes by", LM_PROTOCOL_SAME},
    {"network", "network", LM_PROTOCOL_SAME},
    {"network_weights", "the network's weights (SHA-256)", LM_PROTOCOL_SAME},
    {"unit", "unit", LM_PROTOCOL_SAME},
    {"images", "images", LM_PROTOCOL_INFORMS},
    {"images_split", "split of the images", LM_PROTOCOL_INFORMS},
    {"images_hash", "hash of the images", LM_PROTOCOL_INFORMS},
    {"images_seed", "seed of the images", LM_PROTOCOL_INFORMS},
    {"weights", "weights", LM_PROTOCOL_INFORMS},
    {"step", "step of the checkpoint", LM_PROTOCOL_INFORMS},
    {"sampler", "sampler", LM_PROTOCOL_INFORMS},
    {"steps", "sampler steps", LM_PROTOCOL_INFORMS},
    {"nfe", "network evaluations an image", LM_PROTOCOL_INFORMS},
    {"seed", "seed of the evaluation", LM_PROTOCOL_INFORMS},
    {"version", "program version", LM_PROTOCOL_INFORMS},
    {0}};

/* ---- making ------------------------------------------------------------------ */

/* A flat object in the making; what memory did not suffice for is noticed at the end. */
typedef struct record {
    json_t *json;
    bool failed;
} record;

static void put(record *to, const char *name, json_t *value) {
    if (lm_json_put(to->json, name, value) != LM_OK) to->failed = true;
}

static void put_text(record *to, const char *name, const char *text) {
    if (text && *text) put(to, name, lm_json_text(text));
}

static void put_int(record *to, const char *name, int64_t value) {
    put(to, name, json_integer(value));
}

static void put_hash(record *to, const char *name, uint64_t hash) {
    char text[20];
    snprintf(text, sizeof text, "%016" PRIx64, hash);
    if (hash) put_text(to, name, text);
}

static void put_extractor(record *to, const lm_extractor *extractor) {
    put_text(to, "extractor", extractor->id);
    put_text(to, "extractor_weights", extractor->weights);
    put_text(to, "input", extractor->input);
}

static void put_reference(record *to, const lm_eval_part *part) {
    const lm_eval_side *side = &part->side;
    put_text(to, "reference", side->spec);
    put_text(to, "reference_split", side->split);
    put_hash(to, "reference_hash", side->hash);
    if (!side->source) return; /* statistics alone */
    put_int(to, "reference_available", side->available);
    put_int(to, "reference_n", part->source.count);
    if (part->source.count < side->available)
        put_int(to, "reference_seed", (int64_t)side->seed);
    put_text(to, "reference_resize", side->resize);
}

static void put_held_out(record *to, const lm_eval_part *part) {
    put_text(to, "held_out", part->side.spec);
    put_text(to, "held_out_split", part->side.split);
    put_hash(to, "held_out_hash", part->side.hash);
    put_int(to, "held_out_n", part->source.count);
}

static void put_images(record *to, const lm_eval_part *part) {
    const lm_eval_side *side = &part->side;
    put_int(to, "n", part->source.count);
    put_text(to, "resize", side->resize);
    put_text(to, "quantisation", side->quantisation);
    put(to, "size",
        json_pack("[i, i, i]", part->source.height, part->source.width,
                  part->source.channels));
    put_text(to, "images", side->spec);
    put_text(to, "images_split", side->split);
    put_hash(to, "images_hash", side->hash);
    put_int(to, "images_seed", (int64_t)side->seed);
    if (!side->weights) return;
    put_text(to, "weights", side->weights);
    put_int(to, "step", side->step);
    put_text(to, "sampler", side->sampler);
    put_int(to, "steps", side->steps);
    put_int(to, "nfe", side->nfe);
}

lm_status lm_protocol_of(const lm_eval_context *context, const lm_eval_metric *metric,
                         json_t **protocol) {
    unsigned needs = metric->needs;
    record r = {.json = json_object()};
    if (!r.json) return LM_NOMEM;
    if (needs & (LM_NEED_FEATURES | LM_NEED_LOGITS))
        put_extractor(&r, context->extractor);
    if (needs & LM_NEED_REFERENCE) put_reference(&r, context->reference);
    if (needs & LM_NEED_TRAIN) put_reference(&r, context->train);
    if (needs & LM_NEED_TEST) put_held_out(&r, context->test);
    put_images(&r, context->generated);
    if (needs & LM_NEED_PAIRS) {
        put_text(&r, "pairs", context->pairs->side.spec);
        put_hash(&r, "pairs_hash", context->pairs->side.hash);
    }
    put_int(&r, "seed", (int64_t)context->spec->seed);
    put_text(&r, "version", lm_version);
    if (r.failed) {
        json_decref(r.json);
        return LM_NOMEM;
    }
    *protocol = r.json;
    return LM_OK;
}

/* ---- comparing --------------------------------------------------------------- */

static lm_protocol_rule rule_of(const char *name) {
    for (const lm_protocol_field *field = lm_protocol_fields; field->name; field++)
        if (strcmp(field->name, name) == 0) return field->rule;
    return LM_PROTOCOL_SAME;
}

static bool agrees(const char *name, const json_t *a, const json_t *b) {
    switch (rule_of(name)) {
    case LM_PROTOCOL_INFORMS:
        return true;
    case LM_PROTOCOL_IF_KNOWN:
        return !a || !b || json_equal(a, b);
    default:
        return a && b ? json_equal(a, b) : !a && !b;
    }
}

static bool note_difference(json_t *list, const char *name, json_t *a, json_t *b) {
    json_t *entry =
        json_pack("{s:s, s:[o, o]}", "field", name, "values",
                  a ? json_incref(a) : json_null(), b ? json_incref(b) : json_null());
    return json_array_append_new(list, entry) == 0;
}

json_t *lm_protocol_difference(const json_t *a, const json_t *b) {
    json_t *list = json_array(), *value;
    const char *name;
    bool whole = list != NULL;
    json_object_foreach((json_t *)a, name, value) {
        json_t *other = json_object_get(b, name);
        if (whole && !agrees(name, value, other))
            whole = note_difference(list, name, value, other);
    }
    json_object_foreach((json_t *)b, name, value) {
        if (whole && !json_object_get(a, name) && !agrees(name, NULL, value))
            whole = note_difference(list, name, NULL, value);
    }
    if (whole) return list;
    json_decref(list);
    return NULL;
}

void lm_protocol_text(const json_t *value, lm_str *out) {
    if (json_is_string(value)) {
        lm_str_append(out, json_string_value(value));
    } else if (value && !json_is_null(value)) {
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        lm_str_append(out, text ? text : "?");
        free(text);
    } else {
        lm_str_append(out, "-");
    }
}
