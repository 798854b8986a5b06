/* Decoding against what make_images.py and Pillow say, and of files that mean harm. */
#include "image/pictures.h"

#include "image/codec_internal.h"
#include "image/decode.h"
#include "image/orient.h"
#include "scratch.h"

#include <math.h>
#include <zlib.h>

/* All pictures, for the tests that go over them. */
static const uint8_t *pictures;
static size_t pictures_size;

static int most_difference(const lm_image *image, const uint8_t *want) {
    int most = 0;
    size_t count = (size_t)image->width * image->height * image->channels;
    for (size_t i = 0; i < count; i++) {
        int difference = abs(image->pixels[i] - want[i]);
        if (difference > most) most = difference;
    }
    return most;
}

/* ---- what is right ----------------------------------------------------------- */

static void decodes_every_kind(void **state) {
    picture p;
    for (size_t at = 0; next_picture(pictures, pictures_size, &at, &p);) {
        lm_image_info info;
        lm_image image;
        if (p.channels == 0) {
            CHECK_FAILS(lm_image_probe(p.file, p.size, &info), LM_UNSUPPORTED);
            CHECK_FAILS(lm_image_decode(p.file, p.size, NULL, &image), LM_UNSUPPORTED);
            continue;
        }
        if (lm_image_probe(p.file, p.size, &info) != LM_OK ||
            lm_image_decode(p.file, p.size, picture_background, &image) != LM_OK)
            fail_msg("%s: %s", p.name, lm_message());
        if (info.width != p.width || info.height != p.height ||
            info.channels != p.channels || info.icc != p.icc)
            fail_msg("%s: %d x %d x %d, profile %d", p.name, info.width, info.height,
                     info.channels, info.icc);
        if (image.width != p.width || image.height != p.height ||
            image.channels != p.channels)
            fail_msg("%s: decodes to another shape than probed", p.name);
        int most = most_difference(&image, p.pixels);
        if (most > 0) printf("# %s: %d levels from Pillow's\n", p.name, most);
        if (most > p.differs) fail_msg("%s: differs by %d levels", p.name, most);
        lm_image_release(&image);
    }
}

/* What the beginning of a file is said to be, the whole is; only an orientation behind
 * the pixels of a PNG cannot be foreseen. */
static void a_beginning_is_probed_as_the_whole(void **state) {
    picture p;
    for (size_t at = 0; next_picture(pictures, pictures_size, &at, &p);) {
        bool known = false;
        if (strcmp(p.name, "exif-after.png") == 0) continue;
        for (size_t size = 1; size < p.size; size++) {
            lm_image_info info;
            if (lm_image_probe(p.file, size, &info) != LM_OK) continue;
            known = true;
            if (info.width != p.width || info.height != p.height ||
                info.channels != p.channels)
                fail_msg("%s: %zu bytes: %d x %d x %d", p.name, size, info.width,
                         info.height, info.channels);
        }
        if (p.channels && !lm_path_ends(p.name, ".webp")) assert_true(known);
    }
}

static void names_the_format(void **state) {
    const char *const names[][2] = {{"grey8.png", "PNG"},
                                    {"grey.jpg", "JPEG"},
                                    {"lossy.webp", "WebP"},
                                    {"bgr24.bmp", "BMP"},
                                    {"p7-1-255.pam", "PNM"}};
    for (int i = 0; i < 5; i++) {
        picture p = find_picture(names[i][0]);
        lm_image_info info;
        CHECK_OK(lm_image_probe(p.file, p.size, &info));
        assert_string_equal(info.format, names[i][1]);
    }
}

static void alpha_is_on_white_unless_told(void **state) {
    static const uint8_t white[3] = {255, 255, 255};
    const char *const names[] = {"rgba8.png", "grey-alpha16.png", "lossless-alpha.webp"};
    for (int i = 0; i < 3; i++) {
        picture p = find_picture(names[i]);
        lm_image told, untold;
        CHECK_OK(lm_image_decode(p.file, p.size, white, &told));
        CHECK_OK(lm_image_decode(p.file, p.size, NULL, &untold));
        assert_int_equal(most_difference(&told, untold.pixels), 0);
        assert_true(most_difference(&told, p.pixels) > 0);
        lm_image_release(&told);
        lm_image_release(&untold);
    }
}

