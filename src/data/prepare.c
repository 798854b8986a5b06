#include "data/prepare.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/lock.h"
#include "base/mem.h"
#include "data/journal.h"
#include "data/manifest.h"
#include "data/npy.h"
#include "data/scan.h"
#include "data/sources.h"
#include "data/transform.h"

#include <string.h>
#include <unistd.h>

/* Seconds between marks in the journal: work that a kill can cost. The first comes soon.
 */
#define FIRST_MARK 1
#define LATER_MARK 5

typedef struct preparation {
    const lm_prepare_job *job;
    const lm_dataset *set;
    json_t *request;
    lm_lock *lock;
    lm_journal journal;
    lm_npy_stream images, labels, attributes; /* the last two only where there are some */
    float *values;                            /* of one image's attributes */
    size_t bytes;                             /* of one image */
    double next_mark;
} preparation;

/* A path in the folder; lm_free'd by the caller. */
static char *path_of(const preparation *p, const char *name) {
    return lm_path_join(p->job->out, name);
}

/* ---- the arrays -------------------------------------------------------------- */

static lm_status open_array(const preparation *p, const char *name, lm_dtype dtype,
                            lm_shape row, lm_npy_stream *stream) {
    char *path = path_of(p, name);
    if (!path) return LM_NOMEM;
    lm_status status = lm_npy_stream_open(stream, path, dtype, row, p->journal.rows);
    lm_free(path);
    return status;
}

static lm_status open_arrays(preparation *p) {
    const lm_dataset *set = p->set;
    p->bytes = (size_t)set->height * set->width * set->channels;
    LM_TRY(open_array(p, LM_PREPARED_IMAGES, LM_U8,
                      LM_SHAPE(set->height, set->width, set->channels), &p->images));
    if (set->classes)
        LM_TRY(open_array(p, LM_PREPARED_LABELS, LM_I32, LM_SCALAR, &p->labels));
    if (!set->attributes) return LM_OK;
    p->values = lm_alloc((size_t)set->n_attributes * sizeof *p->values);
    if (!p->values) return LM_NOMEM;
    return open_array(p, LM_PREPARED_ATTRIBUTES, LM_F32, LM_SHAPE(set->n_attributes),
                      &p->attributes);
}

static lm_status each_array(preparation *p, lm_status (*act)(lm_npy_stream *stream)) {
    lm_npy_stream *const arrays[] = {&p->images, &p->labels, &p->attributes};
    for (int i = 0; i < 3; i++)
        if (arrays[i]->file) LM_TRY(act(arrays[i]));
    return LM_OK;
}

/* First the rows, then the journal's word that they are there. */
static lm_status mark(preparation *p) {
    LM_TRY(each_array(p, lm_npy_stream_sync));
    return lm_journal_mark(&p->journal);
}

/* ---- images ------------------------------------------------------------------ */

static lm_status skip(preparation *p, const lm_scanned *found) {
    LM_RETURN_IF(!p->job->skip_bad, found->status, "%s; --skip-bad leaves such out",
                 found->message);
    return lm_journal_skip(&p->journal, found->index, found->message);
}

static lm_status put(preparation *p, const lm_scanned *found) {
    LM_TRY(lm_npy_stream_put(&p->images, found->image.pixels, 1));
    if (p->labels.file) LM_TRY(lm_npy_stream_put(&p->labels, &found->label, 1));
    if (p->attributes.file) {
        LM_TRY(p->set->attributes(p->set, found->index, p->values));
        LM_TRY(lm_npy_stream_put(&p->attributes, p->values, 1));
    }
    p->journal.hash =
        lm_hash_word(lm_hash_bytes(p->journal.hash, found->image.pixels, p->bytes),
                     (uint64_t)found->label);
    p->journal.rows++;
    return LM_OK;
}

/* A file may have changed since the set was opened. */
static void check_shape(const lm_dataset *set, lm_scanned *found) {
    const lm_image *image = &found->image;
    if (found->status != LM_OK ||
        (image->height == set->height && image->width == set->width &&
         image->channels == set->channels))
        return;
    lm_str name = LM_STR_INIT;
    lm_dataset_item(set, found->index, &name);
    found->status =
        lm_fail(LM_FORMAT, "%s: %d x %d x %d, the set has %d x %d x %d",
                lm_str_text(&name) ? name.text : set->name, image->width, image->height,
                image->channels, set->width, set->height, set->channels);
    found->message = lm_message();
    lm_str_release(&name);
}

