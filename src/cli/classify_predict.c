/* limn classify predict: what a judge takes images for. */
#include "cli/classify.h"
#include "cli/data.h"

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "data/label_file.h"

#include <stdio.h>
#include <string.h>

static const lm_option options[] = {
    CLI_CLASSIFY_JUDGE,
    {"split", LM_OPT_CHOICE, "test", 0, 0, "train|test|valid|extra|unlabeled", NULL,
     "which part of a set; a SPEC that says one, as mnist:train, decides; not given, "
     "train where there is no test"},
    {"limit", LM_OPT_INT, "100", 1, INT32_MAX, NULL, "N",
     "the first N images of each set, folder or archive"},
    {"csv", LM_OPT_FLAG, "false", 0, 0, NULL, NULL, "as image,class,probability"},
    {0}};

/* Images on their way to the judge, a batch at a time, so that a large set takes no more
 * memory than a small one. */
typedef struct batch {
    const cli_context *cli;
    lm_judge *judge;
    size_t size;     /* bytes of one image, as the judge has it */
    uint8_t *pixels; /* [capacity] of them */
    char **names;    /* [capacity], of which `count` are owned */
    float *logits;   /* [capacity][classes] */
    int count, capacity;
    json_t *list; /* --json: of all batches */
} batch;

static lm_status batch_init(batch *b, const cli_context *cli, lm_judge *judge) {
    const lm_image_info *info = &lm_judge_model(judge)->info;
    *b = (batch){.cli = cli, .judge = judge, .capacity = lm_judge_batch(judge)};
    size_t n = (size_t)b->capacity;
    b->size = (size_t)info->height * (size_t)info->width * (size_t)info->channels;
    b->pixels = lm_alloc(n * b->size);
    b->names = lm_calloc(n, sizeof *b->names);
    b->logits = lm_alloc(n * (size_t)info->classes * sizeof *b->logits);
    if (cli->json) b->list = json_array();
    return b->pixels && b->names && b->logits ? LM_OK : LM_NOMEM;
}

static void forget_names(batch *b) {
    for (int i = 0; i < b->count; i++) lm_free(b->names[i]);
    b->count = 0;
}

static void batch_release(batch *b) {
    forget_names(b);
    lm_free(b->pixels);
    lm_free(b->names);
    lm_free(b->logits);
    json_decref(b->list);
}

/* ---- output ------------------------------------------------------------------ */

/* A field of RFC 4180. */
static void print_field(const char *text) {
    if (!strpbrk(text, ",\"\n\r")) {
        fputs(text, stdout);
        return;
    }
    putchar('"');
    for (; *text; text++) {
        if (*text == '"') putchar('"');
        putchar(*text);
    }
    putchar('"');
}

static void print_one(batch *b, const char *name, const char *class, double probability) {
    if (b->cli->json) {
        json_array_append_new(
            b->list, json_pack("{s:o, s:o, s:f}", "image", lm_json_text(name), "class",
                               lm_json_text(class), "probability", probability));
    } else if (lm_setting_flag(&b->cli->options, "csv")) {
        print_field(name);
        putchar(',');
        print_field(class);
        printf(",%.6f\n", probability);
    } else {
        printf("%-40s %-16s %6.2f %%\n", name, class, 100 * probability);
    }
}

static lm_status flush(batch *b) {
    const lm_image_info *info = &lm_judge_model(b->judge)->info;
    LM_TRY(lm_judge_look(b->judge, b->pixels, b->count, info->height, info->width,
                         info->channels, NULL, b->logits));
    for (int i = 0; i < b->count; i++) {
        char number[16];
        double probability;
        int class = lm_class_choose(b->logits + (size_t)i * (size_t)info->classes,
                                    info->classes, &probability);
        print_one(b, b->names[i], cli_judge_class(b->judge, class, number), probability);
    }
    forget_names(b);
    return LM_OK;
}

/* ---- input ------------------------------------------------------------------- */

