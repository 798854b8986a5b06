/* Street View House Numbers (Netzer et al. 2011), cropped digits ("format 2"): a MAT-file
 * a split with X, 32 x 32 x 3 x count, and y, count x 1, of 1 to 10, where 10 means 0.
 * A set is held in memory: 225 MB for train, 80 MB for test, 1.6 GB for extra. */
#include "data/data_internal.h"
#include "data/mat.h"

#include "base/file.h"
#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { MOST_SIDE = 4096, CLASSES = 10 };

typedef struct svhn_state {
    lm_mat_array images, labels;
} svhn_state;

/* ---- finding ----------------------------------------------------------------- */

/* The file as distributed, else one that is called like it (train_32x32-part.mat);
 * lm_free'd by the caller. */
static char *find_file(const char *folder, lm_split split) {
    char name[64];
    snprintf(name, sizeof name, "%s_32x32.mat", lm_split_name(split));
    if (lm_folder_has(folder, name)) return lm_path_join(folder, name);
    snprintf(name, sizeof name, "%s_32x32*.mat", lm_split_name(split));
    return lm_folder_find(folder, name);
}

static bool recognise(const char *path) {
    if (!lm_is_folder(path)) return lm_path_ends(path, ".mat");
    char *found = NULL;
    for (int split = 0; split < LM_N_SPLITS && !found; split++)
        found = find_file(path, (lm_split)split);
    lm_free(found);
    return found != NULL;
}

/* ---- the dataset ------------------------------------------------------------- */

static lm_status get_label(const lm_dataset *set, int64_t index, int32_t *label) {
    const svhn_state *s = set->state;
    *label = s->labels.values[index] % CLASSES;
    return LM_OK;
}

/* Rows run fastest in the file, then columns, then colours. */
static lm_status get_image(const lm_dataset *set, int64_t index, uint8_t *pixels,
                           int32_t *label) {
    const svhn_state *s = set->state;
    size_t rows = (size_t)set->height, plane = rows * set->width;
    const uint8_t *from = s->images.values + (size_t)index * plane * 3;
    for (size_t y = 0; y < rows; y++)
        for (size_t x = 0; x < (size_t)set->width; x++)
            for (size_t c = 0; c < 3; c++) *pixels++ = from[c * plane + x * rows + y];
    return get_label(set, index, label);
}

static void release_state(lm_dataset *set) {
    svhn_state *s = set->state;
    if (!s) return;
    lm_mat_release(&s->images);
    lm_mat_release(&s->labels);
    lm_free(s);
}

static lm_status check_arrays(const svhn_state *s, const char *path) {
    const lm_mat_array *x = &s->images, *y = &s->labels;
    int64_t count = x->rank == 4 ? x->dim[3] : 1; /* MATLAB leaves out a last 1 */
    LM_RETURN_IF(x->rank < 3 || x->rank > 4 || x->dim[2] != 3 || x->dim[0] > MOST_SIDE ||
                     x->dim[1] > MOST_SIDE,
                 LM_FORMAT,
                 "%s: X has %d dimensions of %lld, %lld, %lld: expected "
                 "height, width, 3, images",
                 path, x->rank, (long long)x->dim[0], (long long)x->dim[1],
                 (long long)x->dim[2]);
    LM_RETURN_IF(y->count != count, LM_FORMAT, "%s: %lld labels for %lld images", path,
                 (long long)y->count, (long long)count);
    for (int64_t i = 0; i < count; i++)
        LM_RETURN_IF(y->values[i] < 1 || y->values[i] > CLASSES, LM_FORMAT,
                     "%s: image %lld has label %d, expected 1 to %d", path, (long long)i,
                     y->values[i], CLASSES);
    return LM_OK;
}

static lm_status load(lm_dataset *set, const char *path) {
    svhn_state *s = set->state;
    FILE *file = fopen(path, "rb");
    LM_RETURN_IF(!file, LM_IO, "%s: cannot open: %s", path, strerror(errno));
    /* Labels first: they are few, and a file of another kind is noticed at once. */
    lm_status status = lm_mat_read_u8(file, path, "y", &s->labels);
    if (status == LM_OK) status = lm_mat_read_u8(file, path, "X", &s->images);
    fclose(file);
    LM_TRY(status);
    LM_TRY(check_arrays(s, path));
    set->height = (int)s->images.dim[0];
    set->width = (int)s->images.dim[1];
    set->channels = 3;
    set->classes = CLASSES;
    set->count = s->labels.count;
    set->hash = lm_hash_bytes(LM_HASH_SEED, s->images.values, (size_t)s->images.count);
    set->hash = lm_hash_bytes(set->hash, s->labels.values, (size_t)s->labels.count);
    return LM_OK;
}

static lm_status open_svhn(const lm_data_place *place, lm_dataset **set) {
    bool folder = lm_is_folder(place->path);
    char *path = folder ? find_file(place->path, place->split) : lm_strdup(place->path);
    if (!path) return folder ? lm_data_no_split(place, "SVHN") : LM_NOMEM;
    lm_dataset *made = NULL;
    lm_status status = lm_dataset_new(place->name, path, &made);
    if (status == LM_OK) {
        made->get = get_image;
        made->label = get_label;
        made->release = release_state;
        made->state = lm_calloc(1, sizeof(svhn_state));
        status = made->state ? load(made, path) : LM_NOMEM;
    }
    lm_free(path);
    if (status == LM_OK)
        *set = made;
    else
        lm_dataset_free(made);
    return status;
}

const lm_data_format lm_svhn_format = {"SVHN's MAT-files", recognise, open_svhn};
