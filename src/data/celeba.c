/* CelebA (Liu et al. 2015), aligned and cropped: pictures in img_align_celeba, a folder
 * or an archive, and beside it (or in Anno and Eval, as on its home page, or in the
 * archive) the lists of attributes and of splits, as text or as CSV. */
#include "data/image_index.h"
#include "data/images.h"
#include "data/label_file.h"
#include "data/rows.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

#include <string.h>
#include <strings.h>

enum { MOST_FIELDS = 64 };
#define MOST_LIST_BYTES ((size_t)1 << 28)

#define ATTRIBUTES "list_attr_celeba"
#define PARTITION  "list_eval_partition"

static const char *const endings[] = {".txt", ".csv"};
enum { N_ENDINGS = sizeof endings / sizeof *endings };

/* ---- finding ----------------------------------------------------------------- */

static bool is_archive_name(const char *name) {
    return strncmp(name, "img_align_celeba", 16) == 0 ||
           strncasecmp(name, "celeba", 6) == 0;
}

/* The largest, as parts of the set lie about under similar names. */
static char *find_archive(const char *folder) {
    char **names, *found = NULL;
    size_t count;
    int64_t most = 0;
    if (lm_list_folder(folder, is_archive_name, &names, &count) != LM_OK) return NULL;
    for (size_t i = 0; i < count; i++) {
        char *path = lm_path_join(folder, names[i]);
        int64_t size = path && lm_is_archive(path) ? lm_file_size(path) : 0;
        if (size <= most) {
            lm_free(path);
            continue;
        }
        lm_free(found);
        found = path;
        most = size;
    }
    lm_names_free(names, count);
    return found;
}

static char *find_in_folder(const char *folder) {
    char *unpacked = lm_path_join(folder, "img_align_celeba");
    if (unpacked && lm_is_folder(unpacked)) return unpacked;
    lm_free(unpacked);
    return find_archive(folder);
}

/* The folder or archive of pictures that a path leads to; NULL: none. */
static char *find_images(const char *path) {
    if (!lm_is_folder(path))
        return is_archive_name(lm_path_base(path)) && lm_is_archive(path)
                   ? lm_strdup(path)
                   : NULL;
    if (strcmp(lm_path_base(path), "img_align_celeba") == 0) return lm_strdup(path);
    char *found = find_in_folder(path);
    char *below = found ? NULL : lm_path_join(path, "Img");
    if (below) found = find_in_folder(below);
    lm_free(below);
    return found;
}

static bool recognise(const char *path) {
    char *found = find_images(path);
    lm_free(found);
    return found != NULL;
}

static bool is_list(const char *name) {
    const char *base = lm_path_base(name), *dot = strrchr(base, '.');
    size_t length = dot ? (size_t)(dot - base) : 0;
    return dot && (strcmp(dot, ".txt") == 0 || strcmp(dot, ".csv") == 0) &&
           ((length == strlen(ATTRIBUTES) && strncmp(base, ATTRIBUTES, length) == 0) ||
            (length == strlen(PARTITION) && strncmp(base, PARTITION, length) == 0));
}

static bool is_wanted(const char *name) {
    return lm_is_picture_name(name) || is_list(name);
}

/* ---- lists ------------------------------------------------------------------- */

/* What is being opened. */
typedef struct celeba {
    lm_dataset *set;
    lm_images *images; /* its state */
    lm_image_tree tree;
    lm_image_index index;
    bool *seen;          /* of each picture of the tree: the list has a row for it */
    uint8_t *attributes; /* of each picture of the tree */
} celeba;

typedef struct list {
    const char *name; /* without ending */
    /* A row with names in it, and one of a picture; `fields` come after the picture's. */
    lm_status (*head)(celeba *c, char **fields, int count);
    lm_status (*row)(celeba *c, int64_t picture, char **fields, int count);
} list;

/* Beside the pictures, or where the home page has the lists; *found stays NULL where
 * there is none. */
