/* Posterior collapse: units whose posterior is the prior, whatever the image. Some always
 * are, since the bound prunes what it does not need; that few are left is a sign of a KL
 * divergence that outweighs the rest (Bowman et al. 2016; Lucas et al. 2019). */
#include "families/vae.h"

#include <stdio.h>
#include <string.h>

/* A verdict is of the mean over a window, so that no single batch decides. Units wake up
 * within the first one, which gets none. */
enum { WINDOW_STEPS = 250, WINDOW_ROWS = 5 };
/* It begins below the first share of active units and ends at the second: in between,
 * nothing changes. */
#define BEGINS_BELOW 0.25
#define ENDS_AT      0.35

typedef struct memory {
    int64_t first, rows; /* of the window: its first step, rows so far; no row: none */
    double active;       /* their sum */
    bool awake;          /* the first window is over */
    bool collapsed;
} memory;

static double number_of(const json_t *row, const char *name) {
    return json_number_value(json_object_get(row, name));
}

static void advise(const lm_vae *vae, lm_notice *notice) {
    size_t used = strlen(notice->text), left = sizeof notice->text - used;
    snprintf(notice->text + used, left,
             "; the others say nothing of them. To try: a beta below %g, %s, %s",
             vae->beta,
             lm_vae_is_weighted(vae) ? "samples=1, dreg=off and free-bits=0.1"
             : vae->free_bits > 0    ? "more free-bits"
                                     : "free-bits=0.1",
             vae->anneal == LM_ANNEAL_NONE ? "beta-schedule=warmup" : "more beta-steps");
}

static void write_notice(const lm_vae *vae, const memory *m, int64_t last, double active,
                         lm_notice *notice) {
    notice->name = "posterior-collapse";
    notice->begins = m->collapsed;
    snprintf(notice->text, sizeof notice->text,
             "posterior collapse%s: %.0f of %d latent units tell images apart (mean of "
             "steps %lld to %lld)",
             m->collapsed ? "" : " is over", active, vae->latent, (long long)m->first,
             (long long)last);
    if (m->collapsed) advise(vae, notice);
}

/* What the window says; true where that is new. */
static bool judge(const lm_vae *vae, memory *m, int64_t last, lm_notice *notice) {
    double active = m->active / (double)m->rows, share = active / vae->latent;
    bool was = m->collapsed;
    if (!m->awake)
        m->awake = true;
    else
        m->collapsed = share < (was ? ENDS_AT : BEGINS_BELOW);
    if (m->collapsed != was) write_notice(vae, m, last, active, notice);
    m->rows = 0;
    m->active = 0;
    return m->collapsed != was;
}

static bool look(const lm_model *model, void *memory_, const json_t *row,
                 lm_notice *notice) {
    const lm_vae *vae = model->state;
    memory *m = memory_;
    bool growing = number_of(row, "beta") < vae->beta * (1 - 1e-3);
    if (growing || !json_object_get(row, "active_units")) return false;
    int64_t step = json_integer_value(json_object_get(row, "step"));
    if (m->rows == 0) m->first = step;
    m->rows++;
    m->active += number_of(row, "active_units");
    bool whole = m->rows >= WINDOW_ROWS && step - m->first >= WINDOW_STEPS;
    return whole && judge(vae, m, step, notice);
}

const lm_family_watch lm_vae_watch = {.size = sizeof(memory), .look = look};
