/* From a cluster to a program: values are found from the outputs backwards, so that only
 * what is needed is computed, and late. */
#include "backend/cpu/vm.h"

#include "base/mem.h"

#include <assert.h>
#include <limits.h>
#include <string.h>

typedef enum value_kind {
    VALUE_UNKNOWN,
    VALUE_CONSTANT,
    VALUE_LOAD,
    VALUE_MADE
} value_kind;

/* What a node's value is: a constant, a load or the result of an instruction. */
typedef struct vm_value {
    value_kind kind;
    int index; /* load or instruction */
    float constant;
} vm_value;

/* Instruction before slots are known: sources are values. */
typedef struct vm_draft {
    lm_vm_op op;
    vm_value src[3];
    float imm[3];
    int last_use, slot;
} vm_draft;

typedef struct vm_builder {
    const lm_step *step;
    lm_vm_program *program;
    vm_value *of; /* by node id - first_id */
    uint32_t first_id;
    int *input; /* by node id - first_id: number in step->in + 1, 0 none */
    vm_draft *drafts;
    int n_drafts;
    lm_arena arena; /* of the build; the program's outlives it */
} vm_builder;

/* ---- values ------------------------------------------------------------------ */

static lm_status find_value(vm_builder *b, const lm_node *node, vm_value *value);

static vm_value constant_value(double constant) {
    return (vm_value){VALUE_CONSTANT, 0, (float)constant};
}

static vm_value add_load(vm_builder *b, lm_vm_load load) {
    int index = b->program->n_loads++;
    load.last_use = -1;
    b->program->loads[index] = load;
    return (vm_value){VALUE_LOAD, index, 0};
}

/* Operations want a constant in a register where they have no form for it. */
static vm_value load_constant(vm_builder *b, float constant) {
    for (int i = 0; i < b->program->n_loads; i++) {
        const lm_vm_load *load = &b->program->loads[i];
        if (load->source == LM_VM_VALUE &&
            memcmp(&load->value, &constant, sizeof constant) == 0)
            return (vm_value){VALUE_LOAD, i, 0};
    }
    return add_load(b, (lm_vm_load){.source = LM_VM_VALUE, .value = constant});
}

static void natural_strides(lm_shape shape, int64_t *stride) {
    int64_t step = 1;
    for (int i = shape.rank - 1; i >= 0; i--) {
        stride[i] = step;
        step *= shape.dim[i];
    }
}

/* The input, seen from `shape`, to which it broadcasts. */
static vm_value load_input(vm_builder *b, const lm_node *node, int input,
                           lm_shape shape) {
    lm_vm_load load = {.source = LM_VM_MEMORY, .input = input, .dtype = node->dtype};
    int64_t own[LM_MAX_RANK], stride[LM_MAX_RANK];
    natural_strides(node->shape, own);
    int lead = shape.rank - node->shape.rank;
    for (int i = 0; i < shape.rank; i++)
        stride[i] = i < lead || node->shape.dim[i - lead] == 1 ? 0 : own[i - lead];
    lm_vm_load_view(&load, shape, stride);
    return add_load(b, load);
}

static int input_of(const vm_builder *b, const lm_node *node) {
    return b->input[node->id - b->first_id] - 1;
}

static lm_status find_broadcast(vm_builder *b, const lm_node *node, vm_value *value) {
    const lm_node *source = node->src[0];
    if (source->kind == LM_KIND_CONST && !source->attr.constant.data)
        return find_value(b, source, value);
    int input = input_of(b, source);
    LM_RETURN_IF(input < 0, LM_INTERNAL, "the source of a broadcast is not read");
    *value = load_input(b, source, input, node->shape);
    return LM_OK;
}

static lm_status find_iota(vm_builder *b, const lm_node *node, vm_value *value) {
    lm_vm_load load = {.source = LM_VM_INDEX};
    int64_t stride[LM_MAX_RANK] = {0};
    if (node->shape.rank > 0) stride[node->attr.axis.axis] = 1;
    lm_vm_load_view(&load, node->shape, stride);
    *value = add_load(b, load);
    return LM_OK;
}

