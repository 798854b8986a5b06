/* USPS (Hull 1994; 16x16 as in the ESL book): LIBSVM's text, as it is or compressed, and
 * the HDF5 file. Values come in 2001 levels, from -1 or 0 to 1, which are told apart
 * before they are rounded to bytes, so that both give the same pixels. */
#include "data/hdf5_read.h"
#include "data/libsvm.h"
#include "data/packed.h"
#include "data/unpack.h"

#include "base/file.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>

enum { EDGE = 16, PIXELS = EDGE * EDGE, CLASSES = 10, LEVELS = 2000 };
#define MOST_TEXT ((size_t)64 << 20)

/* In the order in which they are looked for. */
static const struct {
    const char *names[LM_SPLIT_TEST + 1];
} files[] = {
    {{"usps.bz2", "usps.t.bz2"}}, {{"usps", "usps.t"}}, {{"usps.h5", "usps.h5"}}};
static const char *const groups[LM_SPLIT_TEST + 1][2] = {
    [LM_SPLIT_TRAIN] = {"train/data", "train/target"},
    [LM_SPLIT_TEST] = {"test/data", "test/target"}};

/* lm_free'd by the caller; NULL: none. A folder called "usps" is no such file. */
static char *find_file(const char *folder, lm_split split) {
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char *path = lm_path_join(folder, files[i].names[split]);
        if (path && lm_file_exists(path) && !lm_is_folder(path)) return path;
        lm_free(path);
    }
    return NULL;
}

static bool is_name(const char *name) {
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        for (int s = 0; s <= LM_SPLIT_TEST; s++)
            if (strcmp(name, files[i].names[s]) == 0) return true;
    return false;
}

static bool recognise(const char *path) {
    if (!lm_is_folder(path)) return is_name(lm_path_base(path));
    char *found = find_file(path, LM_SPLIT_TRAIN);
    if (!found) found = find_file(path, LM_SPLIT_TEST);
    lm_free(found);
    return found != NULL;
}

/* Values from `least` to 1 to bytes, by their level. */
static lm_status take_values(const char *path, const float *values, float least,
                             lm_packed *p) {
    size_t size = (size_t)p->count * PIXELS;
    uint8_t *pixels = lm_alloc(size);
    if (!pixels) return LM_NOMEM;
    p->block = pixels;
    p->pixels = pixels;
    p->height = p->width = EDGE;
    p->channels = 1;
    lm_packed_interleaved(p);
    for (size_t i = 0; i < size; i++) {
        LM_RETURN_IF(!(values[i] >= least && values[i] <= 1), LM_FORMAT,
                     "%s: image %zu has a value of %g, expected %g to 1", path,
                     i / PIXELS, (double)values[i], (double)least);
        double level = rint(((double)values[i] - least) / (1 - least) * LEVELS);
        pixels[i] = (uint8_t)(((int)level * 255 + LEVELS / 2) / LEVELS);
    }
    return LM_OK;
}

static lm_status read_text(const char *path, lm_packed *p) {
    void *text;
    size_t size;
    lm_libsvm rows = {0};
    if (lm_path_ends(path, ".bz2"))
        LM_TRY(lm_archive_expand(path, MOST_TEXT, &text, &size));
    else
        LM_TRY(lm_file_read(path, MOST_TEXT, &text, &size));
    lm_status status = lm_libsvm_parse(text, size, path, PIXELS, &rows);
    lm_free(text);
    p->count = rows.count;
    if (status == LM_OK) status = take_values(path, rows.values, -1, p);
    if (status == LM_OK)
        status = lm_packed_set_labels(p, path, LM_I32, rows.labels, rows.count, 1);
    lm_libsvm_release(&rows);
    return status;
}

static lm_status take_arrays(const char *path, const lm_shape shapes[2],
                             void *const data[2], lm_packed *p) {
    char text[2][LM_SHAPE_TEXT];
    LM_RETURN_IF(shapes[0].rank != 2 || shapes[0].dim[0] < 1 ||
                     shapes[0].dim[1] != PIXELS || shapes[1].rank != 1,
                 LM_FORMAT, "%s: images %s and labels %s, expected [N,%d] and [N]", path,
                 lm_shape_text(shapes[0], text[0]), lm_shape_text(shapes[1], text[1]),
                 PIXELS);
    p->count = shapes[0].dim[0];
    LM_TRY(take_values(path, data[0], 0, p));
    return lm_packed_set_labels(p, path, LM_I32, data[1], shapes[1].dim[0], 0);
}

static lm_status read_hdf5(const char *path, lm_split split, lm_packed *p) {
    lm_shape shapes[2];
    void *data[2] = {NULL, NULL};
    lm_status status =
        lm_hdf5_read(path, groups[split][0], LM_F32, MOST_TEXT, &shapes[0], &data[0]);
    if (status == LM_OK)
        status =
            lm_hdf5_read(path, groups[split][1], LM_I32, MOST_TEXT, &shapes[1], &data[1]);
    if (status == LM_OK) status = take_arrays(path, shapes, data, p);
    lm_free(data[0]);
    lm_free(data[1]);
    return status;
}

static lm_status open_usps(const lm_data_place *place, lm_dataset **set) {
    if (place->split > LM_SPLIT_TEST) return lm_data_no_split(place, "USPS");
    char *path = lm_is_folder(place->path) ? find_file(place->path, place->split)
                                           : lm_strdup(place->path);
    if (!path) return lm_data_no_split(place, "USPS");
    lm_packed p = {.classes = CLASSES};
    lm_status status = lm_path_ends(path, ".h5") ? read_hdf5(path, place->split, &p)
                                                 : read_text(path, &p);
    if (status == LM_OK)
        status = lm_packed_open(place, path, lm_packed_hash(&p), &p, set);
    lm_packed_release(&p);
    lm_free(path);
    return status;
}

const lm_data_format lm_usps_format = {"USPS in LIBSVM's text or HDF5", recognise,
                                       open_usps};