static lm_status find_beside(const char *images, const char *name, char **found) {
    static const char *const folders[] = {"", "Anno/", "Eval/", "../Anno/", "../Eval/"};
    enum { N_FOLDERS = sizeof folders / sizeof *folders };
    int parent = (int)(lm_path_base(images) - images);
    lm_str path = LM_STR_INIT;
    for (int i = 0; i < N_FOLDERS * N_ENDINGS && !*found && !path.failed; i++) {
        lm_str_clear(&path);
        lm_str_printf(&path, "%.*s%s%s%s", parent, images, folders[i / N_ENDINGS], name,
                      endings[i % N_ENDINGS]);
        if (path.failed || !lm_file_exists(path.text)) continue;
        *found = lm_strdup(path.text);
        path.failed = !*found;
    }
    lm_status status = path.failed ? LM_NOMEM : LM_OK;
    lm_str_release(&path);
    return status;
}

/* Among the entries; -1: not there. */
static int64_t find_within(const lm_entries *entries, const char *name) {
    for (int64_t i = 0; i < lm_entries_count(entries); i++) {
        const char *base = lm_path_base(lm_entries_name(entries, i));
        if (is_list(base) && strncmp(base, name, strlen(name)) == 0) return i;
    }
    return -1;
}

/* *path and *bytes are the caller's; both NULL: there is no such list. */
static lm_status load_list(const celeba *c, const char *name, char **path, char **bytes) {
    const lm_entries *entries = c->images->entries;
    size_t size = 0;
    *path = *bytes = NULL;
    LM_TRY(find_beside(lm_entries_path(entries), name, path));
    if (*path) {
        LM_TRY(lm_file_read(*path, MOST_LIST_BYTES, (void **)bytes, &size));
        LM_TRY(lm_dataset_add_file(c->set, *path));
    } else {
        int64_t found = find_within(entries, name);
        if (found < 0) return LM_OK;
        LM_TRY(lm_entries_read(entries, found, (void **)bytes, &size));
        *path = lm_strdup(lm_entries_name(entries, found));
        if (!*path) return LM_NOMEM;
    }
    LM_RETURN_IF(strlen(*bytes) != size, LM_FORMAT, "%s: a NUL in it: not a text", *path);
    return LM_OK;
}

static lm_status check_all_seen(const celeba *c) {
    for (int64_t i = 0; i < c->tree.count; i++)
        LM_RETURN_IF(!c->seen[i], LM_FORMAT, "no row for %s",
                     lm_entries_name(c->images->entries, c->tree.image[i].entry));
    return LM_OK;
}

/* Rows of pictures that are not there are passed over, as parts of the set are in use. */
static lm_status read_rows(celeba *c, const list *l, char *bytes, bool commas) {
    lm_rows rows = lm_rows_of(bytes, commas);
    char *fields[MOST_FIELDS];
    int count;
    memset(c->seen, 0, (size_t)c->tree.count * sizeof *c->seen);
    for (;;) {
        LM_TRY(lm_rows_next(&rows, fields, MOST_FIELDS, &count));
        if (count == 0) return check_all_seen(c);
        lm_status status = LM_OK;
        if (!lm_is_picture_name(fields[0])) {
            int skipped = commas ? 1 : 0; /* CSV names the column of files, too */
            status = l->head(c, fields + skipped, count - skipped);
        } else {
            int64_t picture = lm_image_index_find(&c->index, "", fields[0]);
            if (picture < 0) continue;
            status = c->seen[picture] ? lm_fail(LM_FORMAT, "%s again", fields[0])
                                      : l->row(c, picture, fields + 1, count - 1);
            c->seen[picture] = true;
        }
        if (status != LM_OK) return lm_fail_context(status, "line %d", rows.line);
    }
}

static lm_status read_list(celeba *c, const list *l, bool *found) {
    char *path, *bytes;
    lm_status status = load_list(c, l->name, &path, &bytes);
    *found = bytes != NULL;
    if (status == LM_OK && bytes) {
        status = read_rows(c, l, bytes, lm_path_ends(path, ".csv"));
        if (status != LM_OK) lm_fail_context(status, "%s", path);
    }
    lm_free(bytes);
    lm_free(path);
    return status;
}

/* ---- attributes -------------------------------------------------------------- */

static lm_status name_attributes(celeba *c, char **fields, int count) {
    if (count <= 1) return LM_OK; /* the number of rows */
    lm_images *s = c->images;
    LM_RETURN_IF(s->attribute_names, LM_FORMAT, "names again");
    s->attribute_names = lm_alloc((size_t)count * sizeof *s->attribute_names);
    c->attributes = lm_calloc((size_t)c->tree.count, (size_t)count);
    if (!s->attribute_names || !c->attributes) return LM_NOMEM;
    for (int i = 0; i < count; i++) {
        s->attribute_names[i] = lm_arena_strdup(&s->arena, fields[i]);
        if (!s->attribute_names[i]) return LM_NOMEM;
    }
    c->set->n_attributes = count;
    return LM_OK;
}