/* Every 16-bit value, rounded: PNG by libpng, PGM by ourselves. */
static void sixteen_bits_are_rounded(void **state) {
    enum { SIDE = 256 };
    static uint8_t file[32 + 2 * SIDE * SIDE];
    size_t size = (size_t)sprintf((char *)file, "P5 256 256 65535 ");
    for (int i = 0; i < SIDE * SIDE; i++) {
        file[size++] = (uint8_t)(i >> 8);
        file[size++] = (uint8_t)i;
    }
    lm_image image;
    CHECK_OK(lm_image_decode(file, size, NULL, &image));
    for (int i = 0; i < SIDE * SIDE; i++)
        assert_int_equal(image.pixels[i], (i * 510 + 65535) / (2 * 65535));
    lm_image_release(&image);
}

/* Alpha of bytes is exact for all values; of deeper ones, beside long doubles. */
static void alpha_is_rounded_exactly(void **state) {
    for (int b = 0; b < 256; b++)
        for (int a = 0; a < 256; a++) {
            uint8_t from[256][4], to[256][3];
            const uint8_t behind[3] = {(uint8_t)b, 0, 255};
            for (int v = 0; v < 256; v++)
                memcpy(from[v], (uint8_t[]){(uint8_t)v, (uint8_t)v, 7, (uint8_t)a}, 4);
            lm_flatten_u8(from[0], 256, 3, behind, to[0]);
            for (int v = 0; v < 256; v++) {
                int sum = v * a + b * (255 - a);
                if (to[v][0] != (2 * sum + 255) / 510)
                    fail_msg("%d with alpha %d over %d: %d", v, a, b, to[v][0]);
            }
        }
    for (unsigned i = 0; i < 100000; i++) {
        unsigned most = 256 + i * 7919 % 65280, v = i * 104729u % most,
                 a = i * 31u % most;
        const uint8_t grey[3] = {90, 90, 90};
        uint8_t to;
        lm_flatten_u16((uint16_t[]){(uint16_t)v, (uint16_t)a}, 1, 1, most, grey, &to);
        long double part = (long double)a / most;
        long double want = 255.0L * v / most * part + 90 * (1 - part);
        if (fabsl(to - want) > 0.5L + 1e-9L)
            fail_msg("%u and %u of %u: %d, not %Lf", v, a, most, to, want);
    }
}

static void reads_files(void **state) {
    picture p = find_picture("rgb.jpg");
    FILE *file = fopen(scratch("x"), "wb");
    assert_non_null(file);
    fwrite(p.file, 1, p.size, file);
    fclose(file);
    lm_image image;
    CHECK_OK(lm_image_read(scratch("x"), NULL, &image));
    assert_true(most_difference(&image, p.pixels) <= 1);
    lm_image_release(&image);
    CHECK_FAILS(lm_image_read(scratch("nothing"), NULL, &image), LM_NOT_FOUND);
    assert_non_null(strstr(lm_message(), "/nothing"));
    fclose(fopen(scratch("empty"), "wb"));
    CHECK_FAILS(lm_image_read(scratch("empty"), NULL, &image), LM_FORMAT);
    assert_non_null(strstr(lm_message(), "/empty"));
    assert_null(image.pixels);
}

/* ---- what is wrong ----------------------------------------------------------- */

