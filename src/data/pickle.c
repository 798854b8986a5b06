/* The machine that a pickle is a program of: Lib/pickletools.py of CPython documents
 * every opcode; numpy/core/src/multiarray/methods.c (__reduce__, __setstate__) what an
 * array is made of. Values are nodes; lists, tuples and dictionaries are slices of
 * `items`. */
#include "data/pickle.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

/* CIFAR-100 takes 150,000 values. */
enum { MOST = 1 << 20, UNSET = -1 };

typedef enum kind {
    NOTHING,
    FLAG,
    NUMBER,
    TEXT,
    LIST,
    TUPLE,
    DICTIONARY,
    RECONSTRUCT,   /* numpy.core.multiarray._reconstruct */
    ARRAY_TYPE,    /* numpy.ndarray */
    ELEMENT_MAKER, /* numpy.dtype */
    ELEMENT,       /* the dtype u1, the only one */
    ARRAY
} kind;

typedef struct node {
    kind kind;
    bool by_columns;
    int start, count; /* of LIST, TUPLE: items; of DICTIONARY: items, in pairs; of ARRAY,
                         once it is built: the items of its shape */
    union {
        int64_t number; /* also of FLAG */
        struct {
            const uint8_t *at;
            size_t size;
        } bytes; /* of TEXT and ARRAY */
    };
} node;

typedef struct numbers {
    int *at; /* owned */
    int count, capacity;
} numbers;

struct lm_pickle {
    const char *name;
    const uint8_t *begin, *at, *end;
    node *nodes; /* owned */
    int n_nodes, capacity;
    numbers stack, marks, memo, items; /* of nodes; marks: of places in the stack */
    bool done;
};
typedef lm_pickle machine;

/* ---- memory ------------------------------------------------------------------ */

static lm_status fail_at(const machine *m, const char *what) {
    return lm_fail(LM_FORMAT, "%s: pickle: %s at byte %zu", m->name, what,
                   (size_t)(m->at - m->begin));
}

static lm_status fail_other(const machine *m, const char *what) {
    return lm_fail(LM_UNSUPPORTED,
                   "%s: pickle: %s at byte %zu: only numbers, text, lists and arrays of "
                   "u8 are read",
                   m->name, what, (size_t)(m->at - m->begin));
}

static lm_status append(machine *m, numbers *list, int value) {
    if (list->count == MOST) return fail_at(m, "too many values");
    if (list->count == list->capacity) {
        int capacity = list->capacity ? 2 * list->capacity : 64;
        int *grown = lm_realloc(list->at, (size_t)capacity * sizeof *grown);
        if (!grown) return LM_NOMEM;
        list->at = grown;
        list->capacity = capacity;
    }
    list->at[list->count++] = value;
    return LM_OK;
}

static lm_status push(machine *m, node value) {
    if (m->n_nodes == MOST) return fail_at(m, "too many values");
    if (m->n_nodes == m->capacity) {
        int capacity = m->capacity ? 2 * m->capacity : 64;
        node *grown = lm_realloc(m->nodes, (size_t)capacity * sizeof *grown);
        if (!grown) return LM_NOMEM;
        m->nodes = grown;
        m->capacity = capacity;
    }
    m->nodes[m->n_nodes] = value;
    return append(m, &m->stack, m->n_nodes++);
}

/* What lies above the latest mark may be taken; with no mark, all. */
static int available(const machine *m) {
    int floor = m->marks.count ? m->marks.at[m->marks.count - 1] : 0;
    return m->stack.count - floor;
}

/* The node `depth` below the top, which must be there. */
static node *peek(const machine *m, int depth) {
    return &m->nodes[m->stack.at[m->stack.count - 1 - depth]];
}

static node *item_of(const machine *m, const node *owner, int index) {
    return &m->nodes[m->items.at[owner->start + index]];
}

/* Moves the top `count` of the stack behind the items that `owner` has. Another's items
 * may lie there by then, but not in what a pickler writes of lists of numbers and text.
 */
