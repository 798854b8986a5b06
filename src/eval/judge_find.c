/* Where judges are. */
#include "base/file.h"
#include "base/mem.h"
#include "data/known.h"
#include "eval/judge_internal.h"

#include <ctype.h>
#include <string.h>

#define ENDING ".safetensors"

/* ---- names ------------------------------------------------------------------- */

/* Appends an option's text as a part of a name: "label=hair:3" as "-hair-3". */
static void add_part(lm_str *name, const char *text, size_t length) {
    lm_str_append(name, "-");
    for (size_t i = 0; i < length; i++)
        lm_str_printf(name, "%c", isalnum((unsigned char)text[i]) ? text[i] : '-');
}

static void add_options(lm_str *name, const char *options) {
    static const char *const keys[] = {"label=", "classes="};
    for (const char *word = options; *word;) {
        size_t length = strcspn(word, "&");
        for (int i = 0; i < 2; i++) {
            size_t key = strlen(keys[i]);
            if (length > key && strncmp(word, keys[i], key) == 0)
                add_part(name, word + key, length - key);
        }
        word += length + (word[length] == '&');
    }
}

char *lm_judge_name(const char *set) {
    static const char builtin[] = "builtin:";
    if (strncmp(set, builtin, strlen(builtin)) == 0) set += strlen(builtin);
    size_t length = strcspn(set, "?");
    const char *options = set[length] ? set + length + 1 : "";
    size_t first = length;
    while (first > 0 && set[first - 1] != '/') first--;
    lm_str name = LM_STR_INIT;
    lm_str_printf(&name, "%.*s", (int)(length - first), set + first);
    add_options(&name, options);
    if (name.failed) lm_str_release(&name);
    return name.text; /* the string's own block, handed over */
}

/* ---- folders ----------------------------------------------------------------- */

enum { FOLDERS = 2 };

/* The folders of judges: that of $LIMN_DATA, and the user's own, which may be the same.
 */
static lm_status list_folders(char *folders[FOLDERS]) {
    lm_status (*const parents[FOLDERS])(char **) = {lm_data_folder, lm_user_data_folder};
    for (int i = 0; i < FOLDERS; i++) folders[i] = NULL;
    lm_status status = LM_OK;
    for (int i = 0; i < FOLDERS && status == LM_OK; i++) {
        char *parent;
        status = parents[i](&parent);
        if (status == LM_OK) folders[i] = lm_path_join(parent, "judges");
        if (status == LM_OK && !folders[i]) status = LM_NOMEM;
        if (status == LM_OK) lm_free(parent);
    }
    return status;
}

static void free_folders(char *folders[FOLDERS]) {
    for (int i = 0; i < FOLDERS; i++) lm_free(folders[i]);
}

/* FOLDER/NAME.safetensors; lm_free'd by the caller; NULL: no memory. */
static char *join_path(const char *folder, const char *name) {
    lm_str path = LM_STR_INIT;
    lm_str_printf(&path, "%s/%s" ENDING, folder, name);
    if (path.failed) lm_str_release(&path);
    return path.text;
}

lm_status lm_judge_install(const lm_judge *judge, const char *name, char **path) {
    LM_RETURN_IF(!*name || strchr(name, '/') || name[0] == '.', LM_ARG,
                 "'%s': not a name for a judge", name);
    char *folders[FOLDERS];
    lm_status status = list_folders(folders);
    lm_status written = status;
    for (int i = 0; i < FOLDERS && status == LM_OK; i++) {
        *path = join_path(folders[i], name);
        written = *path ? lm_make_folders(folders[i]) : LM_NOMEM;
        if (written == LM_OK) written = lm_judge_write(judge, *path);
        if (written == LM_OK) break;
        lm_free(*path);
        *path = NULL;
        if (written != LM_IO) break;
    }
    free_folders(folders);
    return written;
}

/* ---- opening ----------------------------------------------------------------- */

static bool is_judge(const char *name) {
    return lm_path_ends(name, ENDING);
}

