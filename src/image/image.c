#include "image/image.h"

#include "base/mem.h"

lm_status lm_image_init(lm_image *image, int width, int height, int channels) {
    LM_RETURN_IF(width <= 0 || height <= 0 || (channels != 1 && channels != 3), LM_ARG,
                 "image: %d x %d pixels with %d channels: expected a positive size and 1 "
                 "or 3 channels",
                 width, height, channels);
    *image = (lm_image){.width = width, .height = height, .channels = channels};
    image->pixels = lm_calloc((size_t)width * height, channels);
    return image->pixels ? LM_OK : LM_NOMEM;
}

void lm_image_release(lm_image *image) {
    lm_free(image->pixels);
    *image = (lm_image){0};
}
