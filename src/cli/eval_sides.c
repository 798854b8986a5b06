/* The images of an evaluation: what is judged, and the real ones. */
#include "cli/data.h"
#include "cli/drawing.h"
#include "cli/eval.h"

#include "base/file.h"
#include "base/mem.h"
#include "data/transform.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Images where the user says no number. */
enum { MOST_JUDGED = 10000, DRAWN = 2048 };

static int64_t choose_judged(const cli_context *cli, const lm_dataset *set) {
    const lm_option_value *value = lm_setting(&cli->options, "n");
    if (value->is_set) return value->integer;
    return !set->endless && set->count < MOST_JUDGED ? 0 : MOST_JUDGED;
}

static int64_t choose_reference(const cli_context *cli, const lm_dataset *set) {
    const lm_option_value *value = lm_setting(&cli->options, "reference");
    return value->is_set ? value->integer : lm_reference_count(set);
}

static lm_status check_available(const char *option, int64_t n, const char *spec,
                                 const lm_dataset *set) {
    LM_RETURN_IF(!set->endless && n > set->count, LM_ARG,
                 "%s %" PRId64 ": %s has %" PRId64 " images", option, n, spec,
                 set->count);
    return LM_OK;
}

/* ---- real images ------------------------------------------------------------- */

static lm_status open_real(const cli_context *cli, const char *data,
                           cli_eval_sides *sides) {
    uint64_t seed = (uint64_t)lm_setting_int(&cli->options, "seed");
    LM_TRY(lm_dataset_open(data, LM_SPLIT_TRAIN, &sides->train_set));
    LM_TRY(cli_data_open_held_out(cli, data, sides->train_set, &sides->test_set));
    int64_t n = choose_reference(cli, sides->train_set);
    LM_TRY(check_available("--reference", n, data, sides->train_set));
    return lm_eval_side_of_set(sides->train_set, n, seed, data, &sides->train_from,
                               &sides->train);
}

/* As many held-out images as are judged stand for real ones; as a reference, all do. */
static lm_status open_test(const cli_context *cli, int64_t judged,
                           cli_eval_sides *sides) {
    const lm_settings *o = &cli->options;
    const lm_dataset *set = sides->test_set;
    bool reference = sides->against_test;
    LM_RETURN_IF(reference && !set, LM_ARG,
                 "--against test: %s has no test split; --held-out SPEC gives one",
                 sides->train.spec);
    if (!set) return LM_OK;
    int64_t n = reference ? choose_reference(cli, set) : judged;
    if (reference) LM_TRY(check_available("--reference", n, sides->train.spec, set));
    const char *given = cli_text(cli, "held-out");
    return lm_eval_side_of_set(set, n, (uint64_t)lm_setting_int(o, "seed"),
                               given ? given : sides->train.spec, &sides->test_from,
                               &sides->test);
}

/* ---- what is judged ---------------------------------------------------------- */

/* b NULL: nothing to be like, but images must be of one size. */
static bool is_alike(const lm_dataset *a, const lm_dataset *b) {
    if (!b) return a->get != NULL;
    return a->get && a->height == b->height && a->width == b->width &&
           a->channels == b->channels;
}

/* Images of another shape than the reference's become like it if the user says how. */
static lm_status make_alike(const cli_context *cli, const char *spec,
                            const lm_dataset *like, lm_str *how, lm_dataset **set) {
    const char *filter = cli_text(cli, "resize");
    if (is_alike(*set, like)) return LM_OK;
    LM_RETURN_IF(!like, LM_FORMAT,
                 "%s: images differ in size; say one, as in '%s%csize=64'", spec, spec,
                 strchr(spec, '?') ? '&' : '?');
    char size[48] = "different sizes";
    if ((*set)->get) snprintf(size, sizeof size, "%dx%d", (*set)->height, (*set)->width);
    LM_RETURN_IF(!filter, LM_MISMATCH,
                 "%s: images of %s with %d channels, %s has %dx%d with %d; --resize "
                 "FILTER makes them alike",
                 spec, size, (*set)->channels, like->name, like->height, like->width,
                 like->channels);
    LM_RETURN_IF(like->height != like->width, LM_UNSUPPORTED,
                 "--resize: images become squares, and %s has %dx%d", like->name,
                 like->height, like->width);
    lm_str_clear(how);
    lm_str_printf(how, "size=%d&filter=%s&%s", like->height, filter,
                  like->channels == 1 ? "grey" : "rgb");
    if (how->failed) return LM_NOMEM;
    lm_transform transform = lm_transform_default();
    LM_TRY(lm_transform_parse(how->text, &transform));
    return lm_dataset_transform(&transform, how->text, set);
}

