#include "train/model_graph.h"

lm_status lm_model_graph_begin(lm_model_graph *mg, const lm_model *model, bool raw) {
    *mg = (lm_model_graph){.model = model,
                           .nn = {.params = model->groups[0],
                                  .buffers = model->buffers,
                                  .next_stream = 1000}};
    LM_TRY(lm_graph_new(&mg->nn.graph));
    mg->nn.var =
        lm_group_var(model->groups[0], raw ? LM_GROUP_WEIGHTS : LM_GROUP_EMA, mg->var);
    return LM_OK;
}

void lm_model_graph_key(lm_model_graph *mg) {
    mg->nn.key = lm_input(mg->nn.graph, "key", LM_U32, LM_SHAPE(4));
}

lm_node *lm_model_graph_images(lm_model_graph *mg, int batch) {
    const lm_image_info *info = &mg->model->info;
    return lm_input(mg->nn.graph, "images", LM_U8,
                    LM_SHAPE(batch, info->height, info->width, info->channels));
}

lm_node *lm_model_graph_labels(lm_model_graph *mg, int batch) {
    if (!mg->model->conditional) return NULL;
    return lm_input(mg->nn.graph, "labels", LM_I32, LM_SHAPE(batch));
}

lm_status lm_model_graph_end(lm_model_graph *mg, lm_engine *engine,
                             lm_program **program) {
    lm_graph *g = mg->nn.graph;
    lm_status status = lm_graph_status(g);
    if (status == LM_OK) status = lm_compile(engine, g, NULL, program);
    lm_graph_free(g);
    return status;
}
