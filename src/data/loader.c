/* The ring of batches that workers prepare ahead of the reader. What is in a batch is a
 * pure function of (seed, position). */
#include "data/data.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/threads.h"
#include "data/order.h"

#include <stdio.h>
#include <string.h>

#define MAX_WORKERS 64
#define MAX_MESSAGE 512

/* Batches beyond those being filled and the one being read: enough to bridge a slow file,
 * little memory. */
#define AHEAD 1

typedef struct ring_slot {
    bool ready;
    lm_status status;
    char message[MAX_MESSAGE]; /* of a failure */
    uint8_t *pixels;           /* [batch][h][w][c] */
    int32_t *labels;           /* [batch] */
    uint8_t *plain;            /* [h][w][c], an image before it is augmented */
} ring_slot;

struct lm_loader {
    const lm_dataset *set;
    lm_loader_spec spec;
    lm_augment augment; /* of the set and of the spec */
    size_t image_bytes;

    /* Batch i since `first` is in slot i mod n_slots from the time that a worker claims
     * it until the reader gives it back, which is when it asks for the next. */
    ring_slot *slots;
    int n_slots;
    int64_t first; /* position of batch 0; changes only while no worker runs */
    int64_t next;  /* batch that is read next; the reader's own */
    double waited;

    pthread_mutex_t lock;        /* of the next three, and of the slots' `ready` */
    pthread_cond_t room, filled; /* a batch was given back; one became ready */
    int64_t claimed, given_back; /* numbers of batches */
    bool stopping;

    pthread_t workers[MAX_WORKERS];
    int n_running;
};

/* ---- filling ----------------------------------------------------------------- */

static int64_t image_at(const lm_loader *loader, int64_t position) {
    int64_t count = loader->set->count, place = position % count;
    if (loader->set->endless) return place;
    return lm_order_at(loader->spec.seed, position / count, count, place);
}

static lm_status read_image(const lm_loader *loader, int64_t position, ring_slot *slot,
                            uint8_t *pixels, int32_t *label) {
    const lm_dataset *set = loader->set;
    if (!slot->plain) return set->get(set, image_at(loader, position), pixels, label);
    LM_TRY(set->get(set, image_at(loader, position), slot->plain, label));
    lm_augment_image(&loader->augment, loader->spec.seed, position, set->height,
                     set->width, set->channels, slot->plain, pixels);
    return LM_OK;
}

/* Whether this thread's message has the image's file already, as readers of files do. */
static bool names_file(const lm_dataset *set, int64_t image) {
    if (!set->item) return false;
    lm_str file = LM_STR_INIT;
    set->item(set, image, &file);
    bool found = file.failed || strstr(lm_message(), lm_str_text(&file));
    lm_str_release(&file);
    return found;
}

/* Messages are kept per thread: the worker's, for the reader. */
static void keep_message(const lm_dataset *set, int64_t image, ring_slot *slot) {
    lm_str item = LM_STR_INIT;
    if (!names_file(set, image)) {
        lm_dataset_item(set, image, &item);
        lm_str_append(&item, ": ");
    }
    const char *text = lm_str_text(&item);
    snprintf(slot->message, sizeof slot->message, "%s%s", text ? text : "", lm_message());
    lm_str_release(&item);
}

/* Positions of a batch are `world` apart. */
static int64_t positions_a_batch(const lm_loader *loader) {
    return (int64_t)loader->spec.batch * loader->spec.world;
}

static void fill(const lm_loader *loader, int64_t number, ring_slot *slot) {
    int64_t position =
        loader->first + number * positions_a_batch(loader) + loader->spec.rank;
    slot->status = LM_OK;
    for (int i = 0; i < loader->spec.batch; i++, position += loader->spec.world) {
        slot->status =
            read_image(loader, position, slot, slot->pixels + i * loader->image_bytes,
                       &slot->labels[i]);
        if (slot->status == LM_OK) continue;
        keep_message(loader->set, image_at(loader, position), slot);
        return;
    }
}

/* The next batch, as soon as its slot is free; NULL: time to end. */
static ring_slot *claim(lm_loader *loader, int64_t *number) {
    while (!loader->stopping && loader->claimed - loader->given_back == loader->n_slots)
        pthread_cond_wait(&loader->room, &loader->lock);
    if (loader->stopping) return NULL;
    *number = loader->claimed++;
    return &loader->slots[*number % loader->n_slots];
}

static void *work(void *user) {
    lm_loader *loader = user;
    int64_t number;
    pthread_mutex_lock(&loader->lock);
    for (ring_slot *slot; (slot = claim(loader, &number));) {
        pthread_mutex_unlock(&loader->lock);
        fill(loader, number, slot);
        pthread_mutex_lock(&loader->lock);
        slot->ready = true;
        pthread_cond_signal(&loader->filled);
    }
    pthread_mutex_unlock(&loader->lock);
    return NULL;
}

/* ---- reading ----------------------------------------------------------------- */

static void stop_workers(lm_loader *loader) {
    pthread_mutex_lock(&loader->lock);
    loader->stopping = true;
    pthread_cond_broadcast(&loader->room);
    pthread_mutex_unlock(&loader->lock);
    while (loader->n_running > 0)
        pthread_join(loader->workers[--loader->n_running], NULL);
    loader->stopping = false;
}

