/* IDX files (LeCun's MNIST format), plain or gzip: a big-endian header 00 00 type rank,
 * the dimensions as u32, then the elements. Only unsigned bytes occur in image sets. */
#include "data/data_internal.h"

#include "base/bytes.h"
#include "base/file.h"
#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#define MAX_BYTES ((int64_t)8 << 30)
#define MAX_SIDE  4096

typedef struct idx_array {
    int rank;
    int64_t dim[3];
    uint8_t *data; /* owned */
    int64_t bytes;
} idx_array;

typedef struct idx_state {
    idx_array images, labels; /* labels.data NULL: none */
} idx_state;

/* gzread takes an int count and may return less at the end of a truncated file. */
static lm_status read_exactly(gzFile file, const char *path, const char *what, void *to,
                              int64_t size) {
    int64_t done = 0;
    while (done < size) {
        int64_t want = size - done < 1 << 26 ? size - done : 1 << 26;
        int got = gzread(file, (uint8_t *)to + done, (unsigned)want);
        if (got < 0) {
            int code;
            return lm_fail(LM_FORMAT, "%s: broken gzip data: %s", path,
                           gzerror(file, &code));
        }
        if (got == 0) break;
        done += got;
    }
    LM_RETURN_IF(done < size, LM_FORMAT,
                 "%s: truncated: %s needs %lld bytes, the file has %lld", path, what,
                 (long long)size, (long long)done);
    return LM_OK;
}

static lm_status read_header(gzFile file, const char *path, int rank, idx_array *array) {
    uint8_t header[4 + 4 * 3];
    LM_TRY(read_exactly(file, path, "the magic number", header, 4));
    LM_RETURN_IF(header[0] || header[1] || header[2] != 8 || header[3] != rank, LM_FORMAT,
                 "%s: wrong magic number %02x %02x %02x %02x: expected 00 00 08 %02x, an "
                 "IDX file of %s",
                 path, header[0], header[1], header[2], header[3], rank,
                 rank == 3 ? "images" : "labels");
    LM_TRY(read_exactly(file, path, "the header", header + 4, 4 * rank));
    array->rank = rank;
    array->bytes = 1;
    for (int i = 0; i < rank; i++) {
        array->dim[i] = (int64_t)lm_read_be(header + 4 + 4 * i, 4);
        LM_RETURN_IF(array->dim[i] == 0 || (i > 0 && array->dim[i] > MAX_SIDE), LM_FORMAT,
                     "%s: dimension %d is %lld: expected 1 to %d", path, i,
                     (long long)array->dim[i], i ? MAX_SIDE : INT32_MAX);
        array->bytes *= array->dim[i];
    }
    LM_RETURN_IF(array->bytes > MAX_BYTES, LM_FORMAT, "%s: %lld bytes is over the limit",
                 path, (long long)array->bytes);
    return LM_OK;
}

/* The header may lie: memory grows with what the file really holds. */
static lm_status read_body(gzFile file, const char *path, idx_array *array) {
    const int64_t first = 64 << 20;
    int64_t have = 0;
    for (int64_t target = first; have < array->bytes; target *= 4) {
        if (target > array->bytes) target = array->bytes;
        uint8_t *grown = lm_realloc(array->data, (size_t)target);
        if (!grown) return LM_NOMEM;
        array->data = grown;
        LM_TRY(read_exactly(file, path, "its data", grown + have, target - have));
        have = target;
    }
    uint8_t extra;
    LM_RETURN_IF(gzread(file, &extra, 1) > 0, LM_FORMAT,
                 "%s: more data than its header says (%lld bytes)", path,
                 (long long)array->bytes);
    return LM_OK;
}

static lm_status read_idx(const char *path, int rank, idx_array *array) {
    gzFile file = gzopen(path, "rb");
    LM_RETURN_IF(!file, LM_IO, "%s: cannot open: %s", path, strerror(errno));
    gzbuffer(file, 1 << 18);
    lm_status status = read_header(file, path, rank, array);
    if (status == LM_OK) status = read_body(file, path, array);
    gzclose(file);
    if (status != LM_OK) {
        lm_free(array->data);
        array->data = NULL;
    }
    return status;
}

/* ---- finding files ----------------------------------------------------------- */

/* The spellings in use: "train-images-idx3-ubyte", with a dot, each also with ".gz". */
static lm_status find_file(const char *folder, lm_split split, bool images, char **path) {
    static const char *const forms[] = {"%s-%s-idx%d-ubyte.gz", "%s-%s-idx%d-ubyte",
                                        "%s-%s.idx%d-ubyte.gz", "%s-%s.idx%d-ubyte"};
    const char *start = split == LM_SPLIT_TRAIN ? "train" : "t10k";
    char name[64];
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, forms[i], start, images ? "images" : "labels",
                 images ? 3 : 1);
        *path = lm_path_join(folder, name);
        if (!*path) return LM_NOMEM;
        if (lm_file_exists(*path)) return LM_OK;
        lm_free(*path);
        *path = NULL;
    }
    snprintf(name, sizeof name, forms[0], start, images ? "images" : "labels",
             images ? 3 : 1);
    return lm_fail(LM_NOT_FOUND, "%s: no %s (or the same without .gz) in it", folder,
                   name);
}

