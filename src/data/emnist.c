/* EMNIST (Cohen et al. 2017): six divisions of the same characters into classes, each
 * four IDX files, in a folder or still in the gzip.zip that holds all. Images are stored
 * column by column. */
#include "data/idx.h"
#include "data/unpack.h"

#include "base/file.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

enum { NAME = 64, EDGE = 28, LETTERS = 36 };
#define MOST_PACKED ((size_t)1 << 30)
static const char archive_name[] = "gzip.zip", inner_folder[] = "gzip";

static const char *const characters[] = {
    "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "A", "B", "C", "D", "E", "F",
    "G", "H", "I", "J", "K", "L", "M", "N", "O", "P", "Q", "R", "S", "T", "U", "V",
    "W", "X", "Y", "Z", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l",
    "m", "n", "o", "p", "q", "r", "s", "t", "u", "v", "w", "x", "y", "z"};
/* Where small and capital letters look alike they are one class. */
static const char *const merged[] = {
    "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "A", "B", "C", "D", "E", "F",
    "G", "H", "I", "J", "K", "L", "M", "N", "O", "P", "Q", "R", "S", "T", "U", "V",
    "W", "X", "Y", "Z", "a", "b", "d", "e", "f", "g", "h", "n", "q", "r", "t"};

/* The first is what the name alone means: all characters, all classes. */
typedef struct division {
    const char *name;
    int classes, first; /* the least label */
    const char *const *class_names;
} division;
static const division divisions[] = {
    {"byclass", 62, 0, characters}, {"bymerge", 47, 0, merged},
    {"balanced", 47, 0, merged},    {"letters", 26, 1, characters + LETTERS},
    {"digits", 10, 0, characters},  {"mnist", 10, 0, characters},
};
enum { N_DIVISIONS = sizeof divisions / sizeof *divisions };

/* What is to be read: of which division and split, and from where. */
typedef struct choice {
    const division *division;
    lm_split split;
    char *folder, *archive; /* owned; one of them is NULL */
} choice;

/* ---- finding ----------------------------------------------------------------- */

static void name_file(const division *d, lm_split split, bool images, char name[NAME]) {
    snprintf(name, NAME, "emnist-%s-%s-%s-ubyte", d->name,
             split == LM_SPLIT_TRAIN ? "train" : "test",
             images ? "images-idx3" : "labels-idx1");
}

/* NAME or NAME.gz; lm_free'd by the caller; NULL: not there. */
static char *find_in(const char *folder, const char *name) {
    char packed[NAME + 3];
    snprintf(packed, sizeof packed, "%s.gz", name);
    if (lm_folder_has(folder, packed)) return lm_path_join(folder, packed);
    return lm_folder_has(folder, name) ? lm_path_join(folder, name) : NULL;
}

/* The first with images of a split, LM_N_SPLITS: of any. */
static const division *find_division(const char *folder, lm_split wanted) {
    for (int d = 0; d < N_DIVISIONS; d++)
        for (int split = 0; split <= LM_SPLIT_TEST; split++) {
            char name[NAME];
            if (wanted != LM_N_SPLITS && (lm_split)split != wanted) continue;
            name_file(&divisions[d], (lm_split)split, true, name);
            char *path = find_in(folder, name);
            lm_free(path);
            if (path) return &divisions[d];
        }
    return NULL;
}

/* The folder itself, or the one in it that unpacking makes; lm_free'd by the caller. */
static char *find_folder(const char *path) {
    if (find_division(path, LM_N_SPLITS)) return lm_strdup(path);
    char *inner = lm_path_join(path, inner_folder);
    if (inner && find_division(inner, LM_N_SPLITS)) return inner;
    lm_free(inner);
    return NULL;
}

/* Division and split of the image file that `path` is. */
static bool match_file(const char *path, choice *c) {
    const char *base = lm_path_base(path);
    for (int d = 0; d < N_DIVISIONS; d++)
        for (int split = 0; split <= LM_SPLIT_TEST; split++) {
            char name[NAME];
            name_file(&divisions[d], (lm_split)split, true, name);
            size_t length = strlen(name);
            if (strncmp(base, name, length) != 0) continue;
            if (base[length] && strcmp(base + length, ".gz") != 0) continue;
            c->division = &divisions[d];
            c->split = (lm_split)split;
            return true;
        }
    return false;
}

/* Any .zip could be called so; the name of the set must be near. */
static bool is_archive(const char *path) {
    return strcmp(lm_path_base(path), archive_name) == 0 && strstr(path, "emnist");
}

static bool recognise(const char *path) {
    choice c;
    if (!lm_is_folder(path)) return match_file(path, &c) || is_archive(path);
    char *found = find_folder(path);
    lm_free(found);
    return found || (strcmp(lm_path_base(path), "emnist") == 0 &&
                     lm_folder_has(path, archive_name));
}

