/* limn classify: the word before its verbs, and what they share. */
#include "cli/classify.h"

#include "base/json.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>

/* Images of an endless set, where nobody says how many. */
enum { ENDLESS = 10000, CHUNK = 1024 };

const cli_command classify_command = {
    .name = "classify", .help = "judges: classifiers that tell what images show"};

const char *cli_judge_class(const lm_judge *judge, int label, char buffer[16]) {
    const lm_judge_card *card = lm_judge_get_card(judge);
    if (label < card->n_names) return card->class_names[label];
    snprintf(buffer, 16, "%d", label);
    return buffer;
}

/* ---- measuring --------------------------------------------------------------- */

/* Logits of images first .. first + count - 1. */
static lm_status look(lm_judge *judge, const lm_dataset *set, int64_t first,
                      int64_t count, uint8_t *pixels, float *logits, int32_t *labels) {
    size_t size = (size_t)set->height * (size_t)set->width * (size_t)set->channels;
    for (int64_t i = 0; i < count; i++)
        LM_TRY(set->get(set, first + i, pixels + (size_t)i * size, &labels[i]));
    return lm_judge_look(judge, pixels, count, set->height, set->width, set->channels,
                         NULL, logits);
}

static lm_status look_at_all(const cli_context *cli, lm_judge *judge,
                             const lm_dataset *set, int64_t count, float *logits,
                             int32_t *labels) {
    int classes = lm_judge_model(judge)->info.classes;
    size_t size = (size_t)set->height * (size_t)set->width * (size_t)set->channels;
    uint8_t *pixels = lm_alloc(CHUNK * size);
    if (!pixels) return LM_NOMEM;
    cli_meter meter = cli_meter_start(cli, "judging", "images", (double)count, 0);
    lm_status status = LM_OK;
    for (int64_t done = 0; done < count && status == LM_OK; done += CHUNK) {
        int64_t now = count - done < CHUNK ? count - done : CHUNK;
        status =
            look(judge, set, done, now, pixels, logits + done * classes, labels + done);
        cli_meter_show(&meter, (double)(done + now));
        if (status == LM_OK && cli_interrupted())
            status = lm_fail(LM_INTERRUPTED, "interrupted while judging");
    }
    cli_meter_end(&meter);
    lm_free(pixels);
    return status;
}

lm_status cli_classify_score(const cli_context *cli, lm_judge *judge,
                             const lm_dataset *set, int64_t limit,
                             lm_class_score *score) {
    int classes = lm_judge_model(judge)->info.classes;
    LM_RETURN_IF(set->classes != classes, LM_MISMATCH, "%s has %d classes, the judge %d",
                 set->name, set->classes, classes);
    if (!limit && set->endless) limit = ENDLESS;
    int64_t count = limit && limit < set->count ? limit : set->count;
    float *logits = lm_alloc((size_t)count * (size_t)classes * sizeof *logits);
    int32_t *labels = lm_alloc((size_t)count * sizeof *labels);
    lm_status status = logits && labels ? LM_OK : LM_NOMEM;
    if (status == LM_OK) status = look_at_all(cli, judge, set, count, logits, labels);
    if (status == LM_OK)
        status = lm_class_score_make(logits, labels, count, classes, score);
    lm_free(labels);
    lm_free(logits);
    return status;
}

/* ---- output ------------------------------------------------------------------ */

json_t *cli_judge_json(const lm_judge *judge) {
    const lm_judge_card *card = lm_judge_get_card(judge);
    return json_pack("{s:o, s:s, s:s, s:o, s:i, s:i, s:I, s:s, s:I, s:I}", "set",
                     lm_json_text(card->set), "hash", lm_judge_hash(judge), "input",
                     lm_judge_input(judge), "preset", lm_json_text(card->preset),
                     "classes", lm_judge_model(judge)->info.classes, "features",
                     lm_judge_dim(judge), "parameters",
                     (json_int_t)lm_model_parameters(lm_judge_model(judge)), "version",
                     card->version, "steps", (json_int_t)card->steps, "images",
                     (json_int_t)card->images);
}

json_t *cli_score_json(const lm_class_score *score) {
    lm_interval interval = lm_wilson_interval(score->correct, score->count);
    double accuracy = score->count ? (double)score->correct / (double)score->count : 0;
    return json_pack("{s:I, s:I, s:f, s:[f, f], s:f, s:f}", "images",
                     (json_int_t)score->count, "correct", (json_int_t)score->correct,
                     "accuracy", accuracy, "interval", interval.low, interval.high, "nll",
                     score->nll, "ece", score->ece);
}

void cli_print_judge(const lm_judge *judge) {
    const lm_judge_card *card = lm_judge_get_card(judge);
    const lm_model *model = lm_judge_model(judge);
    printf("judge       of %s: %d classes, %d features, %.3f M parameters\n"
           "input       %s\nhash        %s\n",
           card->set, model->info.classes, lm_judge_dim(judge),
           (double)lm_model_parameters(model) / 1e6, lm_judge_input(judge),
           lm_judge_hash(judge));
}

void cli_print_score(const lm_class_score *score) {
    lm_interval interval = lm_wilson_interval(score->correct, score->count);
    printf("accuracy    %.2f %% of %" PRId64 " images (95 %%: %.2f to %.2f)\n",
           100 * (double)score->correct / (double)score->count, score->count,
           100 * interval.low, 100 * interval.high);
    printf("nll         %.4f nats\nece         %.2f %%\n", score->nll, 100 * score->ece);
}
