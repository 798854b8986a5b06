#include "data/image_probe.h"

#include "base/hash.h"
#include "base/mem.h"
#include "base/threads.h"
#include "image/decode.h"

#include <stdatomic.h>

/* Most headers lie in a page; EXIF with a preview, or a colour profile, moves them. */
static const size_t heads[] = {1 << 12, 1 << 16, 1 << 20, 1 << 24};
enum { N_HEADS = sizeof heads / sizeof *heads };

/* ---- one --------------------------------------------------------------------- */

static lm_status probe_head(const lm_entries *entries, int64_t index, uint8_t *head,
                            size_t size, lm_probed *probed) {
    lm_image_info info;
    lm_status status = lm_image_probe(head, size, &info);
    if (status != LM_OK)
        return lm_fail_context(status, "%s: %s", lm_entries_path(entries),
                               lm_entries_name(entries, index));
    probed->width = info.width;
    probed->height = info.height;
    probed->channels = info.channels;
    probed->good = true;
    return LM_OK;
}

lm_status lm_entry_probe(const lm_entries *entries, int64_t index, lm_probed *probed) {
    uint64_t all = lm_entries_size(entries, index);
    lm_status status = LM_OK;
    *probed = (lm_probed){.hash = lm_hash_word(LM_HASH_SEED, all)};
    for (int i = 0; i < N_HEADS && !probed->good; i++) {
        size_t size = all < heads[i] ? (size_t)all : heads[i];
        if (i > 0 && all <= heads[i - 1]) break; /* it was seen whole */
        uint8_t *head = lm_alloc(size);
        if (!head) return LM_NOMEM;
        status = lm_entries_peek(entries, index, head, size);
        bool read = status == LM_OK;
        if (read && i == 0) probed->hash = lm_hash_bytes(probed->hash, head, size);
        if (read) status = probe_head(entries, index, head, size, probed);
        lm_free(head);
        if (!read) break;
    }
    return status;
}

/* ---- many -------------------------------------------------------------------- */

enum { PART = 64, MOST_THREADS = 8, MANY = 4 * PART };

typedef struct probing {
    const lm_entries *entries;
    const int32_t *index;
    int64_t count;
    lm_probed *probed;
    atomic_int_fast64_t next; /* that nobody has taken */
    atomic_bool no_memory;
} probing;

static void *probe_parts(void *user) {
    probing *p = user;
    for (int64_t first; (first = atomic_fetch_add(&p->next, PART)) < p->count;) {
        int64_t end = first + PART < p->count ? first + PART : p->count;
        for (int64_t i = first; i < end; i++)
            if (lm_entry_probe(p->entries, p->index[i], &p->probed[i]) == LM_NOMEM)
                atomic_store(&p->no_memory, true);
    }
    return NULL;
}

/* They wait for the disk as much as they compute, so there may be more than cores; fewer
 * than asked for will do. */
lm_status lm_entries_probe(const lm_entries *entries, const int32_t *index, int64_t count,
                           lm_probed *probed) {
    probing p = {.entries = entries, .index = index, .count = count, .probed = probed};
    pthread_t threads[MOST_THREADS];
    int n = 0;
    while (count >= MANY && n < MOST_THREADS &&
           lm_thread_start(&threads[n], probe_parts, &p) == LM_OK)
        n++;
    probe_parts(&p);
    while (n > 0) pthread_join(threads[--n], NULL);
    LM_RETURN_IF(atomic_load(&p.no_memory), LM_NOMEM, "%s: out of memory",
                 lm_entries_path(entries));
    return LM_OK;
}