static lm_status take_items(machine *m, node *owner, int count) {
    if (!owner->count) owner->start = m->items.count;
    if (owner->start + owner->count != m->items.count)
        return fail_other(m, "a list that grows around another");
    int first = m->stack.count - count;
    for (int i = 0; i < count; i++) LM_TRY(append(m, &m->items, m->stack.at[first + i]));
    owner->count += count;
    m->stack.count = first;
    return LM_OK;
}

/* ---- opcodes ----------------------------------------------------------------- */

typedef struct argument {
    int64_t number;
    const uint8_t *at; /* bytes within the file */
    size_t size;
} argument;

static lm_status do_protocol(machine *m, const argument *a) {
    return a->number >= 2 && a->number <= 4 ? LM_OK : fail_other(m, "another protocol");
}

static lm_status do_nothing(machine *m, const argument *a) {
    return LM_OK;
}

static lm_status do_stop(machine *m, const argument *a) {
    m->done = true;
    return LM_OK;
}

static lm_status push_nothing(machine *m, const argument *a) {
    return push(m, (node){.kind = NOTHING});
}

static lm_status push_number(machine *m, const argument *a) {
    return push(m, (node){.kind = NUMBER, .number = a->number});
}

/* Of up to 8 bytes, the last with the sign. */
static lm_status push_long(machine *m, const argument *a) {
    if (a->size > sizeof(int64_t)) return fail_at(m, "a huge number");
    uint64_t value = a->size && a->at[a->size - 1] & 0x80 ? UINT64_MAX : 0;
    for (size_t i = a->size; i-- > 0;) value = value << 8 | a->at[i];
    return push(m, (node){.kind = NUMBER, .number = (int64_t)value});
}

static lm_status push_true(machine *m, const argument *a) {
    return push(m, (node){.kind = FLAG, .number = 1});
}

static lm_status push_false(machine *m, const argument *a) {
    return push(m, (node){.kind = FLAG});
}

static lm_status push_text(machine *m, const argument *a) {
    return push(m, (node){.kind = TEXT, .bytes = {a->at, a->size}});
}

static lm_status push_list(machine *m, const argument *a) {
    return push(m, (node){.kind = LIST});
}

static lm_status push_dictionary(machine *m, const argument *a) {
    return push(m, (node){.kind = DICTIONARY});
}

static lm_status do_mark(machine *m, const argument *a) {
    return append(m, &m->marks, m->stack.count);
}

/* Takes the mark away and counts what lies above it. */
static lm_status pop_mark(machine *m, int *count) {
    if (!m->marks.count) return fail_at(m, "no mark");
    *count = available(m);
    m->marks.count--;
    return LM_OK;
}

static lm_status make_tuple(machine *m, int count) {
    if (available(m) < count) return fail_at(m, "too few values");
    node tuple = {.kind = TUPLE};
    LM_TRY(take_items(m, &tuple, count));
    return push(m, tuple);
}

static lm_status do_tuple(machine *m, const argument *a) {
    int count = 0;
    LM_TRY(pop_mark(m, &count));
    return make_tuple(m, count);
}

static lm_status do_tuple0(machine *m, const argument *a) {
    return make_tuple(m, 0);
}
static lm_status do_tuple1(machine *m, const argument *a) {
    return make_tuple(m, 1);
}
static lm_status do_tuple2(machine *m, const argument *a) {
    return make_tuple(m, 2);
}
static lm_status do_tuple3(machine *m, const argument *a) {
    return make_tuple(m, 3);
}

/* The top `count` go into the list or dictionary below them. */
static lm_status grow(machine *m, kind wanted, int count) {
    if (available(m) < count + 1 || peek(m, count)->kind != wanted)
        return fail_at(m, "nothing there that could grow");
    if (wanted == DICTIONARY && count % 2) return fail_at(m, "a key without its value");
    return take_items(m, peek(m, count), count);
}

static lm_status do_append(machine *m, const argument *a) {
    return grow(m, LIST, 1);
}

static lm_status do_appends(machine *m, const argument *a) {
    int count = 0;
    LM_TRY(pop_mark(m, &count));
    return grow(m, LIST, count);
}

static lm_status do_set_item(machine *m, const argument *a) {
    return grow(m, DICTIONARY, 2);
}

static lm_status do_set_items(machine *m, const argument *a) {
    int count = 0;
    LM_TRY(pop_mark(m, &count));
    return grow(m, DICTIONARY, count);
}

