/* limn data info: what is in a set. */
#include "cli/data.h"

#include "base/json.h"
#include "base/threads.h"
#include "data/survey.h"

#include <inttypes.h>
#include <stdio.h>

enum { SAMPLE = 10000, MOST_SIZES = 8, MOST_UNREADABLE = 20, BAR = 24 };

static const lm_option options[] = {
    CLI_DATA_SPLIT,
    {"limit", LM_OPT_INT, "", 1, INT32_MAX, NULL, "N",
     "look at the first N images [all; 10000 of an endless set]"},
    {0}};

/* ---- text -------------------------------------------------------------------- */

static const char *bar(int64_t count, int64_t most) {
    static const char marks[] = "########################";
    int length = most ? (int)((double)count / (double)most * BAR + 0.5) : 0;
    return marks + BAR - length;
}

static double percent(int64_t part, int64_t whole) {
    return whole ? 100.0 * (double)part / (double)whole : 0;
}

static void print_sizes(const lm_survey *s) {
    if (s->n_sizes == 0) return;
    if (s->n_sizes == 1) {
        printf("size        %d x %d\n", s->sizes[0].width, s->sizes[0].height);
        return;
    }
    printf("sizes       %d different; shorter side %d to %d, median %d\n", s->n_sizes,
           s->shorter_side[0], s->shorter_side[2], s->shorter_side[1]);
    int shown = s->n_sizes < MOST_SIZES ? s->n_sizes : MOST_SIZES;
    int64_t rest = s->good;
    for (int i = 0; i < shown; i++) {
        const lm_size_count *size = &s->sizes[i];
        printf("  %5d x %-5d %8" PRId64 " %5.1f %%  %s\n", size->width, size->height,
               size->count, percent(size->count, s->good),
               bar(size->count, s->sizes[0].count));
        rest -= size->count;
    }
    if (rest)
        printf("  %-13s %8" PRId64 " %5.1f %%\n", "others", rest, percent(rest, s->good));
}

static void print_numbers(const char *name, const double *numbers, int count) {
    printf("%-11s", name);
    for (int i = 0; i < count; i++) printf(" %.4f", numbers[i]);
    printf("\n");
}

static void print_item(const lm_dataset *set, int64_t index) {
    lm_str name = LM_STR_INIT;
    if (set->item)
        set->item(set, index, &name);
    else
        lm_str_printf(&name, "image %" PRId64, index);
    fputs(lm_str_text(&name) ? name.text : "?", stdout);
    lm_str_release(&name);
}

static void print_duplicates(const lm_dataset *set, const lm_survey *s) {
    if (!s->duplicates) {
        printf("duplicates  none\n");
        return;
    }
    printf("duplicates  %" PRId64 ": pixel for pixel an earlier image\n", s->duplicates);
    for (int i = 0; i < s->duplicates && i < LM_SURVEY_PAIRS; i++) {
        printf("  ");
        print_item(set, s->pairs[i][1]);
        printf(" is ");
        print_item(set, s->pairs[i][0]);
        printf("\n");
    }
    if (s->duplicates > LM_SURVEY_PAIRS) printf("  ...\n");
}

static void print_unreadable(const lm_survey *s) {
    if (!s->n_unreadable) return;
    printf("unreadable  %d\n", s->n_unreadable);
    for (int i = 0; i < s->n_unreadable && i < MOST_UNREADABLE; i++)
        printf("  %s\n", s->unreadable[i].why);
    if (s->n_unreadable > MOST_UNREADABLE) printf("  ... (--json lists all)\n");
}

static void print_classes(const lm_dataset *set, const lm_survey *s) {
    if (!set->classes) {
        printf("classes     none: no labels\n");
        return;
    }
    printf("classes     %d\n", set->classes);
    int64_t most = s->unlabelled;
    for (int i = 0; i < set->classes; i++)
        if (s->of_class[i] > most) most = s->of_class[i];
    for (int i = 0; i < set->classes; i++)
        printf("  %3d %-*s %8" PRId64 " %5.1f %%  %s\n", i, set->class_names ? 16 : 0,
               set->class_names ? set->class_names[i] : "", s->of_class[i],
               percent(s->of_class[i], s->good), bar(s->of_class[i], most));
    if (s->unlabelled)
        printf("  without a label %8" PRId64 " %5.1f %%\n", s->unlabelled,
               percent(s->unlabelled, s->good));
}

static void print_attributes(const lm_dataset *set, const lm_survey *s) {
    if (!s->attributes) return;
    printf("attributes  %-24s     mean    least     most\n", "");
    for (int i = 0; i < set->n_attributes; i++) {
        const lm_attribute_range *range = &s->attributes[i];
        printf("  %-34s %8.4g %8.4g %8.4g\n", set->attribute_names[i], range->mean,
               range->least, range->most);
    }
}

