/* The file is text: a line with the key, then "problem = candidate" a line. */
#include "backend/cpu/conv_tune.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/threads.h"
#include "base/version.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

enum { RUNS = 4, MAX_FILE = 1 << 22 };
#define SEPARATOR " = "

typedef struct winner {
    char *problem;
    const lm_conv_candidate *candidate;
} winner;

struct lm_tuner {
    char *folder, *path, *key;
    winner *winners;
    int count, capacity;
    bool told; /* that the file cannot be written */
};

/* ---- the key ----------------------------------------------------------------- */

/* What cpuid says in its leaves 0x80000002 to 4. */
static void name_processor(char name[49]) {
    snprintf(name, 49, "unknown processor");
#if defined(__x86_64__)
    unsigned word[12];
    for (unsigned i = 0; i < 3; i++) {
        unsigned *w = word + 4 * i;
        if (!__get_cpuid(0x80000002 + i, &w[0], &w[1], &w[2], &w[3])) return;
    }
    memcpy(name, word, sizeof word);
    name[sizeof word] = '\0';
#endif
}

static char *make_key(void) {
    char processor[49], kernels[128];
    lm_str key = LM_STR_INIT;
    name_processor(processor);
    lm_backend_cpu_describe(kernels, sizeof kernels);
    lm_str_printf(&key, "limn %s, %s, %d threads, %s", lm_version, kernels, lm_threads(),
                  processor);
    if (key.failed) lm_str_release(&key);
    return key.text; /* the string's own block, handed over */
}

static char *default_folder(void) {
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    lm_str folder = LM_STR_INIT;
    if (xdg && *xdg)
        lm_str_printf(&folder, "%s/limn", xdg);
    else
        lm_str_printf(&folder, "%s/.cache/limn", home ? home : "");
    if (folder.failed) lm_str_release(&folder);
    return folder.text;
}

/* With the candidates, since which of them may be used is a setting. */
static void describe_problem(const lm_dnnl_conv *c,
                             const lm_conv_candidate *const *candidates, int n,
                             lm_str *out) {
    static const char *const pass[] = {[LM_DNNL_FORWARD] = "forward",
                                       [LM_DNNL_BACK_DATA] = "dgrad",
                                       [LM_DNNL_BACK_WEIGHTS] = "wgrad"};
    lm_str_printf(out, "%s %" PRId64, pass[c->pass], c->batch);
    for (int i = 0; i < 2; i++)
        lm_str_printf(out,
                      " in %" PRId64 " out %" PRId64 " kernel %" PRId64 " stride %" PRId64
                      " dilation %" PRId64 " pad %" PRId64 " %" PRId64,
                      c->in[i], c->out[i], c->kernel[i], c->stride[i], c->dilation[i],
                      c->pad_lo[i], c->pad_hi[i]);
    lm_str_printf(out, " channels %" PRId64 " %" PRId64 " groups %" PRId64 "%s of",
                  c->in_channels, c->out_channels, c->groups, c->bias ? " bias" : "");
    for (int i = 0; i < n; i++) lm_str_printf(out, " %s", candidates[i]->name);
}

/* ---- winners ----------------------------------------------------------------- */

static const lm_conv_candidate *find_winner(const lm_tuner *tuner, const char *problem) {
    for (int i = 0; i < tuner->count; i++)
        if (strcmp(tuner->winners[i].problem, problem) == 0)
            return tuner->winners[i].candidate;
    return NULL;
}

static void forget_winners(lm_tuner *tuner) {
    for (int i = 0; i < tuner->count; i++) lm_free(tuner->winners[i].problem);
    tuner->count = 0;
}

static lm_status add_winner(lm_tuner *tuner, const char *problem,
                            const lm_conv_candidate *candidate) {
    if (tuner->count == tuner->capacity) {
        int capacity = tuner->capacity ? 2 * tuner->capacity : 32;
        winner *grown =
            lm_realloc(tuner->winners, (size_t)capacity * sizeof *tuner->winners);
        if (!grown) return LM_NOMEM;
        tuner->winners = grown;
        tuner->capacity = capacity;
    }
    char *copy = lm_strdup(problem);
    if (!copy) return LM_NOMEM;
    tuner->winners[tuner->count++] = (winner){copy, candidate};
    return LM_OK;
}