static lm_status take(void *user, lm_scanned *found) {
    preparation *p = user;
    const lm_prepare_job *job = p->job;
    check_shape(p->set, found);
    LM_TRY(found->status == LM_OK ? put(p, found) : skip(p, found));
    p->journal.done++;
    if (lm_now() >= p->next_mark) {
        LM_TRY(mark(p));
        p->next_mark = lm_now() + LATER_MARK;
    }
    bool go_on = !job->hook ||
                 job->hook(job->user, LM_PREPARE_IMAGES, p->journal.done, p->set->count);
    LM_RETURN_IF(!go_on, LM_INTERRUPTED,
                 "%s: interrupted after %lld of %lld images; the same command goes on",
                 job->out, (long long)p->journal.done, (long long)p->set->count);
    return LM_OK;
}

static lm_status write_images(preparation *p) {
    p->next_mark = lm_now() + FIRST_MARK;
    lm_status status =
        lm_scan(p->set, p->journal.done, p->set->count, p->job->threads, take, p);
    /* What is done is done, also when the next image is bad. */
    if (status != LM_IO && status != LM_NOMEM) {
        lm_status marked = mark(p);
        if (status == LM_OK) status = marked;
    }
    LM_TRY(status);
    LM_RETURN_IF(p->journal.rows == 0, LM_FORMAT, "%s: no image of %lld can be read",
                 p->set->name, (long long)p->set->count);
    return each_array(p, lm_npy_stream_close);
}

/* ---- the manifest ------------------------------------------------------------ */

static json_t *names_json(const char *const *names, int count) {
    if (!names || !count) return NULL;
    json_t *list = json_array();
    for (int i = 0; i < count; i++) json_array_append_new(list, lm_json_text(names[i]));
    return list;
}

static json_t *attributes_json(const lm_dataset *set) {
    json_t *list = json_array();
    for (int i = 0; i < set->n_attributes; i++) {
        const lm_attribute_kind *kinds = set->attribute_kinds;
        int levels = kinds ? kinds[i].levels : 2;
        json_t *names = kinds ? names_json(kinds[i].names, levels) : NULL;
        json_array_append_new(list, json_pack("{s:o, s:i, s:o*}", "name",
                                              lm_json_text(set->attribute_names[i]),
                                              "levels", levels, "names", names));
    }
    return list;
}

static bool on_source(void *user, int64_t files, int64_t bytes) {
    const lm_prepare_job *job = user;
    return !job->hook || job->hook(job->user, LM_PREPARE_SOURCES, bytes, 0);
}

static lm_status describe_source(const preparation *p, json_t **source) {
    char *path = path_of(p, LM_PREPARED_SOURCES);
    if (!path) return LM_NOMEM;
    lm_status status =
        lm_sources_write(p->set, p->job->out, path, on_source, (void *)p->job, source);
    lm_free(path);
    return status;
}

/* What was done to the images: the options as given, and the filter that follows. */
static json_t *transform_json(const char *spec) {
    const char *options = lm_file_exists(spec) ? NULL : strrchr(spec, '?');
    lm_transform how = lm_transform_default();
    if (options) (void)lm_transform_parse(options + 1, &how); /* opening has checked it */
    return json_pack("{s:o, s:s*}", "options", lm_json_text(options ? options + 1 : ""),
                     "filter", how.size ? lm_filter_name(how.filter) : NULL);
}

static lm_status write_manifest(const preparation *p) {
    const lm_dataset *set = p->set;
    json_t *source = NULL;
    LM_TRY(describe_source(p, &source));
    json_t *transform = transform_json(p->job->spec);
    json_t *classes = names_json(set->class_names, set->classes);
    json_t *attributes = set->attributes ? attributes_json(set) : NULL;
    lm_status status =
        lm_manifest_write(p->job->out, &(lm_manifest){.request = p->request,
                                                      .source = source,
                                                      .transform = transform,
                                                      .skipped = p->journal.skipped,
                                                      .class_names = classes,
                                                      .attributes = attributes,
                                                      .count = p->journal.rows,
                                                      .height = set->height,
                                                      .width = set->width,
                                                      .channels = set->channels,
                                                      .classes = set->classes,
                                                      .hash = p->journal.hash});
    json_decref(source);
    json_decref(transform);
    json_decref(classes);
    json_decref(attributes);
    return status;
}

