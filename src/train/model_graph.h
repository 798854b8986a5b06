/* The graph of something that is asked of a trained model: samples, codes, likelihoods.
 *
 *     lm_model_graph mg;
 *     LM_TRY(lm_model_graph_begin(&mg, model, raw));
 *     lm_graph_output(mg.nn.graph, "kl", ... lm_model_graph_images(&mg, 64) ...);
 *     return lm_model_graph_end(&mg, engine, &program); */
#ifndef LIMN_TRAIN_MODEL_GRAPH_H
#define LIMN_TRAIN_MODEL_GRAPH_H

#include "exec/exec.h"
#include "families/family.h"
#include "train/checkpoint.h"

typedef struct lm_model_graph {
    lm_nn nn; /* of the model's first group, and its buffers */
    const lm_model *model;
    char var[LM_GROUP_NAME]; /* nn.var, so that it must stay where it is */
} lm_model_graph;

/* raw: of the weights themselves, not their average. On failure there is nothing to end.
 */
lm_status lm_model_graph_begin(lm_model_graph *mg, const lm_model *model, bool raw);

/* Input "key", u32[4], for what draws. */
void lm_model_graph_key(lm_model_graph *mg);
/* Input "images", u8[batch,h,w,c]. */
lm_node *lm_model_graph_images(lm_model_graph *mg, int batch);
/* Input "labels", i32[batch]; NULL: the model takes none. */
lm_node *lm_model_graph_labels(lm_model_graph *mg, int batch);

/* Compiles, and frees the graph in every case. */
lm_status lm_model_graph_end(lm_model_graph *mg, lm_engine *engine, lm_program **program);

#endif
