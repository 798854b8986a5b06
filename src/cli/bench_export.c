/* limn bench model --export: the losses of one batch, with all that they depend on. */
#include "cli/bench.h"

#include "base/arena.h"
#include "base/mem.h"
#include "families/ddpm.h"
#include "families/gan.h"
#include "families/vae.h"
#include "tensor/philox.h"
#include "tensor/safetensors.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define SEED 1

/* ---- graphs ------------------------------------------------------------------ */

/* How the host fills an input. */
typedef enum fill { PIXELS, BYTES, NORMAL, SHARES, TIMES } fill;

typedef struct input_row {
    const char *name; /* in the graph and in the file */
    fill fill;
} input_row;

/* A network's losses as functions of inputs that the file holds. */
typedef struct exporter {
    const lm_family *family;
    const input_row *inputs;   /* ended by name NULL */
    const char *const *losses; /* outputs, ended by NULL */
    void (*build)(const bench_subject *subject, lm_nn *nn);
} exporter;

static lm_shape image_batch(const bench_subject *subject) {
    const lm_image_info *info = &subject->model->info;
    return LM_SHAPE(subject->batch, info->height, info->width, info->channels);
}

static void build_ddpm(const bench_subject *subject, lm_nn *nn) {
    lm_graph *g = nn->graph;
    nn->params = subject->model->groups[0];
    nn->var = nn->params->name;
    lm_node *x = lm_input(g, "input.x0", LM_F32, image_batch(subject));
    lm_node *t = lm_input(g, "input.t", LM_I32, LM_SHAPE(subject->batch));
    lm_node *noise = lm_input(g, "input.noise", LM_F32, image_batch(subject));
    lm_graph_output(g, "loss", lm_ddpm_loss_at(subject->model, nn, x, t, noise, NULL));
}

static void build_gan(const bench_subject *subject, lm_nn *nn) {
    lm_graph *g = nn->graph;
    const lm_model *model = subject->model;
    const lm_gan *gan = model->state;
    const lm_gan_batch batch = {
        .real = lm_input(g, "input.real", LM_F32, image_batch(subject)),
        .z = lm_input(g, "input.z", LM_F32, LM_SHAPE(subject->batch, gan->pair.z)),
        .share = lm_input(g, "input.share", LM_F32, LM_SHAPE(subject->batch))};
    lm_graph_output(g, "loss.d", lm_gan_loss_d(model, nn, &batch));
    lm_graph_output(g, "loss.g", lm_gan_loss_g(model, nn, &batch));
}

static void build_vae(const bench_subject *subject, lm_nn *nn) {
    lm_graph *g = nn->graph;
    const lm_vae *vae = subject->model->state;
    nn->params = subject->model->groups[0];
    nn->var = nn->params->name;
    lm_shape units = LM_SHAPE(vae->samples, subject->batch, vae->latent);
    lm_node *images = lm_input(g, "input.images", LM_U8, image_batch(subject));
    const lm_vae_noise noise = {.eps = lm_input(g, "input.eps", LM_F32, units)};
    lm_graph_output(
        g, "loss",
        lm_vae_loss_at(subject->model, nn, images, NULL, &noise, lm_const(g, vae->beta)));
}

static const exporter exporters[] = {
    {&lm_family_ddpm,
     (const input_row[]){
         {"input.x0", PIXELS}, {"input.t", TIMES}, {"input.noise", NORMAL}, {0}},
     (const char *const[]){"loss", NULL}, build_ddpm},
    {&lm_family_gan,
     (const input_row[]){
         {"input.real", PIXELS}, {"input.z", NORMAL}, {"input.share", SHARES}, {0}},
     (const char *const[]){"loss.d", "loss.g", NULL}, build_gan},
    {&lm_family_vae,
     (const input_row[]){{"input.images", BYTES}, {"input.eps", NORMAL}, {0}},
     (const char *const[]){"loss", NULL}, build_vae}};

static lm_status find_exporter(const lm_family *family, const exporter **found) {
    for (size_t i = 0; i < sizeof exporters / sizeof *exporters; i++)
        if (exporters[i].family == family) {
            *found = &exporters[i];
            return LM_OK;
        }
    return lm_fail(LM_UNSUPPORTED, "--export: not for family %s", family->name);
}

/* ---- the file ---------------------------------------------------------------- */

enum { MAX_EXTRA = 8 }; /* inputs and losses */

typedef struct export {
    bench_subject *subject;
    const exporter *how;
    lm_graph *graph;
    lm_program *program;
    lm_arena arena; /* all values */
    lm_st_entry *entries;
    int count;
}
export;

static void add_entry(export *e, const char *name, lm_dtype dtype, lm_shape shape,
                      const void *data) {
    e->entries[e->count++] = (lm_st_entry){name, dtype, shape, data};
}

/* Layers that start next to zero would hide all that comes before them, and a scale of 1
 * or a shift of 0 would not show in a loss at all. */
static lm_init telling_init(lm_init init) {
    if (init.kind == LM_INIT_ZEROS || init.kind == LM_INIT_ONES)
        return LM_INIT(NORMAL, 0.1);
    return (lm_init){init.kind, init.scale < 1e-6 ? 1 : init.scale};
}

