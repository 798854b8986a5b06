#include "data/image_tree.h"

#include "base/mem.h"
#include "data/label_file.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct {
    const char *name;
    lm_split split;
} split_folders[] = {
    {"train", LM_SPLIT_TRAIN},         {"training", LM_SPLIT_TRAIN},
    {"test", LM_SPLIT_TEST},           {"testing", LM_SPLIT_TEST},
    {"valid", LM_SPLIT_VALID},         {"val", LM_SPLIT_VALID},
    {"validation", LM_SPLIT_VALID},    {"extra", LM_SPLIT_EXTRA},
    {"unlabeled", LM_SPLIT_UNLABELED}, {"unlabelled", LM_SPLIT_UNLABELED},
};

/* The first part of a path with more parts; 0: a file. */
static size_t folder_length(const char *path) {
    const char *slash = strchr(path, '/');
    return slash ? (size_t)(slash - path) : 0;
}

static bool find_split(const char *path, lm_split *split) {
    size_t length = folder_length(path);
    for (size_t i = 0; i < sizeof split_folders / sizeof *split_folders; i++)
        if (strlen(split_folders[i].name) == length &&
            strncasecmp(split_folders[i].name, path, length) == 0) {
            *split = split_folders[i].split;
            return true;
        }
    return false;
}

static const char *name_of(const lm_entries *entries, const lm_image_tree *tree,
                           int64_t i) {
    return lm_entries_name(entries, tree->image[i].entry) + tree->root;
}

static lm_status list_pictures(const lm_entries *entries, lm_image_tree *tree) {
    int64_t count = lm_entries_count(entries);
    tree->image = lm_calloc((size_t)count + 1, sizeof *tree->image);
    if (!tree->image) return LM_NOMEM;
    for (int64_t i = 0; i < count; i++)
        if (lm_is_picture_name(lm_entries_name(entries, i)))
            tree->image[tree->count++].entry = (int32_t)i;
    return LM_OK;
}

/* Names are sorted, so what the first and the last share is shared by all. It ends at a
 * folder called like a split. */
static void find_root(const lm_entries *entries, lm_image_tree *tree) {
    if (tree->count == 0) return;
    const char *first = name_of(entries, tree, 0);
    const char *last = name_of(entries, tree, tree->count - 1);
    lm_split split;
    for (size_t at = 0, length; (length = folder_length(first + at)) > 0;) {
        if (strncmp(first + at, last + at, length + 1) != 0) break;
        if (find_split(first + at, &split)) break;
        tree->root = at += length + 1;
    }
}

static void find_splits(const lm_entries *entries, lm_image_tree *tree) {
    bool has[LM_N_SPLITS] = {false};
    for (int64_t i = 0; i < tree->count; i++) {
        if (!find_split(name_of(entries, tree, i), &tree->image[i].split)) {
            for (int64_t k = 0; k <= i; k++) tree->image[k].split = LM_SPLIT_TRAIN;
            return;
        }
        has[tree->image[i].split] = true;
    }
    memcpy(tree->has, has, sizeof has);
    tree->splits = tree->count > 0;
}

static bool is_shard(const char *name) {
    return strlen(name) == 5 && strspn(name, "0123456789") == 5;
}

/* Whether what was found are classes. */
static bool are_classes(const lm_image_tree *tree) {
    bool differ = false, shards = true;
    for (int64_t i = 0; i < tree->count; i++) {
        const char *name = tree->image[i].class_name;
        if (!name) return false;
        differ = differ || strcmp(name, tree->image[0].class_name) != 0;
        shards = shards && is_shard(name);
    }
    return differ && !shards;
}

/* Neighbours mostly have one class, and share its text. */
static lm_status find_classes(const lm_entries *entries, lm_arena *arena,
                              lm_image_tree *tree) {
    const char *kept = "";
    for (int64_t i = 0; i < tree->count; i++) {
        const char *name = name_of(entries, tree, i);
        if (tree->splits) name += folder_length(name) + 1;
        size_t length = folder_length(name);
        if (length == 0) continue;
        if (strlen(kept) != length || strncmp(kept, name, length) != 0)
            kept = lm_arena_printf(arena, "%.*s", (int)length, name);
        if (!kept) return LM_NOMEM;
        tree->image[i].class_name = kept;
    }
    if (are_classes(tree)) return LM_OK;
    for (int64_t i = 0; i < tree->count; i++) tree->image[i].class_name = NULL;
    return LM_OK;
}

lm_status lm_image_tree_make(const lm_entries *entries, lm_arena *arena,
                             lm_image_tree *tree) {
    *tree = (lm_image_tree){0};
    lm_status status = list_pictures(entries, tree);
    if (status == LM_OK) {
        find_root(entries, tree);
        find_splits(entries, tree);
        status = find_classes(entries, arena, tree);
    }
    if (status != LM_OK) lm_image_tree_release(tree);
    return status;
}

void lm_image_tree_release(lm_image_tree *tree) {
    lm_free(tree->image);
    *tree = (lm_image_tree){0};
}
