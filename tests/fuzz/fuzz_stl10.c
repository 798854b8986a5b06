/* STL-10's files: the first byte says how many labels follow, the rest are the images. */
#include "fuzz/fuzz.h"

#include "base/file.h"
#include "base/mem.h"
#include "data/data_internal.h"
#include "fuzz/memory_file.h"

#include <sys/stat.h>

enum { IMAGE = 3 * 96 * 96 };

static void open_folder(const char *folder) {
    lm_data_place place = {.name = "input", .path = folder};
    lm_dataset *set;
    static uint8_t pixels[IMAGE];
    int32_t label;
    if (lm_stl10_format.open(&place, &set) != LM_OK) return;
    for (int64_t i = 0; i < set->count; i++)
        if (set->get(set, i, pixels, &label) != LM_OK || label < -1 || label > 9) abort();
    lm_dataset_free(set);
}

/* A short input is made the last image of as many as there are labels. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!size) return 0;
    size_t labels = data[0] % 8 < size ? data[0] % 8 : size - 1;
    memory_file files[2];
    char folder[64], paths[2][96];
    static const char *const names[] = {"train_y.bin", "train_X.bin"};
    memory_file_open(&files[0], data + 1, labels);
    memory_file_open(&files[1], data + 1 + labels, size - 1 - labels);
    if (data[0] & 8 && ftruncate(files[1].fd, (off_t)(labels * IMAGE)) != 0) abort();
    snprintf(folder, sizeof folder, "/tmp/limn-fuzz-%d", (int)getpid());
    mkdir(folder, 0700);
    for (int i = 0; i < 2; i++) {
        snprintf(paths[i], sizeof paths[i], "%s/%s", folder, names[i]);
        if (symlink(files[i].path, paths[i]) != 0) abort();
    }
    open_folder(folder);
    for (int i = 0; i < 2; i++) {
        unlink(paths[i]);
        memory_file_close(&files[i]);
    }
    rmdir(folder);
    return 0;
}
