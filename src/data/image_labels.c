#include "data/image_labels.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "data/label_file.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_CLASSES = 1000000 };

/* ---- label files ------------------------------------------------------------- */

typedef struct labelling {
    const lm_image_index *index;
    lm_arena *arena;
    char *folder;      /* of the file that is read, as lm_image_index_find has it */
    const char **text; /* [pictures] */
    const char *last;  /* equal neighbours share their text */
} labelling;

static lm_status fail_line(int line, const char *image, const char *what) {
    if (!line) return lm_fail(LM_FORMAT, "%s: %s", image, what);
    return lm_fail(LM_FORMAT, "line %d: %s: %s", line, image, what);
}

static lm_status take_label(void *user, int line, const char *image, const char *label) {
    labelling *l = user;
    int64_t found = lm_image_index_find(l->index, l->folder, image);
    if (found == LM_IMAGE_NONE) return fail_line(line, image, "no such image is there");
    if (found == LM_IMAGE_SEVERAL)
        return fail_line(line, image, "several images have this name");
    if (l->text[found]) return fail_line(line, image, "has a label already");
    if (strcmp(label, l->last) != 0) {
        l->last = lm_arena_strdup(l->arena, label);
        if (!l->last) return LM_NOMEM;
    }
    l->text[found] = l->last;
    return LM_OK;
}

static lm_status read_label_file(labelling *l, int64_t entry) {
    const lm_entries *entries = l->index->entries;
    const char *name = lm_entries_name(entries, entry);
    void *bytes;
    size_t size;
    LM_TRY(lm_entries_read(entries, entry, &bytes, &size));
    l->folder = lm_strdup(name);
    lm_status status = l->folder ? LM_OK : LM_NOMEM;
    if (status == LM_OK) {
        l->folder[lm_path_base(name) - name] = '\0';
        status = lm_label_file_parse(name, bytes, size, take_label, l);
        if (status != LM_OK)
            lm_fail_context(status, "%s: %s", lm_entries_path(entries), name);
    }
    lm_free(l->folder);
    lm_free(bytes);
    return status;
}

static lm_status read_label_files(labelling *l, bool *found) {
    const lm_entries *entries = l->index->entries;
    *found = false;
    for (int64_t i = 0; i < lm_entries_count(entries); i++) {
        if (!lm_is_label_file(lm_entries_name(entries, i))) continue;
        LM_TRY(read_label_file(l, i));
        *found = true;
    }
    return LM_OK;
}

/* ---- numbering --------------------------------------------------------------- */

/* False: they are not all whole numbers in the range of labels. */
static bool number_by_value(const char *const *text, int64_t count,
                            lm_image_labels *labels) {
    int classes = 0;
    for (int64_t i = 0; i < count; i++) {
        int64_t value = -1;
        if (text[i] &&
            (!lm_parse_int(text[i], &value) || value < 0 || value >= MOST_CLASSES))
            return false;
        labels->label[i] = (int32_t)value;
        if (value >= classes) classes = (int)value + 1;
    }
    labels->classes = classes;
    return true;
}

static int compare_texts(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static lm_status number_by_name(const char *const *text, int64_t count,
                                lm_image_labels *labels) {
    int64_t n = 0, kept = 0;
    const char **names = lm_alloc((size_t)count * sizeof *names);
    if (!names) return LM_NOMEM;
    labels->class_names = names;
    for (int64_t i = 0; i < count; i++)
        if (text[i] && (n == 0 || text[i] != names[n - 1])) names[n++] = text[i];
    if (n) qsort(names, (size_t)n, sizeof *names, compare_texts);
    for (int64_t i = 0; i < n; i++)
        if (kept == 0 || strcmp(names[i], names[kept - 1]) != 0) names[kept++] = names[i];
    LM_RETURN_IF(kept > MOST_CLASSES, LM_FORMAT, "%lld different labels, at most %d",
                 (long long)kept, MOST_CLASSES);
    labels->classes = (int)kept;
    for (int64_t i = 0; i < count; i++) {
        const char **found =
            text[i] ? bsearch(&text[i], names, (size_t)kept, sizeof *names, compare_texts)
                    : NULL;
        labels->label[i] = found ? (int32_t)(found - names) : -1;
    }
    return LM_OK;
}

static lm_status number_labels(const char *const *text, int64_t count, bool are_names,
                               lm_image_labels *labels) {
    labels->label = lm_alloc((size_t)count * sizeof *labels->label);
    if (!labels->label) return LM_NOMEM;
    if (are_names || !number_by_value(text, count, labels))
        LM_TRY(number_by_name(text, count, labels));
    if (labels->classes == 0) lm_image_labels_release(labels);
    return LM_OK;
}

lm_status lm_image_labels_find(const lm_entries *entries, const lm_image_tree *tree,
                               lm_arena *arena, lm_image_labels *labels) {
    *labels = (lm_image_labels){0};
    lm_image_index index = {0};
    labelling l = {.index = &index, .arena = arena, .last = ""};
    bool found = false;
    lm_status status;
    l.text = lm_calloc((size_t)tree->count, sizeof *l.text);
    if (!l.text) return LM_NOMEM;
    LM_TRY_GOTO(end, lm_image_index_make(entries, tree, &index));
    LM_TRY_GOTO(end, read_label_files(&l, &found));
    for (int64_t i = 0; !found && i < tree->count; i++)
        l.text[i] = tree->image[i].class_name;
    status = number_labels(l.text, tree->count, !found, labels);
end:
    if (status != LM_OK) lm_image_labels_release(labels);
    lm_image_index_release(&index);
    lm_free(l.text);
    return status;
}

void lm_image_labels_release(lm_image_labels *labels) {
    lm_free(labels->label);
    lm_free(labels->class_names);
    *labels = (lm_image_labels){0};
}
