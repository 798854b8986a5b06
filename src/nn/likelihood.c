#include "nn/likelihood.h"

#include <math.h>
#include <string.h>

#define HALF_LOG_2PI 0.91893853320467274178
/* Learned log scales stay above these, softly, as a sharper density would only chase the
 * steps of the bytes. */
#define LEAST_LOG_SIGMA    -6.0
#define LEAST_LOG_LOGISTIC -7.0
/* Half a step of the bytes, where they span -1 to 1. */
#define HALF_STEP (1.0 / 255)

/* ---- what there is ----------------------------------------------------------- */

static const char *const kinds[] = {
#define X(NAME, text) text,
    LM_LIKELIHOOD_MAP(X)
#undef X
        NULL};
static const char *const scales[] = {
#define X(NAME, text) text,
    LM_SCALE_MAP(X)
#undef X
        NULL};

static int find_name(const char *const *names, const char *name) {
    for (int i = 0; names[i]; i++)
        if (strcmp(names[i], name) == 0) return i;
    return -1;
}

static bool has_scale(const lm_likelihood *l) {
    return l->kind == LM_LIKELIHOOD_GAUSSIAN || l->kind == LM_LIKELIHOOD_LAPLACE ||
           l->kind == LM_LIKELIHOOD_LOGISTIC;
}

static bool has_range(const lm_likelihood *l) {
    return l->kind == LM_LIKELIHOOD_GAUSSIAN || l->kind == LM_LIKELIHOOD_LAPLACE;
}

static bool is_bernoulli(const lm_likelihood *l) {
    return l->kind == LM_LIKELIHOOD_BERNOULLI ||
           l->kind == LM_LIKELIHOOD_CONTINUOUS_BERNOULLI;
}

static lm_status check(const lm_likelihood *l, const char *range) {
    LM_RETURN_IF(l->channels != 1 && l->channels != 3, LM_ARG,
                 "likelihood: images of %d channels; expected 1 or 3", l->channels);
    LM_RETURN_IF(l->kind == LM_LIKELIHOOD_LOGISTIC &&
                     (l->scale == LM_SCALE_FIXED || l->scale == LM_SCALE_OPTIMAL),
                 LM_ARG,
                 "scale: %s does not go with the likelihood logistic; expected "
                 "shared or pixel",
                 scales[l->scale]);
    LM_RETURN_IF(l->kind == LM_LIKELIHOOD_LOGISTIC_MIXTURE &&
                     (l->mixtures < 1 || l->mixtures > 64),
                 LM_ARG, "mixtures: %d is not within 1 and 64", l->mixtures);
    LM_RETURN_IF(has_scale(l) && l->scale == LM_SCALE_FIXED && !(l->sigma > 0), LM_ARG,
                 "sigma: %g is not above 0", l->sigma);
    bool fits = !range || has_range(l) ||
                (strcmp(range, "unit") == 0) == (l->range == LM_RANGE_UNIT);
    LM_RETURN_IF(!fits, LM_ARG, "range: the likelihood %s sees pixels as %s",
                 kinds[l->kind], l->range == LM_RANGE_UNIT ? "unit" : "signed");
    return LM_OK;
}

lm_status lm_likelihood_make(const char *kind, const char *scale, const char *range,
                             double sigma, int mixtures, int channels,
                             lm_likelihood *likelihood) {
    int k = find_name(kinds, kind), s = find_name(scales, scale);
    LM_RETURN_IF(k < 0, LM_ARG, "likelihood: %s is not one of %s", kind,
                 LM_LIKELIHOOD_NAMES);
    LM_RETURN_IF(s < 0, LM_ARG, "scale: %s is not one of %s", scale, LM_SCALE_NAMES);
    lm_likelihood l = {.kind = (lm_likelihood_kind)k,
                       .scale = (lm_scale_kind)s,
                       .sigma = sigma,
                       .channels = channels,
                       .mixtures = mixtures};
    l.range = is_bernoulli(&l) ? LM_RANGE_UNIT : LM_RANGE_SIGNED;
    if (has_range(&l) && range && strcmp(range, "unit") == 0) l.range = LM_RANGE_UNIT;
    LM_TRY(check(&l, range));
    *likelihood = l;
    return LM_OK;
}

