/* Convolution and its two adjoints through oneDNN. Activations are used in place (NHWC);
 * weights (OHWI) go through a private copy in the layout that the primitive likes, which
 * is made again only when the weights were written.
 *
 * oneDNN 2.6 has its fastest f32 kernel (brgemm) for the forward pass only, so the
 * adjoint in x of a stride-1 convolution runs as a forward one over flipped weights: on
 * 64 channels 28x28, 128 at 14x14 and 7x7, batch 64, 2 cores, 237, 241 and 275 GFLOP/s
 * against 226, 243 and 267. From 3.x on (3.2: 223, 241, 266) there is nothing to gain.
 * The adjoint in the weights of a convolution to 1 or 3 channels is 5 to 15 times as fast
 * flipped. A 1x1 convolution as a matrix product was never faster. */
#include "backend/cpu/conv.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

typedef struct conv_state {
    lm_dnnl *dnnl;
    lm_dnnl_op conv;
    lm_dnnl_op pack;  /* OHWI to the primitive's layout; for wgrad the other way */
    bool packs;       /* false: the primitive takes OHWI as it is */
    void *packed;     /* the copy of the weights */
    uint64_t version; /* of the weights in it; 0: none */
    struct {
        int64_t filters, taps, row; /* row: floats at one tap */
    } flip;
    bool flipped;
    size_t extra; /* offset in the workspace: flipped weights, or the packed gradient */
    size_t mirrored; /* offset in the workspace: the gradient before its flip */
    char name[80];
} conv_state;

/* ---- flipping ---------------------------------------------------------------- */

/* With stride 1 the adjoint in x is a forward convolution from y to x over mirrored
 * weights, and the adjoint in the weights that of this convolution, mirrored. False where
 * there is none. */
static bool flip_conv(const lm_dnnl_conv *conv, lm_dnnl_conv *flipped) {
    *flipped = *conv;
    if (conv->pass == LM_DNNL_FORWARD || conv->groups > 1) return false;
    if (conv->pass == LM_DNNL_BACK_DATA) flipped->pass = LM_DNNL_FORWARD;
    flipped->in_channels = conv->out_channels;
    flipped->out_channels = conv->in_channels;
    for (int i = 0; i < 2; i++) {
        int64_t reach = (conv->kernel[i] - 1) * conv->dilation[i];
        flipped->in[i] = conv->out[i];
        flipped->out[i] = conv->in[i];
        flipped->pad_lo[i] = reach - conv->pad_lo[i];
        flipped->pad_hi[i] = reach - conv->pad_hi[i];
        if (conv->stride[i] != 1 || flipped->pad_lo[i] < 0 || flipped->pad_hi[i] < 0)
            return false;
    }
    return true;
}

/* ---- running ----------------------------------------------------------------- */

static void *offset(void *base, size_t bytes) {
    return (char *)base + bytes;
}

/* Reverses both axes of the kernel: the taps backwards. */
static void flip_weights(const conv_state *state, const float *from, float *to) {
    int64_t taps = state->flip.taps, row = state->flip.row;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < state->flip.filters * taps; i++) {
        int64_t mirrored = i - i % taps + (taps - 1 - i % taps);
        memcpy(to + mirrored * row, from + i * row, (size_t)row * sizeof *to);
    }
}

/* Points *weights at weights in the primitive's layout. */
static lm_status pack_weights(conv_state *state, const lm_kernel_args *args,
                              void **weights) {
    uint64_t version = args->version[1];
    *weights = (void *)args->in[1];
    if (!state->packs) return LM_OK;
    if (version == 0 || version != state->version) {
        void *from = *weights;
        if (state->flip.taps > 1) {
            from = offset(args->workspace, state->extra);
            flip_weights(state, *weights, from);
        }
        state->version = 0;
        LM_TRY(lm_dnnl_op_run(state->dnnl, &state->pack, (void *[]){from, state->packed},
                              args->workspace));
        state->version = version;
    }
    *weights = state->packed;
    return LM_OK;
}

/* Also the adjoint in x by flipped weights. */
static lm_status run_forward(lm_kernel *kernel, const lm_kernel_args *args) {
    conv_state *state = kernel->state;
    bool bias = state->conv.n_args == 4;
    void *data[] = {(void *)args->in[0], NULL, args->out[0],
                    bias ? (void *)args->in[2] : NULL};
    LM_TRY(pack_weights(state, args, &data[1]));
    return lm_dnnl_op_run(state->dnnl, &state->conv, data, args->workspace);
}

static lm_status run_back_data(lm_kernel *kernel, const lm_kernel_args *args) {
    conv_state *state = kernel->state;
    void *data[] = {args->out[0], NULL, (void *)args->in[0]};
    LM_TRY(pack_weights(state, args, &data[1]));
    return lm_dnnl_op_run(state->dnnl, &state->conv, data, args->workspace);
}

static lm_status run_back_weights(lm_kernel *kernel, const lm_kernel_args *args) {
    conv_state *state = kernel->state;
    bool mirrors = state->flip.taps > 1;
    void *gradient = state->packs ? offset(args->workspace, state->extra) : args->out[0];
    void *plain = mirrors ? offset(args->workspace, state->mirrored) : args->out[0];
    void *data[] = {(void *)args->in[state->flipped], gradient,
                    (void *)args->in[!state->flipped]};
    LM_TRY(lm_dnnl_op_run(state->dnnl, &state->conv, data, args->workspace));
    if (!state->packs) return LM_OK;
    LM_TRY(lm_dnnl_op_run(state->dnnl, &state->pack, (void *[]){gradient, plain},
                          args->workspace));
    if (mirrors) flip_weights(state, plain, args->out[0]);
    return LM_OK;
}

