#include "base/arena.h"

#include "base/mem.h"
#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define ALIGN       16
#define FIRST_CHUNK 4096
#define LAST_CHUNK  (1u << 20)

typedef struct lm_arena_chunk {
    struct lm_arena_chunk *next;
    size_t used, capacity;
    alignas(ALIGN) char bytes[];
} lm_arena_chunk;

/* Chunks double, so that a large graph costs few of them; a block that is larger still
 * gets a chunk of its own. */
static lm_arena_chunk *add_chunk(lm_arena *arena, size_t size) {
    size_t capacity = arena->head ? arena->head->capacity * 2 : FIRST_CHUNK;
    if (capacity > LAST_CHUNK) capacity = LAST_CHUNK;
    if (capacity < size) capacity = size;
    if (capacity > PTRDIFF_MAX - sizeof(lm_arena_chunk)) return NULL;
    lm_arena_chunk *chunk = lm_calloc(1, sizeof *chunk + capacity);
    if (!chunk) return NULL;
    chunk->capacity = capacity;
    chunk->next = arena->head;
    arena->head = chunk;
    return chunk;
}

void *lm_arena_alloc(lm_arena *arena, size_t size) {
    if (size > PTRDIFF_MAX) return lm_alloc(size); /* fails, with the message */
    size = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    lm_arena_chunk *chunk = arena->head;
    if (!chunk || chunk->capacity - chunk->used < size) chunk = add_chunk(arena, size);
    if (!chunk) return NULL;
    void *block = chunk->bytes + chunk->used;
    chunk->used += size;
    return block;
}

void *lm_arena_copy(lm_arena *arena, const void *data, size_t size) {
    void *block = lm_arena_alloc(arena, size);
    if (block && size) memcpy(block, data, size);
    return block;
}

char *lm_arena_strdup(lm_arena *arena, const char *text) {
    return lm_arena_copy(arena, text, strlen(text) + 1);
}

char *lm_arena_printf(lm_arena *arena, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = length < 0 ? NULL : lm_arena_alloc(arena, (size_t)length + 1);
    if (!text) return NULL;
    va_start(args, format);
    vsnprintf(text, (size_t)length + 1, format, args);
    va_end(args);
    return text;
}

void lm_arena_release(lm_arena *arena) {
    while (arena->head) {
        lm_arena_chunk *next = arena->head->next;
        lm_free(arena->head);
        arena->head = next;
    }
}
