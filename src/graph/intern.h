/* Hash tables by content, for hash-consed nodes and interned bytes. */
#ifndef LIMN_GRAPH_INTERN_H
#define LIMN_GRAPH_INTERN_H

#include "base/arena.h"
#include "base/hash.h"
#include "base/status.h"
#include <stdbool.h>
#include <stdint.h>

/* A set of pointers with their hashes: open addressing, at most half full. Holds the
 * pointers only; zero it to begin. */
typedef struct lm_hash_set {
    struct lm_hash_slot *slots;
    size_t capacity, count;
} lm_hash_set;

typedef bool (*lm_hash_equal)(const void *key, const void *item);

void *lm_hash_find(const lm_hash_set *set, uint64_t hash, lm_hash_equal equal,
                   const void *key);
lm_status lm_hash_add(lm_hash_set *set, uint64_t hash, void *item);
void lm_hash_release(lm_hash_set *set);

/* The one copy of these bytes (16-byte aligned, in the arena); NULL: no memory. */
const void *lm_intern_bytes(lm_hash_set *set, lm_arena *arena, const void *data,
                            size_t size);

#endif