const char *lm_likelihood_text(const lm_likelihood *likelihood) {
    return kinds[likelihood->kind];
}

int lm_likelihood_params(const lm_likelihood *l) {
    int c = l->channels;
    if (l->kind == LM_LIKELIHOOD_LOGISTIC_MIXTURE)
        return l->mixtures * (1 + 2 * c + c * (c - 1) / 2);
    return has_scale(l) && l->scale == LM_SCALE_PIXEL ? 2 * c : c;
}

bool lm_likelihood_is_discrete(const lm_likelihood *l) {
    return l->kind == LM_LIKELIHOOD_BERNOULLI || l->kind == LM_LIKELIHOOD_LOGISTIC ||
           l->kind == LM_LIKELIHOOD_LOGISTIC_MIXTURE;
}

static double range_width(const lm_likelihood *l) {
    return l->range == LM_RANGE_UNIT ? 1 : 2;
}

double lm_likelihood_offset(const lm_likelihood *l) {
    return lm_likelihood_is_discrete(l) ? 0 : log(range_width(l) / 256);
}

/* ---- targets ----------------------------------------------------------------- */

lm_node *lm_likelihood_target(lm_nn *nn, const lm_likelihood *l, lm_node *images,
                              lm_node *noise) {
    lm_graph *g = nn->graph;
    if (!images) return NULL;
    lm_node *x = lm_cast(g, images, LM_F32);
    if (l->kind == LM_LIKELIHOOD_BERNOULLI)
        return lm_where(g, lm_lt(g, x, lm_const(g, 128)), lm_const_like(g, 0, x),
                        lm_const_like(g, 1, x));
    bool dequantised = noise && !lm_likelihood_is_discrete(l);
    if (dequantised) x = lm_add(g, x, noise);
    x = lm_scale(g, x, range_width(l) / (dequantised ? 256 : 255));
    return l->range == LM_RANGE_SIGNED ? lm_add_scalar(g, x, -1) : x;
}

/* ---- parts of log-likelihoods ------------------------------------------------ */

static lm_node *softplus(lm_graph *g, lm_node *a) {
    return lm_ew1(g, LM_EW_SOFTPLUS, a);
}

static lm_node *sum_values(lm_graph *g, lm_node *log_prob) {
    return lm_sum(g, log_prob, 0xe, false);
}

/* Channels lo .. hi-1 of params. */
static lm_node *pick(lm_graph *g, lm_node *params, int lo, int hi) {
    return lm_slice_axis(g, params, -1, lo, hi);
}

/* x l - log(1 + e^l) */
static lm_node *log_bernoulli(lm_graph *g, lm_node *logits, lm_node *x) {
    return lm_sub(g, lm_mul(g, x, logits), softplus(g, logits));
}

/* |l| below which quotients of l are taken from their series, which leaves errors below
 * 1e-10; with f32's 1e-7 the quotients themselves would lose digits there. */
#define SERIES_BELOW 0.25

/* `near` where |l| is small, `far` elsewhere; `safe` is l with what is small replaced by
 * 1, so that `far` is finite there, and its gradient. */
static lm_node *is_near(lm_graph *g, lm_node *logits) {
    return lm_lt(g, lm_ew1(g, LM_EW_ABS, logits), lm_const(g, SERIES_BELOW));
}

static lm_node *make_safe(lm_graph *g, lm_node *logits) {
    return lm_where(g, is_near(g, logits), lm_const_like(g, 1, logits), logits);
}

/* c[0] + c[1] s + c[2] s^2 .. */
static lm_node *polynomial(lm_graph *g, lm_node *s, const double *c, int count) {
    lm_node *sum = lm_const_like(g, c[count - 1], s);
    for (int i = count - 2; i >= 0; i--) sum = lm_add_scalar(g, lm_mul(g, sum, s), c[i]);
    return sum;
}

/* log C of the continuous Bernoulli by its logits, C = l / tanh(l/2). Near 0
 * log(u coth u) = u^2/3 - 7 u^4/90 + 62 u^6/2835 - 127 u^8/18900 + .. with u = l/2. */
