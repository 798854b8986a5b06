/* What the back ends of entries.h share. */
#ifndef LIMN_DATA_ENTRIES_INTERNAL_H
#define LIMN_DATA_ENTRIES_INTERNAL_H

#include "base/arena.h"
#include "data/entries.h"

typedef struct lm_entry {
    const char *name;
    uint64_t size;
    uint64_t offset; /* zip: of the local header; tar: of the bytes */
    uint64_t packed; /* zip: bytes in the archive */
    void *bytes;     /* owned; a compressed tar's only */
    uint32_t order;  /* as it was listed */
    uint32_t crc;    /* zip */
    uint16_t method; /* zip */
    bool readable;   /* zip: it is packed so that we can */
} lm_entry;

/* One way in which files lie together. */
typedef struct lm_entries_back {
    lm_status (*list)(lm_entries *entries);
    /* The first `size` bytes, which are not more than the entry has. */
    lm_status (*read)(const lm_entries *entries, const lm_entry *entry, void *to,
                      size_t size);
} lm_entries_back;

extern const lm_entries_back lm_entries_folder, lm_entries_zip, lm_entries_tar,
    lm_entries_packed;

struct lm_entries {
    const lm_entries_back *back;
    char *path;         /* owned */
    int fd;             /* the folder or archive */
    uint64_t file_size; /* of the archive */
    lm_entries_wants wants;
    size_t memory, kept; /* bytes of a compressed tar: at most, so far */
    lm_arena names;
    lm_entry *entry; /* owned */
    int64_t count, capacity;
};

/* Lists an entry if it is wanted, under `name` made harmless; takes over entry.bytes. */
lm_status lm_entries_add(lm_entries *entries, const char *name, lm_entry entry);

/* "PATH: NAME: ..." */
lm_status lm_entry_fail(const lm_entries *entries, const lm_entry *entry,
                        lm_status status, const char *format, ...) LM_PRINTF(4, 5);

/* Reads exactly `size` bytes; LM_FORMAT "ends early" when there are fewer. The message
 * begins with what was found: the caller puts the subject in front. */
lm_status lm_read_at(int fd, uint64_t offset, void *to, size_t size);

/* Whether 512 bytes are a tar header, by its checksum. */
bool lm_is_tar_header(const uint8_t *block);

#endif
