/* A model of a golden file: its weights in an engine, a graph on its inputs, and what the
 * file holds of the results. */
#ifndef LIMN_TESTS_GOLDEN_MODEL_H
#define LIMN_TESTS_GOLDEN_MODEL_H

#include "golden/golden.h"

#include "exec/exec.h"
#include "families/family.h"

typedef struct golden_model {
    const golden_backend *backend;
    const char *at; /* before the names of the file's tensors: "", "conv/" */
    lm_safetensors file;
    lm_model *model;
    lm_params *params; /* the first group */
    lm_engine *engine;
    lm_graph *graph;
    lm_nn nn; /* in training, on the first group's weights */
    lm_program *program;
} golden_model;

/* What is compared: a model, and where its tensors are. */
typedef struct golden_case {
    const lm_family *family;
    const char *file, *at, *settings;
    lm_image_info info;
} golden_case;
/* A model with the file's "w/..." as weights and average of each group. */
void golden_model_init(golden_model *b, const golden_backend *backend,
                       const golden_case *which);
/* A new graph after one that was run; nn trains the group. */
void golden_next_graph(golden_model *b, int group);
void golden_model_release(golden_model *b);

/* Tensors of a golden file whose names end so: its cases. */
int golden_count(const char *file, const char *ending);

/* One of the case's tensors. */
const lm_st_entry *golden_tensor(golden_model *b, const char *name);
/* An input of the graph with the name and shape of one of the file's tensors. */
lm_node *golden_input(golden_model *b, const char *name, lm_dtype dtype);
/* Compiles the graph, and sets all inputs that the file knows. */
void golden_compile(golden_model *b);

/* The program's output, or every group's weights or average (suffix "" or ".ema"),
 * against the file's. */
void golden_check_output(golden_model *b, const char *output, const lm_st_entry *entry);
void golden_check_weights(golden_model *b, const char *suffix, const char *prefix);
/* The gradients of `loss` for every slice of the group that has a "dw/..." become
 * outputs, which golden_check_gradients compares after the run. */
void golden_add_gradients(golden_model *b, int group, lm_node *loss);
void golden_check_gradients(golden_model *b, int group);

#endif