static void add_known(lm_str *list, const char *name, size_t length) {
    lm_str_printf(list, "%s%.*s", list->length ? ", " : "", (int)length, name);
}

/* "there are: digits, mnist"; for a message, so that what fails is left out. */
static void list_judges(char *const folders[FOLDERS], lm_str *list) {
    for (const lm_shipped_judge *s = lm_shipped_judges; s->name; s++)
        add_known(list, s->name, strlen(s->name));
    for (int i = 0; i < FOLDERS; i++) {
        char **names = NULL;
        size_t count = 0;
        if ((i > 0 && strcmp(folders[0], folders[i]) == 0) || !lm_is_folder(folders[i]) ||
            lm_list_folder(folders[i], is_judge, &names, &count) != LM_OK)
            continue;
        for (size_t k = 0; k < count; k++)
            add_known(list, names[k], strlen(names[k]) - strlen(ENDING));
        lm_names_free(names, count);
    }
}

static lm_status not_found(const char *name, const char *set,
                           char *const folders[FOLDERS]) {
    lm_str list = LM_STR_INIT;
    list_judges(folders, &list);
    const char *known = lm_str_text(&list);
    lm_status status =
        set ? lm_fail(LM_NOT_FOUND,
                      "no judge for %s; 'limn classify train' makes one; there are: %s",
                      set, known ? known : "")
            : lm_fail(LM_NOT_FOUND, "%s: no such judge; there are: %s", name,
                      known ? known : "");
    lm_str_release(&list);
    return status;
}

/* *judge stays NULL when no folder has it. */
static lm_status open_installed(const char *name, char *const folders[FOLDERS],
                                lm_judge **judge) {
    for (int i = 0; i < FOLDERS && !*judge; i++) {
        char *path = join_path(folders[i], name);
        if (!path) return LM_NOMEM;
        lm_status status = LM_OK;
        if (lm_file_exists(path)) status = lm_judge_read(path, judge);
        lm_free(path);
        LM_TRY(status);
    }
    return LM_OK;
}

bool lm_judge_is_shipped(const char *name) {
    for (const lm_shipped_judge *s = lm_shipped_judges; s->name; s++)
        if (strcmp(s->name, name) == 0) return true;
    return false;
}

static lm_status open_shipped(const char *name, lm_judge **judge) {
    for (const lm_shipped_judge *s = lm_shipped_judges; s->name; s++)
        if (strcmp(s->name, name) == 0)
            return lm_judge_parse(s->begin, (size_t)(s->end - s->begin), name, judge);
    return LM_OK;
}

/* set: what the judge is wanted for, NULL where it was asked for by name. */
static lm_status open_named(const char *name, const char *set, lm_judge **judge) {
    LM_TRY(open_shipped(name, judge));
    if (*judge) return LM_OK;
    char *folders[FOLDERS];
    lm_status status = list_folders(folders);
    if (status == LM_OK) status = open_installed(name, folders, judge);
    if (status == LM_OK && !*judge) status = not_found(name, set, folders);
    free_folders(folders);
    return status;
}

static lm_status open_run(const char *folder, lm_judge **judge) {
    char *path = lm_path_join(folder, "judge" ENDING);
    if (!path) return LM_NOMEM;
    lm_status status =
        lm_file_exists(path)
            ? lm_judge_read(path, judge)
            : lm_fail(LM_NOT_FOUND, "%s: no judge" ENDING " in it", folder);
    lm_free(path);
    return status;
}

lm_status lm_judge_open(const char *argument, const char *set, lm_judge **judge) {
    *judge = NULL;
    if (argument && *argument) {
        if (lm_path_ends(argument, ENDING)) return lm_judge_read(argument, judge);
        if (strchr(argument, '/')) return open_run(argument, judge);
        return open_named(argument, NULL, judge);
    }
    char *name = lm_judge_name(set);
    if (!name) return LM_NOMEM;
    lm_status status = open_named(name, set, judge);
    lm_free(name);
    return status;
}
