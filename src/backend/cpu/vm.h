/* Fused clusters: programs over tiles.
 *
 * After numexpr: a cluster becomes a list of instructions, each of which works on a whole
 * tile of LM_VM_TILE floats, so that all intermediate values stay in the first-level
 * cache and the cost of dispatch is spread over a thousand elements. Inside, every value
 * is f32: masks, 24-bit random words and small integers are exact in it.
 *
 * The space is cut into chunks, the unit of work of a thread, and chunks into tiles. Both
 * depend on the program alone, never on the number of threads, and sums are combined in
 * the order of chunks: results are the same bits for any number of threads. */
#ifndef LIMN_BACKEND_CPU_VM_H
#define LIMN_BACKEND_CPU_VM_H

#include "backend/cpu/vm_ops.h"
#include "base/arena.h"

/* How a load finds its elements. */
typedef enum lm_vm_source {
    LM_VM_MEMORY, /* step->in[input] */
    LM_VM_INDEX,  /* the index itself: iota */
    LM_VM_RANDOM, /* philox with the key step->in[input] */
    LM_VM_VALUE   /* a constant */
} lm_vm_source;

/* A value that is read, seen from the space: element e of the space reads the element
 * whose index is the sum of coordinate * stride over `dim`, outermost first. Axes are
 * merged as far as strides allow; no axis is left for a uniform value. Since values are
 * contiguous and only broadcast, the innermost stride is 0 or 1.
 *
 * period > 0: the innermost axis of that length repeats along the next one. The pattern
 * is laid out once, with a tile's length more than one period, and read at any phase. It
 * changes only every `block` elements. */
typedef struct lm_vm_load {
    lm_vm_source source;
    int input;
    lm_dtype dtype;
    float value;
    uint32_t stream;    /* RANDOM */
    int64_t per_sample; /* RANDOM */
    int rank;
    int64_t dim[LM_MAX_RANK], stride[LM_MAX_RANK];
    int64_t period, block;
    int64_t staging; /* offset of its buffer in a thread's scratch, in floats */
    int last_use; /* last instruction that reads it; INT_MAX: needed at the tile's end */
} lm_vm_load;

/* Slots are numbered: loads, then outputs that instructions write to directly, then
 * registers. */
typedef struct lm_vm_instruction {
    lm_vm_op op;
    int d, src[3]; /* slots; a source that is not used is slot d */
    float imm[3];
} lm_vm_instruction;

typedef struct lm_vm_store {
    int output; /* of the step */
    int slot;   /* whose value it is */
    lm_dtype dtype;
    int made_by; /* instruction that may write straight to memory; -1: copied at the end
                  */
    int64_t staging;
} lm_vm_store;

typedef struct lm_vm_sum {
    int output, slot;
    lm_dtype dtype;
} lm_vm_sum;

typedef struct lm_vm_program {
    lm_vm_load *loads;
    lm_vm_instruction *code;
    lm_vm_store *stores;
    lm_vm_sum *sums;
    int n_loads, n_code, n_stores, n_sums;
    int n_slots, first_register;
    int64_t registers; /* offset in a thread's scratch */
    int64_t *in_bytes, *out_bytes;

    int64_t count;                 /* elements of the space */
    int64_t outer, reduced, inner; /* the space as the sums see it */
    int64_t segment, tile;         /* tiles do not cross multiples of segment */
    /* Chunks: `group` whole outers each, or (pieces > 1) one of the pieces of an outer.
     */
    int64_t group, pieces, piece, n_chunks;

    int threads;
    int64_t scratch;      /* floats of each thread, a multiple of 16 */
    int64_t sum_scratch;  /* doubles of each thread for the sums of its chunk */
    int64_t sum_partials; /* doubles of all pieces' sums */
    const lm_vm_ops *ops;
    lm_arena arena;
    char *name;
} lm_vm_program;

/* vm_lower.c */
lm_status lm_vm_build(lm_vm_program *program, const lm_step *step);
/* vm_layout.c: loads seen from the space; chunks, tiles and scratch. */
void lm_vm_load_view(lm_vm_load *load, lm_shape shape, const int64_t *stride);
void lm_vm_lay_out(lm_vm_program *program);
size_t lm_vm_workspace(const lm_vm_program *program);
/* vm_run.c */
void lm_vm_run(const lm_vm_program *program, const lm_kernel_args *args);

#endif
