/* Reads PNG: our own walk over the chunks for what stands before the pixels, libpng for
 * the pixels. */
#include "image/codec_internal.h"

#include "base/bytes.h"
#include "base/mem.h"
#include "image/orient.h"

#include <png.h>
#include <setjmp.h>
#include <string.h>

static const uint8_t signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};

static bool recognise(const uint8_t *bytes, size_t size) {
    return size >= 8 && memcmp(bytes, signature, 8) == 0;
}

/* ---- header ------------------------------------------------------------------ */

typedef struct chunk {
    size_t length; /* of the data, as far as it is there */
    const uint8_t *type, *data;
    bool whole;
} chunk;

/* The chunk at *at, which moves behind it. A chunk is length, type, data, CRC. */
static bool next_chunk(const uint8_t *bytes, size_t size, size_t *at, chunk *c) {
    if (size - *at < 8) return false;
    size_t left = size - *at - 8, length = lm_read_be(bytes + *at, 4);
    c->type = bytes + *at + 4;
    c->data = bytes + *at + 8;
    c->whole = length <= left && left - length >= 4;
    c->length = length < left ? length : left;
    *at = c->whole ? *at + 8 + length + 4 : size;
    return true;
}

static bool is_type(const chunk *c, const char *type) {
    return memcmp(c->type, type, 4) == 0;
}

static lm_status read_header(const chunk *c, lm_picture *picture) {
    /* Samples a pixel, by colour type. */
    static const int samples[] = {[0] = 1, [2] = 3, [3] = 1, [4] = 2, [6] = 4};
    LM_RETURN_IF(!is_type(c, "IHDR"), LM_FORMAT, "begins without IHDR");
    LM_RETURN_IF(c->length < 13, LM_FORMAT, "ends early");
    int depth = c->data[8], type = c->data[9];
    LM_RETURN_IF(type > 6 || samples[type] == 0, LM_FORMAT, "colour type %d", type);
    picture->width = lm_read_be(c->data, 4);
    picture->height = lm_read_be(c->data + 4, 4);
    picture->channels = type == 0 || type == 4 ? 1 : 3;
    /* Deflate packs 258 bytes into two bits at best. */
    uint64_t bits = (uint64_t)samples[type] * depth;
    picture->least_size = picture->width * picture->height * bits / 8 / 1032;
    return LM_OK;
}

static lm_status probe(const uint8_t *bytes, size_t size, lm_picture *picture) {
    size_t at = sizeof signature;
    chunk c;
    LM_RETURN_IF(!next_chunk(bytes, size, &at, &c), LM_FORMAT, "ends early");
    LM_TRY(read_header(&c, picture));
    /* To the pixels at least, and to the end, since EXIF may follow them. */
    bool pixels = false;
    while (next_chunk(bytes, size, &at, &c)) {
        if (is_type(&c, "IDAT")) pixels = true;
        if (!c.whole) break;
        if (is_type(&c, "iCCP")) picture->icc = true;
        if (is_type(&c, "eXIf"))
            picture->orientation = lm_exif_orientation(c.data, c.length);
    }
    LM_RETURN_IF(!pixels, LM_FORMAT, "ends early");
    return LM_OK;
}

/* ---- pixels ------------------------------------------------------------------ */

/* All that outlives a jump out of libpng. */
typedef struct reader {
    png_structp png;
    png_infop info;
    const uint8_t *bytes;
    size_t left;
    uint8_t *rows; /* owned: rows with alpha; all of them when interlaced */
    lm_status status;
} reader;

static void keep_error(png_structp png, png_const_charp text) {
    reader *r = png_get_error_ptr(png);
    r->status = lm_fail(LM_FORMAT, "%s", text);
    png_longjmp(png, 1);
}

static void drop_warning(png_structp png, png_const_charp text) {}

