/* Label files: the first byte chooses CSV or JSON; rows with blanks come along. */
#include "fuzz/fuzz.h"

#include "base/mem.h"
#include "data/label_file.h"
#include "data/rows.h"

#include <stdlib.h>
#include <string.h>

static lm_status take_label(void *user, int line, const char *image, const char *label) {
    size_t *bytes = user;
    *bytes += strlen(image) + strlen(label);
    return LM_OK;
}

/* No field may reach beyond the text. */
static void read_words(char *text, size_t size) {
    char *fields[4];
    int count;
    lm_rows rows = lm_rows_of(text, false);
    while (lm_rows_next(&rows, fields, 4, &count) == LM_OK && count > 0)
        for (int i = 0; i < count; i++)
            if (fields[i] < text || fields[i] + strlen(fields[i]) > text + size) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    size_t taken = 0, length = size ? size - 1 : 0;
    const char *name = size && data[0] & 1 ? "labels.json" : "labels.csv";
    char *text = lm_calloc(length + 1, 1), *again = lm_calloc(length + 1, 1);
    if (!text || !again) abort();
    if (length) {
        memcpy(text, data + 1, length);
        memcpy(again, data + 1, length);
    }
    lm_status status = lm_label_file_parse(name, text, length, take_label, &taken);
    if (status != LM_OK && !*lm_message()) abort();
    if (taken > 40 * size) abort(); /* nothing is read twice; a number has 20 digits */
    read_words(again, length);
    lm_free(text);
    lm_free(again);
    return 0;
}
