/* Bump allocation: many small blocks, freed together. */
#ifndef LIMN_BASE_ARENA_H
#define LIMN_BASE_ARENA_H

#include <stddef.h>

typedef struct lm_arena {
    struct lm_arena_chunk *head; /* newest chunk first */
} lm_arena;

#define LM_ARENA_INIT                                                                    \
    { NULL }

/* 16-byte aligned, zeroed; NULL when memory is out. */
void *lm_arena_alloc(lm_arena *arena, size_t size);
void *lm_arena_copy(lm_arena *arena, const void *data, size_t size);
char *lm_arena_strdup(lm_arena *arena, const char *text);
char *lm_arena_printf(lm_arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void lm_arena_release(lm_arena *arena);

#endif
