/* limn data list: the sets that are known by name. */
#include "cli/data.h"

#include "base/file.h"
#include "base/mem.h"
#include "data/builtin.h"
#include "data/known.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const lm_option options[] = {{0}};

static const char *const here_words[] = {
    [LM_PRESENCE_NONE] = "no",
    [LM_PRESENCE_PART] = "part",
    [LM_PRESENCE_OTHER] = "other",
    [LM_PRESENCE_WHOLE] = "yes",
};

/* Where a set would be, and what is there. */
typedef struct place {
    char *folder; /* owned */
    lm_presence presence;
} place;

static lm_status look(const lm_known_set *set, const char *data, place *found) {
    *found = (place){.folder = lm_path_join(data, set->name)};
    if (!found->folder) return LM_NOMEM;
    lm_status status = lm_known_presence(set, found->folder, &found->presence);
    if (status != LM_OK) lm_free(found->folder);
    return status;
}

/* ---- text -------------------------------------------------------------------- */

/* "697,932" */
static void group_digits(int64_t number, char text[32]) {
    char plain[24];
    int length = snprintf(plain, sizeof plain, "%" PRId64, number), to = 0;
    for (int i = 0; i < length; i++) {
        if (i && (length - i) % 3 == 0) text[to++] = ',';
        text[to++] = plain[i];
    }
    text[to] = '\0';
}

static void size_text(const lm_known_set *set, char text[32]) {
    const char *colours = set->channels == 1 ? "grey" : "RGB";
    if (set->width)
        snprintf(text, 32, "%d x %d %s", set->width, set->height, colours);
    else
        snprintf(text, 32, "differ, %s", colours);
}

#define ROW "%-16s  %9s  %-15s  %7s  %8s  %s\n"

static lm_status print_known(const lm_known_set *set, const place *found) {
    char images[32], size[32], classes[16] = "-", bytes[16] = "-";
    group_digits(lm_known_images(set), images);
    size_text(set, size);
    if (set->classes) snprintf(classes, sizeof classes, "%d", set->classes);
    if (lm_known_bytes(set)) cli_bytes_text(lm_known_bytes(set), bytes);
    printf(ROW, set->name, images, size, classes, bytes, here_words[found->presence]);
    lm_str more = LM_STR_INIT, line = LM_STR_INIT;
    lm_str_printf(&more, "%s; licence: %s; %s", set->about, set->terms, set->home);
    if (lm_str_text(&more)) lm_append_wrapped(&line, more.text, 4, 4);
    lm_status status = lm_str_text(&line) ? LM_OK : LM_NOMEM;
    if (status == LM_OK) printf("    %s", line.text);
    lm_str_release(&more);
    lm_str_release(&line);
    return status;
}

static void print_builtin(const lm_builtin *set) {
    char size[32], classes[16] = "-";
    snprintf(size, sizeof size, "%d to %d, %s", set->smallest, set->largest,
             set->channels == 1 ? "grey" : "RGB");
    if (set->classes) snprintf(classes, sizeof classes, "%d", set->classes);
    printf(ROW "    %s\n", set->name, "any", size, classes, "-", "yes", set->what);
}

static void print_head(const char *data) {
    printf("under %s\nhere: \"part\" was not fetched to its end, \"other\" has files of "
           "other names\n\n" ROW,
           data, "name", "images", "size", "classes", "download", "here");
}

/* ---- JSON -------------------------------------------------------------------- */

static json_t *images_json(const lm_known_set *set) {
    json_t *splits = json_object();
    for (int i = 0; i < LM_N_SPLITS; i++)
        if (set->images[i])
            json_object_set_new(splits, lm_split_name((lm_split)i),
                                json_integer(set->images[i]));
    return splits;
}

static json_t *files_json(const lm_known_set *set) {
    json_t *files = json_array();
    for (int i = 0; i < set->n_files; i++) {
        const lm_known_file *file = &set->files[i];
        json_t *urls = json_array();
        for (int k = 0; k < LM_KNOWN_URLS && file->urls[k]; k++)
            json_array_append_new(urls, json_string(file->urls[k]));
        /* null: not published */
        json_array_append_new(
            files, json_pack("{s:s, s:o, s:s?, s:s?, s:o}", "name", file->name, "bytes",
                             file->bytes ? json_integer(file->bytes) : json_null(),
                             "sha256", file->sha256, "md5", file->md5, "urls", urls));
    }
    return files;
}

static json_t *known_json(const lm_known_set *set, const place *found) {
    return json_pack(
        "{s:s, s:s, s:s, s:o, s:i, s:i, s:i, s:i, s:s, s:s, s:s?, s:s, s:s, s:o}", "name",
        set->name, "title", set->title, "about", set->about, "images", images_json(set),
        "width", set->width, "height", set->height, "channels", set->channels, "classes",
        set->classes, "terms", set->terms, "home", set->home, "how", set->how, "folder",
        found->folder, "here", here_words[found->presence], "files", files_json(set));
}

static json_t *builtin_json(const lm_builtin *set) {
    return json_pack("{s:s, s:s, s:i, s:i, s:i, s:i, s:s}", "name", set->name, "about",
                     set->what, "smallest", set->smallest, "largest", set->largest,
                     "channels", set->channels, "classes", set->classes, "here", "yes");
}

/* ---- the command ------------------------------------------------------------- */

/* Prints them, or adds them to `sets`. */
static lm_status list_known(const cli_context *cli, const char *data, json_t *sets) {
    lm_status status = LM_OK;
    for (const lm_known_set *set = lm_known_sets; set->name && status == LM_OK; set++) {
        place found;
        LM_TRY(look(set, data, &found));
        if (cli->json)
            json_array_append_new(sets, known_json(set, &found));
        else
            status = print_known(set, &found);
        lm_free(found.folder);
    }
    return status;
}

static void list_builtin(const cli_context *cli, json_t *sets) {
    for (int i = 0; lm_builtin_sets[i]; i++)
        if (cli->json)
            json_array_append_new(sets, builtin_json(lm_builtin_sets[i]));
        else
            print_builtin(lm_builtin_sets[i]);
}

static lm_status run(cli_context *cli) {
    char *data;
    LM_TRY(lm_data_folder(&data));
    json_t *sets = json_array();
    if (!cli->json) print_head(data);
    list_builtin(cli, sets);
    lm_status status = list_known(cli, data, sets);
    lm_free(data);
    if (status == LM_OK && cli->json)
        cli_print_json(sets);
    else
        json_decref(sets);
    return status;
}

const cli_command data_list_command = {
    .name = "data list",
    .arguments = "",
    .help = "the sets known by name: what, size, licence, where from, here or not",
    .options = options,
    .run = run};