/* ---- the file ---------------------------------------------------------------- */

/* Cuts the line in place. */
static lm_status read_line(lm_tuner *tuner, char *line) {
    char *cut = strstr(line, SEPARATOR);
    if (!cut) return LM_FORMAT;
    *cut = '\0';
    const lm_conv_candidate *candidate = lm_conv_find(cut + strlen(SEPARATOR));
    if (!candidate || find_winner(tuner, line)) return LM_FORMAT;
    return add_winner(tuner, line, candidate);
}

static lm_status read_lines(lm_tuner *tuner, char *text, size_t size) {
    if (strlen(text) != size || size == 0 || text[size - 1] != '\n') return LM_FORMAT;
    char *rest = NULL, *line = strtok_r(text, "\n", &rest);
    if (!line || strcmp(line, tuner->key) != 0) return LM_FORMAT;
    while ((line = strtok_r(NULL, "\n", &rest))) LM_TRY(read_line(tuner, line));
    return LM_OK;
}

static lm_status read_file(lm_tuner *tuner) {
    void *text = NULL;
    size_t size;
    if (!lm_file_exists(tuner->path)) return LM_OK;
    lm_status status = lm_file_read(tuner->path, MAX_FILE, &text, &size);
    if (status == LM_OK) status = read_lines(tuner, text, size);
    lm_free(text);
    if (status == LM_OK || status == LM_NOMEM) return status;
    forget_winners(tuner);
    lm_log_line(LM_LOG_WARNING, "%s: damaged, kernels are measured again", tuner->path);
    return LM_OK;
}

static lm_status write_file(const lm_tuner *tuner) {
    lm_str text = LM_STR_INIT;
    lm_writer writer;
    lm_str_printf(&text, "%s\n", tuner->key);
    for (int i = 0; i < tuner->count; i++)
        lm_str_printf(&text, "%s" SEPARATOR "%s\n", tuner->winners[i].problem,
                      tuner->winners[i].candidate->name);
    lm_status status = text.failed ? LM_NOMEM : lm_make_folders(tuner->folder);
    if (status == LM_OK) status = lm_writer_open(&writer, tuner->path);
    if (status == LM_OK) {
        lm_writer_put(&writer, text.text, text.length);
        status = lm_writer_commit(&writer);
    }
    lm_str_release(&text);
    return status;
}

static lm_status set_up(lm_tuner *tuner, const char *folder) {
    tuner->folder = folder ? lm_strdup(folder) : default_folder();
    tuner->key = make_key();
    if (!tuner->folder || !tuner->key) return LM_NOMEM;
    char name[40];
    snprintf(name, sizeof name, "conv-%016" PRIx64 ".txt",
             lm_hash_bytes(LM_HASH_SEED, tuner->key, strlen(tuner->key)));
    tuner->path = lm_path_join(tuner->folder, name);
    return tuner->path ? read_file(tuner) : LM_NOMEM;
}

lm_status lm_tuner_new(const char *folder, lm_tuner **tuner) {
    *tuner = NULL;
    lm_tuner *made = lm_calloc(1, sizeof *made);
    if (!made) return LM_NOMEM;
    lm_status status = set_up(made, folder);
    if (status == LM_OK)
        *tuner = made;
    else
        lm_tuner_free(made);
    return status;
}

void lm_tuner_free(lm_tuner *tuner) {
    if (!tuner) return;
    forget_winners(tuner);
    lm_free(tuner->winners);
    lm_free(tuner->folder);
    lm_free(tuner->path);
    lm_free(tuner->key);
    lm_free(tuner);
}

/* ---- measuring --------------------------------------------------------------- */

enum { MAX_VALUES = 16 };

typedef struct step_memory {
    void *in[MAX_VALUES], *out[MAX_VALUES];
} step_memory;