static lm_node *log_normaliser(lm_graph *g, lm_node *logits) {
    static const double series[] = {M_LN2,         1.0 / 12,         -7.0 / 1440,
                                    62.0 / 181440, -127.0 / 4838400, 146.0 / 68428800};
    lm_node *safe = make_safe(g, logits);
    lm_node *far = lm_log(g, lm_div(g, safe, lm_tanh(g, lm_scale(g, safe, 0.5))));
    lm_node *near =
        polynomial(g, lm_square(g, logits), series, sizeof series / sizeof *series);
    return lm_where(g, is_near(g, logits), near, far);
}

static lm_node *log_gaussian(lm_graph *g, lm_node *difference, lm_node *log_sigma) {
    lm_node *z = lm_mul(g, difference, lm_exp(g, lm_neg(g, log_sigma)));
    lm_node *density = lm_sub(g, lm_scale(g, lm_square(g, z), -0.5), log_sigma);
    return lm_add_scalar(g, density, -HALF_LOG_2PI);
}

static lm_node *log_laplace(lm_graph *g, lm_node *difference, lm_node *log_b) {
    lm_node *z = lm_mul(g, lm_ew1(g, LM_EW_ABS, difference), lm_exp(g, lm_neg(g, log_b)));
    return lm_add_scalar(g, lm_neg(g, lm_add(g, z, log_b)), -M_LN2);
}

/* The logistic distribution's share of the step around x. With a and b at the step's ends
 * sigmoid(a) - sigmoid(b) = (1 - e^(b-a)) sigmoid(a) sigmoid(-b), whose logarithm loses
 * no digits; outer steps are open, which drops factors. */
static lm_node *log_step(lm_graph *g, lm_node *x, lm_node *mean, lm_node *log_s) {
    lm_node *sharp = lm_exp(g, lm_neg(g, log_s)), *difference = lm_sub(g, x, mean);
    lm_node *a = lm_mul(g, sharp, lm_add_scalar(g, difference, HALF_STEP));
    lm_node *b = lm_mul(g, sharp, lm_add_scalar(g, difference, -HALF_STEP));
    lm_node *below = lm_neg(g, softplus(g, lm_neg(g, a)));
    lm_node *above = lm_neg(g, softplus(g, b));
    lm_node *width = lm_ew1(g, LM_EW_EXPM1, lm_scale(g, sharp, -2 * HALF_STEP));
    lm_node *both = lm_add(g, lm_add(g, below, above), lm_log(g, lm_neg(g, width)));
    lm_node *inner = lm_where(g, lm_lt(g, x, lm_const(g, 1 - HALF_STEP)), both, above);
    return lm_where(g, lm_lt(g, x, lm_const(g, HALF_STEP - 1)), below, inner);
}

static lm_node *bound_below(lm_graph *g, lm_node *log_scale, double least) {
    return lm_add_scalar(g, softplus(g, lm_add_scalar(g, log_scale, -least)), least);
}

/* ---- scales ------------------------------------------------------------------ */

typedef lm_node *(*log_density)(lm_graph *g, lm_node *difference, lm_node *log_scale);

/* Adam moves every parameter by about its rate, and from 1 to the scales of images it is
 * far: what is trained is a tenth. */
static lm_node *trained_scale(lm_nn *nn) {
    return lm_scale(nn->graph,
                    lm_nn_param(nn, "tenth_log_scale", LM_SHAPE(1), LM_INIT(ZEROS, 0)),
                    10);
}

/* The scale that makes a batch most likely: the root of the mean square (Gaussian) or the
 * mean size (Laplace) of its differences. Its own gradient vanishes at the optimum. */
static lm_node *best_scale(lm_graph *g, lm_node *difference, bool laplace) {
    lm_node *size = laplace ? lm_ew1(g, LM_EW_ABS, difference) : lm_square(g, difference);
    lm_node *mean = lm_stop_grad(g, lm_mean_all(g, size));
    lm_node *log_mean = lm_log(g, lm_add_scalar(g, mean, 1e-12));
    return laplace ? log_mean : lm_scale(g, log_mean, 0.5);
}