static void read_bytes(png_structp png, png_bytep to, png_size_t size) {
    reader *r = png_get_io_ptr(png);
    if (size > r->left) png_error(png, "ends early");
    memcpy(to, r->bytes, size);
    r->bytes += size;
    r->left -= size;
}

/* Palettes and few bits become 8 bits; transparent colours become alpha. Without alpha,
 * 16 bits are rounded to 8 at once. */
static void set_conversions(reader *r, const lm_image *image) {
    png_read_info(r->png, r->info);
    if (png_get_image_width(r->png, r->info) != (png_uint_32)image->width ||
        png_get_image_height(r->png, r->info) != (png_uint_32)image->height)
        png_error(r->png, "two headers");
    png_set_expand(r->png);
    bool alpha = (png_get_color_type(r->png, r->info) & PNG_COLOR_MASK_ALPHA) ||
                 png_get_valid(r->png, r->info, PNG_INFO_tRNS);
    if (!alpha) png_set_scale_16(r->png);
    if (alpha && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__) png_set_swap(r->png);
}

static void flatten_row(const reader *r, const uint8_t *row, const uint8_t *background,
                        int y, lm_image *image) {
    size_t width = (size_t)image->width;
    uint8_t *to = image->pixels + y * width * image->channels;
    if (png_get_bit_depth(r->png, r->info) == 16)
        lm_flatten_u16((const uint16_t *)(const void *)row, width, image->channels, 65535,
                       background, to);
    else
        lm_flatten_u8(row, width, image->channels, background, to);
}

/* Where the rows go: the image itself, or memory of the reader's when they have alpha;
 * all of them when interlaced, since each of the seven passes fills in what it has. */
static size_t prepare_rows(reader *r, int passes, const lm_image *image) {
    png_read_update_info(r->png, r->info);
    size_t row = png_get_rowbytes(r->png, r->info);
    if (png_get_channels(r->png, r->info) == image->channels) {
        if (row != (size_t)image->width * image->channels)
            png_error(r->png, "rows of unexpected size");
        return row;
    }
    r->rows = lm_calloc(passes > 1 ? image->height : 1, row);
    if (r->rows) return row;
    r->status = LM_NOMEM;
    png_longjmp(r->png, 1);
}

static void read_rows(reader *r, const uint8_t *background, lm_image *image) {
    int passes = png_set_interlace_handling(r->png);
    size_t row = prepare_rows(r, passes, image);
    uint8_t *rows = r->rows ? r->rows : image->pixels;
    size_t step = r->rows && passes == 1 ? 0 : row;
    for (int pass = 0; pass < passes; pass++)
        for (int y = 0; y < image->height; y++) {
            png_read_row(r->png, rows + y * step, NULL);
            if (r->rows && pass == passes - 1)
                flatten_row(r, rows + y * step, background, y, image);
        }
    png_read_end(r->png, NULL);
}

/* Everything that may jump. */
static void read_image(reader *r, const uint8_t *background, lm_image *image) {
    if (setjmp(png_jmpbuf(r->png))) return;
    png_set_read_fn(r->png, r, read_bytes);
    png_set_user_limits(r->png, LM_IMAGE_MOST_SIDE, LM_IMAGE_MOST_SIDE);
    /* No text, no profiles: what may unpack to more than the picture. */
    png_set_keep_unknown_chunks(r->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    set_conversions(r, image);
    read_rows(r, background, image);
}

static lm_status decode(const uint8_t *bytes, size_t size, const uint8_t *background,
                        lm_image *image) {
    reader r = {.bytes = bytes, .left = size};
    r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, keep_error, drop_warning);
    r.info = r.png ? png_create_info_struct(r.png) : NULL;
    if (r.info)
        read_image(&r, background, image);
    else
        r.status = lm_fail(LM_NOMEM, "out of memory");
    png_destroy_read_struct(&r.png, &r.info, NULL);
    lm_free(r.rows);
    return r.status;
}

const lm_codec lm_png_codec = {"PNG", recognise, probe, decode};
