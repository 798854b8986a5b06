/* MNIST-M (Ganin et al. 2016) as it is passed around: mnist_m/ or an archive of it, with
 * mnist_m_train/, mnist_m_test/, and a text of labels for each.
 *
 * Images are decoded when they are asked for: that takes less time than a training step
 * has, and PNG files less memory than pixels. Of a folder only names are held; of a
 * compressed archive the files of the split, 120 MB for train. */
#include "data/mnist_m.h"
#include "data/data_internal.h"
#include "data/entries.h"

#include "base/file.h"
#include "base/mem.h"
#include "image/decode.h"
#include "image/frame.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

enum { EDGE = 32, CLASSES = 10, MOST_NAME = 255 };
#define MOST_MEMORY ((size_t)1 << 30)

/* What the files of a split are called. */
static const struct split_files {
    const char *folder, *labels;
} split_files[LM_N_SPLITS] = {
    [LM_SPLIT_TRAIN] = {"mnist_m_train/", "mnist_m_train_labels.txt"},
    [LM_SPLIT_TEST] = {"mnist_m_test/", "mnist_m_test_labels.txt"}};

static const char archives[] = "mnist_m*.tar*";

typedef struct image {
    int32_t entry; /* its file */
    int32_t label;
} image;

typedef struct mnist_m {
    lm_entries *entries; /* owned */
    image *images;       /* owned, in the order of the label file */
    int64_t count;
    bool *labelled; /* owned, [entries]; while opening */
    char *folder;   /* owned: of the images, with its slash; while opening */
    uint8_t background[3];
} mnist_m;

/* ---- labels ------------------------------------------------------------------ */

/* Takes "NAME DIGIT" apart; NULL: not such a line. */
static char *split_line(char *line, size_t length, int *label) {
    if (length > 0 && line[length - 1] == '\r') length--;
    if (length < 3 || line[length - 2] != ' ') return NULL;
    *label = line[length - 1] - '0';
    line[length - 2] = '\0';
    bool name =
        strlen(line) == length - 2 && length - 2 <= MOST_NAME && !strpbrk(line, " /");
    return name && *label >= 0 && *label < CLASSES ? line : NULL;
}

lm_status lm_mnist_m_parse(char *text, size_t size, const char *path,
                           lm_mnist_m_take take, void *user) {
    LM_RETURN_IF(size == 0, LM_FORMAT, "%s: empty", path);
    char *end = text + size;
    for (int line = 1; text < end; line++) {
        char *stop = memchr(text, '\n', (size_t)(end - text));
        if (!stop) stop = end;
        int label;
        char *name = split_line(text, (size_t)(stop - text), &label);
        LM_RETURN_IF(!name, LM_FORMAT,
                     "%s: line %d: expected a file's name, a space and a digit", path,
                     line);
        LM_TRY(take(user, name, label));
        text = stop + 1;
    }
    return LM_OK;
}

/* ---- finding ----------------------------------------------------------------- */

static bool is_archive(const char *path) {
    return fnmatch(archives, lm_path_base(path), 0) == 0 && lm_file_exists(path) &&
           !lm_is_folder(path);
}

static bool has_labels(const char *folder) {
    return lm_folder_has(folder, split_files[LM_SPLIT_TRAIN].labels) ||
           lm_folder_has(folder, split_files[LM_SPLIT_TEST].labels);
}

/* The unpacked folder, itself or in `path`, or an archive; lm_free'd by the caller. */
static char *find_source(const char *path) {
    if (is_archive(path) || has_labels(path)) return lm_strdup(path);
    char *folder = lm_path_join(path, "mnist_m");
    if (folder && has_labels(folder)) return folder;
    lm_free(folder);
    return lm_folder_find(path, archives);
}

static bool recognise(const char *path) {
    char *found = find_source(path);
    lm_free(found);
    return found != NULL;
}

/* Whether a file belongs to a split: its parts are "mnist_m/" or none, then these. */
static bool is_of(const char *name, const struct split_files *files) {
    if (strncmp(name, "mnist_m/", 8) == 0) name += 8;
    return strncmp(name, files->folder, strlen(files->folder)) == 0 ||
           strcmp(name, files->labels) == 0;
}

static bool wants_train(const char *name) {
    return is_of(name, &split_files[LM_SPLIT_TRAIN]);
}

static bool wants_test(const char *name) {
    return is_of(name, &split_files[LM_SPLIT_TEST]);
}

/* ---- the dataset ------------------------------------------------------------- */

static lm_status decode(const lm_dataset *set, int64_t index, lm_image *picture) {
    const mnist_m *s = set->state;
    void *bytes;
    size_t size;
    LM_TRY(lm_entries_read(s->entries, s->images[index].entry, &bytes, &size));
    lm_image_info info;
    lm_status status = lm_image_probe(bytes, size, &info);
    if (status == LM_OK && (info.width != EDGE || info.height != EDGE))
        status = lm_fail(LM_FORMAT, "%d x %d pixels, expected %d x %d", info.width,
                         info.height, EDGE, EDGE);
    if (status == LM_OK) status = lm_image_decode(bytes, size, s->background, picture);
    lm_free(bytes);
    return status;
}

static lm_status get_label(const lm_dataset *set, int64_t index, int32_t *label) {
    const mnist_m *s = set->state;
    *label = s->images[index].label;
    return LM_OK;
}

