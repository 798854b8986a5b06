/* How a program goes through its space, decided once. */
#include "backend/cpu/vm.h"

#include "base/threads.h"

enum {
    CHUNK = 16 * LM_VM_TILE,     /* elements that a thread takes at once, about */
    ROWS_PER_PIECE = 16,         /* rows of a column sum for each row of partial sums */
    LARGEST_GROUP = 16 * CHUNK,  /* an outer beyond this is cut into pieces */
    LARGEST_PERIOD = 2048,       /* longer patterns are read where they are */
    SMALLEST_SEGMENT = 512,      /* below, tiles may cross a change of pattern */
    SERIAL = 2 * CHUNK,          /* a space below this is not worth waking threads */
    ALIGN = 16,                  /* floats of a cache line */
    MARGIN = LM_VM_GROUP + ALIGN /* loads may write this far around a tile */
};

static int64_t max64(int64_t a, int64_t b) {
    return a > b ? a : b;
}

void lm_vm_load_view(lm_vm_load *load, lm_shape shape, const int64_t *stride) {
    int rank = 0;
    for (int i = 0; i < shape.rank; i++) {
        if (shape.dim[i] == 1) continue;
        if (rank && load->stride[rank - 1] == stride[i] * shape.dim[i]) {
            load->dim[rank - 1] *= shape.dim[i];
            load->stride[rank - 1] = stride[i];
        } else {
            load->dim[rank] = shape.dim[i];
            load->stride[rank++] = stride[i];
        }
    }
    if (rank == 1 && load->stride[0] == 0) rank = 0;
    load->rank = rank;
    if (rank >= 2 && load->stride[rank - 1] == 1 && load->stride[rank - 2] == 0 &&
        load->dim[rank - 1] <= LARGEST_PERIOD) {
        load->period = load->dim[rank - 1];
        load->block = load->period * load->dim[rank - 2];
        if (rank > 2 && load->block < SMALLEST_SEGMENT) load->period = 0;
    }
}

/* The elements after which a load's pattern or constant changes; 0: it does not. All are
 * products of trailing axes of one space, so that each divides the larger ones. */
static int64_t change_of(const lm_vm_load *load) {
    if (load->period) return load->rank > 2 ? load->block : 0;
    bool runs = load->rank >= 2 && load->stride[load->rank - 1] == 0;
    return runs && load->dim[load->rank - 1] >= SMALLEST_SEGMENT
               ? load->dim[load->rank - 1]
               : 0;
}

static void cut_tiles(lm_vm_program *p) {
    p->segment = p->count;
    for (int i = 0; i < p->n_loads; i++) {
        int64_t change = change_of(&p->loads[i]);
        if (change) p->segment = lm_least(p->segment, change);
    }
    /* Tiles of one segment are about equal, and whole groups of lanes. */
    int64_t tiles = max64(1, (p->segment + LM_VM_TILE - 1) / LM_VM_TILE);
    p->tile = p->segment == p->count
                  ? LM_VM_TILE
                  : lm_round_up((p->segment + tiles - 1) / tiles, LM_VM_GROUP);
}

static void cut_chunks(lm_vm_program *p) {
    int64_t size = p->reduced * p->inner;
    p->group = 1;
    p->pieces = 1;
    p->piece = size;
    if (p->n_sums && p->outer > 1 && size <= LARGEST_GROUP) {
        p->group = lm_least(p->outer, max64(1, CHUNK / max64(1, size)));
        p->n_chunks = (p->outer + p->group - 1) / p->group;
        return;
    }
    int64_t least = p->n_sums ? max64(CHUNK, ROWS_PER_PIECE * p->inner) : CHUNK;
    int64_t pieces = max64(1, size / least);
    p->piece = max64(1, lm_round_up((size + pieces - 1) / pieces, LM_VM_GROUP));
    p->pieces = max64(1, (size + p->piece - 1) / p->piece);
    p->n_chunks = p->outer * p->pieces;
}

static void place_buffers(lm_vm_program *p) {
    int64_t used = 0;
    for (int i = 0; i < p->n_loads; i++) {
        p->loads[i].staging = used + ALIGN;
        used += lm_round_up(p->loads[i].period + LM_VM_TILE, ALIGN) + MARGIN + ALIGN;
    }
    for (int i = 0; i < p->n_stores; i++) {
        p->stores[i].staging = used;
        used += LM_VM_TILE;
    }
    p->registers = used;
    used += (int64_t)(p->n_slots - p->first_register) * LM_VM_TILE;
    p->scratch = lm_round_up(used, ALIGN);
    bool whole = p->pieces == 1;
    p->sum_scratch = whole ? lm_round_up(p->n_sums * p->group * p->inner, ALIGN / 2) : 0;
    p->sum_partials =
        whole ? 0 : lm_round_up(p->n_sums * p->n_chunks * p->inner, ALIGN / 2);
}

void lm_vm_lay_out(lm_vm_program *p) {
    p->threads = p->count < SERIAL ? 1 : lm_threads();
    cut_tiles(p);
    cut_chunks(p);
    p->threads = (int)max64(1, lm_least(p->threads, p->n_chunks));
    place_buffers(p);
}

size_t lm_vm_workspace(const lm_vm_program *p) {
    return (size_t)p->threads * ((size_t)p->scratch * sizeof(float) +
                                 (size_t)p->sum_scratch * sizeof(double)) +
           (size_t)p->sum_partials * sizeof(double);
}
