#include "eval/network.h"

#include "base/file.h"
#include "base/mem.h"
#include "data/known.h"
#include "tensor/safetensors.h"

#include <math.h>
#include <string.h>

/* ---- the file ---------------------------------------------------------------- */

static lm_status find_file(const lm_network_spec *spec, const char *file, char **path) {
    *path = NULL;
    if (file) {
        *path = lm_strdup(file);
    } else {
        char *folder = NULL;
        LM_TRY(lm_data_folder(&folder));
        lm_str text = LM_STR_INIT;
        lm_str_printf(&text, "%s/extractors/%s.safetensors", folder, spec->name);
        lm_free(folder);
        if (!text.failed)
            *path = text.text;
        else
            lm_str_release(&text);
    }
    if (!*path) return LM_NOMEM;
    if (lm_file_exists(*path)) return LM_OK;
    lm_fail(LM_NOT_FOUND,
            "%s: no such file; docs/extractors.md, \"%s\", says how to make it", *path,
            spec->chapter);
    lm_free(*path);
    *path = NULL;
    return LM_NOT_FOUND;
}

/* "X.gamma" and so on of a slice "X.weight" or "X.bias". */
static lm_status read_norm(const lm_safetensors *file, const lm_param_slice *slice,
                           const char *part, int64_t count, double *values) {
    lm_str name = LM_STR_INIT;
    const char *dot = strrchr(slice->name, '.');
    lm_str_printf(&name, "%.*s.%s", (int)(dot - slice->name), slice->name, part);
    lm_status status = name.failed ? LM_NOMEM
                                   : lm_safetensors_read(file, name.text, LM_F64,
                                                         LM_SHAPE(count), values);
    lm_str_release(&name);
    return status;
}

static bool has_norm(const lm_safetensors *file, const lm_param_slice *slice) {
    const char *dot = strrchr(slice->name, '.');
    if (!dot) return false;
    size_t length = (size_t)(dot - slice->name);
    for (int i = 0; i < file->n_entries; i++) {
        const char *name = file->entries[i].name;
        if (strncmp(name, slice->name, length) == 0 &&
            strcmp(name + length, ".gamma") == 0)
            return true;
    }
    return false;
}

/* y = gamma (w x - mean) / sqrt(variance + eps) + beta is a convolution again: its rows
 * are scaled, its bias is what is left. */
static lm_status fold_norm(const lm_safetensors *file, const lm_param_slice *slice,
                           double eps, float *values) {
    int64_t out = slice->shape.dim[0], each = slice->count / out;
    double *norm = lm_alloc((size_t)out * 4 * sizeof *norm);
    if (!norm) return LM_NOMEM;
    double *gamma = norm, *variance = norm + out, *mean = norm + 2 * out;
    double *beta = norm + 3 * out;
    lm_status status;
    LM_TRY_GOTO(done, read_norm(file, slice, "gamma", out, gamma));
    LM_TRY_GOTO(done, read_norm(file, slice, "variance", out, variance));
    LM_TRY_GOTO(done, read_norm(file, slice, "mean", out, mean));
    LM_TRY_GOTO(done, read_norm(file, slice, "beta", out, beta));
    bool bias = slice->shape.rank == 1;
    if (!bias)
        LM_TRY_GOTO(done,
                    lm_safetensors_read(file, slice->name, LM_F32, slice->shape, values));
    for (int64_t o = 0; o < out; o++) {
        double factor = gamma[o] / sqrt(variance[o] + eps);
        if (bias) values[o] = (float)(beta[o] - mean[o] * factor);
        for (int64_t i = 0; !bias && i < each; i++)
            values[o * each + i] = (float)(factor * values[o * each + i]);
    }
done:
    lm_free(norm);
    return status;
}

static lm_status read_slice(const lm_network *network, const lm_safetensors *file,
                            const lm_param_slice *slice, float *values) {
    if (has_norm(file, slice))
        LM_TRY(fold_norm(file, slice, network->spec.norm_eps, values));
    else
        LM_TRY(lm_safetensors_read(file, slice->name, LM_F32, slice->shape, values));
    bool finite = true;
    for (int64_t i = 0; i < slice->count; i++) finite &= isfinite(values[i]) != 0;
    LM_RETURN_IF(!finite, LM_NUMERIC, "%s: %s has values that are not finite", file->name,
                 slice->name);
    return LM_OK;
}

