#include "base/hash.h"

#include <string.h>

/* The finaliser of splitmix64: every bit of the word reaches every bit of the hash. */
uint64_t lm_hash_word(uint64_t hash, uint64_t word) {
    uint64_t z = (hash ^ word) + LM_HASH_SEED;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t lm_hash_bytes(uint64_t hash, const void *data, size_t size) {
    const unsigned char *bytes = data;
    hash = lm_hash_word(hash, size);
    while (size > 0) {
        uint64_t word = 0;
        size_t part = size < sizeof word ? size : sizeof word;
        memcpy(&word, bytes, part);
        hash = lm_hash_word(hash, word);
        bytes += part;
        size -= part;
    }
    return hash;
}