/* Decodes a copy of exactly `size` bytes, so that a sanitizer sees what reads beyond. */
static lm_status decode_copy(const uint8_t *file, size_t size, lm_image *image) {
    uint8_t *copy = lm_alloc(size);
    assert_non_null(copy);
    memcpy(copy, file, size);
    lm_image_info info = {0};
    lm_status probed = lm_image_probe(copy, size, &info);
    lm_status status = LM_OK;
    *image = (lm_image){0};
    if (probed == LM_OK && (int64_t)info.width * info.height > 1 << 16)
        status = LM_FORMAT; /* right or wrong, it takes too long here */
    else
        status = lm_image_decode(copy, size, picture_background, image);
    if (status == LM_OK) assert_int_equal(probed, LM_OK);
    lm_free(copy);
    return status;
}

/* Text may end within its last number, and nobody can tell. */
static bool ends_in_number(const picture *p, size_t size) {
    return p->file[0] == 'P' && p->file[1] <= '3' && size + 6 > p->size;
}

/* A part of a file is refused, unless what is missing is not of the picture. */
static void every_truncation_is_seen(void **state) {
    picture p;
    for (size_t at = 0; next_picture(pictures, pictures_size, &at, &p);) {
        for (size_t size = 0; size < p.size; size++) {
            lm_image image;
            if (ends_in_number(&p, size)) continue;
            if (decode_copy(p.file, size, &image) != LM_OK) {
                assert_null(image.pixels);
                continue;
            }
            /* Bitmaps: what pads the last row, and the end mark of runs. */
            if (!strstr(p.name, ".bmp") || image.width != p.width ||
                image.height != p.height || most_difference(&image, p.pixels) > p.differs)
                fail_msg("%s: %zu of %zu bytes make a picture", p.name, size, p.size);
            lm_image_release(&image);
        }
    }
}

static void flipped_bytes_do_no_harm(void **state) {
    picture p;
    for (size_t at = 0; next_picture(pictures, pictures_size, &at, &p);) {
        uint8_t *copy = lm_alloc(p.size);
        memcpy(copy, p.file, p.size);
        for (size_t i = 0; i < p.size && i < 400; i++) {
            lm_image image;
            copy[i] ^= 0x81;
            if (decode_copy(copy, p.size, &image) == LM_OK) lm_image_release(&image);
            copy[i] ^= 0x81;
        }
        lm_free(copy);
    }
}

/* A message that holds `text`. */
static void check_refused(const uint8_t *file, size_t size, const char *text) {
    lm_image image;
    CHECK_FAILS(lm_image_decode(file, size, NULL, &image), LM_FORMAT);
    if (!strstr(lm_message(), text))
        fail_msg("'%s' does not say '%s'", lm_message(), text);
    assert_null(image.pixels);
}

typedef struct size_field {
    const char *name;
    size_t width_at, height_at, bytes;
    bool big_endian;
} size_field;

static void put_number(uint8_t *to, size_t number, size_t bytes, bool big_endian) {
    for (size_t i = 0; i < bytes; i++)
        to[big_endian ? bytes - 1 - i : i] = (uint8_t)(number >> 8 * i);
}

/* Where the first frame header of a JPEG has its height. */
static size_t find_frame(const picture *p) {
    for (size_t at = 2;; at += 2 + lm_read_be(p->file + at + 2, 2))
        if (p->file[at + 1] == 0xc0 || p->file[at + 1] == 0xc2) return at + 5;
}

