#include "eval/lpips.h"

#include "base/mem.h"
#include "eval/network.h"
#include "eval/trunk.h"

#include <stdio.h>
#include <string.h>

/* ---- the graph --------------------------------------------------------------- */

typedef struct net {
    const char *name, *file;
    const lm_trunk *trunk;
} net;

static const net nets[] = {{"vgg", "lpips-vgg", &lm_trunk_vgg16},
                           {"alex", "lpips-alex", &lm_trunk_alexnet},
                           {"squeeze", "lpips-squeeze", &lm_trunk_squeezenet}};
enum { N_NETS = sizeof nets / sizeof *nets };

/* A tap of both images of each pair -> [pairs], the mean over positions of the weighted
 * squared distance of channels, which have unit length at each position. */
static lm_node *compare_taps(lm_nn *nn, lm_node *tap, int which) {
    if (!tap) return NULL;
    lm_graph *g = nn->graph;
    const int64_t *d = tap->shape.dim;
    int64_t pairs = d[0] / 2;
    char name[16];
    snprintf(name, sizeof name, "lin%d", which);
    lm_scope_push(g, "%s", name);
    lm_node *weight = lm_nn_param(nn, "weight", LM_SHAPE(d[3]), LM_INIT(ZEROS, 0));
    lm_scope_pop(g);
    lm_node *length = lm_sqrt(g, lm_sum(g, lm_square(g, tap), 1u << 3, true));
    lm_node *unit = lm_div(g, tap, lm_add_scalar(g, length, 1e-10));
    lm_node *difference = lm_sub(g, lm_slice_axis(g, unit, 0, 0, pairs),
                                 lm_slice_axis(g, unit, 0, pairs, 2 * pairs));
    lm_node *weighted = lm_mul(g, lm_square(g, difference), weight);
    return lm_scale(g, lm_sum(g, weighted, 1u << 1 | 1u << 2 | 1u << 3, false),
                    1.0 / (double)(d[1] * d[2]));
}

/* `images` holds the first image of every pair, then the second. */
static void build(lm_nn *nn, const void *what, int64_t batch, int height, int width) {
    static const float shift[] = {-0.030F, -0.088F, -0.188F};
    static const float scale[] = {0.458F, 0.448F, 0.450F};
    float factor[3], offset[3];
    for (int c = 0; c < 3; c++) { /* of bytes: to [-1, 1], then the package's own */
        factor[c] = (float)(1 / (127.5 * scale[c]));
        offset[c] = (float)((-1.0 - shift[c]) / scale[c]);
    }
    lm_node *taps[LM_TRUNK_TAPS], *sum = NULL;
    lm_node *x = lm_network_input(nn, "images", LM_U8, LM_SHAPE(batch, height, width, 3),
                                  factor, offset);
    int count = lm_trunk_build(nn, ((const net *)what)->trunk, x, taps);
    for (int i = 0; i < count; i++) {
        lm_node *part = compare_taps(nn, taps[i], i);
        sum = i == 0 ? part : lm_add(nn->graph, sum, part);
    }
    lm_graph_output(nn->graph, "distance", sum);
}

/* ---- life -------------------------------------------------------------------- */

struct lm_lpips {
    const net *net;
    lm_network *network;
    char id[16];
};

static lm_status find_net(const char *name, size_t length, const net **found) {
    const char *names[N_NETS + 1] = {NULL};
    char wanted[16];
    snprintf(wanted, sizeof wanted, "%.*s", (int)length, name);
    for (int i = 0; i < N_NETS; i++) {
        *found = &nets[i];
        if (strcmp(nets[i].name, wanted) == 0) return LM_OK;
        names[i] = nets[i].name;
    }
    const char *near = lm_nearest(wanted, names);
    return lm_fail(LM_NOT_FOUND, "lpips:%s: no such net; did you mean %s", wanted,
                   near ? near : names[0]);
}

