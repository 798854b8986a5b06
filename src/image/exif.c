/* As much of EXIF (a TIFF file in small) as tells how the camera was held. */
#include "image/orient.h"

#include "base/bytes.h"

#include <string.h>

enum { ORIENTATION = 274, SHORT = 3, ENTRY_SIZE = 12 };

typedef struct tiff {
    const uint8_t *bytes;
    size_t size;
    bool big_endian;
} tiff;

/* An unsigned number of `width` bytes; the caller has checked that they are there. */
static size_t read_number(const tiff *t, size_t at, int width) {
    const uint8_t *bytes = t->bytes + at;
    return t->big_endian ? lm_read_be(bytes, width) : lm_read_le(bytes, width);
}

/* The directory at `at`: a count, then entries of tag, type, count, value. */
static int search_directory(const tiff *t, size_t at) {
    if (at > t->size || t->size - at < 2) return 1;
    size_t entries = read_number(t, at, 2);
    size_t most = (t->size - at - 2) / ENTRY_SIZE;
    if (entries > most) entries = most;
    for (size_t i = 0; i < entries; i++) {
        size_t entry = at + 2 + i * ENTRY_SIZE;
        if (read_number(t, entry, 2) != ORIENTATION) continue;
        if (read_number(t, entry + 2, 2) != SHORT || read_number(t, entry + 4, 4) != 1)
            return 1;
        size_t value = read_number(t, entry + 8, 2);
        return value >= 1 && value <= 8 ? (int)value : 1;
    }
    return 1;
}

int lm_exif_orientation(const uint8_t *bytes, size_t size) {
    tiff t = {.bytes = bytes, .size = size};
    if (size >= 6 && memcmp(bytes, "Exif\0\0", 6) == 0) t.bytes += 6, t.size -= 6;
    if (t.size < 8) return 1;
    t.big_endian = memcmp(t.bytes, "MM\0*", 4) == 0;
    if (!t.big_endian && memcmp(t.bytes, "II*\0", 4) != 0) return 1;
    return search_directory(&t, read_number(&t, 4, 4));
}
