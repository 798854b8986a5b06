/* Street View House Numbers (Netzer et al. 2011), cropped digits ("format 2"): a MAT-file
 * a split with X, 32 x 32 x 3 x count, and y, count x 1, of 1 to 10, where 10 means 0.
 * A set is held in memory: 225 MB for train, 80 MB for test, 1.6 GB for extra. */
#include "data/data_internal.h"
#include "data/mat.h"
#include "data/packed.h"

#include "base/file.h"
#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { MOST_SIDE = 4096, CLASSES = 10 };

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

static lm_status take_images(const char *path, lm_mat_array *x, lm_packed *packed) {
    LM_RETURN_IF(x->rank < 3 || x->rank > 4 || x->dim[2] != 3 || x->dim[0] > MOST_SIDE ||
                     x->dim[1] > MOST_SIDE,
                 LM_FORMAT,
                 "%s: X has %d dimensions of %lld, %lld, %lld: expected height, width, "
                 "3, images",
                 path, x->rank, (long long)x->dim[0], (long long)x->dim[1],
                 (long long)x->dim[2]);
    packed->count = x->rank == 4 ? x->dim[3] : 1; /* MATLAB leaves out a last 1 */
    packed->height = (int)x->dim[0];
    packed->width = (int)x->dim[1];
    packed->channels = 3;
    packed->down = 1;
    packed->right = (size_t)packed->height;
    packed->colour = packed->right * (size_t)packed->width;
    packed->step = 3 * packed->colour;
    packed->pixels = packed->block = x->values;
    x->values = NULL;
    return LM_OK;
}

static lm_status take_labels(const char *path, const lm_mat_array *y, lm_packed *packed) {
    packed->classes = CLASSES;
    LM_TRY(lm_packed_set_labels(packed, path, LM_U8, y->values, y->count, 1));
    for (int64_t i = 0; i < packed->count; i++)
        packed->labels[i] = (packed->labels[i] + 1) % CLASSES;
    return LM_OK;
}

static lm_status read_arrays(const char *path, lm_mat_array *x, lm_mat_array *y) {
    FILE *file = fopen(path, "rb");
    LM_RETURN_IF(!file, LM_IO, "%s: cannot open: %s", path, strerror(errno));
    /* Labels first: they are few, and a file of another kind is noticed at once. */
    lm_status status = lm_mat_read_u8(file, path, "y", y);
    if (status == LM_OK) status = lm_mat_read_u8(file, path, "X", x);
    fclose(file);
    return status;
}

static lm_status open_file(const lm_data_place *place, const char *path,
                           lm_dataset **set) {
    lm_mat_array x = {0}, y = {0};
    lm_packed packed = {0};
    lm_status status = read_arrays(path, &x, &y);
    if (status == LM_OK) status = take_images(path, &x, &packed);
    if (status == LM_OK) status = take_labels(path, &y, &packed);
    if (status == LM_OK)
        status = lm_packed_open(place, path, lm_packed_hash(&packed), &packed, set);
    lm_packed_release(&packed);
    lm_mat_release(&x);
    lm_mat_release(&y);
    return status;
}

static lm_status open_svhn(const lm_data_place *place, lm_dataset **set) {
    bool folder = lm_is_folder(place->path);
    char *path = folder ? find_file(place->path, place->split) : lm_strdup(place->path);
    if (!path) return folder ? lm_data_no_split(place, "SVHN") : LM_NOMEM;
    lm_status status = open_file(place, path, set);
    lm_free(path);
    return status;
}

const lm_data_format lm_svhn_format = {"SVHN's MAT-files", recognise, open_svhn};
