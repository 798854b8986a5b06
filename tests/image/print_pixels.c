/* Prints pictures as they are decoded and resized, for tests/golden/compare_pillow.py.
 * Each line of the input is WIDTH HEIGHT FILTER PATH, where a width of 0 leaves the size
 * as it is; each picture goes out as a PGM or PPM. */
#include "base/status.h"
#include "image/decode.h"
#include "image/resize.h"

#include <stdio.h>
#include <string.h>

static lm_status make_picture(const char *path, int width, int height, const char *name,
                              lm_image *image) {
    LM_TRY(lm_image_read(path, NULL, image));
    if (width == 0) return LM_OK;
    lm_filter filter;
    lm_image resized = {0};
    lm_status status = lm_filter_find(name, &filter);
    if (status == LM_OK) status = lm_image_resize(image, height, width, filter, &resized);
    lm_image_release(image);
    *image = resized;
    return status;
}

int main(void) {
    char path[1024], filter[16];
    int width, height;
    while (scanf("%d %d %15s %1023[^\n]", &width, &height, filter, path) == 4) {
        lm_image image;
        if (make_picture(path, width, height, filter, &image) != LM_OK) {
            fprintf(stderr, "%s\n", lm_message());
            return 1;
        }
        printf("P%d %d %d 255\n", image.channels == 1 ? 5 : 6, image.width, image.height);
        fwrite(image.pixels, (size_t)image.channels,
               (size_t)image.width * (size_t)image.height, stdout);
        lm_image_release(&image);
    }
    return 0;
}
