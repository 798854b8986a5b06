/* limn info: what is in a run, a checkpoint or an array. */
#include "cli/cli.h"

#include "base/file.h"
#include "base/mem.h"
#include "tensor/npy.h"
#include "tensor/safetensors.h"
#include "train/checkpoint.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const lm_option options[] = {
    {"tensors", LM_OPT_FLAG, "false", 0, 0, NULL, NULL, "list every tensor of a file"},
    {0}};

/* ---- a run ------------------------------------------------------------------- */

static json_t *settings_json(const lm_settings *settings) {
    json_t *object = json_object();
    for (int i = 0; i < settings->count; i++)
        json_object_set_new(object, settings->table[i].name,
                            json_string(settings->values[i].text));
    return object;
}

static void print_settings(const char *title, const lm_settings *settings) {
    printf("%s\n", title);
    for (int i = 0; i < settings->count; i++)
        printf("  %-14s %s\n", settings->table[i].name, settings->values[i].text);
}

/* The last line of a text that has a member, parsed; NULL when there is none. */
static json_t *find_last_row(const char *start, const char *end, const char *member) {
    while (end > start) {
        if (end[-1] == '\n') end--;
        const char *line = end;
        while (line > start && line[-1] != '\n') line--;
        json_t *row = json_loadb(line, (size_t)(end - line), 0, NULL);
        if (json_object_get(row, member)) return row;
        json_decref(row);
        end = line;
    }
    return NULL;
}

/* The last row of log.jsonl that has a member; NULL when there is none. */
static json_t *last_log_row(const lm_run *run, const char *member) {
    char *path = lm_path_join(run->folder, "log.jsonl");
    void *text = NULL;
    size_t size;
    json_t *row = NULL;
    if (path && lm_file_exists(path) &&
        lm_file_read(path, (size_t)1 << 30, &text, &size) == LM_OK) {
        const char *start = text;
        row = find_last_row(start, start + size, member);
    }
    lm_free(text);
    lm_free(path);
    return row;
}

/* "evaluated  step 500, fid 12.3, kid 0.01" */
static void print_evaluation(const json_t *row) {
    const char *metric;
    json_t *result;
    printf("evaluated  step %" JSON_INTEGER_FORMAT,
           json_integer_value(json_object_get(row, "step")));
    json_object_foreach(json_object_get(row, "eval"), metric, result)
        printf(", %s %.4g", metric, json_number_value(json_object_get(result, "value")));
    printf("\n");
}

/* ", loss 0.1234", or, where several phases train, ", discriminator 1.3863, generator
 * 0.6931". */
static void print_losses(const json_t *row) {
    static const char ending[] = "_loss";
    const size_t n = sizeof ending - 1;
    const char *key;
    json_t *value;
    int count = 0;
    json_object_foreach((json_t *)row, key, value) {
        size_t length = strlen(key);
        if (length <= n || strcmp(key + length - n, ending) != 0) continue;
        printf(", %.*s %.4f", (int)(length - n), key, json_number_value(value));
        count++;
    }
    if (!count) printf(", loss %.4f", json_number_value(json_object_get(row, "loss")));
}

/* "last log   step 500, loss 0.1234, 60 s of training" */
static void print_last(const json_t *row) {
    printf("last log   step %" JSON_INTEGER_FORMAT,
           json_integer_value(json_object_get(row, "step")));
    print_losses(row);
    printf(", %.0f s of training\n", json_number_value(json_object_get(row, "seconds")));
}

static lm_status add_notice(void *user, const json_t *row) {
    if (!json_object_get(row, "notice")) return LM_OK;
    return json_array_append(user, (json_t *)row) == 0 ? LM_OK : LM_NOMEM;
}

/* The rows of log.jsonl that say what was noticed: an array. */
static lm_status list_notices(const lm_run *run, json_t **notices) {
    *notices = json_array();
    return *notices ? lm_run_visit_log(run, add_notice, *notices) : LM_NOMEM;
}

static void print_notices(const json_t *notices) {
    size_t i;
    const json_t *row;
    json_array_foreach(notices, i, row)
        printf("noticed    step %" JSON_INTEGER_FORMAT ": %s\n",
               json_integer_value(json_object_get(row, "step")),
               json_string_value(json_object_get(row, "text")));
}

static void print_run(const lm_run *run, int64_t parameters, const char *checkpoint,
                      const json_t *row, const json_t *evaluation,
                      const json_t *notices) {
    printf("family     %s, %s\n", run->family->name, run->family->title);
    printf("preset     %s\n", run->preset);
    printf("parameters %" PRId64 "\n", parameters);
    printf("data       %s (%s), %d x %d x %d, %d classes\n", run->data, run->source,
           run->info.height, run->info.width, run->info.channels, run->info.classes);
    printf("seed       %" PRIu64 "\n", run->seed);
    printf("checkpoint %s\n", checkpoint ? checkpoint : "none yet");
    if (row) print_last(row);
    if (evaluation) print_evaluation(evaluation);
    print_notices(notices);
    print_settings("model", &run->model);
    print_settings("trainer", &run->trainer);
}

