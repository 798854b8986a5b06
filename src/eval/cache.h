/* What is expensive to work out and depends on data and extractor alone: features of a
 * reference set, their moments and radii, floors. It is kept in files of a folder, found
 * by a text that says all that it depends on. A cache is a help, never a need: what
 * cannot be read counts as not there, what cannot be written is a warning. */
#ifndef LIMN_EVAL_CACHE_H
#define LIMN_EVAL_CACHE_H

#include "base/str.h"
#include "tensor/safetensors.h"

#include <jansson.h>

/* Part of every key: entries of programs that worked something out otherwise are not
 * found. To be raised with every change that could change a number. */
enum { LM_CACHE_FORMAT = 1 };

#define LM_CACHE_LIMIT ((int64_t)4 << 30) /* bytes, by default */

typedef struct lm_cache {
    char *folder;  /* owned; NULL: no cache, nothing is found and nothing kept */
    int64_t limit; /* bytes of all entries; what was used longest ago goes first */
} lm_cache;

/* folder NULL: $LIMN_CACHE, else $XDG_CACHE_HOME/limn/eval, else ~/.cache/limn/eval. It
 * is made when something is first put there. limit 0: LM_CACHE_LIMIT. No cache at all
 * (--no-cache) is (lm_cache){0}. */
lm_status lm_cache_init(lm_cache *cache, const char *folder, int64_t limit);
void lm_cache_release(lm_cache *cache);

/* Appends a line "NAME=VALUE" to a key: "set", its hash; "split"; "images"; "seed";
 * "extractor", "weights" and "input" of lm_extractor; "metric" and its parameters. Names
 * and paths of files do not belong there, since they do not say what is in them. */
void lm_cache_key_add(lm_str *key, const char *name, const char *format, ...)
    LM_PRINTF(3, 4);

/* A key is lm_str_text() of such lines; NULL, out of memory, is never there.
 *
 * Tensors. True: `file` is open and the caller's (lm_safetensors_release); shapes are to
 * be checked as those of any file. A file that is damaged is removed. */
bool lm_cache_find(const lm_cache *cache, const char *key, lm_safetensors *file);
void lm_cache_put(const lm_cache *cache, const char *key, const lm_st_entry *entries,
                  int count);

/* A JSON value under the same kind of key; the caller's, NULL: not there. */
json_t *lm_cache_find_json(const lm_cache *cache, const char *key);
void lm_cache_put_json(const lm_cache *cache, const char *key, const json_t *value);

#endif
