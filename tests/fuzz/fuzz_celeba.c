/* CelebA's lists, in a tar of two pictures. The first byte chooses which list, and
 * whether it is text or CSV. */
#include "fuzz/fuzz.h"

#include "base/mem.h"
#include "data/data_internal.h"
#include "fuzz/memory_file.h"

#include <string.h>

enum { BLOCK = 512, PICTURES = 2, MOST_LIST = 1 << 12 };

static size_t put_file(uint8_t *tar, const char *name, const void *bytes, size_t size) {
    unsigned sum = 0;
    memset(tar, 0, BLOCK);
    strcpy((char *)tar, name);
    snprintf((char *)tar + 124, 12, "%011zo", size);
    memset(tar + 148, ' ', 8);
    for (int i = 0; i < BLOCK; i++) sum += tar[i];
    snprintf((char *)tar + 148, 8, "%06o", sum);
    memcpy(tar + BLOCK, bytes, size);
    return BLOCK + (size + BLOCK - 1) / BLOCK * BLOCK;
}

static void check_set(const lm_dataset *set) {
    float values[64];
    if (set->count < 1 || set->count > PICTURES) abort();
    for (int64_t i = 0; set->attributes && i < set->count; i++) {
        if (set->attributes(set, i, values) != LM_OK) abort();
        for (int k = 0; k < set->n_attributes; k++)
            if (values[k] != 0 && values[k] != 1) abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const lists[] = {"list_attr_celeba.txt", "list_attr_celeba.csv",
                                        "list_eval_partition.txt",
                                        "list_eval_partition.csv"};
    static const uint8_t white[3] = {255, 255, 255};
    static uint8_t tar[4 * BLOCK * PICTURES + 2 * MOST_LIST];
    if (size == 0 || size > MOST_LIST) return 0;
    size_t length = put_file(tar, "1.pgm", "P5 1 1 255 x", 12);
    length += put_file(tar + length, "2.pgm", "P5 1 1 255 x", 12);
    memset(tar + length, 0, sizeof tar - length);
    length += put_file(tar + length, lists[data[0] % 4], data + 1, size - 1);

    char path[64];
    memory_file file;
    lm_dataset *set = NULL;
    memory_file_open(&file, tar, length);
    snprintf(path, sizeof path, "/tmp/celeba-fuzz-%d.tar", (int)getpid());
    if (symlink(file.path, path) != 0) abort();
    lm_data_place place = {.name = "celeba", .path = path, .background = white};
    if (lm_celeba_format.open(&place, &set) == LM_OK) {
        check_set(set);
        lm_dataset_free(set);
    } else if (!*lm_message()) {
        abort();
    }
    memory_file_forget(path);
    memory_file_close(&file);
    return 0;
}
