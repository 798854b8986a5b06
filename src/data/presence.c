/* What this machine has of the known sets. */
#include "data/known.h"

#include "base/file.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

lm_status lm_data_folder(char **path) {
    const char *data = getenv("LIMN_DATA");
    if (!data || !*data) return lm_user_data_folder(path);
    *path = lm_strdup(data);
    return *path ? LM_OK : LM_NOMEM;
}

lm_status lm_user_data_folder(char **path) {
    const char *xdg = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    if (xdg && *xdg)
        *path = lm_path_join(xdg, "limn");
    else
        *path = lm_path_join(home ? home : "", ".local/share/limn");
    return *path ? LM_OK : LM_NOMEM;
}

/* By the unpacked folder, where the table names one, else by file and size. */
static lm_status file_is_there(const lm_known_file *file, const char *folder,
                               bool *there) {
    char *path = lm_path_join(folder, file->unpack ? file->unpack : file->name);
    if (!path) return LM_NOMEM;
    struct stat info;
    *there = stat(path, &info) == 0;
    if (*there && file->unpack)
        *there = S_ISDIR(info.st_mode);
    else if (*there)
        *there = S_ISREG(info.st_mode) && (!file->bytes || info.st_size == file->bytes);
    lm_free(path);
    return LM_OK;
}

/* Whether a name begins with that of one of the set's files: the file itself, of another
 * size or not yet unpacked, or what a transfer left. */
static bool belongs(const lm_known_set *set, const char *name) {
    for (int i = 0; i < set->n_files; i++)
        if (strncmp(name, set->files[i].name, strlen(set->files[i].name)) == 0)
            return true;
    return false;
}

lm_status lm_known_presence(const lm_known_set *set, const char *folder,
                            lm_presence *presence) {
    *presence = LM_PRESENCE_NONE;
    if (!lm_is_folder(folder)) return LM_OK;
    int found = 0;
    for (int i = 0; i < set->n_files; i++) {
        bool there;
        LM_TRY(file_is_there(&set->files[i], folder, &there));
        found += there;
    }
    char **names;
    size_t count;
    LM_TRY(lm_list_folder(folder, NULL, &names, &count));
    bool part = found > 0;
    for (size_t i = 0; i < count; i++) part = part || belongs(set, names[i]);
    if (found && found == set->n_files)
        *presence = LM_PRESENCE_WHOLE;
    else if (part)
        *presence = LM_PRESENCE_PART;
    else if (count)
        *presence = LM_PRESENCE_OTHER;
    lm_names_free(names, count);
    return LM_OK;
}