/* Written, or all of it would be one page of zeros. */
static void *make_values(const lm_node *node) {
    int64_t count = lm_shape_count(node->shape);
    float *values = lm_alloc_aligned((size_t)count * sizeof *values);
    for (int64_t i = 0; values && i < count; i++) values[i] = (float)(i % 7 - 3);
    return values;
}

static lm_status make_memory(const lm_step *step, step_memory *memory) {
    *memory = (step_memory){{0}, {0}};
    LM_RETURN_IF(step->n_in > MAX_VALUES || step->n_out > MAX_VALUES, LM_UNSUPPORTED,
                 "too many values to measure");
    for (int i = 0; i < step->n_in; i++)
        if (!(memory->in[i] = make_values(step->in[i]))) return LM_NOMEM;
    for (int i = 0; i < step->n_out; i++)
        if (!(memory->out[i] = make_values(step->out[i]))) return LM_NOMEM;
    return LM_OK;
}

static void free_memory(step_memory *memory) {
    for (int i = 0; i < MAX_VALUES; i++) {
        lm_free_aligned(memory->in[i]);
        lm_free_aligned(memory->out[i]);
    }
}

/* The shortest of a few runs, after one that touches the memory. Weights count as written
 * before each run, as in training. */
static lm_status time_kernel(lm_kernel *kernel, const step_memory *memory,
                             double *seconds) {
    static const uint64_t version[MAX_VALUES];
    void *workspace = lm_alloc_aligned(kernel->workspace);
    lm_kernel_args args = {(const void *const *)memory->in, version,
                           (void *const *)memory->out, workspace};
    lm_status status = workspace ? LM_OK : LM_NOMEM;
    for (int i = -1; i < RUNS && status == LM_OK; i++) {
        double began = lm_now();
        status = kernel->run(kernel, &args);
        double took = lm_now() - began;
        if (i <= 0 || took < *seconds) *seconds = took;
    }
    lm_free_aligned(workspace);
    return status;
}

static lm_status measure(lm_backend *backend, const lm_step *step,
                         const lm_dnnl_conv *conv,
                         const lm_conv_candidate *const *candidates, int n,
                         const lm_conv_candidate **fastest) {
    step_memory memory;
    double best = 0, seconds = 0;
    lm_status status = make_memory(step, &memory);
    for (int i = 0; i < n && status == LM_OK; i++) {
        lm_kernel kernel;
        status = candidates[i]->lower(backend, step, conv, &kernel);
        if (status != LM_OK) break;
        status = time_kernel(&kernel, &memory, &seconds);
        kernel.release(&kernel);
        if (i > 0 && seconds >= best) continue;
        best = seconds;
        *fastest = candidates[i];
    }
    free_memory(&memory);
    return status;
}

static lm_status remember(lm_tuner *tuner, const char *problem,
                          const lm_conv_candidate *fastest) {
    LM_TRY(add_winner(tuner, problem, fastest));
    if (tuner->told || write_file(tuner) == LM_OK) return LM_OK;
    tuner->told = true;
    lm_log_line(LM_LOG_WARNING, "choices of kernels are not kept: %s", lm_message());
    return LM_OK;
}

lm_status lm_tuner_choose(lm_tuner *tuner, lm_backend *backend, const lm_step *step,
                          const lm_dnnl_conv *conv,
                          const lm_conv_candidate *const *candidates, int n,
                          const lm_conv_candidate **fastest) {
    lm_str problem = LM_STR_INIT;
    lm_status status = LM_OK;
    describe_problem(conv, candidates, n, &problem);
    if (problem.failed) return LM_NOMEM;
    const lm_conv_candidate *known = find_winner(tuner, problem.text);
    for (int i = 0; i < n; i++)
        if (candidates[i] == known) *fastest = known;
    if (*fastest != known) {
        status = measure(backend, step, conv, candidates, n, fastest);
        if (status == LM_OK) status = remember(tuner, problem.text, *fastest);
    }
    lm_str_release(&problem);
    return status;
}
