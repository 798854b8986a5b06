#include "cli/profile.h"

#include "backend/backend.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_ROWS = 40 };

typedef struct machine {
    double flops, bytes; /* a second */
} machine;

static double per_second(double amount, double seconds) {
    return seconds > 0 ? amount / seconds : 0;
}

/* ---- text -------------------------------------------------------------------- */

/* `name` goes last, since it has any length. */
static void print_row(const char *name, const lm_profile_sum *sum, const lm_profile *p,
                      const machine *peak) {
    double flops = per_second(sum->flops, sum->seconds),
           bytes = per_second(sum->bytes, sum->seconds), steps = (double)p->steps;
    printf("%9.2f %6.1f %% %9.2f %6d %9.1f %4.0f %% %8.1f %4.0f %% %8.1f  %s\n",
           1e3 * sum->seconds / steps, 100 * sum->seconds / p->step_seconds,
           1e3 * sum->backward / steps, sum->kernels, flops / 1e9,
           100 * flops / peak->flops, bytes / 1e9, 100 * bytes / peak->bytes,
           sum->bytes / steps / 1e6, name);
}

/* Time that no kernel took. */
static void print_rest(const char *name, double seconds, const lm_profile *p) {
    printf("%9.2f %6.1f %%%61s  %s\n", 1e3 * seconds / (double)p->steps,
           100 * seconds / p->step_seconds, "", name);
}

/* All sums from row `first` on as one. */
static lm_profile_sum join(const lm_profile_table *table, int first) {
    lm_profile_sum all = {0};
    for (int i = first; i < table->count; i++) {
        const lm_profile_sum *sum = &table->sums[i];
        all.kernels += sum->kernels;
        all.seconds += sum->seconds;
        all.backward += sum->backward;
        all.flops += sum->flops;
        all.bytes += sum->bytes;
    }
    return all;
}

static void print_table(const char *title, const lm_profile_table *table,
                        const lm_profile *p, const machine *peak) {
    printf("\n%9s %8s %9s %6s %9s %6s %8s %6s %8s  %s\n", "ms", "share", "backward",
           "calls", "GFLOP/s", "peak", "GB/s", "peak", "MB", title);
    int rows = table->count < MAX_ROWS ? table->count : MAX_ROWS;
    for (int i = 0; i < rows; i++)
        print_row(table->sums[i].name, &table->sums[i], p, peak);
    if (rows == table->count) return;
    char name[32];
    lm_profile_sum others = join(table, rows);
    snprintf(name, sizeof name, "(%d more)", table->count - rows);
    print_row(name, &others, p, peak);
}

lm_status cli_print_profile(const lm_profile *p) {
    LM_RETURN_IF(p->steps == 0, LM_ARG, "--profile: no step was made");
    machine peak;
    LM_TRY(lm_backend_cpu_peak(&peak.flops, &peak.bytes));
    printf("\na step of %.2f ms, mean of %lld; peak %.0f GFLOP/s in registers, %.1f GB/s "
           "copying\n",
           1e3 * p->step_seconds / (double)p->steps, (long long)p->steps,
           peak.flops / 1e9, peak.bytes / 1e9);
    print_table("layer", &p->layers, p, &peak);
    print_table("kind of work", &p->kinds, p, &peak);
    print_table("total", &p->groups, p, &peak);
    print_row("all kernels", &p->total, p, &peak);
    print_rest("between kernels", p->program_seconds - p->total.seconds, p);
    print_rest("outside of programs", p->step_seconds - p->program_seconds, p);
    print_rest("step", p->step_seconds, p);
    return LM_OK;
}

void cli_print_shares(const lm_profile *p) {
    printf("kernels   ");
    for (int i = 0; i < p->groups.count; i++)
        printf("%s %s %.1f %%", i ? "," : "", p->groups.sums[i].name,
               100 * per_second(p->groups.sums[i].seconds, p->total.seconds));
    printf("\n");
}

/* ---- JSON -------------------------------------------------------------------- */

static json_t *sum_json(const char *name, const lm_profile_sum *sum,
                        const lm_profile *p) {
    double steps = (double)p->steps;
    return json_pack("{s:s, s:f, s:f, s:i, s:f, s:f}", "name", name, "seconds",
                     sum->seconds / steps, "backward", sum->backward / steps, "calls",
                     sum->kernels, "flops", sum->flops / steps, "bytes",
                     sum->bytes / steps);
}

static json_t *table_json(const lm_profile_table *table, const lm_profile *p) {
    json_t *rows = json_array();
    for (int i = 0; i < table->count; i++)
        json_array_append_new(rows, sum_json(table->sums[i].name, &table->sums[i], p));
    return rows;
}

lm_status cli_profile_json(const lm_profile *p, json_t **json) {
    LM_RETURN_IF(p->steps == 0, LM_ARG, "--profile: no step was made");
    machine peak;
    LM_TRY(lm_backend_cpu_peak(&peak.flops, &peak.bytes));
    double steps = (double)p->steps;
    *json = json_pack(
        "{s:I, s:f, s:f, s:f, s:f, s:f, s:o, s:o, s:o, s:o}", "steps",
        (json_int_t)p->steps, "step_seconds", p->step_seconds / steps, "kernel_seconds",
        p->total.seconds / steps, "program_seconds", p->program_seconds / steps,
        "peak_flops", peak.flops, "peak_bytes_per_second", peak.bytes, "total",
        sum_json("all kernels", &p->total, p), "groups", table_json(&p->groups, p),
        "kinds", table_json(&p->kinds, p), "layers", table_json(&p->layers, p));
    return *json ? LM_OK : LM_NOMEM;
}

/* ---- single kernels ---------------------------------------------------------- */

static int by_time(const void *a, const void *b) {
    double x = ((const lm_profile_row *)a)->seconds,
           y = ((const lm_profile_row *)b)->seconds;
    return (x < y) - (x > y);
}

/* The rows of all programs, the slowest first; lm_free'd by the caller. */
static lm_status join_rows(lm_program *const *programs, int count, lm_profile_row **all,
                           int *n_all) {
    *all = NULL;
    *n_all = 0;
    for (int i = 0; i < count; i++) {
        lm_profile_row *rows;
        int n;
        if (!programs[i]) continue;
        LM_TRY(lm_program_get_profile(programs[i], &rows, &n));
        lm_profile_row *grown = lm_realloc(*all, (size_t)(*n_all + n) * sizeof *grown);
        if (grown) *all = grown;
        for (int r = 0; grown && r < n; r++) grown[(*n_all)++] = rows[r];
        lm_free(rows);
        if (!grown) return LM_NOMEM;
    }
    qsort(*all, (size_t)*n_all, sizeof **all, by_time);
    return LM_OK;
}

lm_status cli_print_slowest(lm_program *const *programs, int count, int top) {
    lm_profile_row *rows;
    int n;
    lm_status status = join_rows(programs, count, &rows, &n);
    double total = 0;
    for (int i = 0; i < n; i++) total += rows[i].seconds;
    printf("\n%9s %8s %9s %8s  %s\n", "ms", "share", "GFLOP/s", "GB/s", "kernel");
    for (int i = 0; i < n && i < top && status == LM_OK; i++) {
        const lm_profile_row *row = &rows[i];
        printf("%9.2f %6.1f %% %9.1f %8.1f  %s, %s, %s\n",
               1e3 * per_second(row->seconds, (double)row->runs),
               100 * row->seconds / total, per_second(row->flops, row->seconds) / 1e9,
               per_second(row->bytes, row->seconds) / 1e9, row->kind, row->kernel,
               row->label);
    }
    lm_free(rows);
    return status;
}
