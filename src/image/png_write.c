/* PNG files of ours, through libpng. */
#include "image/image.h"

#include "base/file.h"

#include <png.h>
#include <setjmp.h>
#include <string.h>

/* libpng reports through this and jumps; the text is kept for the caller's message. */
typedef struct png_failure {
    char text[128];
} png_failure;

static void keep_error(png_structp png, png_const_charp text) {
    png_failure *failure = png_get_error_ptr(png);
    snprintf(failure->text, sizeof failure->text, "%s", text);
    longjmp(png_jmpbuf(png), 1);
}

static void drop_warning(png_structp png, png_const_charp text) {}

static void write_bytes(png_structp png, png_bytep data, png_size_t size) {
    lm_writer_put(png_get_io_ptr(png), data, size);
}

static void flush_nothing(png_structp png) {}

/* Everything between setjmp and the end; longjmp leaves only libpng's own state behind,
 * which the caller destroys. */
static bool encode(png_structp png, png_infop info, const lm_image *image,
                   const char *text) {
    if (setjmp(png_jmpbuf(png))) return false;
    png_set_IHDR(png, info, image->width, image->height, 8,
                 image->channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    if (text) {
        png_text comment = {.compression = PNG_TEXT_COMPRESSION_NONE,
                            .key = (png_charp) "Comment",
                            .text = (png_charp)text};
        png_set_text(png, info, &comment, 1);
    }
    png_write_info(png, info);
    size_t stride = (size_t)image->width * image->channels;
    for (int y = 0; y < image->height; y++)
        png_write_row(png, image->pixels + (size_t)y * stride);
    png_write_end(png, info);
    return true;
}

lm_status lm_png_write(const char *path, const lm_image *image, const char *text) {
    lm_writer writer;
    LM_TRY(lm_writer_open(&writer, path));
    png_failure failure = {""};
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &failure, keep_error,
                                              drop_warning);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    bool done = false;
    if (info) {
        png_set_write_fn(png, &writer, write_bytes, flush_nothing);
        done = encode(png, info, image, text);
    }
    png_destroy_write_struct(&png, &info);
    if (done) return lm_writer_commit(&writer);
    lm_writer_cancel(&writer);
    return lm_fail(info ? LM_IO : LM_NOMEM, "%s: cannot encode PNG: %s", path,
                   failure.text);
}
