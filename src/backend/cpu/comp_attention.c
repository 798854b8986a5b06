/* Attention by panels of queries: no matrix of all scores is ever in memory. The gradient
 * computes the weights again (Dao et al.: "FlashAttention", 2022), so that the forward
 * pass stores nothing for it. Heads are columns of the tensors, read where they lie. */
#include "backend/cpu/attention_ops.h"
#include "backend/cpu/comp.h"
#include "backend/cpu/shares.h"

#include "base/threads.h"

enum { LEAST_UNITS = 8 /* of a gradient, so that several threads have work */ };

/* A head of a sample as a matrix: row r of it begins at
 * offset + (sample * rows + r) * stride + head * width. */
typedef struct operand {
    int source; /* of the call; outputs: unused */
    int64_t offset, rows, stride, width;
} operand;

typedef struct attention_state {
    const lm_attention_ops *ops;
    lm_attention_size size;
    float scale;
    int heads, queries, panels; /* panels of a sequence */
    int64_t sequences;          /* samples times heads */
    operand q, k, v, y, g, dq, dk, dv;
    int groups, panels_in_group; /* a unit of the gradient's work is a group of panels */
    int threads;
    int64_t scratch;  /* floats of each thread */
    int64_t partials; /* where the threads' scratch memory ends */
} attention_state;

/* q, k and v are the first three sources, or lie side by side in one. */
static void place_inputs(attention_state *s, const lm_node *call, bool packed) {
    lm_shape q = call->src[0]->shape, k = call->src[packed ? 0 : 1]->shape;
    lm_shape v = call->src[packed ? 0 : 2]->shape;
    int parts = packed ? 3 : 1;
    int64_t width = q.dim[2] / parts, value_width = v.dim[2] / parts;
    s->size = (lm_attention_size){(int)k.dim[1], (int)(width / s->heads),
                                  (int)(value_width / s->heads)};
    s->q = (operand){0, 0, q.dim[1], q.dim[2], s->size.width};
    s->k = (operand){1, 0, k.dim[1], k.dim[2], s->size.width};
    s->v = (operand){2, 0, v.dim[1], v.dim[2], s->size.value_width};
    s->y = (operand){3, 0, q.dim[1], value_width, s->size.value_width};
    if (!packed) return;
    s->k.source = s->v.source = 0;
    s->k.offset = width;
    s->v.offset = 2 * width;
    s->y.source = 1;
}

static attention_state *make_state(lm_kernel *kernel, const lm_step *step,
                                   const char *name, lm_cpu_run run, int packed_sources) {
    attention_state *s = lm_cpu_kernel_init(kernel, step, name, run, sizeof *s);
    if (!s) return NULL;
    const lm_node *call = step->nodes[0];
    lm_shape q = call->src[0]->shape;
    s->ops = LM_ISA_PICK(lm_attention_ops);
    s->scale = call->attr.call.f[0];
    s->heads = (int)call->attr.call.i[0];
    s->queries = (int)q.dim[1];
    s->panels = (s->queries + s->ops->lanes - 1) / s->ops->lanes;
    s->sequences = q.dim[0] * s->heads;
    s->threads = lm_threads();
    place_inputs(s, call, call->n_src == packed_sources);
    return s;
}

static int64_t place(const attention_state *s, const operand *o, int64_t sequence,
                     int row) {
    int64_t sample = sequence / s->heads, head = sequence % s->heads;
    return o->offset + (sample * o->rows + row) * o->stride + head * o->width;
}

static lm_rows_in rows_in(const attention_state *s, const lm_kernel_args *args,
                          const operand *o, int64_t sequence, int row) {
    const float *x = args->in[o->source];
    return (lm_rows_in){x + place(s, o, sequence, row), o->stride};
}

static lm_rows_out rows_out(const attention_state *s, const lm_kernel_args *args,
                            const operand *o, int64_t sequence, int row) {
    float *x = args->out[0];
    return (lm_rows_out){x + place(s, o, sequence, row), o->stride};
}

static lm_attention_panel make_panel(const attention_state *s, const lm_kernel_args *args,
                                     int64_t sequence, int first) {
    int left = s->queries - first;
    return (lm_attention_panel){
        .size = s->size,
        .queries = left < s->ops->lanes ? left : s->ops->lanes,
        .scale = s->scale,
        .q = rows_in(s, args, &s->q, sequence, first),
        .k = rows_in(s, args, &s->k, sequence, 0),
        .v = rows_in(s, args, &s->v, sequence, 0),
    };
}

static float *scratch_of(const attention_state *s, const lm_kernel_args *args) {
    return (float *)args->workspace + omp_get_thread_num() * s->scratch;
}

/* ---- forward ----------------------------------------------------------------- */

static lm_status run_attention(lm_kernel *kernel, const lm_kernel_args *args) {
    const attention_state *s = kernel->state;
#pragma omp parallel for schedule(static) num_threads(s->threads)
    for (int64_t i = 0; i < s->sequences * s->panels; i++) {
        int first = (int)(i % s->panels) * s->ops->lanes;
        lm_attention_panel panel = make_panel(s, args, i / s->panels, first);
        s->ops->attend(&panel, rows_out(s, args, &s->y, i / s->panels, first),
                       scratch_of(s, args));
    }
    return LM_OK;
}