static lm_status read_image(const lm_dataset *set, int64_t index, lm_image *picture,
                            int32_t *label) {
    *picture = (lm_image){0};
    lm_status status = decode(set, index, picture);
    if (status == LM_OK) status = lm_image_set_channels(picture, 3);
    if (status == LM_OK) return get_label(set, index, label);
    lm_image_release(picture);
    lm_str item = LM_STR_INIT;
    lm_dataset_item(set, index, &item);
    status = lm_fail_context(status, "%s", lm_str_text(&item) ? item.text : set->name);
    lm_str_release(&item);
    return status;
}

static lm_status get_image(const lm_dataset *set, int64_t index, uint8_t *pixels,
                           int32_t *label) {
    lm_image picture;
    LM_TRY(read_image(set, index, &picture, label));
    memcpy(pixels, picture.pixels, 3 * EDGE * EDGE);
    lm_image_release(&picture);
    return LM_OK;
}

static void name_item(const lm_dataset *set, int64_t index, lm_str *name) {
    const mnist_m *s = set->state;
    lm_str_append(name, lm_entries_name(s->entries, s->images[index].entry));
}

static void release_state(lm_dataset *set) {
    mnist_m *s = set->state;
    if (!s) return;
    lm_entries_free(s->entries);
    lm_free(s->images);
    lm_free(s->labelled);
    lm_free(s->folder);
    lm_free(s);
}

/* ---- opening ----------------------------------------------------------------- */

static lm_status take_label(void *user, const char *name, int label) {
    mnist_m *s = user;
    char path[MOST_NAME + 64];
    snprintf(path, sizeof path, "%s%s", s->folder, name);
    int64_t entry = lm_entries_find(s->entries, path);
    LM_RETURN_IF(entry < 0, LM_FORMAT, "the label file names %s, which is not there",
                 path);
    LM_RETURN_IF(s->labelled[entry], LM_FORMAT, "the label file names %s twice", path);
    s->labelled[entry] = true;
    s->images[s->count++] = (image){(int32_t)entry, label};
    return LM_OK;
}

/* The label file's place in the list, of which all other files are images. */
static lm_status find_labels(mnist_m *s, const lm_data_place *place, int64_t *entry) {
    const struct split_files *files = &split_files[place->split];
    char path[64];
    for (int nested = 0; nested < 2; nested++) {
        const char *within = nested ? "mnist_m/" : "";
        snprintf(path, sizeof path, "%s%s", within, files->labels);
        *entry = lm_entries_find(s->entries, path);
        if (*entry < 0) continue;
        snprintf(path, sizeof path, "%s%s", within, files->folder);
        s->folder = lm_strdup(path);
        return s->folder ? LM_OK : LM_NOMEM;
    }
    return lm_data_no_split(place, "MNIST-M");
}

static lm_status read_labels(lm_dataset *set, int64_t entry) {
    mnist_m *s = set->state;
    int64_t files = lm_entries_count(s->entries);
    s->labelled = lm_calloc((size_t)files, sizeof *s->labelled);
    s->images = lm_alloc((size_t)files * sizeof *s->images);
    if (!s->labelled || !s->images) return LM_NOMEM;
    s->labelled[entry] = true; /* so that it is not an image */
    void *text;
    size_t size;
    LM_TRY(lm_entries_read(s->entries, entry, &text, &size));
    set->hash = lm_hash_bytes(LM_HASH_SEED, text, size);
    lm_status status =
        lm_mnist_m_parse(text, size, lm_entries_name(s->entries, entry), take_label, s);
    lm_free(text);
    if (status != LM_OK) return lm_fail_context(status, "%s", set->source);
    for (int64_t i = 0; i < files; i++) {
        LM_RETURN_IF(!s->labelled[i], LM_FORMAT, "%s: %s has no label", set->source,
                     lm_entries_name(s->entries, i));
        set->hash = lm_hash_word(set->hash, lm_entries_size(s->entries, i));
    }
    return LM_OK;
}

static lm_status load(lm_dataset *set, const lm_data_place *place) {
    mnist_m *s = set->state = lm_calloc(1, sizeof *s);
    set->release = release_state;
    if (!s) return LM_NOMEM;
    memcpy(s->background, place->background, sizeof s->background);
    int64_t labels;
    LM_TRY(lm_entries_open(set->source,
                           place->split == LM_SPLIT_TRAIN ? wants_train : wants_test,
                           MOST_MEMORY, &s->entries));
    LM_TRY(find_labels(s, place, &labels));
    LM_TRY(read_labels(set, labels));
    set->height = set->width = EDGE;
    set->channels = 3;
    set->classes = CLASSES;
    set->count = s->count;
    set->get = get_image;
    set->read = read_image;
    set->label = get_label;
    set->item = name_item;
    return LM_OK;
}

static lm_status open_mnist_m(const lm_data_place *place, lm_dataset **set) {
    if (!split_files[place->split].labels) return lm_data_no_split(place, "MNIST-M");
    char *source = find_source(place->path);
    if (!source) return LM_NOMEM;
    lm_dataset *made = NULL;
    lm_status status = lm_dataset_new(place->name, source, &made);
    lm_free(source);
    if (status == LM_OK) status = load(made, place);
    if (status == LM_OK)
        *set = made;
    else
        lm_dataset_free(made);
    return status;
}

const lm_data_format lm_mnist_m_format = {"MNIST-M's folder or archive", recognise,
                                          open_mnist_m};