static lm_status find_random(vm_builder *b, const lm_node *node, vm_value *value) {
    int64_t count = lm_shape_count(node->shape);
    int64_t samples = node->shape.rank > 0 ? node->shape.dim[0] : 1;
    int input = input_of(b, node->src[0]);
    LM_RETURN_IF(input < 0, LM_INTERNAL, "the key of a philox is not read");
    *value = add_load(b, (lm_vm_load){.source = LM_VM_RANDOM,
                                      .input = input,
                                      .stream = node->attr.stream,
                                      .per_sample = samples ? count / samples : 1});
    return LM_OK;
}

/* ---- instructions ------------------------------------------------------------ */

static bool is_lane(vm_value value) {
    return value.kind != VALUE_CONSTANT;
}

static vm_value evaluate(lm_vm_op op, const vm_value *src, const float imm[3]) {
    float lanes[3][LM_VM_GROUP], result[LM_VM_GROUP];
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < LM_VM_GROUP; k++) lanes[i][k] = src[i].constant;
    const float *const from[3] = {lanes[0], lanes[1], lanes[2]};
    op(result, from, imm, LM_VM_GROUP);
    return constant_value((double)result[0]);
}

/* One instruction; `attribute` is what LEAKY and POWC take. Constants become immediates
 * where the operation has that form. */
static vm_value emit(vm_builder *b, const lm_vm_op forms[8], const vm_value *operands,
                     int arity, float attribute) {
    vm_draft draft = {.imm = {0, attribute, 0}, .last_use = -1};
    int form = 0;
    bool lanes = false;
    for (int i = 0; i < 3; i++) {
        draft.src[i] = operands[i < arity ? i : 0];
        if (i >= arity) continue;
        lanes |= is_lane(operands[i]);
        form |= !is_lane(operands[i]) << i;
    }
    if (!lanes) return evaluate(forms[0], draft.src, draft.imm);
    if (!forms[form]) form = 0;
    for (int i = 0; i < 3; i++) {
        if (form >> i & 1)
            draft.imm[i] = operands[i].constant;
        else if (!is_lane(draft.src[i]) && i < arity)
            draft.src[i] = load_constant(b, draft.src[i].constant);
    }
    draft.op = forms[form];
    b->drafts[b->n_drafts] = draft;
    return (vm_value){VALUE_MADE, b->n_drafts++, 0};
}

/* Powers that are cheaper, and exact, as something else. */
static vm_value emit_power(vm_builder *b, vm_value x, float exponent) {
    const lm_vm_op(*ew)[8] = b->program->ops->ew;
    const vm_value one_and_x[2] = {constant_value(1), x}, squares[2] = {x, x};
    if (exponent == 1) return x;
    if (exponent == 2) return emit(b, ew[LM_EW_MUL], squares, 2, 0);
    if (exponent == -1) return emit(b, ew[LM_EW_DIV], one_and_x, 2, 0);
    return emit(b, ew[LM_EW_POWC], &x, 1, exponent);
}

static vm_value emit_cast(vm_builder *b, vm_value x, lm_dtype dtype) {
    lm_vm_op forms[8] = {b->program->ops->cast[dtype]};
    return forms[0] ? emit(b, forms, &x, 1, 0) : x;
}

static lm_status find_ew(vm_builder *b, const lm_node *node, vm_value *value) {
    lm_ew code = (lm_ew)node->attr.ew.code;
    vm_value operand[3] = {{VALUE_UNKNOWN, 0, 0}};
    for (int i = 0; i < node->n_src; i++)
        LM_TRY(find_value(b, node->src[i], &operand[i]));
    if (code == LM_EW_CAST || code == LM_EW_STOP)
        *value = operand[0];
    else if (code == LM_EW_POWC)
        *value = emit_power(b, operand[0], node->attr.ew.value);
    else
        *value =
            emit(b, b->program->ops->ew[code], operand, node->n_src, node->attr.ew.value);
    /* Arithmetic of whole numbers truncates and saturates. */
    if (!lm_ew_get(code)->mask && code != LM_EW_STOP && code != LM_EW_WHERE)
        *value = emit_cast(b, *value, node->dtype);
    return LM_OK;
}

