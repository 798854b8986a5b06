/* Entries of tars: of a plain one, by a walk over its headers (POSIX.1-2001 and GNU's
 * long names), in place; of a compressed one, by libarchive, in memory. libarchive does
 * not tell where in a file an entry's bytes are, so it cannot make the index of the
 * first. */
#include "data/entries_internal.h"
#include "data/unpack.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCK = 512,
    NAME_AT = 0,
    NAME_BYTES = 100,
    SIZE_AT = 124,
    SIZE_BYTES = 12,
    SUM_AT = 148,
    SUM_BYTES = 8,
    TYPE_AT = 156,
    MAGIC_AT = 257,
    PREFIX_AT = 345,
    PREFIX_BYTES = 155,
    LONGEST_NAME = 4096,
    MOST_EXTENSION = 1 << 20 /* bytes of a pax or long-name record */
};

/* The place of a hard link, which has no bytes of its own. */
#define LINKED UINT64_MAX

/* ---- headers ----------------------------------------------------------------- */

/* Octal, after spaces, ended by space, NUL or the field; or GNU's big-endian binary. */
static uint64_t read_number(const uint8_t *field, int length) {
    uint64_t value = 0;
    int i = 0;
    if (field[0] & 0x80) {
        for (value = field[0] & 0x7f, i = 1; i < length; i++) {
            if (value >> 55) return UINT64_MAX;
            value = value << 8 | field[i];
        }
        return value;
    }
    while (i < length && field[i] == ' ') i++;
    for (; i < length && field[i] >= '0' && field[i] <= '7'; i++)
        value = value << 3 | (uint64_t)(field[i] - '0');
    return value;
}

bool lm_is_tar_header(const uint8_t *block) {
    uint64_t sum = 0;
    for (int i = 0; i < BLOCK; i++)
        sum += i >= SUM_AT && i < SUM_AT + SUM_BYTES ? ' ' : block[i];
    return block[SUM_AT] && read_number(block + SUM_AT, SUM_BYTES) == sum;
}

static bool is_zero(const uint8_t *block) {
    for (int i = 0; i < BLOCK; i++)
        if (block[i]) return false;
    return true;
}

/* What extension headers say of the next file. */
typedef struct tar_walk {
    lm_entries *entries;
    uint64_t at; /* of the next header */
    bool has_name, has_size;
    char name[LONGEST_NAME];
    uint64_t size;
} tar_walk;

static lm_status broken(const tar_walk *w, const char *what) {
    return lm_fail(LM_FORMAT, "%s: broken tar: %s at byte %llu", w->entries->path, what,
                   (unsigned long long)w->at);
}

static void header_name(const uint8_t *block, char *name) {
    int length = 0;
    if (memcmp(block + MAGIC_AT, "ustar", 6) == 0 && block[PREFIX_AT])
        length = snprintf(name, LONGEST_NAME, "%.*s/", PREFIX_BYTES,
                          (const char *)block + PREFIX_AT);
    snprintf(name + length, NAME_BYTES + 1, "%.*s", NAME_BYTES,
             (const char *)block + NAME_AT);
}

/* ---- extensions -------------------------------------------------------------- */

static lm_status set_name(tar_walk *w, const char *text, size_t length) {
    while (length > 0 && text[length - 1] == '\0') length--;
    if (length >= sizeof w->name || memchr(text, '\0', length))
        return broken(w, "a name out of bounds");
    memcpy(w->name, text, length);
    w->name[length] = '\0';
    w->has_name = true;
    return LM_OK;
}

/* Records "LENGTH KEY=VALUE\n", where LENGTH counts all of it. */
static lm_status read_pax(tar_walk *w, const char *text, size_t size) {
    while (size > 0) {
        char *word;
        unsigned long long length = strtoull(text, &word, 10);
        if (word == text || *word != ' ' || length > size || word + 1 >= text + length ||
            text[length - 1] != '\n')
            return broken(w, "a pax record");
        const char *key = word + 1, *end = text + length - 1;
        const char *equals = memchr(key, '=', (size_t)(end - key));
        if (!equals) return broken(w, "a pax record");
        size_t key_length = (size_t)(equals - key);
        if (key_length == 4 && memcmp(key, "path", 4) == 0)
            LM_TRY(set_name(w, equals + 1, (size_t)(end - equals - 1)));
        if (key_length == 4 && memcmp(key, "size", 4) == 0) {
            w->size = strtoull(equals + 1, NULL, 10);
            w->has_size = true;
        }
        text += length;
        size -= length;
    }
    return LM_OK;
}

