/* Running a program: loads, instructions, stores and sums of each tile. */
#include "backend/cpu/vm.h"

#include <assert.h>
#include <limits.h>
#include <omp.h>
#include <string.h>

/* What one thread knows while it works. */
typedef struct vm_thread {
    const lm_vm_program *program;
    const lm_kernel_args *args;
    float *scratch;
    double *sums;    /* of the chunk: [sum][outer of the group][inner] */
    float **slot;    /* where each slot's tile is */
    int64_t *filled; /* by load: what its buffer holds, -1: nothing that lasts */
    bool *direct;    /* by store: may be written before the tile's end */
    bool *fetched;   /* by store: in the place of an input, which is fetched */
} vm_thread;

/* ---- loads ------------------------------------------------------------------- */

/* Asks for the next tile while this one is computed: the hardware's own prefetch stops
 * at the end of each page, which is a tile. */
static inline void fetch_to_read(const char *from, int64_t bytes) {
    for (int64_t line = 0; line < bytes; line += 64)
        __builtin_prefetch(from + line, 0, 2);
}

static inline void fetch_to_write(const char *to, int64_t bytes) {
    for (int64_t line = 0; line < bytes; line += 64) __builtin_prefetch(to + line, 1, 2);
}

/* Index of the source element at `element`; `inner` receives how many elements from
 * there on lie on the innermost axis. */
static int64_t find(const lm_vm_load *load, int64_t element, int64_t *run) {
    int64_t index = 0, last = load->rank - 1;
    *run = INT64_MAX;
    if (last < 0) return 0;
    for (int64_t i = last; i >= 0; i--) {
        int64_t coordinate = element % load->dim[i];
        element /= load->dim[i];
        index += coordinate * load->stride[i];
        if (i == last) *run = load->dim[i] - coordinate;
    }
    return index;
}

static const void *source_of(const vm_thread *t, const lm_vm_load *load, int64_t index) {
    const char *base = t->args->in[load->input];
    return base + (size_t)index * lm_dtype_size(load->dtype);
}

/* n elements from the source element `index` on, all equal when stride is 0. */
static void copy_run(const vm_thread *t, const lm_vm_load *load, float *d, int64_t index,
                     int64_t stride, int n) {
    const lm_vm_ops *ops = t->program->ops;
    if (load->source == LM_VM_INDEX) {
        for (int i = 0; i < n; i++) d[i] = (float)(index + i * stride);
        return;
    }
    if (stride == 1) {
        ops->load[load->dtype](d, source_of(t, load, index), n);
        return;
    }
    float value = load->value;
    if (load->source == LM_VM_MEMORY)
        ops->load[load->dtype](&value, source_of(t, load, index), 1);
    for (int i = 0; i < n; i++) d[i] = value;
}

static float *load_pattern(vm_thread *t, int which, int64_t at) {
    const lm_vm_load *load = &t->program->loads[which];
    float *d = t->scratch + load->staging;
    int64_t block = at / load->block, phase = at % load->period, run;
    if (load->rank == 2) block = 0;
    if (t->filled[which] != block) {
        int period = (int)load->period;
        copy_run(t, load, d, find(load, at - phase, &run), 1, period);
        for (int i = period; i < period + LM_VM_TILE + LM_VM_GROUP; i++)
            d[i] = d[i - period];
        t->filled[which] = block;
    }
    return d + phase;
}

/* Samples follow each other along axis 0. Whole counters are drawn; what is too much lies
 * in the margins of the buffer. */
static float *load_random(vm_thread *t, int which, int64_t at, int n) {
    const lm_vm_load *load = &t->program->loads[which];
    const uint32_t *key = t->args->in[load->input];
    float *d = t->scratch + load->staging;
    for (int done = 0; done < n;) {
        int64_t sample = (at + done) / load->per_sample;
        int64_t element = (at + done) % load->per_sample;
        int64_t left = load->per_sample - element;
        int take = left < n - done ? (int)left : n - done, skip = (int)(element % 4);
        const uint32_t counter[3] = {key[3] + (uint32_t)sample, key[2], load->stream};
        t->program->ops->philox(d + done - skip, (uint32_t)(element / 4),
                                (skip + take + 3) / 4, counter, key);
        done += take;
    }
    return d;
}

static float *load_runs(vm_thread *t, int which, int64_t at, int n) {
    const lm_vm_load *load = &t->program->loads[which];
    float *d = t->scratch + load->staging;
    int64_t stride = load->rank ? load->stride[load->rank - 1] : 0, run;
    int64_t index = find(load, at, &run);
    if (run >= n && stride == 0) { /* one value: fill the buffer once for many tiles */
        if (t->filled[which] != index) copy_run(t, load, d, index, 0, LM_VM_TILE);
        t->filled[which] = index;
        return d;
    }
    t->filled[which] = -1;
    bool is_f32 = load->source == LM_VM_MEMORY && load->dtype == LM_F32;
    if (run >= n && is_f32 && n % LM_VM_GROUP == 0) {
        const float *from = source_of(t, load, index);
        fetch_to_read((const char *)(from + n), n * (int64_t)sizeof *from);
        return (float *)from; /* only read through */
    }
    for (int done = 0; done < n;) {
        int take = run < n - done ? (int)run : n - done;
        copy_run(t, load, d + done, index, stride, take);
        done += take;
        if (done < n) index = find(load, at + done, &run);
    }
    return d;
}

