/* Finds the codec, and does what all formats have in common: limits, memory, turning. */
#include "image/decode.h"

#include "base/file.h"
#include "base/mem.h"
#include "image/codec_internal.h"
#include "image/orient.h"

#include <inttypes.h>
#include <string.h>

#define MOST_FILE ((size_t)1 << 30)

static const lm_codec *const codecs[] = {&lm_png_codec, &lm_jpeg_codec, &lm_webp_codec,
                                         &lm_bmp_codec, &lm_pnm_codec};
enum { N_CODECS = sizeof codecs / sizeof *codecs };

static lm_status find_codec(const uint8_t *bytes, size_t size, const lm_codec **codec) {
    for (int i = 0; i < N_CODECS; i++) {
        *codec = codecs[i];
        if ((*codec)->recognise(bytes, size)) return LM_OK;
    }
    LM_RETURN_IF(size < 4, LM_FORMAT, "not an image: %zu bytes", size);
    return lm_fail(LM_FORMAT,
                   "not an image: begins with %02x %02x %02x %02x, which is none of PNG, "
                   "JPEG, WebP, BMP and PNM",
                   bytes[0], bytes[1], bytes[2], bytes[3]);
}

static lm_status probe(const lm_codec *codec, const uint8_t *bytes, size_t size,
                       lm_picture *picture) {
    *picture = (lm_picture){.orientation = 1};
    LM_TRY(codec->probe(bytes, size, picture));
    uint64_t width = picture->width, height = picture->height;
    LM_RETURN_IF(width < 1 || height < 1, LM_FORMAT,
                 "%" PRIu64 " x %" PRIu64 " pixels: expected at least one", width,
                 height);
    LM_RETURN_IF(width > LM_IMAGE_MOST_SIDE || height > LM_IMAGE_MOST_SIDE ||
                     width * height > LM_IMAGE_MOST_PIXELS,
                 LM_FORMAT,
                 "%" PRIu64 " x %" PRIu64 " pixels: too large, a side may have %d and "
                 "all %lld",
                 width, height, LM_IMAGE_MOST_SIDE, (long long)LM_IMAGE_MOST_PIXELS);
    return LM_OK;
}

lm_status lm_image_probe(const void *bytes, size_t size, lm_image_info *info) {
    const lm_codec *codec;
    lm_picture picture;
    LM_TRY(find_codec(bytes, size, &codec));
    lm_status status = probe(codec, bytes, size, &picture);
    if (status != LM_OK) return lm_fail_context(status, "%s", codec->name);
    bool swap = lm_orientation_swaps(picture.orientation);
    *info = (lm_image_info){.width = (int)(swap ? picture.height : picture.width),
                            .height = (int)(swap ? picture.width : picture.height),
                            .channels = picture.channels,
                            .format = codec->name,
                            .icc = picture.icc};
    return LM_OK;
}

static lm_status decode(const lm_codec *codec, const uint8_t *bytes, size_t size,
                        const uint8_t *background, lm_image *image) {
    lm_picture picture;
    LM_TRY(probe(codec, bytes, size, &picture));
    LM_RETURN_IF(size < picture.least_size, LM_FORMAT,
                 "ends early: %zu bytes cannot hold %" PRIu64 " x %" PRIu64 " pixels",
                 size, picture.width, picture.height);
    LM_TRY(
        lm_image_init(image, (int)picture.width, (int)picture.height, picture.channels));
    LM_TRY(codec->decode(bytes, size, background, image));
    return lm_image_orient(image, picture.orientation);
}

lm_status lm_image_decode(const void *bytes, size_t size, const uint8_t *background,
                          lm_image *image) {
    static const uint8_t white[3] = {255, 255, 255};
    *image = (lm_image){0};
    const lm_codec *codec;
    LM_TRY(find_codec(bytes, size, &codec));
    lm_status status = decode(codec, bytes, size, background ? background : white, image);
    if (status == LM_OK) return LM_OK;
    lm_image_release(image);
    return lm_fail_context(status, "%s", codec->name);
}

lm_status lm_image_read(const char *path, const uint8_t *background, lm_image *image) {
    *image = (lm_image){0};
    void *bytes;
    size_t size;
    LM_TRY(lm_file_read(path, MOST_FILE, &bytes, &size));
    lm_status status = lm_image_decode(bytes, size, background, image);
    lm_free(bytes);
    return status == LM_OK ? LM_OK : lm_fail_context(status, "%s", path);
}

lm_status lm_png_read(const char *path, lm_image *image) {
    static const uint8_t black[3] = {0, 0, 0};
    return lm_image_read(path, black, image);
}