/* ---- the folder -------------------------------------------------------------- */

static void remove_file(const preparation *p, const char *name) {
    char *path = path_of(p, name);
    if (path) unlink(path);
    lm_free(path);
}

/* A folder that is prepared already; *there says whether there is one. */
static lm_status look(const preparation *p, lm_prepared *result, bool *there) {
    lm_manifest manifest;
    json_t *json;
    lm_status status = lm_manifest_read(p->job->out, &manifest, &json);
    *there = status != LM_NOT_FOUND;
    if (status != LM_OK) return *there ? status : LM_OK;
    status = lm_request_compare(p->job->out, manifest.request, p->request);
    *result = (lm_prepared){.count = manifest.count,
                            .skipped = (int64_t)json_array_size(manifest.skipped),
                            .was_complete = true,
                            .height = manifest.height,
                            .width = manifest.width,
                            .channels = manifest.channels};
    json_decref(json);
    return status;
}

/* Without a journal, files with our names are somebody else's. */
static lm_status check_free(const preparation *p) {
    static const char *const names[] = {LM_PREPARED_IMAGES, LM_PREPARED_LABELS,
                                        LM_PREPARED_ATTRIBUTES, LM_PREPARED_SOURCES};
    if (lm_folder_has(p->job->out, LM_PREPARED_JOURNAL)) return LM_OK;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        LM_RETURN_IF(lm_folder_has(p->job->out, names[i]), LM_ARG,
                     "%s: holds a file %s that is not of a preparation; name another "
                     "folder",
                     p->job->out, names[i]);
    return LM_OK;
}

static lm_status take_lock(preparation *p) {
    char *path = path_of(p, "lock");
    if (!path) return LM_NOMEM;
    lm_status status = lm_lock_take(path, &p->lock);
    if (status == LM_ARG)
        lm_fail_context(status, "%s: is being prepared already", p->job->out);
    lm_free(path);
    return status;
}

static lm_status run(preparation *p, lm_prepared *result) {
    bool there;
    LM_TRY(look(p, result, &there));
    if (there) return LM_OK;
    LM_TRY(lm_make_folders(p->job->out));
    LM_TRY(take_lock(p));
    LM_TRY(check_free(p));
    LM_TRY(lm_journal_open(p->job->out, p->request, &p->journal));
    LM_RETURN_IF(p->journal.done > p->set->count, LM_FORMAT,
                 "%s: not a journal of this set", p->journal.path);
    result->resumed = p->journal.rows;
    LM_TRY(open_arrays(p));
    LM_TRY(write_images(p));
    LM_TRY(write_manifest(p));
    remove_file(p, LM_PREPARED_JOURNAL);
    remove_file(p, "lock");
    *result = (lm_prepared){.count = p->journal.rows,
                            .skipped = p->journal.done - p->journal.rows,
                            .resumed = result->resumed,
                            .height = p->set->height,
                            .width = p->set->width,
                            .channels = p->set->channels};
    return LM_OK;
}

static lm_status check_set(const lm_dataset *set, const char *spec) {
    LM_RETURN_IF(!set->get, LM_ARG, "%s: images differ in size", set->name);
    LM_RETURN_IF(lm_augment_changes(&set->augment), LM_ARG,
                 "%s: flip and pad-crop are done while training; say them then",
                 set->name);
    LM_RETURN_IF(set->endless, LM_ARG,
                 "%s: endless; say how many images, as in '%s%climit=10000'", set->name,
                 spec, strchr(spec, '?') ? '&' : '?');
    return LM_OK;
}

lm_status lm_prepare(const lm_dataset *set, const lm_prepare_job *job,
                     lm_prepared *result) {
    *result = (lm_prepared){0};
    LM_TRY(check_set(set, job->spec));
    preparation p = {.job = job, .set = set, .request = lm_request_json(job->spec, set)};
    lm_status status = p.request ? run(&p, result) : LM_NOMEM;
    lm_npy_stream_leave(&p.images);
    lm_npy_stream_leave(&p.labels);
    lm_npy_stream_leave(&p.attributes);
    lm_journal_release(&p.journal);
    lm_lock_release(p.lock);
    lm_free(p.values);
    json_decref(p.request);
    return status;
}
