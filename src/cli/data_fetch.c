/* limn data fetch: a known set's files, from its home page onto this machine. */
#include "cli/data.h"

#include "base/file.h"
#include "base/mem.h"
#include "data/fetch.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const lm_option options[] = {
    {"out", LM_OPT_TEXT, "", 0, 0, NULL, "DIR",
     "where the files go [NAME under LIMN_DATA, where --data NAME finds them]"},
    {"base-url", LM_OPT_TEXT, "", 0, 0, NULL, "URL",
     "fetch from URL/FILE, a mirror of your own; sizes and digests stay the same"},
    {0}};

/* ---- while it runs ----------------------------------------------------------- */

/* One line of progress for each file and stage. */
typedef struct watcher {
    const cli_context *cli;
    cli_meter meter;
    bool metering;
    const char *file;
    lm_fetch_stage stage;
    char verb[96];
} watcher;

static void end_meter(watcher *w) {
    if (w->metering) cli_meter_end(&w->meter);
    w->metering = false;
}

static void show(void *user, const lm_fetch_progress *progress) {
    static const char *const verbs[] = {[LM_FETCH_TRANSFER] = "fetching",
                                        [LM_FETCH_CHECK] = "checking",
                                        [LM_FETCH_UNPACK] = "unpacking"};
    watcher *w = user;
    double done = (double)progress->done / 1e6, total = (double)progress->total / 1e6;
    if (w->metering && (w->file != progress->file || w->stage != progress->stage ||
                        w->meter.total != total))
        end_meter(w);
    if (!w->metering) {
        w->file = progress->file;
        w->stage = progress->stage;
        snprintf(w->verb, sizeof w->verb, "%s %s", verbs[w->stage], w->file);
        w->meter = cli_meter_start(w->cli, w->verb, "MB", total, done);
        w->metering = true;
    }
    cli_meter_show(&w->meter, done);
}

static void note(void *user, const char *line) {
    watcher *w = user;
    end_meter(w);
    cli_note(w->cli, "%s", line);
}

static bool stop(void *user) {
    return cli_interrupted();
}

/* ---- before and after -------------------------------------------------------- */

static lm_status find_set(const char *name, const lm_known_set **set) {
    *set = lm_known_find(name);
    if (*set) return LM_OK;
    const char *names[64] = {0};
    for (int i = 0; lm_known_sets[i].name && i < 63; i++)
        names[i] = lm_known_sets[i].name;
    const char *nearest = lm_nearest(name, names);
    return lm_fail(LM_ARG, "%s: no known set%s%s%s", name,
                   nearest ? ", did you mean " : "; 'limn data list' lists them",
                   nearest ? nearest : "", nearest ? "?" : "");
}

/* --out, or the set's folder under the data folder; lm_free'd by the caller. */
static lm_status choose_folder(const cli_context *cli, const lm_known_set *set,
                               char **folder) {
    const char *out = cli_text(cli, "out");
    char *data = NULL;
    if (!out) LM_TRY(lm_data_folder(&data));
    *folder = out ? lm_strdup(out) : lm_path_join(data, set->name);
    lm_free(data);
    return *folder ? LM_OK : LM_NOMEM;
}

/* What a person needs to do it: the files, their addresses, how to tell them. */
static void print_by_hand(const lm_known_set *set, const char *folder) {
    printf("by hand, into %s:\n", folder);
    for (int i = 0; i < set->n_files; i++) {
        const lm_known_file *file = &set->files[i];
        printf("  %s\n", file->name);
        for (int k = 0; k < LM_KNOWN_URLS && file->urls[k]; k++)
            printf("    %s\n", file->urls[k]);
        if (file->bytes) printf("    %" PRId64 " bytes\n", file->bytes);
        if (file->sha256) printf("    SHA-256 %s\n", file->sha256);
        if (!file->sha256 && file->md5) printf("    MD5 %s\n", file->md5);
    }
    printf("  %s\n", set->home);
}

static void print_result(const cli_context *cli, const lm_known_set *set,
                         const char *folder) {
    if (cli->json)
        cli_print_json(json_pack("{s:s, s:s, s:i}", "set", set->name, "folder", folder,
                                 "files", set->n_files));
    else
        printf("%s: %d file%s in %s\n", set->name, set->n_files,
               set->n_files == 1 ? "" : "s", folder);
}

static lm_status fetch_into(cli_context *cli, const lm_known_set *set,
                            const char *folder) {
    watcher w = {.cli = cli};
    lm_fetch fetch = LM_FETCH_DEFAULT;
    fetch.base_url = cli_text(cli, "base-url");
    fetch.stop = stop;
    fetch.show = show;
    fetch.note = note;
    fetch.user = &w;
    cli_watch_signals();
    cli_note(cli, "%s (%s): %s\nlicence: %s; %s", set->title, set->name, set->about,
             set->terms, set->home);
    lm_status status = lm_fetch_set(&fetch, set, folder);
    end_meter(&w);
    if (status == LM_OK)
        print_result(cli, set, folder);
    else if (!cli->json && (status == LM_NOT_FOUND || status == LM_UNSUPPORTED))
        print_by_hand(set, folder);
    return status;
}

static lm_status run(cli_context *cli) {
    const lm_known_set *set;
    char *folder;
    LM_TRY(find_set(cli->args[0], &set));
    LM_TRY(choose_folder(cli, set, &folder));
    lm_status status = fetch_into(cli, set, folder);
    lm_free(folder);
    return status;
}

const cli_command data_fetch_command = {
    .name = "data fetch",
    .arguments = "NAME",
    .help = "the files of a known set, from its home page; checked, and resumed",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .run = run};