/* The limits come before the memory: also for files that are otherwise right. */
static void giants_are_refused(void **state) {
    picture jpeg = find_picture("ycc420.jpg");
    size_t frame = find_frame(&jpeg);
    const size_field fields[] = {{"rgb8.png", 16, 20, 4, true},
                                 {"ycc420.jpg", frame + 2, frame, 2, true},
                                 {"bgr24.bmp", 18, 22, 4, false}};
    int64_t peak = lm_mem_get_stats().peak;
    for (int i = 0; i < 3; i++) {
        const size_field *f = &fields[i];
        picture p = find_picture(f->name);
        uint8_t *copy = lm_alloc(p.size);
        memcpy(copy, p.file, p.size);
        const size_t sides[][2] = {
            {60000, 60000}, {32769, 1}, {1, 32769}, {20000, 20000}};
        for (int k = 0; k < 4; k++) {
            put_number(copy + f->width_at, sides[k][0], f->bytes, f->big_endian);
            put_number(copy + f->height_at, sides[k][1], f->bytes, f->big_endian);
            check_refused(copy, p.size, "too large");
        }
        put_number(copy + f->width_at, 0, f->bytes, f->big_endian);
        check_refused(copy, p.size, "");
        put_number(copy + f->width_at, 16384, f->bytes, f->big_endian);
        put_number(copy + f->height_at, 16384, f->bytes, f->big_endian);
        check_refused(copy, p.size, "ends early");
        lm_free(copy);
    }
    const char *const texts[][2] = {
        {"P5 60000 60000 255 ", "too large"},   {"P4 32769 1 ", "too large"},
        {"P1 16384 16384 1 0 1", "ends early"}, {"P6 16384 16384 255 abc", "ends early"},
        {"P6 99999999999 1 255 abc", "number"}, {"P6 0 1 255 abc", "at least one"}};
    for (int i = 0; i < 6; i++)
        check_refused((const uint8_t *)texts[i][0], strlen(texts[i][0]), texts[i][1]);
    assert_true(lm_mem_get_stats().peak < peak + (1 << 20));
}

/* ---- PNG --------------------------------------------------------------------- */

typedef struct png_file {
    uint8_t bytes[4096];
    size_t size;
} png_file;

static void add_chunk(png_file *f, const char *type, const void *data, size_t size) {
    put_number(f->bytes + f->size, size, 4, true);
    memcpy(f->bytes + f->size + 4, type, 4);
    if (size) memcpy(f->bytes + f->size + 8, data, size);
    size_t crc = crc32(0, f->bytes + f->size + 4, (unsigned)size + 4);
    put_number(f->bytes + f->size + 8 + size, crc, 4, true);
    f->size += size + 12;
    assert_true(f->size < sizeof f->bytes);
}

static void begin_png(png_file *f, int width, int height, int depth, int type) {
    uint8_t header[13] = {0};
    put_number(header, (size_t)width, 4, true);
    put_number(header + 4, (size_t)height, 4, true);
    header[8] = (uint8_t)depth, header[9] = (uint8_t)type;
    memcpy(f->bytes, "\x89PNG\r\n\x1a\n", f->size = 8);
    add_chunk(f, "IHDR", header, 13);
}

/* `size` zeros, compressed; then the end. */
static void end_png(png_file *f, size_t size) {
    uint8_t *rows = lm_calloc(size, 1), packed[2048];
    unsigned long length = sizeof packed;
    assert_int_equal(compress2(packed, &length, rows, size, 9), Z_OK);
    lm_free(rows);
    add_chunk(f, "IDAT", packed, length);
    add_chunk(f, "IEND", NULL, 0);
}

static void wrong_png_is_refused(void **state) {
    picture p = find_picture("rgb8.png");
    uint8_t *copy = lm_alloc(p.size);
    memcpy(copy, p.file, p.size);
    copy[p.size - 14] ^= 1; /* that of IDAT, before the 12 bytes of IEND */
    check_refused(copy, p.size, "CRC");
    lm_free(copy);
    static png_file f;
    begin_png(&f, 4, 4, 8, 3); /* no palette */
    end_png(&f, 20);
    check_refused(f.bytes, f.size, "PLTE");
    begin_png(&f, 4, 4, 8, 3); /* two colours and a half */
    add_chunk(&f, "PLTE", "abcdefgh", 8);
    end_png(&f, 20);
    check_refused(f.bytes, f.size, "PNG");
    begin_png(&f, 4, 4, 3, 0); /* three bits */
    end_png(&f, 20);
    check_refused(f.bytes, f.size, "IHDR");
    begin_png(&f, 4, 4, 8, 5);
    check_refused(f.bytes, f.size, "colour type 5");
    begin_png(&f, 4, 4, 8, 0); /* a row too few */
    end_png(&f, 15);
    check_refused(f.bytes, f.size, "PNG");
}