static lm_status do_put(machine *m, const argument *a) {
    if (!available(m)) return fail_at(m, "nothing to remember");
    if (a->number >= MOST) return fail_at(m, "too many values");
    while (m->memo.count <= a->number) LM_TRY(append(m, &m->memo, UNSET));
    m->memo.at[a->number] = m->stack.at[m->stack.count - 1];
    return LM_OK;
}

static lm_status do_memoize(machine *m, const argument *a) {
    return do_put(m, &(argument){.number = m->memo.count});
}

static lm_status do_get(machine *m, const argument *a) {
    if (a->number >= m->memo.count || m->memo.at[a->number] == UNSET)
        return fail_at(m, "nothing was remembered there");
    return append(m, &m->stack, m->memo.at[a->number]);
}

/* ---- arrays ------------------------------------------------------------------ */

static const struct {
    const char *module, *name;
    kind kind;
} globals[] = {
    {"numpy.core.multiarray", "_reconstruct", RECONSTRUCT},
    {"numpy._core.multiarray", "_reconstruct", RECONSTRUCT}, /* since NumPy 2 */
    {"numpy", "ndarray", ARRAY_TYPE},
    {"numpy", "dtype", ELEMENT_MAKER},
};

static bool is_text(const uint8_t *at, size_t size, const char *text) {
    return size == strlen(text) && memcmp(at, text, size) == 0;
}

static lm_status push_global(machine *m, const uint8_t *module, size_t module_size,
                             const uint8_t *name, size_t name_size) {
    for (size_t i = 0; i < sizeof globals / sizeof *globals; i++)
        if (is_text(module, module_size, globals[i].module) &&
            is_text(name, name_size, globals[i].name))
            return push(m, (node){.kind = globals[i].kind});
    return fail_other(m, "something named that is no array");
}

/* "module\nname\n", of which the argument is all but the last newline. */
static lm_status do_global(machine *m, const argument *a) {
    const uint8_t *newline = memchr(a->at, '\n', a->size);
    size_t module = (size_t)(newline - a->at);
    return push_global(m, a->at, module, newline + 1, a->size - module - 1);
}

static lm_status do_stack_global(machine *m, const argument *a) {
    if (available(m) < 2 || peek(m, 0)->kind != TEXT || peek(m, 1)->kind != TEXT)
        return fail_at(m, "no name");
    node name = *peek(m, 0), module = *peek(m, 1);
    m->stack.count -= 2;
    return push_global(m, module.bytes.at, module.bytes.size, name.bytes.at,
                       name.bytes.size);
}

/* _reconstruct(ndarray, (0,), "b") is an array to be filled by BUILD; dtype("u1", ...)
 * its elements. */
static lm_status do_reduce(machine *m, const argument *a) {
    if (available(m) < 2 || peek(m, 0)->kind != TUPLE) return fail_at(m, "no call");
    node arguments = *peek(m, 0), called = *peek(m, 1);
    node *first = arguments.count ? item_of(m, &arguments, 0) : NULL;
    m->stack.count -= 2;
    if (called.kind == RECONSTRUCT && first && first->kind == ARRAY_TYPE)
        return push(m, (node){.kind = ARRAY});
    if (called.kind != ELEMENT_MAKER || !first || first->kind != TEXT)
        return fail_other(m, "a call");
    if (!is_text(first->bytes.at, first->bytes.size, "u1") &&
        !is_text(first->bytes.at, first->bytes.size, "|u1"))
        return fail_other(m, "an array of something else");
    return push(m, (node){.kind = ELEMENT});
}

/* The state of an array: (1, shape, dtype, by columns, bytes). */
static lm_status fill_array(machine *m, node *array, const node *state) {
    enum { VERSION, SHAPE, DTYPE, ORDER, BYTES, PARTS };
    if (state->kind != TUPLE || state->count != PARTS) return fail_at(m, "no array");
    const node *shape = item_of(m, state, SHAPE), *order = item_of(m, state, ORDER);
    const node *bytes = item_of(m, state, BYTES);
    if (shape->kind != TUPLE || shape->count > LM_MAX_RANK || order->kind != FLAG ||
        bytes->kind != TEXT || item_of(m, state, DTYPE)->kind != ELEMENT)
        return fail_at(m, "no array");
    for (int i = 0; i < shape->count; i++)
        if (item_of(m, shape, i)->kind != NUMBER) return fail_at(m, "no shape");
    array->start = shape->start;
    array->count = shape->count;
    array->by_columns = order->number;
    array->bytes.at = bytes->bytes.at;
    array->bytes.size = bytes->bytes.size;
    return LM_OK;
}

