/* Reads Windows and OS/2 bitmaps: palettes of 1, 4 and 8 bits, plain or run-length coded,
 * and colours of 16, 24 and 32 bits, by masks or the usual ones. All numbers are
 * little-endian; rows come from the bottom unless the height is negative. */
#include "image/codec_internal.h"

#include "base/bytes.h"

#include <string.h>

enum { FILE_HEADER = 14, CORE_HEADER = 12, INFO_HEADER = 40, MASKS_AT = 54 };
enum { PLAIN, RLE8, RLE4, MASKED, MASKED_ALPHA = 6 };

typedef struct bmp {
    uint64_t width, height, stride; /* stride: bytes of a stored row */
    bool top_down;
    int bits, compression;
    uint32_t masks[4]; /* red, green, blue, alpha; 0: none */
    uint8_t palette[256][3];
    int channels;
    bool icc;
    size_t pixels_at;
} bmp;

static bool recognise(const uint8_t *bytes, size_t size) {
    return size >= 2 && memcmp(bytes, "BM", 2) == 0;
}

/* ---- header ------------------------------------------------------------------ */

static lm_status check_kind(const bmp *b) {
    static const struct {
        int compression, bits[6];
    } kinds[] = {{PLAIN, {1, 4, 8, 16, 24, 32}},
                 {RLE8, {8}},
                 {RLE4, {4}},
                 {MASKED, {16, 32}},
                 {MASKED_ALPHA, {16, 32}}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        for (int k = 0; k < 6 && kinds[i].compression == b->compression; k++)
            if (kinds[i].bits[k] == b->bits && b->bits) return LM_OK;
    return lm_fail(LM_UNSUPPORTED, "%d bits with compression %d", b->bits,
                   b->compression);
}

/* The size of the second header tells what is in it. */
static lm_status read_core(const uint8_t *bytes, size_t size, size_t header, bmp *b) {
    static const size_t known[] = {CORE_HEADER, INFO_HEADER, 52, 56, 64, 108, 124};
    size_t i = 0, n = sizeof known / sizeof *known;
    while (i < n && known[i] != header) i++;
    LM_RETURN_IF(i == n, LM_FORMAT, "a header of %zu bytes", header);
    LM_RETURN_IF(size < FILE_HEADER + header, LM_FORMAT, "ends early");
    const uint8_t *info = bytes + FILE_HEADER;
    if (header == CORE_HEADER) {
        b->width = lm_read_le(info + 4, 2);
        b->height = lm_read_le(info + 6, 2);
        b->bits = (int)lm_read_le(info + 10, 2);
        return check_kind(b);
    }
    int64_t height = (int32_t)lm_read_le(info + 8, 4);
    b->top_down = height < 0;
    b->width = lm_read_le(info + 4, 4);
    b->height = (uint64_t)(height < 0 ? -height : height);
    b->bits = (int)lm_read_le(info + 14, 2);
    uint64_t compression = lm_read_le(info + 16, 4);
    /* OS/2 gives numbers above 2 another meaning. */
    LM_RETURN_IF(compression > (header == 64 ? RLE4 : MASKED_ALPHA), LM_UNSUPPORTED,
                 "compression %llu", (unsigned long long)compression);
    b->compression = (int)compression;
    b->icc = header == 124 && memcmp(info + 56, "DEBM", 4) == 0; /* embedded profile */
    return check_kind(b);
}

static bool is_masked(const bmp *b) {
    return b->compression == MASKED || b->compression == MASKED_ALPHA;
}

/* Masks lie behind the oldest header, and at the same place within the newer ones. */
static lm_status read_masks(const uint8_t *bytes, size_t size, size_t header, bmp *b) {
    static const uint32_t usual[2][3] = {{0x7c00, 0x03e0, 0x001f},
                                         {0xff0000, 0x00ff00, 0x0000ff}};
    if (!is_masked(b)) {
        memcpy(b->masks, usual[b->bits != 16], sizeof usual[0]);
        return LM_OK;
    }
    bool alpha = header >= 56 || b->compression == MASKED_ALPHA;
    int count = alpha ? 4 : 3;
    LM_RETURN_IF(size < MASKS_AT + 4 * (size_t)count, LM_FORMAT, "ends early");
    for (int i = 0; i < count; i++) {
        uint64_t mask = lm_read_le(bytes + MASKS_AT + 4 * i, 4);
        uint64_t low = mask & -mask; /* one run of bits, or a carry stops within it */
        LM_RETURN_IF(mask & (mask + low), LM_FORMAT, "a mask with gaps, %08llx",
                     (unsigned long long)mask);
        b->masks[i] = (uint32_t)mask;
    }
    return LM_OK;
}

/* Entries are blue, green, red, and nothing. Missing ones are black. */
static lm_status read_palette(const uint8_t *bytes, size_t size, size_t header, bmp *b) {
    size_t at = FILE_HEADER + header, entry = header == CORE_HEADER ? 3 : 4;
    size_t count = (size_t)1 << b->bits;
    if (header >= INFO_HEADER) {
        size_t used = lm_read_le(bytes + FILE_HEADER + 32, 4);
        if (used && used < count) count = used;
    }
    if (b->pixels_at > at && (b->pixels_at - at) / entry < count)
        count = (b->pixels_at - at) / entry;
    LM_RETURN_IF(size < at + count * entry, LM_FORMAT, "ends early");
    b->channels = 1;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *colour = bytes + at + i * entry;
        for (int c = 0; c < 3; c++) b->palette[i][c] = colour[2 - c];
        if (colour[0] != colour[1] || colour[1] != colour[2]) b->channels = 3;
    }
    return LM_OK;
}

