/* MNIST-M's label files. What is taken is a name without a slash, and a digit. */
#include "fuzz/fuzz.h"

#include "data/mnist_m.h"

#include <stdlib.h>
#include <string.h>

static lm_status take(void *user, const char *name, int label) {
    size_t length = strlen(name);
    if (length == 0 || length > 255 || strchr(name, '/') || label < 0 || label > 9)
        abort();
    return LM_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1);
    if (!text) return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    lm_mnist_m_parse(text, size, "input", take, NULL);
    free(text);
    return 0;
}
