/* The pictures of tests/golden/make_images.py. */
#ifndef LIMN_TESTS_PICTURES_H
#define LIMN_TESTS_PICTURES_H

#include "testing.h"

#include "base/bytes.h"
#include "base/file.h"
#include "base/mem.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

typedef struct picture {
    char name[64];
    int width, height, channels; /* channels 0: is refused as unsupported */
    bool icc;
    int differs; /* levels by which a sample may */
    const uint8_t *file;
    size_t size;
    const uint8_t *pixels;
} picture;

static const uint8_t picture_background[3] = {200, 100, 50};

/* The file's bytes, lm_free'd by the caller. */
static inline const uint8_t *load_pictures(size_t *size) {
    char path[512];
    void *bytes;
    snprintf(path, sizeof path, "%s/tests/golden/pictures.bin",
             getenv("LIMN_TEST_SOURCE"));
    CHECK_OK(lm_file_read(path, 1 << 20, &bytes, size));
    return bytes;
}

/* The record at *at, which moves behind it; false at the end. */
static inline bool next_picture(const uint8_t *bytes, size_t size, size_t *at,
                                picture *p) {
    if (*at == size) return false;
    const uint8_t *b = bytes + *at + 1 + bytes[*at];
    snprintf(p->name, sizeof p->name, "%.*s", bytes[*at], (const char *)bytes + *at + 1);
    p->width = (int)lm_read_le(b, 2);
    p->height = (int)lm_read_le(b + 2, 2);
    p->channels = b[4], p->icc = b[5], p->differs = b[6];
    p->size = lm_read_le(b + 7, 4);
    p->file = b + 11;
    p->pixels = p->file + p->size;
    *at = (size_t)(p->pixels - bytes) + (size_t)p->width * p->height * p->channels;
    assert_true(*at <= size);
    return true;
}

/* A picture by name; its bytes are never freed. */
static inline picture find_picture(const char *name) {
    static const uint8_t *bytes;
    static size_t size;
    if (!bytes) bytes = load_pictures(&size);
    picture p;
    for (size_t at = 0; next_picture(bytes, size, &at, &p);)
        if (strcmp(p.name, name) == 0) return p;
    fail_msg("no picture %s", name);
    return p;
}

#endif