lm_status lm_comp_lower_attention(lm_backend *backend, const lm_step *step,
                                  lm_kernel *kernel) {
    attention_state *s = make_state(kernel, step, "attention", run_attention, 1);
    if (!s) return LM_NOMEM;
    s->scratch = lm_round_up(s->ops->scratch(s->size), 16);
    kernel->workspace = (size_t)(s->threads * s->scratch) * sizeof(float);
    kernel->flops = 2.0 * (double)s->sequences * s->queries * s->size.keys *
                    (s->size.width + s->size.value_width);
    return LM_OK;
}

/* ---- gradient ----------------------------------------------------------------
 * The gradients of keys and values are sums over the panels. A sequence is a unit of
 * work, or, where sequences are few, each of its groups of panels is: the first group
 * writes to the result, the others to partial sums of their own, which are added in the
 * end. */

static int64_t partial_size(const attention_state *s) {
    return (int64_t)s->size.keys * s->size.width;
}

/* dk of a group after the first; dv follows it. */
static float *partial_of(const attention_state *s, const lm_kernel_args *args,
                         int64_t sequence, int group) {
    int64_t number = sequence * (s->groups - 1) + group - 1;
    return (float *)args->workspace + s->partials + number * 2 * partial_size(s);
}

static void run_group(const attention_state *s, const lm_kernel_args *args,
                      int64_t sequence, int group) {
    lm_rows_out dk = rows_out(s, args, &s->dk, sequence, 0);
    lm_rows_out dv = rows_out(s, args, &s->dv, sequence, 0);
    if (group > 0) {
        dk = (lm_rows_out){partial_of(s, args, sequence, group), s->size.width};
        dv = (lm_rows_out){dk.x + partial_size(s), s->size.width};
    }
    int begin = group * s->panels_in_group, end = begin + s->panels_in_group;
    for (int i = begin; i < end && i < s->panels; i++) {
        int first = i * s->ops->lanes;
        lm_attention_panel panel = make_panel(s, args, sequence, first);
        lm_attention_grads grads = {
            .y = rows_in(s, args, &s->y, sequence, first),
            .g = rows_in(s, args, &s->g, sequence, first),
            .dq = rows_out(s, args, &s->dq, sequence, first),
            .dk = dk,
            .dv = dv,
            .add = i > begin,
        };
        s->ops->attend_grad(&panel, &grads, scratch_of(s, args));
    }
}

/* Of one key and its value. */
static void add_partials(const attention_state *s, const lm_kernel_args *args,
                         int64_t sequence, int key) {
    int width = s->size.width;
    float *dk = rows_out(s, args, &s->dk, sequence, key).x;
    float *dv = rows_out(s, args, &s->dv, sequence, key).x;
    for (int group = 1; group < s->groups; group++) {
        const float *part = partial_of(s, args, sequence, group) + (int64_t)key * width;
        for (int c = 0; c < width; c++) dk[c] += part[c];
        part += partial_size(s);
        for (int c = 0; c < width; c++) dv[c] += part[c];
    }
}

static lm_status run_attention_grad(lm_kernel *kernel, const lm_kernel_args *args) {
    const attention_state *s = kernel->state;
    lm_shares units;
    lm_shares_init(&units, s->sequences * s->groups, s->threads);
#pragma omp parallel num_threads(s->threads)
    {
        LM_SHARES_EACH (&units, i)
            run_group(s, args, i / s->groups, (int)(i % s->groups));
        if (s->groups > 1) {
#pragma omp barrier
#pragma omp for schedule(static)
            for (int64_t i = 0; i < s->sequences * s->size.keys; i++)
                add_partials(s, args, i / s->size.keys, (int)(i % s->size.keys));
        }
    }
    return LM_OK;
}

/* dq, dk and dv lie side by side where q, k and v do, else one after the other. */
static void place_grads(attention_state *s, const lm_node *call, bool packed) {
    s->g = s->y;
    s->g.source++;
    s->dq = s->q;
    s->dk = s->k;
    s->dv = s->v;
    if (packed) return;
    s->dk.offset = lm_shape_count(call->src[0]->shape);
    s->dv.offset = 2 * s->dk.offset;
}

static void make_groups(attention_state *s) {
    int groups = s->sequences ? (int)(LEAST_UNITS / s->sequences) : 1;
    groups = groups < 1 ? 1 : groups > s->panels ? s->panels : groups;
    s->panels_in_group = groups ? (s->panels + groups - 1) / groups : 0;
    s->groups = groups ? (s->panels + s->panels_in_group - 1) / s->panels_in_group : 0;
}

lm_status lm_comp_lower_attention_grad(lm_backend *backend, const lm_step *step,
                                       lm_kernel *kernel) {
    attention_state *s =
        make_state(kernel, step, "attention_grad", run_attention_grad, 3);
    if (!s) return LM_NOMEM;
    place_grads(s, step->nodes[0], step->nodes[0]->n_src == 3);
    make_groups(s);
    s->scratch = lm_round_up(s->ops->grad_scratch(s->size), 16);
    s->partials = s->threads * s->scratch;
    int64_t extra = s->groups > 1 ? s->sequences * (s->groups - 1) : 0;
    kernel->workspace =
        (size_t)(s->partials + extra * 2 * partial_size(s)) * sizeof(float);
    kernel->flops = 10.0 * (double)s->sequences * s->queries * s->queries * s->size.width;
    return LM_OK;
}