static lm_status open_images(const cli_context *cli, const char *spec,
                             cli_eval_sides *sides) {
    uint64_t seed = (uint64_t)lm_setting_int(&cli->options, "seed");
    LM_TRY(lm_dataset_open_any(spec, LM_SPLIT_TRAIN, &sides->images_set));
    LM_TRY(make_alike(cli, spec, sides->train_set, &sides->resize, &sides->images_set));
    int64_t n = choose_judged(cli, sides->images_set);
    LM_TRY(check_available("-n", n, spec, sides->images_set));
    lm_eval_side *side = &sides->subject.generated;
    LM_TRY(
        lm_eval_side_of_set(sides->images_set, n, seed, spec, &sides->images_from, side));
    side->resize = sides->resize.text;
    return LM_OK;
}

/* Both sides are drawn by the same seed from the same number of images, and so in the
 * same order. */
static lm_status open_pairs(const cli_context *cli, const char *spec,
                            cli_eval_sides *sides) {
    const lm_eval_side *judged = &sides->subject.generated;
    lm_str how = LM_STR_INIT;
    LM_TRY(lm_dataset_open_any(spec, LM_SPLIT_TRAIN, &sides->pairs_set));
    lm_status status = make_alike(cli, spec, sides->train_set, &how, &sides->pairs_set);
    lm_str_release(&how);
    LM_TRY(status);
    const lm_dataset *set = sides->pairs_set;
    LM_RETURN_IF(set->endless != sides->images_set->endless ||
                     set->count != sides->images_set->count,
                 LM_MISMATCH, "--pairs %s: %" PRId64 " images; %s has %" PRId64, spec,
                 set->count, judged->spec, sides->images_set->count);
    return lm_eval_side_of_set(set, judged->source->count, judged->seed, spec,
                               &sides->pairs_from, &sides->subject.pairs);
}

/* ---- a run ------------------------------------------------------------------- */

static bool on_step(void *user, int step, int steps) {
    return !cli_interrupted();
}

static lm_status open_likelihood(const cli_context *cli, cli_eval_sides *sides) {
    const lm_settings *o = &cli->options;
    const lm_family *family = sides->run.opened.model->family;
    uint64_t seed = (uint64_t)lm_setting_int(o, "seed");
    if (family->log_weights) {
        LM_TRY(lm_importance_new(&sides->run.opened, (int)lm_setting_int(o, "samples"),
                                 seed, &sides->importance));
        sides->likelihood = lm_importance_likelihood(sides->importance);
    } else if (family->bound) {
        LM_TRY(lm_bound_meter_new(&sides->run.opened, (int)lm_setting_int(o, "terms"),
                                  seed, &sides->bound));
        sides->likelihood = lm_bound_likelihood(sides->bound);
    }
    if (sides->likelihood.measure) sides->subject.likelihood = &sides->likelihood;
    return LM_OK;
}

static lm_status open_coding(cli_eval_sides *sides) {
    lm_run_source *run = &sides->run;
    if (!run->opened.model->family->encode) return LM_OK;
    LM_TRY(lm_coding_meter_new(&run->opened, run->drawer, &sides->codes));
    sides->coding = lm_coding_meter_coding(sides->codes);
    sides->subject.coding = &sides->coding;
    return LM_OK;
}