static lm_status choose_division(const lm_data_place *place, choice *c) {
    if (!place->part) {
        const division *there = c->folder ? find_division(c->folder, c->split) : NULL;
        c->division = there && !place->known ? there : &divisions[0];
        return LM_OK;
    }
    for (int d = 0; d < N_DIVISIONS && !c->division; d++)
        if (strcmp(divisions[d].name, place->part) == 0) c->division = &divisions[d];
    LM_RETURN_IF(!c->division, LM_NOT_FOUND, "%s: EMNIST has no division %s", place->path,
                 place->part);
    return LM_OK;
}

static lm_status choose(const lm_data_place *place, choice *c) {
    const char *path = place->path;
    c->split = place->split;
    if (lm_is_folder(path)) {
        c->folder = find_folder(path);
        if (!c->folder) c->archive = lm_path_join(path, archive_name);
    } else if (match_file(path, c)) {
        c->folder = lm_strdup(path);
        if (c->folder) c->folder[lm_path_base(path) - path] = '\0';
    } else {
        c->archive = lm_strdup(path);
    }
    if (!c->folder && !c->archive) return LM_NOMEM;
    return c->division ? LM_OK : choose_division(place, c);
}

/* ---- reading ----------------------------------------------------------------- */

typedef struct arrays {
    const choice *choice;
    lm_idx images, labels;
    char *paths[2]; /* of them, owned; NULL: within an archive */
} arrays;

static lm_status read_folder(arrays *a) {
    const choice *c = a->choice;
    const char *folder = *c->folder ? c->folder : ".";
    for (int images = 1; images >= 0; images--) {
        char name[NAME];
        name_file(c->division, c->split, images, name);
        char *path = a->paths[!images] = find_in(folder, name);
        LM_RETURN_IF(!path, LM_NOT_FOUND, "%s: no %s.gz (or the same without .gz) in it",
                     folder, name);
        LM_TRY(lm_idx_read(path, images ? 3 : 1, images ? &a->images : &a->labels));
    }
    return LM_OK;
}

/* Is the entry of an archive one of the two files? */
static bool match_entry(const arrays *a, const char *path, bool images) {
    char name[NAME], packed[NAME + 3];
    name_file(a->choice->division, a->choice->split, images, name);
    snprintf(packed, sizeof packed, "%s.gz", name);
    return strcmp(lm_path_base(path), packed) == 0;
}

static bool wants_file(void *user, const char *path) {
    return match_entry(user, path, true) || match_entry(user, path, false);
}

static lm_status take_file(void *user, const char *path, void **bytes, size_t size) {
    arrays *a = user;
    bool images = match_entry(a, path, true);
    lm_idx *array = images ? &a->images : &a->labels;
    lm_idx_release(array); /* an archive may hold a name twice */
    return lm_idx_parse(*bytes, size, path, images ? 3 : 1, array);
}

static lm_status read_archive(arrays *a) {
    const choice *c = a->choice;
    LM_TRY(lm_archive_read(c->archive, MOST_PACKED, wants_file, take_file, a));
    LM_RETURN_IF(!a->images.data || !a->labels.data, LM_NOT_FOUND,
                 "%s: images and labels of emnist-%s are not both in it", c->archive,
                 c->division->name);
    return LM_OK;
}

static lm_status pack(const lm_data_place *place, arrays *a, lm_dataset **set) {
    const choice *c = a->choice;
    const char *source = c->archive ? c->archive : c->folder;
    LM_RETURN_IF(a->images.dim[1] != EDGE || a->images.dim[2] != EDGE, LM_FORMAT,
                 "%s: images of %lld x %lld, expected %d x %d", source,
                 (long long)a->images.dim[1], (long long)a->images.dim[2], EDGE, EDGE);
    lm_packed p = {.classes = c->division->classes,
                   .class_names = c->division->class_names,
                   .files = {a->paths[0], a->paths[1]}};
    uint64_t hash = lm_idx_hash(&a->images, &a->labels);
    lm_status status =
        lm_idx_pack(&a->images, &a->labels, source, c->division->first, &p);
    p.down = 1;
    p.right = EDGE;
    if (status == LM_OK) status = lm_packed_open(place, source, hash, &p, set);
    lm_packed_release(&p);
    return status;
}

static lm_status open_emnist(const lm_data_place *place, lm_dataset **set) {
    if (place->split > LM_SPLIT_TEST) return lm_data_no_split(place, "EMNIST");
    choice c = {0};
    arrays a = {.choice = &c};
    lm_status status = choose(place, &c);
    if (status == LM_OK) status = c.folder ? read_folder(&a) : read_archive(&a);
    if (status == LM_OK) status = pack(place, &a, set);
    lm_idx_release(&a.images);
    lm_idx_release(&a.labels);
    lm_free(a.paths[0]);
    lm_free(a.paths[1]);
    lm_free(c.folder);
    lm_free(c.archive);
    return status;
}

const lm_data_format lm_emnist_format = {"EMNIST's IDX files or archive", recognise,
                                         open_emnist};
