/* An engine: a backend, its variables, the arena that programs share. */
#include "base/mem.h"
#include "exec/exec_internal.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

static const struct {
    const char *name;
    lm_status (*make)(lm_backend **backend);
} backends[] = {
    {"cpu", lm_backend_cpu_new},
    {"ref", lm_backend_ref_new},
    {"null", lm_backend_null_new},
};
enum { N_BACKENDS = sizeof backends / sizeof *backends };

lm_status lm_fail_unknown(const char *what, const char *name,
                          const char *const *candidates) {
    const char *near = lm_nearest(name, candidates);
    return near ? lm_fail(LM_NOT_FOUND, "no %s '%s' (did you mean '%s'?)", what, name,
                          near)
                : lm_fail(LM_NOT_FOUND, "no %s '%s'", what, name);
}

static lm_status make_backend(const char *name, lm_backend **backend) {
    const char *names[N_BACKENDS + 1] = {NULL};
    for (int i = 0; i < N_BACKENDS; i++) {
        names[i] = backends[i].name;
        if (!strcmp(name, backends[i].name)) return backends[i].make(backend);
    }
    return lm_fail_unknown("backend", name, names);
}

lm_status lm_engine_new(const char *backend, lm_engine **engine) {
    *engine = NULL;
    lm_engine *made = lm_calloc(1, sizeof *made);
    if (!made) return LM_NOMEM;
    lm_status status = make_backend(backend, &made->backend);
    if (status != LM_OK) {
        lm_free(made);
        return status;
    }
    made->arena_generation = 1;
    *engine = made;
    return LM_OK;
}

void lm_engine_free(lm_engine *engine) {
    if (!engine) return;
    for (int i = 0; i < engine->n_vars; i++) {
        lm_engine_dealloc(engine, engine->vars[i].memory);
        lm_free(engine->vars[i].name);
    }
    lm_free(engine->vars);
    lm_engine_dealloc(engine, engine->arena);
    engine->backend->release(engine->backend);
    lm_free(engine);
}

lm_status lm_engine_configure(lm_engine *engine, const lm_backend_options *options) {
    lm_backend *backend = engine->backend;
    return backend->configure ? backend->configure(backend, options) : LM_OK;
}

/* ---- memory ------------------------------------------------------------------ */

size_t lm_engine_size(const lm_engine *engine, lm_dtype dtype, int64_t count) {
    return (size_t)count * engine->backend->element_size(dtype);
}

static lm_status allocate(lm_engine *engine, size_t bytes, void **memory) {
    *memory = engine->backend->alloc(engine->backend, bytes);
    if (*memory) return LM_OK;
    return lm_fail(LM_NOMEM, "out of memory: %s backend, %zu bytes wanted",
                   engine->backend->name, bytes);
}

lm_status lm_engine_alloc(lm_engine *engine, lm_dtype dtype, int64_t count,
                          void **memory) {
    return allocate(engine, lm_engine_size(engine, dtype, count), memory);
}

void lm_engine_dealloc(lm_engine *engine, void *memory) {
    if (memory) engine->backend->free(engine->backend, memory);
}

lm_status lm_engine_reserve(lm_engine *engine, int64_t bytes) {
    if (bytes <= engine->arena_bytes) return LM_OK;
    /* Freed first: old and new together may not fit. */
    lm_engine_dealloc(engine, engine->arena);
    engine->arena = NULL;
    engine->arena_bytes = 0;
    engine->arena_generation++;
    engine->latest = NULL;
    LM_TRY(allocate(engine, (size_t)bytes, &engine->arena));
    engine->arena_bytes = bytes;
    return LM_OK;
}

void lm_engine_fill(lm_engine *engine, void *memory, lm_dtype dtype, int64_t count,
                    double value) {
    enum { BLOCK = 512 };
    double block[BLOCK];
    for (int i = 0; i < BLOCK; i++) block[i] = value;
    char *to = memory;
    for (int64_t done = 0; done < count; done += BLOCK) {
        int64_t part = count - done < BLOCK ? count - done : BLOCK;
        engine->backend->upload(engine->backend, to, dtype, block, LM_F64, part);
        to += lm_engine_size(engine, dtype, part);
    }
}

