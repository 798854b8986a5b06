/* limn doctor: what this machine has, and what follows for limn. */
#include "cli/cli.h"

#include "backend/backend.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/threads.h"
#include "base/version.h"
#include "data/known.h"
#include "metrics/blas.h"

#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

static const lm_option options[] = {{0}};

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

/* Which of the known sets have a folder with something in it, by name: true or false. */
static lm_status find_sets(const char *data, json_t *sets) {
    for (const lm_known_set *set = lm_known_sets; set->name; set++) {
        lm_presence presence;
        char *folder = lm_path_join(data, set->name);
        if (!folder) return LM_NOMEM;
        lm_status status = lm_known_presence(set, folder, &presence);
        lm_free(folder);
        LM_TRY(status);
        json_object_set_new(
            sets, set->name,
            json_boolean(presence == LM_PRESENCE_WHOLE || presence == LM_PRESENCE_OTHER));
    }
    return LM_OK;
}

static void print_sets(const char *data, json_t *sets) {
    const char *name;
    json_t *here;
    printf("data sets  in %s:", data);
    int count = 0;
    json_object_foreach(sets, name, here) if (json_is_true(here))
        printf("%s %s", count++ ? "," : "", name);
    printf("%s; 'limn data list' tells more\n", count ? "" : " none");
}

static void print_text(const char *processor, const char *backend, const char *blas,
                       const char *data, json_t *sets) {
    printf("limn       %s\n", lm_version);
    printf("processor  %s, %d threads in use\n", processor, lm_threads());
    printf("memory     %.1f GB\n", memory_gigabytes());
    printf("cpu        %s\n", backend);
    printf("blas       %s\n", blas);
    printf("libraries  libpng %s, zlib %s, jansson %s\n", png_libpng_ver, zlibVersion(),
           JANSSON_VERSION);
    print_sets(data, sets);
}

static lm_status run(cli_context *cli) {
    char processor[128], backend[128], blas[128], *data;
    processor_name(processor, sizeof processor);
    lm_backend_cpu_describe(backend, sizeof backend);
    lm_blas_describe(blas, sizeof blas);
    LM_TRY(lm_data_folder(&data));
    json_t *sets = json_object();
    lm_status status = find_sets(data, sets);
    if (status == LM_OK && cli->json)
        cli_print_json(json_pack("{s:s, s:s, s:i, s:f, s:s, s:s, s:O}", "limn",
                                 lm_version, "processor", processor, "threads",
                                 lm_threads(), "memory_gb", memory_gigabytes(), "cpu",
                                 backend, "blas", blas, "sets", sets));
    else if (status == LM_OK)
        print_text(processor, backend, blas, data, sets);
    json_decref(sets);
    lm_free(data);
    return status;
}

const cli_command doctor_command = {.name = "doctor",
                                    .arguments = "",
                                    .help = "what this machine has",
                                    .options = options,
                                    .run = run};
