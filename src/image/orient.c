#include "image/orient.h"

#include <string.h>

/* Upright row y is row y of what is stored, or column y when transposed; rows and columns
 * of what is stored are counted from the far end when reversed. TIFF 6.0, tag 274. */
static const struct {
    bool transposed, rows_reversed, columns_reversed;
} turns[] = {
    [1] = {0, 0, 0}, [2] = {0, 0, 1}, [3] = {0, 1, 1}, [4] = {0, 1, 0},
    [5] = {1, 0, 0}, [6] = {1, 1, 0}, [7] = {1, 1, 1}, [8] = {1, 0, 1},
};

bool lm_orientation_swaps(int orientation) {
    return turns[orientation].transposed;
}

lm_status lm_image_orient(lm_image *image, int orientation) {
    if (orientation == 1) return LM_OK;
    bool transposed = turns[orientation].transposed;
    ptrdiff_t width = image->width, height = image->height, channels = image->channels;
    ptrdiff_t row = width * channels, column = channels;
    const uint8_t *corner = image->pixels;
    if (turns[orientation].rows_reversed) corner += (height - 1) * row, row = -row;
    if (turns[orientation].columns_reversed)
        corner += (width - 1) * column, column = -column;
    lm_image upright;
    LM_TRY(lm_image_init(&upright, (int)(transposed ? height : width),
                         (int)(transposed ? width : height), image->channels));
    ptrdiff_t down = transposed ? column : row, across = transposed ? row : column;
    uint8_t *to = upright.pixels;
    for (int y = 0; y < upright.height; y++)
        for (int x = 0; x < upright.width; x++, to += channels)
            memcpy(to, corner + y * down + x * across, (size_t)channels);
    lm_image_release(image);
    *image = upright;
    return LM_OK;
}