/* Fewer workers than asked for will do; without any, the reader does their work. */
static void start_workers(lm_loader *loader) {
    while (loader->n_running < loader->spec.workers) {
        pthread_t *thread = &loader->workers[loader->n_running];
        if (lm_thread_start(thread, work, loader) != LM_OK) {
            lm_log_line(LM_LOG_WARNING, "%d of %d workers: %s", loader->n_running,
                        loader->spec.workers, lm_message());
            return;
        }
        loader->n_running++;
    }
}

void lm_loader_seek(lm_loader *loader, int64_t position) {
    stop_workers(loader);
    loader->first = position;
    loader->next = loader->claimed = loader->given_back = 0;
    for (int i = 0; i < loader->n_slots; i++) loader->slots[i].ready = false;
    start_workers(loader);
}

/* Gives back what was read before and waits for the next. */
static void await(lm_loader *loader, ring_slot *slot) {
    pthread_mutex_lock(&loader->lock);
    if (loader->next > 0) {
        loader->slots[(loader->next - 1) % loader->n_slots].ready = false;
        loader->given_back = loader->next;
        pthread_cond_signal(&loader->room);
    }
    while (!slot->ready) pthread_cond_wait(&loader->filled, &loader->lock);
    pthread_mutex_unlock(&loader->lock);
}

lm_status lm_loader_read(lm_loader *loader, int64_t position, lm_batch *batch) {
    double began = lm_now();
    if (position != loader->first + loader->next * positions_a_batch(loader))
        lm_loader_seek(loader, position);
    ring_slot *slot = &loader->slots[loader->next % loader->n_slots];
    if (loader->n_running)
        await(loader, slot);
    else
        fill(loader, loader->next, slot);
    loader->next++;
    loader->waited += lm_now() - began;
    LM_RETURN_IF(slot->status != LM_OK, slot->status, "%s", slot->message);
    *batch = (lm_batch){slot->pixels, slot->labels};
    return LM_OK;
}

double lm_loader_waited(const lm_loader *loader) {
    return loader->waited;
}

/* ---- making ------------------------------------------------------------------ */

static lm_status make_slots(lm_loader *loader) {
    size_t batch = (size_t)loader->spec.batch;
    int workers = loader->spec.workers;
    loader->n_slots = workers ? workers + 1 + AHEAD : 1;
    loader->slots = lm_calloc((size_t)loader->n_slots, sizeof *loader->slots);
    if (!loader->slots) return LM_NOMEM;
    bool augments = lm_augment_changes(&loader->augment);
    for (int i = 0; i < loader->n_slots; i++) {
        ring_slot *slot = &loader->slots[i];
        slot->pixels = lm_alloc(loader->image_bytes * batch);
        slot->labels = lm_alloc(sizeof *slot->labels * batch);
        if (augments) slot->plain = lm_alloc(loader->image_bytes);
        if (!slot->pixels || !slot->labels || (augments && !slot->plain)) return LM_NOMEM;
    }
    return LM_OK;
}

static lm_status check_arguments(const lm_dataset *set, const lm_loader_spec *spec) {
    LM_RETURN_IF(spec->batch <= 0, LM_ARG, "batch %d: expected at least 1", spec->batch);
    LM_RETURN_IF(spec->workers < 0 || spec->workers > MAX_WORKERS, LM_ARG,
                 "%d workers: expected 0 to %d", spec->workers, MAX_WORKERS);
    LM_RETURN_IF(spec->world < 0 || spec->rank < 0 ||
                     (spec->rank > 0 && spec->rank >= spec->world),
                 LM_ARG, "rank %d of %d: expected 0 to one less", spec->rank,
                 spec->world);
    LM_RETURN_IF(!set->get, LM_ARG, "%s: images differ in size; batches need one",
                 set->name);
    LM_RETURN_IF(set->count <= 0 || set->count > INT32_MAX, LM_ARG,
                 "%s: %lld images: expected 1 to 2^31 - 1", set->name,
                 (long long)set->count);
    return LM_OK;
}

lm_status lm_loader_new(const lm_dataset *set, const lm_loader_spec *spec,
                        lm_loader **loader) {
    LM_TRY(check_arguments(set, spec));
    lm_loader *made = lm_calloc(1, sizeof *made);
    if (!made) return LM_NOMEM;
    made->set = set;
    made->spec = *spec;
    if (made->spec.world == 0) made->spec.world = 1;
    made->augment = set->augment;
    made->augment.flip |= spec->flip;
    made->image_bytes = (size_t)set->height * set->width * set->channels;
    made->first = -1; /* no position: the first read starts the workers */
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->room, NULL);
    pthread_cond_init(&made->filled, NULL);
    lm_status status = make_slots(made);
    if (status == LM_OK)
        *loader = made;
    else
        lm_loader_free(made);
    return status;
}

void lm_loader_free(lm_loader *loader) {
    if (!loader) return;
    stop_workers(loader);
    for (int i = 0; loader->slots && i < loader->n_slots; i++) {
        lm_free(loader->slots[i].pixels);
        lm_free(loader->slots[i].labels);
        lm_free(loader->slots[i].plain);
    }
    lm_free(loader->slots);
    pthread_cond_destroy(&loader->filled);
    pthread_cond_destroy(&loader->room);
    pthread_mutex_destroy(&loader->lock);
    lm_free(loader);
}