static lm_status find_value(vm_builder *b, const lm_node *node, vm_value *value) {
    vm_value *known = &b->of[node->id - b->first_id];
    lm_status status = LM_OK;
    if (known->kind == VALUE_UNKNOWN) {
        int input = input_of(b, node);
        if (input >= 0)
            *known = load_input(b, node, input, node->shape);
        else if (node->kind == LM_KIND_CONST)
            *known = constant_value(node->attr.constant.value);
        else if (node->kind == LM_KIND_RESHAPE)
            status = find_value(b, node->src[0], known);
        else if (node->kind == LM_KIND_BROADCAST)
            status = find_broadcast(b, node, known);
        else if (node->kind == LM_KIND_IOTA)
            status = find_iota(b, node, known);
        else if (node->kind == LM_KIND_PHILOX)
            status = find_random(b, node, known);
        else if (node->kind == LM_KIND_EW)
            status = find_ew(b, node, known);
        else
            status = lm_fail(LM_INTERNAL, "%s cannot be inside a cluster",
                             lm_kind_get(node->kind)->text);
    }
    *value = *known;
    return status;
}

/* ---- outputs ----------------------------------------------------------------- */

static vm_value in_register(vm_builder *b, vm_value value) {
    return is_lane(value) ? value : load_constant(b, value.constant);
}

static void keep_to_end(vm_builder *b, vm_value value) {
    if (value.kind == VALUE_LOAD)
        b->program->loads[value.index].last_use = INT_MAX;
    else
        b->drafts[value.index].last_use = INT_MAX;
}

static const lm_node *skip_reshapes(const vm_builder *b, const lm_node *node) {
    while (node->kind == LM_KIND_RESHAPE && input_of(b, node) < 0) node = node->src[0];
    return node;
}

static lm_status add_sum(vm_builder *b, int output, const lm_node *node,
                         vm_value *value) {
    lm_vm_program *p = b->program;
    const lm_node *source = node->src[0];
    int64_t size[3] = {1, 1, 1}; /* outer, reduced, inner */
    int part = 0;
    for (int i = 0; i < source->shape.rank; i++) {
        bool reduced = node->attr.axes >> i & 1;
        if (reduced)
            part = 1;
        else if (part == 1)
            part = 2;
        size[part] *= source->shape.dim[i];
    }
    bool same = p->outer == size[0] && p->reduced == size[1] && p->inner == size[2];
    LM_RETURN_IF(p->n_sums && !same, LM_INTERNAL, "sums of a cluster differ in form");
    p->outer = size[0], p->reduced = size[1], p->inner = size[2];
    LM_TRY(find_value(b, source, value));
    *value = in_register(b, *value);
    keep_to_end(b, *value);
    p->sums[p->n_sums++] = (lm_vm_sum){output, 0, node->dtype};
    return LM_OK;
}

/* Values of stores, then of sums, go to `values` in the order of the program's lists. */
static lm_status find_outputs(vm_builder *b, vm_value *stored, vm_value *summed) {
    lm_vm_program *p = b->program;
    for (int i = 0; i < b->step->n_out; i++) {
        const lm_node *node = skip_reshapes(b, b->step->out[i]);
        if (node->kind == LM_KIND_REDUCE_SUM && input_of(b, node) < 0) {
            LM_TRY(add_sum(b, i, node, &summed[p->n_sums]));
            continue;
        }
        LM_TRY(find_value(b, node, &stored[p->n_stores]));
        stored[p->n_stores] = in_register(b, stored[p->n_stores]);
        p->stores[p->n_stores++] = (lm_vm_store){i, 0, node->dtype, -1, 0};
    }
    return LM_OK;
}

/* ---- slots ------------------------------------------------------------------- */

static void note_uses(vm_builder *b) {
    for (int i = 0; i < b->n_drafts; i++)
        for (int k = 0; k < 3; k++) {
            vm_value x = b->drafts[i].src[k];
            int *last = x.kind == VALUE_LOAD   ? &b->program->loads[x.index].last_use
                        : x.kind == VALUE_MADE ? &b->drafts[x.index].last_use
                                               : NULL;
            if (last && *last < i) *last = i;
        }
}

