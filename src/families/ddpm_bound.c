/* The variational bound of Ho et al. 2020, eq. 5, of the chain that ancestral sampling
 * is: L_T, which knows no network, the divergences L_{t-1}, and L_0, a normal
 * distribution's mass on the byte. Term 0 is L_0 and L_T, term t is L_t. */
#include "base/mem.h"
#include "families/ddpm.h"

#include <math.h>
#include <string.h>

enum { TIME, SIGNAL, SPREAD, X0_FROM_X, X0_FROM_PREDICTION, SCALARS };

lm_status lm_ddpm_bound(const lm_model *model, lm_bound *bound) {
    const lm_ddpm *ddpm = model->state;
    lm_str protocol = LM_STR_INIT;
    lm_str_printf(&protocol, "variance=%s clip-x0=%s",
                  lm_setting_text(&model->settings, "variance"),
                  lm_ddpm_clips(model) ? "yes" : "no");
    *bound = (lm_bound){.n_terms = ddpm->timesteps, .n_scalars = SCALARS};
    bound->protocol = protocol.text; /* the string's own block, handed over */
    bound->scalars = lm_alloc(sizeof(float) * SCALARS * (size_t)ddpm->timesteps);
    if (!bound->scalars || protocol.failed) {
        lm_bound_release(bound);
        return LM_NOMEM;
    }
    for (int t = 0; t < ddpm->timesteps; t++) {
        double bar = ddpm->alpha_bar[t];
        float *row = bound->scalars + (size_t)t * SCALARS;
        row[TIME] = (float)t;
        row[SIGNAL] = (float)sqrt(bar);
        row[SPREAD] = (float)sqrt(1 - bar);
        row[X0_FROM_X] = (float)(ddpm->predicts_v ? sqrt(bar) : 1 / sqrt(bar));
        row[X0_FROM_PREDICTION] = (float)sqrt(ddpm->predicts_v ? 1 - bar : 1 / bar - 1);
    }
    return LM_OK;
}

static lm_node *column(lm_graph *g, lm_node *rows, int which, lm_shape shape) {
    return lm_reshape(g, lm_slice_axis(g, rows, 1, which, which + 1), shape);
}

lm_node *lm_ddpm_bound_guess(const lm_model *model, lm_nn *nn, lm_node *images,
                             lm_node *rows, lm_node *labels) {
    if (!images || !rows) return NULL;
    lm_graph *g = nn->graph;
    int64_t n = images->shape.dim[0];
    lm_shape each = LM_SHAPE(n, 1, 1, 1);
    lm_node *noise = lm_normal(g, nn->key, LM_DDPM_STREAM_BOUND, images->shape);
    lm_node *noisy =
        lm_add(g, lm_mul(g, column(g, rows, SIGNAL, each), lm_nn_signed(g, images)),
               lm_mul(g, column(g, rows, SPREAD, each), noise));
    lm_node *t = column(g, rows, TIME, LM_SHAPE(n));
    lm_node *said = lm_ddpm_predict(model, nn, noisy, t, labels);
    lm_node *guess = lm_sub(g, lm_mul(g, column(g, rows, X0_FROM_X, each), noisy),
                            lm_mul(g, column(g, rows, X0_FROM_PREDICTION, each), said));
    return lm_ddpm_clips(model) ? lm_clamp(g, guess, -1, 1) : guess;
}

/* ---- terms ------------------------------------------------------------------- */

/* log of the normal distribution's mass between a and b, a < b, where differences of its
 * distribution function would be of numbers next to 1, or of zeros. */
static double log_mass(double a, double b) {
    const double half_log_two_pi = 0.918938533204672742;
    if (a + b > 0) {
        double mirrored = -a;
        a = -b;
        b = mirrored;
    }
    double mass = 0.5 * (erfc(-b * M_SQRT1_2) - erfc(-a * M_SQRT1_2));
    return mass > 0 ? log(mass) : -0.5 * b * b - half_log_two_pi - log(-b);
}

double lm_discrete_normal(uint8_t byte, double mean, double deviation) {
    double x = byte / 127.5 - 1;
    double a = byte == 0 ? -INFINITY : (x - 1 / 255.0 - mean) / deviation;
    double b = byte == 255 ? INFINITY : (x + 1 / 255.0 - mean) / deviation;
    return log_mass(a, b);
}

/* Of q(x_{t-1} | x_t, x_0): eq. 7. At t = 0 it is 0, and that of t = 1 stands for it, as
 * in Ho et al.'s code. */
static double posterior_variance(const lm_ddpm *ddpm, int t) {
    if (ddpm->timesteps == 1) return 1 - ddpm->alpha_bar[0];
    if (t == 0) t = 1;
    double now = ddpm->alpha_bar[t], next = ddpm->alpha_bar[t - 1];
    return (1 - next) / (1 - now) * (1 - now / next);
}

static double first_term(const lm_ddpm *ddpm, const uint8_t *image, const float *guess,
                         int64_t count) {
    double deviation = sqrt(posterior_variance(ddpm, 0)), nats = 0;
    double last = ddpm->alpha_bar[ddpm->timesteps - 1];
    for (int64_t i = 0; i < count; i++) {
        double x = image[i] / 127.5 - 1;
        nats -= lm_discrete_normal(image[i], guess[i], deviation);
        nats += 0.5 * (last * x * x - last - log1p(-last));
    }
    return nats;
}

double lm_ddpm_bound_term(const lm_model *model, int term, const uint8_t *image,
                          const float *guess) {
    const lm_ddpm *ddpm = model->state;
    const lm_image_info *info = &model->info;
    int64_t count = (int64_t)info->height * info->width * info->channels;
    if (term == 0) return first_term(ddpm, image, guess, count);
    double now = ddpm->alpha_bar[term], next = ddpm->alpha_bar[term - 1];
    double beta = 1 - now / next, posterior = posterior_variance(ddpm, term);
    bool large = strcmp(lm_setting_text(&model->settings, "variance"), "large") == 0;
    double variance = large ? beta : posterior, from_x0 = sqrt(next) * beta / (1 - now);
    double squares = 0;
    for (int64_t i = 0; i < count; i++) {
        double apart = image[i] / 127.5 - 1 - guess[i];
        squares += apart * apart;
    }
    double ratio = posterior / variance;
    return 0.5 * (double)count * (ratio - 1 - log(ratio)) +
           from_x0 * from_x0 * squares / (2 * variance);
}
