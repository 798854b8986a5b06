#include "fuzz/fuzz.h"

#include "image/orient.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int orientation = lm_exif_orientation(data, size);
    if (orientation < 1 || orientation > 8) abort();
    return 0;
}
