#include "data/image_index.h"

#include "base/file.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *name_of(const lm_image_index *index, int64_t image) {
    return lm_entries_name(index->entries, index->tree->image[image].entry);
}

static int compare_bases(const void *a, const void *b, void *user) {
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    int order = strcmp(lm_path_base(name_of(user, x)), lm_path_base(name_of(user, y)));
    return order ? order : (x > y) - (x < y);
}

lm_status lm_image_index_make(const lm_entries *entries, const lm_image_tree *tree,
                              lm_image_index *index) {
    *index = (lm_image_index){.entries = entries, .tree = tree};
    index->by_base = lm_alloc((size_t)tree->count * sizeof *index->by_base);
    if (!index->by_base) return LM_NOMEM;
    for (int64_t i = 0; i < tree->count; i++) index->by_base[i] = (int32_t)i;
    if (tree->count)
        qsort_r(index->by_base, (size_t)tree->count, sizeof *index->by_base,
                compare_bases, index);
    return LM_OK;
}

void lm_image_index_release(lm_image_index *index) {
    lm_free(index->by_base);
    *index = (lm_image_index){0};
}

static int compare_entry(const void *entry, const void *image) {
    int32_t x = *(const int32_t *)entry, y = ((const lm_tree_image *)image)->entry;
    return (x > y) - (x < y);
}

static int64_t find_path(const lm_image_index *index, const char *path) {
    const lm_image_tree *tree = index->tree;
    int32_t entry = (int32_t)lm_entries_find(index->entries, path);
    if (entry < 0 || tree->count == 0) return LM_IMAGE_NONE;
    const lm_tree_image *found =
        bsearch(&entry, tree->image, (size_t)tree->count, sizeof *found, compare_entry);
    return found ? found - tree->image : LM_IMAGE_NONE;
}

/* The first of by_base that is not before `base`. */
static int64_t lower_bound(const lm_image_index *index, const char *base) {
    int64_t low = 0, high = index->tree->count;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (strcmp(lm_path_base(name_of(index, index->by_base[middle])), base) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int64_t find_base(const lm_image_index *index, const char *folder,
                         const char *base) {
    int64_t found = LM_IMAGE_NONE;
    for (int64_t i = lower_bound(index, base); i < index->tree->count; i++) {
        const char *name = name_of(index, index->by_base[i]);
        if (strcmp(lm_path_base(name), base) != 0) break;
        if (strncmp(name, folder, strlen(folder)) != 0) continue;
        if (found >= 0) return LM_IMAGE_SEVERAL;
        found = index->by_base[i];
    }
    return found;
}

int64_t lm_image_index_find(const lm_image_index *index, const char *folder,
                            const char *name) {
    char path[4096];
    if (strncmp(name, "./", 2) == 0) name += 2;
    int length = snprintf(path, sizeof path, "%s%s", folder, name);
    if (length >= (int)sizeof path) return LM_IMAGE_NONE;
    int64_t found = find_path(index, path);
    return found >= 0 ? found : find_base(index, folder, name);
}