static void load_tile(vm_thread *t, int64_t at, int n) {
    for (int i = 0; i < t->program->n_loads; i++) {
        const lm_vm_load *load = &t->program->loads[i];
        t->slot[i] = load->source == LM_VM_RANDOM ? load_random(t, i, at, n)
                     : load->period               ? load_pattern(t, i, at)
                                                  : load_runs(t, i, at, n);
    }
}

/* ---- stores ------------------------------------------------------------------ */

static void *target_of(const vm_thread *t, const lm_vm_store *store, int64_t at) {
    char *base = t->args->out[store->output];
    return base + (size_t)at * lm_dtype_size(store->dtype);
}

/* Points slots of outputs to memory where a whole tile may be written at once. */
static void aim_stores(vm_thread *t, int64_t at, int n) {
    for (int i = 0; i < t->program->n_stores; i++) {
        const lm_vm_store *store = &t->program->stores[i];
        if (store->made_by < 0) continue;
        bool direct = t->direct[i] && n % LM_VM_GROUP == 0;
        float *to = direct ? target_of(t, store, at) : t->scratch + store->staging;
        t->slot[store->slot] = to;
        if (direct && !t->fetched[i])
            fetch_to_write((const char *)(to + n), n * (int64_t)sizeof *to);
    }
}

static void store_tile(const vm_thread *t, int64_t at, int n) {
    for (int i = 0; i < t->program->n_stores; i++) {
        const lm_vm_store *store = &t->program->stores[i];
        void *to = target_of(t, store, at);
        const float *from = t->slot[store->slot];
        if (from != to) t->program->ops->store[store->dtype](to, from, n);
    }
}

/* An output may take the place of an input. Then it is written at the tile's end, unless
 * its very elements have been read for the last time when it is made. */
static bool may_write_early(const lm_vm_program *p, const lm_kernel_args *args,
                            const lm_vm_store *store) {
    if (store->made_by < 0) return false;
    uintptr_t to = (uintptr_t)args->out[store->output];
    for (int i = 0; i < p->n_loads; i++) {
        const lm_vm_load *load = &p->loads[i];
        if (load->source != LM_VM_MEMORY) continue;
        uintptr_t from = (uintptr_t)args->in[load->input];
        bool apart = from + (uintptr_t)p->in_bytes[load->input] <= to ||
                     to + (uintptr_t)p->out_bytes[store->output] <= from;
        bool same = from == to && load->dtype == LM_F32 && load->rank == 1;
        if (!apart && !(same && load->last_use <= store->made_by)) return false;
    }
    return true;
}

static bool is_in_place(const lm_vm_program *p, const lm_kernel_args *args,
                        const lm_vm_store *store) {
    for (int i = 0; i < p->n_loads; i++)
        if (p->loads[i].source == LM_VM_MEMORY &&
            args->in[p->loads[i].input] == args->out[store->output])
            return true;
    return false;
}

/* ---- sums -------------------------------------------------------------------- */

/* Adds the tile to the sums of its chunk, which begins with outer number `first`. */
static void sum_tile(const vm_thread *t, int64_t first, int64_t at, int n) {
    const lm_vm_program *p = t->program;
    int64_t inner = p->inner, size = p->reduced * inner;
    for (int k = 0; k < p->n_sums; k++) {
        const float *from = t->slot[p->sums[k].slot];
        double *sums = t->sums + k * p->group * inner;
        for (int done = 0; done < n;) {
            int64_t outer = (at + done) / size, within = (at + done) % size;
            int64_t column = within % inner, left = size - within;
            double *acc = sums + (outer - first) * inner + column;
            int take = left < n - done ? (int)left : n - done;
            if (inner == 1) {
                *acc += p->ops->sum(from + done, take);
            } else if (column == 0 && take >= inner) {
                take -= (int)(take % inner);
                p->ops->add_rows(acc, from + done, (int)(take / inner), (int)inner,
                                 (int)inner);
            } else {
                if (take > inner - column) take = (int)(inner - column);
                p->ops->add_rows(acc, from + done, 1, 0, take);
            }
            done += take;
        }
    }
}

static void put_sum(void *out, lm_dtype dtype, int64_t i, double value) {
    switch (dtype) {
    case LM_I32:
        ((int32_t *)out)[i] = (int32_t)value;
        break;
    case LM_U32:
        ((uint32_t *)out)[i] = (uint32_t)value;
        break;
    case LM_U8:
        ((uint8_t *)out)[i] = (uint8_t)value;
        break;
    default:
        ((float *)out)[i] = (float)value;
        break;
    }
}

