/* MNIST-M (Ganin et al. 2016) as it is passed around: mnist_m/ or an archive of it, with
 * mnist_m_train/, mnist_m_test/, and a text of labels for each.
 *
 * Of a folder only names are held; of a compressed archive the PNG files of the split,
 * 120 MB for train, which is less than their pixels. */
#include "data/mnist_m.h"
#include "data/data_internal.h"
#include "data/images.h"

#include "base/file.h"
#include "base/mem.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

enum { CLASSES = 10, MOST_NAME = 255 };

/* What the files of a split are called. */
static const struct split_files {
    const char *folder, *labels;
} split_files[LM_N_SPLITS] = {
    [LM_SPLIT_TRAIN] = {"mnist_m_train/", "mnist_m_train_labels.txt"},
    [LM_SPLIT_TEST] = {"mnist_m_test/", "mnist_m_test_labels.txt"}};

static const char archives[] = "mnist_m*.tar*";

/* What is known while the labels are read. */
typedef struct labelling {
    lm_dataset *set;
    bool *labelled;  /* owned: each file */
    char folder[64]; /* of the images, with its slash */
} labelling;

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

/* ---- opening ----------------------------------------------------------------- */

static lm_status take_label(void *user, const char *name, int label) {
    labelling *l = user;
    lm_images *s = l->set->state;
    char path[sizeof l->folder + MOST_NAME];
    snprintf(path, sizeof path, "%s%s", l->folder, name);
    int64_t entry = lm_entries_find(s->entries, path);
    LM_RETURN_IF(entry < 0, LM_FORMAT, "the label file names %s, which is not there",
                 path);
    LM_RETURN_IF(l->labelled[entry], LM_FORMAT, "the label file names %s twice", path);
    l->labelled[entry] = true;
    s->entry[l->set->count] = (int32_t)entry;
    s->label[l->set->count++] = label;
    return LM_OK;
}

/* The label file's place in the list, of which all other files are images. */
static lm_status find_labels(labelling *l, const lm_data_place *place, int64_t *entry) {
    lm_images *s = l->set->state;
    const struct split_files *files = &split_files[place->split];
    char path[64];
    for (int nested = 0; nested < 2; nested++) {
        const char *within = nested ? "mnist_m/" : "";
        snprintf(path, sizeof path, "%s%s", within, files->labels);
        snprintf(l->folder, sizeof l->folder, "%s%s", within, files->folder);
        s->root = strlen(within);
        *entry = lm_entries_find(s->entries, path);
        if (*entry >= 0) return LM_OK;
    }
    return lm_data_no_split(place, "MNIST-M");
}

static lm_status read_labels(labelling *l, int64_t entry) {
    lm_images *s = l->set->state;
    const char *source = l->set->source;
    int64_t files = lm_entries_count(s->entries);
    l->labelled = lm_calloc((size_t)files, sizeof *l->labelled);
    s->entry = lm_alloc((size_t)files * sizeof *s->entry);
    s->label = lm_alloc((size_t)files * sizeof *s->label);
    if (!l->labelled || !s->entry || !s->label) return LM_NOMEM;
    l->labelled[entry] = true; /* so that it is not an image */
    void *text;
    size_t size;
    LM_TRY(lm_entries_read(s->entries, entry, &text, &size));
    lm_status status =
        lm_mnist_m_parse(text, size, lm_entries_name(s->entries, entry), take_label, l);
    lm_free(text);
    if (status != LM_OK) return lm_fail_context(status, "%s", source);
    for (int64_t i = 0; i < files; i++)
        LM_RETURN_IF(!l->labelled[i], LM_FORMAT, "%s: %s has no label", source,
                     lm_entries_name(s->entries, i));
    return LM_OK;
}

static lm_status load(lm_dataset *set, const lm_data_place *place) {
    labelling l = {.set = set};
    int64_t labels;
    LM_TRY(find_labels(&l, place, &labels));
    lm_status status = read_labels(&l, labels);
    lm_free(l.labelled);
    set->classes = CLASSES;
    return status == LM_OK ? lm_images_finish(set) : status;
}

static lm_status open_mnist_m(const lm_data_place *place, lm_dataset **set) {
    if (!split_files[place->split].labels) return lm_data_no_split(place, "MNIST-M");
    char *source = find_source(place->path);
    if (!source) return LM_NOMEM;
    lm_dataset *made;
    lm_status status = lm_images_new(
        place, source, place->split == LM_SPLIT_TRAIN ? wants_train : wants_test, &made);
    lm_free(source);
    LM_TRY(status);
    status = load(made, place);
    if (status == LM_OK)
        *set = made;
    else
        lm_dataset_free(made);
    return status;
}

const lm_data_format lm_mnist_m_format = {"MNIST-M's folder or archive", recognise,
                                          open_mnist_m};