/* A dtype's state is about byte order and fields, which u1 has not. */
static lm_status do_build(machine *m, const argument *a) {
    if (available(m) < 2) return fail_at(m, "too few values");
    node *state = peek(m, 0), *built = peek(m, 1);
    m->stack.count--;
    if (built->kind == ELEMENT) return LM_OK;
    return built->kind == ARRAY ? fill_array(m, built, state) : fail_other(m, "a call");
}

/* ---- the loop ---------------------------------------------------------------- */

/* What follows an opcode. */
typedef enum form {
    NONE,
    U1,
    U2,
    I4,
    U4,
    U8,
    BYTES1, /* bytes behind a length of one byte */
    BYTES4, /* of four */
    LINES   /* two lines */
} form;

static const struct opcode {
    form form;
    lm_status (*act)(machine *m, const argument *a);
} opcodes[256] = {
    [0x80] = {U1, do_protocol},
    [0x95] = {U8, do_nothing}, /* a frame */
    ['.'] = {NONE, do_stop},
    ['N'] = {NONE, push_nothing},
    ['J'] = {I4, push_number},
    ['K'] = {U1, push_number},
    ['M'] = {U2, push_number},
    [0x8a] = {BYTES1, push_long},
    [0x88] = {NONE, push_true},
    [0x89] = {NONE, push_false},
    ['U'] = {BYTES1, push_text},
    ['T'] = {BYTES4, push_text},
    ['X'] = {BYTES4, push_text},
    [0x8c] = {BYTES1, push_text},
    ['C'] = {BYTES1, push_text},
    ['B'] = {BYTES4, push_text},
    [']'] = {NONE, push_list},
    ['}'] = {NONE, push_dictionary},
    ['('] = {NONE, do_mark},
    ['t'] = {NONE, do_tuple},
    [')'] = {NONE, do_tuple0},
    [0x85] = {NONE, do_tuple1},
    [0x86] = {NONE, do_tuple2},
    [0x87] = {NONE, do_tuple3},
    ['a'] = {NONE, do_append},
    ['e'] = {NONE, do_appends},
    ['s'] = {NONE, do_set_item},
    ['u'] = {NONE, do_set_items},
    ['q'] = {U1, do_put},
    ['r'] = {U4, do_put},
    [0x94] = {NONE, do_memoize},
    ['h'] = {U1, do_get},
    ['j'] = {U4, do_get},
    ['c'] = {LINES, do_global},
    [0x93] = {NONE, do_stack_global},
    ['R'] = {NONE, do_reduce},
    ['b'] = {NONE, do_build},
};

static lm_status read_number(machine *m, int bytes, int64_t *number) {
    if (m->end - m->at < bytes) return fail_at(m, "it ends early");
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++) value |= (uint64_t)m->at[i] << 8 * i;
    m->at += bytes;
    *number = (int64_t)value;
    return LM_OK;
}

static lm_status read_bytes(machine *m, int length_bytes, argument *a) {
    LM_TRY(read_number(m, length_bytes, &a->number));
    if (m->end - m->at < a->number) return fail_at(m, "it ends early");
    a->at = m->at;
    a->size = (size_t)a->number;
    m->at += a->size;
    return LM_OK;
}

static lm_status read_lines(machine *m, argument *a) {
    const uint8_t *first = memchr(m->at, '\n', (size_t)(m->end - m->at));
    const uint8_t *second =
        first ? memchr(first + 1, '\n', (size_t)(m->end - first - 1)) : NULL;
    if (!second) return fail_at(m, "it ends early");
    a->at = m->at;
    a->size = (size_t)(second - m->at);
    m->at = second + 1;
    return LM_OK;
}