/* The sums of a chunk that holds whole outers. */
static void put_chunk_sums(const vm_thread *t, int64_t first, int64_t outers) {
    const lm_vm_program *p = t->program;
    for (int k = 0; k < p->n_sums; k++)
        for (int64_t i = 0; i < outers * p->inner; i++)
            put_sum(t->args->out[p->sums[k].output], p->sums[k].dtype,
                    first * p->inner + i, t->sums[k * p->group * p->inner + i]);
}

/* Pieces of an outer, in their order. */
static void combine_sums(const lm_vm_program *p, const lm_kernel_args *args,
                         const double *partials) {
    int64_t stride = p->n_sums * p->inner, results = p->outer * p->inner;
    for (int k = 0; k < p->n_sums; k++) {
#pragma omp for schedule(static)
        for (int64_t i = 0; i < results; i++) {
            int64_t outer = i / p->inner, column = i % p->inner;
            const double *part =
                partials + outer * p->pieces * stride + k * p->inner + column;
            double total = 0;
            for (int64_t piece = 0; piece < p->pieces; piece++)
                total += part[piece * stride];
            put_sum(args->out[p->sums[k].output], p->sums[k].dtype, i, total);
        }
    }
}

/* ---- chunks ------------------------------------------------------------------ */

static void run_tile(vm_thread *t, int64_t first, int64_t at, int n) {
    const lm_vm_program *p = t->program;
    int lanes = (n + LM_VM_GROUP - 1) / LM_VM_GROUP * LM_VM_GROUP;
    load_tile(t, at, n);
    aim_stores(t, at, n);
    for (int i = 0; i < p->n_code; i++) {
        const lm_vm_instruction *x = &p->code[i];
        const float *src[3] = {t->slot[x->src[0]], t->slot[x->src[1]],
                               t->slot[x->src[2]]};
        x->op(t->slot[x->d], src, x->imm, lanes);
    }
    sum_tile(t, first, at, n); /* first: a store may overwrite what a slot points to */
    store_tile(t, at, n);
}

static void run_chunk(vm_thread *t, int64_t chunk, double *partials) {
    const lm_vm_program *p = t->program;
    int64_t size = p->reduced * p->inner, sums = p->n_sums * p->group * p->inner;
    int64_t first = p->pieces == 1 ? chunk * p->group : chunk / p->pieces;
    int64_t at = first * size + chunk % p->pieces * p->piece;
    int64_t end = p->pieces == 1 ? at + p->group * size : at + p->piece;
    int64_t limit = p->pieces == 1 ? p->count : (first + 1) * size;
    if (end > limit) end = limit;
    double *kept = t->sums;
    if (p->pieces > 1) t->sums = partials + chunk * sums;
    if (sums) memset(t->sums, 0, (size_t)sums * sizeof *t->sums);
    while (at < end) {
        int64_t stop = (at / p->segment + 1) * p->segment;
        if (stop > at + p->tile) stop = at + p->tile;
        if (stop > end) stop = end;
        run_tile(t, first, at, (int)(stop - at));
        at = stop;
    }
    if (p->pieces == 1) put_chunk_sums(t, first, (end + size - 1) / size - first);
    t->sums = kept;
}

/* The work of one thread of the team. */
static void run_share(const lm_vm_program *p, const lm_kernel_args *args) {
    float *slots[p->n_slots + 1];
    int64_t filled[p->n_loads + 1];
    bool direct[p->n_stores + 1], fetched[p->n_stores + 1];
    double *partials = args->workspace;
    double *sums = partials + p->sum_partials;
    float *scratch = (float *)(sums + p->threads * p->sum_scratch);
    int thread = omp_get_thread_num();
    vm_thread t = {p,
                   args,
                   scratch + thread * p->scratch,
                   sums + thread * p->sum_scratch,
                   slots,
                   filled,
                   direct,
                   fetched};
    for (int i = 0; i < p->n_loads; i++) filled[i] = -1;
    for (int i = 0; i < p->n_stores; i++) {
        direct[i] = may_write_early(p, args, &p->stores[i]);
        fetched[i] = is_in_place(p, args, &p->stores[i]);
    }
    for (int i = p->first_register; i < p->n_slots; i++)
        slots[i] = t.scratch + p->registers + (i - p->first_register) * LM_VM_TILE;
#pragma omp for schedule(static)
    for (int64_t chunk = 0; chunk < p->n_chunks; chunk++) run_chunk(&t, chunk, partials);
    if (p->n_sums && p->pieces > 1) combine_sums(p, args, partials);
}

void lm_vm_run(const lm_vm_program *program, const lm_kernel_args *args) {
#pragma omp parallel num_threads(program->threads) if (program->threads > 1)
    run_share(program, args);
}
