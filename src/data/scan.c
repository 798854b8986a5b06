#include "data/scan.h"

#include "base/mem.h"
#include "base/threads.h"

#include <stdio.h>

enum { MAX_THREADS = 1024, MAX_MESSAGE = 512 };

/* Images held at a time, for each thread: enough to bridge those that take longer; more
 * where they are known to be small. */
enum { LEAST_SLOTS = 3, MOST_SLOTS = 32, SLOT_BYTES = 1 << 20 };

typedef struct scan_slot {
    bool ready;
    lm_scanned found;
    char message[MAX_MESSAGE]; /* messages are kept per thread: the reader's, handed on */
} scan_slot;

/* Image i is in slot i mod n_slots from the time that a thread claims it until it has
 * been taken. */
typedef struct scan {
    const lm_dataset *set;
    int64_t end;
    scan_slot *slots;
    int n_slots;

    pthread_mutex_t lock;        /* of the next three, and of the slots' `ready` */
    pthread_cond_t room, filled; /* an image was taken; one became ready */
    int64_t claimed, taken;
    bool stopping;

    pthread_t *threads;
    int n_threads;
} scan;

static void read_image(const scan *s, int64_t index, scan_slot *slot) {
    lm_scanned *found = &slot->found;
    *found = (lm_scanned){.index = index, .message = slot->message, .label = -1};
    slot->message[0] = '\0';
    found->status = lm_dataset_read(s->set, index, &found->image, &found->label);
    if (found->status == LM_OK) return;
    found->image = (lm_image){0};
    snprintf(slot->message, sizeof slot->message, "%s", lm_message());
}

/* The next image, as soon as its slot is free; NULL: time to end. */
static scan_slot *claim(scan *s, int64_t *index) {
    while (!s->stopping && s->claimed < s->end && s->claimed - s->taken == s->n_slots)
        pthread_cond_wait(&s->room, &s->lock);
    if (s->stopping || s->claimed >= s->end) return NULL;
    *index = s->claimed++;
    return &s->slots[*index % s->n_slots];
}

/* The next image is there, and others are on their way: waking for each alone would cost
 * as much as reading a small one. */
static bool worth_waking(const scan *s) {
    return s->slots[s->taken % s->n_slots].ready &&
           (s->claimed - s->taken >= s->n_slots / 2 || s->claimed >= s->end);
}

static void *work(void *user) {
    scan *s = user;
    int64_t index;
    pthread_mutex_lock(&s->lock);
    for (scan_slot *slot; (slot = claim(s, &index));) {
        pthread_mutex_unlock(&s->lock);
        read_image(s, index, slot);
        pthread_mutex_lock(&s->lock);
        slot->ready = true;
        if (worth_waking(s)) pthread_cond_signal(&s->filled);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static lm_status take_all(scan *s, lm_scan_take take, void *user) {
    while (s->taken < s->end) {
        scan_slot *slot = &s->slots[s->taken % s->n_slots];
        pthread_mutex_lock(&s->lock);
        if (!slot->ready)
            while (!worth_waking(s)) pthread_cond_wait(&s->filled, &s->lock);
        pthread_mutex_unlock(&s->lock);
        lm_status status = slot->found.status == LM_NOMEM
                               ? lm_fail(LM_NOMEM, "%s", slot->message)
                               : take(user, &slot->found);
        lm_image_release(&slot->found.image);
        LM_TRY(status);
        pthread_mutex_lock(&s->lock);
        slot->ready = false;
        s->taken++;
        pthread_cond_signal(&s->room);
        pthread_mutex_unlock(&s->lock);
    }
    return LM_OK;
}

/* Fewer threads than asked for will do, but one there must be. */
static lm_status start(scan *s, int threads) {
    lm_status status = LM_OK;
    while (s->n_threads < threads && status == LM_OK) {
        status = lm_thread_start(&s->threads[s->n_threads], work, s);
        if (status == LM_OK) s->n_threads++;
    }
    return s->n_threads ? LM_OK : status;
}

static void stop(scan *s) {
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    pthread_cond_broadcast(&s->room);
    pthread_mutex_unlock(&s->lock);
    while (s->n_threads > 0) pthread_join(s->threads[--s->n_threads], NULL);
    for (int i = 0; i < s->n_slots; i++) lm_image_release(&s->slots[i].found.image);
}

static int count_slots(const lm_dataset *set, int threads) {
    int64_t bytes = (int64_t)set->height * set->width * set->channels;
    int64_t each = bytes ? SLOT_BYTES / bytes : 0;
    if (each < LEAST_SLOTS) each = LEAST_SLOTS;
    return threads * (int)(each < MOST_SLOTS ? each : MOST_SLOTS);
}

lm_status lm_scan(const lm_dataset *set, int64_t first, int64_t end, int threads,
                  lm_scan_take take, void *user) {
    LM_RETURN_IF(threads < 1 || threads > MAX_THREADS, LM_ARG,
                 "%d threads: expected 1 to %d", threads, MAX_THREADS);
    LM_RETURN_IF(first < 0 || first > end || end > set->count, LM_ARG,
                 "%s: no images %lld to %lld of %lld", set->name, (long long)first,
                 (long long)end, (long long)set->count);
    scan s = {.set = set,
              .end = end,
              .n_slots = count_slots(set, threads),
              .claimed = first,
              .taken = first,
              .lock = PTHREAD_MUTEX_INITIALIZER,
              .room = PTHREAD_COND_INITIALIZER,
              .filled = PTHREAD_COND_INITIALIZER};
    s.slots = lm_calloc((size_t)s.n_slots, sizeof *s.slots);
    s.threads = lm_calloc((size_t)threads, sizeof *s.threads);
    lm_status status = s.slots && s.threads ? start(&s, threads) : LM_NOMEM;
    if (status == LM_OK) status = take_all(&s, take, user);
    if (s.slots) stop(&s);
    lm_free(s.slots);
    lm_free(s.threads);
    return status;
}
