/* The folder of a prepared set:
 *   images.npy      u8 [n,h,w,c]
 *   labels.npy      i32 [n], -1: none; where the set has labels
 *   attributes.npy  f32 [n,a]; where it has attributes
 *   sources.sha256  the files it was made from, as sha256sum writes and checks them
 *   manifest.json   what it is and how it came about; written last
 *   journal.jsonl   only until then: how far the preparation is */
#ifndef LIMN_DATA_MANIFEST_H
#define LIMN_DATA_MANIFEST_H

#include "base/json.h"
#include "data/data.h"

#define LM_PREPARED_IMAGES     "images.npy"
#define LM_PREPARED_LABELS     "labels.npy"
#define LM_PREPARED_ATTRIBUTES "attributes.npy"
#define LM_PREPARED_SOURCES    "sources.sha256"
#define LM_PREPARED_MANIFEST   "manifest.json"
#define LM_PREPARED_JOURNAL    "journal.jsonl"

/* What was asked for: {limn, spec, split, hash, count, height, width, channels}, of the
 * set as the SPEC shows it. A preparation goes on only where all but the SPEC's spelling
 * is the same. Handed over; NULL: no memory. */
json_t *lm_request_json(const char *spec, const lm_dataset *set);
/* LM_ARG names the first difference; `folder` is for the message. */
lm_status lm_request_compare(const char *folder, const json_t *there,
                             const json_t *wanted);

typedef struct lm_manifest {
    const json_t *request, *source, *transform; /* borrowed */
    const json_t *skipped;                      /* [{index, why}] */
    const json_t *class_names;                  /* [texts], or NULL */
    const json_t *attributes; /* [{name, levels, names}] as lm_attribute_kind, or NULL */
    int64_t count;            /* images in the files */
    int height, width, channels, classes;
    uint64_t hash; /* of the images' pixels and labels, one after the other */
    lm_split split;
} lm_manifest;

lm_status lm_manifest_write(const char *folder, const lm_manifest *manifest);

/* Checks that everything is there and possible; what it borrows is the JSON's. */
lm_status lm_manifest_parse(json_t *json, lm_manifest *manifest);
/* The same from the file; *json holds what the manifest borrows and is the caller's.
 * LM_NOT_FOUND: no such file. */
lm_status lm_manifest_read(const char *folder, lm_manifest *manifest, json_t **json);

#endif