static lm_status read_header(const uint8_t *bytes, size_t size, bmp *b) {
    *b = (bmp){.channels = 3};
    LM_RETURN_IF(size < FILE_HEADER + CORE_HEADER, LM_FORMAT, "ends early");
    size_t header = lm_read_le(bytes + FILE_HEADER, 4);
    b->pixels_at = lm_read_le(bytes + 10, 4);
    LM_TRY(read_core(bytes, size, header, b));
    b->stride = (b->width * (uint64_t)b->bits + 31) / 32 * 4;
    return b->bits <= 8 ? read_palette(bytes, size, header, b)
                        : read_masks(bytes, size, header, b);
}

static bool is_coded(const bmp *b) {
    return b->compression == RLE8 || b->compression == RLE4;
}

static lm_status probe(const uint8_t *bytes, size_t size, lm_picture *picture) {
    bmp b;
    LM_TRY(read_header(bytes, size, &b));
    picture->width = b.width;
    picture->height = b.height;
    picture->channels = b.channels;
    picture->icc = b.icc;
    picture->least_size = b.pixels_at;
    /* Of the last row, some leave out what pads it. */
    if (!is_coded(&b) && b.height > 0)
        picture->least_size +=
            b.stride * (b.height - 1) + (b.width * (uint64_t)b.bits + 7) / 8;
    return LM_OK;
}

/* ---- palettes ---------------------------------------------------------------- */

static uint8_t *row_of(const bmp *b, uint64_t y, const lm_image *image) {
    uint64_t row = b->top_down ? y : b->height - 1 - y;
    return image->pixels + row * b->width * (uint64_t)image->channels;
}

static void put_colour(const bmp *b, int index, uint64_t x, uint64_t y, lm_image *image) {
    memcpy(row_of(b, y, image) + x * (uint64_t)image->channels, b->palette[index],
           (size_t)image->channels);
}

/* Pixel `x` of a row of indices, the first in the uppermost bits. */
static int index_at(const uint8_t *row, uint64_t x, int bits) {
    uint64_t bit = x * (uint64_t)bits;
    return row[bit / 8] >> (8 - bits - (int)(bit % 8)) & ((1 << bits) - 1);
}

static void read_indices(const bmp *b, const uint8_t *row, uint64_t y, lm_image *image) {
    for (uint64_t x = 0; x < b->width; x++)
        put_colour(b, index_at(row, x, b->bits), x, y, image);
}

typedef struct rle {
    const uint8_t *at, *end;
    uint64_t x, y;
} rle;

/* `count` pixels from the indices at `from`: all the byte there (a run), or as many as
 * it takes. What leaves the row is dropped. */