/* While training, the value is that of the batch's own scale; a term of value 0 whose
 * gradient reaches nothing but "tenth_log_scale" teaches that number to follow. */
static lm_node *log_optimal(lm_nn *nn, log_density density, lm_node *difference) {
    lm_graph *g = nn->graph;
    lm_node *trained = trained_scale(nn);
    if (!nn->train) return density(g, difference, trained);
    lm_node *best = best_scale(g, difference, density == log_laplace);
    lm_node *follow = density(g, lm_stop_grad(g, difference), trained);
    lm_node *lesson = lm_sub(g, follow, lm_stop_grad(g, follow));
    return lm_add(g, density(g, difference, best), lesson);
}

static lm_node *log_located(lm_nn *nn, const lm_likelihood *l, lm_node *params,
                            lm_node *target) {
    lm_graph *g = nn->graph;
    int c = l->channels;
    log_density density = l->kind == LM_LIKELIHOOD_LAPLACE ? log_laplace : log_gaussian;
    lm_node *difference = lm_sub(g, target, pick(g, params, 0, c));
    switch (l->scale) {
    case LM_SCALE_FIXED:
        return density(g, difference, lm_const(g, log(l->sigma)));
    case LM_SCALE_SHARED:
        return density(g, difference, trained_scale(nn));
    case LM_SCALE_PIXEL:
        break;
    case LM_SCALE_OPTIMAL:
        return log_optimal(nn, density, difference);
    }
    return density(g, difference,
                   bound_below(g, pick(g, params, c, 2 * c), LEAST_LOG_SIGMA));
}

static lm_node *log_logistic(lm_nn *nn, const lm_likelihood *l, lm_node *params,
                             lm_node *target) {
    lm_graph *g = nn->graph;
    int c = l->channels;
    lm_node *log_s =
        l->scale == LM_SCALE_SHARED ? trained_scale(nn) : pick(g, params, c, 2 * c);
    return log_step(g, target, pick(g, params, 0, c),
                    bound_below(g, log_s, LEAST_LOG_LOGISTIC));
}

/* ---- mixtures ---------------------------------------------------------------- */

/* Params of a mixture of K, as blocks of K: logits; means of each colour; log scales of
 * each colour; for three colours the share of red in green's mean, and of red and green
 * in blue's. */
typedef struct mixture {
    lm_graph *g;
    lm_node *params;
    int k, colours;
} mixture;

static lm_node *block(const mixture *m, int index) {
    return pick(m->g, m->params, index * m->k, (index + 1) * m->k);
}

static lm_node *mean_block(const mixture *m, int colour) {
    return block(m, 1 + colour);
}

static lm_node *scale_block(const mixture *m, int colour) {
    return bound_below(m->g, block(m, 1 + m->colours + colour), LEAST_LOG_LOGISTIC);
}

static lm_node *share_block(const mixture *m, int index) {
    return lm_tanh(m->g, block(m, 1 + 2 * m->colours + index));
}

/* The mean of a colour, given the earlier ones: values [N,H,W,1 or K] each. */
static lm_node *shifted_mean(const mixture *m, int colour, lm_node *const *earlier) {
    lm_node *mean = mean_block(m, colour);
    for (int i = 0; i < colour; i++) {
        lm_node *share = share_block(m, colour * (colour - 1) / 2 + i);
        mean = lm_add(m->g, mean, lm_mul(m->g, share, earlier[i]));
    }
    return mean;
}

static mixture read_mixture(lm_nn *nn, const lm_likelihood *l, lm_node *params) {
    return (mixture){nn->graph, params, l->mixtures, l->channels};
}

/* [N,H,W,1]: all colours of a pixel together. */
static lm_node *log_mixture(lm_nn *nn, const lm_likelihood *l, lm_node *params,
                            lm_node *target) {
    const mixture m = read_mixture(nn, l, params);
    lm_graph *g = nn->graph;
    lm_node *x[3], *logits = block(&m, 0), *sum = logits;
    for (int c = 0; c < m.colours; c++) {
        x[c] = pick(g, target, c, c + 1);
        lm_node *mean = shifted_mean(&m, c, x);
        if (!mean) return NULL;
        lm_node *wide = lm_broadcast(g, x[c], mean->shape);
        sum = lm_add(g, sum, log_step(g, wide, mean, scale_block(&m, c)));
    }
    return lm_sub(g, lm_logsumexp(g, sum), lm_logsumexp(g, logits));
}