void lm_engine_memory(const lm_engine *engine, int64_t *variables, int64_t *arena) {
    *variables = 0;
    for (int i = 0; i < engine->n_vars; i++)
        *variables += (int64_t)lm_engine_size(engine, LM_F32, engine->vars[i].count);
    *arena = engine->arena_bytes;
}

/* ---- variables --------------------------------------------------------------- */

int lm_engine_find_var(const lm_engine *engine, const char *name) {
    for (int i = 0; i < engine->n_vars; i++)
        if (!strcmp(engine->vars[i].name, name)) return i;
    return -1;
}

lm_status lm_engine_no_var(const lm_engine *engine, const char *name) {
    const char **names = lm_calloc((size_t)engine->n_vars + 1, sizeof *names);
    if (!names) return LM_NOMEM;
    for (int i = 0; i < engine->n_vars; i++) names[i] = engine->vars[i].name;
    lm_status status = lm_fail_unknown("variable", name, names);
    lm_free(names);
    return status;
}

static lm_status make_room(lm_engine *engine) {
    if (engine->n_vars < engine->capacity) return LM_OK;
    int capacity = engine->capacity ? 2 * engine->capacity : 8;
    lm_variable *vars = lm_realloc(engine->vars, (size_t)capacity * sizeof *vars);
    if (!vars) return LM_NOMEM;
    engine->vars = vars;
    engine->capacity = capacity;
    return LM_OK;
}

lm_status lm_engine_add_var(lm_engine *engine, const char *name, int64_t count) {
    LM_RETURN_IF(count < 1, LM_ARG, "variable '%s': %" PRId64 " elements wanted", name,
                 count);
    int known = lm_engine_find_var(engine, name);
    if (known >= 0) {
        int64_t has = engine->vars[known].count;
        LM_RETURN_IF(has != count, LM_SHAPE,
                     "variable '%s' has %" PRId64 " elements, not %" PRId64, name, has,
                     count);
        return LM_OK;
    }
    LM_TRY(make_room(engine));
    lm_variable var = {lm_strdup(name), count, NULL, 1};
    if (!var.name) return LM_NOMEM;
    lm_status status = lm_engine_alloc(engine, LM_F32, count, &var.memory);
    if (status != LM_OK) {
        lm_free(var.name);
        return lm_fail_context(status, "variable '%s'", name);
    }
    engine->vars[engine->n_vars++] = var;
    return LM_OK;
}

bool lm_engine_has_var(const lm_engine *engine, const char *name) {
    return lm_engine_find_var(engine, name) >= 0;
}

int64_t lm_engine_var_count(const lm_engine *engine, const char *name) {
    int index = lm_engine_find_var(engine, name);
    return index < 0 ? -1 : engine->vars[index].count;
}

/* The memory of a checked range of a variable. */
static lm_status find_range(lm_engine *engine, const char *name, int64_t offset,
                            int64_t count, lm_variable **var, void **at) {
    int index = lm_engine_find_var(engine, name);
    if (index < 0) return lm_engine_no_var(engine, name);
    *var = &engine->vars[index];
    bool inside = offset >= 0 && count >= 0 && offset <= (*var)->count &&
                  count <= (*var)->count - offset;
    LM_RETURN_IF(!inside, LM_SHAPE,
                 "variable '%s': %" PRId64 " elements from %" PRId64
                 " are outside its %" PRId64,
                 name, count, offset, (*var)->count);
    *at = (char *)(*var)->memory + lm_engine_size(engine, LM_F32, offset);
    return LM_OK;
}

lm_status lm_engine_write_var(lm_engine *engine, const char *name, int64_t offset,
                              int64_t count, lm_dtype dtype, const void *from) {
    lm_variable *var;
    void *at;
    LM_TRY(find_range(engine, name, offset, count, &var, &at));
    engine->backend->upload(engine->backend, at, LM_F32, from, dtype, count);
    var->version++;
    return LM_OK;
}

lm_status lm_engine_read_var(lm_engine *engine, const char *name, int64_t offset,
                             int64_t count, lm_dtype dtype, void *to) {
    lm_variable *var;
    void *at;
    LM_TRY(find_range(engine, name, offset, count, &var, &at));
    engine->backend->download(engine->backend, to, dtype, at, LM_F32, count);
    return LM_OK;
}
