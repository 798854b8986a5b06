/* Names in archives, against another way to tell where they lead: the steps down and up
 * that they take. */
#include "fuzz/fuzz.h"

#include "data/extract.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Whether the way from a folder along `name` never leaves it; cuts `name` up. */
static bool stays_inside(char *name) {
    int depth = 0;
    if (name[0] == '/') return false;
    for (char *rest = name, *step; (step = strsep(&rest, "/"));) {
        if (strcmp(step, "..") == 0)
            depth--;
        else if (*step && strcmp(step, ".") != 0)
            depth++;
        if (depth < 0) return false;
    }
    return true;
}

/* Why a name may be refused, other than that it leads out. */
static bool is_odd(const char *name) {
    size_t length = strlen(name);
    if (length == 0 || length >= 1024 || strchr(name, '\\')) return true;
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)name[i] < 32 || name[i] == 127) return true;
    /* "a/../b" stays, but no honest archive has it. */
    return strstr(name, "..") != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char name[2048];
    if (size >= sizeof name) size = sizeof name - 1;
    memcpy(name, data, size);
    name[size] = '\0';
    bool safe = lm_archive_name_is_safe(name), odd = is_odd(name);
    bool stays = stays_inside(name);
    if (safe ? !stays : stays && !odd) abort();
    return 0;
}