/* The label file's name from the image file's: "images" -> "labels", "idx3" -> "idx1".
 * *path is NULL when the name has no such parts or the file does not exist. */
static lm_status label_path(const char *images, char **path) {
    *path = lm_strdup(images);
    if (!*path) return LM_NOMEM;
    char *slash = strrchr(*path, '/'), *base = slash ? slash + 1 : *path;
    char *word = strstr(base, "images"), *digit = strstr(base, "idx3");
    if (word) memcpy(word, "labels", 6);
    if (digit) digit[3] = '1';
    if (word && lm_file_exists(*path)) return LM_OK;
    lm_free(*path);
    *path = NULL;
    return LM_OK;
}

static bool recognise(const char *path) {
    if (lm_is_folder(path)) {
        char *file = NULL;
        bool found = find_file(path, LM_SPLIT_TRAIN, true, &file) == LM_OK;
        if (!found) found = find_file(path, LM_SPLIT_TEST, true, &file) == LM_OK;
        lm_free(file);
        return found;
    }
    /* By content: a file that starts as an IDX file, or one that is named like one. */
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    if (lm_file_exists(path) && (strstr(name, "idx") || strstr(name, "ubyte")))
        return true;
    gzFile file = gzopen(path, "rb");
    uint8_t magic[4] = {1, 1, 1, 1};
    bool found = file && gzread(file, magic, 4) == 4 && !magic[0] && !magic[1] &&
                 magic[2] == 8 && magic[3] == 3;
    if (file) gzclose(file);
    return found;
}

/* ---- the dataset ------------------------------------------------------------- */

static lm_status get_image(const lm_dataset *set, int64_t index, uint8_t *pixels,
                           int32_t *label) {
    const idx_state *state = set->state;
    size_t size = (size_t)set->height * set->width;
    LM_RETURN_IF(index < 0 || index >= set->count, LM_ARG, "%s: no image %lld of %lld",
                 set->name, (long long)index, (long long)set->count);
    memcpy(pixels, state->images.data + index * size, size);
    *label = state->labels.data ? state->labels.data[index] : -1;
    return LM_OK;
}

static lm_status get_label(const lm_dataset *set, int64_t index, int32_t *label) {
    const idx_state *state = set->state;
    *label = state->labels.data ? state->labels.data[index] : -1;
    return LM_OK;
}

static void release_state(lm_dataset *set) {
    idx_state *state = set->state;
    if (!state) return;
    lm_free(state->images.data);
    lm_free(state->labels.data);
    lm_free(state);
}

static lm_status load(lm_dataset *set, const char *images, const char *labels) {
    idx_state *state = set->state;
    LM_TRY(read_idx(images, 3, &state->images));
    set->count = state->images.dim[0];
    set->height = (int)state->images.dim[1];
    set->width = (int)state->images.dim[2];
    set->channels = 1;
    set->hash = lm_hash_bytes(LM_HASH_SEED, state->images.data, state->images.bytes);
    LM_TRY(lm_dataset_add_file(set, images));
    if (!labels) return LM_OK;
    LM_TRY(lm_dataset_add_file(set, labels));
    LM_TRY(read_idx(labels, 1, &state->labels));
    LM_RETURN_IF(state->labels.dim[0] != set->count, LM_FORMAT,
                 "%s: %lld labels, but %s has %lld images", labels,
                 (long long)state->labels.dim[0], images, (long long)set->count);
    for (int64_t i = 0; i < set->count; i++)
        if (state->labels.data[i] >= set->classes)
            set->classes = state->labels.data[i] + 1;
    set->hash = lm_hash_bytes(set->hash, state->labels.data, state->labels.bytes);
    return LM_OK;
}

/* Both paths are lm_free'd by the caller; *labels stays NULL where there is none. */
static lm_status find_pair(const lm_data_place *place, char **images, char **labels) {
    if (!lm_is_folder(place->path)) {
        *images = lm_strdup(place->path);
        if (!*images) return LM_NOMEM;
        return label_path(place->path, labels);
    }
    if (place->split > LM_SPLIT_TEST) return lm_data_no_split(place, "IDX");
    LM_TRY(find_file(place->path, place->split, true, images));
    lm_status status = find_file(place->path, place->split, false, labels);
    return status == LM_NOT_FOUND && !place->known ? LM_OK : status;
}

static lm_status open_idx(const lm_data_place *place, lm_dataset **set) {
    char *images = NULL, *labels = NULL;
    lm_dataset *made = NULL;
    lm_status status;
    LM_TRY_GOTO(end, find_pair(place, &images, &labels));
    LM_TRY_GOTO(end, lm_dataset_new(place->name, images, &made));
    made->get = get_image;
    made->label = get_label;
    made->release = release_state;
    made->state = lm_calloc(1, sizeof(idx_state));
    status = made->state ? load(made, images, labels) : LM_NOMEM;
    if (status == LM_OK)
        *set = made;
    else
        lm_dataset_free(made);
end:
    lm_free(images);
    lm_free(labels);
    return status;
}

const lm_data_format lm_idx_format = {"IDX images", recognise, open_idx};
