/* Where the time of programs goes: a row a step, and sums by kind of work and by layer.
 */
#include "base/mem.h"
#include "exec/exec_internal.h"
#include <stdlib.h>
#include <string.h>

void lm_program_profile(lm_program *program, bool on) {
    program->profiling = on;
}

/* ---- names of steps ---------------------------------------------------------- */

static bool is_arithmetic(const lm_node *node) {
    static const bool is[LM_EW_COUNT] = {
        [LM_EW_NEG] = true, [LM_EW_ADD] = true,  [LM_EW_SUB] = true, [LM_EW_MUL] = true,
        [LM_EW_FMA] = true, [LM_EW_CAST] = true, [LM_EW_STOP] = true};
    return is[node->attr.ew.code];
}

enum { MAX_WORDS = 3 };

typedef struct words {
    const char *word[MAX_WORDS];
    int count;
    bool more; /* than there was room for */
} words;

static void add_word(words *w, const char *word) {
    for (int i = 0; i < w->count; i++)
        if (!strcmp(w->word[i], word)) return;
    if (w->count < MAX_WORDS)
        w->word[w->count++] = word;
    else
        w->more = true;
}

/* A cluster is told by what it computes: random numbers and functions first, since sums
 * and products are everywhere. */
static words describe_cluster(const lm_step *step) {
    words w = {.count = 0};
    for (int arithmetic = 0; arithmetic < 2; arithmetic++)
        for (int i = 0; i < step->n_nodes; i++) {
            const lm_node *node = step->nodes[i];
            if (node->kind == LM_KIND_PHILOX && !arithmetic) add_word(&w, "random");
            if (node->kind == LM_KIND_EW && is_arithmetic(node) == arithmetic)
                add_word(&w, lm_ew_get((lm_ew)node->attr.ew.code)->text);
        }
    return w;
}

/* "fused sigmoid mul fma ..", "fused add sum", "fused broadcast". */
static const char *cluster_name(lm_arena *memory, const lm_step *step) {
    words w = describe_cluster(step);
    bool sums = false;
    for (int i = 0; i < step->n_out; i++)
        sums |= step->out[i]->kind == LM_KIND_REDUCE_SUM;
    if (w.count == 0 && !sums) add_word(&w, "broadcast");
    const char *name = "fused";
    for (int i = 0; i < w.count && name; i++)
        name = lm_arena_printf(memory, "%s %s", name, w.word[i]);
    if (!name) return NULL;
    return lm_arena_printf(memory, "%s%s%s", name, w.more ? " .." : "",
                           sums ? " sum" : "");
}

static const char *step_kind(lm_arena *memory, const lm_step *step) {
    const lm_node *first = step->nodes[0];
    if (step->cluster) return cluster_name(memory, step);
    if (first->kind == LM_KIND_CALL)
        return lm_composite_text((lm_composite)first->attr.call.composite);
    return lm_kind_get(first->kind)->text;
}

/* The layer that most nodes are from: sums of cotangents, for one, are built by whoever
 * asked for the gradient and ride along in the cluster of the layer before. */
static const char *step_label(const lm_step *step) {
    const char *best = step->nodes[step->n_nodes - 1]->label;
    int best_count = 0;
    for (int i = 0; i < step->n_nodes; i++) {
        int count = 0;
        for (int j = i; j < step->n_nodes; j++)
            count += step->nodes[j]->kind != LM_KIND_CONST &&
                     !strcmp(step->nodes[j]->label, step->nodes[i]->label);
        if (count <= best_count) continue;
        best_count = count;
        best = step->nodes[i]->label;
    }
    return best;
}

/* ---- rows -------------------------------------------------------------------- */

static lm_status make_row(lm_program *program, int s, lm_profile_row *row) {
    const lm_step *step = &program->schedule.steps[s];
    lm_bound_step *bound = &program->bound[s];
    const lm_kernel *kernel = &program->kernels[s];
    if (!bound->kind) bound->kind = step_kind(&program->memory, step);
    if (!bound->kind) return LM_NOMEM;
    *row = (lm_profile_row){
        .kernel = kernel->name,
        .group = kernel->group,
        .kind = bound->kind,
        .label = step_label(step),
        .runs = bound->runs,
        .seconds = bound->seconds,
        .flops = kernel->flops * (double)bound->runs,
        .bytes = kernel->bytes * (double)bound->runs,
    };
    return LM_OK;
}

