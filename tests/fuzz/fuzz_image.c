/* Every codec, as the first bytes choose. What can be decoded can be probed, and is as
 * large as probing said. */
#include "fuzz/fuzz.h"

#include "image/decode.h"

#include <stdlib.h>

/* More than this takes a fuzzer's time and finds nothing new. */
enum { MOST_PIXELS = 1 << 18 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    lm_image_info info = {0};
    bool known = lm_image_probe(data, size, &info) == LM_OK;
    if (known && (int64_t)info.width * info.height > MOST_PIXELS) return 0;
    lm_image image;
    if (lm_image_decode(data, size, NULL, &image) != LM_OK) return image.pixels != NULL;
    if (!known || image.width != info.width || image.height != info.height ||
        image.channels != info.channels)
        abort();
    lm_image_release(&image);
    return 0;
}