static json_t *run_json(const lm_run *run, int64_t parameters, const char *checkpoint,
                        json_t *row, json_t *evaluation, json_t *notices) {
    return json_pack("{s:s, s:s, s:I, s:s, s:i, s:i, s:i, s:i, s:s?, s:O?, s:O?, s:O, "
                     "s:o, s:o}",
                     "family", run->family->name, "preset", run->preset, "parameters",
                     (json_int_t)parameters, "data", run->data, "height",
                     run->info.height, "width", run->info.width, "channels",
                     run->info.channels, "classes", run->info.classes, "checkpoint",
                     checkpoint, "last", row, "evaluation", evaluation, "notices",
                     notices, "model", settings_json(&run->model), "trainer",
                     settings_json(&run->trainer));
}

static lm_status show_run(const cli_context *cli, const char *folder) {
    lm_run run;
    LM_TRY(lm_run_read(folder, &run));
    lm_model *model;
    lm_status status = lm_run_model(&run, &model);
    if (status == LM_OK) {
        char *checkpoint = NULL;
        status = lm_checkpoint_latest(&run, &checkpoint);
        if (status == LM_NOT_FOUND) status = LM_OK; /* a run that has just begun */
        json_t *row = last_log_row(&run, "loss");
        json_t *evaluation = last_log_row(&run, "eval");
        int64_t parameters = lm_model_parameters(model);
        json_t *notices = NULL;
        if (status == LM_OK) status = list_notices(&run, &notices);
        if (status == LM_OK && cli->json)
            cli_print_json(
                run_json(&run, parameters, checkpoint, row, evaluation, notices));
        else if (status == LM_OK)
            print_run(&run, parameters, checkpoint, row, evaluation, notices);
        json_decref(notices);
        json_decref(evaluation);
        json_decref(row);
        lm_free(checkpoint);
        lm_model_close(model);
    }
    lm_run_release(&run);
    return status;
}

/* ---- files ------------------------------------------------------------------- */

static json_t *shape_json(lm_shape shape) {
    json_t *list = json_array();
    for (int i = 0; i < shape.rank; i++)
        json_array_append_new(list, json_integer(shape.dim[i]));
    return list;
}

static json_t *file_json(const lm_safetensors *file, bool tensors, int64_t elements) {
    json_t *meta = json_object(), *list = json_array();
    for (int i = 0; i < file->n_meta; i++)
        json_object_set_new(meta, file->meta[i].key, json_string(file->meta[i].value));
    for (int i = 0; tensors && i < file->n_entries; i++)
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:o}", "name", file->entries[i].name,
                                        "dtype", lm_dtype_name(file->entries[i].dtype),
                                        "shape", shape_json(file->entries[i].shape)));
    return json_pack("{s:i, s:I, s:o, s:o}", "count", file->n_entries, "elements",
                     (json_int_t)elements, "metadata", meta, "tensors", list);
}

static void print_file(const lm_safetensors *file, bool tensors, int64_t elements) {
    printf("%d tensors, %" PRId64 " elements, %.1f MB\n", file->n_entries, elements,
           (double)file->image_size / 1e6);
    for (int i = 0; i < file->n_meta; i++)
        printf("%-10s %s\n", file->meta[i].key, file->meta[i].value);
    for (int i = 0; tensors && i < file->n_entries; i++) {
        char shape[LM_SHAPE_TEXT];
        printf("  %s %s %s\n", file->entries[i].name,
               lm_dtype_name(file->entries[i].dtype),
               lm_shape_text(file->entries[i].shape, shape));
    }
}

static lm_status show_safetensors(const cli_context *cli, const char *path) {
    lm_safetensors file;
    LM_TRY(lm_safetensors_open(&file, path));
    bool tensors = lm_setting_flag(&cli->options, "tensors");
    int64_t elements = 0;
    for (int i = 0; i < file.n_entries; i++)
        elements += lm_shape_count(file.entries[i].shape);
    if (cli->json)
        cli_print_json(file_json(&file, tensors, elements));
    else
        print_file(&file, tensors, elements);
    lm_safetensors_release(&file);
    return LM_OK;
}

static lm_status show_npy(const cli_context *cli, const char *path) {
    lm_tensor tensor;
    LM_TRY(lm_npy_read(path, &tensor));
    char shape[LM_SHAPE_TEXT];
    if (cli->json)
        cli_print_json(json_pack("{s:s, s:o}", "dtype", lm_dtype_name(tensor.dtype),
                                 "shape", shape_json(tensor.shape)));
    else
        printf("%s %s\n", lm_dtype_name(tensor.dtype),
               lm_shape_text(tensor.shape, shape));
    lm_tensor_release(&tensor);
    return LM_OK;
}

static lm_status run(cli_context *cli) {
    const char *path = cli->args[0];
    size_t length = strlen(path);
    if (lm_is_folder(path)) return show_run(cli, path);
    LM_RETURN_IF(!lm_file_exists(path), LM_NOT_FOUND, "%s: no such run or file", path);
    if (length > 4 && strcmp(path + length - 4, ".npy") == 0) return show_npy(cli, path);
    return show_safetensors(cli, path);
}

const cli_command info_command = {.name = "info",
                                  .arguments = "RUN|FILE",
                                  .help = "what is in a run, a checkpoint or a .npy file",
                                  .options = options,
                                  .min_args = 1,
                                  .max_args = 1,
                                  .run = run};
