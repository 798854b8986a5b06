#include "train/run_source.h"

enum { BATCH = 64 };

static lm_status open_source(const lm_run_source_spec *spec, lm_run_source *from) {
    int64_t count = spec->draw.count;
    LM_TRY(lm_run_open(&spec->choice, &from->opened));
    const lm_drawer_spec how = {.request = spec->request,
                                .batch = count < BATCH ? (int)count : BATCH,
                                .raw = from->opened.raw};
    LM_TRY(lm_drawer_new(from->opened.engine, from->opened.model, &how, &from->drawer));
    LM_TRY(lm_aggregate_attach(&from->opened, from->drawer, &from->aggregate));
    return lm_drawn_init(&from->drawn, from->drawer, from->opened.run.folder,
                         &spec->draw);
}

lm_status lm_run_source_open(const lm_run_source_spec *spec, lm_run_source *from) {
    *from = (lm_run_source){0};
    LM_RETURN_IF(spec->draw.count < 1, LM_ARG, "%s: no images are asked for",
                 spec->choice.run);
    lm_status status = open_source(spec, from);
    if (status != LM_OK) lm_run_source_close(from);
    return status;
}

void lm_run_source_close(lm_run_source *from) {
    lm_drawn_release(&from->drawn);
    lm_drawer_free(from->drawer);
    lm_aggregate_free(from->aggregate);
    lm_run_close(&from->opened);
    *from = (lm_run_source){0};
}

lm_eval_side lm_run_source_side(const lm_run_source *from) {
    return lm_drawn_side(&from->drawn, from->opened.state.step);
}