lm_status lm_program_get_profile(lm_program *program, lm_profile_row **rows, int *count) {
    *count = 0;
    lm_profile_row *made = lm_calloc((size_t)program->schedule.n_steps + 1, sizeof *made);
    lm_status status = made ? LM_OK : LM_NOMEM;
    for (int s = 0; s < program->schedule.n_steps && status == LM_OK; s++)
        if (!program->plan.skip[s]) status = make_row(program, s, &made[(*count)++]);
    if (status != LM_OK) {
        lm_free(made);
        return status;
    }
    *rows = made;
    return LM_OK;
}

/* ---- sums -------------------------------------------------------------------- */

static lm_profile_sum *find_sum(lm_profile_table *table, const char *name) {
    for (int i = 0; i < table->count; i++)
        if (!strcmp(table->sums[i].name, name)) return &table->sums[i];
    if (table->count == table->capacity) {
        int capacity = table->capacity ? 2 * table->capacity : 64;
        void *grown = lm_realloc(table->sums, (size_t)capacity * sizeof *table->sums);
        if (!grown) return NULL;
        table->sums = grown;
        table->capacity = capacity;
    }
    table->sums[table->count] = (lm_profile_sum){.name = name};
    return &table->sums[table->count++];
}

static void add_to_sum(lm_profile_sum *sum, bool backward, const lm_profile_row *row) {
    sum->kernels++;
    sum->seconds += row->seconds;
    sum->flops += row->flops;
    sum->bytes += row->bytes;
    if (backward) sum->backward += row->seconds;
}

static lm_status add_row(lm_profile_table *table, const char *name, bool backward,
                         const lm_profile_row *row) {
    lm_profile_sum *sum = name ? find_sum(table, name) : NULL;
    if (!sum) return LM_NOMEM;
    add_to_sum(sum, backward, row);
    return LM_OK;
}

/* "conv: onednn brgconv", but kernels that are called as what they do only once. */
static const char *kind_name(lm_profile *profile, const lm_profile_row *row) {
    bool plain = !strncmp(row->kind, "fused", 5) || !strcmp(row->kind, row->kernel);
    return plain ? lm_arena_strdup(&profile->names, row->kind)
                 : lm_arena_printf(&profile->names, "%s: %s", row->kind, row->kernel);
}

/* Gradients carry the label of their layer with a prime for each derivative. */
static const char *layer_name(lm_profile *profile, const lm_profile_row *row,
                              bool *backward) {
    char *name = lm_arena_strdup(&profile->names, row->label[0] ? row->label : "-");
    *backward = false;
    for (size_t end = name ? strlen(name) : 0; end && name[end - 1] == '\''; end--) {
        *backward = true;
        name[end - 1] = '\0';
    }
    return name;
}

static int by_time(const void *a, const void *b) {
    double x = ((const lm_profile_sum *)a)->seconds,
           y = ((const lm_profile_sum *)b)->seconds;
    return (x < y) - (x > y);
}

static lm_status add_rows(lm_profile *profile, const lm_profile_row *rows, int count) {
    for (int i = 0; i < count; i++) {
        const lm_profile_row *row = &rows[i];
        bool backward;
        const char *layer = layer_name(profile, row, &backward);
        LM_TRY(add_row(&profile->layers, layer, backward, row));
        LM_TRY(add_row(&profile->kinds, kind_name(profile, row), backward, row));
        LM_TRY(add_row(&profile->groups, row->group, backward, row));
        add_to_sum(&profile->total, backward, row);
    }
    return LM_OK;
}

lm_status lm_profile_add(lm_profile *profile, lm_program *program) {
    lm_profile_row *rows;
    int count;
    LM_TRY(lm_program_get_profile(program, &rows, &count));
    lm_status status = add_rows(profile, rows, count);
    lm_free(rows);
    profile->program_seconds += program->seconds;
    lm_profile_table *const tables[] = {&profile->kinds, &profile->layers,
                                        &profile->groups};
    for (int i = 0; i < 3; i++)
        if (tables[i]->count)
            qsort(tables[i]->sums, (size_t)tables[i]->count, sizeof *tables[i]->sums,
                  by_time);
    return status;
}

void lm_profile_release(lm_profile *profile) {
    lm_free(profile->kinds.sums);
    lm_free(profile->layers.sums);
    lm_free(profile->groups.sums);
    lm_arena_release(&profile->names);
    *profile = (lm_profile){0};
}
