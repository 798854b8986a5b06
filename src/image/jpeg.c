/* Reads JPEG through libjpeg-turbo, whose default transform and upsampling are also
 * Pillow's. */
#include "image/codec_internal.h"

#include "base/mem.h"
#include "image/orient.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

/* Each wants those before it. */
#include <jpeglib.h>

#include <jerror.h>

/* Each scan of a progressive file costs a pass over the picture, even an empty one; real
 * files have about ten. */
enum { MOST_SCANS = 100 };

static bool recognise(const uint8_t *bytes, size_t size) {
    return size >= 3 && memcmp(bytes, "\xff\xd8\xff", 3) == 0;
}

/* All that outlives a jump out of libjpeg. */
typedef struct reader {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf escape;
    uint8_t *row; /* owned: a row of CMYK */
    lm_status status;
} reader;

/* ---- failures ---------------------------------------------------------------- */

static void stop(j_common_ptr jpeg) {
    reader *r = jpeg->client_data;
    char text[JMSG_LENGTH_MAX];
    r->errors.format_message(jpeg, text);
    switch (r->errors.msg_code) {
    case JERR_OUT_OF_MEMORY:
        r->status = lm_fail(LM_NOMEM, "%s", text);
        break;
    case JERR_BAD_PRECISION:
    case JERR_SOF_UNSUPPORTED:
        r->status = lm_fail(LM_UNSUPPORTED, "%s", text);
        break;
    case JWRN_JPEG_EOF:
    case JWRN_HIT_MARKER:
        r->status = lm_fail(LM_FORMAT, "ends early");
        break;
    default:
        r->status = lm_fail(LM_FORMAT, "%s", text);
    }
    longjmp(r->escape, 1);
}

/* libjpeg goes on after what it calls warnings (level -1) and invents the rest of the
 * picture. What is harmless passes. */
static void judge_warning(j_common_ptr jpeg, int level) {
    static const int fatal[] = {JWRN_JPEG_EOF, JWRN_HIT_MARKER, JWRN_HUFF_BAD_CODE,
                                JWRN_ARITH_BAD_CODE, JWRN_MUST_RESYNC};
    if (level >= 0) return;
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
        if (jpeg->err->msg_code == fatal[i]) stop(jpeg);
}

static void count_scans(j_common_ptr jpeg) {
    reader *r = jpeg->client_data;
    if (r->jpeg.input_scan_number <= MOST_SCANS) return;
    r->status = lm_fail(LM_FORMAT, "more than %d scans", MOST_SCANS);
    longjmp(r->escape, 1);
}

/* ---- header ------------------------------------------------------------------ */

static void open_reader(reader *r, const uint8_t *bytes, size_t size) {
    r->jpeg.err = jpeg_std_error(&r->errors);
    r->jpeg.client_data = r;
    r->errors.error_exit = stop;
    r->errors.emit_message = judge_warning;
    r->progress.progress_monitor = count_scans;
    jpeg_create_decompress(&r->jpeg);
    r->jpeg.progress = &r->progress;
    jpeg_mem_src(&r->jpeg, bytes, (unsigned long)size);
}

static bool begins_with(const struct jpeg_marker_struct *marker, int code,
                        const char *magic, size_t length) {
    return marker->marker == code && marker->data_length >= length &&
           memcmp(marker->data, magic, length) == 0;
}

static void read_markers(const reader *r, lm_picture *picture) {
    bool seen = false;
    for (jpeg_saved_marker_ptr m = r->jpeg.marker_list; m; m = m->next) {
        if (begins_with(m, JPEG_APP0 + 2, "ICC_PROFILE", 12)) picture->icc = true;
        if (seen || !begins_with(m, JPEG_APP0 + 1, "Exif\0\0", 6)) continue;
        picture->orientation = lm_exif_orientation(m->data, m->data_length);
        seen = true;
    }
}

static void read_header(reader *r, const uint8_t *bytes, size_t size,
                        lm_picture *picture) {
    if (setjmp(r->escape)) return;
    open_reader(r, bytes, size);
    jpeg_save_markers(&r->jpeg, JPEG_APP0 + 1, 0xffff);
    jpeg_save_markers(&r->jpeg, JPEG_APP0 + 2, 12);
    jpeg_read_header(&r->jpeg, TRUE);
    picture->width = r->jpeg.image_width;
    picture->height = r->jpeg.image_height;
    picture->channels = r->jpeg.jpeg_color_space == JCS_GRAYSCALE ? 1 : 3;
    /* Each block of 8 x 8 takes a bit at least, and each row and column has blocks of a
     * component that is sampled at most four times less. Arithmetic coding beats that. */
    if (!r->jpeg.arith_code)
        picture->least_size = picture->width * picture->height / (8 * 8 * 4 * 4 * 8);
    read_markers(r, picture);
}

static lm_status probe(const uint8_t *bytes, size_t size, lm_picture *picture) {
    reader r = {.status = LM_OK};
    read_header(&r, bytes, size, picture);
    jpeg_destroy_decompress(&r.jpeg);
    return r.status;
}

/* ---- pixels ------------------------------------------------------------------ */

static void choose_colours(reader *r) {
    J_COLOR_SPACE out;
    switch (r->jpeg.jpeg_color_space) {
    case JCS_GRAYSCALE:
        out = JCS_GRAYSCALE;
        break;
    case JCS_YCbCr:
    case JCS_RGB:
        out = JCS_RGB;
        break;
    case JCS_CMYK:
    case JCS_YCCK:
        out = JCS_CMYK;
        break;
    default:
        r->status = lm_fail(LM_UNSUPPORTED, "%d components", r->jpeg.num_components);
        longjmp(r->escape, 1);
    }
    r->jpeg.out_color_space = out;
}

/* CMYK is stored inverted, 255 for no ink: Adobe's programs began, and nothing else is
 * found; Pillow takes it so, too, marker or not. */
static void convert_cmyk(const uint8_t *from, size_t count, uint8_t *to) {
    for (size_t i = 0; i < count; i++, from += 4)
        for (int c = 0; c < 3; c++) *to++ = (uint8_t)((from[c] * from[3] + 127) / 255);
}

static void read_pixels(reader *r, const uint8_t *bytes, size_t size, lm_image *image) {
    if (setjmp(r->escape)) return;
    open_reader(r, bytes, size);
    jpeg_read_header(&r->jpeg, TRUE);
    choose_colours(r);
    jpeg_start_decompress(&r->jpeg);
    size_t width = (size_t)image->width, row = width * image->channels;
    if (r->jpeg.output_components == 4) r->row = lm_alloc(width * 4);
    if (r->jpeg.output_components == 4 && !r->row) {
        r->status = LM_NOMEM;
        return;
    }
    while (r->jpeg.output_scanline < r->jpeg.output_height) {
        uint8_t *to = image->pixels + r->jpeg.output_scanline * row;
        jpeg_read_scanlines(&r->jpeg, r->row ? &r->row : &to, 1);
        if (r->row) convert_cmyk(r->row, width, to);
    }
    jpeg_finish_decompress(&r->jpeg);
}

static lm_status decode(const uint8_t *bytes, size_t size, const uint8_t *background,
                        lm_image *image) {
    reader r = {.status = LM_OK};
    read_pixels(&r, bytes, size, image);
    jpeg_destroy_decompress(&r.jpeg);
    lm_free(r.row);
    return r.status;
}

const lm_codec lm_jpeg_codec = {"JPEG", recognise, probe, decode};