/* Slice by slice, so that the largest is all that is held beside the engine's copy. */
static lm_status read_weights(lm_network *network, const lm_safetensors *file) {
    const lm_params *params = network->params;
    int64_t most = 0;
    for (int i = 0; i < params->n_slices; i++)
        if (params->slices[i].count > most) most = params->slices[i].count;
    float *values = lm_alloc((size_t)most * sizeof *values);
    if (!values) return LM_NOMEM;
    lm_digest digest;
    lm_digest_init(&digest, LM_SHA256);
    lm_status status = LM_OK;
    for (int i = 0; i < params->n_slices && status == LM_OK; i++) {
        const lm_param_slice *slice = &params->slices[i];
        status = read_slice(network, file, slice, values);
        if (status != LM_OK) break;
        lm_digest_add(&digest, values, (size_t)slice->count * sizeof *values);
        status = lm_engine_write_var(network->engine, params->name, slice->offset,
                                     slice->count, LM_F32, values);
    }
    lm_digest_hex(&digest, network->weights);
    lm_free(values);
    bool other = status == LM_NOT_FOUND || status == LM_SHAPE; /* network's file */
    return other ? lm_fail_context(LM_MISMATCH, "%s", network->spec.name) : status;
}

/* ---- graph and program ------------------------------------------------------- */

static lm_status build(lm_network *network, int64_t batch, int height, int width,
                       lm_graph **graph) {
    *graph = NULL;
    LM_TRY(lm_graph_new(graph));
    lm_nn nn = {.graph = *graph, .params = network->params, .var = network->params->name};
    network->spec.build(&nn, network->spec.what, batch, height, width);
    lm_status status = lm_graph_status(*graph);
    if (status == LM_OK) return LM_OK;
    lm_graph_free(*graph);
    *graph = NULL;
    return lm_fail_context(status, "%s", network->spec.name);
}

lm_status lm_network_fit(lm_network *network, int64_t batch, int height, int width) {
    bool same =
        network->batch == batch && network->height == height && network->width == width;
    if (network->program && same) return LM_OK;
    lm_graph *graph;
    LM_TRY(build(network, batch, height, width, &graph));
    lm_program_free(network->program);
    network->program = NULL;
    lm_status status = lm_compile(network->engine, graph, NULL, &network->program);
    lm_graph_free(graph);
    network->batch = batch;
    network->height = height;
    network->width = width;
    return status;
}

/* Weights are registered by building once, for two images, since some compare pairs; what
 * was built is of no further use. */
static lm_status prepare(lm_network *network) {
    lm_graph *graph;
    int side = network->spec.side;
    LM_TRY(lm_params_new(network->spec.name, &network->params));
    LM_TRY(build(network, 2, side, side, &graph));
    lm_graph_free(graph);
    LM_TRY(lm_engine_new("cpu", &network->engine));
    return lm_engine_add_var(network->engine, network->params->name,
                             network->params->count);
}

lm_status lm_network_open(const lm_network_spec *spec, const char *file,
                          lm_network **network) {
    *network = NULL;
    char *path;
    lm_safetensors opened = {0};
    LM_TRY(find_file(spec, file, &path));
    lm_network *made = lm_calloc(1, sizeof *made);
    lm_status status = made ? lm_safetensors_open(&opened, path) : LM_NOMEM;
    if (status == LM_OK) {
        made->spec = *spec;
        status = prepare(made);
        if (status == LM_OK) status = read_weights(made, &opened);
        lm_safetensors_release(&opened);
    }
    lm_free(path);
    if (status == LM_OK)
        *network = made;
    else
        lm_network_free(made);
    return status;
}

void lm_network_free(lm_network *network) {
    if (!network) return;
    lm_program_free(network->program);
    lm_engine_free(network->engine);
    lm_params_free(network->params);
    lm_free(network);
}
