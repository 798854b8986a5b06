/* limn doctor: what this machine has, and what follows for limn. */
#include "cli/cli.h"

#include "backend/backend.h"
#include "base/mem.h"
#include "base/threads.h"
#include "base/version.h"
#include "data/builtin.h"
#include "data/data.h"

#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

static const lm_option options[] = {{0}};

static const char *const known_sets[] = {"mnist", "fashion-mnist", "kmnist"};
enum { N_SETS = sizeof known_sets / sizeof *known_sets };

/* "model name" of /proc/cpuinfo, or what uname would say elsewhere. */
static void processor_name(char *name, size_t size) {
    snprintf(name, size, "unknown");
    FILE *file = fopen("/proc/cpuinfo", "r");
    char line[256];
    while (file && fgets(line, sizeof line, file)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon) continue;
        colon[strcspn(colon, "\n")] = '\0';
        snprintf(name, size, "%s", colon + 2);
        break;
    }
    if (file) fclose(file);
}

static double memory_gigabytes(void) {
    return (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE) / 1e9;
}

/* "60000 images of 28 x 28 in PATH", or why it cannot be used. */
static void describe_set(const char *name, bool *found, char *text, size_t size) {
    lm_dataset *set;
    *found = lm_dataset_open(name, LM_SPLIT_TRAIN, &set) == LM_OK;
    if (*found) {
        snprintf(text, size, "%lld images of %d x %d, %s", (long long)set->count,
                 set->height, set->width, set->source);
        lm_dataset_free(set);
    } else
        snprintf(text, size, "%s", lm_message());
}

static lm_status run(cli_context *cli) {
    char processor[128], backend[128], text[512];
    processor_name(processor, sizeof processor);
    lm_backend_cpu_describe(backend, sizeof backend);
    const char *data = getenv("LIMN_DATA");
    json_t *sets = json_object();
    if (!cli->json) {
        printf("limn       %s\n", lm_version);
        printf("processor  %s, %d threads in use\n", processor, lm_threads());
        printf("memory     %.1f GB\n", memory_gigabytes());
        printf("cpu        %s\n", backend);
        printf("libraries  libpng %s, zlib %s, jansson %s\n", png_libpng_ver,
               zlibVersion(), JANSSON_VERSION);
        printf("LIMN_DATA  %s\n", data ? data : "not set");
        printf("data sets\n");
        for (int i = 0; lm_builtin_sets[i]; i++)
            printf("  %-16s %s, always there\n", lm_builtin_sets[i]->name,
                   lm_builtin_sets[i]->what);
    }
    for (int i = 0; i < N_SETS; i++) {
        bool found;
        describe_set(known_sets[i], &found, text, sizeof text);
        json_object_set_new(sets, known_sets[i], json_boolean(found));
        if (!cli->json) printf("  %-16s %s\n", known_sets[i], text);
    }
    if (cli->json)
        cli_print_json(json_pack("{s:s, s:s, s:i, s:f, s:s, s:O}", "limn", lm_version,
                                 "processor", processor, "threads", lm_threads(),
                                 "memory_gb", memory_gigabytes(), "cpu", backend, "sets",
                                 sets));
    json_decref(sets);
    return LM_OK;
}

const cli_command doctor_command = {.name = "doctor",
                                    .arguments = "",
                                    .help = "what this machine has",
                                    .options = options,
                                    .run = run};
