/* The order in which training sees a dataset, a pure function of (seed, position), and
 * the ring of batches that workers prepare in that order. */
#include "data/data.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/threads.h"
#include "tensor/philox.h"

#include <stdio.h>

/* Streams below 100 belong to the data room. */
#define STREAM_SHUFFLE 10
#define MAX_WORKERS    64
#define MAX_MESSAGE    512

/* Batches beyond those being filled and the one being read: enough to bridge a slow file,
 * little memory. */
#define AHEAD 1

typedef struct ring_slot {
    bool ready;
    lm_status status;
    char message[MAX_MESSAGE]; /* messages are kept per thread: the worker's, handed on */
    int64_t *index;            /* [batch], images of the set */
    uint8_t *pixels;           /* [batch][h][w][c] */
    int32_t *labels;           /* [batch] */
} ring_slot;

struct lm_loader {
    const lm_dataset *set;
    int batch;
    uint64_t seed;
    size_t image_bytes;

    pthread_mutex_t order_lock; /* of the next two */
    int64_t epoch;              /* that `order` was drawn for; -1: none */
    int32_t *order;             /* [count], NULL for endless sets */

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
    int n_workers, n_running;
};

/* ---- order ------------------------------------------------------------------- */

/* Fisher and Yates. */
static void shuffle(lm_loader *loader, int64_t epoch) {
    int32_t *order = loader->order, count = (int32_t)loader->set->count;
    lm_rng rng = {
        .seed = loader->seed, .stream = STREAM_SHUFFLE, .step = (uint32_t)epoch};
    for (int32_t i = 0; i < count; i++) order[i] = i;
    for (int32_t i = count - 1; i > 0; i--) {
        int32_t j = (int32_t)lm_rng_below(&rng, (uint32_t)i + 1), kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
    loader->epoch = epoch;
}

/* Positions come nearly in sequence, so the order is redrawn about once an epoch. */
static int64_t index_at(lm_loader *loader, int64_t position) {
    int64_t count = loader->set->count;
    if (!loader->order) return position % count;
    if (position / count != loader->epoch) shuffle(loader, position / count);
    return loader->order[position % count];
}

static void find_indices(lm_loader *loader, int64_t position, int64_t *index) {
    pthread_mutex_lock(&loader->order_lock);
    for (int i = 0; i < loader->batch; i++) index[i] = index_at(loader, position + i);
    pthread_mutex_unlock(&loader->order_lock);
}

/* ---- filling ----------------------------------------------------------------- */

static lm_status read_images(const lm_loader *loader, ring_slot *slot) {
    const lm_dataset *set = loader->set;
    for (int i = 0; i < loader->batch; i++)
        LM_TRY(set->get(set, slot->index[i], slot->pixels + i * loader->image_bytes,
                        &slot->labels[i]));
    return LM_OK;
}

static void fill(lm_loader *loader, int64_t number, ring_slot *slot) {
    find_indices(loader, loader->first + number * loader->batch, slot->index);
    slot->status = read_images(loader, slot);
    if (slot->status != LM_OK)
        snprintf(slot->message, sizeof slot->message, "%s", lm_message());
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
    while (loader->n_running < loader->n_workers) {
        pthread_t *thread = &loader->workers[loader->n_running];
        if (lm_thread_start(thread, work, loader) != LM_OK) {
            lm_log_line(LM_LOG_WARNING, "%d of %d workers: %s", loader->n_running,
                        loader->n_workers, lm_message());
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
    if (position != loader->first + loader->next * loader->batch)
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
    size_t batch = (size_t)loader->batch;
    loader->n_slots = loader->n_workers ? loader->n_workers + 1 + AHEAD : 1;
    loader->slots = lm_calloc((size_t)loader->n_slots, sizeof *loader->slots);
    if (!loader->slots) return LM_NOMEM;
    for (int i = 0; i < loader->n_slots; i++) {
        ring_slot *slot = &loader->slots[i];
        slot->index = lm_alloc(sizeof *slot->index * batch);
        slot->pixels = lm_alloc(loader->image_bytes * batch);
        slot->labels = lm_alloc(sizeof *slot->labels * batch);
        if (!slot->index || !slot->pixels || !slot->labels) return LM_NOMEM;
    }
    return LM_OK;
}

static lm_status check_arguments(const lm_dataset *set, int batch, int workers) {
    LM_RETURN_IF(batch <= 0, LM_ARG, "batch %d: expected at least 1", batch);
    LM_RETURN_IF(workers < 0 || workers > MAX_WORKERS, LM_ARG,
                 "%d workers: expected 0 to %d", workers, MAX_WORKERS);
    LM_RETURN_IF(set->count <= 0 || set->count > INT32_MAX, LM_ARG,
                 "%s: %lld images: expected 1 to 2^31 - 1", set->name,
                 (long long)set->count);
    return LM_OK;
}

lm_status lm_loader_new(const lm_dataset *set, int batch, uint64_t seed, int workers,
                        lm_loader **loader) {
    LM_TRY(check_arguments(set, batch, workers));
    lm_loader *made = lm_calloc(1, sizeof *made);
    if (!made) return LM_NOMEM;
    made->set = set;
    made->batch = batch;
    made->seed = seed;
    made->image_bytes = (size_t)set->height * set->width * set->channels;
    made->epoch = -1;
    made->first = -1; /* no position: the first read starts the workers */
    made->n_workers = workers;
    pthread_mutex_init(&made->order_lock, NULL);
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->room, NULL);
    pthread_cond_init(&made->filled, NULL);
    lm_status status = make_slots(made);
    if (status == LM_OK && !set->endless) {
        made->order = lm_alloc(sizeof *made->order * (size_t)set->count);
        if (!made->order) status = LM_NOMEM;
    }
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
        lm_free(loader->slots[i].index);
        lm_free(loader->slots[i].pixels);
        lm_free(loader->slots[i].labels);
    }
    lm_free(loader->slots);
    lm_free(loader->order);
    pthread_cond_destroy(&loader->filled);
    pthread_cond_destroy(&loader->room);
    pthread_mutex_destroy(&loader->lock);
    pthread_mutex_destroy(&loader->order_lock);
    lm_free(loader);
}