/* An f32 output has a slot of its own, which the instruction that makes it writes to. */
static int give_output_slots(vm_builder *b, const vm_value *stored) {
    lm_vm_program *p = b->program;
    int next = p->n_loads;
    for (int i = 0; i < p->n_stores; i++) {
        if (stored[i].kind != VALUE_MADE || p->stores[i].dtype != LM_F32) continue;
        vm_draft *draft = &b->drafts[stored[i].index];
        if (draft->slot >= 0) continue;
        draft->slot = next++;
        p->stores[i].made_by = stored[i].index;
    }
    return next;
}

/* Registers go to the next value as soon as the last reader has run, or runs. */
static void give_registers(vm_builder *b, int *free_slots) {
    lm_vm_program *p = b->program;
    int n_free = 0;
    for (int i = 0; i < b->n_drafts; i++) {
        vm_draft *draft = &b->drafts[i];
        for (int k = 0; k < 3; k++) {
            vm_value x = draft->src[k];
            if (x.kind != VALUE_MADE || b->drafts[x.index].last_use != i) continue;
            int slot = b->drafts[x.index].slot;
            bool again = false; /* the same value twice */
            for (int j = 0; j < n_free; j++) again |= free_slots[j] == slot;
            if (slot >= p->first_register && !again) free_slots[n_free++] = slot;
        }
        if (draft->slot < 0) draft->slot = n_free ? free_slots[--n_free] : p->n_slots++;
    }
}

static int slot_of(const vm_builder *b, vm_value value, int otherwise) {
    return value.kind == VALUE_LOAD   ? value.index
           : value.kind == VALUE_MADE ? b->drafts[value.index].slot
                                      : otherwise;
}

static lm_status assign_slots(vm_builder *b, const vm_value *stored,
                              const vm_value *summed) {
    lm_vm_program *p = b->program;
    int *free_slots = lm_arena_alloc(&b->arena, ((size_t)b->n_drafts + 1) * sizeof(int));
    p->code = lm_arena_alloc(&p->arena, ((size_t)b->n_drafts + 1) * sizeof *p->code);
    if (!free_slots || !p->code) return LM_NOMEM;
    note_uses(b);
    for (int i = 0; i < p->n_stores; i++) keep_to_end(b, stored[i]);
    for (int i = 0; i < b->n_drafts; i++) b->drafts[i].slot = -1;
    p->first_register = p->n_slots = give_output_slots(b, stored);
    give_registers(b, free_slots);
    p->n_code = b->n_drafts;
    for (int i = 0; i < b->n_drafts; i++) {
        const vm_draft *draft = &b->drafts[i];
        lm_vm_instruction *code = &p->code[i];
        *code = (lm_vm_instruction){.op = draft->op, .d = draft->slot};
        memcpy(code->imm, draft->imm, sizeof code->imm);
        for (int k = 0; k < 3; k++) code->src[k] = slot_of(b, draft->src[k], draft->slot);
    }
    for (int i = 0; i < p->n_stores; i++) p->stores[i].slot = slot_of(b, stored[i], -1);
    for (int i = 0; i < p->n_sums; i++) p->sums[i].slot = slot_of(b, summed[i], -1);
    return LM_OK;
}

/* Stores that copy a load go first: a later store may overwrite what it points to. */
static void order_stores(lm_vm_program *p) {
    int n = 0;
    for (int i = 0; i < p->n_stores; i++) {
        lm_vm_store store = p->stores[i];
        if (store.slot >= p->n_loads) continue;
        memmove(&p->stores[n + 1], &p->stores[n], (size_t)(i - n) * sizeof store);
        p->stores[n++] = store;
    }
}

/* ---- building ---------------------------------------------------------------- */

static void note_ids(const lm_node *node, uint32_t *low, uint32_t *high) {
    if (node->id < *low) *low = node->id;
    if (node->id > *high) *high = node->id;
    for (int i = 0; i < node->n_src; i++) {
        if (node->src[i]->id < *low) *low = node->src[i]->id;
        if (node->src[i]->id > *high) *high = node->src[i]->id;
    }
}