/* An index without a colour is black, as libpng has it. */
static void a_short_palette_is_black(void **state) {
    static png_file f;
    begin_png(&f, 2, 1, 8, 3);
    add_chunk(&f, "PLTE", "\1\2\3", 3);
    uint8_t packed[64];
    unsigned long length = sizeof packed;
    assert_int_equal(compress(packed, &length, (const uint8_t *)"\0\0\7", 3), Z_OK);
    add_chunk(&f, "IDAT", packed, length);
    add_chunk(&f, "IEND", NULL, 0);
    lm_image image;
    CHECK_OK(lm_image_decode(f.bytes, f.size, NULL, &image));
    assert_memory_equal(image.pixels, "\1\2\3\0\0\0", 6);
    lm_image_release(&image);
}

/* A text of a megabyte in a kilobyte is passed by; pixels behind the last row, too. */
static void bombs_do_not_unpack(void **state) {
    static png_file f;
    begin_png(&f, 4, 4, 8, 0);
    uint8_t *zeros = lm_calloc(1 << 20, 1), text[2048] = "key\0";
    unsigned long length = sizeof text - 5;
    assert_int_equal(compress2(text + 5, &length, zeros, 1 << 20, 9), Z_OK);
    lm_free(zeros);
    add_chunk(&f, "zTXt", text, 5 + length);
    end_png(&f, 1 << 19);
    lm_mem_reset_peak();
    int64_t held = lm_mem_get_stats().peak;
    lm_image image;
    CHECK_OK(lm_image_decode(f.bytes, f.size, NULL, &image));
    lm_image_release(&image);
    assert_true(lm_mem_get_stats().peak < held + 4096);
}

/* ---- others ------------------------------------------------------------------ */

/* The first scan of a progressive file over and over costs a pass each. */
static void many_scans_are_refused(void **state) {
    picture p = find_picture("grey-progressive.jpg");
    size_t scan = 0, length = 2;
    while (memcmp(p.file + scan, "\xff\xda", 2) != 0) scan++;
    while (p.file[scan + length] != 0xff || p.file[scan + length + 1] == 0) length++;
    enum { TIMES = 200 };
    size_t size = scan;
    uint8_t *file = lm_alloc(scan + TIMES * length + 2);
    memcpy(file, p.file, scan);
    for (int i = 0; i < TIMES; i++, size += length)
        memcpy(file + size, p.file + scan, length);
    memcpy(file + size, "\xff\xd9", 2);
    check_refused(file, size + 2, "scans");
    lm_free(file);
}

static void other_files_are_refused(void **state) {
    lm_image_info info;
    lm_image image;
    const char *const files[] = {
        "",         "P",          "GIF89a, and so on", "P9 1 1 255 x", "RIFF....WAVE...",
        "\xff\xd8", "just a text"};
    for (int i = 0; i < 7; i++) {
        size_t size = strlen(files[i]);
        CHECK_FAILS(lm_image_probe(files[i], size, &info), LM_FORMAT);
        CHECK_FAILS(lm_image_decode(files[i], size, NULL, &image), LM_FORMAT);
        assert_non_null(strstr(lm_message(), "not an image"));
    }
    const char *const texts[] = {"P2 1 1 9 10", "P3 1 1 9 1 2 x", "P5 1 1 0 x",
                                 "P5 1 1 65536 xx", "P7 WIDTH 1\nENDHDR\n"};
    for (int i = 0; i < 4; i++)
        check_refused((const uint8_t *)texts[i], strlen(texts[i]), "PNM: ");
    CHECK_FAILS(lm_image_probe(texts[4], strlen(texts[4]), &info), LM_FORMAT);
}