lm_status lm_lpips_open(const char *spec, lm_lpips **lpips) {
    *lpips = NULL;
    const char *colon = strchr(spec, ':');
    const net *chosen;
    LM_TRY(find_net(spec, colon ? (size_t)(colon - spec) : strlen(spec), &chosen));
    lm_lpips *made = lm_calloc(1, sizeof *made);
    if (!made) return LM_NOMEM;
    made->net = chosen;
    snprintf(made->id, sizeof made->id, "lpips:%s", chosen->name);
    lm_network_spec network = {.name = chosen->file,
                               .chapter = "LPIPS",
                               .build = build,
                               .what = chosen,
                               .side = 64};
    lm_status status =
        lm_network_open(&network, colon ? colon + 1 : NULL, &made->network);
    if (status == LM_OK)
        *lpips = made;
    else
        lm_lpips_free(made);
    return status;
}

void lm_lpips_free(lm_lpips *lpips) {
    if (!lpips) return;
    lm_network_free(lpips->network);
    lm_free(lpips);
}

const char *lm_lpips_id(const lm_lpips *lpips) {
    return lpips->id;
}

const char *lm_lpips_weights(const lm_lpips *lpips) {
    return lpips->network->weights;
}

/* ---- pairs ------------------------------------------------------------------- */

/* Most pairs of a batch, and most pixels of its first images: VGG16's widest layer takes
 * 256 bytes a pixel, and a few of that size are alive at a time. */
enum { MOST_PAIRS = 32, MOST_PIXELS = 1 << 15, MOST_SIDE = 4096 };

static lm_status check(const lm_lpips *lpips, const lm_lpips_images *a,
                       const lm_lpips_images *b) {
    LM_RETURN_IF(a->count != b->count || a->height != b->height || a->width != b->width ||
                     a->channels != b->channels,
                 LM_MISMATCH, "%s: %lld images of %dx%dx%d and %lld of %dx%dx%d",
                 lpips->id, (long long)a->count, a->height, a->width, a->channels,
                 (long long)b->count, b->height, b->width, b->channels);
    LM_RETURN_IF(a->channels != 1 && a->channels != 3, LM_UNSUPPORTED,
                 "%s: images with %d channels, not 1 or 3", lpips->id, a->channels);
    int least = lpips->net->trunk->least;
    bool fits = a->height >= least && a->width >= least && a->height <= MOST_SIDE &&
                a->width <= MOST_SIDE;
    LM_RETURN_IF(!fits, LM_UNSUPPORTED,
                 "%s: images of %dx%d pixels, sides must be %d to %d", lpips->id,
                 a->height, a->width, least, MOST_SIDE);
    return LM_OK;
}

static void copy_rgb(const lm_lpips_images *images, int64_t first, int64_t count,
                     uint8_t *to) {
    size_t each = (size_t)images->height * images->width * images->channels;
    const uint8_t *from = images->pixels + (size_t)first * each;
    size_t total = (size_t)count * each;
    if (images->channels == 3)
        memcpy(to, from, total);
    else
        for (size_t i = 0; i < total; i++) memset(to + 3 * i, from[i], 3);
}

lm_status lm_lpips_pairs(lm_lpips *lpips, const lm_lpips_images *a,
                         const lm_lpips_images *b, const lm_metric_hook *hook,
                         float *distance) {
    LM_TRY(check(lpips, a, b));
    int64_t pixels = (int64_t)a->height * a->width, batch = MOST_PIXELS / pixels;
    if (batch > MOST_PAIRS) batch = MOST_PAIRS;
    if (batch < 1) batch = 1;
    LM_TRY(lm_network_fit(lpips->network, 2 * batch, a->height, a->width));
    int64_t half = batch * pixels * 3;
    lm_program *program = lpips->network->program;
    uint8_t *images = lm_calloc(2, (size_t)half);
    float values[MOST_PAIRS];
    lm_status status = images ? LM_OK : LM_NOMEM;
    for (int64_t done = 0; done < a->count && status == LM_OK;) {
        int64_t now = a->count - done < batch ? a->count - done : batch;
        copy_rgb(a, done, now, images);
        copy_rgb(b, done, now, images + half);
        LM_TRY_GOTO(out, lm_program_set(program, "images", LM_U8, images, 2 * half));
        LM_TRY_GOTO(out, lm_program_run(program));
        LM_TRY_GOTO(out, lm_program_get(program, "distance", LM_F32, values, batch));
        memcpy(distance + done, values, (size_t)now * sizeof *values);
        done += now;
        status = lm_metric_progress(hook, lpips->id, (double)done / (double)a->count);
    }
out:
    lm_free(images);
    return status;
}