static lm_status prepare(vm_builder *b) {
    const lm_step *step = b->step;
    lm_vm_program *p = b->program;
    uint32_t low = UINT32_MAX, high = 0;
    for (int i = 0; i < step->n_nodes; i++) note_ids(step->nodes[i], &low, &high);
    for (int i = 0; i < step->n_in; i++) note_ids(step->in[i], &low, &high);
    b->first_id = low;
    size_t ids = (size_t)(high - low) + 1, nodes = (size_t)step->n_nodes;
    b->of = lm_arena_alloc(&b->arena, ids * sizeof *b->of);
    b->input = lm_arena_alloc(&b->arena, ids * sizeof *b->input);
    /* A node makes at most one instruction and a cast. Each of its sources, and each
     * output, may need a load or a constant in a register. */
    b->drafts = lm_arena_alloc(&b->arena, 2 * nodes * sizeof *b->drafts);
    size_t loads = 4 * nodes + (size_t)step->n_in + (size_t)step->n_out;
    p->loads = lm_arena_alloc(&p->arena, loads * sizeof *p->loads);
    p->stores = lm_arena_alloc(&p->arena, ((size_t)step->n_out + 1) * sizeof *p->stores);
    p->sums = lm_arena_alloc(&p->arena, ((size_t)step->n_out + 1) * sizeof *p->sums);
    p->in_bytes = lm_arena_alloc(&p->arena, ((size_t)step->n_in + 1) * sizeof(int64_t));
    p->out_bytes = lm_arena_alloc(&p->arena, ((size_t)step->n_out + 1) * sizeof(int64_t));
    if (!b->of || !b->input || !b->drafts || !p->loads || !p->stores || !p->sums ||
        !p->in_bytes || !p->out_bytes)
        return LM_NOMEM;
    for (int i = 0; i < step->n_in; i++) {
        b->input[step->in[i]->id - low] = i + 1;
        p->in_bytes[i] = lm_shape_count(step->in[i]->shape) *
                         (int64_t)lm_dtype_size(step->in[i]->dtype);
    }
    for (int i = 0; i < step->n_out; i++)
        p->out_bytes[i] = lm_shape_count(step->out[i]->shape) *
                          (int64_t)lm_dtype_size(step->out[i]->dtype);
    p->count = p->reduced = lm_shape_count(step->space);
    p->outer = p->inner = 1;
    return LM_OK;
}

static lm_status build(vm_builder *b) {
    lm_vm_program *p = b->program;
    LM_TRY(prepare(b));
    size_t outputs = (size_t)b->step->n_out + 1;
    vm_value *stored = lm_arena_alloc(&b->arena, outputs * sizeof *stored);
    vm_value *summed = lm_arena_alloc(&b->arena, outputs * sizeof *summed);
    if (!stored || !summed) return LM_NOMEM;
    LM_TRY(find_outputs(b, stored, summed));
    LM_TRY(assign_slots(b, stored, summed));
    order_stores(p);
    lm_vm_lay_out(p);
    p->name = lm_arena_printf(&p->arena, "%d ops %d loads %d stores %d sums", p->n_code,
                              p->n_loads, p->n_stores, p->n_sums);
    return p->name ? LM_OK : LM_NOMEM;
}

lm_status lm_vm_build(lm_vm_program *program, const lm_step *step) {
    vm_builder b = {.step = step, .program = program};
    lm_status status = build(&b);
    lm_arena_release(&b.arena);
    return status;
}

static lm_status run_cluster(lm_kernel *kernel, const lm_kernel_args *args) {
    const lm_vm_program *program = kernel->state;
    if (program->count) lm_vm_run(program, args);
    return LM_OK;
}

static void release_cluster(lm_kernel *kernel) {
    lm_vm_program *program = kernel->state;
    lm_arena_release(&program->arena);
    lm_cpu_kernel_release(kernel);
}

lm_status lm_cpu_lower_cluster(lm_backend *backend, const lm_step *step,
                               lm_kernel *kernel) {
    lm_vm_program *program =
        lm_cpu_kernel_init(kernel, step, "fused", run_cluster, sizeof *program);
    if (!program) return LM_NOMEM;
    kernel->release = release_cluster;
    program->ops = LM_ISA_PICK(lm_vm_ops);
    lm_status status = lm_vm_build(program, step);
    if (status != LM_OK) {
        release_cluster(kernel);
        return status;
    }
    kernel->workspace = lm_vm_workspace(program);
    kernel->name = program->name;
    kernel->group = "fused";
    kernel->flops = (double)program->count * (program->n_code + program->n_sums);
    return LM_OK;
}