/* Takes over name; the image stays the caller's. */
static lm_status add_image(batch *b, const lm_image *image, char *name) {
    if (!name) return LM_NOMEM;
    lm_status status =
        lm_judge_fit(b->judge, image, b->pixels + (size_t)b->count * b->size);
    if (status != LM_OK) {
        lm_free(name);
        return status;
    }
    b->names[b->count++] = name;
    return b->count == b->capacity ? flush(b) : LM_OK;
}

static lm_status add_set(batch *b, const lm_dataset *set) {
    int64_t limit = lm_setting_int(&b->cli->options, "limit");
    for (int64_t i = 0; i < set->count && i < limit; i++) {
        lm_image image;
        int32_t label;
        LM_TRY(lm_dataset_read(set, i, &image, &label));
        lm_str name = LM_STR_INIT;
        lm_dataset_item(set, i, &name);
        if (name.failed) lm_str_release(&name);
        lm_status status = add_image(b, &image, name.text);
        lm_image_release(&image);
        LM_TRY(status);
        LM_RETURN_IF(cli_interrupted(), LM_INTERRUPTED, "interrupted");
    }
    return LM_OK;
}

static lm_status add_file(batch *b, const char *path) {
    lm_image image;
    LM_TRY(lm_png_read(path, &image));
    lm_status status = add_image(b, &image, lm_strdup(path));
    lm_image_release(&image);
    return status;
}

/* A picture by itself is no set. */
static bool is_picture(const char *path) {
    return lm_is_picture_name(path) && !lm_is_folder(path);
}

/* A folder that says nothing of splits is all training images. */
static lm_status open_set(const cli_context *cli, const char *spec, lm_dataset **set) {
    lm_status status = lm_dataset_open_any(spec, cli_data_split(cli), set);
    if (status != LM_NOT_FOUND || lm_setting(&cli->options, "split")->is_set)
        return status;
    return lm_dataset_open_any(spec, LM_SPLIT_TRAIN, set);
}

/* The judge of --judge, else of the first argument's set. */
static lm_status open_judge(const cli_context *cli, const lm_dataset *set,
                            lm_judge **judge) {
    const char *given = cli_text(cli, "judge");
    LM_RETURN_IF(!given && !set, LM_ARG,
                 "%s: a picture alone does not say which judge; --judge NAME does",
                 cli->args[0]);
    return lm_judge_open(given, set ? set->name : NULL, judge);
}

/* The first argument decides on the judge. */
static lm_status add_argument(batch *b, const cli_context *cli, const char *argument,
                              lm_judge **judge) {
    lm_dataset *set = NULL;
    if (!is_picture(argument)) LM_TRY(open_set(cli, argument, &set));
    lm_status status = LM_OK;
    if (!*judge) {
        status = open_judge(cli, set, judge);
        if (status == LM_OK) status = batch_init(b, cli, *judge);
    }
    if (status == LM_OK) status = set ? add_set(b, set) : add_file(b, argument);
    lm_dataset_free(set);
    return status;
}

static lm_status run(cli_context *cli) {
    batch b = {0};
    lm_judge *judge = NULL;
    lm_status status = LM_OK;
    cli_watch_signals();
    if (lm_setting_flag(&cli->options, "csv") && !cli->json)
        printf("image,class,probability\n");
    for (int i = 0; i < cli->n_args && status == LM_OK; i++)
        status = add_argument(&b, cli, cli->args[i], &judge);
    if (b.count > 0 && status != LM_INTERRUPTED) { /* also of what came before an error */
        lm_status last = flush(&b);
        if (status == LM_OK) status = last;
    }
    if (status == LM_OK && cli->json) cli_print_json(json_incref(b.list));
    batch_release(&b);
    lm_judge_free(judge);
    return status;
}

const cli_command classify_predict_command = {
    .name = "classify predict",
    .arguments = "IMAGE|FOLDER|SPEC ..",
    .help = "what a judge takes images for, and how sure it is",
    .options = options,
    .min_args = 1,
    .max_args = INT32_MAX,
    .run = run};