/* ---- making ------------------------------------------------------------------ */

static void release_conv(lm_kernel *kernel) {
    conv_state *state = kernel->state;
    lm_dnnl_op_release(&state->conv);
    lm_dnnl_op_release(&state->pack);
    lm_free_aligned(state->packed);
    lm_cpu_kernel_release(kernel);
}

static size_t round_up(size_t bytes) {
    return (bytes + 63) / 64 * 64;
}

/* The reorder between the user's weights and the primitive's, with the memory it needs:
 * a lasting copy of weights, or room in the workspace for a gradient. */
static lm_status make_pack(lm_kernel *kernel, bool gradient, const lm_layout *user,
                           const lm_layout *chosen) {
    conv_state *state = kernel->state;
    state->packs = state->flip.taps > 1 || !lm_layout_equal(user, chosen);
    if (state->packs) {
        LM_TRY(gradient ? lm_dnnl_reorder_init(state->dnnl, chosen, user, &state->pack)
                        : lm_dnnl_reorder_init(state->dnnl, user, chosen, &state->pack));
        if (!gradient) {
            state->packed = lm_alloc_aligned(lm_layout_bytes(chosen));
            if (!state->packed) return LM_NOMEM;
        }
    }
    size_t scratch = state->conv.scratch > state->pack.scratch ? state->conv.scratch
                                                               : state->pack.scratch;
    state->extra = round_up(scratch);
    state->mirrored = state->extra;
    if (state->packs && gradient) state->mirrored += round_up(lm_layout_bytes(chosen));
    kernel->workspace =
        state->mirrored + (state->flip.taps > 1 ? lm_layout_bytes(user) : 0);
    return LM_OK;
}

/* Strides of the weights in memory, as the primitive's o, h, w, i see them. */
static void weight_strides(const lm_dnnl_conv *conv, bool flipped, int64_t stride[4]) {
    int64_t channels = flipped ? conv->out_channels : conv->in_channels / conv->groups;
    int64_t filter = conv->kernel[0] * conv->kernel[1] * channels;
    stride[0] = flipped ? 1 : filter;
    stride[1] = conv->kernel[1] * channels;
    stride[2] = channels;
    stride[3] = flipped ? filter : 1;
}

static lm_status make_conv(lm_kernel *kernel, const lm_dnnl_conv *conv, bool flipped) {
    conv_state *state = kernel->state;
    lm_layout chosen, user = {0};
    int64_t stride[4];
    lm_status status;
    state->flipped = flipped;
    if (flipped) {
        state->flip.filters = conv->in_channels;
        state->flip.taps = conv->kernel[0] * conv->kernel[1];
        state->flip.row = conv->out_channels;
    }
    LM_TRY(lm_dnnl_conv_init(state->dnnl, conv, &state->conv, &chosen));
    weight_strides(conv, flipped, stride);
    LM_TRY_GOTO(done, lm_dnnl_conv_weights(conv, stride, &user));
    status = make_pack(kernel, conv->pass == LM_DNNL_BACK_WEIGHTS, &user, &chosen);
    snprintf(state->name, sizeof state->name, "onednn %s%s", state->conv.impl,
             flipped ? " flipped" : "");
    kernel->name = state->name;
    kernel->group = "onednn";
    kernel->flops = lm_conv_flops(conv);
done:
    lm_layout_release(&user);
    lm_layout_release(&chosen);
    return status;
}

static lm_status lower_conv(lm_backend *backend, const lm_step *step,
                            const lm_dnnl_conv *conv, bool flipped, lm_kernel *kernel) {
    static const lm_cpu_run run[] = {[LM_DNNL_FORWARD] = run_forward,
                                     [LM_DNNL_BACK_DATA] = run_back_data,
                                     [LM_DNNL_BACK_WEIGHTS] = run_back_weights};
    conv_state *state =
        lm_cpu_kernel_init(kernel, step, "onednn", run[conv->pass], sizeof *state);
    if (!state) return LM_NOMEM;
    kernel->release = release_conv;
    state->dnnl = lm_cpu_dnnl(backend);
    lm_status status = make_conv(kernel, conv, flipped);
    if (status != LM_OK) release_conv(kernel);
    return status;
}

static bool fits_always(const lm_dnnl_conv *conv) {
    return true;
}

static lm_status lower_native(lm_backend *backend, const lm_step *step,
                              const lm_dnnl_conv *conv, lm_kernel *kernel) {
    return lower_conv(backend, step, conv, false, kernel);
}

static bool fits_flipped(const lm_dnnl_conv *conv) {
    lm_dnnl_conv flipped;
    return flip_conv(conv, &flipped);
}

/* Few channels of y are bad where they are summed over, and where they are the filters
 * that a vector holds: in the flipped adjoint in x, and the native one in the weights. */
static bool flipped_is_faster(const lm_dnnl_conv *conv) {
    bool few = conv->out_channels < 8;
    if (conv->pass == LM_DNNL_BACK_DATA) return LM_DNNL_BACK_DATA_IS_SLOW && !few;
    return few && conv->in_channels >= 16;
}

static lm_status lower_flipped(lm_backend *backend, const lm_step *step,
                               const lm_dnnl_conv *conv, lm_kernel *kernel) {
    lm_dnnl_conv flipped;
    flip_conv(conv, &flipped);
    return lower_conv(backend, step, &flipped, true, kernel);
}

const lm_conv_candidate lm_conv_onednn = {
    .name = "onednn", .fits = fits_always, .lower = lower_native};
const lm_conv_candidate lm_conv_flipped = {.name = "flipped",
                                           .fits = fits_flipped,
                                           .leads = flipped_is_faster,
                                           .lower = lower_flipped};