static lm_status write_weights(export *e, lm_params *group) {
    float *values = lm_arena_alloc(&e->arena, sizeof *values * group->count);
    bool *ones = lm_arena_alloc(&e->arena, sizeof *ones * group->n_slices);
    if (!values || !ones) return LM_NOMEM;
    for (int s = 0; s < group->n_slices; s++) {
        lm_param_slice *slice = &group->slices[s];
        ones[s] = slice->init.kind == LM_INIT_ONES;
        slice->init = telling_init(slice->init);
    }
    LM_TRY(lm_params_init(group, SEED, values));
    for (int s = 0; s < group->n_slices; s++) {
        const lm_param_slice *slice = &group->slices[s];
        float *first = values + slice->offset;
        for (int64_t i = 0; ones[s] && i < slice->count; i++) first[i] += 1;
        add_entry(e, slice->name, LM_F32, slice->shape, first);
    }
    lm_engine *engine = e->subject->engine;
    LM_TRY(lm_engine_add_var(engine, group->name, group->count));
    return lm_engine_write_var(engine, group->name, 0, group->count, LM_F32, values);
}

static void fill_floats(float *values, int64_t count, fill how, lm_rng *rng) {
    for (int64_t i = 0; i < count; i++)
        values[i] = (float)(how == PIXELS   ? lm_rng_below(rng, 256) / 127.5 - 1
                            : how == SHARES ? lm_rng_uniform(rng)
                                            : lm_rng_normal(rng));
}

static void fill_bytes(uint8_t *values, int64_t count, lm_rng *rng) {
    for (int64_t i = 0; i < count; i++) values[i] = (uint8_t)lm_rng_below(rng, 256);
}

static void fill_times(const export *e, int32_t *values, int64_t count, lm_rng *rng) {
    int64_t limit = lm_setting_int(&e->subject->model->settings, "timesteps");
    for (int64_t i = 0; i < count; i++)
        values[i] = (int32_t)lm_rng_below(rng, (uint32_t)limit);
}

static const lm_node *find_input(const lm_graph *g, const char *name) {
    for (int i = 0; i < lm_graph_size(g); i++) {
        const lm_node *node = lm_graph_node(g, i);
        if (node->kind == LM_KIND_INPUT && strcmp(node->attr.name, name) == 0)
            return node;
    }
    return NULL;
}

static lm_status set_input(export *e, int index) {
    const input_row *input = &e->how->inputs[index];
    if (!lm_program_has_input(e->program, input->name)) return LM_OK; /* not needed */
    const lm_node *node = find_input(e->graph, input->name);
    int64_t count = lm_shape_count(node->shape);
    void *values = lm_arena_alloc(&e->arena, count * lm_dtype_size(node->dtype));
    if (!values) return LM_NOMEM;
    lm_rng rng = {.seed = SEED, .stream = (uint32_t)index};
    if (input->fill == TIMES)
        fill_times(e, values, count, &rng);
    else if (input->fill == BYTES)
        fill_bytes(values, count, &rng);
    else
        fill_floats(values, count, input->fill, &rng);
    add_entry(e, input->name, node->dtype, node->shape, values);
    return lm_program_set(e->program, input->name, node->dtype, values, count);
}

static lm_status get_loss(export *e, const char *name) {
    float *loss = lm_arena_alloc(&e->arena, sizeof *loss);
    if (!loss) return LM_NOMEM;
    LM_TRY(lm_program_get(e->program, name, LM_F32, loss, 1));
    LM_RETURN_IF(!isfinite(*loss), LM_NUMERIC, "--export: %s is %g", name, (double)*loss);
    add_entry(e, name, LM_F32, LM_SCALAR, loss);
    return LM_OK;
}

static lm_status compile(export *e) {
    LM_TRY(lm_graph_new(&e->graph));
    lm_nn nn = {.graph = e->graph};
    e->how->build(e->subject, &nn);
    LM_TRY(lm_graph_status(e->graph));
    return lm_compile(e->subject->engine, e->graph, NULL, &e->program);
}

static lm_status fill_file(export *e) {
    const lm_model *model = e->subject->model;
    int count = MAX_EXTRA;
    for (int i = 0; i < model->n_groups; i++) count += model->groups[i]->n_slices;
    e->entries = lm_arena_alloc(&e->arena, sizeof *e->entries * count);
    if (!e->entries) return LM_NOMEM;
    for (int i = 0; i < model->n_groups; i++) LM_TRY(write_weights(e, model->groups[i]));
    LM_TRY(compile(e));
    for (int i = 0; e->how->inputs[i].name; i++) LM_TRY(set_input(e, i));
    LM_TRY(lm_program_run(e->program));
    for (int i = 0; e->how->losses[i]; i++) LM_TRY(get_loss(e, e->how->losses[i]));
    return LM_OK;
}

/* The losses are the last entries. */
static void report(const cli_context *cli, const export *e, const char *path) {
    json_t *json = json_pack("{s:s}", "export", path);
    lm_str line = LM_STR_INIT;
    int count = 0;
    while (e->how->losses[count]) count++;
    for (int i = e->count - count; i < e->count; i++) {
        double value = (double)*(const float *)e->entries[i].data;
        json_object_set_new(json, e->entries[i].name, json_real(value));
        lm_str_printf(&line, " %s %.7g", e->entries[i].name, value);
    }
    if (cli->json)
        cli_print_json(json_incref(json));
    else
        printf("%s:%s\n", path, lm_str_text(&line));
    lm_str_release(&line);
    json_decref(json);
}

lm_status bench_export(const cli_context *cli, bench_subject *subject, const char *path) {
    export e = {.subject = subject, .arena = LM_ARENA_INIT};
    LM_TRY(find_exporter(subject->family, &e.how));
    char batch[16];
    snprintf(batch, sizeof batch, "%d", subject->batch);
    const lm_st_meta meta[] = {
        {"family", subject->family->name}, {"preset", subject->preset}, {"batch", batch}};
    lm_status status = fill_file(&e);
    if (status == LM_OK) status = lm_safetensors_write(path, e.entries, e.count, meta, 3);
    if (status == LM_OK) report(cli, &e, path);
    lm_program_free(e.program);
    lm_graph_free(e.graph);
    lm_arena_release(&e.arena);
    return status;
}