static void print_text(const lm_dataset *set, const lm_survey *s) {
    printf("set         %s, %s\nsource      %s\nhash        %016" PRIx64 "\n", set->name,
           lm_split_name(set->split), set->source, set->hash);
    if (set->endless)
        printf("images      endless; of the first %" PRId64 ":\n", s->seen);
    else if (s->seen < set->count)
        printf("images      %" PRId64 "; of the first %" PRId64 ":\n", set->count,
               s->seen);
    else
        printf("images      %" PRId64 "\n", set->count);
    print_sizes(s);
    printf("channels    %d (%s)\n", set->channels, set->channels == 1 ? "grey" : "RGB");
    if (s->good) {
        print_numbers("mean", s->mean, set->channels);
        print_numbers("deviation", s->deviation, set->channels);
    }
    print_duplicates(set, s);
    print_unreadable(s);
    print_classes(set, s);
    print_attributes(set, s);
}

/* ---- JSON -------------------------------------------------------------------- */

static json_t *numbers_json(const double *numbers, int count) {
    json_t *list = json_array();
    for (int i = 0; i < count; i++) json_array_append_new(list, json_real(numbers[i]));
    return list;
}

static json_t *sizes_json(const lm_survey *s) {
    json_t *list = json_array();
    for (int i = 0; i < s->n_sizes; i++)
        json_array_append_new(
            list, json_pack("{s:i, s:i, s:I}", "width", s->sizes[i].width, "height",
                            s->sizes[i].height, "images", (json_int_t)s->sizes[i].count));
    return list;
}

static json_t *classes_json(const lm_dataset *set, const lm_survey *s) {
    json_t *list = json_array();
    char number[16];
    for (int i = 0; i < set->classes; i++)
        json_array_append_new(list,
                              json_pack("{s:o, s:I}", "name",
                                        lm_json_text(cli_class_name(set, i, number)),
                                        "images", (json_int_t)s->of_class[i]));
    return list;
}

static json_t *attributes_json(const lm_dataset *set, const lm_survey *s) {
    json_t *list = json_array();
    for (int i = 0; s->attributes && i < set->n_attributes; i++)
        json_array_append_new(list, json_pack("{s:o, s:f, s:f, s:f}", "name",
                                              lm_json_text(set->attribute_names[i]),
                                              "mean", s->attributes[i].mean, "least",
                                              s->attributes[i].least, "most",
                                              s->attributes[i].most));
    return list;
}

static json_t *pairs_json(const lm_dataset *set, const lm_survey *s) {
    json_t *list = json_array();
    for (int i = 0; i < s->duplicates && i < LM_SURVEY_PAIRS; i++) {
        json_t *pair = json_array();
        for (int k = 0; k < 2; k++) {
            lm_str name = LM_STR_INIT;
            lm_dataset_item(set, s->pairs[i][k], &name);
            json_array_append_new(pair,
                                  lm_json_text(lm_str_text(&name) ? name.text : "?"));
            lm_str_release(&name);
        }
        json_array_append_new(list, pair);
    }
    return list;
}

static json_t *unreadable_json(const lm_survey *s) {
    json_t *list = json_array();
    for (int i = 0; i < s->n_unreadable; i++)
        json_array_append_new(list, json_pack("{s:I, s:o}", "index",
                                              (json_int_t)s->unreadable[i].index, "why",
                                              lm_json_text(s->unreadable[i].why)));
    return list;
}

static void print_json(const lm_dataset *set, const lm_survey *s) {
    char hash[20];
    snprintf(hash, sizeof hash, "%016" PRIx64, set->hash);
    cli_print_json(json_pack(
        "{s:o, s:s, s:o, s:s, s:b, s:I, s:I, s:o, s:i, s:o, s:o, s:I, s:o, s:o, "
        "s:o, s:I, s:o}",
        "set", lm_json_text(set->name), "split", lm_split_name(set->split), "source",
        lm_json_text(set->source), "hash", hash, "endless", set->endless, "images",
        (json_int_t)set->count, "seen", (json_int_t)s->seen, "sizes", sizes_json(s),
        "channels", set->channels, "mean", numbers_json(s->mean, set->channels),
        "deviation", numbers_json(s->deviation, set->channels), "duplicates",
        (json_int_t)s->duplicates, "pairs", pairs_json(set, s), "unreadable",
        unreadable_json(s), "classes", classes_json(set, s), "unlabelled",
        (json_int_t)s->unlabelled, "attributes", attributes_json(set, s)));
}

/* ---- the command ------------------------------------------------------------- */

static bool on_image(void *user, int64_t done) {
    cli_meter_show(user, (double)done);
    return !cli_interrupted();
}

static lm_status run(cli_context *cli) {
    lm_dataset *set;
    LM_TRY(cli_data_open(cli, &set));
    int64_t limit = lm_setting_int(&cli->options, "limit");
    if (!limit && set->endless) limit = SAMPLE;
    int64_t total = limit && limit < set->count ? limit : set->count;
    cli_watch_signals();
    cli_data_keep_pages();
    cli_meter meter = cli_meter_start(cli, "reading", "images", (double)total, 0);
    lm_survey survey;
    lm_status status =
        lm_survey_make(set, limit, lm_threads(), on_image, &meter, &survey);
    cli_meter_end(&meter);
    if (status == LM_OK) {
        if (cli->json)
            print_json(set, &survey);
        else
            print_text(set, &survey);
        lm_survey_release(&survey);
    }
    lm_dataset_free(set);
    return status;
}

const cli_command data_info_command = {
    .name = "data info",
    .arguments = "SPEC",
    .help = "counts, sizes, classes, means, duplicates, what cannot be read",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .run = run};
