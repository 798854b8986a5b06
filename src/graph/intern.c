#include "graph/intern.h"
#include "base/mem.h"
#include <assert.h>
#include <string.h>

struct lm_hash_slot {
    uint64_t hash;
    void *item;
};

/* What lm_intern_bytes keeps. */
typedef struct interned {
    size_t size;
    _Alignas(16) unsigned char bytes[];
} interned;

void *lm_hash_find(const lm_hash_set *set, uint64_t hash, lm_hash_equal equal,
                   const void *key) {
    if (set->capacity == 0) return NULL;
    size_t mask = set->capacity - 1;
    for (size_t i = hash & mask; set->slots[i].item; i = (i + 1) & mask) {
        const struct lm_hash_slot *slot = &set->slots[i];
        if (slot->hash == hash && equal(key, slot->item)) return slot->item;
    }
    return NULL;
}

static void put(struct lm_hash_slot *slots, size_t capacity, struct lm_hash_slot what) {
    size_t i = what.hash & (capacity - 1);
    while (slots[i].item) i = (i + 1) & (capacity - 1);
    slots[i] = what;
}

lm_status lm_hash_add(lm_hash_set *set, uint64_t hash, void *item) {
    if (2 * (set->count + 1) > set->capacity) {
        size_t capacity = set->capacity ? 2 * set->capacity : 64;
        struct lm_hash_slot *slots = lm_calloc(capacity, sizeof *slots);
        if (!slots) return LM_NOMEM;
        for (size_t i = 0; i < set->capacity; i++)
            if (set->slots[i].item) put(slots, capacity, set->slots[i]);
        lm_free(set->slots);
        set->slots = slots;
        set->capacity = capacity;
    }
    put(set->slots, set->capacity, (struct lm_hash_slot){hash, item});
    set->count++;
    return LM_OK;
}

void lm_hash_release(lm_hash_set *set) {
    lm_free(set->slots);
    *set = (lm_hash_set){0};
}

typedef struct bytes_key {
    const void *data;
    size_t size;
} bytes_key;

static bool equal_bytes(const void *key, const void *item) {
    const bytes_key *want = key;
    const interned *have = item;
    return have->size == want->size &&
           (want->size == 0 || memcmp(have->bytes, want->data, want->size) == 0);
}

const void *lm_intern_bytes(lm_hash_set *set, lm_arena *arena, const void *data,
                            size_t size) {
    bytes_key key = {data, size};
    uint64_t hash = lm_hash_bytes(LM_HASH_SEED, data, size);
    interned *entry = lm_hash_find(set, hash, equal_bytes, &key);
    if (entry) return entry->bytes;
    entry = lm_arena_alloc(arena, sizeof *entry + size);
    if (!entry) return NULL;
    entry->size = size;
    if (size > 0) memcpy(entry->bytes, data, size);
    if (lm_hash_add(set, hash, entry) != LM_OK) return NULL;
    return entry->bytes;
}