static void put_pixels(const bmp *b, rle *r, const uint8_t *from, uint64_t count,
                       bool run, lm_image *image) {
    uint64_t in_byte = 8 / (uint64_t)b->bits;
    for (uint64_t i = 0; i < count && r->x < b->width; i++, r->x++)
        put_colour(b, index_at(from, run ? i % in_byte : i, b->bits), r->x, r->y, image);
}

/* What follows a zero: a code, or a number of indices that stand there, padded to 16
 * bits. False: the data end within. */
static bool follow_escape(const bmp *b, rle *r, int code, lm_image *image) {
    size_t left = (size_t)(r->end - r->at), length;
    switch (code) {
    case 0:
        r->x = 0, r->y++;
        return true;
    case 1:
        r->y = b->height;
        return true;
    case 2:
        if (left < 2) return false;
        r->x += r->at[0], r->y += r->at[1];
        r->at += 2;
        return true;
    default:
        length = ((size_t)code * (size_t)b->bits + 7) / 8;
        if (left < length) return false;
        put_pixels(b, r, r->at, (uint64_t)code, false, image);
        r->at += length + (length % 2 && length < left);
        return true;
    }
}

static lm_status read_runs(const bmp *b, const uint8_t *bytes, size_t size,
                           lm_image *image) {
    /* What is skipped has the first colour. */
    for (uint64_t y = 0; y < b->height; y++)
        for (uint64_t x = 0; x < b->width; x++) put_colour(b, 0, x, y, image);
    rle r = {.at = bytes + b->pixels_at, .end = bytes + size};
    while (r.y < b->height && !(r.y == b->height - 1 && r.x >= b->width)) {
        LM_RETURN_IF(r.end - r.at < 2, LM_FORMAT, "ends early");
        int count = r.at[0], code = r.at[1];
        r.at += 2;
        if (count > 0)
            put_pixels(b, &r, r.at - 1, (uint64_t)count, true, image);
        else
            LM_RETURN_IF(!follow_escape(b, &r, code, image), LM_FORMAT, "ends early");
    }
    return LM_OK;
}

/* ---- colours ----------------------------------------------------------------- */

/* The part of a pixel under a mask, 0 to 255. */
static uint8_t sample_of(uint32_t pixel, uint32_t mask) {
    if (mask == 0) return 0;
    uint64_t low = mask & -mask, most = mask / low, value = (pixel & mask) / low;
    return (uint8_t)((value * 255 + most / 2) / most);
}

static void read_colours(const bmp *b, const uint8_t *row, uint64_t y, lm_image *image,
                         const uint8_t *background) {
    uint8_t *to = row_of(b, y, image);
    int bytes = b->bits / 8;
    for (uint64_t x = 0; x < b->width; x++, row += bytes, to += 3) {
        uint32_t pixel = (uint32_t)lm_read_le(row, bytes);
        uint8_t samples[4];
        for (int c = 0; c < 4; c++) samples[c] = sample_of(pixel, b->masks[c]);
        if (b->masks[3])
            lm_flatten_u8(samples, 1, 3, background, to);
        else
            memcpy(to, samples, 3);
    }
}

static void read_bgr(const bmp *b, const uint8_t *row, uint64_t y, lm_image *image) {
    uint8_t *to = row_of(b, y, image);
    for (uint64_t x = 0; x < b->width; x++, row += 3, to += 3)
        to[0] = row[2], to[1] = row[1], to[2] = row[0];
}

static lm_status decode(const uint8_t *bytes, size_t size, const uint8_t *background,
                        lm_image *image) {
    bmp b;
    LM_TRY(read_header(bytes, size, &b));
    if (is_coded(&b)) return read_runs(&b, bytes, size, image);
    for (uint64_t y = 0; y < b.height; y++) {
        const uint8_t *row = bytes + b.pixels_at + y * b.stride;
        if (b.bits <= 8)
            read_indices(&b, row, y, image);
        else if (b.bits == 24)
            read_bgr(&b, row, y, image);
        else
            read_colours(&b, row, y, image, background);
    }
    return LM_OK;
}

const lm_codec lm_bmp_codec = {"BMP", recognise, probe, decode};