/* A byte of a right file that makes it a kind that is not read. */
static void unknown_kinds_are_named(void **state) {
    picture jpeg = find_picture("ycc420.jpg");
    size_t frame = find_frame(&jpeg);
    const struct {
        const char *name;
        size_t at;
        uint8_t value;
    } kinds[] = {{"ycc420.jpg", frame - 1, 12},   /* bits a sample */
                 {"ycc420.jpg", frame - 4, 0xc3}, /* lossless */
                 {"bgr24.bmp", 30, 4},            /* a JPEG within */
                 {"palette4.bmp", 28, 2},         /* bits */
                 {"p7-3-255.pam", 59, 'X'}};      /* tuple type */
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        picture p = find_picture(kinds[i].name);
        uint8_t *copy = lm_alloc(p.size);
        memcpy(copy, p.file, p.size);
        copy[kinds[i].at] = kinds[i].value;
        lm_image image;
        CHECK_FAILS(lm_image_decode(copy, p.size, NULL, &image), LM_UNSUPPORTED);
        lm_free(copy);
    }
}

static void memory_may_run_out_anywhere(void **state) {
    const char *const names[] = {"rgba16-interlaced.png", "cmyk.jpg", "exif6.jpg",
                                 "lossy-alpha.webp",      "rle8.bmp", "p7-4-1000.pam"};
    for (int i = 0; i < 6; i++) {
        picture p = find_picture(names[i]);
        int64_t held = lm_mem_get_stats().bytes;
        for (int64_t n = 1;; n++) {
            lm_image image;
            lm_mem_fail_at(n, 0);
            lm_status status = lm_image_decode(p.file, p.size, NULL, &image);
            bool enough = lm_mem_fail_at(0, 0) < n;
            if (enough) CHECK_OK(status);
            if (!enough) assert_int_equal(status, LM_NOMEM);
            lm_image_release(&image);
            assert_int_equal(lm_mem_get_stats().bytes, held);
            if (enough) break;
        }
    }
}

static void broken_exif_is_upright(void **state) {
    static const uint8_t good[] =
        "Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0"
        "\x06\0\0";
    const size_t size = sizeof good - 1;
    assert_int_equal(lm_exif_orientation(good, size), 6);
    assert_int_equal(lm_exif_orientation(good + 6, size - 6), 6);
    /* byte, its new value: order, magic, offset, entries, type, count, orientation */
    const uint8_t wrong[][2] = {{6, 'I'}, {9, 'x'}, {10, 255}, {13, 200}, {15, 0},
                                {19, 4},  {23, 2},  {25, 0},   {25, 9}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        uint8_t bad[sizeof good];
        memcpy(bad, good, sizeof good);
        bad[wrong[i][0]] = wrong[i][1];
        assert_int_equal(lm_exif_orientation(bad, size), 1);
    }
    for (size_t n = 0; n < size - 2; n++)
        assert_int_equal(lm_exif_orientation(good, n), 1);
}

int main(void) {
    pictures = load_pictures(&pictures_size);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes_every_kind),
        cmocka_unit_test(a_beginning_is_probed_as_the_whole),
        cmocka_unit_test(names_the_format),
        cmocka_unit_test(alpha_is_on_white_unless_told),
        cmocka_unit_test(sixteen_bits_are_rounded),
        cmocka_unit_test(alpha_is_rounded_exactly),
        cmocka_unit_test(reads_files),
        cmocka_unit_test(every_truncation_is_seen),
        cmocka_unit_test(flipped_bytes_do_no_harm),
        cmocka_unit_test(giants_are_refused),
        cmocka_unit_test(wrong_png_is_refused),
        cmocka_unit_test(a_short_palette_is_black),
        cmocka_unit_test(bombs_do_not_unpack),
        cmocka_unit_test(many_scans_are_refused),
        cmocka_unit_test(other_files_are_refused),
        cmocka_unit_test(unknown_kinds_are_named),
        cmocka_unit_test(memory_may_run_out_anywhere),
        cmocka_unit_test(broken_exif_is_upright),
    };
    return cmocka_run_group_tests(tests, scratch_begin, scratch_end);
}