/* Means depend on earlier colours linearly, so their expectation within a component needs
 * no more than the earlier expectations. */
static lm_node *mean_of_mixture(lm_nn *nn, const lm_likelihood *l, lm_node *params) {
    const mixture m = read_mixture(nn, l, params);
    lm_graph *g = nn->graph;
    lm_node *share = lm_softmax(g, block(&m, 0)), *each[3], *colour[3];
    for (int c = 0; c < m.colours; c++) {
        each[c] = shifted_mean(&m, c, each);
        colour[c] = lm_sum(g, lm_mul(g, share, each[c]), 1u << 3, true);
    }
    return lm_concat(g, colour, m.colours, 3);
}

/* ---- all together ------------------------------------------------------------ */

lm_node *lm_likelihood_log_prob(lm_nn *nn, const lm_likelihood *l, lm_node *params,
                                lm_node *target) {
    lm_graph *g = nn->graph;
    lm_node *each = NULL;
    switch (l->kind) {
    case LM_LIKELIHOOD_BERNOULLI:
        each = log_bernoulli(g, params, target);
        break;
    case LM_LIKELIHOOD_CONTINUOUS_BERNOULLI:
        each = lm_add(g, log_bernoulli(g, params, target), log_normaliser(g, params));
        break;
    case LM_LIKELIHOOD_GAUSSIAN:
    case LM_LIKELIHOOD_LAPLACE:
        each = log_located(nn, l, params, target);
        break;
    case LM_LIKELIHOOD_LOGISTIC:
        each = log_logistic(nn, l, params, target);
        break;
    case LM_LIKELIHOOD_LOGISTIC_MIXTURE:
        each = log_mixture(nn, l, params, target);
        break;
    }
    return sum_values(g, each);
}

/* 1/(1 - e^-l) - 1/l; near 0 1/2 + l/12 - l^3/720 + l^5/30240 - l^7/1209600 + .. */
static lm_node *mean_of_continuous(lm_graph *g, lm_node *logits) {
    static const double series[] = {1.0 / 12, -1.0 / 720, 1.0 / 30240, -1.0 / 1209600};
    lm_node *safe = make_safe(g, logits), *one = lm_const(g, 1);
    lm_node *open = lm_neg(g, lm_ew1(g, LM_EW_EXPM1, lm_neg(g, safe)));
    lm_node *far = lm_sub(g, lm_div(g, one, open), lm_div(g, one, safe));
    lm_node *odd =
        polynomial(g, lm_square(g, logits), series, sizeof series / sizeof *series);
    lm_node *near = lm_add_scalar(g, lm_mul(g, odd, logits), 0.5);
    return lm_where(g, is_near(g, logits), near, far);
}

lm_node *lm_likelihood_mean(lm_nn *nn, const lm_likelihood *l, lm_node *params) {
    lm_graph *g = nn->graph;
    lm_node *mean = NULL;
    switch (l->kind) {
    case LM_LIKELIHOOD_BERNOULLI:
        mean = lm_sigmoid(g, params);
        break;
    case LM_LIKELIHOOD_CONTINUOUS_BERNOULLI:
        mean = mean_of_continuous(g, params);
        break;
    case LM_LIKELIHOOD_GAUSSIAN:
    case LM_LIKELIHOOD_LAPLACE:
    case LM_LIKELIHOOD_LOGISTIC:
        mean = pick(g, params, 0, l->channels);
        break;
    case LM_LIKELIHOOD_LOGISTIC_MIXTURE:
        mean = mean_of_mixture(nn, l, params);
        break;
    }
    if (l->range == LM_RANGE_UNIT) mean = lm_add_scalar(g, lm_scale(g, mean, 2), -1);
    return lm_clamp(g, mean, -1, 1);
}