static lm_status take_attributes(celeba *c, int64_t picture, char **fields, int count) {
    LM_RETURN_IF(count != c->set->n_attributes, LM_FORMAT, "%d values, but %d names",
                 count, c->set->n_attributes);
    for (int i = 0; i < count; i++) {
        int64_t value;
        LM_RETURN_IF(!lm_parse_int(fields[i], &value) || (value != 1 && value != -1),
                     LM_FORMAT, "%s is %s, expected 1 or -1",
                     c->images->attribute_names[i], fields[i]);
        c->attributes[picture * count + i] = value == 1;
    }
    return LM_OK;
}

/* ---- splits ------------------------------------------------------------------ */

static lm_status pass_over(celeba *c, char **fields, int count) {
    return LM_OK;
}

static lm_status take_split(celeba *c, int64_t picture, char **fields, int count) {
    static const lm_split splits[] = {LM_SPLIT_TRAIN, LM_SPLIT_VALID, LM_SPLIT_TEST};
    int64_t value = -1;
    LM_RETURN_IF(count != 1 || !lm_parse_int(fields[0], &value) || value < 0 || value > 2,
                 LM_FORMAT, "expected a picture and 0, 1 or 2");
    c->tree.image[picture].split = splits[value];
    return LM_OK;
}

/* ---- opening ----------------------------------------------------------------- */

static const list attribute_list = {ATTRIBUTES, name_attributes, take_attributes};
static const list partition_list = {PARTITION, pass_over, take_split};

/* The attributes of the chosen pictures. */
static lm_status keep_attributes(celeba *c, lm_split split) {
    size_t width = (size_t)c->set->n_attributes, kept = 0;
    if (width == 0) return LM_OK;
    c->images->attributes = lm_alloc((size_t)c->set->count * width);
    if (!c->images->attributes) return LM_NOMEM;
    for (int64_t i = 0; i < c->tree.count; i++)
        if (c->tree.image[i].split == split)
            memcpy(c->images->attributes + width * kept++,
                   c->attributes + width * (size_t)i, width);
    return LM_OK;
}

static lm_status fill(celeba *c, const lm_data_place *place) {
    lm_images *s = c->images;
    bool listed, parted;
    LM_TRY(lm_image_tree_make(s->entries, &s->arena, &c->tree));
    LM_RETURN_IF(c->tree.count == 0, LM_FORMAT, "%s: no images there",
                 lm_entries_path(s->entries));
    LM_TRY(lm_image_index_make(s->entries, &c->tree, &c->index));
    c->seen = lm_alloc((size_t)c->tree.count * sizeof *c->seen);
    if (!c->seen) return LM_NOMEM;
    for (int64_t i = 0; i < c->tree.count; i++) c->tree.image[i].split = LM_SPLIT_TRAIN;
    LM_TRY(lm_dataset_add_file(c->set, c->set->source));
    LM_TRY(read_list(c, &attribute_list, &listed));
    LM_TRY(read_list(c, &partition_list, &parted));
    LM_TRY(lm_images_choose(c->set, &c->tree, place->split));
    LM_RETURN_IF(c->set->count == 0, LM_NOT_FOUND, "%s: no %s images there%s",
                 place->path, lm_split_name(place->split),
                 parted ? "" : ": without " PARTITION ".txt beside them, all are train");
    LM_TRY(keep_attributes(c, place->split));
    return lm_images_finish(c->set);
}

static lm_status open_celeba(const lm_data_place *place, lm_dataset **set) {
    celeba c = {0};
    char *path = find_images(place->path);
    if (!path) return LM_NOMEM;
    lm_status status = lm_images_new(place, path, is_wanted, &c.set);
    if (status == LM_OK) {
        c.images = c.set->state;
        status = fill(&c, place);
    }
    lm_image_tree_release(&c.tree);
    lm_image_index_release(&c.index);
    lm_free(c.seen);
    lm_free(c.attributes);
    lm_free(path);
    if (status == LM_OK)
        *set = c.set;
    else
        lm_dataset_free(c.set);
    return status;
}

const lm_data_format lm_celeba_format = {"CelebA's pictures and lists", recognise,
                                         open_celeba};