static lm_status read_extension(tar_walk *w, char type, uint64_t size) {
    if (size > MOST_EXTENSION) return broken(w, "an extension too large");
    char *text = lm_alloc((size_t)size + 1);
    if (!text) return LM_NOMEM;
    lm_status status = lm_read_at(w->entries->fd, w->at + BLOCK, text, (size_t)size);
    text[size] = '\0'; /* stops strtoull */
    if (status != LM_OK)
        lm_fail_context(status, "%s", w->entries->path);
    else
        status = type == 'x' ? read_pax(w, text, (size_t)size)
                             : set_name(w, text, (size_t)size);
    lm_free(text);
    return status;
}

/* ---- the walk ---------------------------------------------------------------- */

/* Uses up what extensions said. */
static lm_status take_file(tar_walk *w, const uint8_t *block, uint64_t size) {
    char type = (char)block[TYPE_AT];
    lm_entry entry = {.size = size, .offset = type == '1' ? LINKED : w->at + BLOCK};
    if (!w->has_name) header_name(block, w->name);
    w->has_name = w->has_size = false;
    if (!strchr("017", type)) return LM_OK; /* which NUL is in, too: an old file */
    return lm_entries_add(w->entries, w->name, entry);
}

static lm_status take_header(tar_walk *w, const uint8_t *block) {
    char type = (char)block[TYPE_AT];
    bool extends = type == 'x' || type == 'L', speaks = type == 'K' || type == 'g';
    uint64_t size =
        w->has_size && !extends ? w->size : read_number(block + SIZE_AT, SIZE_BYTES);
    if (type >= '1' && type <= '6') size = 0; /* links, devices, folders */
    if (size > w->entries->file_size - w->at - BLOCK)
        return broken(w, "it ends within the entry");
    if (extends)
        LM_TRY(read_extension(w, type, size));
    else if (!speaks)
        LM_TRY(take_file(w, block, size));
    w->at += BLOCK + (size + BLOCK - 1) / BLOCK * BLOCK;
    return LM_OK;
}

static lm_status list_tar(lm_entries *entries) {
    tar_walk *w = lm_calloc(1, sizeof *w);
    if (!w) return LM_NOMEM;
    w->entries = entries;
    lm_status status = LM_OK;
    uint8_t block[BLOCK];
    while (status == LM_OK && w->at < entries->file_size) {
        status = lm_read_at(entries->fd, w->at, block, BLOCK);
        if (status != LM_OK)
            lm_fail_context(status, "%s", entries->path);
        else if (is_zero(block))
            break;
        else
            status =
                lm_is_tar_header(block) ? take_header(w, block) : broken(w, "no header");
    }
    lm_free(w);
    return status;
}

static lm_status read_tar(const lm_entries *entries, const lm_entry *entry, void *to,
                          size_t size) {
    lm_status status = entry->offset == LINKED
                           ? lm_fail(LM_UNSUPPORTED, "a hard link: unpack the tar first")
                           : lm_read_at(entries->fd, entry->offset, to, size);
    if (status != LM_OK) lm_fail_context(status, "%s: %s", entries->path, entry->name);
    return status;
}

const lm_entries_back lm_entries_tar = {list_tar, read_tar};

/* ---- compressed -------------------------------------------------------------- */

static bool wants_packed(void *user, const char *name) {
    const lm_entries *entries = user;
    return entries->wants(name);
}

static lm_status keep_packed(void *user, const char *name, void **bytes, size_t size) {
    lm_entries *entries = user;
    LM_RETURN_IF(size > entries->memory - entries->kept, LM_UNSUPPORTED,
                 "%s: more than %zu MB of files, which a compressed tar holds in memory: "
                 "unpack it first",
                 entries->path, entries->memory >> 20);
    entries->kept += size;
    lm_entry entry = {.size = size, .bytes = *bytes};
    *bytes = NULL;
    return lm_entries_add(entries, name, entry);
}

static lm_status list_packed(lm_entries *entries) {
    return lm_archive_read(entries->path, entries->memory, wants_packed, keep_packed,
                           entries);
}

static lm_status read_packed(const lm_entries *entries, const lm_entry *entry, void *to,
                             size_t size) {
    memcpy(to, entry->bytes, size);
    return LM_OK;
}

const lm_entries_back lm_entries_packed = {list_packed, read_packed};
