/* Reads WebP through libwebp. */
#include "image/codec_internal.h"

#include "base/bytes.h"
#include "base/mem.h"
#include "image/orient.h"

#include <string.h>
#include <webp/decode.h>

static bool recognise(const uint8_t *bytes, size_t size) {
    return size >= 12 && memcmp(bytes, "RIFF", 4) == 0 &&
           memcmp(bytes + 8, "WEBP", 4) == 0;
}

static lm_status explain(VP8StatusCode code) {
    switch (code) {
    case VP8_STATUS_OK:
        return LM_OK;
    case VP8_STATUS_OUT_OF_MEMORY:
        return lm_fail(LM_NOMEM, "out of memory");
    case VP8_STATUS_UNSUPPORTED_FEATURE:
        return lm_fail(LM_UNSUPPORTED, "unknown feature");
    case VP8_STATUS_SUSPENDED:
    case VP8_STATUS_NOT_ENOUGH_DATA:
        return lm_fail(LM_FORMAT, "ends early");
    default:
        return lm_fail(LM_FORMAT, "broken data");
    }
}

/* After the RIFF header: four letters, the length, data, and a byte if that is odd. True
 * when EXIF is among them. */
static bool read_chunks(const uint8_t *bytes, size_t size, lm_picture *picture) {
    bool exif = false;
    for (size_t at = 12; size - at >= 8;) {
        const uint8_t *chunk = bytes + at;
        size_t length = lm_read_le(chunk + 4, 4);
        at += 8;
        if (length > size - at) break;
        if (memcmp(chunk, "ICCP", 4) == 0) picture->icc = true;
        if (memcmp(chunk, "EXIF", 4) == 0) {
            picture->orientation = lm_exif_orientation(chunk + 8, length);
            exif = true;
        }
        length += length % 2;
        at = length < size - at ? at + length : size;
    }
    return exif;
}

/* EXIF comes after the pixels; the flags of the first chunk say whether. */
static bool announces_exif(const uint8_t *bytes, size_t size) {
    return size > 20 && memcmp(bytes + 12, "VP8X", 4) == 0 && bytes[20] & 8;
}

static lm_status probe(const uint8_t *bytes, size_t size, lm_picture *picture) {
    WebPBitstreamFeatures features;
    LM_TRY(explain(WebPGetFeatures(bytes, size, &features)));
    LM_RETURN_IF(features.has_animation, LM_UNSUPPORTED, "an animation");
    picture->width = (uint64_t)features.width;
    picture->height = (uint64_t)features.height;
    picture->channels = 3;
    bool exif = read_chunks(bytes, size, picture);
    LM_RETURN_IF(!exif && announces_exif(bytes, size) &&
                     lm_read_le(bytes + 4, 4) + 8 > size,
                 LM_FORMAT, "ends early");
    return LM_OK;
}

static lm_status decode_into(const uint8_t *bytes, size_t size, int channels,
                             const lm_image *image, uint8_t *pixels) {
    WebPDecoderConfig config;
    LM_RETURN_IF(!WebPInitDecoderConfig(&config), LM_UNSUPPORTED,
                 "another version of libwebp than at build time");
    size_t stride = (size_t)image->width * channels;
    config.output.colorspace = channels == 4 ? MODE_RGBA : MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA = (WebPRGBABuffer){
        .rgba = pixels, .stride = (int)stride, .size = stride * image->height};
    lm_status status = explain(WebPDecode(bytes, size, &config));
    WebPFreeDecBuffer(&config.output);
    return status;
}

static lm_status decode(const uint8_t *bytes, size_t size, const uint8_t *background,
                        lm_image *image) {
    WebPBitstreamFeatures features;
    LM_TRY(explain(WebPGetFeatures(bytes, size, &features)));
    if (!features.has_alpha) return decode_into(bytes, size, 3, image, image->pixels);
    size_t count = (size_t)image->width * image->height;
    uint8_t *pixels = lm_alloc(count * 4);
    if (!pixels) return LM_NOMEM;
    lm_status status = decode_into(bytes, size, 4, image, pixels);
    if (status == LM_OK) lm_flatten_u8(pixels, count, 3, background, image->pixels);
    lm_free(pixels);
    return status;
}

const lm_codec lm_webp_codec = {"WebP", recognise, probe, decode};