static lm_status read_argument(machine *m, form what, argument *a) {
    static const int sizes[] = {[U1] = 1, [U2] = 2, [I4] = 4, [U4] = 4, [U8] = 8};
    switch (what) {
    case NONE:
        return LM_OK;
    case BYTES1:
        return read_bytes(m, 1, a);
    case BYTES4:
        return read_bytes(m, 4, a);
    case LINES:
        return read_lines(m, a);
    default:
        break;
    }
    LM_TRY(read_number(m, sizes[what], &a->number));
    if (what == I4) a->number = (int32_t)a->number;
    return LM_OK;
}

static lm_status run(machine *m) {
    while (!m->done) {
        if (m->at == m->end) return fail_at(m, "it ends early");
        const struct opcode *op = &opcodes[*m->at];
        if (!op->act) return fail_other(m, "another opcode");
        argument a = {0};
        m->at++;
        LM_TRY(read_argument(m, op->form, &a));
        LM_TRY(op->act(m, &a));
    }
    if (m->stack.count != 1 || peek(m, 0)->kind != DICTIONARY)
        return fail_other(m, "no dictionary");
    return LM_OK;
}

lm_status lm_pickle_parse(const void *bytes, size_t size, const char *name,
                          lm_pickle **pickle) {
    machine *m = lm_calloc(1, sizeof *m);
    if (!m) return LM_NOMEM;
    m->name = name;
    m->begin = m->at = bytes;
    m->end = m->begin + size;
    lm_status status = run(m);
    if (status == LM_OK)
        *pickle = m;
    else
        lm_pickle_free(m);
    return status;
}

void lm_pickle_free(lm_pickle *pickle) {
    if (!pickle) return;
    lm_free(pickle->nodes);
    lm_free(pickle->stack.at);
    lm_free(pickle->marks.at);
    lm_free(pickle->memo.at);
    lm_free(pickle->items.at);
    lm_free(pickle);
}

/* ---- what was in it ---------------------------------------------------------- */

static lm_status find(const machine *m, const char *key, kind wanted,
                      const node **value) {
    const node *dictionary = peek(m, 0);
    for (int i = 0; i + 1 < dictionary->count; i += 2) {
        const node *name = item_of(m, dictionary, i);
        *value = item_of(m, dictionary, i + 1);
        if (name->kind == TEXT && is_text(name->bytes.at, name->bytes.size, key) &&
            (*value)->kind == wanted)
            return LM_OK;
    }
    return lm_fail(LM_FORMAT, "%s: pickle: no %s of the expected kind in it", m->name,
                   key);
}

lm_status lm_pickle_integers(const lm_pickle *pickle, const char *key, int32_t **values,
                             int64_t *count) {
    const node *list;
    LM_TRY(find(pickle, key, LIST, &list));
    int32_t *taken = lm_alloc((size_t)list->count * sizeof *taken);
    if (!taken) return LM_NOMEM;
    for (int i = 0; i < list->count; i++) {
        const node *item = item_of(pickle, list, i);
        if (item->kind != NUMBER) {
            lm_free(taken);
            return lm_fail(LM_FORMAT, "%s: pickle: %s %d is no number", pickle->name, key,
                           i);
        }
        taken[i] = (int32_t)item->number;
    }
    *values = taken;
    *count = list->count;
    return LM_OK;
}

lm_status lm_pickle_find_array(const lm_pickle *pickle, const char *key,
                               lm_pickle_array *array) {
    const node *found;
    char text[LM_SHAPE_TEXT];
    size_t bytes;
    LM_TRY(find(pickle, key, ARRAY, &found));
    lm_shape shape = {.rank = found->count};
    for (int i = 0; i < found->count; i++)
        shape.dim[i] = item_of(pickle, found, i)->number;
    LM_RETURN_IF(!lm_shape_bytes(shape, LM_U8, &bytes) || bytes != found->bytes.size,
                 LM_FORMAT, "%s: pickle: %s of shape %s has %zu bytes", pickle->name, key,
                 lm_shape_text(shape, text), found->bytes.size);
    *array = (lm_pickle_array){found->bytes.at, shape, found->by_columns};
    return LM_OK;
}