/* Classes are asked for as often as the data has them. */
static lm_status draw_images(const cli_context *cli, const char *folder,
                             cli_eval_sides *sides) {
    const lm_option_value *n = lm_setting(&cli->options, "n");
    lm_run_source_spec spec = cli_drawing(cli, folder, n->is_set ? n->integer : DRAWN);
    spec.draw.labels_of = sides->train_set;
    spec.draw.hook = on_step;
    LM_TRY(lm_run_source_open(&spec, &sides->run));
    sides->is_run = true;
    sides->subject.generated = lm_run_source_side(&sides->run);
    LM_TRY(open_coding(sides));
    return open_likelihood(cli, sides);
}

/* Without --data a run is held against what it has learned from. */
static lm_status open_run(const cli_context *cli, const char *folder,
                          cli_eval_sides *sides) {
    const char *data = cli_text(cli, "data");
    lm_run run;
    LM_RETURN_IF(cli_text(cli, "pairs"), LM_ARG, "--pairs: samples of a run have none");
    LM_RETURN_IF(cli_text(cli, "resize"), LM_ARG,
                 "--resize: samples of a run stay as they are");
    LM_TRY(lm_run_read(folder, &run));
    sides->data = lm_strdup(data ? data : run.data);
    lm_run_release(&run);
    if (!sides->data) return LM_NOMEM;
    LM_TRY(open_real(cli, sides->data, sides));
    LM_TRY(draw_images(cli, folder, sides));
    return open_test(cli, sides->subject.generated.source->count, sides);
}

/* What says how a run draws, and how its likelihood is measured, is not passed over where
 * there is no run. */
static lm_status refuse_drawing(const cli_context *cli) {
    static const char *const names[] = {"steps",   "sampler",  "components", "covariance",
                                        "eta",     "guidance", "truncation", "checkpoint",
                                        "weights", "samples",  "terms",      NULL};
    for (int i = 0; names[i]; i++)
        LM_RETURN_IF(lm_setting(&cli->options, names[i])->is_set, LM_ARG,
                     "--%s: of a run's samples; %s is no run", names[i], cli->args[0]);
    LM_RETURN_IF(cli->n_sets, LM_ARG, "--set %s: of a run's model; %s is no run",
                 cli->sets[0], cli->args[0]);
    return LM_OK;
}

/* Nor is what says how the set is read, where there is none. */
static lm_status refuse_real(const cli_context *cli) {
    static const char *const names[] = {"against", "held-out", "reference", NULL};
    for (int i = 0; names[i]; i++)
        LM_RETURN_IF(lm_setting(&cli->options, names[i])->is_set, LM_ARG,
                     "--%s: there is no set; expected --data with it", names[i]);
    return LM_OK;
}

/* ---- all --------------------------------------------------------------------- */

lm_status cli_eval_open_sides(const cli_context *cli, cli_eval_sides *sides) {
    const char *data = cli_text(cli, "data"), *pairs = cli_text(cli, "pairs");
    *sides = (cli_eval_sides){
        .against_test = strcmp(lm_setting_text(&cli->options, "against"), "test") == 0,
        .stats = cli_text(cli, "stats")};
    if (lm_folder_has(cli->args[0], "run.json"))
        return open_run(cli, cli->args[0], sides);
    LM_TRY(refuse_drawing(cli));
    LM_RETURN_IF(!data && !sides->stats && !cli_text(cli, "save-stats"), LM_ARG,
                 "--data: not given; expected the set to compare with");
    LM_TRY(data ? open_real(cli, data, sides) : refuse_real(cli));
    LM_TRY(open_images(cli, cli->args[0], sides));
    if (data) LM_TRY(open_test(cli, sides->subject.generated.source->count, sides));
    return pairs ? open_pairs(cli, pairs, sides) : LM_OK;
}

void cli_eval_close_sides(cli_eval_sides *sides) {
    lm_importance_free(sides->importance);
    lm_bound_meter_free(sides->bound);
    lm_coding_meter_free(sides->codes);
    if (sides->is_run) lm_run_source_close(&sides->run);
    lm_dataset_free(sides->images_set);
    lm_dataset_free(sides->train_set);
    lm_dataset_free(sides->test_set);
    lm_dataset_free(sides->pairs_set);
    lm_str_release(&sides->resize);
    lm_free(sides->data);
    *sides = (cli_eval_sides){0};
}
