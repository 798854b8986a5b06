/* 64-bit hashes: for tables and to notice changed content, not against an adversary. */
#ifndef LIMN_BASE_HASH_H
#define LIMN_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define LM_HASH_SEED 0x9e3779b97f4a7c15u

/* Each takes the hash so far (LM_HASH_SEED at first) and returns the next. */
uint64_t lm_hash_word(uint64_t hash, uint64_t word);
uint64_t lm_hash_bytes(uint64_t hash, const void *data, size_t size);

#endif
